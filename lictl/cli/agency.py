# SPDX-License-Identifier: Apache-2.0
"""`lictl agency`: who may receive."""

from __future__ import annotations

import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from lictl.cli import agency_request, output, state
from lictl.cli.agency_options import pem, require_new, write_secret
from lictl.cli.agency_request import AgencyRequest
from lictl.errors import UsageError

app = typer.Typer(no_args_is_help=True, help="The agencies that orders can name, and how to reach them.")

Name = Annotated[str, typer.Argument(help="Name of the agency, as warrant files write it.")]


@app.command("add", epilog="Example: lictl agency add county-sheriff --host 192.0.2.10 --port 41900 --format pcapng")
def add(
    name: Name,
    host: Annotated[
        str | None, typer.Option(help="Host name or address of its receiver; needed but for files.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port of its receiver; needed but for files.")
    ] = None,
    format_: Annotated[
        str, typer.Option("--format", help="Handover format, such as pcapng, etsi-102232 or atis-1000013.")
    ] = "pcapng",
    option: Annotated[
        list[str] | None, typer.Option(help="KEY=VALUE for the format, such as encoding=hex; repeat.")
    ] = None,
    profile: Annotated[
        str | None, typer.Option(help="Its jurisdiction, where it is not the site's: `lictl profile list`.")
    ] = None,
    transport: Annotated[
        str, typer.Option(help="lictl (acknowledged), tcp (the format's own bytes), udp, or files.")
    ] = "lictl",
    tls: Annotated[bool, typer.Option("--tls", help="In TLS 1.3; needs --tls-ca.")] = False,
    tls_ca: Annotated[
        Path | None, typer.Option(help="PEM of the authorities that may sign the agency's certificate.")
    ] = None,
    tls_certificate: Annotated[Path | None, typer.Option(help="PEM chain that is shown to the agency.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="PEM of its private key; kept sealed.")] = None,
    tls_min: Annotated[str, typer.Option(help="1.2 for an agency that cannot do 1.3.")] = "1.3",
    events: Annotated[
        str | None, typer.Option(help="HOST:PORT where events and header reports go (HI2, CmII).")
    ] = None,
    keepalive: Annotated[float, typer.Option(min=0, help="Idle seconds before a keep-alive; 0: the format's.")] = 0.0,
    response: Annotated[float, typer.Option(min=0, help="Seconds to wait for its answer; 0: the format's.")] = 0.0,
    ceiling: Annotated[int, typer.Option(min=0, help="Most octets a second; 0: no ceiling.")] = 0,
    backlog: Annotated[
        str, typer.Option(help="Disk space of each of its streams, such as 2G, in place of that of `lictl serve`.")
    ] = "",
    file: Annotated[list[str] | None, typer.Option(help="KEY=VALUE of files, such as seconds=600; repeat.")] = None,
    home: state.HomeOption = None,
    as_json: state.JsonOption = False,
) -> None:
    """Adds an agency. Orders can name it from then on. `lictl agency new` asks for the same, step by step."""
    now = state.use(home, as_json)
    if transport != "files" and (host is None or port is None):
        given = {"--host": host, "--port": port, "--tls-ca": tls_ca if tls else ()}
        missing = " and ".join(option for option, value in given.items() if value is None)
        raise UsageError(
            f"without {missing} the agency cannot be reached.",
            f"Add it, or let `lictl agency new {name}` ask for everything.",
        )
    request = AgencyRequest(
        host=host or "", port=port or 0, format=format_, option=option or [], profile=profile, transport=transport,
        tls=tls, tls_ca=tls_ca, tls_certificate=tls_certificate, tls_key=tls_key, tls_min=tls_min, events=events,
        keepalive=keepalive, response=response, ceiling=ceiling, backlog=backlog, file=file or [],
    )  # fmt: skip
    agency_request.add(now, name, request)


@app.command("list", epilog="Example: lictl agency list --json")
def show_all(home: state.HomeOption = None, as_json: state.JsonOption = False) -> None:
    """Lists the agencies."""
    from lictl.service.administration import call

    now = state.use(home, as_json)
    agencies = call(now.home, "agency.list")
    if now.as_json:
        output.emit(agencies)
    elif not agencies:
        output.console().print(
            "No agency yet. `lictl agency new NAME` asks for what one needs; `lictl agency add` takes it as options."
        )
    else:
        rows = [
            (
                a["name"],
                a["host"] or None,
                str(a["port"] or "-"),
                a["format"],
                _way(a["transport"]),
                _text(a["options"]),
            )
            for a in agencies
        ]
        output.console().print(output.table(["NAME", "HOST", "PORT", "FORMAT", "TRANSPORT", "OPTIONS"], rows))


@app.command("test", epilog="Example: lictl agency test county-sheriff")
def try_out(
    name: Name,
    timeout: Annotated[float, typer.Option(min=0.1, max=300, help="Seconds to wait for an answer.")] = 5.0,
    home: state.HomeOption = None,
    as_json: state.JsonOption = False,
) -> None:
    """Reaches an agency as a delivery would, TLS included, and says what came back. Delivers nothing.

    lictl's own protocol is greeted; a format's own gets a test PDU and a keep-alive; UDP can only be refused.
    """
    from lictl.service.administration import call
    from lictl.service.greeting import greet
    from lictl.service.site import Site
    from lictl.warrants.model import Agency
    from lictl.warrants.store import Store

    now = state.use(home, as_json)
    known = call(now.home, "agency.show", name=name)
    agency = Agency.from_plain(known["agency"])
    if agency.transport.certificate:  # its key stays in the home: only the home's owner can show the certificate
        with closing(Store.of(now.home)) as store:
            agency = replace(agency, transport=store.transport(name))
    found = greet(agency, Site(**known["site"]), timeout)
    secure = f", TLS {found['tls']['version']}, certificate until {found['tls']['until']}" if "tls" in found else ""
    reached = f" at {agency.host} port {agency.port}" if agency.host else ""
    took = f" ({found['milliseconds']} ms{secure})" if agency.host else ""
    output.answer(now, {"agency": name, **found}, f"Agency {name}{reached}: {found['answer']}{took}.")


@app.command("keys", epilog="Example: lictl agency keys county-sheriff")
def keys(
    name: Name,
    ecdsa: Annotated[bool, typer.Option("--ecdsa", help="The key of ECDSA signatures in place of Ed25519's.")] = False,
    payload_key_to: Annotated[
        Path | None, typer.Option(help="Also write the key of sealed payloads into this new file, mode 0600.")
    ] = None,
    home: state.HomeOption = None,
    as_json: state.JsonOption = False,
) -> None:
    """Prints the public key that an agency verifies this site's signatures with."""
    from lictl.service.administration import call

    now = state.use(home, as_json)
    if payload_key_to is not None:
        require_new(payload_key_to)  # before it stands in the chain that the key was handed out
    found = call(now.home, "agency.keys", name=name, payload=payload_key_to is not None)
    if payload_key_to is not None:
        write_secret(payload_key_to, found.pop("payload"))
    if now.as_json:
        output.emit(found)
    else:
        sys.stdout.write(found["ecdsa" if ecdsa else "eddsa"])


@app.command("renew", epilog="Example: lictl agency renew county-sheriff --tls-certificate new.pem --tls-key new.key")
def renew(
    name: Name,
    tls_ca: Annotated[
        Path | None, typer.Option(help="PEM of all authorities that count from now on: both, while the agency changes.")
    ] = None,
    tls_certificate: Annotated[Path | None, typer.Option(help="PEM chain that is shown to the agency.")] = None,
    tls_key: Annotated[
        Path | None, typer.Option(help="PEM of its private key, kept sealed; left out: the key that is there.")
    ] = None,
    home: state.HomeOption = None,
    as_json: state.JsonOption = False,
) -> None:
    """Replaces what TLS with an agency rests on, also under open orders. What is left out stays as it is.

    Connections are made anew with it at once; everything that waits follows, in order.
    """
    from lictl.service.administration import call

    now = state.use(home, as_json)
    given = {"ca": pem(tls_ca), "certificate": pem(tls_certificate), "key": pem(tls_key)}
    found = call(now.home, "agency.renew", name=name, **given)
    ours = (
        f"our certificate until {found['certificate_until']}"
        if found["certificate_until"]
        else "no certificate of ours"
    )
    theirs = ", ".join(f"{each['subject']} until {each['until']}" for each in found["authorities"])
    output.answer(now, found, f"Renewed agency {name}: {ours}; authorities: {theirs}. {found['effect']}")


@app.command("remove", epilog="Example: lictl agency remove county-sheriff")
def remove(name: Name, home: state.HomeOption = None, as_json: state.JsonOption = False) -> None:
    """Removes an agency. Refused while an order that is not over names it; certificates change with `renew`."""
    from lictl.service.administration import call

    now = state.use(home, as_json)
    call(now.home, "agency.remove", name=name)
    output.answer(now, {"removed": name}, f"Removed agency {name}.")


def _way(transport: dict[str, Any]) -> str:
    return f"{transport['kind']} TLS {transport['tls_min']}+" if transport["tls"] else str(transport["kind"])


def _text(options: dict[str, Any]) -> str:
    return " ".join(f"{key}={value}" for key, value in options.items())
