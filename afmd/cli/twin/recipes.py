"""Which scans are asked for: a recipe by name, narrowed to kinds of artefact and families of surface."""

import argparse
from collections.abc import Iterator
from dataclasses import replace

from afmd.domain.findings import Label
from afmd.errors import InvalidInput
from afmd.twin import EVALUATION, EVERYTHING, TRAINING, Recipe, Simulated, simulate
from afmd.twin.plan import MAX_SIDE, MIN_SIDE

RECIPES = {"training": TRAINING, "evaluation": EVALUATION, "everything": EVERYTHING}
GOOD = "good"


def asked(arguments: argparse.Namespace) -> Recipe:
    """Return the recipe that the arguments describe. Raises ``InvalidInput`` for a name that there is not."""
    recipe = RECIPES[arguments.recipe]
    if arguments.surface:
        recipe = recipe.on(*arguments.surface)
    if not arguments.kind:
        return recipe
    faults = [kind for kind in arguments.kind if kind != GOOD]
    if not faults:
        return recipe.all_good()
    good = len(arguments.kind) - len(faults)
    return replace(recipe.only(*dict.fromkeys(faults)), good=good / len(arguments.kind))


def simulated(arguments: argparse.Namespace) -> Iterator[Simulated]:
    """Give the scans that the arguments describe, by consecutive seeds. Raises ``InvalidInput``."""
    recipe, shape = asked(arguments), sized(arguments.size)
    for seed in range(arguments.seed, arguments.seed + arguments.count):
        yield simulate(seed, shape=shape, recipe=recipe)


def sized(text: str) -> tuple[int, int] | None:
    """Return ``ROWSxCOLS`` or ``SIDE`` as a shape, and nothing as None. Raises ``InvalidInput``."""
    if not text:
        return None
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(part.isdecimal() for part in parts):
        raise InvalidInput(
            f"--size {text}", why="it is not ROWSxCOLS", mend=f"Give two whole numbers of {MIN_SIDE} to {MAX_SIDE}",
            field="size",
        )  # fmt: skip
    return int(parts[0]), int(parts[-1])


def named(one: Simulated) -> str:
    """Return what is wrong with a scan, in words."""
    return "good" if one.label is Label.GOOD else f"{one.label.value}: {', '.join(one.kinds)}"
