"""Sizes that pass, sizes that do not, and what is said about them. See also property/nets."""

import pytest
import torch

from ushape.errors import ShapeError
from ushape.nets import build_network, geometry_of, make_spec


@pytest.fixture(scope="module")
def original():
    return geometry_of(make_spec("unet_original"))


@pytest.mark.parametrize(("edge", "result"), [(572, 388), (448, 260), (444, 260), (188, 4)])
def test_published_sizes(original, edge, result) -> None:
    assert original.output_size((edge, edge)) == (result, result)


def test_numbers_of_the_paper(original) -> None:
    assert original.total_stride == (16, 16)
    assert original.margin == ((92, 92), (92, 92))
    assert original.edge_effect == ((0, 15), (0, 15))
    assert original.smallest == (188, 188)
    assert original.is_local


def test_transposed_variant_has_no_edge_effect() -> None:
    geometry = geometry_of(make_spec("unet_original", up="transposed"))

    assert geometry.edge_effect == ((0, 0), (0, 0))
    assert geometry.margin == ((92, 92), (92, 92))


@pytest.mark.parametrize(
    ("size", "smaller", "larger"),
    [
        ((572, 572), (572, 572), (572, 572)),
        ((573, 571), (572, 556), (588, 572)),
        ((188, 188), (188, 188), (188, 188)),
        ((187, 572), None, (188, 572)),
        ((1, 1), None, (188, 188)),
    ],
)
def test_nearest_sizes(original, size, smaller, larger) -> None:
    assert original.nearest_sizes(size) == (smaller, larger)


def test_refusal_names_rule_and_neighbours(original) -> None:
    with pytest.raises(ShapeError) as caught:
        original.output_size((571, 572))
    assert str(caught.value) == (
        "size 571 x 572 does not fit unet_original: every edge must be 188 plus a multiple of 16 "
        "(an even surplus is trimmed); the nearest is 556 x 572 (crop) or 572 x 572 (pad)"
    )


def test_refusal_of_padded_and_of_small_sizes() -> None:
    geometry = geometry_of(make_spec("unet_padding", spatial_dims=3, stride=(1, 2, 2)))
    with pytest.raises(ShapeError) as caught:
        geometry.output_size((5, 8, 40))
    assert str(caught.value) == (
        "size 5 x 8 x 40 does not fit unet_padding: the edges must be a multiple of 1, "
        "a multiple of 16, a multiple of 16; the nearest is 5 x 16 x 48 (pad)"
    )


def test_even_surplus_is_trimmed_only_where_a_margin_is_lost_anyway(original) -> None:
    assert original.used_size((448, 572)) == (444, 572)
    with pytest.raises(ShapeError):
        geometry_of(make_spec("unet_padding")).used_size((450, 448))


def test_wrong_number_of_axes(original) -> None:
    with pytest.raises(ShapeError, match=r"has 3 axes, unet_original takes 2: .* 188 x 188"):
        original.output_size((16, 572, 572))


def test_instance_norm_needs_two_elements_and_is_not_local() -> None:
    geometry = geometry_of(make_spec("unet_padding", norm="instance"))

    assert geometry.smallest == (32, 32)
    assert not geometry.is_local


def test_one_slice_is_enough_where_slices_are_not_pooled() -> None:
    spec = make_spec("unet_padding", spatial_dims=3, stride=(1, 2, 2), norm="instance")

    assert geometry_of(spec).smallest == (1, 32, 32)


def test_unet_3d_without_padding_is_the_paper() -> None:
    geometry = geometry_of(make_spec("unet_3d", padding="valid"))

    assert geometry.margin == ((44, 44),) * 3
    assert geometry.output_size((116, 132, 132)) == (28, 44, 44)
    assert geometry.edge_effect == ((0, 0),) * 3
    assert geometry.is_local


@pytest.mark.parametrize(
    ("name", "options", "is_local"),
    [
        ("unet_25d", {}, True),
        ("unet_25d", {"align_corners": True}, False),
        ("unet_25d", {"norm": "instance"}, False),
        ("unet_padding", {"up": "linear"}, True),
        ("unet_padding", {"up": "linear", "align_corners": True}, False),
        ("vnet_3d_bottleneck", {"align_corners": True}, False),
        ("unet_attention", {}, True),
        ("unet_residual", {}, False),
        ("unet_residual", {"norm": "batch"}, True),
        ("unet_backbone", {"encoder": "unet"}, True),
    ],
)
def test_what_lets_a_pixel_depend_on_the_whole_image(name, options, is_local) -> None:
    assert geometry_of(make_spec(name, **options)).is_local == is_local


class TestAnySize:
    geometry = geometry_of(make_spec("unet_25d"))

    def test_every_size_passes_and_comes_back(self) -> None:
        assert self.geometry.is_padding
        for size in ((1, 1, 1), (11, 37, 90), (4, 16, 16)):
            assert self.geometry.output_size(size) == self.geometry.used_size(size) == size

    def test_maps_have_the_size_of_the_padded_image(self) -> None:
        assert self.geometry.total_stride == (4, 16, 16)
        assert self.geometry.node_size("x_0_4", (11, 37, 90)) == (12, 48, 96)
        assert self.geometry.node_size("x_4_0", (11, 37, 90)) == (3, 3, 6)

    def test_instance_norm_asks_for_two_elements_of_the_padded_image(self) -> None:
        geometry = geometry_of(make_spec("unet_25d", norm="instance"))

        assert geometry.smallest == (8, 32, 32)
        assert geometry.output_size((1, 1, 1)) == (1, 1, 1)
        assert geometry.node_size("x_4_0", (1, 1, 40)) == (2, 2, 3)

    def test_nothing_is_refused(self) -> None:
        with pytest.raises(ShapeError) as caught:
            self.geometry.output_size((11, 0, 90))
        assert (
            str(caught.value)
            == "size 11 x 0 x 90 does not fit unet_25d: every edge must be 1 or more"
        )


def test_aligned_corners_let_a_pixel_depend_on_more_than_the_receptive_field() -> None:
    """Why `is_local` is False: the place of a pixel depends on how long the image is."""
    spec = make_spec(
        "unet_padding", levels=3, width=2, up="linear", norm="none", align_corners=True
    )
    torch.manual_seed(0)
    network = build_network(spec).double().eval()
    image = torch.rand(1, 1, 128, 8, dtype=torch.float64)

    with torch.no_grad():
        whole, window = network(image).logits, network(image[:, :, :64]).logits

    after = network.geometry.edge_effect[0][1]
    difference = (window - whole[:, :, :64])[:, :, : 64 - after].abs().max()
    assert difference > 1e-6 * whole.abs().max()


def test_instance_norm_with_the_smallest_image_of_a_network_that_pads_runs() -> None:
    network = build_network(make_spec("unet_25d", width=2, norm="instance")).train()

    assert network(torch.rand(1, 1, 1, 1, 1)).logits.shape == (1, 1, 1, 1, 1)
