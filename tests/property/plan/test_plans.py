"""Of any data set: the plan can be run, is the same every time, fits the memory, and obeys."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ushape.config.load import check_value, config_tree
from ushape.config.schema import AugmentConfig
from ushape.data.augment import window_size
from ushape.device import DeviceFacts
from ushape.inference import plan_image
from ushape.labels import choose_labels
from ushape.losses import build_loss
from ushape.nets import geometry_of, make_spec
from ushape.plan import Fingerprint, Request, Speed, plan_run, split_cases
from ushape.plan.fingerprint import Intensity
from ushape.plan.speed import training_bytes

RECORDED_ELSEWHERE = {
    "data.root",
    "data.labels",
    "data.validation",
    "data.label_folder",
    "preprocess.channels",
    "model.in_channels",
    "model.classes",
}
"""What `config.yaml` records and a person cannot set (`ushape.workflow.wishes.FROM_DATA`)."""


@st.composite
def fingerprints(draw):
    dims = draw(st.sampled_from([2, 3]))
    longest = 3000 if dims == 2 else 400
    size = tuple(draw(st.integers(1, longest)) for _ in range(dims))
    shares = draw(st.lists(st.floats(1e-5, 0.4), min_size=1, max_size=4))
    counts = {0: 1e6, **{n: share * 1e6 for n, share in enumerate(shares, start=1)}}
    labels = choose_labels(counts)
    channels = draw(st.integers(1, 4))
    spacing = low = high = None
    if dims == 3 and draw(st.booleans()):
        unit = draw(st.sampled_from([1.0, 1e-5]))
        spacing = tuple(unit * draw(st.floats(0.3, 8.0)) for _ in range(3))
        spread = draw(st.sampled_from([1.0, 1.005, 2.0]))
        low, high = (tuple(e * f for e in spacing) for f in (1 / spread, spread))
    is_stack = dims == 3 and spacing is not None and draw(st.booleans())
    num_cases = draw(st.integers(1, 40))
    ids = tuple(f"case_{number}" for number in range(num_cases))
    content = tuple(max(1, int(n * draw(st.floats(0.3, 1.0)))) for n in size)
    values = Intensity(-100.0, 300.0, 50.0, draw(st.sampled_from([0.0, 40.0])))
    return Fingerprint(
        name="any",
        root=Path("any"),
        layout="images + labels",
        case_ids=ids,
        median_size=size,
        smallest_size=size,
        largest_size=tuple(n + draw(st.integers(0, 50)) for n in size),
        channels=channels,
        value_types=("int16",),
        value_range=(0.0, 1.0),
        labels=labels,
        class_fractions=tuple(counts[v] / sum(counts.values()) for v in labels.values),
        class_cases=(num_cases,) * len(labels.values),
        is_stack=is_stack,
        spacing_mm=spacing,
        smallest_spacing_mm=low,
        largest_spacing_mm=high,
        content_size=draw(st.sampled_from([(), content])),
        outlier_ratio=draw(st.sampled_from([1.0, 1e4])),
        modality=draw(st.sampled_from(["ct", "other"])),
        intensities=(values,) * channels,
        groups=dict.fromkeys(ids, "one") if is_stack else {},
    )


devices = st.sampled_from(
    [
        DeviceFacts("cpu", "two cores", 2, 8 * 2**30, has_fast_bf16=False),
        DeviceFacts("cpu", "four cores", 4, 16 * 2**30, has_fast_bf16=True),
        DeviceFacts("cuda", "a GPU", 16, 24 * 2**30, has_fast_bf16=True),
    ]
)
speeds = st.one_of(
    st.none(),
    st.builds(
        Speed,
        st.sampled_from([1e9, 1e11, 1e13, 1e15]),
        st.sampled_from([2**29, 2**31, 2**34]),
        st.just(value=True),
    ),
)
requests = st.builds(
    Request,
    budget_s=st.sampled_from([None, 5.0, 900.0, 86_400.0]),
)


def plan(data, request, device, speed):
    split = split_cases(
        data.case_ids,
        request.validation,
        groups=data.groups,
        is_stack=data.is_stack,
        are_volumes=len(data.median_size) == 3,
    )
    return plan_run(data, split, request, device, speed)


def spec_of(config):
    model = config.model
    return make_spec(
        model.name, in_channels=model.in_channels, classes=model.classes, **model.options
    )


@settings(deadline=None, max_examples=30)
@given(fingerprints(), requests, devices, speeds)
def test_every_plan_can_be_run(data, request, device, speed):
    made = plan(data, request, device, speed)
    config = made.config
    spec = spec_of(config)
    geometry = geometry_of(spec)
    assert geometry.output_size(config.patch.size) == tuple(config.patch.size)
    assert geometry.output_size(config.tiling.tile_size) == tuple(config.tiling.tile_size)
    assert plan_image(geometry, data.largest_size, config.tiling).num_tiles >= 1
    edges = config.preprocess.spacing_mm or data.edges
    window = window_size(config.patch.size, config.augment, spacing=edges)
    assert all(w >= p for w, p in zip(window, config.patch.size, strict=True))
    build_loss(
        config.loss,
        num_logits=config.model.classes,
        class_fractions=data.logit_fractions,
        target=data.labels.target,
        class_names=data.labels.logit_names,
    )
    assert plan(data, request, device, speed) == made
    limit = (speed or Speed(1.0, device.memory_bytes)).usable_bytes(device.kind)
    batch, precision = config.patch.batch, config.train.precision
    needed = training_bytes(spec, tuple(config.patch.size), batch, precision, limit)
    assert needed <= limit


@settings(deadline=None, max_examples=20)
@given(fingerprints(), requests, devices, speeds, speeds)
def test_recorded_settings_give_the_same_plan_on_any_machine(data, request, device, speed, later):
    """A resumed run reads `config.yaml`; what is measured then changes nothing."""
    made = plan(data, request, device, speed)
    again = replace(request, budget_s=None, settings=recorded(made.config))
    other = replace(device, kind="cpu", num_threads=1, has_fast_bf16=not device.has_fast_bf16)
    assert plan(data, again, other, later).config == made.config


def recorded(config):
    """Give all settings of a plan as a person would set them."""
    flat = {}
    for section, value in config_tree(config).items():
        for key, item in value.items() if isinstance(value, dict) else [(None, value)]:
            name = f"{section}.{key}" if key else section
            if name == "model.options":
                flat |= {f"model.options.{option}": setting for option, setting in item.items()}
            elif name not in RECORDED_ELSEWHERE and not (section == "loss" and key):
                flat[name] = check_value(name, item, place="config.yaml")
    flat["loss"] = config.loss
    return flat


OVERRIDES = {
    "patch.batch": [1, 3],
    "model.options.width": [4, 20],
    "preprocess.normalise": ["percentile", "none"],
    "sampling.foreground_fraction": [0.0, 0.75],
    "loss": ["dice", "dice + 2*bce"],
    "optimizer.learning_rate": [1e-4],
    "train.precision": ["32-true"],
    "train.validations": [3],
    "augment.flip": [True, False],
    "augment.rotation_probability": [0.0, 0.9],
    "tiling.overlap_fraction": [0.1],
    "tiling.mirror": [True, False],
    "schedule.shape": ["linear"],
}


@settings(deadline=None, max_examples=20)
@given(
    fingerprints(),
    devices,
    st.lists(st.sampled_from(sorted(OVERRIDES)), max_size=5, unique=True).flatmap(
        lambda keys: st.fixed_dictionaries({k: st.sampled_from(OVERRIDES[k]) for k in keys})
    ),
)
def test_what_a_person_sets_is_kept_and_the_rest_follows(data, device, chosen):
    request = Request(budget_s=900.0, settings=chosen)
    config = plan(data, request, device, None).config
    for key, value in chosen.items():
        section, _, name = key.partition(".")
        found = getattr(config, section)
        if key.startswith("model.options."):
            found = config.model.options[key.removeprefix("model.options.")]
        elif name:
            found = getattr(found, name)
        assert found == value, key
    geometry_of(spec_of(config)).output_size(config.patch.size)
    if "tiling.mirror" not in chosen and not config.augment.flip:
        assert not config.tiling.mirror
    untouched = plan(data, replace(request, settings={}), device, None).config
    if not any(key.startswith(("model.", "patch.", "train.precision")) for key in chosen):
        assert (config.model, config.patch) == (untouched.model, untouched.patch)


@settings(deadline=None, max_examples=20)
@given(fingerprints())
def test_longer_edges_never_make_the_patch_longer_in_voxels(data):
    """Of a volume whose slices move apart, a patch holds fewer slices, or as many."""
    if len(data.median_size) == 2 or data.spacing_mm is None:
        return
    device = DeviceFacts("cpu", "two cores", 2, 64 * 2**30, has_fast_bf16=True)
    fixed = {"model.name": "unet_padding", "model.options.width": 16, "model.options.levels": 3}
    slices = []
    for factor in (1.0, 4.0):
        edges = (data.spacing_mm[0] * factor, *data.spacing_mm[1:])
        near = replace(data, spacing_mm=edges, smallest_spacing_mm=edges, largest_spacing_mm=edges)
        request = Request(budget_s=900.0, settings=fixed)
        slices.append(plan(near, request, device, None).config.patch.size[0])
    assert slices[0] >= slices[1]


def test_pictures_have_the_augmentation_that_was_measured():
    """The 2D recipe is tuned as a whole (benchmarks/README.md): presets must not change it."""
    data = Fingerprint(
        name="cells",
        root=Path("cells"),
        layout="images + labels",
        case_ids=("a", "b"),
        median_size=(512, 512),
        smallest_size=(512, 512),
        largest_size=(512, 512),
        channels=1,
        value_types=("uint8",),
        value_range=(0.0, 255.0),
        labels=choose_labels({0: 80, 255: 20}),
        class_fractions=(0.8, 0.2),
        class_cases=(2, 2),
    )
    device = DeviceFacts("cpu", "two cores", 2, 8 * 2**30, has_fast_bf16=True)
    for budget in (5.0, 86_400.0):
        config = plan(data, Request(budget_s=budget), device, None).config
        assert config.augment == AugmentConfig()
        assert math.prod(config.patch.size) * config.patch.batch == pytest.approx(2 * 256**2)
