"""Logs: one line an event, to stderr."""

from __future__ import annotations

import logging
import sys


def configure_logging(level: str, process: str = "server") -> None:
    """Send every logger's lines to stderr, the process's name in front.

    Uvicorn's life cycle lines say nothing to an operator of ours and are left to WARNING.
    """
    logging.basicConfig(
        level=level, stream=sys.stderr, format=f"%(asctime)s {process} %(levelname)s %(name)s: %(message)s", force=True
    )
    logging.getLogger("uvicorn").setLevel(max(logging.WARNING, logging.getLevelName(level)))
