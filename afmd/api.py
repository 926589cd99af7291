"""The Python API: what ``import afmd`` offers. Rule: each call is one short composition of the rooms below."""

import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from afmd.domain.exclusions import Exclusion, Freehand
from afmd.domain.findings import Classification, Segmentation
from afmd.domain.params import Params
from afmd.domain.result import Deconvolved, Filled, Restoration
from afmd.domain.scan import Scan, checked_heights, checked_mask, checked_pitch
from afmd.domain.tip import Tip, TipEstimate
from afmd.domain.tip_method import TipMethod
from afmd.errors import InvalidInput

if TYPE_CHECKING:
    from afmd.compose import Backends

Exclude = Exclusion | Sequence[Exclusion] | ArrayLike | None


def read(path: str | Path) -> Scan:
    """Read a NanoScope file: every channel, heights float32 (rows, cols) in nm with row 0 at the top.

    Raises a ``ScanError`` that names why a file holds no usable scan, ``StorageError`` where it cannot be read.
    """
    from afmd.files.nanoscope import read_scan

    return read_scan(Path(path))


def classify(scan: Scan, params: Params | None = None) -> Classification:
    """Return ``label``, ``probabilities``, ``abstained`` and the ``backend`` that spoke.

    Lines that were never scanned are left out. A frame that is too small for a class abstains, all alike probable.
    """
    from afmd.pipeline.blank import Cut
    from afmd.pipeline.stages import classified

    return classified(Cut.of(scan).part, params=params or Params(), classifier=_backends().classifier)


def segment(scan: Scan, params: Params | None = None) -> Segmentation:
    """Return ``probability``, ``raw_mask`` and ``mask``, each of the scan's shape, True = spoilt.

    Lines that were never scanned are spoilt for sure.
    """
    from afmd.pipeline.blank import Cut
    from afmd.pipeline.stages import segmented

    cut = Cut.of(scan)
    return cut.masks(segmented(cut.part, params=params or Params(), segmenter=_backends().segmenter)[0])


def restore(scan: Scan, params: Params | None = None, exclude: Exclude = None) -> Restoration:
    """Return the restored scan; ``scan`` is not changed.

    ``exclude``: regions kept out of every levelling fit: one ``Rectangle``, ``Polygon`` or ``Freehand``, a sequence
    of them, or a bool (rows, cols) mask, True = excluded. Raises ``InvalidInput``, ``CannotLevel``.
    """
    from afmd.pipeline.restore import restore as run

    own = _backends()
    return run(
        scan, params=params or Params(), exclusions=_exclusions(exclude), classifier=own.classifier,
        segmenter=own.segmenter, clock=time.perf_counter,
    )  # fmt: skip


def flatten(
    heights: ArrayLike,
    *,
    pixel_nm: float | tuple[float, float],
    mask: ArrayLike | None = None,
    params: Params | None = None,
) -> NDArray[np.float32]:
    """Return new levelled heights, float32 nm.

    ``heights`` (rows, cols) nm; ``pixel_nm`` pitch in nm, one number or (down, across); ``mask`` True = no vote in
    the fit. Raises ``InvalidInput``, ``CannotLevel``.
    """
    from afmd.science.flatten import level

    own = checked_heights(heights)
    ground = ~_mask_or_none(mask, own.shape)
    return level(own, pixel_nm=checked_pitch(pixel_nm), ground=ground, params=params or Params()).heights


def inpaint(
    heights: ArrayLike,
    mask: ArrayLike,
    *,
    pixel_nm: float | tuple[float, float],
    retrace: ArrayLike | None = None,
    params: Params | None = None,
) -> Filled:
    """Return ``heights`` with the masked pixels filled, and their ``sigma``, both float32 (rows, cols) nm.

    ``heights`` (rows, cols) nm, levelled; ``mask`` True = to fill; ``retrace``: the opposite pass in the same
    orientation, levelled or not: what it saw in a hole is the strongest evidence there is. Raises ``InvalidInput``.
    """
    from afmd.science.inpaint import fill
    from afmd.science.mask import stripe_part

    own, asked = checked_heights(heights), params or Params()
    holes = checked_mask(mask, shape=own.shape)
    return fill(
        own, holes, method=asked.fill, pixel_nm=checked_pitch(pixel_nm), radius=asked.radius,
        stripes=stripe_part(holes, ar=asked.ar), other_pass=_pass_or_none(retrace, own.shape),
    )  # fmt: skip


def estimate_tip(
    heights: ArrayLike, *, pixel_nm: float | tuple[float, float], mask: ArrayLike | None = None
) -> TipEstimate:
    """Return what a picture tells of the tip that took it: radius with its spread, half-angle, or why it cannot tell.

    ``heights`` (rows, cols) nm, levelled; ``mask`` True = a height that means nothing. Raises ``InvalidInput``.
    """
    from afmd.science.tip import estimated

    own = checked_heights(heights)
    return estimated(own, pixel_nm=checked_pitch(pixel_nm), trusted=~_mask_or_none(mask, own.shape))


def deconvolve(
    heights: ArrayLike,
    *,
    pixel_nm: float | tuple[float, float],
    tip: Tip | None = None,
    mask: ArrayLike | None = None,
    method: str = "auto",
) -> Deconvolved:
    """Return ``surface``, ``sigma``, ``touched`` and ``tip``: the picture without the shape of its tip, in nm.

    ``heights`` (rows, cols) nm, levelled; ``tip`` None is estimated, and its spread enters ``sigma``; ``mask`` True =
    a height that means nothing; ``method`` one of ``TipMethod``. Where pixels are too coarse for the tip, or the
    picture does not tell it, the heights come back as they are, and ``refusal`` says why.
    Raises ``InvalidInput``, ``ModelError`` where the network is demanded and there is none for this tip.
    """
    from afmd import compose, settings
    from afmd.pipeline.deconvolution import TipPlan, deconvolved

    if method not in tuple(TipMethod):
        raise InvalidInput(
            f"method {method!r}", why="there is none of that name", mend=f"Use one of {', '.join(TipMethod)}",
            field="method",
        )  # fmt: skip
    own, asked = checked_heights(heights), TipMethod(method)
    plan = TipPlan(tip, asked, compose.tip_network(settings.Models(), asked, []))
    return deconvolved(own, pixel_nm=checked_pitch(pixel_nm), mask=_mask_or_none(mask, own.shape), plan=plan)


@cache
def _backends() -> "Backends":
    from afmd import compose, settings

    return compose.backends(settings.Models())


def _pass_or_none(retrace: ArrayLike | None, shape: tuple[int, ...]) -> NDArray[np.float32] | None:
    if retrace is None:
        return None
    other = checked_heights(retrace, name="retrace")
    if other.shape != shape:
        raise InvalidInput(
            "retrace", why=f"shape {other.shape} is not that of the heights {shape}",
            mend="Give the whole other pass", field="retrace",
        )  # fmt: skip
    return other


def _mask_or_none(mask: ArrayLike | None, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    return np.zeros(shape, dtype=bool) if mask is None else checked_mask(mask, shape=shape)


def _exclusions(exclude: Exclude) -> tuple[Exclusion, ...]:
    """Return any form of ``exclude`` as a tuple of regions; whatever is no region is taken for a mask."""
    if exclude is None:
        return ()
    if hasattr(exclude, "painted"):
        return (cast("Exclusion", exclude),)
    if isinstance(exclude, list | tuple) and all(hasattr(one, "painted") for one in exclude):
        return tuple(exclude)
    return (Freehand(cast("ArrayLike", exclude)),)
