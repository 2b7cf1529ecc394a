# SPDX-License-Identifier: Apache-2.0
"""The interfaces that this daemon serves: attached before orders are taken, watched afterwards."""

from __future__ import annotations

import contextlib
import fcntl
import socket
import struct
import time
from typing import TYPE_CHECKING

from lictl import log
from lictl.errors import LictlError
from lictl.probe import interfaces

if TYPE_CHECKING:
    from lictl.probe.interfaces import PortConfig
    from lictl.probe.probe import Probe
    from lictl.probe.tables import KernelTables
    from lictl.service.alarms import Alarms
    from lictl.service.options import PortSpec, ServeOptions

_SIOCGIFFLAGS = 0x8913  # linux/sockios.h, netdevice(7)
_IFF_UP, _IFF_RUNNING = 0x1, 0x40

# The alarm of an interface that was attached again stands for so long.
ANEW_HOLD_S = 3600.0

_log = log.get("ports")


class Ports:
    """Attaches and watches.

    Attributes:
        by_index: what was asked for, by interface index; also by an index that an interface had before.
        reattached: how often an interface that was made anew was attached again.
    """

    def __init__(self, alarms: Alarms, options: ServeOptions) -> None:
        """Looks the interfaces up and decides what each may take; nothing is changed yet.

        Raises:
            LictlError: an interface is not there, or the roles do not go together.
        """
        self._alarms = alarms
        self._options = options
        self._indexes = {port.name: interfaces.find(port.name).ifindex for port in options.ports}
        self.by_index: dict[int, PortSpec] = {}
        self.reattached = 0
        self._names: dict[int, str] = {}
        self._anew: dict[str, float] = {}  # when each was last attached again, time.monotonic()
        self._waiting: set[str] = set()  # made anew, and not attached yet
        self._plan = self._planned()

    def _planned(self) -> list[PortConfig]:
        """What each port may take, by the indexes of now. Earlier ones stay known: records of them may still come."""
        ports = self._options.ports
        self.by_index.update({self._indexes[port.name]: port for port in ports})
        self._names.update({self._indexes[port.name]: port.name for port in ports})
        requests = [interfaces.PortRequest(self._indexes[p.name], p.role, p.drop, p.name) for p in ports]
        return interfaces.port_plan(requests, self._options.hairpin) if requests else []

    @property
    def plan(self) -> list[PortConfig]:
        """What each port may take, by the indexes of now."""
        return self._plan

    def name(self, ifindex: int) -> str:
        """Name of an interface index; raises KeyError."""
        return self._names[ifindex]

    def attach(self, probe: Probe, tables: KernelTables) -> None:
        """Detaches from ports that are not asked for, sets what each port may take, attaches.

        Raises:
            LictlError: an interface cannot be attached; those before it are detached again.
        """
        wanted = {(port.ifindex, hook) for port in self._plan for hook in port.hooks}
        for old in probe.attachments():
            if (old.ifindex, old.hook) not in wanted:
                probe.detach(old.ifindex, old.hook)
        tables.ports(self._plan)
        done: list[tuple[int, int]] = []
        for port in self._plan:
            for hook in port.hooks:
                try:
                    found = probe.attach(port.ifindex, hook, self._options.generic, self._options.replace)
                except LictlError as error:
                    for ifindex, taken in done:
                        probe.detach(ifindex, taken)
                    error.what = f"interface {self._names[port.ifindex]}: {error.what}"
                    raise
                if not found.taken_over:
                    done.append((port.ifindex, hook))
                _log.info("attached", interface=self._names[port.ifindex], mode=found.mode, tag=found.tag,
                          taken_over=found.taken_over)  # fmt: skip

    def watch(self, probe: Probe, tables: KernelTables) -> None:
        """Attaches again to an interface that was made anew; raises or clears the alarms of each port."""
        self._notice_anew(probe, tables)
        self._attach_anew(probe)
        attached = {(found.ifindex, found.hook) for found in probe.attachments()}
        for port in self._plan:
            name = self._names[port.ifindex]
            problem = self._problem(port, name, attached)
            self._alarms.when(problem != "", "interface", name, f"Interface {name} {problem}.")

            recent = time.monotonic() - self._anew.get(name, -ANEW_HOLD_S) < ANEW_HOLD_S
            self._alarms.when(
                recent, "interface-anew", name,
                f"Interface {name} was made anew and is attached again; what passed in between was not seen.",
            )  # fmt: skip

    def _notice_anew(self, probe: Probe, tables: KernelTables) -> None:
        """Another interface has a served one's name: it gets what was planned for that one."""
        anew = {name: index for name, old in self._indexes.items() if (index := _index(name)) not in (0, old)}
        if not anew:
            return
        gone = [port for port in self._plan if self._names[port.ifindex] in anew]
        self._indexes.update(anew)
        self._plan = self._planned()
        self._waiting.update(anew)
        for port in gone:
            for hook in port.hooks:
                with contextlib.suppress(LictlError):  # it ended with its interface
                    probe.detach(port.ifindex, hook)
        tables.ports(self._plan)

    def _attach_anew(self, probe: Probe) -> None:
        """One that refuses is tried again at the next turn; its alarm stands meanwhile."""
        for port in self._plan:
            name = self._names[port.ifindex]
            if name not in self._waiting:
                continue
            try:
                for hook in port.hooks:
                    probe.attach(port.ifindex, hook, self._options.generic, self._options.replace)
            except LictlError as error:
                _log.error("not attached again", interface=name, error=type(error).__name__, **log.place(error))
                continue
            self._waiting.discard(name)
            self._anew[name] = time.monotonic()
            self.reattached += 1
            _log.warning("attached again", interface=name)

    def _problem(self, port: PortConfig, name: str, attached: set[tuple[int, int]]) -> str:
        index = _index(name)
        if index == 0:
            return "is gone"
        if index != port.ifindex:
            return "was made anew and is not served yet"
        if any((port.ifindex, hook) not in attached for hook in port.hooks):
            return "has lost the capture program"
        return "" if link_state(name) != "down" else "is down"


def _index(name: str) -> int:
    """Of an interface of this network namespace; 0: there is none."""
    try:
        return socket.if_nametoindex(name)
    except OSError:
        return 0


def link_state(name: str) -> str:
    """Of an interface of this network namespace: up, no carrier, down or gone."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        try:
            answer = fcntl.ioctl(asked, _SIOCGIFFLAGS, struct.pack("16sH22x", name.encode(), 0))
        except OSError:
            return "gone"
    (flags,) = struct.unpack_from("H", answer, 16)
    if not flags & _IFF_UP:
        return "down"
    return "up" if flags & _IFF_RUNNING else "no carrier"
