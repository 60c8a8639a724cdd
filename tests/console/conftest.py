"""A real server with a small simulated fleet, and a real browser to look at it.

Screenshots go to tests/artifacts (ignored by git); with ROADWARDEN_PICTURES=docs/pictures those that the README and the
manual show are taken anew (`make pictures`).
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect, sync_playwright

from tests.server import PASSWORD, Client, running_server

ROOT = Path(__file__).parents[2]
TERMINALS = 30
FLAGS = (
    "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-quic", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
)  # fmt: skip


Picture = Callable[[Page, str], None]

expect.set_options(timeout=60_000)  # what a busy machine may take; nothing here is about how long


def missing(reason: str) -> None:
    """Skip, visibly; where a browser is required, fail."""
    if "browser" in os.environ.get("ROADWARDEN_TEST_REQUIRE", ""):
        pytest.fail(reason)
    pytest.skip(reason)


@dataclass(frozen=True)
class Console:
    """Where the console is, and how to get in."""

    url: str
    username: str
    password: str
    client: Client


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Closed with its module: while it is open, Playwright's own event loop keeps every other loop from running."""
    path = shutil.which("chromium")
    if path is None:
        missing("no chromium here (Debian: apt install chromium fonts-wqy-microhei)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, headless=True, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def console(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """The server as `roadwarden serve` runs it, with terminals on the road."""
    if not (ROOT / "src" / "api" / "console" / "index.html").exists():
        missing("the console is not built: `make console`")
    with running_server(tmp_path_factory.mktemp("console") / "data") as (server, client):
        host, port = server.jt808()
        command = [
            sys.executable, "-m", "roadwarden.cli", "simulate", "--host", host, "--port", str(port),
            "--terminals", str(TERMINALS), "--interval", "1", "--seed", "7", "--no-bad-links",
        ]  # fmt: skip
        fleet = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            yield Console(client.root, "admin", PASSWORD, client)
        finally:
            fleet.send_signal(signal.SIGTERM)
            fleet.wait(60)


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1440, "height": 810}, locale="zh-CN", timezone_id="Asia/Shanghai")
    context.set_default_timeout(60_000)
    yield context
    context.close()


@pytest.fixture
def refusals() -> list[int]:
    """Statuses that a test provokes: the browser writes a line for each refusal, and that is no fault of the page."""
    return [401]  # nobody is signed in yet


@pytest.fixture
def page(context: BrowserContext, console: Console, refusals: list[int]) -> Iterator[Page]:
    """A page that has to stay on our own origin and say nothing wrong."""
    page = context.new_page()
    foreign: list[str] = []
    faults: list[str] = []
    own = re.compile(rf"^(?:{re.escape(console.url)}|{re.escape(console.url.replace('http', 'ws'))}|data:|blob:)")
    page.on("request", lambda request: None if own.match(request.url) else foreign.append(request.url))
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    yield page
    assert foreign == [], "requests left the server's own origin"
    provoked = re.compile(rf"responded with a status of (?:{'|'.join(map(str, refusals))}) ")
    assert [fault for fault in faults if not provoked.search(fault)] == []


@pytest.fixture
def picture(request: pytest.FixtureRequest) -> Callable[[Page, str], None]:
    """Take a screenshot under a name; named ones of docs/pictures only when asked for."""
    folder = ROOT / os.environ.get("ROADWARDEN_PICTURES", "tests/artifacts")

    def take(page: Page, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=folder / f"{name}.png", animations="disabled")

    return take


def sign_in(page: Page, console: Console, path: str = "/", username: str = "") -> None:
    page.goto(console.url + path)
    page.locator("[name=username]").fill(username or console.username)
    page.locator("[name=password]").fill(console.password)
    page.get_by_test_id("sign-in-submit").click()
    expect(page.get_by_test_id("shell")).to_be_visible()


@pytest.fixture
def seat(page: Page, console: Console) -> Page:
    """Signed in, with vehicles on the map."""
    sign_in(page, console)
    expect(page.get_by_test_id("map")).to_have_attribute("data-vehicles", re.compile(r"^[1-9]"))
    return page


def all_vehicles(console: Console) -> list[dict[str, Any]]:
    """Every terminal of the fleet has registered its vehicle."""
    until = time.monotonic() + 120
    while True:
        vehicles: list[dict[str, Any]] = console.client.get("vehicles?limit=1000")["items"]
        if len(vehicles) >= TERMINALS:
            return vehicles
        assert time.monotonic() < until, f"{len(vehicles)} of {TERMINALS} vehicles have registered"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def alarms(console: Console) -> Iterator[None]:
    """The vehicles belong to companies, and whoever drives faster than a cautious limit overspeeds at once."""
    vehicles = all_vehicles(console)
    companies = [
        console.client.call("POST", "organizations", {"name": name})["id"]
        for name in ("沈阳安运物流", "大连港运集团", "锦州北方客运")
    ]
    strict = {"speed_limit_kmh": 70, "overspeed_duration_s": 0}
    for vehicle in vehicles:
        company = {"organization_id": companies[vehicle["id"] % len(companies)]}
        console.client.call("PATCH", f"vehicles/{vehicle['id']}", strict | company)
    yield
    before = {"speed_limit_kmh": None, "overspeed_duration_s": None}
    for vehicle in vehicles:
        console.client.call("PATCH", f"vehicles/{vehicle['id']}", before)


def online_vehicle(page: Page) -> Locator:
    return page.locator("[data-testid^=vehicle-][data-online=true]").first


def open_alarm(page: Page) -> Locator:
    """The first unclaimed alarm's row, by its identity, so that it stays the same row whatever its state."""
    row = page.locator("[data-testid^=alarm-][data-state=open]").first
    expect(row).to_be_visible(timeout=60_000)
    return page.get_by_test_id(str(row.get_attribute("data-testid")))
