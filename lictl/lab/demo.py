# SPDX-License-Identifier: Apache-2.0
"""The demonstration: the whole path on real packets, in network namespaces, judged from outside.

Three subscribers do the same things at the same time: the first under a content warrant, the second under a pen
register order, the third under none. Then the agency's files are held against tcpdump's of the same wires.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import shlex
import sys
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from lictl.errors import IntegrityError
from lictl.lab import services, tools, topology, traffic, verify
from lictl.lab.capture import Capture
from lictl.lab.lab import Lab
from lictl.lab.site import Order, Site

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

CONTENT_LIID, HEADERS_LIID = "LIID-CONTENT", "LIID-HEADERS"
BULK_BYTES = 4_000_000
TOOLS = ("curl", "dig", "dnsmasq", "ping", "tcpdump")
INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Check:
    """One statement of the verdict.

    Attributes:
        name: what is claimed.
        ok: whether it holds.
        detail: figures, or what is wrong.
    """

    name: str
    ok: bool
    detail: str


@dataclass(slots=True)
class Outcome:
    """What the demonstration found.

    Attributes:
        checks: in the order they were made.
        warrants: the daemon's accounting of each order.
        seconds: how long all took.
    """

    checks: list[Check] = field(default_factory=list)
    warrants: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """True where every statement holds."""
        return bool(self.checks) and all(check.ok for check in self.checks)

    def add(self, name: str, problem: str, detail: str) -> None:
        """Notes a statement; it holds where ``problem`` is empty."""
        self.checks.append(Check(name, not problem, problem or detail))


def run(*, as_json: bool = False, bulk: int = BULK_BYTES) -> int:
    """Runs the demonstration and prints what it found.

    Args:
        as_json: one JSON object on standard output instead of text.
        bulk: bytes of each subscriber's bulk transfer, over each IP version.

    Returns:
        0 where every promise held, 5 (verification failed) where one did not, 130 after Ctrl-C.

    Raises:
        LictlError: where the lab cannot be built or a part does not start.
    """
    tools.require(*TOOLS)
    from lictl.lab import report

    say = (lambda _text: None) if as_json else report.say
    try:
        outcome = play(say, bulk)
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted; the lab is removed.\n")
        return INTERRUPTED
    if as_json:
        sys.stdout.write(json.dumps({"ok": outcome.ok, **asdict(outcome)}) + "\n")
    else:
        report.show(outcome)
    return 0 if outcome.ok else IntegrityError.exit_code


def play(say: Callable[[str], None], bulk: int) -> Outcome:
    """Builds the lab, makes the traffic and judges; the lab is gone when it returns or raises."""
    began = time.monotonic()
    outcome = Outcome()
    words = {host: traffic.marker(host) for host in topology.SUBSCRIBERS}
    say("Building the lab: three subscribers, the ISP's box, a server, an agency.")
    with Lab() as lab:
        services.start_http(lab)
        services.start_dns(lab)
        site = Site(lab)
        say("Starting the agency's receiver and the daemon on the box, both ports attached.")
        site.init()
        site.start_receiver(wait=False)
        site.start_daemon(wait=False)
        site.await_receiver()
        site.await_daemon()
        for order in _orders():
            site.add(order)
        say("sub1: content warrant. sub2: pen register order. sub3: none. All three are busy now.")
        access, core = _captured_traffic(lab, words, bulk)
        say("Traffic is over. Waiting for delivery, then revoking both orders.")
        outcome.warrants = site.wait_delivered()["warrants"]
        for liid in (CONTENT_LIID, HEADERS_LIID):
            site.revoke(liid)
        site.stop(site.daemon)
        receiver_exit = site.stop(site.receiver)
        say("Holding the agency's files against tcpdump's of the same wires.")
        judge(outcome, site, access, core, words)
        refused = f"it ended with exit code {receiver_exit}" if receiver_exit else ""
        outcome.add("the agency's receiver accepts everything", refused, "sequence, gaps and checksums verified")
    outcome.add("nothing is left behind", ", ".join(lab.traces()), "no namespace, process, mount or file")
    outcome.seconds = round(time.monotonic() - began, 1)
    return outcome


def _orders() -> list[Order]:
    now = dt.datetime.now(dt.UTC)
    starts = (now - dt.timedelta(minutes=5)).strftime("%Y-%m-%dT%H:%M:%SZ")
    ends = (now + dt.timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    sub1, sub2 = topology.SUB["sub1"], topology.SUB["sub2"]
    return [
        Order(CONTENT_LIID, "content", (f"ip:{sub1.v4}", f"ip:{sub1.v6}"), starts, ends),
        Order(HEADERS_LIID, "headers", (f"ip:{sub2.v4}", f"ip:{sub2.v6}"), starts, ends),
    ]


def _captured_traffic(lab: Lab, words: dict[str, str], bulk: int) -> tuple[Path, Path]:
    """All subscribers' clients at once, with tcpdump where the capture program looks."""
    paths = lab.folder / "access.pcap", lab.folder / "core.pcap"
    with contextlib.ExitStack() as stack:
        for path, interface in zip(paths, (topology.ACCESS, topology.CORE), strict=True):
            stack.enter_context(Capture(lab, "isp", interface, path, "ip or ip6", way="in"))
        running = {host: _start_clients(lab, host, word, bulk) for host, word in words.items()}
        for host, process in running.items():
            if process.wait(timeout=60):
                message = (lab.folder / f"{host}.log").read_text().strip()
                raise IntegrityError(f"A client of {host} failed: {message}", "The box must pass every packet.")
    return paths


def _start_clients(lab: Lab, host: str, word: str, bulk: int) -> subprocess.Popen[bytes]:
    script = "\n".join(shlex.join(argv) + " >/dev/null" for argv in traffic.clients(word, bulk))
    with (lab.folder / f"{host}.log").open("wb") as log:
        return lab.start(host, ["sh", "-ec", script], stderr=log)


def judge(outcome: Outcome, site: Site, access: Path, core: Path, words: dict[str, str]) -> None:
    """The statements about accounting, content, headers and the bystander."""
    for warrant in outcome.warrants:
        for stream in warrant["streams"]:
            lost = sum(stream["lost"].values())
            parts = stream["delivered"] + lost + stream["withheld"] + stream["in_flight"]
            figures = f"{stream['matched']} matched = {stream['delivered']} delivered + {lost} lost"
            wrong = "" if parts == stream["matched"] and stream["matched"] and not lost else f"does not hold: {figures}"
            outcome.add(f"{warrant['liid']}: every packet is accounted for", wrong, figures)
    files = sorted(site.evidence.rglob("*.pcapng"))
    content = [path for path in files if CONTENT_LIID in path.name]
    headers = [path for path in files if HEADERS_LIID in path.name]
    sub1, sub2, sub3 = (verify.wire(access, core, topology.SUB[host]) for host in topology.SUBSCRIBERS)
    outcome.add("content equals the wire, byte for byte", verify.content_difference(sub1, content),
                f"{len(sub1)} packets, {sum(map(len, sub1)):,} bytes")  # fmt: skip
    outcome.add("headers equal the wire's, field by field", verify.headers_difference(sub2, headers),
                f"{len(sub2)} packets")  # fmt: skip
    folders = [site.evidence, site.home]
    known = verify.find(words["sub1"].encode(), folders)
    outcome.add("the search finds what is there", "" if known else "sub1's word is not in its content", "sub1's word")
    leaks = verify.find(words["sub2"].encode(), folders)
    outcome.add("pen register: zero bytes of payload", "; ".join(leaks), "its word is in no file: raw, hex, base64")
    hits = verify.find(words["sub3"].encode(), folders)
    hits += [f"{count} packets" for count in [verify.strangers(files, topology.SUB["sub3"])] if count]
    hits += [hit for address in (topology.SUB["sub3"].v4, topology.SUB["sub3"].v6)
             for hit in verify.find(address.encode(), folders)]  # fmt: skip
    outcome.add("the third subscriber: zero", "; ".join(hits), f"none of {len(sub3)} packets, in no file")
