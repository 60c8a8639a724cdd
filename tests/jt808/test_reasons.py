"""What an error of encoding says to the person whose input it was."""

from __future__ import annotations

import pytest

from jt808.errors import UsageError
from jt808.header import Edition
from jt808.messages import SetPolygon, Vertex, encode_body

CORNER = Vertex(22.5, 114.0)


def test_a_number_that_does_not_fit_is_named_with_its_room() -> None:
    polygon = SetPolygon(1, 0, (CORNER,) * 300)  # 2011 has a byte for how many of them a message holds
    with pytest.raises(UsageError, match=r"^0x8604 set polygon: vertices: 300 does not fit 1 byte$"):
        encode_body(polygon, Edition.V2011)
    assert encode_body(polygon, Edition.V2013)


def test_so_is_a_negative_one() -> None:
    with pytest.raises(UsageError, match=r"^0x8604 set polygon: area_id: -1 does not fit 4 bytes$"):
        encode_body(SetPolygon(-1, 0, (CORNER,) * 3), Edition.V2019)
