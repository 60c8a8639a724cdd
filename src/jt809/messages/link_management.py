"""Link management (链路管理类): 0x1001–0x1008 and 0x9001–0x9008. No envelope, mostly the same in both editions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from construct import Int8ub, Int16ub, Int32ub

from jt809.fields import gbk_string
from jt809.header import Edition
from jt809.messages.registry import Direction, Message, register

CONNECT_RESULTS: Final[dict[int, tuple[str, str]]] = {
    0: ("success", "成功"),
    1: ("our IP address is not the one agreed", "IP 地址不正确"),
    2: ("access code wrong", "接入码不正确"),
    3: ("user not registered", "用户没注册"),
    4: ("password wrong", "密码错误"),
    5: ("resources short, try later", "资源紧张,稍后再连接(已经占用)"),
}
"""RESULT of 0x1002 -> English, Chinese. Anything else (0x06 in 2011, 0xFF in 2019) is "other"."""

DISCONNECT_REASONS: Final[dict[int, tuple[str, str]]] = {
    0: ("cannot connect to the given address and port", "无法连接下级平台指定的服务 IP 与端口"),
    1: ("connected, but the link broke between client and server", "上级平台客户端与下级平台服务端断开"),
}
"""ERROR_CODE of 0x9007 -> English, Chinese."""


def connect_result(result: int) -> tuple[str, str]:
    """What a RESULT of 0x1002 means, (English, Chinese)."""
    return CONNECT_RESULTS.get(result, (f"other reason (0x{result:02X})", f"其他原因(0x{result:02X})"))


def disconnect_reason(code: int) -> tuple[str, str]:
    """What an ERROR_CODE of 0x9007 means, (English, Chinese)."""
    return DISCONNECT_REASONS.get(code, (f"other reason (0x{code:02X})", f"其他原因(0x{code:02X})"))


@dataclass(frozen=True, slots=True)
class ConnectRequest(Message):
    """0x1001 in 2011. ``password`` at most 8 bytes; ``down_link_ip``, ``_port``: where the sub link server listens."""

    user_id: int
    password: str = field(repr=False)
    down_link_ip: str
    down_link_port: int


@dataclass(frozen=True, slots=True)
class ConnectRequest2019(Message):
    """0x1001 in 2019: the access code (MSG_GNSSCENTERID) stands in the body as well."""

    user_id: int
    password: str = field(repr=False)
    access_code: int
    down_link_ip: str
    down_link_port: int


@dataclass(frozen=True, slots=True)
class ConnectResponse(Message):
    """0x1002. ``result`` as in CONNECT_RESULTS; ``verify_code`` comes back in 0x9001."""

    result: int
    verify_code: int


@dataclass(frozen=True, slots=True)
class DisconnectRequest(Message):
    user_id: int
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class DisconnectResponse(Message):
    pass


@dataclass(frozen=True, slots=True)
class LinkTest(Message):
    """0x1005: the subordinate platform's heartbeat on the main link (主链路)."""


@dataclass(frozen=True, slots=True)
class LinkTestResponse(Message):
    pass


@dataclass(frozen=True, slots=True)
class DisconnectInform(Message):
    """0x1007, over the sub link (从链路). ``error_code`` 0: main link broken, 1: other. No answer."""

    error_code: int


@dataclass(frozen=True, slots=True)
class CloseLinkInform(Message):
    """0x1008. ``reason_code`` 2011: 0 gateway restart, 1 other; 2019: 0 sub link broken, 1 other. No answer."""

    reason_code: int


@dataclass(frozen=True, slots=True)
class DownConnectRequest(Message):
    """0x9001: the superior platform logs in on the sub link with the code it gave in 0x1002."""

    verify_code: int


@dataclass(frozen=True, slots=True)
class DownConnectResponse(Message):
    """0x9002. ``result`` 0 ok, 1 verify code wrong, 2 resources short, other 0x03 (2011) or 0xFF (2019)."""

    result: int


@dataclass(frozen=True, slots=True)
class DownDisconnectRequest(Message):
    verify_code: int


@dataclass(frozen=True, slots=True)
class DownDisconnectResponse(Message):
    pass


@dataclass(frozen=True, slots=True)
class DownLinkTest(Message):
    """0x9005: the superior platform's heartbeat on the sub link."""


@dataclass(frozen=True, slots=True)
class DownLinkTestResponse(Message):
    pass


@dataclass(frozen=True, slots=True)
class DownDisconnectInform(Message):
    """0x9007, over the main link: the sub link is down. ``error_code`` as in DISCONNECT_REASONS. No answer."""

    error_code: int


@dataclass(frozen=True, slots=True)
class DownCloseLinkInform(Message):
    """0x9008: the superior platform closes both links. ``reason_code`` 0: gateway restart. No answer."""

    reason_code: int


_UP, _DOWN = Direction.UP, Direction.DOWN

_LOGIN = {"user_id": Int32ub, "password": gbk_string(8)}
_DOWN_LINK = {"down_link_ip": gbk_string(32), "down_link_port": Int16ub}

register(0x1001, None, _UP, ConnectRequest, {**_LOGIN, **_DOWN_LINK},
         name="UP_CONNECT_REQ", chinese="主链路登录请求消息", editions=(Edition.V2011,), reply=0x1002)  # fmt: skip
register(0x1001, None, _UP, ConnectRequest2019, {**_LOGIN, "access_code": Int32ub, **_DOWN_LINK},
         name="UP_CONNECT_REQ", chinese="主链路登录请求消息", editions=(Edition.V2019,), source="JT/T 809-2019",
         reply=0x1002)  # fmt: skip
register(0x1002, None, _DOWN, ConnectResponse, {"result": Int8ub, "verify_code": Int32ub},
         name="UP_CONNECT_RSP", chinese="主链路登录应答消息")  # fmt: skip
register(0x1003, None, _UP, DisconnectRequest, _LOGIN,
         name="UP_DISCONNECT_REQ", chinese="主链路注销请求消息", reply=0x1004)  # fmt: skip
register(0x1004, None, _DOWN, DisconnectResponse, {},
         name="UP_DISCONNECT_RSP", chinese="主链路注销应答消息")  # fmt: skip
register(0x1005, None, _UP, LinkTest, {},
         name="UP_LINKTEST_REQ", chinese="主链路连接保持请求消息", reply=0x1006)  # fmt: skip
register(0x1006, None, _DOWN, LinkTestResponse, {},
         name="UP_LINKTEST_RSP", chinese="主链路连接保持应答消息")  # fmt: skip
register(0x1007, None, _UP, DisconnectInform, {"error_code": Int8ub},
         name="UP_DISCONNECT_INFORM", chinese="主链路断开通知消息")  # fmt: skip
register(0x1008, None, _UP, CloseLinkInform, {"reason_code": Int8ub},
         name="UP_CLOSELINK_INFORM", chinese="下级平台主动关闭链路通知消息")  # fmt: skip
register(0x9001, None, _DOWN, DownConnectRequest, {"verify_code": Int32ub},
         name="DOWN_CONNECT_REQ", chinese="从链路连接请求消息", reply=0x9002)  # fmt: skip
register(0x9002, None, _UP, DownConnectResponse, {"result": Int8ub},
         name="DOWN_CONNECT_RSP", chinese="从链路连接应答消息")  # fmt: skip
register(0x9003, None, _DOWN, DownDisconnectRequest, {"verify_code": Int32ub},
         name="DOWN_DISCONNECT_REQ", chinese="从链路注销请求消息", reply=0x9004)  # fmt: skip
register(0x9004, None, _UP, DownDisconnectResponse, {},
         name="DOWN_DISCONNECT_RSP", chinese="从链路注销应答消息")  # fmt: skip
register(0x9005, None, _DOWN, DownLinkTest, {},
         name="DOWN_LINKTEST_REQ", chinese="从链路连接保持请求消息", reply=0x9006)  # fmt: skip
register(0x9006, None, _UP, DownLinkTestResponse, {},
         name="DOWN_LINKTEST_RSP", chinese="从链路连接保持应答消息")  # fmt: skip
register(0x9007, None, _DOWN, DownDisconnectInform, {"error_code": Int8ub},
         name="DOWN_DISCONNECT_INFORM", chinese="从链路断开通知消息")  # fmt: skip
register(0x9008, None, _DOWN, DownCloseLinkInform, {"reason_code": Int8ub},
         name="DOWN_CLOSELINK_INFORM", chinese="上级平台主动关闭链路通知消息")  # fmt: skip
