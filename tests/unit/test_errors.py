"""What errors say about names."""

import pytest

from ushape import errors
from ushape.errors import nearest_name, unknown_name


@pytest.mark.parametrize(
    ("name", "near"),
    [("unet_orignal", "unet_original"), ("UNet_padding", "unet_padding"), ("resnet152d", None)],
)
def test_the_nearest_name_or_none(name, near):
    assert nearest_name(name, ["unet_original", "unet_padding"]) == near


def test_an_unknown_name_lists_the_known_ones_with_and_without_a_hint():
    choices = (name for name in ("dice", "bce"))  # any iterable, read once
    assert unknown_name("loss", "dise", choices) == (
        "unknown loss 'dise': did you mean 'dice'? (known: dice, bce)"
    )
    far = unknown_name("loss", "zzz", ["dice", "bce"])
    assert "did you mean" not in far
    assert "dice, bce" in far


def test_all_errors_share_one_base_but_a_stop_is_none():
    kinds = [errors.ShapeError, errors.DataError, errors.ConfigError, errors.BundleError]
    assert all(issubclass(kind, errors.UshapeError) for kind in [*kinds, errors.StorageError])
    assert not issubclass(errors.Stopped, errors.UshapeError)
