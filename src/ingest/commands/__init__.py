"""Commands to terminals: rows in, 808 messages out, with the protocol's patience."""

from ingest.commands.desk import CommandDesk
from ingest.commands.patience import Control, DeskLimits, wait_s

__all__ = ["CommandDesk", "Control", "DeskLimits", "wait_s"]
