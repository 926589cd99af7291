"""Limits, each tried in a process of its own: they cannot be taken back."""

import subprocess
import sys

import pytest

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="priorities by thread are Linux's")


def told(program: str) -> list[str]:
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return run.stdout.split()


@linux_only
def test_the_process_and_more_so_its_workers_give_way() -> None:
    program = """
import os, threading
from afmd.runtime.limits import lower_process_priority, lower_thread_priority
def nice(): print(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
def work(): lower_thread_priority(); nice()
lower_process_priority()
for target in (work, nice):
    t = threading.Thread(target=target); t.start(); t.join()
nice()
"""
    assert told(program) == ["10", "5", "5"]


@linux_only
def test_a_priority_that_is_lower_already_is_left_alone() -> None:
    program = """
import os, psutil
from afmd.runtime.limits import lower_process_priority
os.nice(15); lower_process_priority(); print(psutil.Process().nice())
"""
    assert told(program) == ["15"]


def test_native_threads_are_limited_unless_the_environment_says_otherwise() -> None:
    program = """
import os
os.environ.pop("OMP_NUM_THREADS", None); os.environ["OPENBLAS_NUM_THREADS"] = "3"
from afmd.runtime.limits import limit_native_threads
limit_native_threads(1)
print(os.environ["OMP_NUM_THREADS"], os.environ["OPENBLAS_NUM_THREADS"])
"""
    assert told(program) == ["1", "3"]


def test_opencv_gets_as_many_threads_as_it_is_told() -> None:
    program = """
from afmd.runtime.limits import limit_opencv_threads
limit_opencv_threads(1)
import cv2; print(cv2.getNumThreads())
"""
    assert told(program) == ["1"]
