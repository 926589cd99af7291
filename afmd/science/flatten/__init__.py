"""Levelling: take the scanner out of the heights and leave the sample. Rule: only trusted ground has a vote.

``level`` is the one door; ``METHODS`` is the table of everything that can be asked for.
"""

from afmd.science.flatten.levelling import METHODS, level
from afmd.science.flatten.terms import Jump, Levelled

__all__ = ["METHODS", "Jump", "Levelled", "level"]
