"""The states of a terminal's link and its bounds: what `jt808.connection` goes by.

Source: JT/T 808-2013 §7.2.1, §7.2.2; 2019 likewise.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final


class State(Enum):
    NEW = "new"  # nothing is known of the terminal but what it says
    REGISTERED = "registered"  # it was given a code on this link, and has to show it
    AUTHENTICATED = "authenticated"
    CLOSED = "closed"


class Step(Enum):
    REGISTRATION_ACCEPTED = "registration accepted"
    AUTHENTICATED = "authenticated"
    UNREGISTERED = "unregistered"
    CLOSED = "closed"


TRANSITIONS: Final[dict[tuple[State, Step], State]] = {
    (State.NEW, Step.REGISTRATION_ACCEPTED): State.REGISTERED,
    (State.NEW, Step.AUTHENTICATED): State.AUTHENTICATED,
    (State.NEW, Step.CLOSED): State.CLOSED,
    (State.REGISTERED, Step.REGISTRATION_ACCEPTED): State.REGISTERED,  # its answer got lost
    (State.REGISTERED, Step.AUTHENTICATED): State.AUTHENTICATED,
    (State.REGISTERED, Step.CLOSED): State.CLOSED,
    (State.AUTHENTICATED, Step.REGISTRATION_ACCEPTED): State.REGISTERED,  # reset to factory state on an open link
    (State.AUTHENTICATED, Step.AUTHENTICATED): State.AUTHENTICATED,  # its answer got lost
    (State.AUTHENTICATED, Step.UNREGISTERED): State.NEW,
    (State.AUTHENTICATED, Step.CLOSED): State.CLOSED,
    (State.CLOSED, Step.CLOSED): State.CLOSED,
}


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Bounds of one link. The defaults let every terminal pass that follows the standard."""

    unauthenticated_s: float = 60.0
    unauthenticated_bytes: int = 64 * 1024
    idle_s: float = 900.0  # without a whole good frame
    auth_failures: int = 3
    junk_bytes: int = 64 * 1024  # of an authenticated terminal without a good frame among them
    lost_messages: int = 16  # sub-packaged ones that it began and never completed, one after the other
    package_bytes: int = 1 << 20  # of incomplete sub-packaged messages


DEFAULT_LIMITS: Final = ConnectionLimits()
