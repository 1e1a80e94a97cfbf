"""Targets of every kind after augmentation: void pixels, overlapping classes, lines, weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from ushape.config.schema import (
    AugmentConfig,
    DataConfig,
    LinesConfig,
    ModelConfig,
    OptimizerConfig,
    PatchConfig,
    PreprocessConfig,
    RunConfig,
    ScheduleConfig,
    TilingConfig,
    TrainConfig,
)
from ushape.data.line_targets import blurred_lines
from ushape.data.sample import Sample
from ushape.data.targets import VOID
from ushape.labels import LabelClass, LabelTable
from ushape.losses import build_loss
from ushape.nets import build, geometry_of, make_spec
from ushape.training.batch import grade_lines, make_batch
from ushape.training.objective import Objective, build_objective

CPU = torch.device("cpu")
SIZE = (40, 36)
MOVED = AugmentConfig(rotation_probability=1, elastic_probability=1, noise_probability=0)
RNG = np.random.default_rng(11)
BLOCKS = np.kron(RNG.integers(0, 8, (10, 9)), np.ones((4, 4))).astype(np.uint8)


def table(count, **options):
    return LabelTable(tuple(LabelClass(f"c{n}", n) for n in range(count)), **options)


def config(classes=1, *, augment=MOVED, lines=None, loss="dice + bce"):
    return RunConfig(
        data=DataConfig("d", "none", {}),
        model=ModelConfig("unet_padding", 1, classes, {}),
        preprocess=PreprocessConfig(1),
        patch=PatchConfig((16, 16), 6),
        augment=augment,
        loss=loss,
        optimizer=OptimizerConfig(),
        schedule=ScheduleConfig(steps=4),
        train=TrainConfig(seed=1),
        tiling=TilingConfig((64, 64)),
        lines=lines or LinesConfig(),
    )


def sample(target, *, image=None, weight=None):
    image = np.zeros(SIZE, np.float32) if image is None else image
    return Sample("a", image[None], target, weight)


def batch_of(samples, labels, settings=None, *, step=0):
    settings = settings or config()
    geometry = geometry_of(make_spec("unet_padding"))
    return make_batch(samples, settings, geometry, labels=labels, step=step, rank=0, device=CPU)


def test_sets_of_classes_are_warped_as_each_mask_alone():
    """As a binary target of that mask would be; the same seed draws the same warp."""
    sets = BLOCKS << 1  # three classes, each combination of them occurs
    several = batch_of([sample(sets)], table(4, kind="multilabel"))
    assert several.target.shape == (6, 3, 16, 16)
    for number in range(3):
        alone = batch_of([sample((BLOCKS >> number) & 1)], table(2))
        assert torch.equal(several.target[:, number], alone.target[:, 0])
    assert float((several.target.sum(1) > 1).float().mean()) > 0.2
    assert several.mask is None


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
def test_void_pixels_go_where_their_mask_goes(kind):
    void = BLOCKS > 4
    count = 2 if kind == "binary" else 3
    index = (BLOCKS % count).astype(np.uint8)
    if kind == "multilabel":
        target = np.where(void, 1, (1 << index.astype(int)) & ~1).astype(np.uint8)
    else:
        target = np.where(void, VOID, index).astype(np.uint8)
    batch = batch_of([sample(target)], table(count, kind=kind, ignore=9))
    alone = batch_of([sample(void.astype(np.uint8))], table(2))
    assert batch.mask is not None
    assert batch.mask.shape == (6, 1, 16, 16)
    # Several values vote in an index map, so that a border may lie a pixel elsewhere.
    disagree = (batch.mask[:, 0] == (alone.target[:, 0] == 1)).float().mean()
    assert float(disagree) < 0.06
    # Sets of a void pixel are empty in the files; beside it a warped class may reach in.
    if kind != "multilabel":
        assert not batch.target[:, 1 if kind == "multiclass" else 0][~batch.mask[:, 0]].any()


def test_what_is_labelled_void_does_not_matter_to_the_loss_or_its_gradient():
    labels = table(3, ignore=9)
    target = np.where(BLOCKS > 4, VOID, BLOCKS % 3).astype(np.uint8)
    batch = batch_of([sample(target)], labels)
    assert batch.mask is not None
    network = build("unet_padding", classes=3, width=2, levels=3)
    output = network(torch.randn(6, 1, 16, 16, generator=torch.Generator().manual_seed(0)))
    objective = build_objective(
        config(3, loss="dice + ce + focal + border_dice"), labels, [0.4, 0.3, 0.3]
    )
    other = torch.where(batch.mask, batch.target, batch.target.roll(1, 1) + 0.3)
    values = [
        objective(output, network.spec, replace(batch, target=t)).total
        for t in (batch.target, other)
    ]
    assert not torch.equal(batch.target, other)
    assert torch.equal(*values)
    (gradient,) = torch.autograd.grad(values[1], [output.logits])
    assert not gradient[~batch.mask.expand_as(gradient)].any()
    assert gradient.any()


def test_cases_are_drawn_by_the_pixels_that_count():
    full = sample(np.zeros(SIZE, np.uint8), image=np.ones(SIZE, np.float32))
    empty = replace(sample(np.full(SIZE, VOID, np.uint8)), id="b", num_valid=0)
    batch = batch_of([empty, full], table(2, ignore=9), config(augment=AugmentConfig(
        brightness_probability=0, contrast_probability=0, gamma_probability=0, noise_probability=0,
        blur_probability=0)))  # fmt: skip
    assert bool((batch.images > 0.9).all())


def test_lines_are_graded_after_the_warp():
    """From the warped thin mask: a graded target that was warped itself would lose its height."""
    thin = np.zeros(SIZE, np.uint8)
    thin[::7] = 1
    lines = LinesConfig(("c1",), sigma=(0.8, 2.6))
    batch = batch_of([sample(thin)], table(2), config(3, lines=lines))
    assert batch.graded is not None
    assert torch.equal(batch.graded, blurred_lines(batch.target, (0.8, 2.6)))
    assert float(batch.graded.max()) == 1
    plain = batch_of([sample(thin)], table(2))
    assert torch.equal(plain.target, batch.target)


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
def test_distance_mode_grades_the_class_itself(kind):
    labels = table(2 if kind == "binary" else 3, kind=kind)
    channels = labels.num_logits
    target = torch.zeros(1, channels, 9, 9)
    line = labels.logit_names.index("c1")
    if kind == "multiclass":
        target[:, 0] = 1
        target[:, 0, 4] = 0
    target[:, line, 4] = 1
    graded, extra = grade_lines(target, labels, LinesConfig(("c1",), "distance", (2.0,)))
    assert extra is None
    wanted = torch.exp(-0.5 * ((torch.arange(9) - 4) / 2.0) ** 2)
    torch.testing.assert_close(graded[0, line, :, 3], wanted)
    if kind == "multiclass":
        torch.testing.assert_close(graded[0, 0, :, 3], 1 - wanted)


@pytest.mark.parametrize("mode", ["blurred", "distance"])
def test_lines_of_volumes_are_graded_by_the_spacing_of_the_patches(mode):
    labels = table(2)
    target = torch.zeros(1, 1, 9, 17, 9)
    target[:, :, 4, 8] = 1
    lines = LinesConfig(("c1",), mode, (2.0,))
    changed, extra = grade_lines(target, labels, lines, spacing=(4.0, 1.0, 1.0))
    graded = changed if extra is None else extra
    column = graded[0, 0, :, :, 4]
    torch.testing.assert_close(column[5, 8], column[4, 12])  # 4 mm either way


def test_a_batch_of_volumes_knows_the_spacing_of_its_cases():
    lines = LinesConfig(("c1",), sigma=(2.0,))
    settings = replace(config(2, lines=lines), patch=PatchConfig((16, 16, 16), 1))
    thin = np.zeros((20, 20, 20), np.uint8)
    thin[::7, ::5] = 1
    image = np.zeros((1, *thin.shape), np.float32)
    case = Sample("a", image, thin, spacing_mm=(4.0, 1.0, 1.0))
    geometry = geometry_of(make_spec("unet_padding", spatial_dims=3, levels=3))
    asked = {"labels": table(2), "step": 0, "rank": 0, "device": CPU}
    batch = make_batch([case], settings, geometry, **asked)
    assert torch.equal(batch.graded, blurred_lines(batch.target, (2.0,), spacing=(4.0, 1.0, 1.0)))
    assert not torch.equal(batch.graded, blurred_lines(batch.target, (2.0,)))


def test_the_loss_of_graded_lines_stands_beside_that_of_the_classes():
    lines = LinesConfig(("c1",), sigma=(0.8, 2.6), weight=2.0)
    settings = config(3, lines=lines)
    labels = table(2)
    thin = np.zeros(SIZE, np.uint8)
    thin[::7] = 1
    batch = batch_of([sample(thin)], labels, settings)
    network = build("unet_plusplus", classes=3, width=2, levels=4)
    output = network(batch.images)
    value = build_objective(settings, labels, [0.1])(output, network.spec, batch)
    heads = [output.logits, *output.auxiliary]
    classes = build_loss("dice + bce", num_logits=1, class_fractions=[0.1])
    graded = build_loss(lines.loss, num_logits=2, class_fractions=[0.1, 0.1], target="multilabel")
    wanted = torch.stack(
        [
            classes(x[:, :1], batch.target).total + 2 * graded(x[:, 1:], batch.graded).total
            for x in heads
        ]
    ).mean()
    torch.testing.assert_close(value.total, wanted)
    assert {"dice", "graded.dice", "graded.auxiliary0.bce"} <= value.parts.keys()
    total = sum(float(value.factors[key] * part) for key, part in value.parts.items())
    assert total == pytest.approx(float(wanted.detach()), rel=1e-5)


def test_both_balances_are_saved():
    lines = LinesConfig(("c1",), sigma=(0.8,))
    settings = replace(config(2, lines=lines), balance="auto")
    labels = table(2)
    batch = batch_of([sample((BLOCKS > 3).astype(np.uint8))], labels, settings)
    network = build("unet_padding", classes=2, width=2, levels=3)
    first, second = (build_objective(settings, labels, [0.1]) for _ in range(2))
    for _ in range(3):
        first(network(batch.images), network.spec, batch)
    second.load_state(first.state())
    assert {"mean.dice", "graded.mean.dice", "graded.mass"} <= first.state().keys()
    values = [o(network(batch.images), network.spec, batch).factors for o in (first, second)]
    assert values[0] == values[1]


def test_weights_move_with_the_image_and_are_not_brightened():
    image = RNG.random(SIZE).astype(np.float32)
    bright = replace(MOVED, brightness_probability=1, brightness=5.0)
    batch = batch_of(
        [sample(BLOCKS & 1, image=image, weight=image)], table(2), config(augment=bright)
    )
    plain = batch_of([sample(BLOCKS & 1, image=image, weight=image)], table(2))
    assert batch.weight is not None
    assert batch.weight.shape == (6, 1, 16, 16)
    assert not torch.allclose(batch.images, batch.weight, atol=0.1)
    calm = replace(
        MOVED,
        brightness_probability=0,
        contrast_probability=0,
        gamma_probability=0,
        blur_probability=0,
    )
    still = batch_of(
        [sample(BLOCKS & 1, image=image, weight=image)], table(2), config(augment=calm)
    )
    torch.testing.assert_close(still.images, still.weight)
    assert plain.weight is not None


def test_pixel_weights_count_in_the_loss():
    labels = table(2)
    weight = np.where(BLOCKS > 3, 3.0, 1.0).astype(np.float32)
    batch = batch_of([sample(BLOCKS & 1, weight=weight)], labels)
    network = build("unet_padding", width=2, levels=3)
    output = network(batch.images)
    loss = build_loss("bce", num_logits=1, class_fractions=[0.5])
    value = Objective(loss)(output, network.spec, batch).total
    each = torch.nn.functional.binary_cross_entropy_with_logits(
        output.logits, batch.target, reduction="none"
    )
    torch.testing.assert_close(value, (each * batch.weight).sum() / batch.weight.sum())


def test_an_unpadded_network_gets_the_middle_of_everything():
    """Lines are graded before the crop, so that those beside it still reach in."""
    spec = make_spec("unet_original", width=2, levels=3, dropout=0.0)
    geometry = geometry_of(spec)
    lines = LinesConfig(("c1",), sigma=(2.6,))
    settings = replace(config(2, lines=lines), patch=PatchConfig((60, 60), 2))
    labels = table(2, ignore=9)
    target = np.where(RNG.random(SIZE) < 0.2, VOID, BLOCKS == 5).astype(np.uint8)
    cases = [sample(target, weight=RNG.random(SIZE).astype(np.float32))]
    options = {"labels": labels, "step": 0, "rank": 0, "device": CPU}
    batch = make_batch(cases, settings, geometry, **options)
    padded = geometry_of(make_spec("unet_padding", levels=3))
    whole = make_batch(cases, settings, padded, **options)
    assert batch.target.shape[2:] == geometry.output_size((60, 60))
    margin = (60 - batch.target.shape[-1]) // 2
    middle = slice(margin, 60 - margin)
    for name in ("target", "graded", "mask", "weight"):
        mine, full = getattr(batch, name), getattr(whole, name)
        assert torch.equal(mine, full[..., middle, middle]), name
    assert not torch.equal(batch.graded, blurred_lines(batch.target, (2.6,)))
