"""What the sources of the vectors call the parameters of 0x8103 and 0x0104; see :mod:`tests.jt808.names_media`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from jt808 import messages as m
from tests.jt808.names_media import Names
from tests.jt808.vectors import vectors


class Each:
    """Equal to any value of ours, and to a list of such: a source that shows values of several entries as one, or of
    several tests in a row."""

    def __init__(self, values: list[Any]) -> None:
        self.values = values

    def __eq__(self, theirs: object) -> bool:
        return all(one in self.values for one in theirs) if isinstance(theirs, list) else theirs in self.values

    def __hash__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return f"one of {self.values}"


class Wire:
    """Equal to a text, to the number in the bytes, and to a list of them: what sources give that read no further."""

    def __init__(self, parameter: m.Parameter) -> None:
        self.parameter = parameter

    def __eq__(self, theirs: object) -> bool:
        if isinstance(theirs, list):
            return list(self.parameter.raw) == theirs
        return int.from_bytes(self.parameter.raw, "big") == theirs if isinstance(theirs, int) else self.value == theirs

    def __hash__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return repr(self.parameter)

    @property
    def value(self) -> Any:
        return self.parameter.value


def found(message: Any, *numbers: int) -> list[m.Parameter]:
    return [parameter for parameter in message.parameters if parameter.parameter_id in numbers]


def leaves(value: Any) -> list[Any]:
    """The plain values of a record, as they stand on the wire; none where the table cannot read it."""
    if value is None:
        return []
    if is_dataclass(value):
        return [leaf for field in fields(value) for leaf in leaves(getattr(value, field.name))]
    return [value]


def _leaf(numbers: tuple[int, ...], at: int, change: Callable[[Any], Any] = lambda value: value) -> Any:
    """A function of a message: the values at that place of the records with these ids, as :class:`Each`."""

    def read(message: Any) -> Each:
        records = [leaves(parameter.value) for parameter in found(message, *numbers)]
        return Each([change(record[at]) if record else UNREAD for record in records])

    return read


class _Unread:
    """The value of a parameter that is not as long as it should be; test_parameters says which those are."""

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 0


UNREAD = _Unread()


def _signed(value: Any) -> Any:
    """One source reads numbers of all ones as -1."""
    return -1 if value in (0xFF, 0xFFFF, 0xFFFFFFFF) else value


def _in_order(numbers: tuple[int, ...], prefix: str, names: str, first: int = 0) -> Names:
    """The names of the fields of a record, in their order on the wire; ``-`` for one that has none."""
    return {
        f"{prefix}{name}": _leaf(numbers, at, _signed) for at, name in enumerate(names.split(), first) if name != "-"
    }


_CAMERA = """
alarm_judge_speed_threshold warning_volume active_photography_strategy actively_time_photo_interval
active_distance_photography_distance_interval single_initiative_photos single_initiative_photos_interval
photo_resolution video_recording_resolution alarm_enable event_enable
"""
_ADAS = """
placeholder1
distance_threshold_obstacle_alarm hierarchical_speed_threshold_obstacle_alarm
video_recording_time_before_and_after_obstacle_alarm barrier_alarm_photographs obstacle_alarm_interval
frequent_channel_change_alarm_judgment_time_period frequent_alarm_judgment_number_channel_change
hierarchical_speed_threshold_frequent_channel_change_alarm
video_recording_time_before_and_after_frequent_lane_change_alarm frequent_channel_change_alarm_photos
frequent_lane_change_alarm_interval
graded_speed_threshold_lane_departure_alarm video_recording_time_before_and_after_lane_departure_alarm
lane_departure_alarm_photo lane_departure_alarm_photo_interval
forward_collision_warning_time_threshold hierarchical_speed_threshold_forward_collision_warning
video_recording_time_before_and_after_forward_collision_alarm forward_collision_alarm_photographs
forward_collision_alarm_interval
pedestrian_collision_alarm_time_threshold pedestrian_collision_alarm_enabling_speed_threshold
video_recording_time_before_and_after_pedestrian_collision_alarm pedestrian_collision_alarm_photos
pedestrian_collision_alarm_interval
vehicle_distance_monitoring_alarm_distance_threshold
vehicle_distance_monitoring_and_alarm_classification_speed_threshold
video_recording_time_before_and_after_alarm_vehicle_proximity alarm_photo_vehicle_close_distance
alarm_photo_vehicle_close_distance_interval
road_sign_recognition_photographs road_sign_recognition_photographs_interval
"""
_DSM = """
time_interval_smoking_alarm_judgment call_alarm_determine_time_interval -
graded_speed_threshold_fatigue_driving_alarm video_recording_time_before_and_after_fatigue_driving_alarm
fatigue_driving_alarm_photograph fatigue_driving_alarm_photograph_interval
classified_speed_threshold_call_alarm video_recording_time_before_and_after_call_alarm
call_alarm_take_pictures_driver_facial_features call_alarm_take_pictures_driver_facial_features_interval
classified_speed_threshold_smoking_alarm video_recording_time_before_and_after_smoking_alarm
smoking_alarm_photographs_driver_face_characteristics smoking_alarm_photographs_driver_face_characteristics_interval
classified_speed_threshold_distracted_driving_alarm
video_recording_time_before_and_after_distracted_driving_alarm distracted_driving_alarm_photography
distracted_driving_alarm_photography_interval
classified_speed_threshold_abnormal_driving_behavior video_recording_time_abnormal_driving_behavior
photographs_abnormal_driving_behavior picture_interval_abnormal_driving_behavior driver_identification_trigger
"""
_STREAM = "encode_mode resolution kf_interval target_fps target_code_rate"
_STREAM_OF_ANOTHER = "encode resolution frame_interval frame_rate bit_rate"
_MORE_OF_OTHERS = (
    "solid_line_change_lanes", "carriage_aisle", "not_buckle_up", "infrared_sunglasses", "double_hander_off",
    "play_mobile", "camera_occlusion",
)  # fmt: skip
"""Settings that Yue-biao appends; they stay in ``reserved``."""


def _video(prefix: str, live: str, stored: str, names: str, numbers: tuple[int, ...], first: int = 0) -> Names:
    wanted = [f"{live}{name}" for name in names.split()] + [f"{stored}{name}" for name in names.split()]
    return _in_order(numbers, prefix, " ".join(wanted), first)


def _single(theirs: str, at: int) -> Names:
    """A stream's field in 0x0075 and in the channels of 0x0077, which the source shows in one list."""

    def read(message: Any) -> Each:
        values = [leaves(parameter.value)[at] for parameter in found(message, 0x75)]
        for parameter in found(message, 0x77):
            values += [leaves(channel)[at + 1] for channel in parameter.value.channels]
        return Each(values)

    return {theirs: read, f"signal_channels[].{theirs}": read}


def _channels(theirs: str, ours: str) -> Names:
    def read(message: Any) -> Each:
        values = [getattr(channel, ours) for one in found(message, 0x76) for channel in one.value.channels]
        for parameter in found(message, 0x77):
            values += [getattr(channel, ours) for channel in parameter.value.channels if hasattr(channel, ours)]
        return Each(values)

    return dict.fromkeys((theirs, f"av_channel_ref_tables[].{theirs}", f"signal_channels[].{theirs}"), read)


def _periods() -> Iterator[tuple[str, Any]]:
    for number in range(4):
        for ours, theirs, another in (("wake", "wake", "wake"), ("close", "close", "sleep")):

            def read(message: Any, number: int = number, ours: str = ours) -> str:
                (parameter,) = found(message, 0x7C)
                return str(getattr(parameter.value.periods[number], ours))

            for prefix in ("", "timer_wake_day_paramter."):
                yield (
                    f"{prefix}time_period{number + 1}_{theirs}_time",
                    lambda message, read=read: Each([read(message).lstrip("0"), int(read(message))]),
                )
            yield (
                f"parameters.124.{another}_time{number + 1}",
                lambda message, read=read: f"{read(message)[:2]}:{read(message)[2:]}:00",
            )


def _mentioned() -> Iterator[tuple[str, Any]]:
    """The source that names a parameter by the digits of its id, or gives its bytes."""
    for vector in vectors():
        for key, value in (vector.expected.get("terminal_param_details") or {}).items():
            if key.startswith("t0x"):
                number = int(key[3:].replace("_", "")[:3], 16)
                yield f"terminal_param_details.{key}", _wire(number)
            elif key == "other_content":
                for other in value:
                    yield f"terminal_param_details.other_content.{other}", _wire(int(other, 0))
        for key in vector.expected:
            if any(word in key for word in _MORE_OF_OTHERS):
                yield key, None


def _wire(number: int) -> Callable[[Any], Wire]:
    return lambda message: Wire(found(message, number)[0])


_NAMES: Names = {
    "response_serial_no": "answered_serial_no",
    "respond_serial_number": "answered_serial_no",
    "msg_num": lambda message: Each([message.answered_serial_no]),
    "param_total": lambda message: len(message.parameters),
    "param_id": lambda message: Each([parameter.parameter_id for parameter in message.parameters]),
    "param_value": lambda message: Each([Wire(parameter) for parameter in message.parameters]),
    "terminal_param_details.param_parse_before_func": None,
    **_in_order((0xF364, 0xF365), "", _CAMERA),
    **_in_order((0xF364,), "", _ADAS, 11),
    **_in_order((0xF365,), "", _DSM, 11),
    **_in_order((0xF367,), "", "rear_approach_alarm_time_threshold lateral_rear_approach_alarm_time_threshold"),
    **_in_order(
        (0xF367,), "parameters.62311.", "rear_approach_alarm_time_threshold rear_side_approach_alarm_time_threshold"
    ),
    **_in_order(
        (0xF364,), "parameters.62308.",
        "p00 p01 p02 p03 p05 p07 p08 p09 p10 p11 p15 " + " ".join(f"p{at}" for at in range(19, 52)),
    ),
    **{f"parameters.62308.p{at}": None for at in range(52, 57)},
    **_in_order(
        (0xF365,), "parameters.62309.",
        "p00 p01 p02 p03 p05 p07 p08 p09 p10 p11 p15 p19 p21 - " + " ".join(f"p{at}" for at in range(26, 47)),
    ),
    "parameters.62309.p23": lambda message: list(found(message, 0xF365)[0].value.reserved_bytes),
    **{f"parameters.62309.p{at}": None for at in range(47, 66)},
    **_video("parameters.117.", "realtime_", "storage_", _STREAM_OF_ANOTHER, (0x75,)),
    **_in_order((0x75,), "parameters.117.", "ods_config audio_enabled", 10),
    **_in_order((0x79,), "parameters.121.", "storage_threshold duration start_time"),
    **_in_order((0x7B,), "parameters.123.", "overload_threshold fatigue_threshold"),
    **_in_order((0x7C,), "parameters.124.", "mode condition_type day_of_week time_flag"),
    **_in_order((0x79,), "", "storage_thresholds duration begin_minute"),
    **_in_order((0x7A,), "", "alarm_shielding"),
    **_in_order((0x7B,), "", "nuclear_load_number fatigue_threshold"),
    **_in_order((0x7C,), "", "sleep_wake_mode wake_condition_type timer_wake_day_set timer_wake_enable_flag"),
    **_in_order((0x7C,), "timer_wake_day_paramter.", "timer_wake_enable_flag", 3),
    **_in_order((0x76,), "", "av_channel_total audio_channel_total vudio_channel_total"),
    "need_set_channel_total": lambda message: len(found(message, 0x77)[0].value.channels),
    "audio_output_enabled": lambda message: found(message, 0x75)[0].value.has_audio_output,
    **_single("osd", 10),
    **_channels("physical_channel_no", "physical_channel"),
    **_channels("logic_channel_no", "logical_channel"),
    **_channels("channel_type", "kind"),
    **_channels("is_connect_cloud_plat", "has_ptz"),
    **dict(_periods()),
    **dict(_mentioned()),
}  # fmt: skip
for _at, _name in enumerate(_STREAM.split()):
    _NAMES |= _single(f"rts_{_name}", _at) | _single(f"stream_store_{_name}", _at + 5)

_NUMBERS = {"id": "parameter_ids", "parameter_id_list.first.as_u32": "parameter_ids[0]"}
PARAMETERS: dict[type, Names] = {
    m.SetParameters: _NAMES,
    m.ParametersResponse: _NAMES,
    m.GivenParametersQuery: _NUMBERS | {"parameter_id_list.last.as_u32": lambda message: message.parameter_ids[-1]},
}
