"""Colour maps for heights. Rule: equal steps in nm look like equal steps, also in grey and to the colour-blind.

``afm`` is ours: the brown-to-gold that AFM pictures are known by, with a lightness that grows linearly (CIE L*a*b*).
"""

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from afmd.errors import InvalidInput

if TYPE_CHECKING:
    from matplotlib.colors import ListedColormap

DEFAULT = "afm"
NAMES = (DEFAULT, "gray", "viridis", "cividis", "magma", "inferno", "plasma")

_LIGHTNESS = (12.0, 97.0)
_HUE_DEG = (34.0, 92.0)
_CHROMA = 54.0
_END_CHROMA = (14.0, 10.0)
_WHITE = np.array([0.95047, 1.0, 1.08883])
_XYZ_TO_RGB = np.array([[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]])


def table(name: str) -> NDArray[np.float64]:
    """Return a map's 256 colours, (256, 3) in [0, 1], low to high. Raises ``InvalidInput`` for an unknown name."""
    if name not in NAMES:
        raise InvalidInput(
            f"colour map {name!r}", why="there is none of that name", mend=f"Use one of {', '.join(NAMES)}",
            field="colour_map",
        )  # fmt: skip
    return _afm() if name == DEFAULT else _matplotlibs(name)


def colour_map(name: str) -> "ListedColormap":
    """Return the map for matplotlib. Raises ``InvalidInput`` for an unknown name."""
    from matplotlib.colors import ListedColormap

    return ListedColormap(table(name), name=f"afmd {name}")


@cache
def _matplotlibs(name: str) -> NDArray[np.float64]:
    from matplotlib import colormaps

    return np.asarray(colormaps[name](np.linspace(0, 1, 256)))[:, :3]


@cache
def _afm() -> NDArray[np.float64]:
    """Return dark brown over orange and gold to cream, lightness linear, colour strongest in the middle."""
    share = np.linspace(0, 1, 256)
    lightness = _LIGHTNESS[0] + share * (_LIGHTNESS[1] - _LIGHTNESS[0])
    hue = np.radians(_HUE_DEG[0] + share * (_HUE_DEG[1] - _HUE_DEG[0]))
    chroma = _CHROMA * np.sin(np.pi * share) + _END_CHROMA[0] * (1 - share) + _END_CHROMA[1] * share
    return _lab_to_rgb(lightness, chroma * np.cos(hue), chroma * np.sin(hue))


def _lab_to_rgb(lightness: NDArray[np.float64], a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return sRGB in [0, 1] of CIE L*a*b* under D65 (CIE 15, IEC 61966-2-1), cut off at the gamut's border."""
    y = (lightness + 16) / 116
    cubes = np.stack([y + a / 500, y, y - b / 200], axis=-1)
    xyz = _WHITE * np.where(cubes > 6 / 29, cubes**3, 3 * (6 / 29) ** 2 * (cubes - 4 / 29))
    linear = np.clip(xyz @ _XYZ_TO_RGB.T, 0, 1)
    rgb: NDArray[np.float64] = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return rgb
