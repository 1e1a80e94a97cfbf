"""Where features raise a class: gradient-weighted maps, for every node."""

from __future__ import annotations

import torch
from torch import Tensor

from ushape.explain.maps import FeatureMaps


def class_scores(logits: Tensor, *, is_exclusive: bool) -> Tensor:
    """Give the logit of every class against all others.

    With classes that exclude each other a logit alone says nothing (a number added to all of them
    changes no probability): the score is x_k - log(sum over the others of exp x_j), whose sigmoid
    is the softmax probability.

    Args:
        logits: (1, K, *size).
        is_exclusive: Whether the softmax is taken over them.
    """
    if not is_exclusive:
        return logits
    others = [
        torch.logsumexp(torch.cat([logits[:, :k], logits[:, k + 1 :]], dim=1), dim=1)
        for k in range(logits.shape[1])
    ]
    return logits - torch.stack(others, dim=1)


def gradient_maps(found: FeatureMaps, score: Tensor, mask: Tensor) -> dict[str, Tensor]:
    """Compute a heat map for every node: the weighted sum of its channels, where positive.

    The weight of a channel is the mean over the map of the gradient of the score, which is summed
    over the pixels of the class.

    Args:
        found: Computed with its graph; it is kept.
        score: Of one class, (*size).
        mask: Its pixels, (*size), bool, at least one.

    Returns:
        By node name, (1, 1, *node size), zero or more; all zero where the node does not count.

    Source: Selvaraju et al., "Grad-CAM", ICCV 2017, Eq. 1-2; summed over pixels as Vinogradova,
    Dibrov, Myers, "Towards interpretable semantic segmentation via gradient-weighted class
    activation mapping", AAAI 2020.
    """
    maps = list(found.maps.values())
    gradients: tuple[Tensor | None, ...] = torch.autograd.grad(
        score[mask].sum(), maps, retain_graph=True, allow_unused=True
    )
    heats = {}
    for name, values, gradient in zip(found.maps, maps, gradients, strict=True):
        values = values.detach()
        if gradient is None:
            heats[name] = torch.zeros_like(values[:, :1])
            continue
        axes = tuple(range(2, values.ndim))
        weights = gradient.mean(dim=axes, keepdim=True)
        heats[name] = torch.relu((weights * values).sum(dim=1, keepdim=True))
    return heats
