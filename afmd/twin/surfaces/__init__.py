"""Samples. Rule: a family is a function of (draw, grid) that returns a ``Surface``; this table knows them all."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from afmd.twin.draw import Draw
from afmd.twin.grid import Grid, Surface
from afmd.twin.surfaces import (
    assemblies,
    cells,
    crystals,
    films,
    molecules,
    particles,
    patterns,
    procedural,
    tessellations,
)


@dataclass(frozen=True, slots=True)
class Family:
    """How to make a sample, and the widths of frame (nm) at which one looks at it."""

    make: Callable[[Draw, Grid], Surface]
    widths_nm: tuple[float, float]


FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        "particles": Family(particles.particles, (150, 50_000)),
        "aggregates": Family(particles.aggregates, (400, 20_000)),
        "monolayer": Family(particles.monolayer, (150, 10_000)),
        "primitives": Family(particles.primitives, (150, 800)),
        "dna": Family(molecules.dna, (200, 2_000)),
        "plasmids": Family(molecules.plasmids, (200, 2_000)),
        "fibres": Family(molecules.fibres, (300, 20_000)),
        "worms": Family(molecules.worms, (300, 8_000)),
        "terraces": Family(crystals.terraces, (100, 5_000)),
        "spiral": Family(crystals.spiral, (300, 10_000)),
        "crystals": Family(crystals.crystals, (500, 30_000)),
        "grains": Family(crystals.grains, (200, 10_000)),
        "hex_grating": Family(patterns.hex_grating, (1_000, 50_000)),
        "square_grating": Family(patterns.square_grating, (5_000, 50_000)),
        "line_grating": Family(patterns.line_grating, (1_000, 50_000)),
        "scratches": Family(patterns.scratches, (1_000, 50_000)),
        "blend": Family(films.blend, (300, 20_000)),
        "lamellae": Family(films.lamellae, (200, 5_000)),
        "spherulites": Family(films.spherulites, (2_000, 50_000)),
        "film": Family(films.film, (200, 20_000)),
        "patches": Family(films.patches, (300, 10_000)),
        "fractal": Family(films.fractal, (100, 50_000)),
        "mica": Family(films.mica, (100, 5_000)),
        "wrinkles": Family(films.wrinkles, (500, 50_000)),
        "pores": Family(films.pores, (300, 10_000)),
        "flakes": Family(films.flakes, (500, 30_000)),
        "cells": Family(cells.cells, (3_000, 50_000)),
        "bacteria": Family(cells.bacteria, (2_000, 30_000)),
        "plateaus": Family(procedural.plateaus, (150, 50_000)),
        "ridges": Family(procedural.ridges, (150, 50_000)),
        "swirls": Family(procedural.swirls, (150, 50_000)),
        "labyrinth": Family(procedural.labyrinth, (200, 50_000)),
        "dunes": Family(procedural.dunes, (200, 50_000)),
        "hatch": Family(procedural.hatch, (500, 50_000)),
        "hierarchy": Family(procedural.hierarchy, (200, 50_000)),
        "mosaic": Family(tessellations.mosaic, (150, 50_000)),
        "cracks": Family(tessellations.cracks, (500, 50_000)),
        "foam": Family(tessellations.foam, (200, 50_000)),
        "membrane": Family(tessellations.membrane, (200, 50_000)),
        "bodies": Family(assemblies.bodies, (150, 50_000)),
        "wires": Family(assemblies.wires, (200, 50_000)),
        "dendrites": Family(assemblies.dendrites, (300, 50_000)),
        "slopes": Family(assemblies.slopes, (500, 50_000)),
        "bunches": Family(assemblies.bunches, (150, 20_000)),
        "mesas": Family(assemblies.mesas, (200, 50_000)),
    }
)

ALONE = frozenset({"hex_grating", "square_grating", "line_grating", "wrinkles", "dunes", "hatch", "slopes"})
"""Families that never lie over another: a wave over everything is what an interference looks like, not a sample."""

EXACT = frozenset({"hex_grating", "square_grating", "line_grating", "primitives"})
"""Families whose geometry is exact: made by lithography, or a published definition."""

SURFACES: tuple[str, ...] = tuple(FAMILIES)
