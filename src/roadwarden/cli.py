"""The command line: a function a command, each thin; the work is done by the module it imports."""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from roadwarden.logs import configure_logging
from roadwarden.process import end_with_parent
from roadwarden.settings import Settings, SettingsError, load_settings, settings_table, unknown_environment

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

quarantine_app = typer.Typer(no_args_is_help=True, help="Reports that became no position: list, explain, try again.")
app.add_typer(quarantine_app, name="quarantine")
journal_app = typer.Typer(no_args_is_help=True, help="What is in the journal, and how far it is stored.")
app.add_typer(journal_app, name="journal")


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"roadwarden {version('roadwarden')}")
        raise typer.Exit


@app.callback()
def options(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="print the version and stop")
    ] = False,
) -> None:
    """Vehicle-monitoring server for JT/T 808 terminals and JT/T 809 platforms."""


Reason = Annotated[str | None, typer.Option(help="only this reason: undecodable, implausible_time, ...")]
Phone = Annotated[str | None, typer.Option(help="only this terminal")]
AsJson = Annotated[bool, typer.Option("--json", help="one JSON object a line, for programs")]


def settings_or_exit() -> Settings:
    """The settings, or exit code 2 with a line for each wrong one."""
    try:
        settings = load_settings()
    except SettingsError as error:
        for problem in str(error).split("; "):
            print(f"roadwarden: {problem}", file=sys.stderr)
        raise typer.Exit(2) from None
    for name in unknown_environment():
        print(f"roadwarden: {name} is no setting of ours and is ignored (see `roadwarden settings`)", file=sys.stderr)
    configure_logging(settings.log_level)
    return settings


@app.command()
def serve(
    check_config: Annotated[bool, typer.Option("--check-config", help="check the settings and stop")] = False,
) -> None:
    """Run the server: terminals, database, alarms, console, forwarding."""
    settings = settings_or_exit()
    if check_config:
        print("settings are right")
        return
    from roadwarden.serve import serve as run

    raise typer.Exit(run(settings))


@app.command()
def demo(
    terminals: Annotated[int, typer.Option(min=0, help="simulated vehicles")] = 200,
    interval: Annotated[float, typer.Option(min=0.1, help="seconds between two reports of a vehicle")] = 5.0,
    seed: Annotated[int, typer.Option(help="same seed, same story")] = 1,
) -> None:
    """Server, simulated fleet and simulated superior platform on this machine, with one address to look at."""
    from roadwarden.demo import demo as run

    raise typer.Exit(run(terminals, interval, seed))


@app.command()
def migrate() -> None:
    """Bring the database's schema up to date (`serve` does it by itself)."""
    settings = settings_or_exit()
    from roadwarden.maintenance import migrate as run

    raise typer.Exit(run(settings))


@app.command()
def simulate(
    host: Annotated[str, typer.Option(help="the server's address")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="the server's JT/T 808 port")] = 6808,
    terminals: Annotated[int, typer.Option(min=1, help="how many terminals")] = 200,
    interval: Annotated[float, typer.Option(min=0.1, help="seconds between two reports of a terminal")] = 5.0,
    seed: Annotated[int, typer.Option(help="same seed, same story")] = 1,
    bad_links: Annotated[bool, typer.Option(help="drops, repeats, reordering, damage")] = True,
    state: Annotated[Path | None, typer.Option(help="file that keeps the terminals' auth codes between runs")] = None,
    ledger: Annotated[Path | None, typer.Option(help="file for the account of what was sent and answered")] = None,
) -> None:
    """Simulated terminals on the road between Liaoning's cities."""
    configure_logging("WARNING", "fleet")
    from simulators.fleet import simulate as run

    try:
        run(
            host, port, terminals=terminals, interval_s=interval, seed=seed, bad_links=bad_links,
            state=state, ledger=ledger,
        )  # fmt: skip
    except (OSError, ValueError) as error:  # a file that cannot be read or written, more terminals than there can be
        print(f"roadwarden simulate: {error}", file=sys.stderr)
        raise typer.Exit(1) from None


@app.command()
def superior(
    host: Annotated[str, typer.Option(help="address to listen on")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="main link port; 0 chooses one")] = 9809,
) -> None:
    """A simulated superior platform (上级平台) that counts what arrives over JT/T 809."""
    configure_logging("WARNING", "superior")
    from simulators.superior import serve as run

    try:
        run(host, port)
    except OSError as error:
        print(f"roadwarden superior: {error}", file=sys.stderr)
        raise typer.Exit(1) from None


@app.command()
def decode(
    frames: Annotated[
        list[str] | None, typer.Argument(help="hex of one or more frames; none: a line each from stdin")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object a line, for programs")] = False,
    edition: Annotated[str | None, typer.Option(help="2011, 2013 or 2019; absent: as the frame says")] = None,
    key: Annotated[Path | None, typer.Option(help="RSA private key in PEM that opens encrypted bodies")] = None,
) -> None:
    """Explain JT/T 808 frames: a tree for people, JSON for programs. Junk is explained, too."""
    from roadwarden.decode import decode as run

    raise typer.Exit(run(frames or [], as_json, edition, key))


@app.command()
def bench() -> None:
    """Stored reports per second end to end, beside the floors of the same run (needs the source tree)."""
    sys.path.insert(0, str(Path.cwd()))  # the source tree, when this is it
    try:
        from bench.end_to_end import main as run
    except ModuleNotFoundError:
        print("roadwarden: the benchmarks live in the source tree: run `make bench` there", file=sys.stderr)
        raise typer.Exit(1) from None
    run()


@app.command()
def backup(
    target: Annotated[Path, typer.Argument(help="a new file")],
    media: Annotated[bool, typer.Option(help="the media files, too")] = True,
) -> None:
    """Write the database to one file, media and firmware to FILE.files.tar beside it; the server may run."""
    settings = settings_or_exit()
    from roadwarden.maintenance import backup as run

    raise typer.Exit(run(settings, target, with_media=media))


@app.command()
def restore(source: Annotated[Path, typer.Argument(help="a file that `backup` wrote")]) -> None:
    """Fill an empty database, and the folders of media and firmware, from a backup; refuses one that holds data."""
    settings = settings_or_exit()
    from roadwarden.maintenance import restore as run

    raise typer.Exit(run(settings, source))


@app.command()
def doctor() -> None:
    """Check database, ports, clock and disk, and say what to do."""
    settings = settings_or_exit()
    from roadwarden.doctor import doctor as run

    raise typer.Exit(run(settings))


@quarantine_app.command("list")
def quarantine_list(
    reason: Reason = None,
    phone: Phone = None,
    before: Annotated[int | None, typer.Option(help="the next page: ids below this one")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="rows at most")] = 50,
    as_json: AsJson = False,
) -> None:
    """The newest first, with how many there are by reason."""
    settings = settings_or_exit()
    from roadwarden.quarantine import listing
    from store.queries.quarantine import Filter

    raise typer.Exit(listing(settings, Filter(reason, phone), before, limit, as_json))


@quarantine_app.command("show")
def quarantine_show(row_id: Annotated[int, typer.Argument(metavar="ID")], as_json: AsJson = False) -> None:
    """One of them, explained byte by byte."""
    settings = settings_or_exit()
    from roadwarden.quarantine import show

    raise typer.Exit(show(settings, row_id, as_json))


@quarantine_app.command("replay")
def quarantine_replay(
    ids: Annotated[list[int] | None, typer.Argument(metavar="[ID]...", help="which; none: as the options say")] = None,
    reason: Reason = None,
    phone: Phone = None,
    everything: Annotated[bool, typer.Option("--all", help="all there are")] = False,
) -> None:
    """Try them again, after an upgrade that reads more or when their terminal is known now.

    What is a position now is stored, once, and judged as late data: its alarms ring no bell. It is not forwarded.
    """
    if not (ids or reason or phone or everything):
        print("roadwarden: name rows, --reason or --phone, or say --all", file=sys.stderr)
        raise typer.Exit(2)
    settings = settings_or_exit()
    from roadwarden.quarantine import again
    from store.queries.quarantine import Filter

    raise typer.Exit(again(settings, Filter(reason, phone), ids))


@journal_app.command("info")
def journal_info(as_json: AsJson = False) -> None:
    """Size, oldest and newest group, and what waits for the database."""
    settings = settings_or_exit()
    from roadwarden.journal import info

    raise typer.Exit(info(settings, as_json))


@journal_app.command("dump")
def journal_dump(
    after: Annotated[int, typer.Option(min=0, help="begin behind this group")] = 0,
    limit: Annotated[int, typer.Option(min=1, help="records at most")] = 1000,
    phone: Phone = None,
) -> None:
    """The records as JSON lines, messages as `decode --json` shows them."""
    settings = settings_or_exit()
    from roadwarden.journal import dump

    raise typer.Exit(dump(settings, after, limit, phone))


@app.command()
def settings() -> None:
    """Print every setting with its default and meaning."""
    print(settings_table())


def main() -> None:
    end_with_parent()
    app()


if __name__ == "__main__":
    main()
