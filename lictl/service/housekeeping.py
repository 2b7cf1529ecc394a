# SPDX-License-Identifier: Apache-2.0
"""What has to be done again and again: windows that begin and end, trailing losses, trimming, alarms."""

from __future__ import annotations

import math
import shutil
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

from lictl import log
from lictl.service.first_taken import FirstTaken
from lictl.service.live import Phase
from lictl.service.notify import notify
from lictl.service.settling import settle, snapshot
from lictl.service.trusted_time import Moment
from lictl.times import format_rfc3339, now_ns

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lictl.probe.clock import Clock
    from lictl.service.live import LiveOrder
    from lictl.service.ports import Ports
    from lictl.service.registry import Registry
    from lictl.service.rooms import Rooms
    from lictl.service.steps import ClockSteps
    from lictl.service.trusted_time import TrustedTime

TICK_S = 0.2
SLOW_S = 1.0
RARE_S = 30.0
# Orders whose accounts are closed in one turn: it keeps the data path from standing still for long.
AT_ONCE = 128
BEHIND_S = 60.0
WORKER_RESTARTS = 5
EXPIRY_S = 30 * 86_400
"""A certificate that ends sooner is an alarm."""
LEAST_FREE_BYTES = 256 << 20
# An alarm of losses stands for so long after the last one: the counts stay in the account.
QUOTA_HOLD_S = 5.0
RING_HOLD_S = 60.0

_log = log.get("housekeeping")


class Housekeeping:
    """One thread. A step that fails is logged and tried again at the next turn; it stops no other step."""

    def __init__(
        self,
        rooms: Rooms,
        registry: Registry,
        ports: Ports,
        clock: Clock,
        steps: ClockSteps,
        time_: TrustedTime,
        rare: Sequence[Callable[[], object]],
    ) -> None:
        self._rooms = rooms
        self._registry = registry
        self._ports = ports
        self._clock = clock
        self._steps = steps
        self._time = time_
        self._turn = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="housekeeping", daemon=True)
        self._firsts = FirstTaken(rooms)
        self._rare = rare
        self._next = 0
        self._given_up = 0
        self._behind: dict[str, float] = {}
        self._lost: dict[str, tuple[int, float]] = {}

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def stop(self) -> None:
        """Ends after the step in work."""
        self._step(self._keep_time)
        self._stop.set()
        self._turn.set()
        self._thread.join(timeout=30)

    def hurry(self) -> None:
        """Begins the next turn now; from any thread."""
        self._turn.set()

    def _run(self) -> None:
        slow_at = rare_at = 0.0
        while not self._stop.is_set():
            self._turn.wait(TICK_S)
            self._turn.clear()
            self._step(self._expire)
            self._step(self._registry.close_ended)
            if time.monotonic() >= slow_at:
                slow_at = time.monotonic() + SLOW_S
                for step in (self._settle, self._pending, self._registry.save, self._trim, self._first, self._watch):
                    self._step(step)
            if time.monotonic() >= rare_at:
                rare_at = time.monotonic() + RARE_S
                self._step(self._keep_time)
                self._step(self._expire_drafts)
                for rare in self._rare:
                    self._step(rare)

    def _step(self, step: Callable[[], object]) -> None:
        if self._stop.is_set():
            return
        try:
            step()
        except Exception as error:
            _log.error(
                "step failed", step=getattr(step, "__name__", "rare"), error=type(error).__name__, **log.place(error)
            )

    def _expire(self) -> None:
        self._registry.expire(self._trusted)

    def _expire_drafts(self) -> None:
        self._registry.expire_drafts(self._trusted)

    def _trusted(self) -> bool:
        """Whether the clock as it was until now is right, steps included that its own thread has not seen yet."""
        synchronised = self._clock.refresh().synchronised
        start, since = self._time.trusted(synchronised), self._steps.trusted(synchronised)
        return start and since

    def _keep_time(self) -> None:
        now = Moment.now()
        if self._trusted():
            self._time.keep(now)

    def _first(self) -> None:
        self._firsts.look(self._registry, self._trusted())

    def _settle(self) -> None:
        phases = (Phase.ACTIVE, Phase.SUSPENDED, Phase.WAITING)
        served = [order for order in self._registry.orders() if order.phase in phases and order.streams]
        if not served:
            return
        begin = self._next % len(served)
        turn = served[begin : begin + AT_ONCE]
        self._next = begin + len(turn)
        taken = snapshot(self._rooms, turn)
        self._rooms.datapath.call(lambda: settle(self._rooms, taken))

    def _pending(self) -> None:
        self._rooms.datapath.call(self._write_due)
        self._rooms.workers.wake_all()

    def _write_due(self) -> None:
        """In the data path's thread."""
        self._rooms.mediator.write_pending()
        self._rooms.mediator.tick(now_ns())

    def _trim(self) -> None:
        for order in self._registry.orders():
            for stream in order.streams:
                stream.spool.trim()

    def _watch(self) -> None:
        rooms = self._rooms
        self._ports.watch(rooms.probe, rooms.tables)
        self._steps.watch()
        reading = self._clock.read()
        rooms.alarms.when(reading.synchronised is False, "clock", "", "The system clock is not synchronised.")
        orders = self._registry.orders()
        for order in orders:
            self._watch_order(order)
        known = {order.id for order in orders}
        self._lost = {name: lost for name, lost in self._lost.items() if name.split()[1] in known}
        self._watch_workers()
        self._watch_disk()
        impossible = rooms.probe.totals()["impossible"]
        rooms.alarms.when(
            impossible > 0, "unaccounted", "kernel", f"The capture program met {impossible} contradictions."
        )
        damaged = sum(ring.damaged for ring in rooms.probe.rings())
        rooms.alarms.when(
            damaged > 0, "ring-damaged", "", f"{damaged} records in the rings contradict their own lengths."
        )
        alive = rooms.datapath.alive
        rooms.alarms.when(not alive, "mediation", "thread", "The data path has ended: nothing is taken from the rings.")
        if alive:
            notify("WATCHDOG=1")

    def _watch_order(self, order: LiveOrder) -> None:
        alarms = self._rooms.alarms
        alarms.when(
            order.warrant.emergency and order.phase is Phase.ACTIVE, "emergency", order.id,
            f"EMERGENCY: order {order.id} is in force by the act of one person, until "
            f"{format_rfc3339(order.warrant.ends_ns)}.",
        )  # fmt: skip
        for stream in order.streams:
            name = f"{order.id} {stream.agency}"
            quota = stream.stream.counts.lost_quota
            full = self._since_loss(f"quota {name}", quota) < QUOTA_HOLD_S
            alarms.when(full, "quota", name, f"The spool for {name} was full: {quota} packets are lost.")
            broken = (stream.stream.failure != "" and stream.stream.failing != "quota") or stream.spool.sync_error
            disk = stream.stream.counts.lost_disk
            refused = self._since_loss(f"disk {name}", disk) < RING_HOLD_S
            alarms.when(
                bool(broken) or refused, "spool", name,
                f"The spool for {name} cannot be written, or could not a moment ago; {disk} packets are lost.",
            )  # fmt: skip
        if order.phase is Phase.ACTIVE:
            counts = self._rooms.probe.slot_counts(order.warrant.slot)
            lost = counts.lost_ring + counts.lost_matches + counts.lost_frame
            recent = self._since_loss(f"ring {order.id}", lost) < RING_HOLD_S
            alarms.when(recent, "ring-lost", order.id, f"Order {order.id} has lost {lost} packets in the kernel.")

    def _since_loss(self, name: str, count: int) -> float:
        """Seconds since a count of losses last grew; infinite where it never did."""
        known, at = self._lost.get(name, (0, -math.inf))
        if count > known:
            at = time.monotonic()
        self._lost[name] = (count, at)
        return time.monotonic() - at

    def _watch_workers(self) -> None:
        now = time.monotonic()
        waiting: dict[str, int] = {}
        too_long: Counter[str] = Counter()
        for order in self._registry.orders():
            for stream in order.streams:
                too_long[stream.agency] += stream.stream.encoder.too_long
                waiting[stream.agency] = (
                    waiting.get(stream.agency, 0) + stream.spool.last_block - stream.spool.acknowledged
                )
        for worker in self._rooms.workers.states():
            connected = any(link.phase in ("flowing", "done") for link in worker.streams.values())
            if connected or not waiting.get(worker.agency):
                self._behind.pop(worker.agency, None)
            since = self._behind.setdefault(worker.agency, now) if not connected and waiting.get(worker.agency) else now
            self._rooms.alarms.when(
                now - since > BEHIND_S, "agency-down", worker.agency,
                f"Agency {worker.agency} takes nothing; {waiting.get(worker.agency, 0)} blocks wait for it.",
            )  # fmt: skip
            self._watch_certificate(
                worker.agency, max((link.peer_until for link in worker.streams.values()), default=0)
            )
            cut = too_long[worker.agency] + sum(link.too_long for link in worker.streams.values())
            self._rooms.alarms.when(
                cut > 0, "too-long", worker.agency,
                f"{cut} packets for {worker.agency} are longer than a datagram can be and were not sent.",
            )  # fmt: skip
            failing = worker.restarts >= WORKER_RESTARTS and not worker.pid
            self._rooms.alarms.when(
                failing, "worker", worker.agency, f"The delivery to {worker.agency} does not stay up."
            )

    def _watch_certificate(self, agency: str, peer_until: int) -> None:
        """Warns before the agency's certificate, as it was last presented, its authority's or our own for it ends."""
        ends = {"our": 0.0, "the authority's": 0.0, **self._rooms.workers.credentials_end(agency)}
        for whose, until in {"the agency's": float(peer_until), **ends}.items():
            left = until - now_ns() / 1e9
            self._rooms.alarms.when(
                until > 0 and left < EXPIRY_S, "certificate", f"{agency} {whose}",
                f"TLS with {agency}: {whose} certificate ends at {format_rfc3339(int(until) * 1_000_000_000)}.",
            )  # fmt: skip

    def _watch_disk(self) -> None:
        free = shutil.disk_usage(self._rooms.home.spool).free
        low = free < LEAST_FREE_BYTES
        self._rooms.alarms.when(low, "spool", "disk", f"Only {free >> 20} MiB are free on the disk of the spools.")


def final_settlement(rooms: Rooms, orders: list[LiveOrder]) -> None:
    """At a clean stop, when nothing is captured any more: the tails of all streams.

    Raises:
        LictlError: as of the data path.
    """
    live = [order for order in orders if order.phase in (Phase.ACTIVE, Phase.ENDING)]
    taken = snapshot(rooms, live)
    rooms.datapath.call(lambda: settle(rooms, taken))
