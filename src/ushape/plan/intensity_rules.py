"""Rules for channels and values: how they are brought to one scale.

Source: Isensee et al. 2021, supplementary note 2 (intensity normalisation). The clipping of wild
pixels is ours.
"""

from __future__ import annotations

from ushape.errors import ConfigError
from ushape.plan.choices import Choices
from ushape.plan.fingerprint import Fingerprint
from ushape.plan.grid_rules import CROP_BELOW, content_share

WILD = {2: 10.0, 3: 5.0}
"""Values are clipped where one lies this many times as far above the median as the 99.5
percentile, by the number of axes. A Gaussian of a million values reaches 1.8 times as far; the
brightest spots of pictures are often what is looked for."""

ROBUST = (0.5, 99.5)


def choose_channels(choices: Choices, fingerprint: Fingerprint) -> int:
    """Choose how many channels the network takes."""
    what = "images" if fingerprint.spatial_dims == 2 else "volumes"
    if fingerprint.channels == 1:
        reason = f"all {what} are grey"
    elif fingerprint.channels == 3 and not fingerprint.channel_names:
        reason = f"the {what} are in colour"
    else:
        named = ", ".join(fingerprint.channel_names) or "as in the files"
        reason = f"the {what} have {fingerprint.channels} channels: {named}"
    return int(choices.choose("preprocess.channels", fingerprint.channels, reason))


def choose_intensity(choices: Choices, fingerprint: Fingerprint) -> None:
    """Choose how values are brought to one scale.

    Raises:
        ConfigError: `ct` was asked for, and nothing is known of the values.
    """
    usable = tuple(tuple(each) for each in fingerprint.intensities if each.std > 0)
    has_all = bool(usable) and len(usable) == fingerprint.channels
    if fingerprint.modality == "ct" and has_all:
        reason = "CT: values have a physical meaning, and are treated alike in all scans"
        kind = choices.choose("preprocess.normalise", "ct", reason)
    else:
        reason = "brightness and contrast differ between images"
        kind = choices.choose("preprocess.normalise", "zscore", reason)
    if kind == "ct" and not has_all and "preprocess.intensity" not in choices.given:
        raise ConfigError(
            "preprocess.normalise = ct needs the values inside the foreground, which this data set "
            "does not give: set preprocess.intensity as well, or take zscore"
        )
    reason = "0.5 and 99.5 percentiles, mean and deviation inside the foreground"
    of_ct = kind == "ct"
    choices.choose("preprocess.intensity", usable if of_ct else (), reason if of_ct else "")
    _choose_clip(choices, fingerprint, str(kind))
    _choose_nonzero(choices, fingerprint, str(kind))


def _choose_clip(choices: Choices, fingerprint: Fingerprint, kind: str) -> None:
    if kind == "zscore" and fingerprint.outlier_ratio > WILD[fingerprint.spatial_dims]:
        reason = (
            f"single values lie {fingerprint.outlier_ratio:.0f} times as far above the median as "
            "the 99.5 percentile: they would spoil mean and deviation"
        )
        choices.choose("preprocess.clip", ROBUST, reason)
    else:
        choices.choose("preprocess.clip", None, _why_unclipped(fingerprint, kind))


def _why_unclipped(fingerprint: Fingerprint, kind: str) -> str:
    if kind == "ct":
        return "preprocess.intensity clips instead, alike in all scans"
    if kind != "zscore":
        return f"normalise = {kind} takes no mean that single values would spoil"
    return (
        f"no wild values: the largest lies {fingerprint.outlier_ratio:.1f} times as far above the "
        "median as the 99.5 percentile"
    )


def _choose_nonzero(choices: Choices, fingerprint: Fingerprint, kind: str) -> None:
    share = content_share(fingerprint)
    is_sparse = fingerprint.spatial_dims == 3 and share < CROP_BELOW
    if kind == "zscore" and is_sparse:
        reason = "much of the volume is zero, more in some than in others"
        choices.choose("preprocess.nonzero", True, reason)
    else:
        reason = "mean and deviation are those of the whole image"
        if kind != "zscore":
            reason = f"normalise = {kind} takes no mean and deviation of the image"
        choices.choose("preprocess.nonzero", False, reason)
