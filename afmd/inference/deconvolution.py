"""The network that removes a known tip's shape, behind the port ``TipNetwork``.

Rule: heights in nm in and out at the scan's own pixels; the answer scales with heights, pitch and radius together, lies
nowhere above the erosion by more than noise and faults of the image allow, and says how sure it is.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from afmd.domain.findings import Backend
from afmd.domain.result import Undone
from afmd.domain.tip import Tip, TipForm
from afmd.errors import ModelError
from afmd.inference.manifest import FETCH, Model, load_manifest
from afmd.inference.sessions import Session, shared_session
from afmd.inference.tiling import tiled

ANSWERS = ("depth", "spread")
DEPTH, SPREAD = range(len(ANSWERS))
QUIET: Final = 2.5e-4
"""Noise in units of the tip up to which a picture counts as free of it: simulated, or long averaged."""
LIFT_DOUBT: Final = 0.015
"""What taking a lift of edges off adds to the standard deviation, as a share of it; measured on simulated pairs."""
LEAST_RADIUS_PX: Final = 0.8
HALF_ANGLES_DEG: Final = (6.0, 40.0)
MOST_UNEVEN: Final = 2.5

Image = NDArray[np.float32]


class View(Protocol):
    """An image as the network sees it; see `afmd.science.tip.planes`, which makes it."""

    @property
    def planes(self) -> Image:
        """Float32 (planes, rows, cols), without unit."""
        ...

    @property
    def bound(self) -> Image:
        """The erosion, float32 (rows, cols) nm."""
        ...

    @property
    def unit_nm(self) -> float:
        """What 1 means in the network's answers."""
        ...

    @property
    def noise_nm(self) -> float:
        """Standard deviation of the noise."""
        ...

    @property
    def image(self) -> Image:
        """The heights with what no tip does put back, float32 (rows, cols) nm."""
        ...

    @property
    def lift_nm(self) -> float:
        """By how much edges had been raised, which was taken off, or 0."""
        ...

    @property
    def slack(self) -> Image:
        """By how much the surface may lie above the erosion, float32 (rows, cols) nm."""
        ...

    @property
    def stride(self) -> int:
        """Of how many interleaved grids, each way, the network sees the picture."""
        ...


class Look(Protocol):
    """Makes a view; handed in, because the tip's geometry is no business of this room."""

    def __call__(
        self, heights: Image, *, pixel_nm: tuple[float, float], tip: Tip, mask: NDArray[np.bool_] | None
    ) -> View:
        """Return the view of one image. Raises ``InvalidInput``."""
        ...


class NetworkDeconvolver:
    """Removes the shape of a known tip (port ``TipNetwork``)."""

    def __init__(self, model: Model, *, look: Look, threads: int = 1) -> None:
        if model.role != "tip" or model.classes != ANSWERS or len(model.temperature) != 2:
            why = f"it is a {model.role} of {', '.join(model.classes)} with {len(model.temperature)} temperatures"
            raise ModelError(f"weights {model.file}", why=why, mend=FETCH)
        self._model = model
        self._look = look
        self._session = shared_session(model, threads=threads)

    @property
    def backend(self) -> Backend:
        """The weights' name and hash."""
        return Backend(self._model.name, self._model.sha256)

    def restored(
        self, heights: Image, *, pixel_nm: tuple[float, float], tip: Tip, mask: NDArray[np.bool_] | None = None
    ) -> Undone:
        """Return surface, standard deviation and the image that was undone, new.

        ``heights``: levelled and finite, nm; ``pixel_nm``: (down, across); ``mask``: True where a height means nothing.
        The interval of ± 1.645 standard deviations is calibrated to hold the truth nine times in ten.
        Raises ``ModelError`` for a tip or pitch that the network never saw, ``InvalidInput`` for an absurd one.
        """
        refuse_unlearned(tip, pixel_nm)
        view = self._look(heights, pixel_nm=pixel_nm, tip=tip, mask=mask)
        depth, spread = answered(view.planes, self._session, stride=view.stride)
        surface = view.bound - np.maximum(np.float32(view.unit_nm) * depth, -view.slack)
        factor = self._model.temperature[int(view.noise_nm > QUIET * view.unit_nm)]
        sigma = np.hypot(np.exp(spread) * np.float32(factor * view.unit_nm), np.float32(LIFT_DOUBT * view.lift_nm))
        return Undone(surface, sigma, view.image, view.lift_nm)


def network_deconvolver(folder: Path | None = None, *, look: Look, recipe: int, threads: int = 1) -> NetworkDeconvolver:
    """Open the tip's network of a weights folder (afmd's own where None).

    ``recipe``: of the planes that ``look`` makes. Raises ``ModelError``, also where the network wants other planes.
    """
    model = load_manifest(folder).model("tip")
    if model.recipe != recipe:
        why = f"it wants planes of recipe {model.recipe}, and this afmd makes {recipe}"
        raise ModelError(f"weights {model.file}", why=why, mend="Take weights and afmd of one version")
    return NetworkDeconvolver(model, look=look, threads=threads)


def answered(planes: Image, session: Session, *, stride: int) -> Image:
    """Return the network's answers (2, rows, cols), by tiles, each of the interleaved grids for itself."""
    answers = np.empty((len(ANSWERS), *planes.shape[1:]), np.float32)
    for rows, cols in _interleaved(stride):
        answers[:, rows, cols] = tiled(
            np.ascontiguousarray(planes[:, rows, cols]), lambda tile: np.asarray(session.run(tile[None])[0])
        )
    return answers


def refuse_unlearned(tip: Tip, pixel_nm: tuple[float, float]) -> None:
    """Raise ``ModelError`` where the network would have to guess."""
    pitch = float(np.sqrt(pixel_nm[0] * pixel_nm[1]))
    mend = "Use the erosion or the certainty map for this scan"
    if not tip.radius_nm / pitch >= LEAST_RADIUS_PX:
        why = f"a radius of {tip.radius_nm:g} nm is {tip.radius_nm / pitch:.2f} pixels, too few to see its shape"
        raise ModelError("tip network", why=why, mend=mend)
    if not 1 / MOST_UNEVEN <= pixel_nm[0] / pixel_nm[1] <= MOST_UNEVEN:
        why = f"pixels of {pixel_nm[0]:g} × {pixel_nm[1]:g} nm are too far from square"
        raise ModelError("tip network", why=why, mend=mend)
    if tip.form is TipForm.CONE and not HALF_ANGLES_DEG[0] <= tip.half_angle_deg <= HALF_ANGLES_DEG[1]:
        why = f"it never saw a half-angle of {tip.half_angle_deg:g}°"
        raise ModelError("tip network", why=why, mend=mend)


def _interleaved(stride: int) -> Iterator[tuple[slice, slice]]:
    for down in range(stride):
        for across in range(stride):
            yield slice(down, None, stride), slice(across, None, stride)
