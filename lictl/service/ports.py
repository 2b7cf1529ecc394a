# SPDX-License-Identifier: Apache-2.0
"""The interfaces that this daemon serves: attached before orders are taken, watched afterwards."""

from __future__ import annotations

import fcntl
import socket
import struct
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

_log = log.get("ports")


class Ports:
    """Attaches and watches.

    Attributes:
        by_index: what was asked for, by interface index.
    """

    def __init__(self, alarms: Alarms, options: ServeOptions) -> None:
        """Looks the interfaces up and decides what each may take; nothing is changed yet.

        Raises:
            LictlError: an interface is not there, or the roles do not go together.
        """
        self._alarms = alarms
        self._options = options
        self._found = {port.name: interfaces.find(port.name) for port in options.ports}
        self.by_index: dict[int, PortSpec] = {self._found[port.name].ifindex: port for port in options.ports}
        requests = [
            interfaces.PortRequest(self._found[port.name].ifindex, port.role, port.drop, port.name)
            for port in options.ports
        ]
        self._plan: list[PortConfig] = interfaces.port_plan(requests, options.hairpin)
        self._names = {index: port.name for index, port in self.by_index.items()}

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

    def watch(self, probe: Probe) -> None:
        """Raises or clears the alarm of each port."""
        attached = {(found.ifindex, found.hook) for found in probe.attachments()}
        for port in self._plan:
            name = self._names[port.ifindex]
            problem = self._problem(port, name, attached)
            self._alarms.when(problem != "", "interface", name, f"Interface {name} {problem}.")

    def _problem(self, port: PortConfig, name: str, attached: set[tuple[int, int]]) -> str:
        try:
            index = socket.if_nametoindex(name)
        except OSError:
            return "is gone"
        if index != port.ifindex:
            return "was made anew and is not served"
        if any((port.ifindex, hook) not in attached for hook in port.hooks):
            return "has lost the capture program"
        return "" if link_state(name) != "down" else "is down"


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
