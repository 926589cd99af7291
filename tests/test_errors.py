"""The tree of errors: drawn in full, each with what, why, mend, a stable reason and a way through pickling."""

import inspect
import pickle
import re

import pytest

from afmd import errors
from afmd.errors import AfmdError, HistoryGone, InvalidInput

ALL = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, AfmdError)]
CODES = {
    "internal", "invalid_argument", "failed_precondition", "unavailable", "not_found", "out_of_range",
    "resource_exhausted", "unauthenticated", "permission_denied", "deadline_exceeded",
}  # fmt: skip


@pytest.mark.parametrize("kind", ALL)
def test_the_tree_in_the_docstring_draws_every_error_with_its_code_and_exit_status(kind):
    line = re.search(rf"(?m)^.*[├└─│ ]*\b{kind.__name__}\b +(.*)$", errors.__doc__)
    assert line, f"{kind.__name__} is not drawn"
    if "code" in vars(kind):
        assert line[1].split()[:2] == [kind.code, str(kind.exit_status)]


@pytest.mark.parametrize("kind", ALL)
def test_an_error_says_what_why_and_mend_and_survives_pickling(kind):
    error = kind("scan a.spm", why="it is empty", mend="Copy it again")

    again = pickle.loads(pickle.dumps(error))

    assert str(error) == str(again) == "scan a.spm: it is empty. Copy it again."
    assert type(again) is kind
    assert kind.code in CODES
    assert kind.exit_status > 0


def test_reasons_are_stable_and_each_its_own():
    reasons = {kind("", why="", mend="").reason for kind in ALL}

    assert len(reasons) == len(ALL)
    assert {"NOT_AN_IMAGE", "NOT_NANO_SCOPE", "LIMIT_REACHED", "INTERNAL"} <= reasons


def test_what_an_error_carries_besides_is_kept_by_pickling():
    gone = HistoryGone("events", why="old", mend="List", oldest=7)
    bad = InvalidInput("thr", why="high", mend="Lower it", field="thr")

    assert pickle.loads(pickle.dumps(gone)).oldest == 7
    assert pickle.loads(pickle.dumps(bad)).field == "thr"
