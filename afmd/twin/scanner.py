"""The scanner: everything smooth, or constant along a line, that the microscope adds to the heights.

Rule: what is made here is ground truth for levelling; it is reported as ``background``.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from afmd.twin.draw import Draw
from afmd.twin.grid import Heights


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """``background``: (2, rows, cols) nm, trace and retrace, rows in the order of time.

    ``shift_px``: how far the retrace lies beside the trace at each column (cols,). ``jitter_px``: how far each line
    lies beside where it should (2, rows), under one pixel.
    """

    background: Heights
    shift_px: NDArray[np.float64]
    jitter_px: NDArray[np.float64]


def scanner_field(draw: Draw, shape: tuple[int, int], *, relief_nm: float, noise_nm: float, frame_nm: float) -> Field:
    """Draw tilt, bow, drift, creep, line offsets and hysteresis for one frame."""
    rows, cols = shape
    down, across = np.linspace(-0.5, 0.5, rows)[:, None], np.linspace(-0.5, 0.5, cols)[None, :]
    smooth = _tilt(draw, down, across, relief_nm=relief_nm, frame_nm=frame_nm)
    smooth = smooth + _bow(draw, down, across, relief_nm=relief_nm, frame_nm=frame_nm)
    lines = _drift(draw, rows, relief_nm=relief_nm) + _offsets(draw, rows, relief_nm=relief_nm, noise_nm=noise_nm)
    slopes = draw.log("line_slope_share", 1e-4, 0.02) * relief_nm * _alike(draw, "slopes_apart", rows)
    passes = smooth + lines[..., None] + slopes[..., None] * across
    turn = _turnaround(draw, cols, relief_nm=relief_nm)
    between = draw.log("retrace_offset_share", 1e-3, 0.1) * relief_nm * draw.rng.choice([-1.0, 1.0])
    sag = 4 * between * draw.rng.normal() * (across**2 - 0.25)
    jitter = draw.log("jitter_px", 0.01, 0.25) * draw.rng.standard_normal((2, rows))
    background = passes + np.stack([turn + 0 * across, turn[::-1] + between + sag])
    return Field(background, _hysteresis(draw, cols), jitter)


def _tilt(draw: Draw, down: Heights, across: Heights, *, relief_nm: float, frame_nm: float) -> Heights:
    """A plane: a sample never lies flat (fractions of a degree up to 3°), but small scans show it less than relief."""
    steepest = np.radians(draw.log("tilt_deg", 0.02, 6.0)) * frame_nm
    height = min(steepest, draw.log("tilt_over_relief_at_most", 0.1, 60.0) * relief_nm)
    angle = draw.uniform("tilt_direction_deg", 0, 360)
    return np.asarray(height * (np.sin(np.radians(angle)) * down + np.cos(np.radians(angle)) * across))


def _bow(draw: Draw, down: Heights, across: Heights, *, relief_nm: float, frame_nm: float) -> Heights:
    """A tube scanner's arc: sagitta frame² / 8 ℓ with ℓ of centimetres, plus a weaker cubic term."""
    sagitta = frame_nm**2 / (8 * draw.log("scanner_length_mm", 5, 200) * 1e6)
    height = sagitta + draw.log("bow_share", 1e-3, 0.8) * relief_nm
    share = draw.uniform("bow_slow_share", 0.0, 1.0)
    cubic = draw.uniform("cubic_share", -0.5, 0.5)
    fast = 4 * across**2 + cubic * 8 * across**3
    return np.asarray(-height * (fast + share * (4 * down**2)) * (1 if draw.chance("bow_up", 0.7) else -1))


def _turnaround(draw: Draw, cols: int, *, relief_nm: float) -> NDArray[np.float64]:
    """Where a pass begins the scanner still swings from its turn: a bend that fades within some per cent of a line."""
    height = draw.log("turn_share", 1e-4, 0.1) * relief_nm * draw.rng.choice([-1.0, 1.0])
    return np.asarray(height * np.exp(-np.arange(cols) / (draw.log("turn_length_share", 0.005, 0.08) * cols)))


def _drift(draw: Draw, rows: int, *, relief_nm: float) -> NDArray[np.float64]:
    """Thermal drift and piezo creep along the slow axis: a decaying start and a random walk."""
    time = np.linspace(0, 1, rows)
    start = draw.log("creep_share", 1e-3, 3.0) * relief_nm * draw.rng.choice([-1.0, 1.0])
    creep = start * np.exp(-time / draw.log("creep_time_share", 0.03, 1.0))
    walk = np.cumsum(draw.rng.standard_normal(rows)) / np.sqrt(rows)
    return np.asarray(creep + draw.log("walk_share", 1e-4, 1.5) * relief_nm * walk)


def _offsets(draw: Draw, rows: int, *, relief_nm: float, noise_nm: float) -> NDArray[np.float64]:
    """What each line starts with in each pass, (2, rows): white, with a few heavier steps that stay (a small slip)."""
    spread = min(draw.log("line_offset_over_noise", 0.02, 6.0) * noise_nm, 0.06 * relief_nm)
    white = spread * _alike(draw, "offsets_apart", rows, freedom=4)
    slips = (draw.rng.random(rows) < draw.log("slips_per_line", 1e-4, 0.02)) * draw.rng.standard_normal(rows)
    return np.asarray(white + draw.log("slip_share", 1e-3, 0.05) * relief_nm * np.cumsum(slips))


def _hysteresis(draw: Draw, cols: int) -> NDArray[np.float64]:
    """Open-loop piezos pass the same point at other voltages: the retrace is displaced most in mid-line.

    Some controllers start the passes apart as well: real ones lie up to 14 pixels of 256 beside each other.
    """
    most = draw.log("hysteresis_share", 1e-4, 0.03) * cols
    skew = draw.uniform("hysteresis_skew", -0.7, 0.7)
    constant = draw.uniform("retrace_shift_px", -1.0, 1.0)
    if draw.chance("retrace_starts_apart", 0.35):
        constant += draw.log("retrace_apart_share", 0.004, 0.055) * cols * draw.rng.choice([-1.0, 1.0])
    across = np.linspace(-1, 1, cols)
    return np.asarray(constant + most * (1 - across**2) * (1 + skew * across))


def _alike(draw: Draw, name: str, rows: int, *, freedom: float = 1e3) -> NDArray[np.float64]:
    """A number for each line of each pass, (2, rows): by a drawn share of the line, or of the pass alone."""
    apart = draw.uniform(name, 0.0, 1.0)
    of_line, of_pass = draw.rng.standard_t(freedom, rows), draw.rng.standard_t(freedom, (2, rows))
    return np.asarray(np.sqrt(1 - apart) * of_line + np.sqrt(apart) * of_pass)
