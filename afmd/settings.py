"""service.toml as frozen classes: one table, one class, units in the keys. The file equals these defaults.

Rule: nothing else reads TOML or environment; relative paths are taken from the settings file's own folder.
"""

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from afmd.domain.params import Params
from afmd.domain.tip import Tip, TipForm
from afmd.errors import InvalidInput, SettingsError


def _named(path: Path) -> Path:
    if path == Path():
        raise ValueError("it must name a path")
    return path


Named = Annotated[Path, AfterValidator(_named)]
Seconds = Annotated[float, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Capture(_Table):
    """The folder that the microscope writes to."""

    folder: Named = Path("capture")
    patterns: Annotated[tuple[str, ...], Field(min_length=1)] = ("*.[0-9][0-9][0-9]", "*.spm", "*.di", "*.txt")
    subfolders: bool = True
    settle_s: Seconds = 2.0
    stalled_s: Seconds = 600.0
    reconcile_s: Annotated[float, Field(gt=0)] = 5.0
    events: bool = True
    max_file_mib: Positive = 1024


class Outputs(_Table):
    """Where results go: one folder for each scan and repair."""

    root: Named = Path("restored")
    text: bool = True
    gwy: bool = True
    nanoscope: bool = True
    pictures: bool = True


class LedgerFile(_Table):
    """The SQLite file that holds what is known of every scan; a local disk only."""

    path: Named = Path("afmd.sqlite3")
    keep_events: Annotated[int, Field(ge=1000)] = 1_000_000


class Restore(_Table):
    """What every new scan gets: a preset and whatever differs from it."""

    preset: Literal["best", "published"] = "best"
    overrides: dict[str, bool | int | float | str] = Field(default_factory=dict)

    def params(self) -> Params:
        """Return the checked parameters. Raises ``InvalidInput``."""
        return Params(self.preset, **self.overrides)


class Models(_Table):
    """Who classifies and segments."""

    classifier: Literal["auto", "rules", "network"] = "auto"
    segmenter: Literal["auto", "rules", "network"] = "auto"
    weights: Path | None = None
    threads: Positive = 1


class Deconvolution(_Table):
    """Whether the tip's shape is removed, and which tip that is."""

    mode: Literal["off", "known", "estimated"] = "off"
    radius_nm: Annotated[float, Field(gt=0)] = 10.0
    radius_sigma_nm: Annotated[float, Field(ge=0)] = 0.0
    half_angle_deg: Annotated[float, Field(gt=0, lt=90)] = 20.0
    form: Literal["cone", "paraboloid", "pyramid"] = "cone"
    method: Literal["auto", "erosion", "certainty", "network"] = "auto"

    def tip(self) -> Tip | None:
        """Return the known tip, or None where each scan is to tell its own."""
        if self.mode != "known":
            return None
        return Tip(self.radius_nm, self.half_angle_deg, TipForm(self.form), self.radius_sigma_nm)


class Workers(_Table):
    """How much of the machine the daemon may take, and how often it tries."""

    count: Annotated[int, Field(ge=1, le=64)] = 1
    queue_length: Positive = 256
    below_normal_priority: bool = True
    stage_limit_s: Annotated[float, Field(gt=0)] = 300.0
    attempts: Positive = 3
    retry_s: Annotated[float, Field(gt=0)] = 30.0
    retries: Annotated[int, Field(ge=0)] = 80
    drain_s: Seconds = 60.0


class Server(_Table):
    """Where clients connect, and the bounds that keep one of them from hurting the others."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 50551
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None
    tokens: Path | None = None
    bookmark_s: Annotated[float, Field(gt=0)] = 5.0
    max_page: Annotated[int, Field(ge=1, le=10_000)] = 500
    max_streams: Positive = 256
    max_transfers: Positive = 16
    stall_s: Annotated[float, Field(gt=0)] = 60.0
    max_image_px: Annotated[int, Field(ge=64, le=8192)] = 4096
    chunk_kib: Annotated[int, Field(ge=16, le=1024)] = 1024

    @model_validator(mode="after")
    def _beyond_loopback_is_guarded(self) -> "Server":
        if self.host in {"127.0.0.1", "localhost", "::1"}:
            return self
        if not (self.tls_certificate and self.tls_key):
            raise ValueError(f"server.host {self.host} is not loopback, and that demands tls_certificate and tls_key")
        if not (self.tokens or self.tls_client_ca):
            raise ValueError(f"server.host {self.host} is not loopback, and that demands tokens or tls_client_ca")
        return self


class Metrics(_Table):
    """Prometheus metrics, on loopback only; port 0 is off."""

    port: Annotated[int, Field(ge=0, le=65535)] = 50552


class Log(_Table):
    """JSON lines; an empty file means standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    file: Path | None = None
    max_mib: Positive = 32
    keep_files: Annotated[int, Field(ge=0)] = 5


class Settings(_Table):
    """The whole of service.toml."""

    capture: Capture = Capture()
    outputs: Outputs = Outputs()
    ledger: LedgerFile = LedgerFile()
    restore: Restore = Restore()
    models: Models = Models()
    deconvolution: Deconvolution = Deconvolution()
    workers: Workers = Workers()
    server: Server = Server()
    metrics: Metrics = Metrics()
    log: Log = Log()

    @model_validator(mode="after")
    def _nothing_is_written_into_the_capture(self) -> "Settings":
        capture = self.capture.folder.resolve()
        written = {"outputs.root": self.outputs.root, "ledger.path": self.ledger.path, "log.file": self.log.file}
        for key, path in written.items():
            if path is not None and path.resolve().is_relative_to(capture):
                raise ValueError(f"{key} {path} lies inside capture.folder {self.capture.folder}")
        return self


def load(path: Path) -> Settings:
    """Read a settings file. Raises ``SettingsError`` naming the key."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as e:
        raise SettingsError(
            f"settings {path}", why="there is no such file", mend=f"Copy {shipped()}, which explains every setting"
        ) from e
    except OSError as e:
        raise SettingsError(f"settings {path}", why=e.strerror or str(e), mend="Give a readable file") from e
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise SettingsError(f"settings {path}", why=str(e), mend="Mend the TOML syntax") from e
    return parse(table, base=path.resolve().parent, source=str(path))


def shipped() -> Path:
    """Return the settings file that came with afmd: every setting, its default and what it means."""
    package = Path(__file__).resolve().parent
    installed = package / "service.toml"
    return installed if installed.exists() else package.parent / "service.toml"


def parse(table: dict[str, Any], *, base: Path, source: str = "settings") -> Settings:
    """Check a parsed TOML table; relative paths are taken from ``base``. Raises ``SettingsError``."""
    try:
        settings = Settings.model_validate(_anchored(table, base))
        settings.restore.params()
    except ValidationError as e:
        first = e.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise SettingsError(
            f"{source}, {key}" if key else source,
            why=first["msg"].removeprefix("Value error, "),
            mend="See the comments in the default service.toml",
        ) from e
    except InvalidInput as e:
        raise SettingsError(f"{source}, restore.overrides", why=f"{e.what}: {e.why}", mend=e.mend) from e
    return settings


_PATHS = {
    "capture": ("folder",),
    "outputs": ("root",),
    "ledger": ("path",),
    "models": ("weights",),
    "server": ("tls_certificate", "tls_key", "tls_client_ca", "tokens"),
    "log": ("file",),
}


def _anchored(table: dict[str, Any], base: Path) -> dict[str, Any]:
    """Return the table with every path made absolute, defaults included."""
    anchored = {name: dict(part) if isinstance(part, dict) else part for name, part in table.items()}
    for name, keys in _PATHS.items():
        part = anchored.setdefault(name, {})
        if not isinstance(part, dict):
            continue
        fields = Settings.model_fields[name].default
        for key in keys:
            default = getattr(fields, key)
            value = part.get(key, default)
            if value in (None, "") and default is None:
                part.pop(key, None)
            elif isinstance(value, str | Path) and value != "":
                part[key] = base / Path(value).expanduser()
    return anchored
