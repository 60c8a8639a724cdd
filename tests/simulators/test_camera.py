"""Pictures on order, out of memory and over a bad link, against a platform in memory."""

from __future__ import annotations

import struct
from datetime import datetime

import pytest

import jt808
from jt808.messages import (
    MediaReport,
    MediaUpload,
    ShootNowResponse,
    StoredMediaSearchResponse,
    TerminalGeneralResponse,
)
from simulators.picture import encode, picture
from tests.simulators.test_terminal import START, Pair

SHOOT = bytes.fromhex("01" + "0001" + "0000" + "00" + "02" + "05" + "80" + "40" + "40" + "80")


class MediaPair(Pair):
    """A platform that puts packages together and answers with 0x8800, after losing some."""

    def __init__(self, edition: str = "2013") -> None:
        super().__init__(edition)
        self.uploads: list[MediaUpload] = []
        self.lose: set[int] = set()  # package numbers, the first time
        self.parts: dict[int, bytes] = {}
        self.is_silent = False
        self.serials: list[int] = []  # of all packages that were sent
        self.edition = jt808.Edition(edition)

    def exchange(self) -> None:
        while frames := self.terminal.data_to_send():
            for frame in frames:
                (content,) = self.deframer.feed(frame)
                assert isinstance(content, bytes)
                header, body = jt808.parse_header(content)
                if header.is_subpackaged:
                    self.take(header, body)
                else:
                    for answer in self.platform._message(content):
                        self.hear(answer)

    def take(self, header: jt808.Header, body: bytes) -> None:
        assert header.message_id == 0x0801
        assert header.package_no is not None
        assert header.package_total is not None
        self.serials.append(header.serial_no)
        if header.package_no in self.lose:
            self.lose.remove(header.package_no)
        else:
            self.parts[header.package_no] = body
        if (header.package_no < header.package_total and len(self.parts) < header.package_total) or self.is_silent:
            return
        missing = [number for number in range(1, header.package_total + 1) if number not in self.parts]
        media_id = self.parts[1][:4]
        first = (header.serial_no - header.package_no + 1) & 0xFFFF
        list_ = struct.pack(f">B{len(missing)}H", len(missing), *missing)
        if self.edition == "2011":
            answer = struct.pack(">H", first) + media_id + list_
        else:
            answer = media_id + (list_ if missing else b"")
        if not missing:
            whole = b"".join(self.parts[number] for number in sorted(self.parts))
            upload = jt808.decode_body(0x0801, self.edition, whole)
            assert isinstance(upload, MediaUpload)
            self.uploads.append(upload)
            self.parts.clear()
        self.hear(self.platform.command(header, 0x8800, answer))


@pytest.mark.parametrize("edition", ["2011", "2013", "2019"])
def test_a_picture_on_order(edition: str) -> None:
    pair = MediaPair(edition)
    pair.connect()
    pair.command(0x8801, SHOOT)
    pair.run(60, until=lambda: bool(pair.uploads))
    (upload,) = pair.uploads
    assert (upload.media_id, upload.kind, upload.format, upload.event, upload.channel) == (1, 0, 0, 0, 1)
    assert upload.data[:3] == b"\xff\xd8\xff"
    assert upload.data[-2:] == b"\xff\xd9"
    answers = pair.platform.messages(ShootNowResponse)
    assert [one.media_ids for one in answers] == ([] if edition == "2011" else [(1,)])
    if edition != "2011":
        assert upload.location is not None
        assert upload.location.time is not None
        assert abs(upload.location.time.timestamp() - START) < 60


def test_packages_that_were_lost_are_sent_again() -> None:
    pair = MediaPair()
    pair.lose = {2, 3}
    pair.connect()
    pair.command(0x8801, SHOOT)
    pair.run(60, until=lambda: bool(pair.uploads))
    assert pair.terminal.ledger.counts["packages_repeated"] == 2
    assert pair.terminal.ledger.counts["uploaded"] == 1


def test_an_upload_that_nobody_answers_is_repeated_and_begins_anew_with_the_link() -> None:
    pair = MediaPair()
    pair.is_silent = True
    pair.connect()
    pair.command(0x8801, SHOOT)
    pair.run(60, until=lambda: pair.terminal.ledger.counts["uploads_repeated"] == 1)
    assert pair.terminal.ledger.counts["uploads_repeated"] == 1
    pair.disconnect()
    pair.is_silent = False
    pair.parts.clear()
    pair.connect()
    pair.run(60, until=lambda: bool(pair.uploads))
    assert [one.media_id for one in pair.uploads] == [1]


def cut_off(edition: str) -> MediaPair:
    """All but packages 2 and 3 of a picture have come when the link is lost; then it is back."""
    pair = MediaPair(edition)
    pair.terminal.camera.goes_on = True
    pair.is_silent, pair.lose = True, {2, 3}
    pair.connect()
    pair.command(0x8801, SHOOT)
    pair.run(5, until=lambda: bool(pair.serials))
    pair.disconnect()
    pair.now += 40
    pair.is_silent = False
    pair.connect()
    return pair


@pytest.mark.parametrize("demand", [0x8800, 0x8003])
@pytest.mark.parametrize("edition", ["2011", "2013", "2019"])
def test_an_upload_that_goes_on_sends_what_it_is_asked_for(edition: str, demand: int) -> None:
    pair = cut_off(edition)
    before, first = len(pair.serials), pair.serials[0]
    pair.run(5)
    assert len(pair.serials) == before  # it waits
    if demand == 0x8003:
        pair.command(demand, struct.pack(">H" + ("H" if edition == "2019" else "B") + "HH", first, 2, 2, 3))
    else:
        answer = b"\0\0\0\1\2" + struct.pack(">HH", 2, 3)
        pair.command(demand, (struct.pack(">H", first) if edition == "2011" else b"") + answer)
    assert [one.media_id for one in pair.uploads] == [1]
    assert pair.serials[before:] == [first + 1, first + 2]
    assert pair.terminal.ledger.counts["uploads_gone_on_with"] == 1
    assert pair.terminal.camera.is_idle


def test_an_upload_that_goes_on_unasked_is_repeated_under_its_numbers() -> None:
    pair = cut_off("2013")
    before, pair.is_silent = list(pair.serials), True
    pair.run(60, until=lambda: len(pair.serials) > len(before))
    assert pair.serials == before * 2
    assert sorted(pair.parts) == list(range(1, len(before) + 1))
    assert pair.terminal.ledger.counts["uploads_repeated"] == 1


def test_what_is_kept_is_told_found_and_sent() -> None:
    pair = MediaPair()
    pair.connect()
    kept = SHOOT[:5] + b"\x01" + SHOOT[6:]
    pair.command(0x8801, kept)
    pair.run(5)
    pair.command(0x8801, b"\x02" + kept[1:])
    pair.run(5)
    assert pair.uploads == []
    assert [one.media_id for one in pair.platform.messages(MediaReport)] == [1, 2]
    pair.command(0x8802, bytes([0, 2, 0]) + bytes(12))
    (found,) = pair.platform.messages(StoredMediaSearchResponse)
    assert [(one.media_id, one.channel) for one in found.found] == [(2, 2)]
    pair.command(0x8805, struct.pack(">IB", 2, 1))
    pair.run(60, until=lambda: bool(pair.uploads))
    pair.command(0x8803, bytes([0, 0, 0]) + bytes(12) + b"\x00")
    pair.run(60, until=lambda: len(pair.uploads) == 2)
    assert [one.media_id for one in pair.uploads] == [2, 1]
    pair.command(0x8805, struct.pack(">IB", 2, 0))
    last = pair.platform.messages(TerminalGeneralResponse)[-1]
    assert (last.answered_message_id, int(last.result)) == (0x8805, 1)  # it was deleted


def test_there_is_no_third_camera_and_no_film() -> None:
    pair = MediaPair()
    pair.connect()
    pair.command(0x8801, b"\x03" + SHOOT[1:])
    pair.command(0x8801, SHOOT[:1] + b"\xff\xff" + SHOOT[3:])
    assert [one.result for one in pair.platform.messages(ShootNowResponse)] == [2, 1]


def test_a_flat_picture_in_full() -> None:
    """Two grey blocks by hand: 0xFF in the scan is followed by a zero, the last byte is filled up with ones."""
    raw = encode([[(128, 128, 128), (128, 128, 128)]])
    assert raw[:2] == b"\xff\xd8"
    scan = raw[raw.index(b"\xff\xda") + 14 : -2]
    # six times: category 0 (00), end of block (0); then ones
    assert scan == bytes([0b00000000, 0b00000000, 0b00111111])


def test_the_clock_makes_pictures_differ() -> None:
    one, two = (picture(datetime(2026, 1, 1, 0, 0, second), 1) for second in (1, 2))
    assert one != two
