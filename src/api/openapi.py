"""``python -m api.openapi > web/openapi.json``: print the OpenAPI document.

The console generates its types from the printed one; a test holds it equal to what the server answers.
"""

from __future__ import annotations

import json
import sys

from api.app import create_app
from api.services import Services
from store import Database


def render() -> str:
    """The document as text, the same for the same program."""
    app = create_app(Services(Database("")))
    return json.dumps(app.openapi(), ensure_ascii=False, indent=2) + "\n"


if __name__ == "__main__":
    sys.stdout.write(render())
