"""Sizes that pass, sizes that do not, and what is said about them. See also property/nets."""

import pytest

from ushape.errors import ShapeError
from ushape.nets import geometry_of, make_spec


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
