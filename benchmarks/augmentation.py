"""Compare the speed of augmentation with batchgeneratorsv2 (nnU-Net), MONAI and TorchIO.

    python benchmarks/augmentation.py [--sizes 512x512 64x64x64 128x128x128] [--rows TEXT ...]
        [--batch N]

Needs `pip install batchgeneratorsv2 monai torchio` beside ushape; a library that is missing is left
out. One thread, processor time (so that other programs count less), image and label map of three
values, every transform always and at the same strength, each library's own way of reading labels
and filling borders; all give the batch that a network takes. Contestants alternate; a figure is
the best of several rounds, or the mean (of the mix) or median (of mirroring) where chance decides
how much is done. The mix is nnU-Net's default: each transform rarely.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import os
import time
import warnings
from collections.abc import Callable
from dataclasses import fields, replace
from statistics import mean, median

import torch
from torch import Tensor

from ushape.config.schema import AugmentConfig
from ushape.data.augment import apply_augmentation, augment_preset, draw_augmentation

Inputs = tuple[Tensor, Tensor]
Run = Callable[[Inputs], object]

ROWS = (
    "nnU-Net default mix",
    "affine",
    "elastic",
    "affine + elastic",
    "mirror",
    "noise",
    "blur, sigma 1",
    "brightness",
    "contrast",
    "gamma",
    "low resolution, 1/2",
    "bias field",
    "k-space spikes",
    "cutout",
)
CHOICES: dict[str, Callable[[list[float]], float]] = {ROWS[0]: mean, "mirror": median}
"""Where chance decides how much is done, the best round is the one that did nothing."""
BATCH_PIXELS = 2**22
"""A batch has 12 patches, or as many as these are: 2 of 128 x 128 x 128.

Batches that nnU-Net's planner starts from in 2D and 3D.
"""
SECONDS = 1.0
"""Processor time for one figure; slower transforms are run once."""
PLAIN = AugmentConfig(
    flip=False,
    right_angles=False,
    **{f.name: 0.0 for f in fields(AugmentConfig) if f.name.endswith("_probability")},
    rotation_degrees=30.0,
    scale_range=1.4,
    contrast_keeps_range=True,
    gamma_keeps_statistics=True,
    gamma=1.5,
    noise=0.1,
    spikes=1,
)


def make_inputs(size: tuple[int, ...]) -> Inputs:
    """Draw a smooth image and the map of three value ranges; (1, *size) each."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randn((1, 1, *(max(edge // 8, 2) for edge in size)), generator=generator)
    mode = "bilinear" if len(size) == 2 else "trilinear"
    image = torch.nn.functional.interpolate(coarse, size=size, mode=mode)[0]
    label = (image > 0.3).to(torch.uint8) + (image > 0.9).to(torch.uint8)
    return image + 0.1 * torch.randn(image.shape, generator=generator), label


def collate(samples: list[dict[str, Tensor]], label: str) -> Inputs:
    """Make the batch that a network takes; ours is one already."""
    return torch.stack([s["image"] for s in samples]), torch.stack([s[label] for s in samples])


# ---------------------------------------------------------------- the contestants


def ours(row: str, size: tuple[int, ...]) -> Run | None:
    dims = len(size)
    chances = {
        "affine": ("rotation", "scale"),
        "elastic": ("elastic",),
        "affine + elastic": ("rotation", "scale", "elastic"),
        "noise": ("noise",),
        "blur, sigma 1": ("blur",),
        "brightness": ("brightness_factor",),
        "contrast": ("contrast",),
        "gamma": ("gamma",),
        "low resolution, 1/2": ("low_resolution",),
        "bias field": ("bias_field",),
        "k-space spikes": ("spikes",),
        "cutout": ("cutout",),
    }
    if row == "nnU-Net default mix":
        config = augment_preset("nnunet", spatial_dims=dims)
    elif row == "mirror":
        config = replace(PLAIN, flip=True)
    else:
        config = replace(PLAIN, **{f"{name}_probability": 1.0 for name in chances[row]})
    generator = torch.Generator().manual_seed(0)

    def run(inputs: Inputs) -> object:
        images, labels = inputs
        batch = len(images)
        drawn = draw_augmentation(generator, config, batch=batch, channels=1, patch_size=size)
        if row.startswith("blur"):
            drawn = replace(drawn, blur=torch.ones_like(drawn.blur))
        if row.startswith("low"):
            drawn = replace(drawn, low_resolution=torch.full_like(drawn.low_resolution, 0.5))
        return apply_augmentation(
            images, labels[:, 0], drawn, patch_size=size, num_classes=3, overwrite=True
        )

    return run


def batchgenerators(row: str, size: tuple[int, ...]) -> Run | None:
    from batchgeneratorsv2.transforms.intensity.brightness import MultiplicativeBrightnessTransform
    from batchgeneratorsv2.transforms.intensity.contrast import BGContrast, ContrastTransform
    from batchgeneratorsv2.transforms.intensity.gamma import GammaTransform
    from batchgeneratorsv2.transforms.intensity.gaussian_noise import GaussianNoiseTransform
    from batchgeneratorsv2.transforms.noise.blank_rectangle import BlankRectangleTransform
    from batchgeneratorsv2.transforms.noise.gaussian_blur import GaussianBlurTransform
    from batchgeneratorsv2.transforms.spatial.low_resolution import SimulateLowResolutionTransform
    from batchgeneratorsv2.transforms.spatial.mirroring import MirrorTransform
    from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
    from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
    from batchgeneratorsv2.transforms.utils.random import RandomTransform

    dims = len(size)

    def spatial(affine: float, elastic: float, reach: float = math.pi / 6) -> object:
        return SpatialTransform(
            size,
            0,
            False,
            p_rotation=affine,
            rotation=(-reach, reach),
            p_scaling=affine,
            scaling=(0.7, 1.4),
            p_synchronize_scaling_across_axes=1,
            p_elastic_deform=elastic,
            elastic_deform_scale=(0.15, 0.15),
            elastic_deform_magnitude=(8, 8),
        )

    noise = GaussianNoiseTransform((0, 0.1), 1, True)
    bright = MultiplicativeBrightnessTransform(BGContrast((0.75, 1.25)), False, 1)
    contrast = ContrastTransform(BGContrast((0.75, 1.25)), True, False, 1)
    gamma = GammaTransform(BGContrast((0.7, 1.5)), 0, False, 1, 1)
    if row == "nnU-Net default mix":
        inverted = GammaTransform(BGContrast((0.7, 1.5)), 1, False, 1, 1)
        blur = GaussianBlurTransform((0.5, 1.0), False, False, 0.5, True)
        coarse = SimulateLowResolutionTransform((0.5, 1), False, True, None, None, 0.5)
        transform = ComposeTransforms(
            [
                spatial(0.2, 0, math.pi if dims == 2 else math.pi / 6),
                RandomTransform(noise, 0.1),
                RandomTransform(blur, 0.2),
                RandomTransform(bright, 0.15),
                RandomTransform(contrast, 0.15),
                RandomTransform(coarse, 0.25),
                RandomTransform(inverted, 0.1),
                RandomTransform(gamma, 0.3),
                MirrorTransform(tuple(range(dims))),
            ]
        )
    else:
        # Up to three boxes with edges of a twentieth to a quarter, as ours; ends are exclusive.
        edges = tuple((-(-edge // 20), edge // 4 + 1) for edge in size)
        choices = {
            "affine": lambda: spatial(1, 0),
            "elastic": lambda: spatial(0, 1),
            "affine + elastic": lambda: spatial(1, 1),
            "mirror": lambda: MirrorTransform(tuple(range(dims))),
            "noise": lambda: noise,
            "blur, sigma 1": lambda: GaussianBlurTransform((1, 1), False, False, 1, True),
            "brightness": lambda: bright,
            "contrast": lambda: contrast,
            "gamma": lambda: gamma,
            "low resolution, 1/2": lambda: SimulateLowResolutionTransform(
                (0.5, 0.5), False, True, None, None, 1
            ),
            "cutout": lambda: BlankRectangleTransform(edges, torch.mean, (1, 4)),
        }
        if row not in choices:
            return None
        transform = choices[row]()

    def run(inputs: Inputs) -> object:
        images, labels = inputs
        pairs = zip(images, labels, strict=True)
        return collate([transform(image=i, segmentation=s) for i, s in pairs], "segmentation")

    return run


def monai(row: str, size: tuple[int, ...]) -> Run | None:
    from monai import transforms as m

    dims, both, angle = len(size), ["image", "label"], math.pi / 6
    modes = {"mode": ("bilinear", "nearest")}
    turn = (angle,) * (3 if dims == 3 else 1)
    image = {"keys": ["image"]}

    def affine(chance: float, turn: tuple[float, ...] = turn) -> object:
        return m.RandAffined(
            both, prob=chance, rotate_range=turn, scale_range=((-0.3, 0.4),) * dims, **modes
        )

    def elastic(with_affine: bool) -> object:
        more = {"rotate_range": turn, "scale_range": 0.3} if with_affine else {}
        if dims == 2:
            return m.Rand2DElasticd(both, (32, 32), (4, 4), prob=1, **modes, **more)
        return m.Rand3DElasticd(both, (5, 5), (60, 60), prob=1, **modes, **more)

    def flips(chance: float) -> list[object]:
        return [m.RandFlipd(both, chance, axis) for axis in range(dims)]

    def coarse(chance: float, low: float, high: float) -> object:
        return m.RandSimulateLowResolutiond(
            ["image"],
            chance,
            upsample_mode="bilinear" if dims == 2 else "trilinear",
            zoom_range=(low, high),
        )

    def gamma(chance: float, invert: bool = False) -> object:
        return m.RandAdjustContrastd(["image"], chance, (0.7, 1.5), invert, True)

    def blur(chance: float, low: float) -> object:
        sigma = {f"sigma_{axis}": (low, 1.0) for axis in "xyz"}
        return m.RandGaussianSmoothd(["image"], prob=chance, **sigma)

    choices: dict[str, Callable[[], object]] = {
        "nnU-Net default mix": lambda: m.Compose(
            [
                affine(0.2, (math.pi,) if dims == 2 else turn),
                m.RandGaussianNoised(["image"], 0.1),
                blur(0.1, 0.5),
                m.RandScaleIntensityd(["image"], 0.25, 0.15),
                m.RandScaleIntensityFixedMeand(["image"], 0.15, (-0.25, 0.25), preserve_range=True),
                coarse(0.125, 0.5, 1),
                gamma(0.1, True),
                gamma(0.3),
                *flips(0.5),
            ]
        ),
        "affine": lambda: affine(1),
        "elastic": lambda: elastic(False),
        "affine + elastic": lambda: elastic(True),
        "mirror": lambda: m.Compose(flips(0.5)),
        "noise": lambda: m.RandGaussianNoised(**image, prob=1),
        "blur, sigma 1": lambda: blur(1, 1.0),
        "brightness": lambda: m.RandScaleIntensityd(**image, factors=0.25, prob=1),
        "contrast": lambda: m.RandScaleIntensityFixedMeand(
            **image, prob=1, factors=(-0.25, 0.25), preserve_range=True
        ),
        "gamma": lambda: gamma(1),
        "low resolution, 1/2": lambda: coarse(1, 0.5, 0.5),
        "bias field": lambda: m.RandBiasFieldd(**image, prob=1),
        "k-space spikes": lambda: m.RandKSpaceSpikeNoised(**image, prob=1),
        "cutout": lambda: m.RandCoarseDropoutd(
            **image,
            holes=1,
            max_holes=3,
            spatial_size=[-(-e // 20) for e in size],
            max_spatial_size=[e // 4 for e in size],
            prob=1,
        ),
    }
    transform = choices[row]()

    def run(inputs: Inputs) -> object:
        found = [transform({"image": i, "label": s}) for i, s in zip(*inputs, strict=True)]
        return collate(found, "label")

    return run


def torchio(row: str, size: tuple[int, ...]) -> Run | None:
    import torchio as tio

    if len(size) == 2:
        return None
    points = max(size[0] // 32, 1) + 3
    elastic = {"num_control_points": max(points, 4), "max_displacement": 4.0}

    def affine(chance: float = 1) -> object:
        return tio.RandomAffine(scales=(0.7, 1.4), degrees=30, isotropic=True, p=chance)

    def coarse(chance: float, low: float) -> object:
        return tio.RandomAnisotropy(downsampling=(low, 2), p=chance)

    choices: dict[str, Callable[[], object]] = {
        "nnU-Net default mix": lambda: tio.Compose(
            [
                affine(0.2),
                tio.RandomNoise(std=(0, 0.1), p=0.1),
                tio.RandomBlur((0.5, 1), p=0.1),
                coarse(0.125, 1),
                tio.RandomGamma((-0.36, 0.4), p=0.4),
                tio.RandomFlip((0, 1, 2), 0.5),
            ]
        ),
        "affine": affine,
        "elastic": lambda: tio.RandomElasticDeformation(**elastic),
        "affine + elastic": lambda: tio.Compose(
            [affine(), tio.RandomElasticDeformation(**elastic)]
        ),
        "mirror": lambda: tio.RandomFlip((0, 1, 2), 0.5),
        "noise": lambda: tio.RandomNoise(std=(0, 0.1)),
        "blur, sigma 1": lambda: tio.RandomBlur((1, 1)),
        "gamma": lambda: tio.RandomGamma((-0.36, 0.4)),
        "low resolution, 1/2": lambda: coarse(1, 2),
        "bias field": tio.RandomBiasField,
        "k-space spikes": lambda: tio.RandomSpike(1),
    }
    if row not in choices:
        return None
    transform = choices[row]()

    def run(inputs: Inputs) -> object:
        subjects = [
            tio.Subject(image=tio.ScalarImage(tensor=i), label=tio.LabelMap(tensor=s))
            for i, s in zip(*inputs, strict=True)
        ]
        found = [transform(subject) for subject in subjects]
        return collate([{k: v[k].data for k in ("image", "label")} for v in found], "label")

    return run


CONTESTANTS = {
    "ushape": ("ushape", ours),
    "batchgeneratorsv2": ("batchgeneratorsv2", batchgenerators),
    "MONAI": ("monai", monai),
    "TorchIO": ("torchio", torchio),
}


# ---------------------------------------------------------------- the race


def race(runs: dict[str, Run], row: str, size: tuple[int, ...], batch: int) -> dict[str, float]:
    """Let them run in turn until each has had its time; milliseconds a patch."""
    image, label = make_inputs(size)
    # The mix is long: one patch in a hundred may have everything.
    budget = 3 * SECONDS if row == ROWS[0] else SECONDS
    times: dict[str, list[float]] = {name: [] for name in runs}
    order = list(runs)
    for number in range(400):
        waiting = [n for n in order if sum(times[n]) < budget and len(times[n]) < 60]
        if not waiting:
            break
        for name in waiting if number % 2 else waiting[::-1]:
            inputs = (image.expand(batch, *image.shape).clone(), label.expand(batch, *label.shape))
            inputs = (inputs[0], inputs[1].clone())
            began = time.process_time()
            runs[name](inputs)
            spent = time.process_time() - began
            # The first call fills caches; it counts only where there is no time for a second.
            if number > 0 or spent > budget:
                times[name].append(spent)
    choose = CHOICES.get(row, min)
    return {name: choose(t) / batch * 1e3 for name, t in times.items() if t}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", nargs="+", default=["512x512", "64x64x64", "128x128x128"])
    parser.add_argument("--batch", type=int, help="patches, instead of 12 or 2")
    parser.add_argument("--rows", nargs="+", default=[""], help="rows whose name contains a text")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    known = {n: build for n, (module, build) in CONTESTANTS.items() if _is_there(module)}
    print(f"torch {torch.__version__}, one thread, load {os.getloadavg()[0]:.1f}; processor time,")
    print("milliseconds a patch; the last column is the fastest peer over ushape\n")
    print(f"| batch | transform | {' | '.join(known)} | times faster |")
    print("|---|---|" + "---|" * (len(known) + 1))
    began = time.perf_counter()
    for text in arguments.sizes:
        size = tuple(int(edge) for edge in text.split("x"))
        batch = arguments.batch or min(12, max(1, BATCH_PIXELS // math.prod(size)))
        for row in (r for r in ROWS if any(part in r for part in arguments.rows)):
            built = {name: build(row, size) for name, build in known.items()}
            torch.manual_seed(0)
            found = race({n: run for n, run in built.items() if run}, row, size, batch)
            peers = [value for name, value in found.items() if name != "ushape"]
            cells = [f"{found[n]:.2f}" if n in found else "-" for n in known]
            ratio = f"{min(peers) / found['ushape']:.1f}" if peers else "-"
            print(f"| {batch} of {text} | {row} | {' | '.join(cells)} | {ratio} |", flush=True)
    print(f"\n{time.perf_counter() - began:.0f} s, load at the end {os.getloadavg()[0]:.1f}")


def _is_there(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


if __name__ == "__main__":
    main()
