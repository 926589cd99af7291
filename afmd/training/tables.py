"""Tables for people and the same numbers for programs."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from afmd.files.disk import storage_errors


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table; every column but the first is aligned to the right."""
    lines = [f"| {' | '.join(columns)} |", "|---" + "|---:" * (len(columns) - 1) + "|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)]) + "\n"


def write_json(file: Path, value: Any) -> None:
    """Write nested values; NaN becomes null, for JSON has none. Raises ``StorageError``."""
    with storage_errors(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(_finite(value), indent=1, allow_nan=False) + "\n", encoding="utf-8")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(own) for key, own in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(own) for own in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
