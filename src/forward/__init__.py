"""Forwarding to superior platforms (上级平台) over JT/T 809.

``Forwarder`` keeps a main link to every enabled platform, takes their sub links and sends each what is stored, from its
own cursor.
"""

from forward.config import ForwarderConfig
from forward.forwarder import Forwarder

__all__ = ["Forwarder", "ForwarderConfig"]
