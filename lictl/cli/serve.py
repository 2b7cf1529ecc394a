# SPDX-License-Identifier: Apache-2.0
"""`lictl serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lictl.cli import state
from lictl.errors import UsageError

EXAMPLE = "Example: lictl serve --interface eth1=access --interface eth2=core"


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("serve", epilog=EXAMPLE)(serve)


def serve(
    interface: Annotated[
        list[str] | None, typer.Option(help="NAME=access (subscribers) or NAME=core (the internet); repeat.")
    ] = None,
    mirror: Annotated[
        list[str] | None, typer.Option(help="NAME of a port that gets copies; NAME+drop drops them after the look.")
    ] = None,
    generic: Annotated[
        bool, typer.Option("--generic", help="Attach in the kernel's slow path, for drivers without native XDP.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Take the place of another XDP program on the interface.")
    ] = False,
    hairpin: Annotated[
        bool, typer.Option("--hairpin", help="Subscriber-to-subscriber packets leave by the core and come back.")
    ] = False,
    ring_mib: Annotated[int, typer.Option(help="MiB of each CPU's ring, a power of two.")] = 64,
    quota: Annotated[str, typer.Option(help="Disk space of one stream's spool; past it losses are counted.")] = "10G",
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Take nothing over: remove what an earlier daemon left in the kernel.")
    ] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="On SIGTERM leave the capture attached; the next serve takes it over.")
    ] = False,
    trust_clock: Annotated[
        bool, typer.Option("--trust-clock", help="You have seen that the clock is right, whatever it said before.")
    ] = False,
    pin_dir: Annotated[
        Path | None, typer.Option(help="Folder on a bpffs for the pinned maps. (default: run/bpf in the home)")
    ] = None,
    foreground: Annotated[
        bool, typer.Option("--foreground", help="Stay in the foreground; this is what serve does anyway.")
    ] = True,
    log_level: Annotated[
        str | None, typer.Option(help="debug, info, warning or error. (env: LICTL_LOG; default: info)")
    ] = None,
    home: state.HomeOption = None,
    as_json: state.JsonOption = False,
) -> None:
    """Runs the capture and the delivery until SIGTERM or Ctrl-C, then detaches everything.

    Logs go to standard error. Under systemd use the unit file that docs/operator-guide.md shows.
    """
    from lictl import log
    from lictl.service import daemon, guard, options

    now = state.use(home, as_json)
    if log_level is not None and log_level.lower() not in log.LEVELS:
        raise UsageError(f"there is no log level {log_level!r}.", f"Levels: {', '.join(log.LEVELS)}.")
    log.configure(log_level)
    chosen = options.ServeOptions(
        ports=options.read_ports(interface or [], mirror or []),
        generic=generic,
        replace=replace,
        hairpin=hairpin,
        ring_bytes=options.ring_bytes(ring_mib),
        fresh=fresh,
        keep=keep,
        pin_dir=pin_dir,
        quota_bytes=options.read_size(quota),
        trust_clock=trust_clock,
    )
    daemon.Daemon(guard.open_home(now.home), chosen).run()
