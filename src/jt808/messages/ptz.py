"""The camera's pan, tilt and zoom (云台).

Source: JT/T 1078-2016 §5.7; clauses not checked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from construct import Byte, Struct

from jt808.fields import Label
from jt808.messages.registry import Direction, Message, register

SIZES: Final = {0: "larger", 1: "smaller"}
SWITCH: Final = {0: "stop", 1: "start"}


@dataclass(frozen=True, slots=True)
class PtzRotate(Message):
    """Turn the camera (云台旋转). ``speed`` 0 to 255."""

    channel: Annotated[int, Label("逻辑通道号")]
    direction: Annotated[int, Label("方向", values={0: "stop", 1: "up", 2: "down", 3: "left", 4: "right"})]
    speed: Annotated[int, Label("速度")]


@dataclass(frozen=True, slots=True)
class PtzFocus(Message):
    """Adjust the focal length (云台调整焦距控制)."""

    channel: Annotated[int, Label("逻辑通道号")]
    adjust: Annotated[int, Label("焦距调整方向", values=SIZES)]


@dataclass(frozen=True, slots=True)
class PtzIris(Message):
    """Adjust the iris (云台调整光圈控制)."""

    channel: Annotated[int, Label("逻辑通道号")]
    adjust: Annotated[int, Label("光圈调整方式", values=SIZES)]


@dataclass(frozen=True, slots=True)
class PtzWiper(Message):
    """Start or stop the wiper (云台雨刷控制)."""

    channel: Annotated[int, Label("逻辑通道号")]
    switch: Annotated[int, Label("启停标识", values=SWITCH)]


@dataclass(frozen=True, slots=True)
class PtzInfrared(Message):
    """Switch the infrared light (红外补光控制)."""

    channel: Annotated[int, Label("逻辑通道号")]
    switch: Annotated[int, Label("启停标识", values=SWITCH)]


@dataclass(frozen=True, slots=True)
class PtzZoom(Message):
    """Zoom (云台变倍控制)."""

    channel: Annotated[int, Label("逻辑通道号")]
    adjust: Annotated[int, Label("变倍控制", values=SIZES)]


_ADJUST: Final = Struct("channel" / Byte, "adjust" / Byte)
_SWITCH: Final = Struct("channel" / Byte, "switch" / Byte)

for _id, _body, _layout, _name, _chinese, _clause in (
    (0x9301, PtzRotate, Struct("channel" / Byte, "direction" / Byte, "speed" / Byte), "PTZ rotate", "云台旋转", 1),
    (0x9302, PtzFocus, _ADJUST, "PTZ focus", "云台调整焦距控制", 2),
    (0x9303, PtzIris, _ADJUST, "PTZ iris", "云台调整光圈控制", 3),
    (0x9304, PtzWiper, _SWITCH, "PTZ wiper", "云台雨刷控制", 4),
    (0x9305, PtzInfrared, _SWITCH, "PTZ infrared", "红外补光控制", 5),
    (0x9306, PtzZoom, _ADJUST, "PTZ zoom", "云台变倍控制", 6),
):
    register(
        _id,
        _body,
        _layout,
        name=_name,
        chinese=_chinese,
        clause=f"JT/T 1078-2016 §5.7.{_clause}",
        direction=Direction.DOWNLINK,
        answer_id=0x0001,
    )
