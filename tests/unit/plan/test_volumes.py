"""Plans of volumes and stacks: what follows from sizes, spacings, values and classes."""

import itertools
import math
import re
from dataclasses import replace
from pathlib import Path

import pytest

from ushape.config.load import known_keys
from ushape.data.augment import augment_preset
from ushape.device import DeviceFacts
from ushape.errors import ConfigError, ShapeError
from ushape.inference import plan_image
from ushape.labels import choose_labels
from ushape.nets import geometry_of, make_spec
from ushape.plan import Fingerprint, Request, Speed, Split, plan_run, split_cases
from ushape.plan.fingerprint import Intensity
from ushape.plan.patch_rules import fit_box
from ushape.plan.speed import macs_per_pixel, prediction_bytes, training_bytes

CPU = DeviceFacts("cpu", "two cores", 2, 8 * 2**30, has_fast_bf16=True)
CUDA = DeviceFacts("cuda", "H100", 16, 80 * 2**30, has_fast_bf16=True)
QUARTER = Request(budget_s=900.0)


def volumes(size, spacing=None, *, counts=None, num_cases=20, **known):
    counts = counts or {0: 90, 1: 6, 2: 4}
    labels = choose_labels(counts)
    return Fingerprint(
        name="scans",
        root=Path("scans"),
        layout="imagesTr + labelsTr",
        case_ids=tuple(f"scan_{number:03d}" for number in range(num_cases)),
        median_size=size,
        smallest_size=size,
        largest_size=known.pop("largest_size", size),
        channels=known.pop("channels", 1),
        value_types=("int16",),
        value_range=(0.0, 1000.0),
        labels=labels,
        class_fractions=tuple(counts[v] / sum(counts.values()) for v in labels.values),
        class_cases=(num_cases,) * len(labels.values),
        spacing_mm=spacing,
        smallest_spacing_mm=known.pop("smallest", spacing),
        largest_spacing_mm=known.pop("largest", spacing),
        **known,
    )


HIPPOCAMPUS = volumes((36, 50, 35), (1.0, 1.0, 1.0), num_cases=260, largest_size=(47, 59, 43))
BODY_CT = volumes(
    (120, 512, 512),
    (2.5, 0.8, 0.8),
    counts={0: 99_000, 1: 900, 2: 100},
    modality="ct",
    intensities=(Intensity(-100.0, 300.0, 100.0, 40.0),),
)
MEMBRANE_STACK = volumes(
    (30, 512, 512),
    (50e-6, 4e-6, 4e-6),
    counts={0: 22, 255: 78},
    num_cases=30,
    is_stack=True,
    groups={f"scan_{number:03d}": "stack" for number in range(30)},
)
VNC_STACK = replace(
    volumes((20, 1024, 1024), (50e-6, 4.6e-6, 4.6e-6), counts={0: 80, 1: 12, 2: 8}, num_cases=20),
    is_stack=True,
)


def plan(data, request=QUARTER, *, device=CPU, speed=None, **settings):
    split = split_cases(data.case_ids, request.validation, is_stack=data.is_stack, are_volumes=True)
    dotted = {key.replace("__", "."): value for key, value in settings.items()}
    return plan_run(data, split, replace(request, settings=dotted), device, speed)


def spec_of(config):
    model = config.model
    return make_spec(
        model.name, in_channels=model.in_channels, classes=model.classes, **model.options
    )


# ---------------------------------------------------------------- 2D, 2.5D or 3D


@pytest.mark.parametrize(
    ("size", "spacing", "name", "options"),
    [
        ((160, 160, 160), (1.0, 1.0, 1.0), "unet_padding", {"levels": 5}),
        ((36, 50, 35), (1.0, 1.0, 1.0), "unet_padding", {"levels": 4}),
        ((60, 128, 128), (1.0, 1.0, 1.0), "unet_padding", {"levels": 4}),
        ((160, 160, 160), (1.9, 1.0, 1.0), "unet_padding", {"levels": 5}),
        ((80, 160, 160), (2.1, 1.0, 1.0), "unet_25d", {"levels": 5, "flat_levels": 1}),
        ((40, 160, 160), (5.0, 1.0, 1.0), "unet_25d", {"levels": 5, "flat_levels": 2}),
        ((30, 160, 160), (8.0, 1.0, 1.0), "unet_25d", {"levels": 5, "flat_levels": 3}),
        ((16, 256, 256), None, "unet_25d", {"levels": 5, "flat_levels": 2}),
        ((256, 256, 20), (1.0, 1.0, 5.0), "unet_padding", {"levels": 5, "stride": [2, 2, 1]}),
        ((2, 256, 256), None, "unet_padding", {"kernel_size": [1, 3, 3], "stride": [1, 2, 2]}),
    ],
)
def test_the_network_follows_from_spacing_and_size(size, spacing, name, options):
    """With all the time there is; flat levels as nnU-Net pools: floor(log2(ratio)) of them."""
    model = plan(volumes(size, spacing), device=CUDA).config.model
    assert model.name == name
    assert dict(model.options) | options == dict(model.options)
    assert model.options.get("spatial_dims", 3) == 3


@pytest.mark.parametrize("stack", [MEMBRANE_STACK, VNC_STACK], ids=["membrane", "vnc"])
@pytest.mark.parametrize("device", [CPU, CUDA], ids=["cpu", "cuda"])
def test_stacks_of_thick_sections_are_planned_as_2_5d(stack, device):
    made = plan(stack, device=device)
    model, patch = made.config.model, made.config.patch
    assert model.name == "unet_25d"
    assert "2.5D" in made.reasons["model.name"]
    assert model.options["flat_levels"] == 3
    kernels = [level.encoder.kernel_size for level in spec_of(made.config).levels]
    assert kernels[:3] == [(1, 3, 3)] * 3
    assert kernels[-1] == (3, 3, 3)
    in_nm = [edge * mm * 1e6 for edge, mm in zip(patch.size, stack.spacing_mm, strict=True)]
    assert max(in_nm) < 2 * min(in_nm), "the patch is about as long along every axis"
    assert made.config.augment.flip, "sections of tissue have no left and right"
    assert made.config.augment.slice_shift_probability > 0
    assert made.config.preprocess.spacing_mm is None


def test_attention_is_for_small_targets():
    thick = (24, 160, 160), (5.0, 1.0, 1.0)
    assert not plan(volumes(*thick)).config.model.options["attention"]
    small = plan(volumes(*thick, counts={0: 99, 1: 1}))
    assert small.config.model.options["attention"]


# ---------------------------------------------------------------- grid and values


def test_equal_spacings_are_left_alone_and_others_brought_to_the_median():
    size = (100, 100, 100)
    close = volumes(size, (1.0,) * 3, smallest=(0.996,) * 3, largest=(1.004,) * 3)
    assert plan(close).config.preprocess.spacing_mm is None
    apart = volumes(size, (1.0,) * 3, smallest=(0.5,) * 3, largest=(1.5,) * 3)
    made = plan(apart)
    assert made.config.preprocess.spacing_mm == (1.0, 1.0, 1.0)
    assert "median" in made.reasons["preprocess.spacing_mm"]
    assert plan(volumes(size)).config.preprocess.spacing_mm is None


def test_a_thick_axis_is_resampled_finer_than_its_median_but_not_than_the_plane():
    size, median = (24, 320, 320), (5.0, 0.8, 0.8)
    some_thin = volumes(size, median, smallest=(1.25, 0.7, 0.7), largest=(8.0, 0.9, 0.9))
    target = plan(some_thin).config.preprocess.spacing_mm
    assert target == (2.5, 0.8, 0.8), "the geometric mean of 1.25 and 5"
    one_freak = volumes(size, median, smallest=(0.01, 0.7, 0.7), largest=(8.0, 0.9, 0.9))
    assert plan(one_freak).config.preprocess.spacing_mm == (0.8, 0.8, 0.8)


def test_patch_and_network_follow_from_the_resampled_size():
    data = volumes((64, 64, 64), (2.0,) * 3, smallest=(1.0,) * 3, largest=(3.0,) * 3)
    as_is = plan(data, device=CUDA).config.patch.size
    assert as_is == (64, 64, 64)
    finer = plan(data, device=CUDA, preprocess__spacing_mm=(1.0, 1.0, 1.0)).config
    assert finer.patch.size == (128, 128, 128)
    thick = plan(data, device=CUDA, preprocess__spacing_mm=(4.0, 1.0, 1.0)).config
    assert thick.model.name == "unet_25d"
    with pytest.raises(ConfigError, match="one an axis"):
        plan(data, preprocess__spacing_mm=(1.0, 1.0))
    with pytest.raises(ConfigError, match="nothing can be resampled"):
        plan(volumes((64, 64, 64)), preprocess__spacing_mm=(1.0, 1.0, 1.0))


def test_ct_beside_another_modality_is_told():
    """Both channels get one normalisation, which was not said."""
    two = replace(BODY_CT, channels=2, modality="other", intensities=BODY_CT.intensities * 2)
    mixed = replace(two, channel_names=("CT_venous", "PET"))
    found = plan(mixed)
    assert found.config.preprocess.normalise == "zscore"
    (told,) = [text for text in found.warnings if "channels" in text]
    assert told.startswith("channels CT_venous, PET: one normalisation for all channels (zscore)")
    chosen = plan(mixed, preprocess__normalise="ct")
    assert len(chosen.config.preprocess.intensity) == 2
    of_ct = replace(two, modality="ct", channel_names=("CT", "ct late"))
    for silent in (chosen, plan(of_ct), plan(two), plan(replace(two, channel_names=("T1", "T2")))):
        assert not any("channels" in text for text in silent.warnings)


def test_ct_is_scaled_by_what_is_in_the_foreground():
    preprocess = plan(BODY_CT).config.preprocess
    assert preprocess.normalise == "ct"
    assert preprocess.intensity == ((-100.0, 300.0, 100.0, 40.0),)
    other = plan(replace(BODY_CT, modality="other")).config.preprocess
    assert (other.normalise, other.intensity) == ("zscore", ())
    by_hand = plan(BODY_CT, preprocess__normalise="zscore").config.preprocess
    assert by_hand.intensity == ()
    asked = plan(replace(BODY_CT, modality="other"), preprocess__normalise="ct").config.preprocess
    assert asked.intensity == ((-100.0, 300.0, 100.0, 40.0),)
    for unusable in ((), (Intensity(0.0, 0.0, 0.0, 0.0),)):
        flat = replace(BODY_CT, intensities=unusable)
        assert plan(flat).config.preprocess.normalise == "zscore"
        with pytest.raises(ConfigError, match=r"preprocess\.intensity"):
            plan(flat, preprocess__normalise="ct")


def test_wild_values_are_clipped_and_usual_ones_are_not():
    wild = plan(replace(HIPPOCAMPUS, outlier_ratio=2000.0))
    assert wild.config.preprocess.clip == (0.5, 99.5)
    assert "2000 times" in wild.reasons["preprocess.clip"]
    assert plan(replace(HIPPOCAMPUS, outlier_ratio=2.0)).config.preprocess.clip is None
    assert plan(replace(BODY_CT, outlier_ratio=2000.0)).config.preprocess.clip is None


def test_empty_borders_are_cut_off():
    brain = volumes((180, 240, 240), (1.0, 1.0, 1.0), content_size=(140, 170, 140))
    made = plan(brain, device=CUDA)
    assert (made.config.preprocess.crop, made.config.preprocess.nonzero) == ("nonzero", True)
    assert "32%" in made.reasons["preprocess.crop"]
    kept = plan(brain, device=CUDA, preprocess__crop="none").config
    assert math.prod(made.config.patch.size) <= math.prod(kept.patch.size)
    full = plan(replace(brain, content_size=(175, 230, 230))).config.preprocess
    assert (full.crop, full.nonzero) == ("none", False)
    ct = replace(BODY_CT, content_size=(100, 300, 300))
    assert plan(ct).config.preprocess.nonzero is False, "zero is a value of its own in CT"


# ---------------------------------------------------------------- patch, width, batch


def test_small_volumes_are_seen_whole():
    made = plan(HIPPOCAMPUS)
    assert made.config.patch.size == (40, 56, 40)
    assert made.config.sampling.foreground_fraction == 0
    assert made.config.tiling.tile_size == (48, 64, 48), "the largest volume in one piece"
    assert "whole volume" in made.reasons["patch.size"]


def test_more_time_or_a_faster_device_never_gives_a_smaller_patch_or_a_narrower_network():
    data = volumes((200, 200, 200), (1.0, 1.0, 1.0))
    rates = [1e9, 1e10, 1e11, 1e12, 1e13, 1e14]
    plans = [plan(data, speed=Speed(rate, 80 * 2**30, True)).config for rate in rates]
    pixels = [math.prod(config.patch.size) for config in plans]
    widths = [config.model.options["width"] for config in plans]
    assert pixels == sorted(pixels)
    assert widths == sorted(widths)
    assert widths[0] < widths[-1]
    assert plans[-1].patch.size == (128, 128, 128)
    assert all(config.patch.batch >= 2 for config in plans)


def test_time_goes_into_the_width_before_the_batch():
    """Of volumes that are seen whole, where time cannot go into the patch."""
    rates = [1e11 * 1.25**n for n in range(20)]
    plans = [plan(HIPPOCAMPUS, speed=Speed(rate, 2**36, True)).config for rate in rates]
    steps = [(config.model.options["width"], config.patch.batch) for config in plans]
    assert steps == sorted(steps)
    assert steps[0] == (16, 2)
    assert {width for width, batch in steps if batch > 2} == {32}
    assert max(batch for _, batch in steps) == 8


def test_what_was_measured_is_said():
    assert (
        "(measured: " in plan(HIPPOCAMPUS, speed=Speed(1e11, 2**33, True)).reasons["model.options"]
    )
    assert "(estimated: " in plan(HIPPOCAMPUS).reasons["model.options"]


@pytest.mark.parametrize(
    ("rate", "width", "text"),
    [
        (1e9, 8, "the narrowest, and still fewer than about 600 steps"),
        (3e9, 8, "the widest that leaves about 600 steps"),
        (5e9, 12, "the widest that leaves about 600 steps"),
        (1e10, 16, "the usual width; a wider one would not leave about 2500 steps"),
        (1e12, 32, "the widest that leaves about 2500 steps"),
    ],
)
def test_the_width_is_chosen_for_what_is_said(rate, width, text):
    made = plan(HIPPOCAMPUS, speed=Speed(rate, 2**36, True))
    assert made.config.model.options["width"] == width
    reason = made.reasons["model.options"]
    assert reason.startswith(text)
    left, wanted = (
        int(re.search(pattern, reason)[1]) for pattern in (r"measured: (\d+)", r"about (\d+) steps")
    )
    assert (left >= wanted) == ("that leaves" in text)


@pytest.mark.parametrize("gib", [0.25, 0.5, 1, 2, 4, 64])
def test_a_step_fits_the_memory(gib):
    speed = Speed(1e13, int(gib * 2**30), is_measured=True)
    made = plan(volumes((200, 200, 200), (1.0,) * 3), speed=speed)
    config = made.config
    limit = speed.usable_bytes("cpu")
    needed = training_bytes(
        spec_of(config), config.patch.size, config.patch.batch, config.train.precision, limit
    )
    assert needed <= limit
    assert config.patch.batch >= 2, "patches shrink before there is but one"
    assert not made.warnings
    if gib <= 2:
        assert "GiB of memory holds" in made.reasons["patch.size"] + made.reasons["patch.batch"]


def test_what_is_set_by_hand_beyond_the_memory_is_warned_of():
    speed = Speed(1e13, 2**30, is_measured=True)
    made = plan(HIPPOCAMPUS, speed=speed, patch__size=(128, 128, 128), patch__batch=8)
    assert made.config.patch.size == (128, 128, 128)
    assert "GiB" in made.warnings[0]


def test_the_bound_of_the_memory_is_above_what_is_measured():
    """`training_bytes` measures only where its bound by arithmetic exceeds the limit."""
    for name, options, size in (
        ("unet_padding", {"width": 4, "levels": 3, "spatial_dims": 3}, (16, 16, 16)),
        ("unet_25d", {"width": 4, "levels": 3}, (4, 16, 16)),
        ("vnet_3d", {"width": 4, "levels": 3}, (16, 16, 16)),
        ("unet_plusplus", {"width": 4, "levels": 3}, (32, 32)),
    ):
        spec = make_spec(name, **options)
        bound = training_bytes(spec, size, 2, "32-true", math.inf)
        full, half = (training_bytes(spec, size, 2, p, 0.0) for p in ("32-true", "bf16-mixed"))
        assert half < full < bound, name
        assert prediction_bytes(spec, size, 0.0) < prediction_bytes(spec, size, math.inf), name


def test_levels_follow_from_the_patch():
    data = volumes((200, 200, 200), (1.0, 1.0, 1.0))
    small = plan(data, patch__size=(32, 32, 32)).config
    assert small.model.options["levels"] == 4
    assert plan(data, model__options__width=4).config.model.options["levels"] == 5
    thick = plan(volumes((30, 160, 160), (8.0, 1.0, 1.0)), patch__size=(8, 16, 16)).config.model
    assert (thick.options["levels"], thick.options["flat_levels"]) == (3, 2)
    large = plan(data, device=CUDA, patch__size=(64, 64, 64))
    assert large.config.model.options["levels"] == 5
    with pytest.raises(ShapeError, match="48 x 48 x 48"):
        plan(data, patch__size=(50, 50, 50))


def test_a_batch_set_by_hand_makes_the_patch_smaller():
    data = volumes((200, 200, 200), (1.0, 1.0, 1.0))
    one, four = (plan(data, patch__batch=batch).config.patch for batch in (1, 8))
    assert (one.batch, four.batch) == (1, 8)
    assert math.prod(one.size) > 3 * math.prod(four.size)


def test_a_paper_network_for_volumes_gets_a_patch_that_it_takes():
    for name, options in (("vnet_3d", {}), ("unet_3d", {"padding": "valid", "norm": "none"})):
        dotted = {f"model__options__{key}": value for key, value in options.items()}
        config = plan(BODY_CT, replace(QUARTER, model=name), **dotted).config
        geometry = geometry_of(spec_of(config))
        assert min(geometry.output_size(config.patch.size)) > 0
        assert min(geometry.output_size(config.tiling.tile_size)) > 0
    with pytest.raises(ConfigError, match="these are 3D"):
        plan(BODY_CT, replace(QUARTER, model="unet_original"))


def test_tiles_are_larger_than_patches_as_far_as_the_memory_goes():
    data = volumes((200, 200, 200), (1.0,) * 3)
    roomy, narrow = (plan(data, speed=Speed(1e11, n * 2**30, True)) for n in (64, 1))
    assert roomy.config.patch == narrow.config.patch
    assert roomy.config.tiling.tile_size == (128, 128, 128)
    assert "fewer tiles" in roomy.reasons["tiling.tile_size"]
    assert math.prod(narrow.config.tiling.tile_size) < 128**3
    spec = spec_of(narrow.config)
    assert prediction_bytes(spec, narrow.config.tiling.tile_size, 0.0) <= 2**29
    normed = plan(data, model__options__norm="instance").config
    assert normed.tiling.tile_size == normed.patch.size, "instance norm sees the whole tile"


def test_tiles_move_by_whole_strides():
    data = volumes((6, 6, 6), largest_size=(300, 300, 300))
    config = plan(data, model__options__norm="instance", tiling__overlap_fraction=0.75).config
    geometry = geometry_of(spec_of(config))
    pairs = zip(config.patch.size, geometry.total_stride, strict=True)
    assert config.tiling.tile_size == tuple(max(edge, 4 * stride) for edge, stride in pairs)
    assert config.tiling.tile_size != config.patch.size
    assert plan_image(geometry, (300, 300, 300), config.tiling).num_tiles > 1


@pytest.mark.parametrize("most", [1, 1000, 4096, 5000, 100_000, 10**7, 10**9])
@pytest.mark.parametrize(
    ("size", "edges", "strides"),
    [
        ((30, 512, 512), (50.0, 4.0, 4.0), (2, 16, 16)),
        ((36, 50, 35), (1.0, 1.0, 1.0), (8, 8, 8)),
        ((5, 40, 300), (1.0, 2.0, 3.0), (1, 8, 4)),
    ],
)
def test_a_box_is_the_largest_of_its_shape(size, edges, strides, most):
    """Against a search through all boxes that some length in mm gives."""
    limits = [-(-n // s) * s for n, s in zip(size, strides, strict=True)]
    lengths = {
        n * edge for limit, edge in zip(limits, edges, strict=True) for n in range(1, limit + 1)
    }
    boxes = {
        tuple(
            max(min(int(length / edge + 1e-6) // stride * stride, limit), stride)
            for edge, stride, limit in zip(edges, strides, limits, strict=True)
        )
        for length in lengths
    }
    fitting = [box for box in boxes if math.prod(box) <= most] or [tuple(strides)]
    assert fit_box(size, edges, strides, most) == max(fitting, key=math.prod)


# ---------------------------------------------------------------- learning


def test_rare_classes_are_sampled_and_the_loss_stays_plain():
    rare = plan(BODY_CT)
    assert rare.config.sampling.foreground_fraction == 0.5
    assert "class_1, class_2" in rare.reasons["sampling.foreground_fraction"]
    assert rare.config.loss == "dice + ce"
    usual = plan(volumes((200, 200, 200), (1.0,) * 3, counts={0: 945, 1: 40, 2: 15}))
    assert usual.config.sampling.foreground_fraction == 0.33
    assert plan(MEMBRANE_STACK).config.sampling.foreground_fraction == 0
    whole = plan(BODY_CT, patch__size=(160, 512, 512), patch__batch=1)
    assert whole.config.sampling.foreground_fraction == 0


def test_many_large_validation_volumes_are_not_predicted_often():
    large = volumes((300, 512, 512), (1.0, 1.0, 1.0), num_cases=100)
    made = plan(large)
    assert made.config.train.validations == 2
    assert "each takes about" in made.reasons["train.validations"]
    assert plan(HIPPOCAMPUS).config.train.validations == 8


@pytest.mark.parametrize(
    ("data", "flips"),
    [
        (HIPPOCAMPUS, False),
        (BODY_CT, False),
        (MEMBRANE_STACK, True),
        (volumes((200, 200, 200), (8e-6,) * 3), True),
        (volumes((60, 200, 200), (0.2, 0.01, 0.01)), True),
        (volumes((200, 200, 200)), True),
        (replace(volumes((200, 200, 200)), modality="ct"), False),
    ],
    ids=["mri", "ct", "stack", "microscope", "thick slices", "unknown", "ct without spacing"],
)
def test_bodies_are_not_mirrored(data, flips):
    config = plan(data, device=CUDA).config
    assert config.augment.flip is flips
    assert not (config.augment.right_angles and not flips)
    if not flips:
        assert not config.tiling.mirror
        turned = plan(data, device=CUDA, augment__flip=True).config
        assert turned.augment.flip


def test_views_are_averaged_only_where_all_eight_are_quick():
    data = volumes((64, 64, 64))
    config = plan(data, patch__size=(32, 32, 32), patch__batch=2, model__options__width=8).config
    work = 8 * macs_per_pixel(spec_of(config)) * 64**3 * 8  # of overlapping tiles
    for seconds, is_quick in ((3.9, True), (4.1, False), (30.0, False)):
        speed = Speed(work / seconds, 2**34, is_measured=True)
        made = plan(data, speed=speed, **{"model__options__width": 8, "patch__size": (32, 32, 32)})
        assert made.config.model == config.model
        assert made.config.tiling.mirror is is_quick


def test_augmentation_is_lighter_where_no_voxel_is_seen_twice():
    data = volumes((200, 200, 200), (1.0,) * 3, num_cases=1000)
    light, usual = plan(data), plan(replace(data, case_ids=data.case_ids[:10]))
    turns = [made.config.augment.rotation_probability for made in (light, usual)]
    assert turns[0] == 0 < turns[1]
    brief, hours = (plan(HIPPOCAMPUS, replace(QUARTER, budget_s=s)) for s in (900.0, 36e3))
    assert [made.config.augment.rotation_degrees for made in (brief, hours)] == [15.0, 30.0]
    long = plan(replace(data, case_ids=data.case_ids[:2]), replace(QUARTER, budget_s=1e6))
    assert long.config.augment.rotation_degrees > usual.config.augment.rotation_degrees
    assert "preset light: only 0." in light.reasons["augment"]
    assert light.reasons["augment.rotation_probability"] == "off in preset light"


def test_every_setting_of_volumes_has_a_reason():
    for data, device in itertools.product((HIPPOCAMPUS, BODY_CT, MEMBRANE_STACK), (CPU, CUDA)):
        made = plan(data, device=device)
        assert [key for key in known_keys() if not made.reasons[key]] == []


# ---------------------------------------------------------------- few cases


@pytest.mark.parametrize("number", [1, 2, 5])
def test_few_cases_give_a_plan_and_a_warning(number):
    data = volumes((64, 64, 64), (1.0,) * 3, num_cases=number)
    made = plan(data)
    assert f"only {number} case" in made.warnings[0]
    assert made.warnings[0] in made.reasons["data.validation"]
    assert ("1 to validate on says little" in made.warnings[0]) is (number > 1)
    assert ("look at its predictions of other images" in made.warnings[0]) is (number == 1)
    assert made.config.patch.size
    assert (made.split.val == ()) is (number == 1)


def test_enough_cases_give_no_warning():
    data = volumes((64, 64, 64), (1.0,) * 3, num_cases=6)
    assert plan(data).warnings == ()


def test_several_channels_are_named():
    data = volumes((64, 64, 64), (1.0,) * 3, channels=2, channel_names=("T1", "T2"))
    made = plan(data)
    assert made.config.model.in_channels == 2
    assert "T1, T2" in made.reasons["preprocess.channels"]


def test_a_split_is_taken_as_it_is():
    split = Split(HIPPOCAMPUS.case_ids[1:], HIPPOCAMPUS.case_ids[:1], "asked")
    assert plan_run(HIPPOCAMPUS, split, QUARTER, CPU).split is split


def test_a_preset_asked_for_replaces_the_planned_one_but_bodies_keep_their_sides():
    asked = replace(QUARTER, augment="strong")

    body, stack = (plan(data, asked) for data in (HIPPOCAMPUS, MEMBRANE_STACK))
    by_hand = plan(HIPPOCAMPUS, asked, augment__noise=0.5).config.augment

    strong = augment_preset("strong", spatial_dims=3)
    assert body.config.augment == replace(strong, flip=False, right_angles=False)
    assert stack.config.augment.flip
    assert body.reasons["augment"] == "preset strong: as asked"
    assert body.reasons["augment.elastic_probability"] == "preset strong"
    assert by_hand == replace(body.config.augment, noise=0.5)
    with pytest.raises(ConfigError, match="did you mean 'strong'"):
        plan(HIPPOCAMPUS, replace(QUARTER, augment="stron"))


def test_a_subject_on_both_sides_is_warned_of():
    names = {f"scan_{number:03d}": f"patient {number // 2}" for number in range(20)}
    data = replace(HIPPOCAMPUS, case_ids=tuple(names), groups=names)
    divided = Split(tuple(names)[:13], tuple(names)[13:], "by hand")
    apart = Split(tuple(names)[:14], tuple(names)[14:], "by hand")

    (warning,) = plan_run(data, divided, QUARTER, CPU).warnings

    assert "patient 6" in warning
    assert "both train and validate" in warning
    assert plan_run(data, apart, QUARTER, CPU).warnings == ()
    stack = replace(MEMBRANE_STACK, groups=dict.fromkeys(MEMBRANE_STACK.case_ids, "stack"))
    assert "subject" not in " ".join(plan(stack).warnings)
