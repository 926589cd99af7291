"""afmd: judge, level and repair atomic force microscope scans.

The names below are the whole public Python API; each is imported when first used, so ``import afmd`` is cheap.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "AfmdError": "afmd.errors",
    "Deconvolved": "afmd.domain.result",
    "Filled": "afmd.domain.result",
    "Freehand": "afmd.domain.exclusions",
    "Label": "afmd.domain.findings",
    "Params": "afmd.domain.params",
    "Polygon": "afmd.domain.exclusions",
    "Rectangle": "afmd.domain.exclusions",
    "Restoration": "afmd.domain.result",
    "Scan": "afmd.domain.scan",
    "Tip": "afmd.domain.tip",
    "TipEstimate": "afmd.domain.tip",
    "classify": "afmd.api",
    "deconvolve": "afmd.api",
    "estimate_tip": "afmd.api",
    "flatten": "afmd.api",
    "inpaint": "afmd.api",
    "read": "afmd.api",
    "restore": "afmd.api",
    "segment": "afmd.api",
}

__all__ = [
    "AfmdError", "Deconvolved", "Filled", "Freehand", "Label", "Params", "Polygon", "Rectangle", "Restoration", "Scan",
    "Tip", "TipEstimate", "__version__", "classify", "deconvolve", "estimate_tip", "flatten", "inpaint", "read",
    "restore", "segment",
]  # fmt: skip

if TYPE_CHECKING:
    from afmd.api import classify, deconvolve, estimate_tip, flatten, inpaint, read, restore, segment
    from afmd.domain.exclusions import Freehand, Polygon, Rectangle
    from afmd.domain.findings import Label
    from afmd.domain.params import Params
    from afmd.domain.result import Deconvolved, Filled, Restoration
    from afmd.domain.scan import Scan
    from afmd.domain.tip import Tip, TipEstimate
    from afmd.errors import AfmdError


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'afmd' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
