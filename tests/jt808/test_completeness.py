"""Every message of the standards' catalogues is registered, in each edition it exists in, with all that a row needs.

The table is written from the catalogue of the messages (2019: appendix B; 2013 and 2011: chapter 8; JT/T 1078-2016 and
T/JSATL 12-2017: their tables of messages), not from the registry. Messages that 2019 lists and gives no body any more
(events, questions, information) count as there: units send them.
"""

from __future__ import annotations

import pytest

from jt808 import Edition, UnknownMessage, body_edition, decode_body
from jt808.fields import labels
from jt808.messages import Direction, message_type, message_types
from jt808.messages.registry import UNCHECKED
from tests.jt808.vectors import disagreements, vectors

EDITIONS = {
    "2011": tuple(Edition),
    "2013": (Edition.V2013, Edition.V2019),
    "2019": (Edition.V2019,),
    "1078": tuple(Edition),  # signalling beside the messages of any edition
    "Su-biao": tuple(Edition),
}

CATALOGUE: tuple[tuple[int, str, str, int | None, str], ...] = (
    (0x0001, "U", "2011", None, "终端通用应答"),
    (0x0002, "U", "2011", 0x8001, "终端心跳"),
    (0x0003, "U", "2011", 0x8001, "终端注销"),
    (0x0004, "U", "2019", 0x8004, "查询服务器时间请求"),
    (0x0005, "U", "2019", None, "终端补传分包请求"),
    (0x0100, "U", "2011", 0x8100, "终端注册"),
    (0x0102, "U", "2011", 0x8001, "终端鉴权"),
    (0x0104, "U", "2011", None, "查询终端参数应答"),
    (0x0107, "U", "2013", None, "查询终端属性应答"),
    (0x0108, "U", "2013", 0x8001, "终端升级结果通知"),
    (0x0200, "U", "2011", 0x8001, "位置信息汇报"),
    (0x0201, "U", "2011", None, "位置信息查询应答"),
    (0x0301, "U", "2011", 0x8001, "事件报告"),
    (0x0302, "U", "2011", 0x8001, "提问应答"),
    (0x0303, "U", "2011", 0x8001, "信息点播/取消"),
    (0x0500, "U", "2011", 0x8001, "车辆控制应答"),
    (0x0608, "U", "2019", None, "查询区域或线路数据应答"),
    (0x0700, "U", "2011", None, "行驶记录数据上传"),
    (0x0701, "U", "2011", 0x8001, "电子运单上报"),
    (0x0702, "U", "2011", 0x8001, "驾驶员身份信息采集上报"),
    (0x0704, "U", "2013", 0x8001, "定位数据批量上传"),
    (0x0705, "U", "2013", 0x8001, "CAN总线数据上传"),
    (0x0800, "U", "2011", 0x8001, "多媒体事件信息上传"),
    (0x0801, "U", "2011", 0x8800, "多媒体数据上传"),
    (0x0802, "U", "2011", None, "存储多媒体数据检索应答"),
    (0x0805, "U", "2013", None, "摄像头立即拍摄命令应答"),
    (0x0900, "U", "2011", 0x8001, "数据上行透传"),
    (0x0901, "U", "2011", 0x8001, "数据压缩上报"),
    (0x0A00, "U", "2011", 0x8A00, "终端RSA公钥"),
    (0x1003, "U", "1078", None, "终端上传音视频属性"),
    (0x1005, "U", "1078", 0x8001, "终端上传乘客流量"),
    (0x1205, "U", "1078", 0x8001, "终端上传音视频资源列表"),
    (0x1206, "U", "1078", 0x8001, "文件上传完成通知"),
    (0x1210, "U", "Su-biao", 0x8001, "报警附件信息消息"),
    (0x1211, "U", "Su-biao", 0x8001, "文件信息上传"),
    (0x1212, "U", "Su-biao", 0x9212, "文件上传完成消息"),
    (0x8001, "D", "2011", None, "平台通用应答"),
    (0x8003, "D", "2013", None, "服务器补传分包请求"),
    (0x8004, "D", "2019", None, "查询服务器时间应答"),
    (0x8100, "D", "2011", None, "终端注册应答"),
    (0x8103, "D", "2011", 0x0001, "设置终端参数"),
    (0x8104, "D", "2011", 0x0104, "查询终端参数"),
    (0x8105, "D", "2011", 0x0001, "终端控制"),
    (0x8106, "D", "2013", 0x0104, "查询指定终端参数"),
    (0x8107, "D", "2013", 0x0107, "查询终端属性"),
    (0x8108, "D", "2013", 0x0001, "下发终端升级包"),
    (0x8201, "D", "2011", 0x0201, "位置信息查询"),
    (0x8202, "D", "2011", 0x0001, "临时位置跟踪控制"),
    (0x8203, "D", "2013", 0x0001, "人工确认报警消息"),
    (0x8204, "D", "2019", 0x0001, "链路检测"),
    (0x8300, "D", "2011", 0x0001, "文本信息下发"),
    (0x8301, "D", "2011", 0x0001, "事件设置"),
    (0x8302, "D", "2011", 0x0302, "提问下发"),
    (0x8303, "D", "2011", 0x0001, "信息点播菜单设置"),
    (0x8304, "D", "2011", 0x0001, "信息服务"),
    (0x8400, "D", "2011", 0x0001, "电话回拨"),
    (0x8401, "D", "2011", 0x0001, "设置电话本"),
    (0x8500, "D", "2011", 0x0500, "车辆控制"),
    (0x8600, "D", "2011", 0x0001, "设置圆形区域"),
    (0x8601, "D", "2011", 0x0001, "删除圆形区域"),
    (0x8602, "D", "2011", 0x0001, "设置矩形区域"),
    (0x8603, "D", "2011", 0x0001, "删除矩形区域"),
    (0x8604, "D", "2011", 0x0001, "设置多边形区域"),
    (0x8605, "D", "2011", 0x0001, "删除多边形区域"),
    (0x8606, "D", "2011", 0x0001, "设置路线"),
    (0x8607, "D", "2011", 0x0001, "删除路线"),
    (0x8608, "D", "2019", 0x0608, "查询区域或线路数据"),
    (0x8700, "D", "2011", 0x0700, "行驶记录数据采集命令"),
    (0x8701, "D", "2011", 0x0001, "行驶记录参数下传命令"),
    (0x8702, "D", "2013", 0x0702, "上报驾驶员身份信息请求"),
    (0x8800, "D", "2011", None, "多媒体数据上传应答"),
    (0x8801, "D", "2011", 0x0805, "摄像头立即拍摄命令"),
    (0x8802, "D", "2011", 0x0802, "存储多媒体数据检索"),
    (0x8803, "D", "2011", 0x0001, "存储多媒体数据上传命令"),
    (0x8804, "D", "2011", 0x0001, "录音开始命令"),
    (0x8805, "D", "2013", 0x0001, "单条存储多媒体数据检索上传命令"),
    (0x8900, "D", "2011", 0x0001, "数据下行透传"),
    (0x8A00, "D", "2011", 0x0A00, "平台RSA公钥"),
    (0x9003, "D", "1078", 0x1003, "查询终端音视频属性"),
    (0x9101, "D", "1078", 0x0001, "实时音视频传输请求"),
    (0x9102, "D", "1078", 0x0001, "音视频实时传输控制"),
    (0x9105, "D", "1078", 0x0001, "实时音视频传输状态通知"),
    (0x9201, "D", "1078", 0x1205, "平台下发远程录像回放请求"),
    (0x9202, "D", "1078", 0x0001, "平台下发远程录像回放控制"),
    (0x9205, "D", "1078", 0x1205, "查询资源列表"),
    (0x9206, "D", "1078", 0x0001, "文件上传指令"),
    (0x9207, "D", "1078", 0x0001, "文件上传控制"),
    (0x9208, "D", "Su-biao", 0x0001, "报警附件上传指令"),
    (0x9212, "D", "Su-biao", None, "文件上传完成消息应答"),
    (0x9301, "D", "1078", 0x0001, "云台旋转"),
    (0x9302, "D", "1078", 0x0001, "云台调整焦距控制"),
    (0x9303, "D", "1078", 0x0001, "云台调整光圈控制"),
    (0x9304, "D", "1078", 0x0001, "云台雨刷控制"),
    (0x9305, "D", "1078", 0x0001, "红外补光控制"),
    (0x9306, "D", "1078", 0x0001, "云台变倍控制"),
)
"""(id, U up or D down, since, answered with, Chinese name). None: an answer itself; packages are no answer by id."""

LAYOUT_CHANGES: dict[int, tuple[str, ...]] = {
    0x0100: ("2013", "2019"), 0x0102: ("2019",), 0x0104: ("2013",), 0x0107: ("2019",), 0x0201: ("2013",),
    0x0700: ("2013",), 0x0702: ("2013", "2019"), 0x0801: ("2013",), 0x0802: ("2013",), 0x0900: ("2013",),
    0x8003: ("2019",), 0x8103: ("2013",), 0x8300: ("2019",), 0x8301: ("2013",), 0x8303: ("2013",), 0x8304: ("2013",),
    0x8401: ("2013",), 0x8500: ("2019",), 0x8600: ("2013", "2019"), 0x8602: ("2013", "2019"),
    0x8604: ("2013", "2019"), 0x8606: ("2013", "2019"), 0x8700: ("2013",), 0x8800: ("2013",), 0x8900: ("2013",),
}  # fmt: skip
"""Editions that laid a body out anew, by the catalogue. What only changed its meaning is not among them: results of
0x8001 (2013), bits and items of 0x0200 (2013, 2019), flags of 0x8300 (2013), parameters of 0x8103 (2019), commands of
0x8105 (2019), events of 0x0800 (2013), resolutions of 0x8801 (2019)."""

CLAUSES_IN_OUR_REFERENCE = {0x1205}

NOT_OURS = {
    0x0F00: "reserved",
    0x8F00: "reserved",
    0xE000: "makers' own",
    0xF000: "makers' own",
    0x1FC4: "upgrade progress of Yue-biao, whose text we do not have",
}


@pytest.mark.parametrize("wanted", CATALOGUE, ids=lambda wanted: f"{wanted[0]:04x}")
def test_the_message_is_there(wanted: tuple[int, str, str, int | None, str]) -> None:
    message_id, direction, since, answer_id, chinese = wanted
    row = message_type(message_id)
    assert row is not None
    assert row.direction == (Direction.UPLINK if direction == "U" else Direction.DOWNLINK)
    assert row.editions == EDITIONS[since]
    assert row.answer_id == answer_id
    assert row.chinese == chinese
    assert row.name.isascii()
    assert row.clause
    assert row.body.__doc__
    assert all(label.chinese for label in labels(row.body).values())
    has_number = "§" in row.clause
    assert (UNCHECKED in row.clause) == (has_number and message_id not in CLAUSES_IN_OUR_REFERENCE)
    standard = {"1078": "JT/T 1078-2016 §", "Su-biao": "T/JSATL 12-2017"}.get(since, f"{max(since, '2013')} §")
    assert standard in row.clause


def test_no_other_message_is_there() -> None:
    listed = [message_id for message_id, *_ in CATALOGUE]
    assert listed == [row.message_id for row in message_types()]
    for message_id in NOT_OURS:
        assert decode_body(message_id, Edition.V2019, b"abc") == UnknownMessage(message_id, b"abc")


def test_bodies_change_with_the_editions_that_changed_them() -> None:
    for row in message_types():
        changed = [
            edition.value
            for before, edition in zip(row.editions, row.editions[1:], strict=False)
            if row.layouts[edition] is not row.layouts[before]
        ]
        assert tuple(changed) == LAYOUT_CHANGES.get(row.message_id, ()), hex(row.message_id)


def test_answers_go_the_other_way() -> None:
    for row in message_types():
        if row.answer_id is not None:
            answer = message_type(row.answer_id)
            assert answer is not None
            assert answer.direction != row.direction
            assert set(answer.editions) >= set(row.editions) or row.message_id == 0x8801  # 2011: a 0x0001 alone


def test_every_message_has_a_vector_for_each_form() -> None:
    """One that is read and written again byte for byte: `test_vectors` holds that for those that do not disagree."""
    seen = {
        (vector.message_id, body_edition(vector.message_id, vector.edition, vector.body))
        for vector in vectors()
        if message_type(vector.message_id) and not {"body", "bytes"} & disagreements().get(vector.name, {}).keys()
    }
    missing = []
    for row in message_types():
        for edition in row.editions:
            same_form = {other for other in row.editions if row.layouts[other] is row.layouts[edition]}
            if not any((row.message_id, other) in seen for other in same_form):
                missing.append(f"0x{row.message_id:04X} {edition}")
    assert missing == []
