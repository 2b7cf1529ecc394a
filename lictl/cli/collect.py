# SPDX-License-Identifier: Apache-2.0
"""`lictl receive` and `lictl replay`: the agency's side, and a capture file in place of a wire."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lictl.cli import output, state
from lictl.errors import IntegrityError, UsageError

if TYPE_CHECKING:
    from lictl.collection.receiver import Progress, Receiver
    from lictl.collection.verdict import Verdict


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("receive", epilog="Example: lictl receive --listen 127.0.0.1:41900 --into evidence")(receive)
    app.command("replay", epilog="Example: lictl replay capture.pcapng --warrant order.toml --into evidence")(replay)


def receive(
    listen: Annotated[str, typer.Option(help="HOST:PORT to listen on; an IPv6 address in brackets.")],
    into: Annotated[Path, typer.Option(help="Folder for the files; made with mode 0700.")],
    once: Annotated[bool, typer.Option("--once", help="End when every stream that came has ended.")] = False,
    for_: Annotated[float | None, typer.Option("--for", min=0.1, help="End after so many seconds.")] = None,
    home: state.HomeOption = None,
    as_json: state.JsonOption = False,
) -> None:
    """Receives as an agency does: verifies, writes files that tcpdump and tshark open, ends with a verdict.

    Ctrl-C or SIGTERM ends it. The verdict also stands in FOLDER/verdict.json. Exit code 5 where something is missing
    that the sender did not explain.
    """
    from lictl.collection.receiver import Receiver

    now = state.use(home, as_json)
    receiver = Receiver(_address(listen), into, on_progress=lambda progress: _live(progress, receiver, once))
    with receiver:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: receiver.stop())
        host, port = receiver.address
        sys.stderr.write(f"Listening on {host} port {port}, writing to {into}.\n")
        if for_ is not None:
            timer = threading.Timer(for_, receiver.stop)
            timer.daemon = True
            timer.start()
        receiver.run()
        verdict = receiver.write_verdict()
    _conclude(now, verdict, into)


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise UsageError(f"--listen {text} is not HOST:PORT.", "Write 127.0.0.1:41900 or [::1]:41900.")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _live(progress: Progress, receiver: Receiver, once: bool) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(
            f"\r{progress.connections} connections, {progress.streams} streams, {progress.records:,} packets, "
            f"{progress.bytes:,} bytes, {progress.lost:,} lost, {progress.gaps:,} gaps \x1b[K"
        )
        sys.stderr.flush()
    if once and progress.streams and not progress.connections and _all_ended(receiver):
        receiver.stop()


def _all_ended(receiver: Receiver) -> bool:
    with receiver.lock:
        return all(file.account.ended for file in receiver.store.files.values())


def _conclude(now: state.State, verdict: Verdict, folder: Path) -> None:
    if now.as_json:
        output.emit(verdict.to_plain())
    else:
        if sys.stderr.isatty():
            sys.stderr.write("\n")
        rows = [
            (s.file, s.mode, s.records, s.lost, s.skipped + s.damaged, s.missing, s.duplicates, "ok" if s.ok else "BAD")
            for s in verdict.streams
        ]
        columns = ["FILE", "MODE", "PACKETS", "LOST", "SKIPPED", "MISSING", "RESENT", "VERDICT"]
        output.console().print(output.table(columns, rows))
    if not verdict.ok:
        raise IntegrityError(
            "packets are missing that nothing explains.", f"{folder}/verdict.json says where; ask the sender."
        )


def replay(
    file: Annotated[Path, typer.Argument(help="A pcap or pcapng file, Ethernet or raw IP.")],
    warrant: Annotated[list[Path], typer.Option(help="Warrant file to apply; repeat.")],
    into: Annotated[Path, typer.Option(help="Folder for the files; made with mode 0700.")],
    format_: Annotated[str, typer.Option("--format", help="Handover format: pcapng, text or msgpack.")] = "pcapng",
    home: state.HomeOption = None,
    as_json: state.JsonOption = False,
) -> None:
    """Applies orders to a capture file as the kernel would to a wire, and writes what the agency would get.

    For practice and for checking an order before it is used: no kernel, no daemon and no home are needed. Packets
    are judged by the time that stands in the file. An order that is over may be replayed.
    """
    from lictl.service.replay import replay as run

    now = state.use(home, as_json)
    outcome = run(file, warrant, into, format_)
    if now.as_json:
        output.emit(outcome)
        return
    rows: list[list[Any]] = [
        [o["file"], o["liid"], o["mode"], o["seen"], o["matched"], o["delivered"], o["withheld"]]
        for o in outcome["orders"]
    ]
    terminal = output.console()
    terminal.print(f"{outcome['packets']:,} packets read from {file}.", markup=False)
    terminal.print(output.table(["FILE", "LIID", "MODE", "SEEN", "MATCHED", "DELIVERED", "WITHHELD"], rows))
