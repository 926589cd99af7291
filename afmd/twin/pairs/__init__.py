"""Pairs for tip deconvolution: what a known tip recorded, and the surface that it touched. Same seed, same pair.

The door is `pair` with one of the recipes; `PAPER_B` is the published virtual data, `TRAINING` and the rest are wider.
"""

from afmd.twin.pairs.kinds import KINDS, PAPER_KINDS
from afmd.twin.pairs.making import Pair, imaged, pair
from afmd.twin.pairs.recipes import PAPER_B, TRAINING, PairRecipe, paper_b

__all__ = ["KINDS", "PAPER_B", "PAPER_KINDS", "TRAINING", "Pair", "PairRecipe", "imaged", "pair", "paper_b"]
