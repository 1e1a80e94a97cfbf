"""What the samples of a TIFF page are: a grey value, a colour, or channels. One rule for all."""

from __future__ import annotations

from typing import Any

import tifffile

_GREY = (tifffile.PHOTOMETRIC.MINISBLACK, tifffile.PHOTOMETRIC.MINISWHITE)
_ALPHA = (tifffile.EXTRASAMPLE.ASSOCALPHA, tifffile.EXTRASAMPLE.UNASSALPHA)


def is_grey(page: Any) -> bool:
    """Tell whether the samples of a page are grey, and none of two is an alpha channel."""
    has_alpha = page.samplesperpixel == 2 and any(each in _ALPHA for each in page.extrasamples)
    return page.photometric in _GREY and not has_alpha


def holds_channels(page: Any) -> bool:
    """Tell whether the samples of a pixel are channels, not a colour or a value with its alpha."""
    return page.samplesperpixel > 1 and is_grey(page)
