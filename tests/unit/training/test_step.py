"""One training step: reproducible, aligned, and a true step of the optimiser."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from ushape.config.schema import (
    AugmentConfig,
    DataConfig,
    ModelConfig,
    OptimizerConfig,
    PatchConfig,
    PreprocessConfig,
    RunConfig,
    ScheduleConfig,
    TilingConfig,
    TrainConfig,
)
from ushape.data.sample import Sample
from ushape.labels import LabelClass, LabelTable
from ushape.losses import build_loss
from ushape.nets import build, geometry_of, make_spec
from ushape.training.batch import crop_to_output, make_batch, stream_seed
from ushape.training.objective import Objective, total_loss
from ushape.training.step import train_step

CPU = torch.device("cpu")
PLAIN = AugmentConfig(
    flip=False,
    right_angles=False,
    rotation_probability=0,
    scale_probability=0,
    elastic_probability=0,
    brightness_probability=0,
    contrast_probability=0,
    gamma_probability=0,
    noise_probability=0,
    blur_probability=0,
)


def config(name="unet_padding", *, size=(16, 16), batch=4, classes=1, augment=None, **options):
    return RunConfig(
        data=DataConfig("d", "none", {}),
        model=ModelConfig(name, 1, classes, options),
        preprocess=PreprocessConfig(1),
        patch=PatchConfig(size, batch),
        augment=augment or AugmentConfig(),
        loss="dice + bce",
        optimizer=OptimizerConfig(),
        schedule=ScheduleConfig(steps=4),
        train=TrainConfig(seed=1),
        tiling=TilingConfig((64, 64)),
    )


def table(num_classes):
    return LabelTable(tuple(LabelClass(f"c{number}", number) for number in range(num_classes)))


def samples(num_classes=2):
    """The image is its own target, so that misalignment shows."""
    rng = np.random.default_rng(0)
    targets = [np.kron(rng.integers(0, num_classes, (16, 12)), np.ones((6, 6))) for _ in range(2)]
    return [
        Sample(str(i), target[None].astype(np.float32), target.astype(np.uint8))
        for i, target in enumerate(targets)
    ]


def batch_of(settings, *, step=0, rank=0, num_classes=2):
    model = settings.model
    spec = make_spec(model.name, in_channels=1, classes=model.classes, **dict(model.options))
    return make_batch(
        samples(num_classes),
        settings,
        geometry_of(spec),
        labels=table(num_classes),
        step=step,
        rank=rank,
        device=CPU,
    )


def same(first, second):
    return torch.equal(first.images, second.images) and torch.equal(first.target, second.target)


def test_a_batch_is_a_function_of_seed_step_and_rank():
    settings = config()
    first = batch_of(settings, step=3)
    torch.manual_seed(99)  # global chance must not matter
    assert same(first, batch_of(settings, step=3))
    reseeded = replace(settings, train=replace(settings.train, seed=2))
    for other in (
        batch_of(settings, step=4),
        batch_of(settings, step=3, rank=1),
        batch_of(reseeded, step=3),
    ):
        assert not same(first, other)


def test_augmentation_is_drawn_anew_for_every_seed_step_and_rank():
    """On constant images, so that the places of the windows cannot make the difference."""
    noisy = replace(PLAIN, noise_probability=1)
    settings = config(augment=noisy)
    geometry = geometry_of(make_spec("unet_padding"))
    constant = [Sample("a", np.zeros((1, 40, 40), np.float32), np.zeros((40, 40), np.uint8))]

    def noise(seed, step, rank):
        seeded = replace(settings, train=replace(settings.train, seed=seed))
        options = {"labels": table(2), "step": step, "rank": rank, "device": CPU}
        return make_batch(constant, seeded, geometry, **options).images

    first = noise(1, 0, 0)
    assert torch.equal(first, noise(1, 0, 0))
    for place in ((2, 0, 0), (1, 1, 0), (1, 0, 1)):
        assert not torch.equal(first, noise(*place))


def test_making_a_batch_leaves_global_chance_alone():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    batch_of(config())
    assert torch.equal(torch.get_rng_state(), before)


def test_streams_of_chance_are_apart():
    places = [(seed, step, rank, stream) for seed in (0, 1) for step in (0, 1) for rank in (0, 1)
              for stream in (2, 3)]  # fmt: skip
    seeds = {stream_seed(*place) for place in places}
    assert len(seeds) == len(places)
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert stream_seed(1, 2, 3, 2) == stream_seed(1, 2, 3, 2)


@pytest.mark.parametrize(("classes", "num_classes"), [(1, 2), (3, 3)])
def test_the_target_lies_on_its_image(classes, num_classes):
    batch = batch_of(config(classes=classes, augment=PLAIN), num_classes=num_classes)
    assert batch.images.shape == (4, 1, 16, 16)
    assert batch.target.shape == (4, classes, 16, 16)
    index = batch.target[:, 0] if classes == 1 else batch.target.argmax(1)
    assert torch.allclose(batch.images[:, 0], index.float(), atol=1e-4)


@pytest.mark.parametrize("size", [(44, 44), (46, 60)])
def test_the_target_of_an_unpadded_network_is_the_middle_of_its_image(size):
    settings = config("unet_original", size=size, augment=PLAIN, width=2, levels=3, dropout=0.0)
    batch = batch_of(settings)
    network = build("unet_original", width=2, levels=3, dropout=0.0)
    assert batch.target.shape == network(batch.images).logits.shape
    height, width = batch.target.shape[2:]
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    middle = batch.images[..., top : top + height, left : left + width]
    assert torch.allclose(middle, batch.target, atol=1e-4)


def test_the_crop_lies_where_the_margin_says():
    """Valid sizes lose the margin at both ends; a trimmed surplus is lost in equal parts too."""
    geometry = geometry_of(make_spec("unet_original"))
    for size in ((572, 572), (444, 572), (448, 458)):
        rows, columns = (torch.arange(edge) for edge in size)
        cropped = crop_to_output((rows[:, None] * 1000 + columns)[None], geometry, size)[0]
        assert tuple(cropped.shape) == geometry.output_size(size)
        trimmed = [(n - u) // 2 for n, u in zip(size, geometry.used_size(size), strict=True)]
        first = [t + before for t, (before, _) in zip(trimmed, geometry.margin, strict=True)]
        assert int(cropped[0, 0]) == first[0] * 1000 + first[1]


@pytest.mark.parametrize("size", [(44, 44), (46, 48)])
def test_an_output_pixel_sees_around_the_target_pixel_that_it_is_compared_with(size):
    """Through the skip of the highest level alone, it sees a square about that pixel."""
    network = build("unet_original", width=4, levels=3, dropout=0.0).eval()
    for name, parameter in network.named_parameters():
        parameter.data.abs_()  # nothing cancels, no unit is dead
        if ".up." in name:
            parameter.data.zero_()
    places = torch.arange(size[0] * size[1]).view(1, *size)
    cropped = crop_to_output(places, network.geometry, size)[0]
    for output in ((0, 0), (3, 2)):
        image = torch.ones(1, 1, *size, requires_grad=True)
        network(image).logits[0, 0, output[0], output[1]].backward()
        seen = image.grad[0, 0].nonzero().T
        wanted = divmod(int(cropped[output]), size[1])
        for axis, place in zip(seen, wanted, strict=True):
            assert (int(axis.min()), int(axis.max())) == (place - 4, place + 4)


def fabric_step(network, optimizer, batch, *, clip_norm=1e9):
    fabric = Fabric(accelerator="cpu", devices=1)
    wrapped, wrapped_optimizer = fabric.setup(network, optimizer)
    loss = build_loss("dice + bce", num_logits=1, class_fractions=[0.5])
    return train_step(
        fabric,
        wrapped,
        wrapped_optimizer,
        Objective(loss),
        network.spec,
        batch,
        clip_norm=clip_norm,
    )


def small():
    torch.manual_seed(3)
    return build("unet_padding", width=2, levels=3)


def test_a_step_is_the_optimisers_step_on_the_gradient_of_the_loss():
    batch = batch_of(config())
    network, expected = small(), small()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)  # left over from elsewhere
    value = fabric_step(network, optimizer, batch)
    loss = build_loss("dice + bce", num_logits=1, class_fractions=[0.5])
    wanted = loss(expected(batch.images).logits, batch.target)
    wanted.total.backward()
    assert float(value.total.detach()) == pytest.approx(float(wanted.total.detach()))
    for mine, theirs in zip(network.parameters(), expected.parameters(), strict=True):
        assert torch.allclose(mine, theirs - 0.1 * theirs.grad, atol=1e-6)


def test_the_gradient_is_clipped_as_a_whole():
    batch = batch_of(config())
    network, before = small(), small()
    fabric_step(network, torch.optim.SGD(network.parameters(), lr=1.0), batch, clip_norm=0.01)
    moved = [a - b for a, b in zip(network.parameters(), before.parameters(), strict=True)]
    length = torch.cat([change.flatten() for change in moved]).norm()
    assert float(length.detach()) == pytest.approx(0.01, rel=1e-2)


def bce(num_logits: int = 1):
    return build_loss("bce", num_logits=num_logits, class_fractions=[0.5] * num_logits)


def random_target(*size: int) -> torch.Tensor:
    return (torch.rand(2, 1, *size) > 0.5).float()


def test_heads_of_a_nested_network_count_alike() -> None:
    network = build("unet_plusplus", width=2, levels=4)
    output, target = network(torch.randn(2, 1, 16, 16)), random_target(16, 16)

    total = total_loss(bce(), output, network.spec, target).total

    heads = [output.logits, *output.auxiliary]
    each = [torch.nn.functional.binary_cross_entropy_with_logits(x, target) for x in heads]
    assert len(heads) == 3
    torch.testing.assert_close(total, torch.stack(each).mean())


def test_heads_count_half_as_much_a_level_lower_and_see_the_mean_of_the_target() -> None:
    network = build("unet_residual", width=2, levels=5, blocks=(1, 1, 1, 1, 1))
    output, target = network(torch.randn(2, 1, 32, 32)), random_target(32, 32)

    total = total_loss(bce(), output, network.spec, target).total

    assert [x.shape[-1] for x in output.auxiliary] == [16, 8]
    logistic = torch.nn.functional.binary_cross_entropy_with_logits
    targets = [target, *(torch.nn.functional.avg_pool2d(target, n) for n in (2, 4))]
    heads = [output.logits, *output.auxiliary]
    weights = [1 / 1.75, 0.5 / 1.75, 0.25 / 1.75]
    expected = sum(w * logistic(x, t) for w, x, t in zip(weights, heads, targets, strict=True))
    torch.testing.assert_close(total, expected)


def test_attention_maps_are_compared_with_the_foreground() -> None:
    network = build("unet_25d", width=2)
    target = torch.zeros(2, 1, 4, 32, 32)
    target[..., 16:, :] = 1
    output = network(torch.randn(2, 1, 4, 32, 32))

    maps = [torch.full_like(x, 40.0) for x in output.auxiliary]  # sees everything
    right = [_half(x) for x in output.auxiliary]
    plain = bce()(output.logits, target).total
    everything = total_loss(bce(), output._replace(auxiliary=tuple(maps)), network.spec, target)
    half = total_loss(bce(), output._replace(auxiliary=tuple(right)), network.spec, target)

    assert len(maps) == 5
    torch.testing.assert_close(half.total, plain, atol=1e-2, rtol=0)
    torch.testing.assert_close(everything.total - plain, torch.tensor(1 / 3), atol=2e-2, rtol=0)


def _half(x: torch.Tensor) -> torch.Tensor:
    logits = torch.full_like(x, -40.0)
    logits[..., x.shape[-2] // 2 :, :] = 40.0
    return logits


@pytest.mark.parametrize(
    ("name", "options", "size"),
    [
        ("unet_plusplus", {"width": 2, "levels": 4}, (16, 16)),
        ("unet_residual", {"width": 2, "levels": 5, "blocks": (1, 1, 1, 1, 1)}, (32, 32)),
        ("unet_25d", {"width": 2}, (4, 32, 32)),
    ],
)
def test_the_parts_times_their_factors_are_the_total(name, options, size) -> None:
    network = build(name, **options)
    loss = build_loss("dice + 10*bce", num_logits=1, class_fractions=[0.5], balance="auto")
    output, target = network(torch.randn(2, 1, *size)), random_target(*size)

    value = total_loss(loss, output, network.spec, target)

    assert value.parts.keys() == value.factors.keys()
    assert len(value.parts) > 2
    total = sum(float(value.factors[key] * part) for key, part in value.parts.items())
    assert total == pytest.approx(float(value.total.detach()), rel=1e-5)
