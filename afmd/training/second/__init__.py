"""A second virtual microscope, by another hand: models that learned from the first one alone expect its look.

Rule: it shares with the first one (`afmd.twin`) the names of faults and their classes, and no physics. The same seed
gives the same scan.
"""

from afmd.training.second.microscope import Recorded, scan

__all__ = ["RECIPE", "Recorded", "scan"]

RECIPE = 2
"""Changes with what is recorded: another recipe is another set of scans."""
