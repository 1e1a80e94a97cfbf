"""Rules for two passes: which classes are small, what holds them, how regions are cut."""

from dataclasses import replace
from pathlib import Path

import pytest

from ushape.config.schema import FineConfig
from ushape.device import DeviceFacts
from ushape.errors import ConfigError
from ushape.labels import LabelClass, LabelTable
from ushape.plan import Fingerprint, Request, plan_run, split_cases
from ushape.plan.fine_rules import first_pass, needs_contacts

NAMES = ("background", "disc", "vertebra", "knob")
SPINE = LabelTable(tuple(LabelClass(name, n) for n, name in enumerate(NAMES)))
FOUND = Fingerprint(
    name="spine",
    root=Path("spine"),
    layout="images + labels",
    case_ids=tuple("abcde"),
    median_size=(128, 128),
    smallest_size=(128, 128),
    largest_size=(128, 128),
    channels=1,
    value_types=("uint8",),
    value_range=(0.0, 255.0),
    labels=SPINE,
    class_fractions=(0.8, 0.06, 0.138, 0.002),
    class_cases=(5, 4, 5, 3),
    contacts={"disc": 30, "vertebra": 10},
)
DEVICE = DeviceFacts("cpu", "a CPU", has_fast_bf16=False, num_threads=1, memory_bytes=2**33)


def plan(found=FOUND, model="unet_fine_grained", **settings):
    request = Request(model=model, steps=10, settings={"model.options.width": 4, **settings})
    return plan_run(found, split_cases(found.case_ids, "0.2"), request, DEVICE)


def test_the_rarest_class_is_looked_for_in_the_one_it_lies_beside():
    made = plan()
    assert (made.config.fine.classes, made.config.fine.within) == (("knob",), "disc")
    assert "rarest class: 0.20%" in made.reasons["fine.classes"]
    assert "75%" in made.reasons["fine.within"]
    assert made.config.model.options["fine_classes"] == 1
    assert made.config.model.classes == 3
    assert made.fingerprint.labels == SPINE
    assert LabelTable.from_json(made.config.data.labels) == SPINE


def test_the_loss_is_chosen_for_the_coarse_classes():
    # No coarse class is rare, though the knob is.
    assert plan().config.loss == "dice + ce"
    assert "focal" in str(plan(model="unet_padding").config.loss)
    assert plan().config.fine.loss == FineConfig().loss


def test_cuts_have_as_many_pixels_as_patches():
    made = plan()
    assert made.config.fine.cut_size == (64, 64)
    assert made.config.fine.cuts == 4 * made.config.patch.batch
    assert plan(**{"fine.regions": "largest"}).config.fine.cut_size == (128, 128)
    assert plan(**{"fine.cut_size": (48, 48)}).config.fine.cuts == 28  # 4 x 128 x 128 / 48 x 48
    assert plan(**{"fine.cut_size": (16, 16)}).config.fine.cuts == 32, "no more"


def test_unpadded_networks_get_cuts_of_their_output_sizes():
    made = plan(**{"model.options.network": "unet_original"})
    from ushape.nets import geometry_of, make_spec
    from ushape.serial import input_size

    spec = make_spec(made.config.model.name, classes=3, **made.config.model.options)
    assert input_size(geometry_of(spec), made.config.fine.cut_size)


def test_what_a_person_says_counts():
    settings = {"fine.classes": ("vertebra", "knob"), "fine.within": "disc"}
    made = plan(replace(FOUND, contacts={}), **settings)
    assert made.config.fine.classes == ("vertebra", "knob")
    assert made.config.model.options["fine_classes"] == 2
    assert made.config.model.classes == 1
    assert not needs_contacts(settings, "unet_fine_grained")
    assert needs_contacts({"fine.classes": ("knob",)}, "unet_fine_grained")
    assert not needs_contacts({}, "unet_padding")


@pytest.mark.parametrize(
    ("found", "settings", "words"),
    [
        (replace(FOUND, contacts={}), {}, r"no other class lies beside knob.*fine\.within=LARGE"),
        (replace(FOUND, class_fractions=(0.8, 0.06, 0.1, 0.04)), {}, "not much smaller"),
        (FOUND, {"fine.within": "dics"}, "did you mean 'disc'"),
        (FOUND, {"fine.classes": ("knbo",)}, "did you mean 'knob'"),
        (FOUND, {"lines.classes": ("knob",)}, "lines.classes"),
        (FOUND, {"model.options.fine_classes": 3}, "fine.classes names 1"),
        (
            replace(
                FOUND,
                labels=LabelTable(SPINE.classes[:2]),
                class_fractions=(0.9, 0.1),
                class_cases=(5, 5),
            ),
            {},
            "there is but one class",
        ),
    ],
)
def test_refusals(found, settings, words):
    with pytest.raises(ConfigError, match=words):
        plan(found, **settings)


def test_other_networks_make_one_pass():
    with pytest.raises(ConfigError, match="unet_padding makes one pass"):
        plan(model="unet_padding", **{"fine.classes": ("knob",)})
    with pytest.raises(ConfigError, match="the default network makes one pass"):
        plan(model=None, **{"fine.within": "disc"})
    assert plan(model="unet_padding").config.fine == FineConfig()


def test_the_first_pass_counts_the_small_class_as_part_of_the_large_one():
    seen = first_pass(FOUND, FineConfig(classes=("knob",), within="disc"))
    assert seen.class_fractions == pytest.approx((0.8, 0.062, 0.138))
    assert seen.class_cases == (5, 4, 5)
    assert first_pass(FOUND, FineConfig()) is FOUND


def test_memory_is_reckoned_for_both_passes():
    """Where memory is short the fine-grained network gets half of the patches of its trunk."""
    from ushape.plan.speed import Speed, estimate_speed

    def batch(model, settings):
        request = Request(
            model=model,
            steps=10,
            settings={"model.options.width": 32, "patch.size": (128, 128), **settings},
        )
        usual = estimate_speed(DEVICE)
        short = Speed(**{**vars(usual), "free_bytes": usual.free_bytes // 16})
        split = split_cases(FOUND.case_ids, "0.2")
        return plan_run(FOUND, split, request, DEVICE, short).config.patch.batch

    one, two = batch("unet_padding", {}), batch("unet_fine_grained", {})
    assert 1 < one <= 4
    assert two in (one // 2, one // 2 + 1)
    assert two < one
