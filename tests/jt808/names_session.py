"""What the sources of the vectors call the fields of session, location and text messages.

As in :mod:`tests.jt808.names_media`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jt808 import messages as m
from tests.jt808.names_media import _OWN_LOCATION, Names, location


def _item(item_id: int) -> Callable[[Any], Any]:
    return lambda report: report.item(item_id).value


def _number(item_id: int, begin: int = 0, end: int | None = None) -> Callable[[Any], int]:
    return lambda report: int.from_bytes(report.item(item_id).raw[begin:end], "big")


def _alarm(field: str, item_id: int | None = None) -> Callable[[Any], Any]:
    """A field of the (first) active-safety item; the sources give degrees as they are on the wire."""

    def read(report: Any) -> Any:
        ids = range(0x64, 0x68) if item_id is None else (item_id,)
        value = next(item for item in report.items if item.id in ids).value
        for name in field.split("."):
            value = value[int(name)] if name.isdecimal() else getattr(value, name)
        return int.from_bytes(value, "big") if isinstance(value, bytes) else value

    return read


def _degrees6(field: str) -> Callable[[Any], int]:
    read = _alarm(field)
    return lambda report: round(read(report) * 1_000_000)


_ALARM: Names = {
    "attach_info_id": None,  # under which a source registers an item
    "alarm_id": _alarm("alarm_id"),
    "flag_state": _alarm("state"),
    "alarm_or_event_type": _alarm("alarm_type"),
    "alarm_level": _alarm("level"),
    "vehicle_speed": _alarm("front_speed_kmh"),
    "car_or_pedestrian_distance_ahead": _alarm("distance"),
    "deviate_type": _alarm("departure"),
    "road_sign_identification_type": _alarm("road_sign"),
    "road_sign_identification_data": _alarm("road_sign_value"),
    "fatigue": _alarm("fatigue_degree"),
    "latitude": _degrees6("latitude_deg"),
    "longitude": _degrees6("longitude_deg"),
    "alarm_time": _alarm("time"),
    "vehicle_state": _alarm("vehicle_status"),
    "alarm_identification.sn": _alarm("identifier.sequence_no"),
    "alarm_identification.terminal_id": _alarm("identifier.terminal_id"),
    "alarm_identification.time_gmt8": _alarm("identifier.time"),
    "alarm_identification.retain1": lambda report: report.items[-1].value.identifier.reserved[0],
    "alarm_identification.retain2": lambda report: report.items[-1].value.identifier.reserved[1],
}
_TYRES: Names = {
    f"alarm_or_events[{index}].{theirs}": _alarm(f"tyres.{index}.{ours}")
    for index in range(3)
    for theirs, ours in {
        "alarm_or_event_type": "alarm_flags",
        "battery_level": "battery_percent",
        "tire_pressure": "pressure_kpa",
        "tire_pressure_alarm_position": "position",
        "tire_temperature": "temperature_c",
    }.items()
}
_ATTRIBUTES: Names = {f"attributes.{item_id}": _number(item_id) for item_id in (1, 2, 3, 4, 6, 0x25, 0x2A, 0x30, 0x31)}
_ATTRIBUTES |= {"attributes.43": _number(0x2B)}
_ATTRIBUTES |= {
    "attributes.5.value": lambda report: list(report.item(0x05).raw),
    "attributes.17.area_type": _number(0x11, 0, 1),
    "attributes.17.area_id": _number(0x11, 1),
    "attributes.18.area_type": _number(0x12, 0, 1),
    "attributes.18.area_id": _number(0x12, 1, 5),
    "attributes.18.direction": _number(0x12, 5),
    "attributes.19.area_id": _number(0x13, 0, 4),
    "attributes.19.drive_time": _number(0x13, 4, 6),
    "attributes.19.result": _number(0x13, 6),
}
_ATTRIBUTES |= {
    f"attributes.{item_id}.{theirs}": _alarm(ours, item_id)
    for item_id in (100, 101, 102, 103)
    for theirs, ours in {
        "id": "alarm_id", "state": "state", "type": "alarm_type", "level": "level", "front_speed": "front_speed_kmh",
        "front_distance": "distance", "deviate_type": "departure", "road_sign": "road_sign",
        "road_sign_value": "road_sign_value", "fatigue_degree": "fatigue_degree", "speed": "speed_kmh",
        "altitude": "altitude_m", "latitude_deg": "latitude_deg", "longitude_deg": "longitude_deg",
        "alarm_time": "time", "status_bit": "vehicle_status", "device_id": "identifier.terminal_id",
        "time_gmt8": "identifier.time", "sequence_no": "identifier.sequence_no",
        "file_total": "identifier.attachment_count", "reserved": "identifier.reserved",
    }.items()
}  # fmt: skip
_ATTRIBUTES |= {"attributes.101.reserves": lambda report: int.from_bytes(report.item(101).value.reserved, "big")}

_ITEMS: Names = {
    "mileage_km": _item(0x01),
    "fuel_l": _item(0x02),
    "event_id": _item(0x04),
    "area_id": lambda report: [report.item(0x11).value["area_id"], report.item(0x12).value["area_id"]],
    "jt808_position_type": None,
    "driven_route_id": lambda report: report.item(0x13).value["segment_id"],
    "time": lambda report: report.item(0x13).value["time_s"],
    "car_signal_status": _item(0x25),
    "io_status": _item(0x2A),
    "wi_fi_signal_strength": _item(0x30),
    "basic_location_attach_data[0x01].mileage_km": _item(0x01),
    "basic_location_attach_data[0x02].fuel_l": _item(0x02),
    "custom_location_attach_data[0x14].video_relate_alarm": _item(0x14),
    "custom_location_attach_data[0x15].video_signal_lose_alarm_status": _item(0x15),
    "custom_location_attach_data[0x16].video_signal_occlusion_alarm_status": _item(0x16),
    "custom_location_attach_data[0x17].storage_fault_alarm_status": _item(0x17),
    "custom_location_attach_data[0x18].abnormal_driving_behavior_alarm_type": _number(0x18, 0, 2),
    "custom_location_attach_data[0x18].fatigue_level": _number(0x18, 2),
    "video_alarm": _item(0x14),
}

_MAKERS: Names = dict.fromkeys(
    [
        "power_v",
        "traccar_result",
        "imei",
        "temp1",
        "temp3",
        "battery_v",
        "traccar_alarm",
        "battery_level_pct",
        "motion",
        "tire1_pressure",
        "fuel1",
        "fuel2",
        "event",
        "rpm",
        "iccid",
        "charge",
        "volage",
        "mcc",
        "mnc",
        "version",
        "alarm",
        "power",
        "power_percent",
        "driver_unique_id",
        "lock2_battery",
        "calculate_check_xor_code",
        "satellites",
        "wifi_infos[].singnal_strength",
        "wifi_infos[].wifi_mac",
        "base_stations[].lac",
        "base_stations[].signal",
        "check_sum",
        "is_reply_to_frame",
        "test",
    ]
)
"""What is in makers' own items, in the frame, or in a source's head."""

_LOCATION: Names = {
    theirs: path.removeprefix(".") for theirs, path in location("", "").items() if isinstance(path, str)
}
_HEADER = dict.fromkeys(("terminal_phone_number", "flow_id", "protocol_version"))
_ANSWERED: Names = {
    "reply_msg_num": "answered_serial_no", "msg_num": "answered_serial_no", "serial_number": "answered_serial_no",
    "respond_serial_number": "answered_serial_no", "client_flow_id": "answered_serial_no",
    "response_serial_no": "answered_serial_no", "ack_msg_num": "answered_serial_no", "id": "answered_message_id",
    "respond_id": "answered_message_id", "client_message_id": "answered_message_id",
    "response_message_id": "answered_message_id", "result": "result", "result_code": "result",
}  # fmt: skip


def _under(theirs: str, ours: str, names: Names) -> Names:
    """Names of a report that stands in a list, or alone, in another body."""
    found: Names = {}
    for name, path in names.items():
        found[f"{theirs}{name}"] = f"{ours}.{path}" if isinstance(path, str) else path
    return found


def _of(read: Callable[[Any], Any], names: Names) -> Names:
    return {
        name: (lambda message, path=path: path(read(message))) if callable(path) else path
        for name, path in names.items()
    }


NAMES: dict[type, Names] = {
    m.TerminalGeneralResponse: _ANSWERED | _MAKERS,
    m.PlatformGeneralResponse: _ANSWERED | _MAKERS,
    m.Heartbeat: _MAKERS,
    m.TerminalRegister: _MAKERS
    | _HEADER
    | {
        "province_id": "province_id", "area_id": "province_id", "city_id": "city_id", "city_or_county_id": "city_id",
        "manufacturer_id": "manufacturer_id", "maker_id": "manufacturer_id", "terminal_type": "terminal_model",
        "terminal_model": "terminal_model", "device_model": "terminal_model", "terminal_id": "terminal_id",
        "device_id": "terminal_id", "color": "plate_color", "plate_color": "plate_color", "car_identifier": "plate",
        "license_plate_number": "plate", "plate_no": "plate",
    },
    m.RegisterResponse: _ANSWERED | {"code": "auth_code", "token": "auth_code", "auth_code": "auth_code"},
    m.TerminalAuthentication: _MAKERS
    | {
        "code": "auth_code", "auth_code": "auth_code", "token": "auth_code", "authentication_code": "auth_code",
        "imei": "imei", "software_version": "software_version", "formated_software_version": "software_version",
    },
    m.LocationReport: _MAKERS | _LOCATION | _ITEMS | _ALARM | _TYRES | _ATTRIBUTES,
    m.LocationQueryResponse: _ANSWERED
    | location("", "location")
    | location("position.", "location")
    | _of(lambda message: message.location, {**_ITEMS, **_under("position.", "", _ITEMS)}),
    m.BulkLocationReport: _MAKERS
    | {"total": lambda message: len(message.items), "type": "kind"}
    | location("", "items[0]")
    | location("positions[].", "items[]")
    | location("items[].", "items[]")
    | {f"items[].{name}": None for name in _OWN_LOCATION}
    | {
        f"positions[{index}].basic_location_attach_data[{key}": lambda message, index=index, item_id=item_id: (
            message.items[index].item(item_id).value
        )
        for index in range(4)
        for key, item_id in (("0x01].mileage_km", 0x01), ("0x02].fuel_l", 0x02))
    },
    m.TextMessage: {
        "identifier": "flags", "text_flag": "flags", "sign": "flags", "text": "text", "text_info": "text",
        "content": "text", "type": "text_type", "text_type": "text_type",
    },
}  # fmt: skip
