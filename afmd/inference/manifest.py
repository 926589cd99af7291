"""The weights folder: which files, what they expect, how they were made, and whether they are still the same.

Rule: no network runs whose file's SHA-256 is not the manifest's.
"""

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal

from afmd.errors import ModelError
from afmd.inference import planes

MANIFEST: Final = "manifest.toml"
SCHEMA: Final = 1
NEVER: Final = 30.0
"""A cut that no logit passes."""
FETCH: Final = "Install afmd again, or set models.weights to a whole folder of weights"
Role = Literal["classifier", "segmenter", "tipchange", "tip"]
_ON_PLANES: Final = ("classifier", "segmenter")


@dataclass(frozen=True, slots=True)
class Model:
    """One entry of the manifest, its file not yet opened.

    ``temperature`` divides the logits (Guo et al. 2017); ``threshold`` is the probability below which a classifier
    abstains. ``looks_at`` is ``planes``, or ``summary`` for a head on what the segmenter of SHA-256 ``upon`` saw and
    on the scan's traits of recipe ``traits``. ``cuts`` are the logits from which a segmenter calls faults of each
    nature; a head's are those beside it, less ``trust`` times what it believes of each nature; from the log odds
    ``whole`` on, a fault of the field is taken to lie over the whole frame (see `Belief`). A tipchange's cuts are its
    `afmd.inference.tipchange.Limits`.
    ``trial`` says why the model does not yet stand in for the rules, or is empty. ``facts`` holds the rest for people:
    training command, seed, data, evaluation, licence.
    """

    role: Role
    name: str
    file: Path
    sha256: str
    recipe: int
    classes: tuple[str, ...]
    temperature: tuple[float, ...]
    bias: tuple[float, ...] = ()
    threshold: float = 0.0
    looks_at: str = "planes"
    upon: str = ""
    traits: int = 0
    cuts: tuple[float, ...] = ()
    trust: tuple[float, ...] = ()
    whole: float = NEVER
    trial: str = ""
    facts: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    def read(self) -> bytes:
        """Return the file's bytes, proven to be the manifest's. Raises ``ModelError``."""
        try:
            content = self.file.read_bytes()
        except OSError as e:
            raise ModelError(f"weights {self.file}", why=e.strerror or str(e), mend=FETCH) from e
        found = hashlib.sha256(content).hexdigest()
        if found != self.sha256:
            why = f"its SHA-256 is {found[:12]}…, and the manifest says {self.sha256[:12]}…"
            raise ModelError(f"weights {self.file}", why=why, mend=FETCH)
        return content


@dataclass(frozen=True, slots=True)
class Manifest:
    """All models of one folder."""

    folder: Path
    models: Mapping[Role, Model]

    def model(self, role: Role) -> Model:
        """Return the model of a role. Raises ``ModelError`` where the manifest has none, or one for other planes.

        What a tip's network or a tipchange's wants to be told is for its opener to check, who knows it.
        """
        if role not in self.models:
            raise ModelError(f"weights {self.folder}", why=f"{MANIFEST} names no {role}", mend=FETCH)
        model = self.models[role]
        if role in _ON_PLANES and model.recipe != planes.RECIPE:
            why = f"it wants planes of recipe {model.recipe}, and this afmd makes {planes.RECIPE}"
            raise ModelError(f"weights {self.folder}, {role}", why=why, mend="Take weights and afmd of one version")
        return model


def weights_folder() -> Path:
    """Return where the weights lie: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "weights"
    return installed if installed.is_dir() else package.parent / "weights"


def load_manifest(folder: Path | None = None) -> Manifest:
    """Read and check a folder's manifest; no weights are opened. Raises ``ModelError`` naming what is wrong."""
    folder = weights_folder() if folder is None else folder
    file = folder / MANIFEST
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as e:
        raise ModelError(f"weights {file}", why=e.strerror or str(e), mend=FETCH) from e
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise ModelError(f"weights {file}", why=str(e), mend=FETCH) from e
    if table.get("schema") != SCHEMA:
        raise ModelError(f"weights {file}", why=f"its schema is {table.get('schema')}, not {SCHEMA}", mend=FETCH)
    roles: tuple[Role, ...] = ("classifier", "segmenter", "tipchange", "tip")
    return Manifest(folder, {role: _model(role, table[role], file) for role in roles if role in table})


def _model(role: Role, entry: Mapping[str, Any], manifest: Path) -> Model:
    needed = ("name", "file", "sha256", "recipe", "classes", "temperature")
    missing = [key for key in needed if key not in entry]
    if missing:
        raise ModelError(f"weights {manifest}, {role}", why=f"{', '.join(missing)} missing", mend=FETCH)
    return Model(
        role=role, name=str(entry["name"]), file=manifest.parent / str(entry["file"]), sha256=str(entry["sha256"]),
        recipe=int(entry["recipe"]), classes=tuple(entry["classes"]), temperature=_numbers(entry["temperature"]),
        bias=_numbers(entry.get("bias", ())), threshold=float(entry.get("threshold", 0.0)),
        looks_at=str(entry.get("looks_at", "planes")), upon=str(entry.get("upon", "")),
        traits=int(entry.get("traits", 0)), cuts=_numbers(entry.get("cuts", ())),
        trust=_numbers(entry.get("trust", ())), whole=float(entry.get("whole", NEVER)),
        trial=str(entry.get("trial", "")), facts=MappingProxyType({k: v for k, v in entry.items() if k not in needed}),
    )  # fmt: skip


def _numbers(value: Any) -> tuple[float, ...]:
    return (float(value),) if isinstance(value, int | float) else tuple(float(v) for v in value)
