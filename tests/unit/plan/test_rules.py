"""Every choice of the planner: what it follows from, and that a person's word wins.

The numbers of the recipe are tuned by measurement and not pinned here; relations are.
"""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from ushape.config.load import config_tree, known_keys, read_assignments
from ushape.device import DeviceFacts
from ushape.errors import ConfigError, UshapeError
from ushape.labels import choose_labels
from ushape.losses import build_loss
from ushape.nets import geometry_of, make_spec
from ushape.plan import Fingerprint, Request, Split, plan_run
from ushape.plan.speed import estimate_speed, macs_per_pixel

CPU = DeviceFacts("cpu", "two cores", 2, 8 * 2**30, has_fast_bf16=False)
FAST_CPU = replace(CPU, has_fast_bf16=True)
CUDA = DeviceFacts("cuda", "H100", 16, 80 * 2**30, has_fast_bf16=True)
SPLIT = Split(("a", "b"), ("c",), "as asked")


def fingerprint(size=(512, 512), *, counts=None, channels=1):
    labels = choose_labels(counts or {0: 80, 255: 20})
    total = sum((counts or {0: 80, 255: 20}).values())
    return Fingerprint(
        name="cells",
        root=Path("cells"),
        layout="images + labels",
        case_ids=("a", "b", "c"),
        median_size=size,
        smallest_size=size,
        largest_size=size,
        channels=channels,
        value_types=("uint8",),
        value_range=(0.0, 255.0),
        labels=labels,
        class_fractions=tuple((counts or {0: 80, 255: 20})[v] / total for v in labels.values),
        class_cases=(3,) * len(labels.values),
    )


def plan(request=None, *, data=None, device=CPU, **settings):
    dotted = {key.replace("__", "."): value for key, value in settings.items()}
    request = replace(request or Request(budget_s=600.0), settings=dotted)
    return plan_run(data or fingerprint(), SPLIT, request, device)


def spec_of(config):
    model = config.model
    return make_spec(
        model.name, in_channels=model.in_channels, classes=model.classes, **model.options
    )


def assert_trainable(config):
    """The network takes the patch and the tile, and the loss fits its channels."""
    geometry = geometry_of(spec_of(config))
    assert geometry.used_size(config.patch.size) == tuple(config.patch.size)
    assert geometry.used_size(config.tiling.tile_size) == tuple(config.tiling.tile_size)
    build_loss(
        config.loss,
        num_logits=config.model.classes,
        class_fractions=[1 / config.model.classes] * config.model.classes,
    )


def test_the_same_inputs_give_the_same_plan():
    assert plan() == plan()
    assert plan().config == plan().config


def test_every_setting_is_decided():
    tree = config_tree(plan().config)
    written = [
        f"{section}.{key}" if isinstance(value, dict) else section
        for section, value in tree.items()
        for key in (value if isinstance(value, dict) else [None])
    ]
    assert set(written) == set(known_keys())


@pytest.mark.parametrize("model", [None, "unet_original", "unet_padding"])
@pytest.mark.parametrize("device", [CPU, FAST_CPU, CUDA], ids=lambda d: f"{d.kind}-{d.precision}")
def test_every_setting_has_a_reason_and_nothing_else_has(model, device):
    made = plan(Request(model=model, budget_s=600.0), device=device)
    assert [key for key in known_keys() if not made.reasons[key]] == []
    assert set(made.reasons) - set(known_keys()) == {"augment"}, "the preset, beside its section"


def test_the_reason_for_the_width_speaks_of_steps_where_those_are_asked_for():
    by_time, by_steps = (
        plan(asked).reasons["model.options"] for asked in (Request(), Request(steps=500))
    )
    assert "steps are asked for (500) and no time: " in by_steps
    assert "in the usual 30m" in by_steps
    assert "asked for" not in by_time


@pytest.mark.parametrize(
    ("model", "device"),
    [(None, CPU), (None, CUDA), ("unet_original", CPU), ("unet_padding", CPU)],
    ids=lambda value: getattr(value, "kind", value),
)
@pytest.mark.parametrize("size", [(8, 8), (9, 13), (17, 400), (100, 101), (3000, 20000)])
def test_every_plan_can_be_trained(model, device, size):
    made = plan(Request(model=model, budget_s=600.0), data=fingerprint(size), device=device)
    assert_trainable(made.config)
    if model != "unet_original":
        assert all(p <= max(s, 16) for p, s in zip(made.config.patch.size, size, strict=True))


def test_the_original_network_gets_a_patch_that_it_takes():
    made = plan(Request(model="unet_original", budget_s=600.0))
    geometry = geometry_of(spec_of(made.config))
    assert min(geometry.output_size(made.config.patch.size)) > 100
    assert made.config.patch.batch >= 1
    assert made.config.model.options == {}


def test_a_named_network_has_its_papers_numbers_unless_set():
    made = plan(Request(model="unet_padding", budget_s=600.0))
    assert spec_of(made.config) == make_spec("unet_padding")
    narrower = plan(Request(model="unet_padding", budget_s=600.0), model__options__width=8)
    assert spec_of(narrower.config) == make_spec("unet_padding", width=8)


# ---------------------------------------------------------------- a person's word


def test_what_is_set_by_hand_wins_and_says_so():
    settings = read_assignments(
        [
            "patch.size=[64, 96]",
            "patch.batch=3",
            "preprocess.normalise=percentile",
            "loss=dice + 10*bce(weight=auto)",
            "optimizer.name=sgd",
            "optimizer.learning_rate=1e-4",
            "optimizer.momentum=0.5",
            "augment.flip=false",
            "augment.noise=0.5",
            "schedule.shape=linear",
            "schedule.warmup_fraction=0.2",
            "train.precision=32-true",
            "train.channels_last=false",
            "train.seed=7",
            "train.validations=3",
            "tiling.tile_size=[128, 128]",
            "tiling.batch=5",
            "tiling.overlap_fraction=0.5",
        ]
    )
    others, made = plan(device=FAST_CPU), plan(device=FAST_CPU, **settings)
    for key, value in settings.items():
        section, _, name = key.partition(".")
        chosen, usual = (getattr(p.config, section) for p in (made, others))
        assert (getattr(chosen, name) if name else chosen) == value, key
        assert (getattr(usual, name) if name else usual) != value, key
        if key in others.reasons:
            assert made.reasons[key] == "set by hand", key


def test_dependent_choices_follow():
    small, large = plan(patch__size=(64, 64)).config, plan(patch__size=(512, 512)).config
    assert small.patch.batch > large.patch.batch >= 1
    deep = plan(model__options__levels=6).config
    assert geometry_of(spec_of(deep)).total_stride == (32, 32)
    assert all(edge % 32 == 0 for edge in deep.patch.size)
    directed = plan(device=CUDA, augment__flip=False).config
    assert not directed.tiling.mirror
    assert plan(device=CUDA).config.tiling.mirror


def test_options_of_the_default_network_change_only_themselves():
    base, wide = plan().config.model.options, plan(model__options__width=40).config.model.options
    assert wide == {**base, "width": 40}
    assert plan(model__options={"width": 40}).config.model.options == wide


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"patch__size": (100, 100)}, "100 x 100"),
        ({"model__options__widht": 8}, "did you mean 'width'"),
        ({"model__name": "unet_pading"}, "did you mean 'unet_padding'"),
        ({"optimizer__lr": 1}, "optimizer.learning_rate"),
        ({"patch__batch": 0}, "patch.batch"),
    ],
)
def test_impossible_settings_are_refused(settings, says):
    with pytest.raises(UshapeError) as caught:
        plan(**settings)
    assert says in str(caught.value)


def test_an_unknown_network_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'unet_original'"):
        plan(Request(model="unet_orginal", budget_s=60.0))


# ---------------------------------------------------------------- how long


def test_a_budget_and_steps_are_refused_together():
    with pytest.raises(ConfigError, match="not both"):
        plan(Request(budget_s=60.0, steps=10))
    with pytest.raises(ConfigError, match=r"schedule\.budget_s and schedule\.steps"):
        plan(Request(budget_s=60.0), schedule__steps=10)


@pytest.mark.parametrize(
    ("request_", "settings", "expected"),
    [
        (Request(budget_s=60.0), {}, (60.0, None)),
        (Request(steps=10), {}, (None, 10)),
        (Request(), {"schedule__steps": 10}, (None, 10)),
        (Request(), {"schedule__budget_s": 90.0}, (90.0, None)),
    ],
)
def test_how_long_is_taken_from_where_it_is_said(request_, settings, expected):
    schedule = plan(request_, **settings).config.schedule
    assert (schedule.budget_s, schedule.steps) == expected


def test_without_a_word_there_is_a_budget_and_it_is_named():
    made = plan(Request())
    assert made.config.schedule.budget_s
    assert "--budget" in made.reasons["schedule.budget_s"]


# ---------------------------------------------------------------- what follows from data and device


@pytest.mark.parametrize(
    ("counts", "classes", "terms"),
    [({0: 80, 255: 20}, 1, {"dice", "bce"}), ({0: 80, 1: 10, 2: 10}, 3, {"dice", "ce"})],
)
def test_the_loss_and_the_logits_follow_from_the_classes(counts, classes, terms):
    config = plan(data=fingerprint(counts=counts)).config
    assert config.model.classes == classes
    assert {term.strip() for term in config.loss.split("+")} == terms
    assert_trainable(config)


def test_logit_fractions_are_those_of_the_channels():
    assert fingerprint().logit_fractions == (0.2,)
    three = fingerprint(counts={0: 70, 1: 20, 2: 10})
    assert three.logit_fractions == pytest.approx((0.7, 0.2, 0.1))


def test_channels_follow_from_the_images():
    config = plan(data=fingerprint(channels=3)).config
    assert (config.model.in_channels, config.preprocess.channels) == (3, 3)


def test_precision_follows_from_the_device():
    assert plan(device=CPU).config.train.precision == "32-true"
    assert plan(device=FAST_CPU).config.train.precision == "bf16-mixed"


def test_more_time_or_a_faster_device_never_gives_a_narrower_network():
    budgets = [30.0, 120.0, 600.0, 1800.0, 7200.0, 86_400.0]
    widths = [plan(Request(budget_s=b)).config.model.options["width"] for b in budgets]
    assert widths == sorted(widths)
    assert widths[0] < widths[-1]
    by_device = [
        plan(device=device).config.model.options["width"] for device in (CPU, FAST_CPU, CUDA)
    ]
    assert by_device == sorted(by_device)


def test_small_images_get_fewer_levels():
    levels = [
        plan(data=fingerprint((edge, 512))).config.model.options["levels"]
        for edge in (8, 32, 64, 512)
    ]
    assert levels == sorted(levels)
    assert levels[0] == 3


def test_mirrored_prediction_only_where_it_is_quick_and_directions_do_not_matter():
    slow = plan(Request(model="unet_padding", budget_s=600.0)).config
    assert not slow.tiling.mirror, "eight views with 31 M parameters on two cores take a minute"
    assert plan(device=CUDA).config.tiling.mirror
    assert not plan(device=CUDA, augment__right_angles=False).config.tiling.mirror


def test_the_estimate_of_work_is_that_of_the_layers():
    """Against a count by hand for a tiny network: sum of weights x outputs over all layers."""
    import torch
    from torch import nn

    from ushape.nets import build_network

    spec = make_spec("unet_padding", width=4, levels=3, up="transposed")
    network = build_network(spec).eval()
    macs = []

    def count(layer, inputs, output):
        pixels = output if isinstance(layer, nn.Conv2d) else inputs[0]
        macs.append(layer.weight.numel() * math.prod(pixels.shape[2:]))

    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            layer.register_forward_hook(count)
    with torch.no_grad():
        network(torch.zeros(1, 1, 64, 64))
    assert macs_per_pixel(spec) == pytest.approx(sum(macs) / 64**2, rel=0.25)


def test_speed_grows_with_threads_and_hardware():
    rates = [estimate_speed(device).macs_per_s for device in (CPU, FAST_CPU, CUDA)]
    assert estimate_speed(replace(CPU, num_threads=4)).macs_per_s == 2 * rates[0]
    assert rates == sorted(set(rates))


# ---------------------------------------------------------------- kinds of target


@pytest.mark.parametrize(
    ("target", "logits", "loss"),
    [(None, 3, "dice + ce"), ("multilabel", 2, "dice + bce"), ("binary", 1, "dice + bce")],
)
def test_the_kind_of_target_decides_outputs_and_loss(target, logits, loss):
    counts = {0: 60, 1: 20, 2: 20}
    labels = choose_labels(counts, target=target)
    fractions = (0.6, 0.4) if target == "binary" else (0.6, 0.2, 0.2)
    data = replace(fingerprint(counts=counts), labels=labels, class_fractions=fractions)
    config = plan(data=data).config
    assert (config.model.classes, config.loss) == (logits, loss)
    assert config.data.labels == labels.to_json()


def test_blurred_lines_add_outputs_and_distances_do_not():
    counts = {0: 60, 1: 20, 2: 20}
    data = fingerprint(counts=counts)
    blurred = plan(data=data, lines__classes=("class_1", "class_2"), lines__sigma=(1.0, 2.0))
    assert blurred.config.model.classes == 3 + 2 * 2
    assert blurred.config.lines.num_extra == 4
    assert "4 for blurred lines" in blurred.reasons["model.classes"]
    graded = plan(data=data, lines__classes=("class_1",), lines__mode="distance")
    assert graded.config.model.classes == 3
    assert len(graded.config.lines.sigma) == 1
    for wrong, words in (
        ({"lines__classes": ("clas_1",)}, "did you mean 'class_1'"),
        ({"lines__classes": ("background",)}, "unknown class 'background'"),
        ({"lines__mode": "distance", "lines__sigma": (1.0, 2.0)}, "mode distance takes one"),
    ):
        with pytest.raises(ConfigError, match=words):
            plan(data=data, **wrong)


@pytest.mark.parametrize(
    ("target", "usual", "rare"),
    [
        ("binary", "dice + bce", "dice + 10*bce + 100*focal(alpha=0.9)"),
        (
            "multiclass",
            "dice + ce",
            {
                "all": {"terms": "dice + 10*ce + 100*focal(alpha=0.9)", "weight": 1.0},
                "class_2": {"terms": "2*bce + 20*focal(alpha=0.9)", "weight": 1.0},
            },
        ),
        ("multilabel", "dice + bce", "dice + 10*bce + 100*focal(alpha=0.9)"),
    ],
)
def test_a_class_below_one_per_cent_changes_the_loss(target, usual, rare):
    for share, loss in ((0.0101, usual), (0.0099, rare)):
        counts = {0: 7000 - share * 10000, 1: 3000, 2: share * 10000}
        if target == "binary":
            counts = {0: 10000 - share * 10000, 2: share * 10000}
        labels = choose_labels(counts, target=target)
        made = plan(data=replace(fingerprint(counts=counts), labels=labels))
        assert made.config.loss == loss
        mixture = build_loss(
            loss,
            num_logits=labels.num_logits,
            class_fractions=[0.1] * labels.num_logits,
            target=labels.target,
            class_names=labels.logit_names,
        )
        assert mixture.terms
    assert "only 0.99% of the pixels" in made.reasons["loss"]


@pytest.mark.parametrize(
    ("loss", "thresholds"),
    [
        ("dice + bce", "lines"),
        ("dice + 10*bce(weight=auto)", "all"),
        ("dice + 100*focal(alpha=0.9)", "all"),
    ],
)
def test_a_weighted_loss_has_its_threshold_searched(loss, thresholds):
    assert plan(loss=loss).config.train.thresholds == thresholds
    assert plan(loss=loss, train__thresholds="lines").config.train.thresholds == "lines"


def test_classes_of_a_softmax_have_no_thresholds():
    data = fingerprint(counts={0: 80, 1: 10, 2: 10})
    made = plan(data=data, loss="dice + 10*ce(weight=auto)")
    assert made.config.train.thresholds == "lines"


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"preprocess.clip": (99.5, 0.5)}, "smaller"),
        ({"preprocess.nonzero": True, "preprocess.normalise": "unit"}, "nonzero"),
    ],
)
def test_normalisations_that_contradict_themselves_are_refused(settings, why):
    with pytest.raises(ConfigError, match=why):
        plan_run(fingerprint(), SPLIT, Request(budget_s=600.0, settings=settings), CPU)
