# SPDX-License-Identifier: Apache-2.0
"""`lictl status`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from lictl.cli import output, state


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("status", epilog="Example: lictl status --watch")(status)


def status(
    watch: Annotated[bool, typer.Option("--watch", help="Renew every second until Ctrl-C.")] = False,
    all_: Annotated[
        bool, typer.Option("--all", help="Also the newest 100 orders that are over and delivered, with their accounts.")
    ] = False,
    home: state.HomeOption = None,
    as_json: state.JsonOption = False,
) -> None:
    """Shows ports, rings, clock, the accounting of each warrant, delivery and alarms of the running daemon.

    For every stream: matched = delivered + lost + withheld + in flight, exactly.
    """
    from lictl.service.client import Client
    from lictl.service.guard import find_home

    now = state.use(home, as_json)
    client = Client(find_home(now.home))

    def ask() -> dict[str, Any]:
        report: dict[str, Any] = client.call("status")
        return {**report, "finished": client.call("status.finished")} if all_ else report

    if not watch:
        _show(now, ask())
    elif now.as_json:
        while True:
            output.emit(ask())
            time.sleep(1)
    else:
        with Live(console=output.console(), auto_refresh=False, screen=False) as live:
            while True:
                live.update(Group(*render(ask())), refresh=True)
                time.sleep(1)


def _show(now: state.State, report: dict[str, Any]) -> None:
    if now.as_json:
        output.emit(report)
        return
    terminal = output.console()
    for part in render(report):
        terminal.print(part)


def _emergencies(report: dict[str, Any]) -> Iterator[RenderableType]:
    for alarm in report["alarms"]:
        if alarm["name"] == "emergency":
            yield Text(f" {alarm['what']} ", style="bold white on red")


def render(report: dict[str, Any]) -> Iterator[RenderableType]:
    """The parts of the status screen.

    Args:
        report: what the daemon's operation `status` returns (lictl.service.status); with `finished`, also what
            `lictl.service.finished.finished` does.
    """
    yield from _emergencies(report)
    site, daemon, clock = report["site"], report["daemon"], report["clock"]
    taken = ", took over what an earlier daemon left" if daemon["took_over"] else ""
    yield Text(
        f"lictl {daemon['version']}; operator {site['operator']} element {site['element']}, country {site['country']}\n"
        f"pid {daemon['pid']} since {daemon['started']}{taken}; kernel {daemon['kernel']}\n"
        f"clock: read to within {clock['error_ns']:,} ns, {_synchronised(clock)}\n"
    )
    yield Text("orders: " + (", ".join(f"{n} {state}" for state, n in report["orders"].items() if n) or "none") + "\n")
    yield output.table(
        ["INTERFACE", "ROLE", "HOOK", "ATTACHED", "PROGRAM", "LINK"],
        [(p["name"], p["role"], p["hook"], p["mode"], p["tag"], p["link"]) for p in report["interfaces"]],
    )
    yield Text()
    yield output.table(
        ["RING", "FILL", "BYTES WAITING", "SIZE", "RECORDS", "DAMAGED"],
        [
            (
                f"cpu {r['cpu']}",
                f"{100 * r['waiting'] / r['size']:.1f} %",
                r["waiting"],
                r["size"],
                r["consumed"],
                r["damaged"],
            )
            for r in report["rings"]
        ],
    )
    yield Text()
    yield output.table(
        [
            "WARRANT",
            "LIID",
            "STATE",
            "MODE",
            "ENDS",
            "SEEN",
            "MATCHED",
            "AGENCY",
            "DELIVERED",
            "LOST",
            "WITHHELD",
            "IN FLIGHT",
        ],
        list(_accounts(report["warrants"])),
    )
    if "finished" in report:
        yield Text()
        yield _finished_table(report["finished"])
    yield Text()
    yield output.table(
        ["AGENCY", "WORKER", "CONNECTED", "RECORDS BEHIND", "BYTES BEHIND", "LAST ACKNOWLEDGED"],
        [
            (d["agency"], as_name(d["worker"]), d["connected"], d["records"], d["bytes"], d["acknowledged"])
            for d in report["deliveries"]
        ],
    )
    yield Text()
    if not report["alarms"]:
        yield Text("No alarms.", style="green")
    for alarm in report["alarms"]:
        subject = f" {alarm['subject']}" if alarm["subject"] else ""
        yield Text(f"ALARM {alarm['name']}{subject} since {alarm['since']}: {alarm['what']}", style="bold red")
        yield Text(f"  fix: {alarm['fix']}")


def as_name(pid: int | None) -> str | None:
    """Of a process: a name, not a count."""
    return None if pid is None else str(pid)


def _finished_table(orders: list[dict[str, Any]]) -> RenderableType:
    if not orders:
        return Text("No order is over and delivered yet.")
    rows: list[tuple[object, ...]] = []
    for order in orders:
        head: tuple[object, ...] = (order["id"], order["liid"], order["state"], order["mode"], order["ended"])
        for stream in order["streams"] or [None]:
            if stream is None:  # it ended before it was armed
                rows.append((*head, 0, None, 0, 0, 0))
            else:
                lost = sum(stream["lost"].values())
                rows.append((*head, stream["matched"], stream["agency"], stream["delivered"], lost, stream["withheld"]))
            head = ("", "", "", "", "")
    titles = ["FINISHED", "LIID", "STATE", "MODE", "ENDED", "MATCHED", "AGENCY", "DELIVERED", "LOST", "WITHHELD"]
    return output.table(titles, rows)


def _synchronised(clock: dict[str, Any]) -> str:
    if clock["synchronised"] is None:
        return "synchronisation not known"
    return "synchronised" if clock["synchronised"] else "NOT synchronised"


def _accounts(warrants: list[dict[str, Any]]) -> Iterator[tuple[object, ...]]:
    for warrant in warrants:
        condition = f"EMERGENCY {warrant['state']}" if warrant["emergency"] else warrant["state"]
        head: tuple[object, ...] = (warrant["id"], warrant["liid"], condition, warrant["mode"], warrant["ends"])
        if not warrant["streams"]:  # its window has not begun
            yield (*head, 0, 0, None, 0, 0, 0, 0)
        for stream in warrant["streams"]:
            lost = sum(stream["lost"].values())
            yield (*head, warrant["seen"], stream["matched"], stream["agency"], stream["delivered"], lost,
                   stream["withheld"], stream["in_flight"])  # fmt: skip
            head = ("", "", "", "", "")
