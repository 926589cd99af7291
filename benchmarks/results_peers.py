"""Levelling by other programs, for ``results.py``: Gwyddion's C library, and TopoStats and pySPM in a Python of theirs.

Rule: a peer that is not installed has no figures, and says so.
"""

import ctypes
import ctypes.util
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

Plane = np.ndarray
Method = Callable[[Plane, Plane], Plane]

EXCLUDE = 0
FACET_ROUNDS = 30

THEIRS = """
import logging, sys
from pathlib import Path
import numpy as np

logging.disable(logging.CRITICAL)
folder, peer = Path(sys.argv[1]), sys.argv[2]


def topostats():
    import yaml
    from importlib.resources import files
    from topostats.classes import TopoStats
    from topostats.filters import Filters

    config = yaml.safe_load(files("topostats").joinpath("default_config.yaml").read_text())["filter"]
    config.pop("run")

    def level(heights, pixel_nm):
        scan = TopoStats(image_original=heights.copy(), pixel_to_nm_scaling=pixel_nm, filename="scan")
        filters = Filters(scan, **{**config, "remove_scars": dict(config["remove_scars"])})
        filters.filter_image()
        return scan.image

    return {"TopoStats, default filters": level}


def pyspm():
    import pySPM

    def by(*steps):
        def level(heights, pixel_nm):
            real = {"unit": "nm", "x": heights.shape[1] * pixel_nm, "y": heights.shape[0] * pixel_nm}
            image = pySPM.SPM_image(heights.copy(), channel="Topography", real=real)
            for step in steps:
                getattr(image, step)()
            return image.pixels

        return level

    return {
        "pySPM, plane": by("correct_plane"),
        "pySPM, lines": by("correct_lines"),
        "pySPM, plane, median of differences": by("correct_plane", "correct_median_diff"),
    }


methods = {"topostats": topostats, "pyspm": pyspm}[peer]()
pitch = np.load(folder / "pitch.npy")
for number, (name, level) in enumerate(methods.items()):
    (folder / f"{peer}{number}.txt").write_text(name)
    for path in sorted(folder.glob("scan*.npy")):
        try:
            flat = np.asarray(level(np.load(path).astype(float), float(pitch[int(path.stem[4:])])))
        except Exception:
            continue
        np.save(folder / f"{peer}{number}_{path.stem[4:]}.npy", flat.astype(np.float32))
"""


def gwyddion() -> dict[str, Method]:
    """Return Gwyddion's levelling methods, or none where its library is absent; each takes heights and a mask.

    Aligning rows leaves the masked pixels out, as Gwyddion's own dialogue does; its planes know no mask here.
    """
    names = [ctypes.util.find_library(name) for name in ("gwyddion2", "gwyprocess2", "gobject-2.0")]
    if None in names:
        return {}
    _, library, gobject = (ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL) for name in names)
    library.gwy_process_type_init()
    field = _Fields(library, gobject)
    return {
        "Gwyddion, polynomial 2 × 2": field.polynomial,
        "Gwyddion, facet level": field.facet,
        "Gwyddion, plane, rows' medians": lambda heights, mask: field.rows("mean", heights, mask),
        "Gwyddion, plane, rows' median differences": lambda heights, mask: field.rows("diff", heights, mask),
    }


class _Fields:
    """Gwyddion's data fields, filled from arrays and read back."""

    def __init__(self, library: ctypes.CDLL, gobject: ctypes.CDLL) -> None:
        self.library, self.gobject = library, gobject
        pointer, integer, double = ctypes.c_void_p, ctypes.c_int, ctypes.c_double
        told = {
            "new": (pointer, [integer, integer, double, double, integer]),
            "get_data": (ctypes.POINTER(double), [pointer]),
            "fit_polynom": (ctypes.POINTER(double), [pointer, integer, integer, pointer]),
            "subtract_polynom": (None, [pointer, integer, integer, pointer]),
            "fit_plane": (None, [pointer, pointer, pointer, pointer]),
            "fit_facet_plane": (integer, [pointer, pointer, integer, pointer, pointer, pointer]),
            "plane_level": (None, [pointer, double, double, double]),
            "find_row_shifts_trimmed_mean": (pointer, [pointer, pointer, integer, double, integer]),
            "find_row_shifts_trimmed_diff": (pointer, [pointer, pointer, integer, double, integer]),
            "subtract_row_shifts": (None, [pointer, pointer]),
        }
        for name, (result, arguments) in told.items():
            function = getattr(library, f"gwy_data_field_{name}")
            function.restype, function.argtypes = result, arguments
        gobject.g_object_unref.argtypes = [pointer]

    def __getattr__(self, name: str) -> Callable[..., object]:
        return getattr(self.library, f"gwy_data_field_{name}")

    def polynomial(self, heights: Plane, mask: Plane) -> Plane:  # noqa: ARG002 knows no mask
        def level(field: int) -> None:
            coefficients = (ctypes.c_double * 9)()
            self.fit_polynom(field, 2, 2, coefficients)
            self.subtract_polynom(field, 2, 2, coefficients)

        return self._done(heights, level)

    def facet(self, heights: Plane, mask: Plane) -> Plane:  # noqa: ARG002 knows no mask
        def level(field: int) -> None:
            for _ in range(FACET_ROUNDS):
                self._plane(field, lambda *slopes: self.fit_facet_plane(field, None, 2, *slopes))

        return self._done(heights, level)

    def rows(self, how: str, heights: Plane, mask: Plane) -> Plane:
        def level(field: int) -> None:
            self._plane(field, lambda *slopes: self.fit_plane(field, *slopes))
            shield = self._filled(mask.astype(np.float64))
            find = getattr(self, f"find_row_shifts_trimmed_{how}")
            shifts = find(field, shield, EXCLUDE, 0.5, 0)
            self.subtract_row_shifts(field, shifts)
            self.gobject.g_object_unref(shield)
            self.gobject.g_object_unref(shifts)

        return self._done(heights, level)

    def _plane(self, field: int, fit: Callable[..., object]) -> None:
        slopes = [ctypes.c_double() for _ in range(3)]
        fit(*(ctypes.byref(slope) for slope in slopes))
        self.plane_level(field, *(slope.value for slope in slopes))

    def _done(self, heights: Plane, level: Callable[[int], None]) -> Plane:
        field = self._filled(heights)
        level(field)
        result = np.ctypeslib.as_array(self.get_data(field), shape=heights.shape).astype(np.float32)
        self.gobject.g_object_unref(field)
        return result

    def _filled(self, values: Plane) -> int:
        rows, cols = values.shape
        field = self.new(cols, rows, float(cols), float(rows), 0)
        np.ctypeslib.as_array(self.get_data(field), shape=values.shape)[:] = values
        return field


def by_other_python(
    python: str, scans: Sequence[tuple[Plane, float]], *, timeout_s: float
) -> tuple[dict[str, list[Plane | None]], list[str]]:
    """Return by method the levelled scans, None where the peer failed on one, and what cannot be run here.

    ``python``: an interpreter that has ``topostats`` and ``pySPM``. ``scans``: heights in nm and pixel pitch in nm.
    """
    found: dict[str, list[Plane | None]] = {}
    absent = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.save(folder / "pitch.npy", [pitch for _, pitch in scans])
        for number, (heights, _) in enumerate(scans):
            np.save(folder / f"scan{number:05d}.npy", heights)
        for peer in ("topostats", "pyspm"):
            why = _ran(python, folder, peer, timeout_s=timeout_s)
            if why:
                absent.append(f"{peer}: {why}")
                continue
            for label in sorted(folder.glob(f"{peer}?.txt")):
                paths = [folder / f"{label.stem}_{number:05d}.npy" for number in range(len(scans))]
                found[label.read_text()] = [np.load(path) if path.exists() else None for path in paths]
    return found, absent


def _ran(python: str, folder: Path, peer: str, *, timeout_s: float) -> str:
    """Let one peer level all scans; return why it did not, or nothing."""
    try:
        told = subprocess.run(
            [python, "-c", THEIRS, folder, peer], capture_output=True, text=True, check=False, timeout=timeout_s
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return told.stderr.strip().rsplit("\n", 1)[-1] if told.returncode else ""
