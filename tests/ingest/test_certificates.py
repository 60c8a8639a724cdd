"""The TLS listener: a renewed certificate, and strangers in their handshake."""

from __future__ import annotations

import asyncio
import os
import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from fleet import SessionChange
from ingest import listening
from ingest.certificates import Certificate, tls_context
from tests.ingest.terminals import REPORT, Site, Terminal, address_of, running
from tests.ingest.waiting import until

TLS = Path(__file__).parent / "tls"


async def greeted(site: Site) -> tuple[Terminal, bytes]:
    """A terminal behind TLS, and the certificate it was shown."""
    terminal = Terminal()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    host, port = address_of(site.gateway.tls_address or "")
    transport, _ = await asyncio.get_running_loop().create_connection(lambda: terminal, host, port, ssl=context)
    shown = transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
    assert isinstance(shown, bytes)
    return terminal, shown


def put(path: Path, content: bytes) -> None:
    """As renewals do it: a new file in the old one's place."""
    new = path.with_suffix(".new")
    new.write_bytes(content)
    new.replace(path)


async def test_a_new_certificate_greets_new_links_and_costs_no_old_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pem = tmp_path / "server.pem"
    put(pem, (TLS / "localhost.pem").read_bytes())
    async with running(tmp_path / "data", tls_port=0, tls_certificate=pem) as site:
        certificate = site.gateway._certificate
        assert isinstance(certificate, Certificate)
        old, first = await greeted(site)
        await old.log_in()
        certificate.look()  # nothing changed
        assert site.counters["tls_certificates_read{reason=taken}"] == 0
        put(pem, b"no certificate")
        certificate.look()
        certificate.look()
        assert site.counters["tls_certificates_read{reason=unusable}"] == 1  # said once
        assert "the old one stays" in caplog.text
        between, second = await greeted(site)
        assert second == first
        put(pem, (TLS / "renewed.pem").read_bytes())
        certificate.look()
        assert site.counters["tls_certificates_read{reason=taken}"] == 1
        new, third = await greeted(site)
        assert third != first
        site.gateway.reload()  # asked for, it is read though nothing changed
        assert site.counters["tls_certificates_read{reason=taken}"] == 2
        assert await old.ask(0x0200, REPORT) == 0
        for terminal in (old, between, new):
            terminal.close()


async def test_the_files_are_looked_at_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.certificates.LOOK_EVERY_S", 0.01)
    pem = tmp_path / "server.pem"
    put(pem, (TLS / "localhost.pem").read_bytes())
    async with running(tmp_path / "data", tls_port=0, tls_certificate=pem) as site:
        os.utime(pem, ns=(1, 1))
        await until(lambda: site.counters["tls_certificates_read{reason=taken}"])


async def test_handshakes_that_never_end_have_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "HANDSHAKES_AT_ONCE", 2)
    async with running(tmp_path, tls_port=0, tls_certificate=TLS / "localhost.pem") as site:
        silent = [await Terminal.connect(site.gateway.tls_address or "") for _ in range(3)]
        await until(lambda: site.counters["links_refused{reason=handshakes_full}"] == 1)
        for terminal in silent:
            terminal.close()


def test_an_encrypted_key_is_named_and_nobody_is_asked_for_a_password(tmp_path: Path) -> None:
    """OpenSSL would ask at the terminal, and every link would wait for the answer."""
    key = ec.generate_private_key(ec.SECP256R1())
    path = tmp_path / "key.pem"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")))
    with pytest.raises(OSError, match=r"key\.pem"):
        tls_context(TLS / "localhost.pem", path)


async def test_a_terminal_behind_tls(tmp_path: Path) -> None:
    pem = TLS / "localhost.pem"
    async with running(tmp_path, tls_port=0, tls_certificate=pem) as site:
        terminal = Terminal()
        host, port = address_of(site.gateway.tls_address or "")
        context = ssl.create_default_context(cafile=str(pem))
        await asyncio.get_running_loop().create_connection(lambda: terminal, host, port, ssl=context)
        await terminal.log_in()
        assert await terminal.ask(0x0200, REPORT) == 0
        session = (await site.facts())[-1]
        assert isinstance(session, SessionChange)
        assert session.transport == "tls"
        plain = await Terminal.connect(f"{host}:{port}")
        plain.send(0x0002)
        await plain.until_closed()
        terminal.close()


async def test_a_certificate_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"nothing\.pem"):
        async with running(tmp_path, tls_port=0, tls_certificate=tmp_path / "nothing.pem"):
            pass
