"""The ways to remove a tip's shape. Rule: nothing heavy is imported here, for the command line's help lists them."""

from enum import StrEnum


class TipMethod(StrEnum):
    """How a tip's shape is removed.

    ``erosion`` gives the surface's upper bound; ``certainty`` trusts it where the tip touched and falls to the ground
    behind walls; ``network`` fills what was not touched from what it learned; ``auto`` is the network where there is
    one for this tip, and ``certainty`` otherwise.
    """

    AUTO = "auto"
    EROSION = "erosion"
    CERTAINTY = "certainty"
    NETWORK = "network"
