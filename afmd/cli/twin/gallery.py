"""``afmd twin gallery``: many simulated scans in one picture: raw, levelled by a plane, and their truth."""

import argparse
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray
from rich.markup import escape

from afmd.cli.screen import out
from afmd.cli.twin.recipes import asked, sized
from afmd.files.colours import DEFAULT, colour_map
from afmd.files.disk import storage_errors, write_file
from afmd.twin import Tile, gallery

COLUMNS = 8
DPI = 75
TRUTH = ListedColormap([(0.93, 0.93, 0.93), (0.35, 0.55, 0.85), (0.85, 0.25, 0.2), (0.95, 0.75, 0.2)])
"""Neither, feature, artefact, both."""


def run(arguments: argparse.Namespace) -> int:
    """Simulate, draw, write. Raises ``InvalidInput``, ``StorageError``."""
    seeds = range(arguments.seed, arguments.seed + arguments.count)
    file: Path = arguments.out
    tiles = gallery(seeds, shape=sized(arguments.size), recipe=asked(arguments))
    with storage_errors(file):
        file.parent.mkdir(parents=True, exist_ok=True)
    write_file(file, drawn(tiles))
    out().print(f"{escape(str(file))}: {len(tiles)} scans; grey neither, blue feature, red artefact, yellow both")
    return 0


def drawn(tiles: Sequence[Tile]) -> bytes:
    """Return the picture as a PNG file."""
    columns = min(COLUMNS, len(tiles))
    rows = -(-len(tiles) // columns)
    figure = Figure(figsize=(2.6 * columns, 8.1 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    axes: NDArray[Any] = figure.subplots(3 * rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for number, tile in enumerate(tiles):
        row, col = 3 * (number // columns), number % columns
        _draw(axes[row : row + 3, col], tile)
    picture = BytesIO()
    figure.savefig(picture, format="png", dpi=DPI)
    return picture.getvalue()


def _draw(axes: NDArray[Any], tile: Tile) -> None:
    for axis, values in zip(axes, (tile.raw, tile.levelled), strict=False):
        low, high = np.percentile(values, (0.5, 99.5))
        axis.imshow(values, vmin=low, vmax=max(high, low + 1e-9), cmap=colour_map(DEFAULT), interpolation="nearest")
    truth = 2 * tile.artifact.astype(np.uint8) + tile.simulated.feature
    axes[2].imshow(truth, vmin=0, vmax=3, cmap=TRUTH, interpolation="nearest")
    seed = tile.simulated.parameters["seed"]
    title = tile.title.replace(": ", "\n", 1) + ("" if tile.simulated.visible else ", faint")
    good = tile.simulated.label.value == "good"
    axes[0].set_title(f"{seed}  {tile.title.split(': ', 1)[-1] if good else title}", fontsize=7)
