"""A stand-in for the server while the console is being worked on: same routes and shapes, invented traffic.

`python web/mock/server.py [port [vehicles]]`, then `npm run dev` in web/, or open the port itself, which serves the built console.
Sign in as admin / admin. Development only: it keeps everything in memory and checks next to nothing.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import random
import sys
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, HTTPException, Request, Response, UploadFile, WebSocket
from fastapi.responses import FileResponse, JSONResponse

CONSOLE = Path(__file__).resolve().parents[2] / "src/api/console"
CITIES = {
    "沈阳": (41.80, 123.43), "大连": (38.92, 121.62), "鞍山": (41.11, 122.99), "抚顺": (41.88, 123.96), "本溪": (41.29, 123.77),
    "丹东": (40.13, 124.38), "锦州": (41.10, 121.13), "营口": (40.67, 122.23), "阜新": (42.02, 121.67), "辽阳": (41.27, 123.24),
    "盘锦": (41.12, 122.07), "铁岭": (42.29, 123.84), "朝阳": (41.57, 120.45), "葫芦岛": (40.71, 120.84),
}  # fmt: skip
ORGANIZATIONS = ["沈阳公司", "大连公司", "鞍钢物流", "锦州港运", "盘锦危运"]
LETTERS = {"沈阳公司": "A", "大连公司": "B", "鞍钢物流": "C", "锦州港运": "G", "盘锦危运": "L"}
RULES = [
    ("terminal.emergency", "紧急报警", "Emergency", 1, "terminal"),
    ("terminal.fatigue", "疲劳驾驶", "Fatigue driving", 2, "terminal"),
    ("overspeed", "超速", "Overspeed", 3, "platform"),
    ("fence.enter", "进入区域", "Entered region", 3, "platform"),
    ("terminal.gnss_fault", "GNSS模块故障", "GNSS fault", 4, "terminal"),
    ("offline", "离线", "Off-line", 4, "platform"),
]
COLUMNS = [
    "vehicle_id", "time_ms", "received_ms", "latitude_deg", "longitude_deg", "altitude_m", "speed_kmh", "heading_deg",
    "alarm_flags", "status_flags", "mileage_km",
]  # fmt: skip
random.seed(7)


def iso(seconds: float | None = None) -> str:
    moment = datetime.fromtimestamp(time.time() if seconds is None else seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Truck:
    """One vehicle, driving between two cities and back."""

    def __init__(self, number: int) -> None:
        self.id = number
        organization = random.choice(ORGANIZATIONS)
        color = random.choices([2, 1, 93, 94, 5, 3, 4], [60, 20, 8, 4, 4, 2, 2])[0]
        digits = f"{random.randrange(10**5):05d}"
        plate = f"辽{LETTERS[organization]}{'D' if color == 94 else ''}{digits}"
        self.legs = [CITIES[name] for name in random.sample(list(CITIES), 2)]
        self.progress = random.random() * 2
        self.speed = random.choice([0.0, 0.0, 40.0, 62.0, 71.0, 80.0, 88.0])
        self.acc = self.speed > 0 or random.random() < 0.5
        self.fix = random.random() > 0.03
        self.online = random.random() > 0.12
        self.silent_s = 0.0 if self.online else random.choice([900.0, 7200.0, 100000.0, 300000.0])
        self.mileage = random.uniform(1000, 300000)
        self.vehicle = {
            "id": number, "plate": plate, "plate_color": color, "plate_color_name": "", "phone": f"1390000{number:04d}",
            "online": self.online, "vehicle_type": "重型半挂牵引车", "vin": None, "organization_id": ORGANIZATIONS.index(organization) + 1,
            "organization": organization, "speed_limit_kmh": 80.0, "overspeed_duration_s": None, "offline_after_s": None, "note": "",
            "terminals": [{"id": number, "phone": f"1390000{number:04d}", "standing": "approved", "terminal_model": "RW-808", "edition": "2019"}],
            "last_time": iso(),
        }  # fmt: skip

    def place(self, progress: float) -> tuple[float, float]:
        part = progress % 2
        part = part if part < 1 else 2 - part
        (a, b), (c, d) = self.legs
        bow = math.sin(part * math.pi) * 0.12
        wiggle = 0.02 * math.sin(part * 23 + self.id)
        return a + (c - a) * part + bow + wiggle, b + (d - b) * part - bow * 0.5 + wiggle

    def row(self, now: float) -> list[Any]:
        lat, lon = self.place(self.progress)
        lat2, lon2 = self.place(self.progress + 0.001)
        heading = math.degrees(math.atan2((lon2 - lon) * math.cos(math.radians(lat)), lat2 - lat)) % 360
        moment = (now - self.silent_s) * 1000
        status = (1 if self.acc else 0) | (2 if self.fix else 0)
        return [
            self.id, int(moment), int(moment) + random.randrange(300, 2500), round(lat, 6), round(lon, 6), 60,
            round(self.speed, 1), round(heading), 0, status, round(self.mileage, 1),
        ]  # fmt: skip

    def drive(self, seconds: float) -> None:
        if self.speed:
            self.speed = min(112, max(8, self.speed + random.uniform(-3, 3)))
            self.progress += self.speed / 3600 * seconds / 250
            self.mileage += self.speed / 3600 * seconds


class World:
    """Everything the mock knows."""

    def __init__(self, size: int = 320) -> None:
        self.trucks = {n: Truck(n) for n in range(1, size + 1)}
        self.alarms: dict[str, dict[str, Any]] = {}
        self.commands: dict[str, dict[str, Any]] = {}
        self.fences: dict[int, dict[str, Any]] = {}
        self.terminals = [self.terminal(t) for t in self.trucks.values()]
        self.users = [
            {"id": 1, "username": "admin", "display_name": "值班长", "role": "admin", "disabled": False},
            {"id": 2, "username": "zhang", "display_name": "张班", "role": "operator", "disabled": False},
        ]
        self.platforms = [
            self.platform(1, "部级平台", "up"),
            self.platform(2, "辽宁省平台", "up"),
        ]
        self.seq = 0
        self.queues: set[asyncio.Queue[dict[str, Any]]] = set()
        self.changed_alarms: list[dict[str, Any]] = []
        self.changed_commands: list[dict[str, Any]] = []
        self.changed_online: list[list[Any]] = []
        self.changed_fleet: set[str] = set()
        self.sessions: set[str] = set()
        for rule, howmany in zip(RULES, (1, 3, 9, 3, 6, 4), strict=True):
            for _ in range(howmany):
                self.raise_alarm(rule, random.randrange(20, 2400))
        for _ in range(4):
            self.raise_alarm(RULES[2], random.randrange(3000, 9000), late=True)
        self.add_fence({"name": "沈阳三环内", "shape": "circle", "trigger": "enter", "points": [], "center": [41.8, 123.43],
                        "radius_m": 12000, "vehicle_ids": None, "enabled": True})  # fmt: skip
        self.add_fence({"name": "大连港危化区", "shape": "polygon", "trigger": "both", "center": None, "radius_m": None,
                        "points": [[38.95, 121.60], [39.02, 121.68], [38.98, 121.80], [38.90, 121.72]],
                        "vehicle_ids": None, "enabled": True})  # fmt: skip

    def terminal(self, truck: Truck) -> dict[str, Any]:
        return {
            "id": truck.id, "phone": truck.vehicle["phone"], "vehicle_id": truck.id, "plate": truck.vehicle["plate"], "standing": "approved",
            "manufacturer_id": "70111", "terminal_model": "RW-808", "terminal_id": f"T{truck.id:05d}", "edition": "2019", "imei": "",
            "software_version": "1.2.3", "claimed_plate": truck.vehicle["plate"], "claimed_plate_color": truck.vehicle["plate_color"],
            "online": truck.online, "last_refusal": "", "created_at": iso(),
        }  # fmt: skip

    def platform(self, number: int, name: str, state: str) -> dict[str, Any]:
        return {
            "id": number, "name": name, "enabled": True, "edition": "2011", "host": "127.0.0.1", "port": 7809, "access_code": 21000000 + number,
            "user_id": 210000, "platform_id": "21000000001", "sub_link_host": "127.0.0.1", "sub_link_port": 6809, "encrypt": False,
            "link": {"main": state, "sub": state, "since": iso(time.time() - 3600), "detail": "", "sent_live": 124000, "sent_history": 310,
                     "backlog": 0, "cursor": 4411},
        }  # fmt: skip

    def add_fence(self, body: dict[str, Any]) -> dict[str, Any]:
        number = len(self.fences) + 1
        self.fences[number] = {"id": number, **body}
        return self.fences[number]

    def raise_alarm(self, rule: tuple[str, str, str, int, str], age: float = 0, late: bool = False) -> None:
        truck = random.choice(list(self.trucks.values()))
        lat, lon = truck.place(truck.progress)
        name, chinese, english, severity, source = rule
        begin = iso(time.time() - age)
        facts: dict[str, Any] = {}
        if name == "overspeed":
            facts = {"limit_kmh": 80, "max_speed_kmh": random.randrange(86, 121)}
        elif name == "fence.enter":
            facts = {"fence_id": 1, "fence_name": "沈阳三环内"}
        alarm = {
            "id": str(uuid.uuid4()), "vehicle_id": truck.id, "plate": truck.vehicle["plate"], "plate_color": truck.vehicle["plate_color"],
            "phone": truck.vehicle["phone"], "rule": name, "rule_name": chinese, "rule_name_en": english, "severity": severity, "source": source,
            "state": "open", "late": late, "begin_time": begin, "end_time": None, "updated_time": begin, "latitude_deg": lat, "longitude_deg": lon,
            "speed_kmh": facts.get("max_speed_kmh", round(truck.speed, 1)), "facts": facts, "claimed_by": None, "claimed_by_name": None,
            "claimed_at": None, "handled_by": None, "handled_by_name": None, "handled_at": None, "handle_code": None, "handle_text": None,
            "steps": [],
        }  # fmt: skip
        self.alarms[alarm["id"]] = alarm
        self.changed_alarms.append(alarm)

    def pending(self) -> list[dict[str, Any]]:
        return [a for a in self.alarms.values() if a["state"] in ("open", "claimed")]

    def stats(self) -> dict[str, Any]:
        calling = [a for a in self.alarms.values() if a["state"] == "open" and not a["late"]]
        online = sum(t.online for t in self.trucks.values())
        return {
            "online": online, "vehicles": len(self.trucks), "reports_per_s": online / 10 + random.random(),
            "alarms": {str(s): sum(a["severity"] == s for a in calling) for s in (1, 2, 3, 4)}, "database": "up", "journal_lag_s": 0.1,
            "platforms": [{"id": p["id"], "name": p["name"], **{k: p["link"][k] for k in ("main", "sub", "sent_live", "sent_history", "backlog")}}
                          for p in self.platforms],
        }  # fmt: skip

    def snapshot(self) -> dict[str, Any]:
        now = time.time()
        return {
            "type": "snapshot", "seq": self.seq, "time": iso(), "position_columns": COLUMNS, "positions": [t.row(now) for t in self.trucks.values()],
            "online": [t.id for t in self.trucks.values() if t.online], "alarms": self.pending(), "stats": self.stats(),
        }  # fmt: skip

    async def run(self) -> None:
        for second in itertools.count():
            await asyncio.sleep(1)
            now = time.time()
            rows = []
            for truck in self.trucks.values():
                if truck.online and truck.id % 3 == second % 3:
                    truck.drive(3)
                    rows.append(truck.row(now))
            if random.random() < 0.08:
                self.raise_alarm(random.choices(RULES, [1, 3, 10, 4, 3, 3])[0])
            for command in self.commands.values():
                self.step(command, now)
            for platform in self.platforms:
                platform["link"]["sent_live"] += len(rows)
            self.seq += 1
            delta = {
                "type": "delta", "seq": self.seq, "time": iso(), "positions": rows, "online": self.changed_online, "alarms": self.changed_alarms,
                "commands": self.changed_commands, "fleet": sorted(self.changed_fleet), "stats": self.stats(),
            }  # fmt: skip
            self.changed_alarms, self.changed_commands, self.changed_online, self.changed_fleet = [], [], [], set()
            for queue in self.queues:
                queue.put_nowait(delta)

    def step(self, command: dict[str, Any], now: float) -> None:
        age = now - command["born"]
        state = command["state"]
        if state == "queued" and age > 1:
            command.update(state="sent", sent_at=iso(), attempts=1, updated_at=iso())
        elif state == "sent" and age > 2.5:
            command.update(state="acknowledged", result=0, updated_at=iso())
        else:
            return
        self.changed_commands.append(command)


world = World(int(sys.argv[2]) if len(sys.argv) > 2 else 320)
app = FastAPI()
OPEN_ROUTES = {"/api/v1/sessions", "/api/v1/settings", "/readyz", "/livez"}


@app.middleware("http")
async def guard(request: Request, call_next: Any) -> Any:
    path = request.url.path
    if path.startswith("/api/") and path not in OPEN_ROUTES and request.cookies.get("session") not in world.sessions:
        return JSONResponse({"title": "Unauthorized", "status": 401, "detail": "sign in first"}, 401)
    return await call_next(request)


def page(items: list[Any]) -> dict[str, Any]:
    return {"items": items, "next": None}


@app.on_event("startup")
async def start() -> None:
    app.state.runner = asyncio.create_task(world.run())


@app.get("/readyz")
async def readyz() -> dict[str, Any]:
    return {"status": "ready", "parts": {"database": True, "gateway": True, "pipeline": True}}


@app.post("/api/v1/sessions", status_code=201)
async def sign_in(body: dict[str, str], response: Response) -> dict[str, Any]:
    if body.get("username") != "admin" or body.get("password") != "admin":
        raise HTTPException(401, "wrong user name or password")
    token = uuid.uuid4().hex
    world.sessions.add(token)
    response.set_cookie("session", token, httponly=True, samesite="strict")
    return world.users[0]


@app.get("/api/v1/sessions/current")
async def who() -> dict[str, Any]:
    return world.users[0]


@app.delete("/api/v1/sessions/current", status_code=204)
async def sign_out(request: Request) -> None:
    world.sessions.discard(request.cookies.get("session", ""))


@app.get("/api/v1/settings")
async def settings() -> dict[str, Any]:
    return {"centre_name": "辽宁道路运输监控中心", "version": "mock", "data_edition": "", "session_lifetime_s": 43200, "map": {"tiles": None, "center": [41.0, 122.9], "zoom": 6.7}}


@app.get("/api/v1/vehicles")
async def vehicles(q: str = "") -> dict[str, Any]:
    return page([t.vehicle | {"online": t.online} for t in world.trucks.values() if q in t.vehicle["plate"]])


@app.post("/api/v1/vehicles", status_code=201)
async def create_vehicle(body: dict[str, Any]) -> dict[str, Any]:
    truck = Truck(max(world.trucks) + 1)
    truck.online = False
    truck.vehicle.update(body, phone=None, terminals=[])
    world.trucks[truck.id] = truck
    world.changed_fleet.add("vehicles")
    return truck.vehicle


@app.post("/api/v1/vehicles/import")
async def import_vehicles(file: UploadFile) -> dict[str, Any]:
    lines = (await file.read()).decode("utf-8-sig").splitlines()[1:]
    errors = [{"line": n, "message": "plate is empty"} for n, line in enumerate(lines, 2) if line.startswith(",")]
    return {"created": len(lines) - len(errors), "updated": 0, "errors": errors}


@app.get("/api/v1/vehicles/{number}")
async def vehicle(number: int) -> dict[str, Any]:
    return world.trucks[number].vehicle


@app.patch("/api/v1/vehicles/{number}")
async def change_vehicle(number: int, body: dict[str, Any]) -> dict[str, Any]:
    world.trucks[number].vehicle.update(body)
    world.changed_fleet.add("vehicles")
    return world.trucks[number].vehicle


@app.delete("/api/v1/vehicles/{number}", status_code=204)
async def delete_vehicle(number: int) -> None:
    world.trucks.pop(number)
    world.changed_fleet.add("vehicles")


@app.get("/api/v1/vehicles/{number}/track")
async def track(number: int, request: Request) -> dict[str, Any]:
    begin, end = (datetime.fromisoformat(request.query_params[k]).timestamp() for k in ("from", "to"))
    truck = world.trucks[number]
    rng = random.Random(number)
    items: list[dict[str, Any]] = []
    progress, moment, speed = truck.progress - (end - begin) / 3600 * 70 / 250, begin, 60.0
    while moment < min(end, time.time()) and len(items) < 20000:
        phase = (moment / 60) % 47
        speed = 0.0 if phase < 5 else min(108.0, max(20.0, speed + rng.uniform(-6, 6.5)))
        progress += speed / 3600 * 10 / 250
        lat, lon = truck.place(progress)
        lat2, lon2 = truck.place(progress + 0.001)
        items.append({
            "vehicle_id": number, "time": iso(moment), "received_at": iso(moment + 1), "latitude_deg": lat, "longitude_deg": lon,
            "altitude_m": 60, "speed_kmh": round(speed, 1), "alarm_flags": 0, "status_flags": 3 if speed else 2, "late": 20 < phase < 23,
            "heading_deg": round(math.degrees(math.atan2((lon2 - lon) * 0.75, lat2 - lat)) % 360), "mileage_km": None,
        })  # fmt: skip
        moment += 10
    return page(items)


@app.get("/api/v1/organizations")
async def organizations() -> dict[str, Any]:
    return page([{"id": n, "name": name, "parent_id": None} for n, name in enumerate(ORGANIZATIONS, 1)])


@app.get("/api/v1/terminals")
async def terminals() -> dict[str, Any]:
    pending = {**world.terminals[0], "id": 9001, "phone": "13912345678", "standing": "pending", "vehicle_id": None, "plate": None,
               "claimed_plate": "辽B88888", "claimed_plate_color": 2, "online": False, "last_refusal": "unknown terminal"}  # fmt: skip
    return page([pending, *world.terminals])


@app.post("/api/v1/terminals/{number}/{action}")
async def step_terminal(number: int, action: str) -> dict[str, Any]:
    item = next((t for t in world.terminals if t["id"] == number), world.terminals[0])
    item["standing"] = "approved" if action == "approve" else "blocked"
    return item


@app.get("/api/v1/alarms")
async def alarms(vehicle_id: int | None = None, state: str = "") -> dict[str, Any]:
    return page([
        a for a in world.alarms.values() if vehicle_id in (None, a["vehicle_id"]) and (not state or a["state"] in state.split(","))
    ])  # fmt: skip


@app.get("/api/v1/alarms/{number}")
async def alarm(number: str) -> dict[str, Any]:
    return world.alarms[number]


def note(item: dict[str, Any], action: str, state: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    step = {
        "time": iso(),
        "user": "值班长",
        "action": action,
        "from_state": item["state"],
        "to_state": state,
        **(body or {}),
    }
    item["steps"].append(step)
    item.update(state=state, updated_time=iso())
    world.changed_alarms.append(item)
    return item


@app.post("/api/v1/alarms/{number}/claim")
async def claim(number: str) -> dict[str, Any]:
    item = world.alarms[number]
    if item["state"] != "open":
        raise HTTPException(409, "this alarm is not open")
    item.update(claimed_by=1, claimed_by_name="值班长", claimed_at=iso())
    return note(item, "claim", "claimed")


@app.post("/api/v1/alarms/{number}/handle")
async def handle(number: str, body: dict[str, Any]) -> dict[str, Any]:
    item = world.alarms[number]
    item.update(
        handled_by=1, handled_by_name="值班长", handled_at=iso(), handle_code=body["code"], handle_text=body.get("text")
    )
    return note(item, "handle", "false" if body["code"] == "false_alarm" else "handled", body)


@app.get("/api/v1/commands")
async def commands() -> dict[str, Any]:
    return page(sorted(world.commands.values(), key=lambda c: str(c["created_at"]), reverse=True))


@app.post("/api/v1/commands", status_code=202)
async def send(body: dict[str, Any]) -> dict[str, Any]:
    truck = world.trucks[body["vehicle_id"]]
    command = {
        "id": str(uuid.uuid4()), "vehicle_id": truck.id, "plate": truck.vehicle["plate"], "phone": truck.vehicle["phone"], "kind": body["kind"],
        "payload": {k: v for k, v in body.items() if k not in ("vehicle_id", "kind")}, "state": "queued", "reason": "", "created_by": 1,
        "created_at": iso(), "updated_at": iso(), "expires_at": iso(time.time() + 600), "sent_at": None, "attempts": 0, "result": None,
        "answer": None, "born": time.time(),
    }  # fmt: skip
    world.commands[str(command["id"])] = command
    world.changed_commands.append(command)
    return command


@app.get("/api/v1/geofences")
async def fences() -> dict[str, Any]:
    return page(list(world.fences.values()))


@app.post("/api/v1/geofences", status_code=201)
async def create_fence(body: dict[str, Any]) -> dict[str, Any]:
    world.changed_fleet.add("geofences")
    return world.add_fence(body)


@app.patch("/api/v1/geofences/{number}")
async def change_fence(number: int, body: dict[str, Any]) -> dict[str, Any]:
    world.fences[number].update(body)
    world.changed_fleet.add("geofences")
    return world.fences[number]


@app.delete("/api/v1/geofences/{number}", status_code=204)
async def delete_fence(number: int) -> None:
    world.fences.pop(number)
    world.changed_fleet.add("geofences")


@app.get("/api/v1/platforms")
async def platforms() -> dict[str, Any]:
    return page(world.platforms)


@app.get("/api/v1/users")
async def users() -> dict[str, Any]:
    return page(world.users)


@app.get("/api/v1/audit")
async def audit() -> dict[str, Any]:
    entry = {
        "user_id": 1,
        "username": "admin",
        "peer": "127.0.0.1",
        "action": "session.sign_in",
        "target": "",
        "detail": {},
    }
    return page([{"id": n, "time": iso(time.time() - n * 60), **entry} for n in range(40)])


@app.websocket("/api/v1/live")
async def live(socket: WebSocket) -> None:
    if socket.cookies.get("session") not in world.sessions:
        await socket.close(4401)
        return
    await socket.accept()
    queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    await socket.send_json(world.snapshot())
    world.queues.add(queue)
    try:
        while True:
            await socket.send_json(await queue.get())
    except Exception:
        pass
    finally:
        world.queues.discard(queue)


@app.get("/{path:path}")
async def console(path: str) -> FileResponse:
    file = CONSOLE / path
    return FileResponse(file if path and file.is_file() else CONSOLE / "index.html")


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]) if len(sys.argv) > 1 else 8090, log_level="warning")
