"""What the sources of the vectors call the fields of the messages about the terminal, its driver, regions and routes.

As in :mod:`tests.jt808.names_media`: their name -> the path of ours, a function of our message, or None for what is no
field of a message.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jt808 import messages as m
from jt808.messages import control
from tests.jt808.names_media import Names, location
from tests.jt808.names_parameters import PARAMETERS, Each
from tests.jt808.vectors import flat, generic, vectors


def _bits(flags: Callable[[Any], int]) -> Names:
    return {f"item[{bit}]": lambda message, bit=bit: flags(message) >> bit & 1 for bit in range(32)}


def _each(theirs: str, ours: Callable[[Any], list[Any]]) -> Names:
    return {theirs: lambda message: Each(ours(message))}


def _degrees6(degrees: float) -> int:
    return round(abs(degrees) * 1_000_000)


def _under(theirs: str, ours: str, names: Names) -> Names:
    return {f"{theirs}.{name}": f"{ours}.{path}" for name, path in names.items()}


def _circle(read: Callable[[Any], Any]) -> Names:
    """The one area that a source's names are about."""
    return {
        "area_id": lambda message: Each([area.area_id for area in read(message)]),
        "area_property": lambda message: read(message)[0].attributes,
        "highest_speed": lambda message: read(message)[0].max_speed_kmh,
        "overspeed_duration": lambda message: read(message)[0].overspeed_duration_s,
        "night_maximum_speed": lambda message: read(message)[0].night_max_speed_kmh or 0,
        "area_name": lambda message: read(message)[0].name,
    }


def _corners(read: Callable[[Any], Any]) -> Names:
    return {
        "up_left_point_lat": lambda message: _degrees6(read(message)[0].top_latitude_deg),
        "up_left_point_lng": lambda message: _degrees6(read(message)[0].left_longitude_deg),
        "low_right_point_lat": lambda message: _degrees6(read(message)[0].bottom_latitude_deg),
        "low_right_point_lng": lambda message: _degrees6(read(message)[0].right_longitude_deg),
    }


def _stored(message: Any) -> Any:
    """The areas, or the polygon, in the first datum of a 0x0608."""
    return getattr(message.data[0], "areas", [message.data[0]])


_ANSWERED: Names = dict.fromkeys(
    ("response_serial_no", "flow_id", "msg_num", "reply_msg_num", "reply_s_no", "serial_number"), "answered_serial_no"
)
_AREA: Names = {
    "id": "area_id", "attribute": "attributes", "latitude_deg": "latitude_deg", "longitude_deg": "longitude_deg",
    "radius": "radius_m", "start_time": "start_time", "end_time": "end_time", "max_speed": "max_speed_kmh",
    "duration": "overspeed_duration_s",
}  # fmt: skip
_CORNERS: Names = {
    "latitude_ul": "top_latitude_deg", "longitude_ul": "left_longitude_deg",
    "latitude_lr": "bottom_latitude_deg", "longitude_lr": "right_longitude_deg",
}  # fmt: skip
_DELETED: Names = {"id": "area_ids", "area_ids[]": "area_ids[]", "area_id_list[].as_dword": "area_ids[]"}
_PACKAGES: Names = {
    "original_message_flow_id": "first_serial_no",
    "response_serial_no": "first_serial_no",
    "id": "package_nos",
    "package_id_list[].as_u16": "package_nos[]",
}
_ADAS = {
    "alarm_id": "alarm_id", "alarm_type": "alarm_type", "alarm_level": "level",
    "speed_of_front_object": "front_speed_kmh", "distance_to_front_object": "distance", "deviation_type": "departure",
    "road_sign_type": "road_sign", "road_sign_data": "road_sign_value", "vehicle_status": "vehicle_status",
    "alarm_identifier.terminal_id": "identifier.terminal_id", "alarm_identifier.sequence": "identifier.sequence_no",
    "alarm_identifier.attachment_count": "identifier.attachment_count",
    "alarm_identifier.reserved": "identifier.reserved",
}  # fmt: skip


def _adas(message: Any, path: str) -> Any:
    value: Any = message.location.item(0x64).value
    for name in path.split("."):
        value = getattr(value, name)
    return value[0] if isinstance(value, bytes) else value


def _in_blocks(message_id: int, *fields: str) -> Names:
    """What a source reads in the data blocks of GB/T 19056, which stay bytes here."""
    keys = {key for vector in vectors() if vector.message_id == message_id for key, _ in flat(vector.expected)}
    return {generic(key): None for key in keys if key not in fields}


NAMES: dict[type, Names] = (
    PARAMETERS
    | {
        m.TerminalPackagesRequest: _PACKAGES,
        m.PlatformPackagesRequest: _PACKAGES,
        m.ServerTimeResponse: {"time_gmt8": "time"},
        m.TerminalAttributes: {
            "terminal_type": lambda message: Each([message.terminal_type, message.terminal_model]),
            "maker_id": "manufacturer_id",
            "manufacturer_id": "manufacturer_id",
            "terminal_model": "terminal_model",
            "terminal_id": "terminal_id",
            "terminal_sim_iccid": "iccid",
            "iccid": "iccid",
            "terminal_hardware_version_num": "hardware_version",
            "hardware_version": "hardware_version",
            "terminal_firmware_version_num": "firmware_version",
            "firmware_version": "firmware_version",
            "gnss_module": "gnss_module",
            "gnss_model_property": "gnss_module",
            "communication_module": "radio_module",
            "communication_model_property": "radio_module",
        }
        | _bits(lambda message: message.terminal_type),
        m.UpgradePackage: {
            "type": "upgrade_type",
            "maker_id": "manufacturer_id",
            "manufacturer_id": "manufacturer_id",
            "version": "version",
            "packet": "data",
        },
        m.UpgradeResult: {"type": "upgrade_type", "result": "outcome"},
        m.TrackingControl: {
            "interval": "interval_s",
            "time_interval": "interval_s",
            "time_duration_in_seconds": "interval_s",
            "validity_period": "validity_s",
            "track_validity": "validity_s",
            "trace_validity_duration_in_seconds": "validity_s",
        },
        m.AlarmConfirmation: {
            "response_serial_no": "alarm_serial_no",
            "flow_id": "alarm_serial_no",
            "type": "alarm_types",
        }
        | _bits(lambda message: message.alarm_types),
        m.TerminalControl: {
            "command": "command",
            "command_word": "command",
            "parameter": lambda message: message.parameters.decode(),
            "first": lambda message: message.read(m.ControlForm.BINARY)["connection_control"],
            "size": None,
            "value": None,  # what the source appends to the standard's places
            "value1": None,
            "value2": None,
        }
        | {
            f"item[{place}]": lambda message, name=name: message.read(m.ControlForm.BINARY)[name]
            for place, name in enumerate(control.ORDER)
        },
        m.SetEvents: {
            "type": "action",
            "event_type": "action",
            "events[].id": "events[].event_id",
            "events[].content": "events[].text",
            "event_item_list.first.event_content": "events[0].text",
            "event_item_list.last.event_content": lambda message: message.events[-1].text,
        },
        m.Question: {
            "sign": "flags",
            "content": "text",
            "options[].id": "answers[].answer_id",
            "options[].content": "answers[].text",
        },
        m.QuestionResponse: _ANSWERED | {"answer_id": "answer_id"},
        m.SetInformationMenu: {
            "type": "action",
            "infos[].type": "items[].information_type",
            "infos[].name": "items[].name",
            "information_items[].information_type": "items[].information_type",
            "information_items[].information_name": "items[].name",
        },
        m.InformationOrder: {"type": "information_type", "action": "order", "flag": "order"},
        m.InformationService: {"type": "information_type", "content": "text"},
        m.CallBack: {"type": "kind", "flag": "kind", "phone_number": "phone_number"},
        m.SetPhoneBook: {
            "type": "action",
            "contacts[].sign": "contacts[].direction",
            "contacts[].phone": "contacts[].phone_number",
            "contacts[].name": "contacts[].name",
        },
        m.VehicleControl: {
            "type": lambda message: message.flags if message.flags is not None else message.items[0].control_id,
            "param": lambda message: message.items[0].value[0],
            "params.get0x0001": lambda message: message.items[0].value[0],
            "control_type_id": "items[0].control_id",
            "control_type_parameter": lambda message: message.items[0].value[0],
        },
        m.VehicleControlResponse: _ANSWERED
        | location("", "location")
        | location("0x0200.", "location")
        | {
            theirs: lambda message, number=number: message.location.item(number).value
            for number, name in ((0x01, "mileage_km"), (0x02, "fuel_l"))
            for theirs in (name, f"0x0200.basic_location_attach_data[0x{number:02x}].{name}")
        }
        | {theirs: lambda message, ours=ours: _adas(message, ours) for theirs, ours in _ADAS.items()},
        m.SetCircles: {"action": "action", "type": "action"}
        | _under("items[]", "areas[]", _AREA)
        | _circle(lambda message: message.areas)
        | {
            "latitude_deg": "areas[0].latitude_deg",
            "longitude_deg": "areas[0].longitude_deg",
            "radius": "areas[0].radius_m",
            "top_speed": "areas[0].max_speed_kmh",
            "duration_of_over_speed": "areas[0].overspeed_duration_s",
        },
        m.DeleteCircles: _DELETED,
        m.SetRectangles: {"action": "action"}
        | _under("items[]", "areas[]", _AREA)
        | {
            f"items[].{theirs}": lambda message, ours=ours: Each(
                [_degrees6(getattr(area, ours)) for area in message.areas]
            )
            for theirs, ours in _CORNERS.items()
        }
        | _circle(lambda message: message.areas)
        | _corners(lambda message: message.areas),
        m.DeleteRectangles: _DELETED,
        m.SetPolygon: _AREA
        | {
            "area_id": "area_id",
            "top_speed": "max_speed_kmh",
            "duration_of_over_speed": "overspeed_duration_s",
            "night_max_speed": "night_max_speed_kmh",
            "name": "name",
            "points[].latitude": lambda message: Each([_degrees6(one.latitude_deg) for one in message.vertices]),
            "points[].longitude": lambda message: Each([_degrees6(one.longitude_deg) for one in message.vertices]),
            "point_list[].latitude_deg": "vertices[].latitude_deg",
            "point_list[].longitude_deg": "vertices[].longitude_deg",
        },
        m.DeletePolygons: _DELETED,
        m.SetRoute: {
            "id": "route_id",
            "attribute": "attributes",
            "start_time": "start_time",
            "end_time": "end_time",
            "name": "name",
        }
        | _under(
            "items[]",
            "points[]",
            {
                "id": "point_id",
                "route_id": "segment_id",
                "latitude_deg": "latitude_deg",
                "longitude_deg": "longitude_deg",
                "width": "width_m",
                "attribute": "attributes",
                "upper_limit": "max_time_s",
                "lower_limit": "min_time_s",
                "max_speed": "max_speed_kmh",
                "duration": "overspeed_duration_s",
                "night_max_speed": "night_max_speed_kmh",
            },
        ),
        m.DeleteRoutes: {"area_id_list[].as_dword": "route_ids[]"},
        m.AreasQuery: {"query_type": "kind", "type": "kind", "ids[]": "area_ids[]", "id": "area_ids"},
        m.AreasResponse: {"query_type": "kind", "type": "kind"}
        | _circle(_stored)
        | _corners(_stored)
        | {
            "center_point_lat": lambda message: _degrees6(_stored(message)[0].latitude_deg),
            "center_point_lng": lambda message: _degrees6(_stored(message)[0].longitude_deg),
            "radius": lambda message: _stored(message)[0].radius_m,
            "start_time": "data[0].start_time",
            "end_time": "data[0].end_time",
            "peak_items[].latitude_deg": "data[0].vertices[].latitude_deg",
            "peak_items[].longitude_deg": "data[0].vertices[].longitude_deg",
        }
        | _under(
            "area_list[]",
            "data[0].areas[]",
            {
                "latitude_deg": "latitude_deg",
                "longitude_deg": "longitude_deg",
                "radius": "radius_m",
                "top_speed": "max_speed_kmh",
                "duration_of_over_speed": "overspeed_duration_s",
                "top_speed_at_night": "night_max_speed_kmh",
                "area_name": "name",
            },
        ),
        m.TachographQuery: {"command_id": "command"},
        m.TachographUpload: _in_blocks(0x0700, *_ANSWERED) | _ANSWERED,
        m.TachographParameters: _in_blocks(0x8701, "command_id") | {"command_id": "command"},
        m.ElectronicWaybill: {"result": lambda message: message.content.decode()},
        m.DriverIdentity: {
            "status": "status",
            "ic_card_plug_date_time": "time",
            "date_time": "time",
            "card_status": "card_result",
            "driver_user_name": "driver_name",
            "name": "driver_name",
            "driver_name": "driver_name",
            "qualification_code": "certificate_no",
            "license_no": "certificate_no",
            "professional_license_no": "certificate_no",
            "card_code": "certificate_no",
            "license_issuing": "authority",
            "institution": "authority",
            "certificate_authority_name": "authority",
            "certificate_expires_date": "valid_until",
            "license_valid_period": lambda message: f"{message.valid_until:%Y%m%d}",
            "driver_identity_card": "identity_no",
            "driver_id_card_no": "identity_no",
            "id_card": "identity_no",
        },
        m.CanData: {
            "first_can_receive_time": lambda message: message.received_at.isoformat("milliseconds"),
            'of_pattern"h_hmmss_ssss".formatentity.receive_time': lambda message: message.received_at.hex(),
            "date_time": lambda message: message.received_at.hex()[-6:],
            "total": lambda message: len(message.items),
            "can_items[].can_id": "items[].can_id",
            "items[].id": "items[].can_id",
            "items[].data": "items[].data",
        },
    }
)
