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
from lictl.errors import IntegrityError, MachineError, UsageError

if TYPE_CHECKING:
    from lictl.collection.receiver import Progress, Receiver
    from lictl.collection.verdict import Verdict


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("receive", epilog="Example: lictl receive --listen 127.0.0.1:41900 --into evidence")(receive)
    app.command("replay", epilog="Example: lictl replay capture.pcapng --warrant order.toml --into evidence")(replay)


def receive(
    into: Annotated[Path, typer.Option(help="Folder for the files; made with mode 0700.")],
    listen: Annotated[
        list[str] | None, typer.Option(help="HOST:PORT or HOST:PORT=FORMAT, TCP; an IPv6 address in brackets. Repeat.")
    ] = None,
    udp: Annotated[list[str] | None, typer.Option(help="The same for datagrams. Repeat.")] = None,
    format_: Annotated[
        str, typer.Option("--format", help="Format where a port names none; auto: told from the first octets.")
    ] = "auto",
    tls_certificate: Annotated[
        Path | None, typer.Option(help="PEM chain of this receiver: TLS on all TCP ports, and nothing else there.")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(help="PEM of its private key.")] = None,
    tls_ca: Annotated[Path | None, typer.Option(help="PEM of the CA that senders' certificates must be from.")] = None,
    key: Annotated[
        list[Path] | None, typer.Option(help="PEM of the operator's public key, for signatures in the stream. Repeat.")
    ] = None,
    payload_key: Annotated[
        list[Path] | None, typer.Option(help="File with the key of sealed payloads (ETSI TS 102 232-1). Repeat.")
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="End when every stream that came has ended.")] = False,
    for_: Annotated[float | None, typer.Option("--for", min=0.1, help="End after so many seconds.")] = None,
    home: state.HomeOption = None,
    as_json: state.JsonOption = False,
) -> None:
    """Receives as an agency does: verifies, writes files that tcpdump and tshark open, ends with a verdict.

    Takes the delivery protocol of lictl and, each warrant by itself, ETSI TS 102 232, ATIS-1000013 and TS 103 221-2
    over TCP or TLS, and ATIS-1000013, TZSP and PacketCable CCC over UDP; answers keep-alives and requests for
    acknowledgement. Ctrl-C or SIGTERM ends it. The verdict also stands in FOLDER/verdict.json. Exit code 5 where
    something is missing that the sender did not explain, or a check fails. docs/agency-guide.md explains the files.
    """
    from lictl.collection.integrity import Verifier
    from lictl.collection.listening import ports, server_context
    from lictl.collection.payload_key import payload_keys
    from lictl.collection.receiver import Receiver

    now = state.use(home, as_json)
    if not listen and not udp:
        raise UsageError("there is nothing to listen on.", "Give --listen HOST:PORT or --udp HOST:PORT.")
    if (tls_certificate is None) != (tls_key is None) or (tls_ca is not None and tls_key is None):
        raise UsageError("TLS needs a certificate and its key.", "Give --tls-certificate and --tls-key.")
    receiver = Receiver(
        ports(listen or [], "--listen", format_),
        into,
        on_progress=lambda progress: live(progress),
        udp=ports(udp or [], "--udp", format_),
        tls=server_context(tls_certificate, tls_key, tls_ca) if tls_certificate and tls_key else None,
        verifier=Verifier(tuple(key or ())),
        payload_keys=payload_keys(payload_key or ()),
    )
    live = Live(receiver, once)
    with receiver:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: receiver.stop())
        for host, port in receiver.addresses:
            sys.stderr.write(f"Listening on {host} port {port}, writing to {into}.\n")
        if for_ is not None:
            timer = threading.Timer(for_, receiver.stop)
            timer.daemon = True
            timer.start()
        receiver.run()
        try:
            verdict = receiver.write_verdict()
        except OSError as error:
            raise MachineError(
                f"{into}/verdict.json cannot be written: {error.strerror}.",
                "Put the disk right, then run `lictl receive` on the same folder: it judges what is there.",
            ) from None
    _conclude(now, verdict, into)


class Live:
    """Called twice a second: a line for a terminal, a word on the first trouble, the end of --once."""

    def __init__(self, receiver: Receiver, once: bool) -> None:
        self._receiver = receiver
        self._once = once
        self._unopened = receiver.progress().unopened
        self._disk = False

    def __call__(self, progress: Progress) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(
                f"\r{progress.connections} connections, {progress.streams} streams, {progress.records:,} packets, "
                f"{progress.bytes:,} bytes, {progress.lost:,} lost, {progress.gaps:,} gaps \x1b[K"
            )
            sys.stderr.flush()
        if progress.unopened > self._unopened:
            sys.stderr.write("Sealed payloads come that the payload key does not open; they are kept closed.\n")
            self._unopened = sys.maxsize
        if not self._disk and self._receiver.refused["disk error"]:
            sys.stderr.write(f"The disk of {self._receiver.folder} refuses what comes: it is not acknowledged.\n")
            self._disk = True
        if self._once and progress.streams and not progress.connections and _all_ended(self._receiver):
            self._receiver.stop()


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
        rows += [
            (
                e.files[0].name,
                e.format,
                e.pdus,
                e.lost,
                e.unreadable + e.unopened,
                e.missing,
                e.duplicates,
                "ok" if e.ok else "BAD",
            )
            for e in verdict.evidence
            if e.files
        ]
        columns = ["FILE", "MODE OR FORMAT", "PACKETS OR PDUS", "LOST", "UNREADABLE", "MISSING", "RESENT", "VERDICT"]
        output.console().print(output.table(columns, rows))
    unopened = sum(e.unopened for e in verdict.evidence)
    if unopened:
        from lictl.collection.payload_key import ASK_FOR_KEY

        raise IntegrityError(
            f"{unopened} sealed payloads do not open with the payload key that was given.", ASK_FOR_KEY
        )
    if not verdict.ok:
        raise IntegrityError(
            "something is missing that nothing explains, or a check failed.",
            f"{folder}/verdict.json says where; ask the sender.",
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
