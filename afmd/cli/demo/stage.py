"""The demo's stage: folders and a real settings file. Rule: a user could have written every line of it."""

from dataclasses import dataclass
from pathlib import Path

SETTINGS = """\
# Written by `afmd demo`; `afmd serve --config service.toml` in this folder starts the same daemon again.
[capture]
folder = "capture"
settle_s = 0.3
stalled_s = 3.0               # a demo cannot wait ten minutes for a file that will never be finished
reconcile_s = 0.5

[outputs]
root = "restored"

[ledger]
path = "afmd.sqlite3"

[server]
port = 0                      # any free one

[metrics]
port = 0
"""


@dataclass(frozen=True, slots=True)
class Stage:
    """The folders of one demo."""

    folder: Path

    @property
    def capture(self) -> Path:
        """Where the microscope writes."""
        return self.folder / "capture"

    @property
    def restored(self) -> Path:
        """Where results go."""
        return self.folder / "restored"

    @property
    def config(self) -> Path:
        """The settings file."""
        return self.folder / "service.toml"


def built(out: Path | None) -> Stage:
    """Make the folders and the settings file in ``out``, or in a new temporary folder. Raises ``StorageError``."""
    import tempfile

    from afmd.errors import StorageError

    try:
        folder = Path(tempfile.mkdtemp(prefix="afmd-demo-")) if out is None else out.resolve()
        stage = Stage(folder)
        stage.capture.mkdir(parents=True, exist_ok=False)
        stage.config.write_text(SETTINGS, encoding="utf-8")
    except OSError as e:
        raise StorageError(
            f"demo folder {out}", why=e.strerror or str(e), mend="Give a folder that is new or empty"
        ) from e
    return stage
