"""The console's files."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

import store
from api import Services, create_app
from tests.api.support import assert_problem


def client_on(folder: Path) -> httpx.AsyncClient:
    app = create_app(Services(store.Database("")), console=folder)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://centre.example")


@pytest.fixture
def built(tmp_path: Path) -> Path:
    folder = tmp_path / "console"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<title>console</title>")
    (folder / "assets" / "index-a1b2c3.js").write_text("let it = 1;" * 200)
    (folder / "favicon.svg").write_text("<svg/>")
    (tmp_path / "secret.txt").write_text("a password")
    (folder / "assets" / "link").symlink_to(tmp_path / "secret.txt")
    return folder


async def test_pages_and_assets(built: Path) -> None:
    async with client_on(built) as client:
        for path in ("/", "/alarms", "/vehicles/12/track", "/index.html"):
            answer = await client.get(path)
            assert answer.text == "<title>console</title>", path
            assert answer.headers["cache-control"] == "no-cache"
            assert answer.headers["content-type"].startswith("text/html")
            assert "worker-src 'self' blob:" in answer.headers["content-security-policy"]
        asset = await client.get("/assets/index-a1b2c3.js")
        assert asset.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert asset.headers["content-encoding"] == "gzip"
        assert (await client.get("/favicon.svg")).headers["cache-control"] == "no-cache"
        assert (await client.get("/assets/index-old.js")).status_code == 404
        assert (await client.get("/missing.png")).status_code == 404
        assert_problem(await client.get("/api/v2/anything"), 404, "not-found")
        assert_problem(await client.get("/api/v1/nothing"), 404, "not-found")
        assert (await client.get("/livez")).json() == {"status": "alive"}
        assert_problem(await client.post("/alarms"), 405, "method-not-allowed")


async def test_nothing_outside_can_be_read(built: Path) -> None:
    async with client_on(built) as client:
        for path in (
            "/../secret.txt", "/assets/../../secret.txt", "/%2e%2e/secret.txt", "/assets/%2e%2e/%2e%2e/secret.txt",
            "/..%2fsecret.txt", "/..%5csecret.txt", "//etc/passwd", "/%2fetc/passwd", "/assets/link", "/%00",
            "/assets/" + "x" * 5000,
        ):  # fmt: skip
            answer = await client.get(path)
            assert "a password" not in answer.text, path
            assert "root:" not in answer.text, path
            assert answer.status_code in (200, 404), path


async def test_not_built(tmp_path: Path) -> None:
    async with client_on(tmp_path) as client:
        answer = await client.get("/")
        assert answer.status_code == 200
        assert "make console" in answer.text
        assert_problem(await client.get("/alarms"), 404, "not-found")
