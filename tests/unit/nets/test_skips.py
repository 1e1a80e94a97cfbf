"""Merging earlier maps: crops, sums, attention gates."""

import pytest
import torch
import torch.nn.functional as F

from ushape.nets.kit import LayerKit, initialise
from ushape.nets.parts import Add, Concatenate, KitSpec
from ushape.nets.skips import AttentionGate, center_crop, merge


def test_center_crop_takes_the_middle_as_a_view() -> None:
    x = torch.arange(6 * 8.0).reshape(1, 1, 6, 8)

    middle = center_crop(x, (2, 8))

    assert middle.tolist() == x[:, :, 2:4].tolist()
    assert middle.data_ptr() == x[:, :, 2:].data_ptr()


def test_concatenation_puts_skips_first_in_column_order() -> None:
    skips = [torch.full((1, 1, 4, 4), 1.0), torch.full((1, 2, 6, 6), 2.0)]

    joined = merge(Concatenate(), skips, torch.full((1, 1, 2, 2), 3.0))

    assert joined.shape == (1, 4, 2, 2)
    assert joined[0, :, 0, 0].tolist() == [1, 2, 2, 3]


def test_adding_adds_the_middles() -> None:
    skip = torch.arange(16.0).reshape(1, 1, 4, 4)
    below = torch.ones(1, 1, 2, 2)

    joined = merge(Add(), [skip, skip], below)

    assert joined.tolist() == [[[[11, 13], [19, 21]]]]
    assert below.eq(1).all(), "the map from below is not written over"
    assert merge(Add(), [], below) is below


@pytest.mark.parametrize("stride", [(2, 2), (1, 2, 2)], ids=str)
@pytest.mark.parametrize("norm", ["batch", "none"])
def test_attention_gate_by_its_equations(stride, norm) -> None:
    """Oktay et al. 2018, Eq. 1-3: every coefficient summed by hand."""
    dims = len(stride)
    gate = AttentionGate(LayerKit(KitSpec(dims, "same", norm)), 3, 5, stride)
    initialise(gate)
    for conv in (gate.of_gate, gate.psi, gate.project[0]):
        torch.nn.init.normal_(conv.bias)
    gate.eval()
    coarse = (3, 2, 2)[-dims:]
    x = torch.randn(1, 3, *[n * s for n, s in zip(coarse, stride, strict=True)])
    g = torch.randn(1, 5, *coarse)

    alpha = torch.zeros(1, 1, *coarse)
    for place in torch.cartesian_prod(*map(torch.arange, coarse)).tolist():
        window = x[
            (
                0,
                slice(None),
                *[slice(p * s, (p + 1) * s) for p, s in zip(place, stride, strict=True)],
            )
        ]
        of_map = (gate.of_map.weight * window).flatten(1).sum(1)
        of_gate = gate.of_gate.weight.flatten(1) @ g[(0, slice(None), *place)] + gate.of_gate.bias
        q = gate.psi.weight.flatten() @ F.relu(of_map + of_gate) + gate.psi.bias
        alpha[(0, 0, *place)] = 1 / (1 + torch.exp(-q))
    mode = "bilinear" if dims == 2 else "trilinear"
    wide = F.interpolate(alpha, size=x.shape[2:], mode=mode, align_corners=False)
    project = gate.project[0]
    scaled = torch.einsum("oc,nc...->no...", project.weight.flatten(1), x * wide)
    scaled = scaled + project.bias.reshape(-1, *[1] * dims)
    if norm == "batch":
        scaled = scaled / (1 + 1e-5) ** 0.5

    torch.testing.assert_close(gate(x, g), scaled, rtol=1e-4, atol=1e-5)
    assert gate.of_map.bias is None


def test_the_gate_reads_the_middle_of_a_larger_map() -> None:
    gate = AttentionGate(LayerKit(KitSpec(2, "valid", "none")), 2, 3, (2, 2))
    x, g = torch.randn(1, 2, 10, 8), torch.randn(1, 3, 3, 2)

    assert torch.equal(gate(x, g), gate(x[:, :, 2:8, 2:6], g))
