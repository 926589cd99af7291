"""Samples of the second microscope. Rule: a kind is a function of (grid, rng) that returns a ``Surface``.

This table knows them all, each with the pixels with which one looks at it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from afmd.training.second.samples import (
    cells,
    crystals,
    deposits,
    gratings,
    machined,
    molecules,
    ordered,
    polymers,
    sheets,
)
from afmd.training.second.samples.grid import Grid, Surface

__all__ = ["SAMPLES", "Grid", "Sample", "Surface"]


@dataclass(frozen=True, slots=True)
class Sample:
    """How to make a kind of sample, and the pixels (nm) with which one looks at it."""

    make: Callable[[Grid, np.random.Generator], Surface]
    least_pixel_nm: float
    most_pixel_nm: float


SAMPLES: Mapping[str, Sample] = MappingProxyType(
    {
        "flakes": Sample(sheets.flakes, 4, 50),
        "dna": Sample(molecules.dna, 0.5, 4),
        "lipid": Sample(molecules.lipid, 2, 30),
        "block_copolymer": Sample(polymers.block_copolymer, 0.8, 6),
        "polymer_blend": Sample(polymers.polymer_blend, 8, 80),
        "spin_film": Sample(polymers.spin_film, 4, 60),
        "gold_grains": Sample(crystals.gold_grains, 0.6, 10),
        "terraces": Sample(crystals.terraces, 0.5, 10),
        "grating1d": Sample(gratings.grating1d, 8, 100),
        "grating2d": Sample(gratings.grating2d, 8, 100),
        "nanowires": Sample(deposits.nanowires, 1, 30),
        "nanoparticles": Sample(deposits.nanoparticles, 0.6, 15),
        "cells": Sample(cells.cells, 40, 100),
        "porous_alumina": Sample(ordered.porous_alumina, 2, 10),
        "metal": Sample(machined.metal, 10, 100),
        "hillocks": Sample(crystals.hillocks, 2, 30),
        "litho": Sample(machined.litho, 8, 100),
        "collagen": Sample(ordered.collagen, 1.5, 10),
    }
)
