"""What the sources of the vectors call the fields of media, pass-through, video and active-safety messages.

Their name -> the path of ours, a function of our message, or None for what is no field of a message (lengths and counts
that our lists have without a field, a source's own bookkeeping). ``[]`` stands for any index.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jt808 import messages as m

Names = dict[str, str | Callable[[Any], Any] | None]

_LOCATION: Names = {
    "alarm_bits": "alarm_flags",
    "status_bits": "status_flags",
    "latitude_deg": "latitude_deg",
    "longitude_deg": "longitude_deg",
    "altitude_m": "altitude_m",
    "speed_kmh": "speed_kmh",
    "direction_deg": "heading_deg",
    "time_gmt8": "time",
}


def location(theirs: str, ours: str) -> Names:
    """The names of a location that is called so."""
    return {theirs + name: f"{ours}.{path}" for name, path in _LOCATION.items()}


_OWN_LOCATION = ("message_id", "properties", "protocol_version", "serial_no", "verified")  # of the source's object

_FILE: Names = {
    "file_name": "name", "name": "name", "file_type": "file_type", "type": "file_type", "file_size": "size_bytes",
    "size": "size_bytes", "t0x1211.file_name": "name", "t0x1211.file_type": "file_type",
    "t0x1211.file_size": "size_bytes",
}  # fmt: skip
_IDENTIFIER: Names = {
    "alarm_identifier.terminal_id": "identifier.terminal_id",
    "alarm_identifier.sequence": "identifier.sequence_no",
    "alarm_identifier.attachment_count": "identifier.attachment_count",
    "alarm_identifier.reserved": lambda message: message.identifier.reserved[0],
    "alarm_identification.terminal_id": "identifier.terminal_id",
    "alarm_identification.time_gmt8": "identifier.time",
    "alarm_identification.sn": "identifier.sequence_no",
    "alarm_identification.attach_count": "identifier.attachment_count",
    "alarm_identification.retain": lambda message: message.identifier.reserved[0],
    "alarm_identification.retain1": lambda message: message.identifier.reserved[0],
    "alarm_identification.retain2": lambda message: message.identifier.reserved[1],
    "p9208_alarm_sign.terminal_id": "identifier.terminal_id",
    "p9208_alarm_sign.time_gmt8": "identifier.time",
    "p9208_alarm_sign.serial_number": "identifier.sequence_no",
    "p9208_alarm_sign.attach_number": "identifier.attachment_count",
    "p9208_alarm_sign.alarm_reserve": "identifier.reserved",
    "p9208_alarm_sign.active_safety_type": None,
    "device_id": "identifier.terminal_id",
    "time_gmt8": "identifier.time",
    "sequence_no": "identifier.sequence_no",
    "sequence": "identifier.sequence_no",
    "file_total": "identifier.attachment_count",
    "attachment_count": "identifier.attachment_count",
    "reserved": lambda message: message.identifier.reserved[-1],
    "platform_alarm_id": "alarm_no",
    "alarm_no": "alarm_no",
    "alarm_id": "alarm_no",
}
_SERVER: Names = {
    "ip": "server", "server_ip": "server", "server_ip_addr": "server", "server_addr": "server",
    "attachment_server_ip": "server", "tcp_port": "tcp_port", "udp_port": "udp_port",
    "attachment_server_port_tcp": "tcp_port", "attachment_server_port_udp": "udp_port",
    "attachment_server_ip_tcp_port": "tcp_port", "attachment_server_ip_udp_port": "udp_port",
}  # fmt: skip
_SPAN: Names = {
    "channel_no": "channel", "start_time": "begin", "begin_time": "begin", "end_time": "end", "media_type": "kind",
    "stream_type": "stream", "storage_type": "storage", "memory_type": "storage", "memory_position": "storage",
    "memory_positon": "storage", "alarm_flag": "alarm_flags",
    "warn_bit1": lambda message: message.alarm_flags >> 32,
    "warn_bit2": lambda message: message.alarm_flags & 0xFFFFFFFF,
}  # fmt: skip
_MEDIA: Names = {
    "id": "media_id", "multimedia_id": "media_id", "multimedia_data_id": "media_id", "type": "kind",
    "multimedia_type": "kind", "format": "format", "multimedia_format_code": "format",
    "multimedia_format_encode": "format", "multimedia_coding_format": "format", "event": "event",
    "event_item_code": "event", "event_item_encode": "event", "event_item_coding": "event", "channel_id": "channel",
}  # fmt: skip
_ANSWER: Names = dict.fromkeys(
    ("response_serial_no", "respond_serial_number", "flow_id", "msg_num", "mgs_num", "serial_number"),
    "answered_serial_no",
)


def _resources(theirs: str, names: Names) -> Names:
    return {f"{theirs}[].{name}": f"resources[].{path}" for name, path in names.items()}


NAMES: dict[type, Names] = {
    m.MediaReport: _MEDIA,
    m.MediaUpload: _MEDIA
    | location("", "location")
    | location("location.", "location")
    | {f"location.{name}": None for name in _OWN_LOCATION}
    | {"packet": "data"},
    m.MediaUploadResponse: {
        "multimedia_id": "media_id",
        "media_id": "media_id",
        "id": "package_nos",
        "again_package_list": "package_nos",
    },
    m.ShootNow: {
        "chanel_id": "channel", "channel_id": "channel", "command": "command", "shoot_command": "command",
        "shooting_command": "command", "time": "interval_s", "photo_interval_or_video_time": "interval_s",
        "video_time": "interval_s", "save_flag": "save", "save": "save", "resolution": "resolution",
        "quality": "quality", "video_quality": "quality", "brightness": "brightness", "lighting": "brightness",
        "contrast_rate": "contrast", "contrast": "contrast", "saturation": "saturation",
        "saturability": "saturation", "chroma": "chroma", "intensity": "brightness",
    },
    m.ShootNowResponse: _ANSWER
    | {
        "result": "result",
        "id": "media_ids",
        "multimedia_id_list": "media_ids",
        "multimedia_id_list.first.as_dword": "media_ids[0]",
        "multimedia_id_list.last.as_dword": "media_ids[1]",
        "reply_msg_num": "answered_serial_no",
    },
    m.StoredMediaSearch: _MEDIA | {"start_time": "begin", "end_time": "end"},
    m.StoredMediaSearchResponse: _ANSWER
    | {name: f"found[0].{path}" for name, path in _MEDIA.items()}
    | location("", "found[0].location")
    | {f"items[].{name}": f"found[].{path}" for name, path in _MEDIA.items()}
    | location("items[].location.", "found[].location")
    | {f"items[].location.{name}": None for name in _OWN_LOCATION}
    | {
        "multimedia_search_items[].channel_id": "found[].channel",
        "multimedia_search_items[].multimedia_id": "found[].media_id",
        "multimedia_data_item_count": "total",
        "multimedia_item_count": "total",
    }
    | location("multimedia_search_items[].position.", "found[].location"),
    m.StoredMediaUpload: _MEDIA
    | {"start_time": "begin", "end_time": "end", "delete_flag": "delete", "delete": "delete"},
    m.RecordSound: {
        "recording_command": "command", "command": "command", "recording_duration": "duration_s",
        "time": "duration_s", "record_time": "duration_s", "save_flag": "save", "save": "save",
        "audio_sample_rate": "sampling", "audio_sampling_rate": "sampling",
    },
    m.OneStoredMediaUpload: {
        "multimedia_id": "media_id", "id": "media_id", "delete_flag": "delete", "delete": "delete",
    },
    m.UplinkPassThrough: {
        "message.key": "kind",
        "message.value.items[].id": "content[].peripheral_id",
        "message.value.items[].company_name": "content[].content.company",
        "message.value.items[].product_model": "content[].content.product_model",
        "message.value.items[].hardware_version": "content[].content.hardware_version",
        "message.value.items[].firmware_version": "content[].content.software_version",
        "message.value.items[].device_id": "content[].content.device_id",
        "message.value.items[].user_code": "content[].content.customer_code",
        "usb_messages[].usbid": "content[].peripheral_id",
        "usb_messages[].working_condition": "content[].content.state",
        "usb_messages[].alarm_status": "content[].content.alarm_flags",
        "usb_messages[].compant_name": "content[].content.company",
        "usb_messages[].product_model": "content[].content.product_model",
        "usb_messages[].hardware_version_number": "content[].content.hardware_version",
        "usb_messages[].software_version_number": "content[].content.software_version",
        "usb_messages[].devices_id": "content[].content.device_id",
        "usb_messages[].customer_code": "content[].content.customer_code",
        "dtcs": None, "traccar_result": None, "device_temp_c": None,  # what makers put into it
    },
    m.DownlinkPassThrough: {
        "passthrough_type": "kind",
        "id": lambda message: int.from_bytes(message.content[:4], "big"),
        "sex": lambda message: message.content[4],
    },
    m.CompressedUpload: {
        "body": "data",
        "un_compress_message_length": lambda message: len(message.decompress()),
    },
    m.PlatformRsaKey: {"e": "e", "n": "n"},
    m.TerminalRsaKey: {"e": "e", "n": "n"},
    m.VideoAttributes: {
        "audio_format": "audio_coding", "enter_audio_encoding": "audio_coding", "audio_channels": "audio_channels",
        "enter_audio_channels_number": "audio_channels", "audio_sampling_rate": "sampling",
        "enter_audio_sample_rate": "sampling", "audio_bit_depth": "bits_per_sample",
        "enter_audio_sample_digits": "bits_per_sample", "audio_frame_length": "audio_frame_bytes",
        "audio_support": "has_audio_output", "has_supported_audio_output": "has_audio_output",
        "is_supported_audio_output": "has_audio_output", "video_format": "video_coding",
        "video_encoding": "video_coding", "max_audio_channels": "max_audio_channels",
        "terminal_supported_max_number_of_audio_physical_channels": "max_audio_channels",
        "max_video_channels": "max_video_channels",
        "terminal_supported_max_number_of_video_physical_channels": "max_video_channels",
    },
    m.PassengerFlow: {
        "start_time": "begin", "begin_time": "begin", "end_time": "end", "get_on_count": "boarded",
        "getting_on_number": "boarded", "get_off_count": "alighted", "getting_off_number": "alighted",
    },
    m.LiveRequest: _SERVER
    | {"channel_no": "channel", "data_type": "content", "media_type": "content", "stream_type": "stream"},
    m.LiveControl: {
        "channel_no": "channel", "command": "command", "control_cmd": "command", "close_type": "close",
        "close_av_data": "close", "stream_type": "stream",
    },
    m.LiveStatus: {"channel_no": "channel", "drop_rate": "loss"},
    m.ResourceQuery: _SPAN,
    m.ResourceList: _ANSWER
    | _resources("items", {**_SPAN, "warn_bit": "alarm_flags", "size": "size_bytes"})
    | _resources(
        "audio_video_resource_list",
        {**_SPAN, "audio_video_resource_type": "kind", "file_size_byte": "size_bytes"},
    )
    | _resources(
        "av_resouces",
        {**_SPAN, "logic_channel_no": "channel", "av_resource_type": "kind", "file_size": "size_bytes"},
    )
    | {"audio_video_resource_total": "total", "av_resouce_total": "total"},
    m.PlaybackRequest: _SERVER
    | _SPAN
    | {"playback_mode": "mode", "playback_way": "mode", "playback_speed": "speed", "play_speed": "speed"},
    m.PlaybackControl: {
        "channel_no": "channel", "playback_mode": "command", "play_control": "command", "playback_speed": "speed",
        "play_speed": "speed", "playback_time": "position", "time_gmt8": "position", "drag_play_position": "position",
    },
    m.FtpUpload: _SPAN
    | {
        "ip": "server", "server_ip": "server", "ftp_addr": "server", "port": "port", "username": "username",
        "user_name": "username", "password": "password", "path": "path", "file_upload_path": "path",
        "condition": "conditions", "task_execute_condition": "conditions", "task_excute_condition": "conditions",
    },
    m.FtpUploadDone: _ANSWER | {"result": "result"},
    m.FtpUploadControl: _ANSWER | {"command": "command", "upload_control": "command"},
    m.PtzRotate: {
        "channel_no": "channel", "param1": "direction", "param2": "speed", "speed": "speed", "direction": "direction",
    },
    m.PtzFocus: {
        "channel_no": "channel", "logic_channel_no": "channel", "param": "adjust",
        "focus_adjustment_direction": "adjust",
    },
    m.PtzIris: {"channel_no": "channel", "iris_adjustment": "adjust"},
    m.PtzWiper: {"channel_no": "channel", "start_or_stop": "switch"},
    m.PtzInfrared: {"channel_no": "channel", "start_or_stop": "switch"},
    m.PtzZoom: {"channel_no": "channel", "change_multiple_control": "adjust"},
    m.AttachmentRequest: _SERVER | _IDENTIFIER | {"reserves": "reserved", "reserve": None},
    m.AttachmentList: _IDENTIFIER
    | {
        "terminal_id": "terminal_id",
        "message_type": "kind",
        "type": "kind",
        "info_type": "kind",
        "file_name": "attachments[0].name",
        "file_size": "attachments[0].size_bytes",
        "t0x1210_alarm_item_list[].file_name": "attachments[].name",
        "t0x1210_alarm_item_list[].file_size": "attachments[].size_bytes",
        "attach_infos[].file_name": "attachments[].name",
        "attach_infos[].file_size": "attachments[].size_bytes",
    },
    m.FileInformation: _FILE,
    m.FileDone: _FILE,
    m.FileDoneResponse: _FILE
    | {
        "upload_result": "result",
        "retransmit_item_list[].data_offset": "missing[].offset",
        "retransmit_item_list[].data_length": "missing[].size_bytes",
        "data_packages[].offset": "missing[].offset",
    },
}  # fmt: skip
