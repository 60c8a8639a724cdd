"""How many links each address has, TCP and UDP together."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address


class Addresses:
    """Whole fleets come through one carrier's NAT, so the bound is wide; loopback has none."""

    def __init__(self, max_links: int) -> None:
        """Args:  max_links: of one address."""
        self._max_links = max_links
        self._counts: dict[str, int] = {}

    def enter(self, host: str) -> bool:
        """One more; False: it is one too many. Counted all the same: `leave` once it is gone."""
        count = self._counts[host] = self._counts.get(host, 0) + 1
        return count <= self._max_links or is_loopback(host)

    def leave(self, host: str) -> None:
        count = self._counts.get(host, 0) - 1
        if count > 0:
            self._counts[host] = count
        else:
            self._counts.pop(host, None)


def address_of(host: str) -> IPv4Address | IPv6Address:
    """As text to address; an IPv4 peer of a socket that listens on :: is one of IPv4. Raises ValueError."""
    address = ip_address(host)
    return getattr(address, "ipv4_mapped", None) or address


def is_loopback(host: str) -> bool:
    try:
        return address_of(host).is_loopback
    except ValueError:
        return False
