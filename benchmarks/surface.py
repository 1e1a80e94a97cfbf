"""Time surface metrics of 256^3 masks: ours, by distance transforms, and MONAI side by side.

    python benchmarks/surface.py [SIZE]
    python benchmarks/surface.py agreement      # values only: 120 random pairs beside MONAI's

The candidates beside ours need packages that ushape does not: `edt` and `monai` are measured
where they are installed, and left out where not. One core; best of the repeats.
"""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Callable

import numpy as np
import scipy
from scipy import ndimage

from ushape.metrics import surface_distances, surface_mask

Figures = tuple[float, float, float, float]

SPACING = (2.5, 1.0, 1.0)
REPEATS = 2


def ball(size: int, radius: float, shift: int = 0) -> np.ndarray:
    z, y, x = np.ogrid[:size, :size, :size]
    middle = size // 2
    return (z - middle) ** 2 + (y - middle - shift) ** 2 + (x - middle) ** 2 < radius**2


def masks(size: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    noise = ndimage.gaussian_filter(
        np.random.default_rng(0).normal(size=(size,) * 3).astype(np.float32), 4
    )
    deviation = noise.std()
    return {
        "one organ": (ball(size, 0.4 * size), ball(size, 0.38 * size, 3)),
        "small object": (ball(size, 0.05 * size), ball(size, 0.05 * size, 2)),
        "far apart": (ball(size, 0.43 * size), ball(size, 0.12 * size)),
        "sponge, half of the volume": (noise > 0, noise > 0.3 * deviation),
    }


def ours(prediction: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    found = surface_distances(prediction, truth, spacing=SPACING)
    return found.hausdorff95, found.normalised_dice(1.0)


def by_transform(
    transform: Callable[[np.ndarray], np.ndarray],
) -> Callable[..., tuple[float, float]]:
    def measure(prediction: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
        either = np.argwhere(prediction | truth)
        box = tuple(map(slice, either.min(axis=0), either.max(axis=0) + 1))
        first, second = surface_mask(prediction[box]), surface_mask(truth[box])
        there, back = transform(~second)[first], transform(~first)[second]
        near = np.count_nonzero(there <= 1) + np.count_nonzero(back <= 1)
        hd95 = max(np.percentile(there, 95), np.percentile(back, 95))
        return float(hd95), near / (there.size + back.size)

    return measure


def by_monai(prediction: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    import torch
    from monai.metrics import compute_hausdorff_distance, compute_surface_dice

    pair = [torch.from_numpy(mask)[None, None].float() for mask in (prediction, truth)]
    hd95 = compute_hausdorff_distance(
        *pair, include_background=True, percentile=95, spacing=SPACING
    )
    nsd = compute_surface_dice(*pair, [1.0], include_background=True, spacing=SPACING)
    return hd95.item(), nsd.item()


def four_by_monai(prediction: np.ndarray, truth: np.ndarray, spacing: tuple[float, ...]) -> Figures:
    import torch
    from monai.metrics import (
        compute_average_surface_distance,
        compute_hausdorff_distance,
        compute_surface_dice,
    )

    pair = [torch.from_numpy(mask)[None, None].float() for mask in (prediction, truth)]
    common = {"include_background": True, "spacing": spacing}
    return (
        compute_hausdorff_distance(*pair, **common).item(),
        compute_hausdorff_distance(*pair, percentile=95, **common).item(),
        compute_average_surface_distance(*pair, symmetric=True, **common).item(),
        compute_surface_dice(*pair, [1.0], **common).item(),
    )


def show_agreement(pairs: int = 120) -> None:
    """Compare HD, HD95, ASSD and NSD with MONAI's on random masks, half of them in 3D."""
    generator = np.random.default_rng(0)
    largest = [0.0] * 4
    for number in range(pairs):
        size = (15, 19) if number % 2 else (7, 13, 11)
        spacing = tuple(float(edge) for edge in generator.uniform(0.5, 4, len(size)))
        prediction, truth = (
            ndimage.gaussian_filter(generator.normal(size=size), 1) > generator.uniform(0, 0.2)
            for _ in range(2)
        )
        found = surface_distances(prediction, truth, spacing=spacing)
        mine = (
            found.hausdorff, found.hausdorff95, found.assd, found.normalised_dice(1.0)
        )  # fmt: skip
        theirs = four_by_monai(prediction, truth, spacing)
        gaps = [abs(a - b) / max(abs(b), 1) for a, b in zip(mine, theirs, strict=True)]
        largest = [max(before, gap) for before, gap in zip(largest, gaps, strict=True)]
    for name, gap in zip(("HD", "HD95", "ASSD", "NSD"), largest, strict=True):
        print(f"{name:5} {pairs} pairs, largest difference, relative above 1: {gap:.1e}")


def candidates() -> dict[str, Callable[..., tuple[float, float]]]:
    found = {
        "ours": ours,
        "scipy transform": by_transform(
            lambda mask: ndimage.distance_transform_edt(mask, sampling=SPACING)
        ),
    }
    if importlib.util.find_spec("edt"):
        import edt

        found["edt transform"] = by_transform(
            lambda mask: edt.edt(mask, anisotropy=SPACING, black_border=False, parallel=1)
        )
    if importlib.util.find_spec("monai"):
        import torch

        torch.set_num_threads(1)
        found["monai"] = by_monai
    return found


def main() -> None:
    if sys.argv[1:] == ["agreement"]:
        show_agreement()
        return
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 256
    methods = candidates()
    print(f"{size}^3, spacing {SPACING}, numpy {np.__version__}, scipy {scipy.__version__}, 1 core")
    for title, (prediction, truth) in masks(size).items():
        num_voxels = np.count_nonzero(surface_mask(prediction)) + np.count_nonzero(
            surface_mask(truth)
        )
        print(f"\n{title}: {num_voxels:,} surface voxels")
        for name, measure in methods.items():
            times = []
            for _ in range(REPEATS):
                start = time.perf_counter()
                hd95, nsd = measure(prediction, truth)
                times.append(time.perf_counter() - start)
            print(f"  {name:16} {min(times):7.2f} s   HD95 {hd95:8.4f}  NSD {nsd:.6f}", flush=True)


if __name__ == "__main__":
    main()
