"""Fillings of least bending and of least slope: sparse solves over the masked pixels alone.

Rule: the frame's border is free, so that a hole at the edge is continued, not pinned. Each returns the masked pixels'
heights, float32 nm, in row-major order.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse.linalg import splu

from afmd.science.inpaint.gaps import Heights, Mask, typical

CROSS = ndimage.generate_binary_structure(2, 1)


def laplace(heights: Heights, mask: Mask, *, pixel_nm: tuple[float, float]) -> NDArray[np.float32]:
    """Fill with the membrane of least squared slope: harmonic in the holes, equal to the data at their edges."""
    rows = np.flatnonzero(mask)
    return _solved(_laplacian(rows, mask.shape, pixel_nm), heights, mask, squared=False)


def biharmonic(heights: Heights, mask: Mask, *, pixel_nm: tuple[float, float]) -> NDArray[np.float32]:
    """Fill with the plate of least squared Laplacian: it carries slopes over the holes' edges."""
    rows = np.flatnonzero(ndimage.binary_dilation(mask, CROSS))
    return _solved(_laplacian(rows, mask.shape, pixel_nm), heights, mask, squared=True)


def _laplacian(rows: NDArray[np.intp], shape: tuple[int, ...], pixel_nm: tuple[float, float]) -> sparse.csr_array:
    """Return the Laplacian of the pixels ``rows`` (flat indices), (rows, all pixels), with no flow over the border."""
    cols = shape[1]
    at = np.arange(len(rows))
    down, across = (min(pixel_nm) / pitch for pitch in pixel_nm)
    entries = []
    for step, weight, there in (
        (-cols, down**2, rows >= cols),
        (cols, down**2, rows < (shape[0] - 1) * cols),
        (-1, across**2, rows % cols > 0),
        (1, across**2, rows % cols < cols - 1),
    ):
        entries.append((at[there], rows[there] + step, np.full(np.count_nonzero(there), weight)))
        entries.append((at[there], rows[there], np.full(np.count_nonzero(there), -weight)))
    row, col, value = (np.concatenate(part) for part in zip(*entries, strict=True))
    return sparse.csr_array((value, (row, col)), shape=(len(rows), shape[0] * cols))


def _solved(operator: sparse.csr_array, heights: Heights, mask: Mask, *, squared: bool) -> NDArray[np.float32]:
    middle = typical(heights, mask)
    known = np.where(mask, 0, heights.astype(np.float64) - middle).reshape(-1)
    inside = operator.tocsc()[:, np.flatnonzero(mask)]
    pull = operator @ known
    system, right = (inside.T @ inside, -(inside.T @ pull)) if squared else (inside, -pull)
    solved = splu(system.tocsc(), permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True}).solve(right)
    return (solved + middle).astype(np.float32)
