"""ONNX Runtime sessions, so configured that they stay out of the microscope's way.

Rule: one thread unless asked, no spinning, one session for each file, fitted to the shape that it sees: where shapes
are known, ONNX Runtime joins operations that it keeps apart otherwise, a tenth of the time and an image of 16 channels.
All share one arena, without which a tenth of the time goes into page faults; it gives memory back only when asked
(`rest`).
"""

import math
import threading
from functools import cache
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from afmd.errors import ModelError
from afmd.inference.manifest import FETCH, Model

Array = NDArray[np.float32]

STAMP_PX = 32
"""Side of the smallest image that every network takes."""
AS_REQUESTED = 1
"""ONNX Runtime's name for an arena that grows by what is asked, not by powers of two (``kSameAsRequested``)."""

_sessions: dict[tuple[str, int], "Session"] = {}
_lock = threading.Lock()


class Session:
    """A network ready to run; safe to call from several threads.

    A batch of another shape than the last costs a third of a run on 512² more, once. The weights are kept for that: a
    file that was changed since would not be the network that this process signs with.
    """

    def __init__(self, model: Model, *, threads: int) -> None:
        self._model, self._threads = model, threads
        self._content = model.read()
        self._fitting = threading.Lock()
        self._runtime: Any = self._opened({})
        self._input = self._runtime.get_inputs()[0]
        self._shape: tuple[int, ...] | None = None

    def run(self, batch: Array) -> Array:
        """Return the first output for a batch (n, …), float32."""
        return self.all(batch)[0]

    def all(self, batch: Array) -> list[Array]:
        """Return every output for a batch (n, …), float32."""
        outputs: list[Array] = self._fitted(batch.shape).run(None, {self._input.name: batch})
        return outputs

    def rest(self) -> None:
        """Let the arena give back what no run needs any more; ONNX Runtime does so only at the end of a run."""
        options = onnxruntime.RunOptions()
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        nothing = np.zeros(self.shape, np.float32)
        self._fitted(nothing.shape).run(None, {self._input.name: nothing}, options)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the last batch; before the first, the least that the network takes."""
        return self._shape or tuple(side if isinstance(side, int) else STAMP_PX for side in self._input.shape)

    def _fitted(self, shape: tuple[int, ...]) -> Any:
        """Return a runtime for batches of one shape: the last one, or a new one in its place."""
        with self._fitting:
            if self._shape != shape:
                free = {
                    name: side for name, side in zip(self._input.shape, shape, strict=True) if isinstance(name, str)
                }
                if free or self._runtime is None:
                    self._runtime, self._shape = None, None  # before the next: the two need not lie side by side
                    self._runtime = self._opened(free)
                self._shape = shape
            return self._runtime

    def _opened(self, sides: dict[str, int]) -> Any:
        """Return a runtime with some free sides of the input fixed. Raises ``ModelError``."""
        options = _options(self._threads)
        for name, side in sides.items():
            options.add_free_dimension_override_by_name(name, side)
        try:
            return onnxruntime.InferenceSession(self._content, options, providers=["CPUExecutionProvider"])
        except Exception as e:  # ONNX Runtime's own errors have no common base
            why = f"ONNX Runtime refuses them ({e})"
            raise ModelError(f"weights {self._model.file}", why=why, mend=FETCH) from e


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
        least = min(_sessions.values(), key=lambda session: math.prod(session.shape), default=None)
    if least is not None:
        least.rest()


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
