"""What a centre may ask of a terminal: the kinds of commands, what each needs to be told, the message it becomes.

The API takes payloads by these models, the command desk makes messages of them; neither knows the other.
"""

from downlink.composing import CommandError, Composed, compose, lacking
from downlink.firmware import FIRMWARE_HEAD_BYTES, MAX_FIRMWARE_BYTES, firmware_path
from downlink.kinds import KINDS, Kind
from downlink.payload import Payload

__all__ = [
    "FIRMWARE_HEAD_BYTES",
    "KINDS",
    "MAX_FIRMWARE_BYTES",
    "CommandError",
    "Composed",
    "Kind",
    "Payload",
    "compose",
    "firmware_path",
    "lacking",
]
