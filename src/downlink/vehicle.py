"""What is around the terminal: doors, engine, driver, tachograph."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from downlink.payload import Byte, CommandError, Hex, Payload
from jt808.header import Edition
from jt808.messages import (
    ControlItem,
    DriverIdentityQuery,
    Message,
    TachographQuery,
    TerminalControl,
    VehicleControl,
)

CUT_WORD: Final = 0xF0
RESTORE_WORD: Final = 0xF1


class Doors(Payload):
    """Lock or unlock the doors (车辆控制, 0x8500)."""

    kind: Literal["vehicle_control"]
    doors: Literal["lock", "unlock"]

    def message(self, edition: Edition) -> Message:
        return VehicleControl.doors(edition, lock=self.doors == "lock")


class OilPower(Payload):
    """Cut or restore oil and power (断油断电). Dangerous.

    No edition has a message for it; makers have words of their own: ``control_word`` of a 0x8105 (0xF0 cuts, 0xF1
    restores with those that are known), or since 2019 an item of a 0x8500 from 0xF001 on with its value. Ask the
    maker of the terminal.
    """

    kind: Literal["oil_power"]
    action: Literal["cut", "restore"]
    control_word: Annotated[int, Field(ge=8, le=0xFF)] | None = None
    item_id: Annotated[int, Field(ge=0xF001, le=0xFFFF)] | None = None
    item_value: Annotated[Hex, Field(min_length=2, max_length=64)] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> OilPower:
        if (self.item_id is None) != (self.item_value is None):
            raise ValueError("item_id and item_value belong together")
        if self.item_id is not None and self.control_word is not None:
            raise ValueError("control_word or item_id, not both")
        return self

    def message(self, edition: Edition) -> Message:
        if self.item_id is not None and self.item_value is not None:
            if edition != Edition.V2019:
                raise CommandError(f"item_id: JT/T 808-{edition} has no items in a 0x8500; use a control_word")
            return VehicleControl(items=(ControlItem(self.item_id, bytes.fromhex(self.item_value)),))
        return TerminalControl(self.control_word or (CUT_WORD if self.action == "cut" else RESTORE_WORD))


class Driver(Payload):
    """Ask who drives (上报驾驶员身份信息请求, 0x8702), since 2013."""

    kind: Literal["driver"]

    def message(self, edition: Edition) -> Message:
        return DriverIdentityQuery()


class Tachograph(Payload):
    """Collect data of the tachograph (行驶记录数据采集命令, 0x8700): ``command`` and block of GB/T 19056."""

    kind: Literal["tachograph"]
    command: Byte
    block: Annotated[Hex, Field(max_length=1800)] = ""

    def message(self, edition: Edition) -> Message:
        if self.block and edition == Edition.V2011:
            raise CommandError("block: JT/T 808-2011 has no block in a 0x8700")
        return TachographQuery(self.command, bytes.fromhex(self.block))
