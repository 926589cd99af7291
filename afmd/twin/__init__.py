"""The virtual microscope: surfaces, tip, feedback loop, artefacts. numpy and scipy only; same seed, same scan."""

from afmd.twin.gallery import Tile, gallery
from afmd.twin.microscope import Simulated, simulate
from afmd.twin.recipe import EVALUATION, EVERYTHING, KINDS, TRAINING, Recipe
from afmd.twin.surfaces import SURFACES

__all__ = [
    "EVALUATION",
    "EVERYTHING",
    "KINDS",
    "SURFACES",
    "TRAINING",
    "Recipe",
    "Simulated",
    "Tile",
    "gallery",
    "simulate",
]
