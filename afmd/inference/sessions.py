"""ONNX Runtime sessions, so configured that they stay out of the microscope's way.

Rule: one thread unless asked, no spinning, one session for each file. All share one arena, without which a tenth of the
time goes into page faults; it gives memory back only when asked (`rest`).
"""

import threading
from functools import cache
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from afmd.errors import ModelError
from afmd.inference.manifest import FETCH, Model

Array = NDArray[np.float32]

AS_REQUESTED = 1
"""ONNX Runtime's name for an arena that grows by what is asked, not by powers of two (``kSameAsRequested``)."""
STAMP_PX = 32
"""Side of the smallest image that every network takes."""

_sessions: dict[tuple[str, int], "Session"] = {}
_lock = threading.Lock()


class Session:
    """A network ready to run; safe to call from several threads."""

    def __init__(self, model: Model, *, threads: int) -> None:
        content = model.read()
        try:
            self._runtime = onnxruntime.InferenceSession(
                content, sess_options=_options(threads), providers=["CPUExecutionProvider"]
            )
        except Exception as e:  # ONNX Runtime's own errors have no common base
            raise ModelError(f"weights {model.file}", why=f"ONNX Runtime refuses them ({e})", mend=FETCH) from e
        self._input: str = self._runtime.get_inputs()[0].name

    def run(self, batch: Array) -> Array:
        """Return the first output for a batch (n, …), float32."""
        return self.all(batch)[0]

    def all(self, batch: Array) -> list[Array]:
        """Return every output for a batch (n, …), float32."""
        outputs: list[Array] = self._runtime.run(None, {self._input: batch})
        return outputs

    def rest(self) -> None:
        """Let the arena give back what no run needs any more; ONNX Runtime does so only at the end of a run."""
        shape = [side if isinstance(side, int) else STAMP_PX for side in self._runtime.get_inputs()[0].shape]
        options = onnxruntime.RunOptions()
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        self._runtime.run(None, {self._input: np.zeros(shape, np.float32)}, options)


def shared_session(model: Model, *, threads: int = 1) -> Session:
    """Return the one session of this process for these weights. Raises ``ModelError``."""
    key = (model.sha256, threads)
    with _lock:
        if key not in _sessions:
            _share_an_arena()
            _sessions[key] = Session(model, threads=threads)
        return _sessions[key]


def rest() -> None:
    """Give back the memory that the last runs took; the arena is shared, so that any session's run will do."""
    with _lock:
        one = next(iter(_sessions.values()), None)
    if one is not None:
        one.rest()


def runtime_version() -> str:
    """Return ONNX Runtime's version, for the record."""
    return str(onnxruntime.__version__)


@cache
def _share_an_arena() -> None:
    """Set up the process's one arena, which takes no more from the system than is asked of it."""
    kind, memory = onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, onnxruntime.OrtMemType.DEFAULT
    place = onnxruntime.OrtMemoryInfo("Cpu", kind, 0, memory)
    onnxruntime.create_and_register_allocator(place, onnxruntime.OrtArenaCfg(0, AS_REQUESTED, -1, -1))


def _options(threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.enable_mem_pattern = False
    # weights outside the arena: a block that holds one could never be given back
    options.add_session_config_entry("session.use_device_allocator_for_initializers", "1")
    options.add_session_config_entry("session.use_env_allocators", "1")
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return options
