"""Draw the linear part of the spatial transforms: flips, turns, shear and scale in one matrix."""

from __future__ import annotations

import itertools
import math

import numpy as np

from ushape.config.schema import AugmentConfig
from ushape.data.augment.dice import Array, Dice
from ushape.data.augment.space import Space


def draw_matrix(dice: Dice, config: AugmentConfig, space: Space) -> Array:
    """Compose flips, turns, shear and scale, in this order from left to right.

    They are composed in space and then written in pixels, so that a turn is a turn where pixels
    are longer along one axis than along another.

    Returns:
        (batch, d, d), from offsets in the patch to offsets in the window, in pixels.
    """
    dims = len(space.patch_size)
    matrix = _unchanged(dice.batch, dims)
    if config.flip:
        matrix *= (1 - 2 * dice.chance(0.5, dims))[:, None, :]
    matrix = _draw_turns(matrix, dice, config, space)
    if config.shear_probability > 0:
        matrix = matrix @ _draw_shear(dice, config, space)
    if config.scale_probability > 0 or config.scale_axis_probability > 0:
        matrix = matrix * _draw_scale(dice, config, space)[:, None, :]
    if max(space.edges) > 1:
        edges = np.array(space.edges)
        matrix = matrix * (edges[None, :] / edges[:, None])
    return matrix


def _unchanged(batch: int, dims: int) -> Array:
    return np.eye(dims)[None].repeat(batch, 0)


def _draw_turns(matrix: Array, dice: Dice, config: AugmentConfig, space: Space) -> Array:
    """Also turn in every plane of two axes; for 3D that is about every axis."""
    free = dice.chance(config.rotation_probability)
    reach = math.radians(config.rotation_degrees)
    for first, second in itertools.combinations(range(len(space.patch_size)), 2):
        angle = None
        if reach > 0 and first in space.plane and second in space.plane:
            if config.rotation_probability > 0:
                angle = free * dice.uniform(-reach, reach)
            else:
                dice.skip(1)
        if config.right_angles and _is_square(space, first, second):
            quarters = math.pi / 2 * dice.integer(4)
            angle = quarters if angle is None else angle + quarters
        if angle is not None and angle.any():
            matrix = matrix @ _turn(angle, first, second, len(space.patch_size))
    return matrix


def _is_square(space: Space, first: int, second: int) -> bool:
    same_edge = math.isclose(space.edges[first], space.edges[second], rel_tol=1e-6)
    return same_edge and space.patch_size[first] == space.patch_size[second]


def _turn(angle: Array, first: int, second: int, dims: int) -> Array:
    # Rounding makes right angles exact: the cosine of pi / 2 is 6e-17 in double precision.
    cosine, sine = (
        np.where(np.abs(v - np.rint(v)) < 1e-12, np.rint(v), v)
        for v in (np.cos(angle), np.sin(angle))
    )
    turn = _unchanged(len(angle), dims)
    turn[:, first, first], turn[:, second, second] = cosine, cosine
    turn[:, first, second], turn[:, second, first] = -sine, sine
    return turn


def _draw_shear(dice: Dice, config: AugmentConfig, space: Space) -> Array:
    """Slant one axis of the plane along another; which two is drawn too."""
    dims = len(space.patch_size)
    reach = math.radians(config.shear_degrees)
    slope = dice.chance(config.shear_probability) * np.tan(dice.uniform(-reach, reach))
    pairs = [(a, b) for a in space.plane for b in space.plane if a != b]
    chosen = dice.integer(len(pairs)).astype(int)
    matrix = _unchanged(dice.batch, dims)
    for patch, number in enumerate(chosen):
        matrix[patch, pairs[number][0], pairs[number][1]] = slope[patch]
    return matrix


def _draw_scale(dice: Dice, config: AugmentConfig, space: Space) -> Array:
    """Draw a factor per axis; along thick slices it is 1."""
    dims = len(space.patch_size)
    scale = np.ones((dice.batch, dims))
    if config.scale_probability > 0:
        scale *= dice.log_range(config.scale_range, config.scale_probability, 1)
    if config.scale_axis_probability > 0:
        chosen = dice.chance(config.scale_axis_probability, 1)
        scale *= dice.log_range(config.scale_axis_range, 1.0, dims) ** chosen
    return np.where(space.in_plane(), scale, 1.0)
