"""What of the journal a session has sent, and what of that is confirmed. Pure bookkeeping.

The cursor is a journal offset: everything stored up to it was certainly received. A session begins with the range
between the cursor and the newest offset stored, which goes out as history (0x1203), while what is stored from then on
goes out live (0x1202). What the live side had to leave out (memory was full) becomes another range for the history.
``reached`` is the offset up to which everything was sent; a mark remembers it for a link test, and the answer to the
test confirms the mark.
"""

from __future__ import annotations

from collections import deque
from typing import Final

MAX_RANGES: Final = 32


class Progress:
    """Args: cursor: confirmed by earlier sessions; stored: the newest offset when the session begins."""

    def __init__(self, cursor: int, stored: int) -> None:
        self.confirmed = cursor
        self.live = max(cursor, stored)
        self._ranges: deque[tuple[int, int]] = deque()  # (after, upto], ascending, still to be sent as history
        self._marks: deque[tuple[int, int]] = deque()  # (token, reached), ascending
        self._uncounted: deque[tuple[int, int]] = deque()  # (after, upto], of what the ranges got, not counted yet
        if stored > cursor:
            self._ranges.append((cursor, stored))
            self._uncounted.append((cursor, stored))

    @property
    def reached(self) -> int:
        return self._ranges[0][0] if self._ranges else self.live

    @property
    def history(self) -> tuple[int, int] | None:
        """The range to read next: positions with an offset in (after, upto]."""
        return self._ranges[0] if self._ranges else None

    @property
    def ranges(self) -> tuple[tuple[int, int], ...]:
        """All that is left to the history."""
        return tuple(self._ranges)

    def history_sent(self, upto: int) -> None:
        """The first range is sent up to there."""
        _, end = self._ranges.popleft()
        if upto < end:
            self._ranges.appendleft((upto, end))

    def live_sent(self, offset: int) -> None:
        self.live = offset

    def left_out(self, upto: int) -> None:
        """The live side goes on behind ``upto``: what lies between is left to the history.

        So that a link that keeps being too slow makes no endless list, the newest two ranges become one when there
        are too many; what was sent live between them is then sent again.
        """
        if upto <= self.live:
            return
        after, self.live = self.live, upto
        self._ranges.append((after, upto))
        if len(self._ranges) > MAX_RANGES:
            self._ranges.pop()
            first, after = self._ranges.pop()
            self._ranges.append((first, upto))
        if self._uncounted and self._uncounted[-1][1] == after:
            after, _ = self._uncounted.pop()
        self._uncounted.append((after, upto))

    def take_uncounted(self) -> tuple[int, int] | None:
        """What the history was given since this was asked last, oldest first, as an (after, upto] to count; None: all
        was asked for. What was sent live and is to be sent again comes twice: it waits again."""
        return self._uncounted.popleft() if self._uncounted else None

    @property
    def is_unmarked(self) -> bool:
        """Something was sent since the newest mark."""
        return self.reached > (self._marks[-1][1] if self._marks else self.confirmed)

    @property
    def marks(self) -> int:
        """Link tests that are not answered yet."""
        return len(self._marks)

    def mark(self, token: int) -> None:
        """The link test ``token`` was sent behind everything sent so far."""
        self._marks.append((token, self.reached))

    def answered(self, token: int) -> bool:
        """The test was answered. Returns True when ``confirmed`` moved."""
        before = self.confirmed
        while self._marks and self._marks[0][0] <= token:
            self.confirmed = max(self.confirmed, self._marks.popleft()[1])
        return self.confirmed > before

    def all_received(self) -> None:
        """Whatever was sent is received: the superior platform answered what was sent last."""
        self._marks.clear()
        self.confirmed = self.reached
