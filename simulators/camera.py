"""The camera of a simulated terminal: takes pictures when told, keeps them, sends them up in packages.

Sans-I/O like the terminal that owns it. Uploads go one after the other; what the platform finds missing is sent again,
and what it does not answer is sent again whole. What a lost link cut off begins anew after the next login, under other
serial numbers; or, with ``goes_on``, waits there for what the platform asks for, under its own. The camera sees two
channels; it takes pictures only, no films. Source: JT/T 808-2013 §8.51 to §8.60; 2011 where it differs.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Final

from simulators import wire
from simulators.picture import picture

CHANNELS: Final = 2
MOST_KEPT: Final = 28  # recordings; all of them fit into one search answer
MOST_SHOTS: Final = 10  # of one command
MOST_WAITING: Final = 40  # uploads
RETRIES: Final = 3
_NO_TIME: Final = bytes(6)
_CHINA: Final = timezone(timedelta(hours=8))

Answers = list[tuple[int, bytes]]
Taker = Callable[[float, int], bytes]


@dataclass(frozen=True, slots=True)
class Recording:
    """``location``: the 28 bytes of where it was taken."""

    media_id: int
    kind: int  # 0 picture
    event: int
    channel: int
    location: bytes
    data: bytes

    def about(self) -> bytes:
        """What a 0x0800 says, and how a 0x0801 begins; format 0 is JPEG."""
        return struct.pack(">IBBBB", self.media_id, self.kind, 0, self.event, self.channel)

    def body(self, edition: str) -> bytes:
        """Of 0x0801. 2011 counts packages in the body instead of saying where it was."""
        place = struct.pack(">II", 1, 1) if edition == "2011" else self.location
        return self.about() + place + self.data


@dataclass(slots=True)
class _Upload:
    recording: Recording
    serial_no: int  # of the first package
    packages: list[bytes]
    deadline: float
    attempt: int = 1


def take_picture(now: float, channel: int) -> bytes:
    return picture(datetime.fromtimestamp(now, _CHINA), channel)


@dataclass(slots=True)
class Camera:
    """Args:  take: makes the bytes of a picture; take_serial_nos: the first of so many serial numbers, taken."""

    edition: str
    phone: bytes
    take_serial_nos: Callable[[int], int]
    count: Callable[[str], None]
    timeout_s: float = 30.0
    take: Taker = take_picture
    goes_on: bool = False
    kept: deque[Recording] = field(default_factory=lambda: deque(maxlen=MOST_KEPT))
    _waiting: deque[Recording] = field(default_factory=deque)
    _upload: _Upload | None = None
    _due: list[tuple[float, int, int, bool, int]] = field(default_factory=list)  # when, media id, channel, kept?, event
    _next_id: int = 1
    _seen: dict[tuple[int, int], Answers] = field(default_factory=dict)

    @property
    def is_idle(self) -> bool:
        return not (self._due or self._waiting or self._upload)

    # Orders

    def order(self, message_id: int, serial_no: int, body: bytes, now: float) -> Answers | None:
        """What a message asks of the camera is done, or will be; the answers to it. None: it is not the camera's."""
        act = {
            wire.SHOOT: self._shoot, wire.SEARCH_MEDIA: self._search, wire.SEND_MEDIA: self._send_fitting,
            wire.SEND_ONE_MEDIA: self._send_one,
        }.get(message_id)  # fmt: skip
        if act is None:
            return None
        to = (message_id, serial_no)
        if to not in self._seen:  # the platform asks again: the same answer again, not the same pictures
            try:
                self._seen[to] = act(serial_no, body, now)
            except struct.error:
                self._seen[to] = [self._general(serial_no, message_id, 2)]
            if len(self._seen) > 32:
                del self._seen[next(iter(self._seen))]
        return self._seen[to]

    def _general(self, serial_no: int, message_id: int, result: int) -> tuple[int, bytes]:
        return wire.GENERAL_RESPONSE, wire.general_response_body(serial_no, message_id, result)

    def _shoot(self, serial_no: int, body: bytes, now: float) -> Answers:
        """0x8801. 2011 has no answer of its own for it."""
        channel, shots, gap_s, store = struct.unpack_from(">BHHB", body)
        result = 2 if not 1 <= channel <= CHANNELS else 1 if shots == 0xFFFF else 0
        ids: list[int] = []
        if result == 0:
            for number in range(min(shots, MOST_SHOTS)):
                ids.append(self._next_id)
                self._due.append((now + number * max(gap_s, 1), self._next_id, channel, bool(store), 0))
                self._next_id += 1
        answers = [self._general(serial_no, wire.SHOOT, 1 if result else 0)]
        if self.edition != "2011":
            list_ = b"" if result else struct.pack(f">H{len(ids)}I", len(ids), *ids)
            answers.append((wire.SHOOT_ANSWER, struct.pack(">HB", serial_no, result) + list_))
        return answers

    def _search(self, serial_no: int, body: bytes, now: float) -> Answers:
        found = self._fitting(body)
        head = struct.pack(">HH", serial_no, len(found))
        if self.edition == "2011":
            head += struct.pack(">H", len(found))
        items = [
            (b"" if self.edition == "2011" else struct.pack(">I", one.media_id))
            + bytes([one.kind, one.channel, one.event]) + one.location
            for one in found
        ]  # fmt: skip
        return [(wire.MEDIA_FOUND, head + b"".join(items))]

    def _fitting(self, body: bytes) -> list[Recording]:
        """0x8802 and 0x8803 say in the same words which recordings are meant."""
        kind, channel, event, begin, end = struct.unpack_from(">BBB6s6s", body)
        return [
            one for one in self.kept
            if (one.kind, one.event) == (kind, event) and channel in (0, one.channel)
            and (begin == _NO_TIME or begin <= one.location[22:28]) and (end == _NO_TIME or one.location[22:28] <= end)
        ]  # fmt: skip

    def _send_fitting(self, serial_no: int, body: bytes, now: float) -> Answers:
        self._send_up(self._fitting(body), is_last=body[15:16] == b"\x01")
        return [self._general(serial_no, wire.SEND_MEDIA, 0)]

    def _send_one(self, serial_no: int, body: bytes, now: float) -> Answers:
        media_id, delete = struct.unpack_from(">IB", body)
        found = [one for one in self.kept if one.media_id == media_id]
        self._send_up(found, is_last=delete == 1)
        return [self._general(serial_no, wire.SEND_ONE_MEDIA, 0 if found else 1)]

    def _send_up(self, recordings: list[Recording], *, is_last: bool) -> None:
        for one in recordings:
            if len(self._waiting) >= MOST_WAITING:
                self.count("uploads_ignored")
                return
            self._waiting.append(one)
            if is_last:
                self.kept.remove(one)

    # Time, and the platform's answers

    def deadline(self) -> float | None:
        """When ``due`` has something to do at the latest."""
        times = [min(self._due)[0]] if self._due else []
        if self._upload is not None:
            times.append(self._upload.deadline)
        return 0.0 if self._waiting and self._upload is None else min(times, default=None)

    def due(self, now: float, location: Callable[[], bytes]) -> tuple[Answers, list[bytes]]:
        """Take the pictures that are due, and go on with what is to be sent: messages, and frames of packages."""
        messages: Answers = []
        for shot in [one for one in self._due if one[0] <= now]:
            self._due.remove(shot)
            _, media_id, channel, is_kept, event = shot
            one = Recording(media_id, 0, event, channel, location()[:28], self.take(now, channel))
            self.count("pictures")
            self.kept.append(one)
            if is_kept:
                messages.append((wire.MEDIA_EVENT, one.about()))
            elif len(self._waiting) < MOST_WAITING:
                self._waiting.append(one)
        return messages, self._frames(now)

    def _frames(self, now: float) -> list[bytes]:
        upload = self._upload
        if upload is not None and now >= upload.deadline:
            if upload.attempt > RETRIES:
                self.count("uploads_given_up")
                self._upload = upload = None
            else:
                upload.attempt += 1
                upload.deadline = now + self.timeout_s * upload.attempt
                self.count("uploads_repeated")
                return upload.packages
        if upload is not None or not self._waiting:
            return []
        recording = self._waiting.popleft()
        body = recording.body(self.edition)
        first = self.take_serial_nos(wire.packages_of(body))
        packages = wire.packages(wire.MEDIA_UPLOAD, self.edition, self.phone, first, body)
        self._upload = _Upload(recording, first, packages, now + self.timeout_s)
        return packages

    def answered(self, body: bytes, now: float) -> list[bytes]:
        """0x8800: all is there, or these packages are missing: their frames."""
        upload = self._upload
        if self.edition == "2011":
            body = body[2:]
        if upload is None or body[:4] != struct.pack(">I", upload.recording.media_id):
            self.count("stray_media_answers")
            return []
        numbers = struct.unpack(f">{len(body[5:]) // 2}H", body[5 : 5 + len(body[5:]) // 2 * 2])
        if not numbers:
            self.count("uploaded")
            self._upload = None
            return self._frames(now)
        return self._again(upload, numbers, now)

    def asked(self, body: bytes, now: float) -> list[bytes]:
        """0x8003: these packages of the message with this first serial number; the count is a WORD from 2019 on."""
        width = 2 if self.edition == "2019" else 1
        upload = self._upload
        if upload is None or body[:2] != struct.pack(">H", upload.serial_no):
            return []
        rest = body[2 + width :]
        return self._again(upload, struct.unpack(f">{len(rest) // 2}H", rest[: len(rest) // 2 * 2]), now)

    def _again(self, upload: _Upload, numbers: tuple[int, ...], now: float) -> list[bytes]:
        upload.deadline = now + self.timeout_s
        wanted = [upload.packages[number - 1] for number in numbers if 1 <= number <= len(upload.packages)]
        for _ in wanted:
            self.count("packages_repeated")
        return wanted

    def link_made(self, now: float) -> None:
        """The terminal is logged in: what was on its way may go on."""
        if self._upload is not None:
            self._upload.attempt = 1
            self._upload.deadline = now + self.timeout_s
            self.count("uploads_gone_on_with")

    def link_lost(self) -> None:
        """What was on its way waits for the next link, to go on or to begin anew."""
        if self._upload is not None and not self.goes_on:
            self._waiting.appendleft(self._upload.recording)
            self._upload = None
