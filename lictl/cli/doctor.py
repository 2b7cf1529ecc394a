# SPDX-License-Identifier: Apache-2.0
"""`lictl doctor`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.text import Text

from lictl.cli import output, state
from lictl.errors import MachineError

STYLES = {"ok": "green", "warn": "yellow", "bad": "bold red"}


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("doctor", epilog="Example: lictl doctor --interface eth1 --interface eth2")(doctor)


def doctor(
    interface: Annotated[list[str] | None, typer.Option(help="An interface that will be served; repeat.")] = None,
    watch: Annotated[
        float | None,
        typer.Option(help="Instead, count for this many seconds what the kernel drops, refuses and polls."),
    ] = None,
    home: state.HomeOption = None,
    as_json: state.JsonOption = False,
) -> None:
    """Checks kernel, permissions, interfaces, clock, disk and home, each with the fix. Exit code 6 where one is bad."""
    from lictl.service import doctor as examination

    now = state.use(home, as_json)
    if watch is not None:
        _watch(watch, interface or [], now.as_json)
        return
    checks = examination.examine(now.home, interface or [])
    if now.as_json:
        output.emit([asdict(check) for check in checks])
    else:
        terminal = output.console()
        for check in checks:
            terminal.print(Text(f"{check.state:4} ", style=STYLES[check.state]) + Text(f"{check.name}: {check.found}"))
            if check.state != "ok" and check.fix:
                terminal.print(Text(f"     fix: {check.fix}"))
    bad = [check.name for check in checks if check.state == "bad"]
    if bad:
        raise MachineError(f"this machine is not ready: {', '.join(bad)}.", "Each line above says how to put it right.")


def _watch(seconds: float, interfaces: list[str], as_json: bool) -> None:
    """Live counts of the kernel's tracepoints, of these interfaces or of all."""
    from lictl.probe import trace

    found = trace.watch(seconds)
    if interfaces:
        found = found.only(interfaces)
    if as_json:
        output.emit(asdict(found))
        return
    terminal = output.console()
    titles = {
        "xdp_exceptions": "XDP exceptions",
        "redirect_errors": "XDP redirect errors",
        "drops": "drops, whole machine",
        "polls": "NAPI polls",
        "net_rx_softirqs": "NET_RX softirqs",
    }
    for name, title in titles.items():
        rows = [asdict(row) for row in getattr(found, name)]
        if rows:
            terminal.print(output.table(list(rows[0]), [list(row.values()) for row in rows], title=title))
        else:
            terminal.print(Text(f"{title}: none"))
    terminal.print(Text(f"{found.seconds:.1f} seconds; {found.uncounted} events had no room in the tables."))
