"""Superior platforms on the wire."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from api.fields import Body, Line, Name, Time, left_out

Edition = Literal["2011"]
UpDown = Literal["up", "down"]
UInt32 = Annotated[int, Field(ge=0, le=2**32 - 1)]
Host = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[A-Za-z0-9_.:-]+$")]
Port = Annotated[int, Field(ge=1, le=65535)]
Password = Annotated[str, Field(min_length=1, max_length=8, pattern=r"^[\x21-\x7e]+$")]
SubLinkHost = Annotated[str, Field(min_length=1, max_length=32, pattern=r"^[A-Za-z0-9_.:-]+$")]  # 0x1001 has so much
PlatformId = Annotated[Line, Field(max_length=11, pattern=r"^[\x21-\x7e]*$")]


class PlatformLink(BaseModel):
    """How the links to it are, and how far it has our data. ``backlog``: positions stored here, not yet there."""

    main: UpDown
    sub: UpDown
    since: Time | None
    detail: str
    sent_live: int
    sent_history: int
    backlog: int
    cursor: int | None


class Platform(BaseModel):
    """A superior platform (上级平台). Its password is never told."""

    id: int
    name: str
    enabled: bool
    edition: Edition
    host: str
    port: int
    access_code: int
    user_id: int
    platform_id: str
    sub_link_host: str
    sub_link_port: int | None
    encrypt: bool
    supplement: bool
    link: PlatformLink


class NewPlatform(Body):
    """``access_code`` is MSG_GNSSCENTERID (接入码); ``m1``, ``ia1``, ``ic1`` are the keys when ``encrypt`` is true.

    ``supplement``: 0x1201 as the ministry's supplement of 2013 has it (61 bytes); false: as first printed (49).
    """

    name: Name
    enabled: bool = True
    edition: Edition = "2011"
    host: Host
    port: Port
    access_code: UInt32
    user_id: UInt32
    password: Password
    platform_id: PlatformId = ""
    sub_link_host: SubLinkHost = "127.0.0.1"
    sub_link_port: Port | None = None
    encrypt: bool = False
    m1: UInt32 = 0
    ia1: UInt32 = 0
    ic1: UInt32 = 0
    supplement: bool = True


class PlatformChange(Body):
    """What is left out stays."""

    name: Name = left_out()
    enabled: bool = left_out()
    edition: Edition = left_out()
    host: Host = left_out()
    port: Port = left_out()
    access_code: UInt32 = left_out()
    user_id: UInt32 = left_out()
    password: Password = left_out()
    platform_id: PlatformId = left_out()
    sub_link_host: SubLinkHost = left_out()
    sub_link_port: Port | None = None
    encrypt: bool = left_out()
    m1: UInt32 = left_out()
    ia1: UInt32 = left_out()
    ic1: UInt32 = left_out()
    supplement: bool = left_out()
