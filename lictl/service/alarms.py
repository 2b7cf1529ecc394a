# SPDX-License-Identifier: Apache-2.0
"""Conditions that a person has to act on. Each stands from when it is found until it is gone, in status and log."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from lictl import log
from lictl.times import format_rfc3339, now_ns

_log = log.get("alarms")

# What to do, by alarm; docs/operator-guide.md explains each at length.
FIXES = {
    "unaccounted": "Packets are missing that no counter explains: keep the home as it is and report a defect.",
    "ring-lost": "The daemon did not keep up: raise --ring-mib, or give it more CPU; the gap stands in the stream.",
    "ring-damaged": "Those records are lost and stand as gaps: test the memory, then report a defect.",
    "quota": "The agency does not take its data: restore the link, or raise --quota; the gap stands in the stream.",
    "spool": "The disk refuses to be written: see the log, free space or replace the disk; the kernel's rings hold on.",
    "mediation": "Records could not be written out: see the log and report a defect.",
    "agency-down": "Check the agency's address with `lictl agency test NAME`; nothing is lost that the quota can hold.",
    "certificate": "Get a new one, ours or the authority's, and give it with `lictl agency renew NAME`; ask the agency "
    "for its own. When it has ended nothing is delivered in TLS, and all of it waits.",
    "too-long": "They are lost, class other: tell the agency; reach it over TCP or with another format.",
    "worker": "The delivery process ends again and again: see the log.",
    "clock": "Start a time service (chrony, systemd-timesyncd): records carry this clock's time.",
    "clock-step": "Find out what stepped it; tell the agency that times before and behind the step differ by it.",
    "clock-doubt": "Put the clock right (a time service does); where it is right, restart with `serve --trust-clock`.",
    "interface": "The capture is no longer attached as it was: see `ip link`, then restart lictl.",
    "interface-anew": "See what removed it; tell the agencies that packets in between are missing.",
    "agency-gone": "An agency could not be served: see the log, then `lictl agency list`.",
    "foreign": "Somebody else changed it: `lictl audit show --action reconcile.` tells what was found and done.",
    "unknown-order": "The database is older than this spool: the operator guide, section 7, says what to do.",
    "database": "See that its server runs, and that no other daemon serves it; an order can be stopped meanwhile.",
    "kernel-tables": "The kernel refused a change of its tables: restart lictl; the order is not armed.",
    "emergency": "Have a judge's order approved before it ends, or revoke it: one person put it into force.",
    "site-lock": "See `lictl profile status`; when it is as it should be, an approver gives `lictl profile confirm`.",
    "audit": "Free disk space; `lictl audit verify` tells whether the chain is whole. Nothing is armed without it.",
    "store": "An order was stopped in the kernel but could not be recorded: free disk space, then revoke it again.",
}


@dataclass(frozen=True, slots=True)
class Alarm:
    """One standing alarm.

    Attributes:
        name: one of FIXES.
        subject: what it is about: an internal order id, a stream, an agency, an interface; "" for the whole.
        what: one sentence.
        since_ns: UTC nanoseconds.
    """

    name: str
    subject: str
    what: str
    since_ns: int


class Alarms:
    """The standing alarms; may be used from every thread."""

    def __init__(self) -> None:
        self._standing: dict[tuple[str, str], Alarm] = {}
        self._lock = threading.Lock()

    def set(self, name: str, subject: str, what: str) -> None:
        """Raises an alarm, or renews the text of one that stands."""
        with self._lock:
            old = self._standing.get((name, subject))
            since = old.since_ns if old else now_ns()
            self._standing[name, subject] = Alarm(name, subject, what, since)
        if old is None:
            _log.warning("alarm", alarm=name, subject=subject)

    def clear(self, name: str, subject: str = "") -> None:
        """Takes an alarm back; nothing happens where it does not stand."""
        with self._lock:
            gone = self._standing.pop((name, subject), None)
        if gone is not None:
            _log.info("alarm cleared", alarm=name, subject=subject)

    def when(self, condition: bool, name: str, subject: str, what: str) -> None:
        """`set` where the condition holds, else `clear`."""
        if condition:
            self.set(name, subject, what)
        else:
            self.clear(name, subject)

    def report(self) -> list[dict[str, str]]:
        """For status: oldest first."""
        with self._lock:
            standing = sorted(self._standing.values(), key=lambda alarm: alarm.since_ns)
        return [
            {
                "name": a.name,
                "subject": a.subject,
                "what": a.what,
                "since": format_rfc3339(a.since_ns),
                "fix": FIXES[a.name],
            }
            for a in standing
        ]
