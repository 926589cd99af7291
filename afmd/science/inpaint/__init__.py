"""Filling of masked pixels, with a standard deviation for each. Rule: outside the mask no bit changes."""

from afmd.science.inpaint.filling import METHODS, fill

__all__ = ["METHODS", "fill"]
