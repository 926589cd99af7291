"""How little of the machine afmd takes: few native threads, and priority below the microscope's own software.

Rule: thread counts are set before numpy is first imported, for the libraries read them once.
"""

import gc
import os
import sys
import threading

NATIVE_POOLS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
NICE_PROCESS = 5
NICE_WORKER = 10
THREAD_PRIORITY_BELOW_NORMAL = -1


def limit_native_threads(count: int) -> None:
    """Have BLAS and OpenMP use ``count`` threads, unless the environment already says how many."""
    for name in NATIVE_POOLS:
        os.environ.setdefault(name, str(count))


def limit_opencv_threads(count: int) -> None:
    """Have OpenCV, which reads no environment, use ``count`` threads."""
    import cv2

    cv2.setNumThreads(count)


def lower_process_priority() -> None:
    """Put this process below normal priority; every thread started later inherits it."""
    import psutil

    own = psutil.Process()
    if sys.platform == "win32":
        own.nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)
    elif own.nice() < NICE_PROCESS:
        own.nice(NICE_PROCESS)


def lower_thread_priority() -> None:
    """Put the calling thread below its process, so that number crunching yields to clients who are waiting."""
    if sys.platform == "win32":
        import ctypes

        kernel = ctypes.windll.kernel32
        kernel.GetCurrentThread.restype = ctypes.c_void_p
        kernel.SetThreadPriority(ctypes.c_void_p(kernel.GetCurrentThread()), THREAD_PRIORITY_BELOW_NORMAL)
    elif sys.platform == "linux":
        thread = threading.get_native_id()  # Linux keeps priority by thread, and takes a thread's id here
        if os.getpriority(os.PRIO_PROCESS, thread) < NICE_WORKER:
            os.setpriority(os.PRIO_PROCESS, thread, NICE_WORKER)


def give_memory_back() -> None:
    """Return to the system what the last scans left behind: 350 MB become 220 after six scans of 512² with pictures."""
    gc.collect()
    if sys.platform == "linux":
        import ctypes

        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's; others have none
        if trim is not None:
            trim(0)
