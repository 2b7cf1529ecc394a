# SPDX-License-Identifier: Apache-2.0
"""`lictl agency`: who may receive."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from lictl.cli import output, state
from lictl.errors import UsageError

app = typer.Typer(no_args_is_help=True, help="The agencies that orders can name, and how to reach them.")

Name = Annotated[str, typer.Argument(help="Name of the agency, as warrant files write it.")]


@app.command("add", epilog="Example: lictl agency add county-sheriff --host 192.0.2.10 --port 41900 --format pcapng")
def add(
    name: Name,
    host: Annotated[str, typer.Option(help="Host name or address of its receiver.")],
    port: Annotated[int, typer.Option(min=1, max=65535, help="TCP port of its receiver.")],
    format_: Annotated[str, typer.Option("--format", help="Handover format: pcapng, text or msgpack.")] = "pcapng",
    option: Annotated[
        list[str] | None, typer.Option(help="KEY=VALUE for the format, such as encoding=hex; repeat.")
    ] = None,
    profile: Annotated[
        str | None, typer.Option(help="Its jurisdiction, where it is not the site's: `lictl profile list`.")
    ] = None,
    home: state.HomeOption = None,
    as_json: state.JsonOption = False,
) -> None:
    """Adds an agency. Orders can name it from then on."""
    from lictl.service.administration import call

    now, options = state.use(home, as_json), _options(option or [])
    how = {"host": host, "port": port, "format": format_, "options": options, "profile": profile}
    agency = call(now.home, "agency.add", name=name, **how)
    output.answer(now, agency, f"Added agency {name} at {host} port {port}, format {format_}.")


@app.command("list", epilog="Example: lictl agency list --json")
def show_all(home: state.HomeOption = None, as_json: state.JsonOption = False) -> None:
    """Lists the agencies."""
    from lictl.service.administration import call

    now = state.use(home, as_json)
    agencies = call(now.home, "agency.list")
    if now.as_json:
        output.emit(agencies)
    elif not agencies:
        output.console().print("No agency yet. Add one with `lictl agency add NAME --host HOST --port PORT`.")
    else:
        rows = [(a["name"], a["host"], str(a["port"]), a["format"], _text(a["options"])) for a in agencies]
        output.console().print(output.table(["NAME", "HOST", "PORT", "FORMAT", "OPTIONS"], rows))


@app.command("test", epilog="Example: lictl agency test county-sheriff")
def try_out(
    name: Name,
    timeout: Annotated[float, typer.Option(min=0.1, max=300, help="Seconds to wait for an answer.")] = 5.0,
    home: state.HomeOption = None,
    as_json: state.JsonOption = False,
) -> None:
    """Connects to an agency, greets it as a delivery would and says what came back. Delivers nothing."""
    from lictl.service.administration import call
    from lictl.service.greeting import greet
    from lictl.service.site import Site
    from lictl.warrants.model import Agency

    now = state.use(home, as_json)
    known = call(now.home, "agency.show", name=name)
    agency = Agency.from_plain(known["agency"])
    found = greet(agency, Site(**known["site"]), timeout)
    output.answer(
        now,
        {"agency": name, **found},
        f"Agency {name} at {agency.host} port {agency.port} answered in {found['milliseconds']} ms.",
    )


@app.command("remove", epilog="Example: lictl agency remove county-sheriff")
def remove(name: Name, home: state.HomeOption = None, as_json: state.JsonOption = False) -> None:
    """Removes an agency. Refused while an order that is not over names it."""
    from lictl.service.administration import call

    now = state.use(home, as_json)
    call(now.home, "agency.remove", name=name)
    output.answer(now, {"removed": name}, f"Removed agency {name}.")


def _options(texts: list[str]) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not (key and equals):
            raise UsageError(f"--option {text} is not KEY=VALUE.", "Write for example --option encoding=hex.")
        options[key] = value
    return options


def _text(options: dict[str, Any]) -> str:
    return " ".join(f"{key}={value}" for key, value in options.items())
