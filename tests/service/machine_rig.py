# SPDX-License-Identifier: Apache-2.0
"""The real daemon without a network: real pinned kernel maps, store, chain and control socket, and no port.

It runs in a forked process of its own, so a start costs no imports, and can be killed, stepped in time and told to die
at a fault point while it runs. The kernel's tables are read through the pins, past everything that the daemon knows;
packets are judged by the pinned program itself (BPF_PROG_TEST_RUN), so that no interface is needed.
"""

from __future__ import annotations

import contextlib
import ctypes
import datetime as dt
import json
import os
import signal
import sqlite3
import sys
import threading
import time
import traceback
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import bounded
from pinned_kernel import Kernel, kernel, kernel_now_ns

import lictl.service.serving as serving_module
from lictl.audit import chain as chain_module
from lictl.audit.local import verify_home
from lictl.audit.read import entries
from lictl.delivery.cursor import Cursor
from lictl.errors import LictlError, UnavailableError
from lictl.home import Home
from lictl.lab.people import LAB_ROLES, as_user
from lictl.lab.site import stated
from lictl.people.actor import this_process
from lictl.people.roles import read_grants
from lictl.probe import clock
from lictl.service.administration import on_files
from lictl.service.client import Client
from lictl.service.daemon import Daemon
from lictl.service.founding import found
from lictl.service.options import ServeOptions
from lictl.service.site import Site
from lictl.service.trusted_time import NOTE, Moment

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path


CLOCK: Final = "LICTL_CLOCK_OFFSET_NS"
FAULT: Final = "LICTL_FAULT"
PATIENCE_S: Final = 60.0
RING_BYTES: Final = 1 << 20
NS: Final = 1_000_000_000
SMALL_FILE: Final = 2048
_PDEATHSIG: Final = 1
_MNT_DETACH: Final = 2
_libc = ctypes.CDLL(None, use_errno=True)


class DiedError(Exception):
    """The daemon went while it was asked."""


# ---- the daemon's process


class Courier:
    """In place of the delivery processes: every agency has at once what is on the disk.

    Delivery is tested where it has a wire; here an order has to be deliverable to the end without one.
    """

    daemon: Daemon

    def __init__(self, _home: Home, _uid: int | None) -> None:
        self.connected = False
        self._woken, self._ending = threading.Event(), False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._ending:
            self._woken.wait(0.2)
            self._woken.clear()
            with contextlib.suppress(AttributeError):  # the daemon has no orders yet
                for order in self.daemon._serving.orders.orders():  # type: ignore[union-attr]
                    for stream in order.streams:
                        with contextlib.suppress(OSError, LictlError, ValueError):  # it ended a moment ago
                            self._acknowledge(stream.spool)

    def _acknowledge(self, spool: Any) -> None:
        block = spool.synced
        if block > spool.acknowledged:
            totals = spool.totals
            spool._files.cursor.write(Cursor(block, totals.records, totals.lost, 0, 0, time.time_ns()))

    def add(self, _agency: Any, _stream: Any) -> None:
        self._woken.set()

    def remove(self, _agency: str, _stream: str) -> None:
        return

    def wake_all(self) -> None:
        self._woken.set()

    def states(self) -> list[Any]:
        return []

    def stop(self) -> None:
        self._ending = True
        self._woken.set()
        self._thread.join(PATIENCE_S)


def _serve(home: Home, log: Path, orders: int, answers: int, env: dict[str, str], small: bool, trust: bool) -> int:
    """The forked process."""
    _libc.prctl(_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    sys.stderr = sys.stdout = os.fdopen(2, "w", buffering=1, closefd=False)
    os.environ.update(env)
    from lictl import log as log_module

    log_module.configure("debug")
    if small:
        chain_module.Chain.open.__func__.__kwdefaults__["file_bytes"] = SMALL_FILE  # type: ignore[attr-defined]
    serving_module.Workers = Courier  # type: ignore[attr-defined]
    threading.Thread(target=_obey, args=(orders, answers), daemon=True).start()
    Courier.daemon = Daemon(home, ServeOptions((), ring_bytes=RING_BYTES, trust_clock=trust))
    try:
        Courier.daemon.run()
    except LictlError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


def _obey(orders: int, answers: int) -> None:
    """Changes the process's environment while it runs; a new clock is noticed as a step of the real one is."""
    for line in os.fdopen(orders, "r", encoding="utf-8"):
        name, _, value = line.strip().partition("=")
        os.environ[name] = value
        if name == CLOCK:
            clock.inject(0)
        os.write(answers, b"!")


def make(folder: Path, *grants: str) -> Machine:
    """A site that is founded: an operator, an approver, who else is granted a role (`role=user`), one agency."""
    home = Home(folder / "home")
    found(home, Site(operator="ISP-7", element="box-1", country="US"), read_grants((*LAB_ROLES, *grants)))
    agency = {"name": "agency", "host": "127.0.0.1", "port": 9, "format": "pcapng", "options": {}}
    on_files(home, this_process(home), "agency.add", agency)
    return at(folder)


def at(folder: Path) -> Machine:
    """A site that is there already, such as a copy."""
    return Machine(Home(folder / "home"), folder / "daemon.log")


class Machine:
    """One site and its daemon. Use as a context: nothing is left behind.

    Attributes:
        home: of the site; made already.
        offset_ns: what the daemon's clock is ahead of the machine's.
        starts: how often the daemon was started.
        status: wait status of the last daemon that ended.
        glimpsed: claims of slots that were seen on during the last start.
    """

    def __init__(self, home: Home, log: Path) -> None:
        self.home, self.log = home, log
        self.offset_ns = self.starts = 0
        self.status: int | None = None
        self.glimpsed: set[int] = set()
        self._pid = 0
        self._orders = self._answers = -1

    def __enter__(self) -> Machine:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        _libc.umount2(os.fsencode(self.home.bpf), _MNT_DETACH)

    # ---- life

    @property
    def alive(self) -> bool:
        """The daemon's process runs."""
        return self._pid != 0 and self._gone() is None

    def start(self, fault: str = "", small: bool = False, trust: bool = False) -> int | None:
        """Starts the daemon; returns None when it answers, or the wait status with which it ended.

        Args:
            fault: point and count at which it dies.
            small: the chain's files are small, so that a new one begins soon.
            trust: who starts it vouches for the clock.
        """
        assert not self._pid
        self.starts += 1
        self.glimpsed = set()
        mine, orders = os.pipe()
        answers, yours = os.pipe()
        env = {CLOCK: str(self.offset_ns), FAULT: fault, "LICTL_LOG": "debug"}
        # A fork: hundreds of starts cost little. The one other thread here is the test runner's, which waits for its
        # next order and holds nothing that the daemon uses; one that stands still all the same is given up below.
        pid = os.fork()
        if pid == 0:
            code = 70
            try:
                os.close(orders)
                os.close(answers)
                code = _serve(self.home, self.log, mine, yours, env, small, trust)
            except BaseException:
                traceback.print_exc()  # into the daemon's log
            finally:
                os._exit(code)
        os.close(mine)
        os.close(yours)
        self._pid, self._orders, self._answers = pid, orders, answers
        client, limit = Client(self.home, timeout_s=PATIENCE_S), time.monotonic() + PATIENCE_S
        while time.monotonic() < limit:
            if (status := self._gone()) is not None:
                return status
            self.glimpsed |= self.kernel.claims
            if client.daemon_runs:
                return None
            time.sleep(0.005)
        raise AssertionError(f"the daemon does not answer:\n{self.tail()}")

    def _gone(self) -> int | None:
        if not self._pid:
            return None
        pid, status = os.waitpid(self._pid, os.WNOHANG)
        if not pid:
            return None
        self._forget()
        self.status = status
        return status

    def _forget(self) -> None:
        os.close(self._orders)
        os.close(self._answers)
        self._pid = 0

    def ended(self) -> int:
        """Waits for its end; returns the wait status."""
        limit = time.monotonic() + PATIENCE_S
        while time.monotonic() < limit:
            if (status := self._gone()) is not None:
                return status
            time.sleep(0.005)
        raise AssertionError(f"the daemon does not end:\n{self.tail()}")

    def kill(self) -> None:
        """kill -9, where it runs."""
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)
            self.ended()

    def stop(self) -> None:
        """A clean stop."""
        os.kill(self._pid, signal.SIGTERM)
        status = self.ended()
        assert status == 0, (status, self.tail())

    def set(self, name: str, value: str) -> None:
        """A variable of the running daemon's environment."""
        os.write(self._orders, f"{name}={value}\n".encode())
        assert bounded.read(self._answers, what="the daemon's answer") == b"!", "the daemon has gone"

    def step(self, by_ns: int) -> None:
        """Steps the daemon's clock, also that of the next start."""
        self.offset_ns += by_ns
        if self._pid:
            self.set(CLOCK, str(self.offset_ns))
            self.wait(
                lambda: abs(kernel_now_ns(self.home.bpf) - self.now_ns) < NS // 10, "the kernel has the new clock"
            )

    @property
    def now_ns(self) -> int:
        """UTC as the daemon has it, in whole microseconds."""
        return (time.time_ns() + self.offset_ns) // 1000 * 1000

    # ---- people

    def ask(self, uid: int, op: str, **args: Any) -> Any:
        """What a person is answered.

        Raises:
            DiedError: the daemon went meanwhile.
            LictlError: what it refused.
        """
        client = Client(self.home, timeout_s=PATIENCE_S)
        try:
            return as_user(uid, lambda: client.call(op, **args))
        except UnavailableError as error:
            limit = time.monotonic() + 2.0  # a process that was killed takes a moment to go
            while self.alive and time.monotonic() < limit:
                time.sleep(0.005)
            if self._pid:
                raise
            raise DiedError(op) from error

    # ---- what is there, past the daemon

    @property
    def kernel(self) -> Kernel:
        """The pinned tables."""
        return kernel(self.home.bpf)

    def rows(self) -> dict[str, dict[str, Any]]:
        """The store's orders by LIID, as they stand in the file."""
        with contextlib.closing(sqlite3.connect(self.home.database, timeout=PATIENCE_S)) as database:
            database.row_factory = sqlite3.Row
            found = database.execute(
                "SELECT number, liid, state, starts_ns, ends_ns, slot, generation, released, "
                "sealed_targets IS NOT NULL AS sealed, "
                "(SELECT group_concat(state) FROM (SELECT state FROM instruments WHERE warrant = number "
                "ORDER BY position)) AS instruments FROM warrants"
            )
            return {row["liid"]: dict(row) for row in found}

    def trusted_time(self) -> Moment | None:
        """The last trusted time, as it stands in the file."""
        with contextlib.closing(sqlite3.connect(self.home.database, timeout=PATIENCE_S)) as database:
            found = database.execute("SELECT value FROM meta WHERE key = ?", (NOTE,)).fetchone()
        return None if found is None else Moment.parse(found[0])

    def rebooted(self, off_ns: int) -> None:
        """As if the machine had been started anew since the last trusted time, and was off for so long by its clock."""
        now = self.moment
        moment = Moment(now.utc_ns - now.uptime_ns - off_ns, "another boot", 0)
        with contextlib.closing(sqlite3.connect(self.home.database, timeout=PATIENCE_S)) as database, database:
            database.execute("UPDATE meta SET value = ? WHERE key = ?", (moment.text(), NOTE))

    @property
    def moment(self) -> Moment:
        """Now, as the daemon has it."""
        return replace(Moment.now(), utc_ns=self.now_ns)

    def check_chain(self) -> None:
        """The chain is whole; while a daemon runs that has settled, each intent has one outcome."""
        verdict = verify_home(self.home)
        assert verdict.good, verdict

    def outcomes(self) -> tuple[list[int], list[int]]:
        """Numbers of all intents, and of those that have an outcome (each once)."""
        found = list(entries(self.home.root / "audit"))
        intents = [entry.seq for entry in found if entry.intent]
        closed = [int(entry.subject or 0) for entry in found if entry.action in ("done", "failed")]
        return sorted(intents), sorted(closed)

    def tail(self) -> str:
        """The end of the daemon's log."""
        return self.log.read_text()[-6000:] if self.log.exists() else ""

    def wait(self, condition: Callable[[], bool], what: str, patience_s: float = PATIENCE_S) -> None:
        """Waits for a condition."""
        limit = time.monotonic() + patience_s
        while not condition():
            if time.monotonic() > limit:
                raise AssertionError(f"not in time: {what}\n{self.tail()}")
            time.sleep(0.02)


# ---- warrant files


def text_of(
    liid: str, targets: Sequence[str], starts_ns: int, ends_ns: int, signed_ns: int, *, emergency: bool = False
) -> str:
    """A warrant file for content under Title III; times in UTC nanoseconds, whole microseconds."""
    lines = [
        "[authority]",
        f"signed_at = {moment(signed_ns)}",
        'signed_by = "A. Example"',
        'presented_by = "B. Example"',
    ]
    if emergency:
        lines += ['kind = "title-iii-emergency"', 'citation = "18 USC 2518(7)"',
                  'designated_by = "the Attorney General"', 'grounds = "immediate danger of death"']  # fmt: skip
    else:
        lines += ['kind = "title-iii"', 'citation = "18 USC 2518"', 'court = "Superior Court of Example County"',
                  f'docket = "D-{liid}"', *stated("content")]  # fmt: skip
    lines += [
        "[intercept]",
        f'case_id = "CASE-{liid}"',
        f'liid = "{liid}"',
        'mode = "content"',
        f"starts = {moment(starts_ns)}",
        f"ends = {moment(ends_ns)}",
        f"targets = {json.dumps([f'ip:{target}' for target in targets])}",
        "[[delivery]]",
        'agency = "agency"',
    ]
    return "\n".join(lines) + "\n"


def moment(ns: int) -> str:
    """RFC 3339, to the microsecond below."""
    return (dt.datetime(1970, 1, 1) + dt.timedelta(microseconds=ns // 1000)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
