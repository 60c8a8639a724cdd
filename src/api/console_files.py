"""The console's built files: index.html for every page of it, hashed assets for good, nothing from outside."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

BUILT: Final = Path(__file__).parent / "console"

_NOT_BUILT: Final = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Roadwarden</title>
<h1>Roadwarden</h1>
<p>The server runs, but its console is not built. Run <code>make console</code> and reload this page.</p>
<p lang="zh-CN">服务已启动，但监控台尚未构建。请运行 <code>make console</code> 后刷新本页。</p>
<p><a href="/openapi.json">OpenAPI</a> · <a href="/readyz">health</a></p></html>"""


class ConsoleFiles(StaticFiles):
    """Static files with the cache headers of a built application; unknown pages get index.html."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        try:
            response = await super().get_response(path, scope)
        except HTTPException as error:
            if error.status_code != 404 or not _is_page(Path(path)):
                raise
            response = await super().get_response("index.html", scope)
            path = "index.html"
        if Path(path).parts[:1] == ("assets",):  # their names hold a hash of what is in them
            response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        else:
            response.headers["Cache-Control"] = "no-cache"
        return response


def _is_page(path: Path) -> bool:
    """A page of the console has no file extension; a missing picture, and what the API has not, is just missing."""
    return not path.suffix and path.parts[:1] not in (("api",), ("assets",))


def install(app: FastAPI, folder: Path) -> None:
    """Serve the console at ``/``; when it is not built, say how to build it."""
    if (folder / "index.html").is_file():
        app.mount("/", ConsoleFiles(directory=folder), name="console")
        return

    @app.get("/", include_in_schema=False)
    async def tell_how_to_build() -> HTMLResponse:
        return HTMLResponse(_NOT_BUILT)
