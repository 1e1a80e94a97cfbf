"""Every line of `config.yaml` has a reason: of a rule, of a person, or of the usual."""

from dataclasses import replace
from pathlib import Path

import pytest

from ushape.config.load import known_keys, load_config, read_assignments, write_config
from ushape.device import DeviceFacts
from ushape.labels import choose_labels
from ushape.plan import Fingerprint, Request, Split, plan_run
from ushape.plan.fingerprint import Intensity
from ushape.plan.usual import BY_HAND, USUAL, is_usual
from ushape.workflow.folder import RunFolder

CPU = DeviceFacts("cpu", "two cores", 2, 8 * 2**30, has_fast_bf16=False)
CUDA = DeviceFacts("cuda", "H100", 16, 80 * 2**30, has_fast_bf16=True)
IDS = tuple(f"case_{number}" for number in range(12))
SPLIT = Split(IDS[:9], IDS[9:], "as asked")
BUDGET = Request(budget_s=900.0)


def found(size, counts, *, target=None, spacing=None, **known):
    labels = choose_labels(counts, target=target)
    return Fingerprint(
        name="data",
        root=Path("data"),
        layout="images + labels",
        case_ids=IDS,
        median_size=size,
        smallest_size=size,
        largest_size=size,
        channels=1,
        value_types=("uint8",),
        value_range=(0.0, 255.0),
        labels=labels,
        class_fractions=tuple(counts[v] / sum(counts.values()) for v in labels.values),
        class_cases=(len(IDS),) * len(labels.values),
        spacing_mm=spacing,
        smallest_spacing_mm=spacing,
        largest_spacing_mm=spacing,
        **known,
    )


PICTURES = found((512, 512), {0: 80, 255: 20})
RARE = found((300, 200), {0: 7000, 1: 2950, 2: 50}, contacts={"class_1": 9})
OVERLAPPING = found((512, 512), {0: 60, 1: 20, 2: 20}, target="multilabel")
MRI = found((36, 50, 35), {0: 90, 1: 6, 2: 4}, spacing=(1.0, 1.0, 1.0), outlier_ratio=20.0)
CT = found(
    (120, 512, 512),
    {0: 99_000, 1: 900, 2: 100},
    spacing=(2.5, 0.8, 0.8),
    content_size=(100, 300, 300),
    modality="ct",
    intensities=(Intensity(-100.0, 300.0, 100.0, 40.0),),
)
STACK = found(
    (30, 512, 512), {0: 22, 255: 78}, spacing=(5e-5, 4e-6, 4e-6), is_stack=True,
    groups=dict.fromkeys(IDS, "stack"),
)  # fmt: skip
UNKNOWN = found((16, 256, 256), {0: 50, 1: 50})
FINE = Request(model="unet_fine_grained", steps=30)

PLANS = {
    "pictures": (PICTURES, BUDGET, []),
    "steps": (PICTURES, Request(steps=10), []),
    "silence": (PICTURES, Request(), []),
    "a rare class": (RARE, BUDGET, []),
    "overlapping": (OVERLAPPING, BUDGET, []),
    "lines": (RARE, BUDGET, ["lines.classes=[class_2]"]),
    "distances": (RARE, BUDGET, ["lines.classes=[class_2]", "lines.mode=distance"]),
    "two passes": (RARE, FINE, []),
    "a paper's network": (PICTURES, Request(model="unet_original", budget_s=900.0), []),
    "mri": (MRI, Request(budget_s=60.0), []),
    "brief": (MRI, Request(budget_s=1.0), []),
    "ct": (CT, BUDGET, []),
    "ct as others": (CT, BUDGET, ["preprocess.normalise=zscore"]),
    "percentiles": (PICTURES, BUDGET, ["preprocess.normalise=percentile"]),
    "stack": (STACK, BUDGET, []),
    "no spacing": (UNKNOWN, BUDGET, []),
    "strong": (MRI, replace(BUDGET, augment="strong", label_folder="masks"), []),
    "by hand": (
        MRI,
        BUDGET,
        ["train.seed=3", "fine.jitter=0.2", "optimizer.name=sgd", "augment.shear_probability=0.1"],
    ),
    "a loss by class": (RARE, BUDGET, ["loss={all: dice, class_2: bce}"]),
    "a width by hand": (CT, BUDGET, ["model.options.width=8"]),
}


def plan_of(kind, device=CPU):
    data, request, assignments = PLANS[kind]
    return plan_run(data, SPLIT, replace(request, settings=read_assignments(assignments)), device)


@pytest.mark.parametrize("device", [CPU, CUDA], ids=["cpu", "cuda"])
@pytest.mark.parametrize("kind", PLANS)
def test_every_line_of_the_file_has_a_reason(tmp_path, kind, device):
    made = plan_of(kind, device)
    folder = RunFolder(tmp_path)
    write_config(folder.config, made.config, made.reasons)
    lines = folder.config.read_text(encoding="utf-8").splitlines()
    sections = {key.partition(".")[0] + ":" for key in known_keys() if "." in key}
    assert [line for line in lines[1:] if "  # " not in line and line not in sections] == []
    assert folder.read_reasons() == {k: " ".join(why.split()) for k, why in made.reasons.items()}
    assert load_config(folder.config) == made.config


def test_what_was_set_by_hand_says_so_wherever_it_is_set():
    reasons = plan_of("by hand").reasons
    for key in ("train.seed", "fine.jitter", "optimizer.name", "augment.shear_probability"):
        assert reasons[key] == "set by hand", key
    assert "sgd" in reasons["optimizer.weight_decay"]
    assert reasons["augment.shear_degrees"] == "preset default", "used, as shear was switched on"
    assert plan_of("a loss by class").reasons["loss.class_2"] == "set by hand"
    assert plan_of("a rare class").reasons["loss.class_2"] == "of class_2, besides"


def test_the_usual_reasons_are_those_of_settings():
    assert set(USUAL) <= set(known_keys())
    assert all(USUAL.values())


@pytest.mark.parametrize("kind", ["pictures", "mri", "brief", "stack", "strong"])
def test_what_augmentation_does_not_do_is_called_off(kind):
    made = plan_of(kind)
    for key, value in vars(made.config.augment).items():
        reason = made.reasons[f"augment.{key}"]
        if key.endswith("_probability"):
            assert reason.startswith("off in preset") is (value == 0), (key, reason)
        if "unused while" in reason:
            chance = reason.split()[2]
            assert getattr(made.config.augment, chance) == 0
            assert key.split("_")[0].rstrip("s") in chance
    assert made.reasons["augment"].startswith("preset ")


def test_small_turns_are_told_from_the_preset_they_are_added_to():
    made = plan_of("mri")
    added = [key for key, reason in made.reasons.items() if "added to preset light" in reason]
    assert sorted(added) == [
        f"augment.{name}"
        for name in (
            "gamma",
            "gamma_probability",
            "rotation_degrees",
            "rotation_probability",
            "scale_probability",
            "scale_range",
        )
    ]
    assert made.reasons["augment"].startswith("preset light and small turns: ")


def test_what_the_data_decide_is_not_usual():
    assert is_usual("weight_map.w0", USUAL["weight_map.w0"])
    assert is_usual("augment.shear_degrees", "unused while shear_probability is 0")
    assert is_usual("augment.shear_probability", "off in preset light")
    assert not is_usual("augment.flip", "bodies in scans have a left and a right")
    assert is_usual("augment.brightness", "preset light")
    assert not is_usual("augment.gamma", "added to preset light: bodies differ")
    assert not is_usual("weight_map.w0", BY_HAND)
    assert not is_usual("patch.size", USUAL["weight_map.w0"])
