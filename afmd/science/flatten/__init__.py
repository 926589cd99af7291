"""Levelling: take the scanner out of the heights and leave the sample. Rule: only trusted ground has a vote.

``level`` is the one door; ``METHODS`` is the table of everything that can be asked for. ``bars_in`` tells of bars along
the lines, which only levelling can tell from lost lines.
"""

from afmd.science.flatten.barred import bars_in
from afmd.science.flatten.levelling import METHODS, level
from afmd.science.flatten.terms import Levelled

__all__ = ["METHODS", "Levelled", "bars_in", "level"]
