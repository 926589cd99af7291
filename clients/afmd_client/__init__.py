"""The afmd client: watch, list and fetch scans from a daemon. Needs grpcio, protobuf and numpy; ``afmctl`` needs rich.

from afmd_client import Client

with Client("127.0.0.1:50551") as afm:
    for event in afm.watch():
        if event.state == "restored":
            heights = afm.array(event.scan_id, "restored")
            print(event.name, heights.unit, heights.pixel_nm, heights.std())
"""

from afmd_client.arrays import ScanArray
from afmd_client.client import Client
from afmd_client.errors import (
    ClientError,
    Corrupt,
    Defect,
    HistoryGone,
    InvalidInput,
    LimitReached,
    NotAuthenticated,
    NotFound,
    NotPermitted,
    TimedOut,
    Unavailable,
    WrongState,
)
from afmd_client.nouns import (
    ArrayKind,
    Backend,
    Bookmark,
    Channel,
    Classification,
    Deconvolution,
    Direction,
    Disturbance,
    Event,
    Grid,
    Jump,
    Label,
    Levelling,
    Original,
    Problem,
    Repair,
    Scan,
    State,
    Status,
    Tip,
    plain,
)
from afmd_client.scans import Scans
from afmd_client.watch import Watch

__version__ = "0.1.0"

__all__ = [
    "ArrayKind", "Backend", "Bookmark", "Channel", "Classification", "Client", "ClientError", "Corrupt",
    "Deconvolution", "Defect", "Direction", "Disturbance", "Event", "Grid", "HistoryGone", "InvalidInput", "Jump",
    "Label", "Levelling", "LimitReached", "NotAuthenticated", "NotFound", "NotPermitted", "Original", "Problem",
    "Repair", "Scan", "ScanArray", "Scans", "State", "Status", "TimedOut", "Tip", "Unavailable", "Watch", "WrongState",
    "__version__", "plain",
]  # fmt: skip
