"""What the kernel drops of UDP because nobody read it in time is counted: no loss is quiet."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

from tests.ingest.terminals import address_of, running


async def test_datagrams_that_the_kernel_drops_are_counted(tmp_path: Path) -> None:
    async with running(tmp_path) as site:

        async def stats() -> dict[str, Any]:
            return dict((await site.gateway._stats({}))["stats"])

        name = "gateway_datagrams_dropped_total{reason=buffer_full}"
        assert (await stats())[name] == 0
        udp = site.gateway._udp
        assert udp is not None
        assert udp._transport is not None
        udp._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flood:
            for _ in range(100):  # the gateway, in this thread, reads none of them meanwhile
                flood.sendto(bytes(1000), address_of(site.address))
        assert (await stats())[name] > 50
