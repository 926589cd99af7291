"""A height map drawn as a lit block seen from the front and above. Rule: arrays in, a picture out; nothing else.

The view is parallel (axonometric), so that lengths can be read off along the edges. Along each column of the picture
the running maximum of the projected heights, front to back, tells what is visible at each pixel: hidden parts need no
sorting, and a 512² surface takes some tens of milliseconds.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

AZIMUTH_DEG = 32.0
ELEVATION_DEG = 38.0
LIGHT = np.array([-0.55, 0.45, 0.70])
"""Where the light comes from: (across, away, up), from the upper left as on maps."""

RELIEF_SHARE = 0.20
"""How high the relief stands, as a share of the frame's longer side."""

_OVERSAMPLING = 2
_FLOOR_SHARE = 0.05
_WALLS = np.array([[0.60, 0.57, 0.54], [0.46, 0.44, 0.42]], dtype=np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Surface:
    """A drawn surface.

    ``picture``: float32 RGBA (rows, cols, 4) in [0, 1], transparent around the block. ``corners``: its base's corners
    as (col, row) in the picture: front, right, back, left. ``px_per_nm``: (along the front-right edge's cols, along
    the front-left edge's rows, upright), in pixels of the picture for each nm. ``exaggeration``: how much steeper
    than nature the relief is drawn.
    """

    picture: NDArray[np.float32]
    corners: NDArray[np.float64]
    upright_px_per_nm: float
    exaggeration: float


@dataclass(frozen=True, slots=True)
class _View:
    """The projection: frame sizes in units of the longer side, and pixels for each such unit."""

    width: float
    depth: float
    px: float

    @property
    def turn(self) -> NDArray[np.float64]:
        """Rotation from (across, away) to (screen right, screen depth)."""
        cos, sin = math.cos(math.radians(AZIMUTH_DEG)), math.sin(math.radians(AZIMUTH_DEG))
        return np.array([[cos, -sin], [sin, cos]])

    @property
    def slant(self) -> float:
        """Picture height of a unit of depth."""
        return math.sin(math.radians(ELEVATION_DEG))

    @property
    def upright(self) -> float:
        """Picture height of a unit of height."""
        return math.cos(math.radians(ELEVATION_DEG))


def draw(
    heights: NDArray[np.float32],
    *,
    pixel_nm: tuple[float, float],
    limits: tuple[float, float],
    colours: NDArray[np.float64],
    width_px: int,
) -> Surface:
    """Draw heights (rows, cols) in nm, row 0 farthest away.

    ``limits``: heights in nm that get the first and the last of ``colours`` (n, 3); the relief between them is drawn
    ``RELIEF_SHARE`` of the frame's longer side high. ``width_px``: the picture's width.
    """
    rows, cols = heights.shape
    frame = np.array([rows * pixel_nm[0], cols * pixel_nm[1]])
    longest, span = frame.max(), max(limits[1] - limits[0], 1e-12)
    relief = RELIEF_SHARE / span
    turned = abs(math.cos(math.radians(AZIMUTH_DEG))) * frame[1] + abs(math.sin(math.radians(AZIMUTH_DEG))) * frame[0]
    view = _View(frame[1] / longest, frame[0] / longest, width_px * _OVERSAMPLING / (turned / longest))
    low, high = limits[0] - 0.5 * span, limits[1] + 0.8 * span
    z = ((np.clip(heights, low, high) - limits[0]) * relief).astype(np.float32)
    tint = np.clip((heights - limits[0]) / span, 0, 1) * (len(colours) - 1)
    picture, corners = _painted(z, _lit(z, view), colours.astype(np.float32)[tint.astype(np.intp)], view)
    return Surface(
        picture=_reduced(picture),
        corners=corners / _OVERSAMPLING,
        upright_px_per_nm=relief * view.upright * view.px / _OVERSAMPLING,
        exaggeration=relief * longest,
    )


def _lit(z: NDArray[np.float32], view: _View) -> NDArray[np.float32]:
    """Return each pixel's brightness: some from everywhere, the rest by how the drawn relief faces the light."""
    rows, cols = z.shape
    down, across = np.gradient(cv2.GaussianBlur(z, (0, 0), 0.7), view.depth / rows, view.width / cols)
    toward = LIGHT / np.linalg.norm(LIGHT)
    facing = (-across * toward[0] + down * toward[1] + toward[2]) / np.sqrt(1 + down**2 + across**2)
    return np.asarray(0.40 + 0.72 * np.clip(facing, 0, 1), dtype=np.float32)


def _painted(
    z: NDArray[np.float32], light: NDArray[np.float32], colours: NDArray[np.float32], view: _View
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Return the oversampled picture, row 0 at its top, and the base's corners in it."""
    base = np.array([[0, 0], [view.width, 0], [view.width, view.depth], [0, view.depth]]) @ view.turn.T
    (left, near), (right, far) = base.min(axis=0), base.max(axis=0)
    depths = np.arange(near, far, 0.8 / (view.px * view.slant))
    place = _place(np.arange(left, right, 1 / view.px), depths, view, z.shape)
    inside = _inside(place, z.shape)
    floor = -_FLOOR_SHARE + min(float(z.min()), 0.0)
    rise = (depths * view.slant * view.px).astype(np.float32)[:, None]
    up = np.where(inside, rise + _sampled(z, place) * np.float32(view.upright * view.px), -np.inf)
    feet = base[:, 1] * view.slant * view.px + floor * view.upright * view.px
    levels = np.arange(feet.min(), up.max() + 1, dtype=np.float32)
    picture = _surface(_visible(up, levels), place, light, colours)
    edge = _Edge(inside, up, rise[:, 0] + np.float32(floor * view.upright * view.px))
    _wall(picture, levels, edge, front_col=(base[0, 0] - left) * view.px)
    corners = np.stack([(base[:, 0] - left) * view.px, len(levels) - (feet - feet.min())], axis=1)
    return picture[::-1], corners


def _place(
    cols: NDArray[np.float64], depths: NDArray[np.float64], view: _View, shape: tuple[int, ...]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return where in the height map each (depth, screen column) lies: its row and its col."""
    back = view.turn.T
    across = back[0, 0] * cols[None, :] + back[0, 1] * depths[:, None]
    away = back[1, 0] * cols[None, :] + back[1, 1] * depths[:, None]
    row, col = (1 - away / view.depth) * shape[0] - 0.5, across / view.width * shape[1] - 0.5
    return row.astype(np.float32), col.astype(np.float32)


def _inside(place: tuple[NDArray[np.float32], NDArray[np.float32]], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    row, col = place
    inside: NDArray[np.bool_] = (row >= -0.5) & (row <= shape[0] - 0.5) & (col >= -0.5) & (col <= shape[1] - 0.5)
    return inside


def _sampled(image: NDArray[np.float32], place: tuple[NDArray[np.float32], NDArray[np.float32]]) -> NDArray[np.float32]:
    row, col = place
    return np.asarray(cv2.remap(image, col, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), dtype=np.float32)


def _visible(up: NDArray[np.float32], levels: NDArray[np.float32]) -> NDArray[np.intp]:
    """Return the depth index that is seen at each (level, column): the first, from the front, that reaches so high."""
    skyline = np.ascontiguousarray(np.maximum.accumulate(up, axis=0).T)
    return np.stack([np.searchsorted(line, levels) for line in skyline], axis=1)


def _surface(
    seen: NDArray[np.intp],
    place: tuple[NDArray[np.float32], NDArray[np.float32]],
    light: NDArray[np.float32],
    colours: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Return RGBA for each (level, column); transparent where nothing reaches so high."""
    depths, cols = place[0].shape
    at = np.minimum(seen, depths - 1), np.arange(cols)[None, :]
    there = place[0][at], place[1][at]
    picture = np.empty((*seen.shape, 4), dtype=np.float32)
    np.multiply(_sampled(colours, there), _sampled(light, there)[..., None], out=picture[..., :3])
    picture[..., 3] = seen < depths
    return picture


@dataclass(frozen=True, slots=True, eq=False)
class _Edge:
    """Where the block begins: ``inside`` and ``up`` by (depth, column), and the floor's height by depth."""

    inside: NDArray[np.bool_]
    up: NDArray[np.float32]
    floor: NDArray[np.float32]


def _wall(picture: NDArray[np.float32], levels: NDArray[np.float32], edge: _Edge, *, front_col: float) -> None:
    """Paint the two front walls below the surface's edge, and clear what lies below them."""
    cols = np.arange(picture.shape[1])
    first = edge.inside.argmax(axis=0)
    top = np.where(edge.inside.any(axis=0), edge.up[first, cols], -np.inf)
    walls = _WALLS[(cols > front_col).astype(int)]
    below = levels[:, None] < top[None, :]
    picture[..., :3] = np.where(below[..., None], walls[None], picture[..., :3])
    picture[..., 3] *= levels[:, None] >= edge.floor[first][None, :]


def _reduced(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    """Average the oversampling away; colours weigh by their opacity."""
    rows, cols = (side // _OVERSAMPLING for side in picture.shape[:2])
    whole = np.ascontiguousarray(picture[: rows * _OVERSAMPLING, : cols * _OVERSAMPLING])
    whole[..., :3] *= whole[..., 3:]
    mean = np.asarray(cv2.resize(whole, (cols, rows), interpolation=cv2.INTER_AREA), dtype=np.float32)
    mean[..., :3] /= np.maximum(mean[..., 3:], 1e-9)
    return np.clip(mean, 0, 1)
