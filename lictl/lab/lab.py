# SPDX-License-Identifier: Apache-2.0
"""The lab: built in about a second, gone without a trace whatever happens."""

from __future__ import annotations

import atexit
import contextlib
import functools
import itertools
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from pyroute2 import IPRoute

import lictl
from lictl.errors import MachineError
from lictl.lab import namespace, services, tools, topology

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import FrameType, TracebackType
    from typing import Any, Self

PREFIX = "lictl-"
_NAME = re.compile(r"lictl-(?P<pid>\d+)t(?P<start>\d+)n\d+(?:-\w+)?")
_numbers = itertools.count()
_NODAD = 0x02  # IFA_F_NODAD
_PERMANENT = 0x80  # NUD_PERMANENT

# No offload: what a capture program, tcpdump and the other end see is what stands on the wire. The VLAN features make
# sure that a tag is in the frame and not beside it, where XDP cannot see it.
_OFF = ("rx", "tx", "sg", "tso", "gso", "gro", "rxvlan", "txvlan", "tx-vlan-stag-hw-insert", "rx-vlan-stag-hw-parse")

_SYSCTLS = {
    "net.ipv6.conf.all.accept_ra": 0,
    "net.ipv6.conf.default.accept_ra": 0,
    "net.ipv6.conf.default.accept_dad": 0,
    "net.ipv6.conf.default.router_solicitations": 0,
    "net.ipv6.conf.default.mldv2_unsolicited_report_interval": 0,
}
_ROUTER_SYSCTLS = {
    "net.ipv4.ip_forward": 1,
    "net.ipv6.conf.all.forwarding": 1,
    "net.ipv4.conf.all.send_redirects": 0,
    "net.ipv4.conf.default.send_redirects": 0,
    "net.ipv4.icmp_ratelimit": 0,
}


class Lab:
    """Seven hosts in network namespaces, see :mod:`lictl.lab.topology`; a context manager.

    Attributes:
        id: unique to this lab; names its namespaces ``lictl-<id>-<host>``.
        folder: a private temporary folder, removed at the end with all that is mounted below it.
    """

    def __init__(self, *, mtu: int = 1500, static_neighbours: bool = True) -> None:
        """A lab that is not built yet.

        Args:
            mtu: of every interface, bytes; up to 9000.
            static_neighbours: no ARP and no neighbour discovery on the wires.
        """
        self.id = f"{os.getpid()}t{_started(os.getpid())}n{next(_numbers)}"
        self.mtu = mtu
        self.static_neighbours = static_neighbours
        self.folder = Path()
        self._processes: list[subprocess.Popen[bytes]] = []
        self._handlers: dict[int, Any] = {}
        self._built = False

    # ---- life ----

    def __enter__(self) -> Self:
        """Builds it; MachineError where the machine cannot."""
        tools.require()
        self.folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{self.id}-"))
        self._built = True
        atexit.register(self.close)
        self._catch_signals()
        try:
            self._build()
        except BaseException as error:
            self.close()
            if isinstance(error, OSError) or type(error).__module__.startswith("pyroute2"):
                raise MachineError(
                    f"The lab cannot be built: {error}.", "Run it as root on a kernel with veth."
                ) from error
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends every process in the lab and removes namespaces, mounts and files; may be called again."""
        if not self._built:
            return
        with _undisturbed():
            self._built = False
            atexit.unregister(self.close)
            _end(self._processes)
            namespace.remove([self.name(host) for host in topology.HOSTS])
            _remove_folder(self.folder)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    @staticmethod
    def sweep() -> list[str]:
        """Removes labs whose process is gone; returns what was found."""
        stale = [name for name in namespace.names(PREFIX) if _is_stale(name)]
        namespace.remove(stale)
        folders = [
            path for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*") if _is_stale(path.name.rsplit("-", 1)[0])
        ]
        for folder in folders:
            _remove_folder(folder)
        return stale + [str(folder) for folder in folders]

    def traces(self) -> list[str]:
        """The namespaces, the folder and the mounts of this lab that are there now."""
        folders = [str(path) for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}{self.id}-*")]
        mounts = [mount for mount in _mounts() if mount.startswith(f"{self.folder}/")]
        return namespace.names(f"{PREFIX}{self.id}-") + folders + mounts

    # ---- use ----

    def name(self, host: str) -> str:
        """The namespace of a host."""
        return f"{PREFIX}{self.id}-{host}"

    def command(self, host: str, argv: Sequence[str]) -> list[str]:
        """The command that runs ``argv`` on a host."""
        return namespace.command(self.name(host), argv)

    def start(self, host: str, argv: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
        """Starts a process on a host, in a session of its own; it ends with the lab at the latest.

        Args:
            host: one of ``topology.HOSTS``.
            argv: the command.
            options: for ``subprocess.Popen``; input and output are /dev/null unless given.
        """
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("stdout", subprocess.DEVNULL)
        options.setdefault("stderr", subprocess.DEVNULL)
        options["env"] = environment(options.get("env"))
        process = subprocess.Popen(self.command(host, argv), start_new_session=True, **options)
        self._processes.append(process)
        return process

    def run(
        self, host: str, argv: Sequence[str], *, timeout: float = 30, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command on a host to its end; returns its output as text.

        Raises:
            subprocess.CalledProcessError: where it fails and ``check`` is set.
            subprocess.TimeoutExpired: where it takes longer than ``timeout`` seconds.
        """
        return subprocess.run(
            self.command(host, argv),
            check=check,
            capture_output=True,
            text=True,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
            env=environment(),
            start_new_session=True,
        )

    def wait_for_port(self, host: str, port: int, timeout: float = 10) -> None:
        """Waits until something on the host listens on a TCP port; MachineError if nothing does in time."""
        limit = time.monotonic() + timeout
        while not self.listens(host, port):
            if time.monotonic() > limit:
                raise MachineError(f"Nothing listens on port {port} of {host} after {timeout:g} s.")
            time.sleep(0.02)

    def listens(self, host: str, port: int) -> bool:
        """True where something on the host listens on a TCP port."""
        return namespace.inside(self.name(host), lambda: services.listening(port))

    def ifindex(self, host: str, interface: str) -> int:
        """The number of a host's interface, in its own namespace."""
        return namespace.inside(self.name(host), lambda: socket.if_nametoindex(interface))

    def set_link(self, host: str, interface: str, *, up: bool) -> None:
        """Takes an interface up or down."""
        index = self.ifindex(host, interface)
        self._route(host, lambda route: route.link("set", index=index, state="up" if up else "down"))

    def restore_link(self, host: str, interface: str) -> None:
        """Takes an interface up again, with routes, neighbours and IPv6 addresses that it lost by going down."""
        self.set_link(host, interface, up=True)
        self._route(host, functools.partial(self._configure, host))

    def passes(self, host: str) -> bool:
        """True where a packet of the host gets to the server and back, over IPv4 and IPv6."""
        addresses = (topology.SERVER.v4, topology.SERVER.v6)
        return all(not self.run(host, ["ping", "-c", "1", "-W", "0.2", a], check=False).returncode for a in addresses)

    # ---- building ----

    def _route(self, host: str, action: Callable[[IPRoute], object]) -> None:
        """Calls ``action`` with a netlink socket of a host; IPRoute(netns=...) would fork."""

        def run() -> None:
            with IPRoute() as route:
                action(route)

        namespace.inside(self.name(host), run)

    def _build(self) -> None:
        for host in topology.HOSTS:
            namespace.create(self.name(host))
        for host in topology.HOSTS:
            values = _SYSCTLS | (_ROUTER_SYSCTLS if host == "isp" else {})
            namespace.inside(self.name(host), functools.partial(_write_sysctls, values))
        for left, right in topology.LINKS:
            self._route(left.host, functools.partial(self._add_wire, left, right))
        for port in itertools.chain.from_iterable(topology.LINKS):
            # Features that a veth does not have are reported and skipped; the rest is set.
            features = itertools.chain.from_iterable((name, "off") for name in _OFF)
            self.run(port.host, ["ethtool", "-K", port.name, *features], check=False)
        self._route("sw", self._add_switch)
        for host in topology.HOSTS:
            self._route(host, functools.partial(self._configure, host))
        self._settle()

    def _add_wire(self, left: topology.Port, right: topology.Port, route: IPRoute) -> None:
        peer = {"ifname": right.name, "address": right.mac, "mtu": self.mtu, "net_ns_fd": self.name(right.host)}
        route.link("add", ifname=left.name, kind="veth", address=left.mac, mtu=self.mtu, peer=peer)

    def _add_switch(self, route: IPRoute) -> None:
        quiet = {"br_stp_state": 0, "br_mcast_snooping": 0, "br_forward_delay": 0}
        route.link("add", ifname="br0", kind="bridge", mtu=self.mtu, **quiet)
        bridge = socket.if_nametoindex("br0")
        route.link("set", index=bridge, state="up")
        for port in topology.ports("sw"):
            route.link("set", index=socket.if_nametoindex(port.name), master=bridge)

    def _configure(self, host: str, route: IPRoute) -> None:
        route.link("set", index=socket.if_nametoindex("lo"), state="up")
        for port in topology.ports(host):
            index = socket.if_nametoindex(port.name)
            if port.v4:
                route.addr("replace", index=index, address=port.v4, prefixlen=24)
                route.addr("replace", index=index, address=port.v6, prefixlen=64, flags=_NODAD)
            route.link("set", index=index, state="up")
        if gateway := topology.GATEWAYS.get(host):
            route.route("replace", dst="default", gateway=gateway.v4)
            route.route("replace", dst="default", gateway=gateway.v6, family=socket.AF_INET6)
        for own, other in topology.neighbours(host) if self.static_neighbours else ():
            index = socket.if_nametoindex(own.name)
            for address in (other.v4, other.v6):
                route.neigh("replace", dst=address, lladdr=other.mac, ifindex=index, state=_PERMANENT)

    def _settle(self) -> None:
        """Waits until packets pass: a bridge port forwards a moment after its link is up."""
        limit = time.monotonic() + 10
        for host in (*topology.SUBSCRIBERS, "agency"):
            while time.monotonic() < limit:
                for address in (topology.SERVER.v4, topology.SERVER.v6):
                    if self.run(host, ["ping", "-c", "1", "-W", "0.2", address], check=False).returncode:
                        break
                else:
                    break
            else:
                raise MachineError(
                    "No packet passes through the lab within 10 s.", "See whether a firewall filters it."
                )

    def _catch_signals(self) -> None:
        """SIGTERM and SIGHUP unwind like Ctrl-C, so that ``with`` blocks clean up; only where nobody handles them."""
        owner = os.getpid()

        def leave(_number: int, _frame: FrameType | None) -> None:
            if os.getpid() != owner:
                os._exit(1)
            raise KeyboardInterrupt

        with contextlib.suppress(ValueError):  # not the main thread
            for number in (signal.SIGTERM, signal.SIGHUP):
                if signal.getsignal(number) == signal.SIG_DFL:
                    self._handlers[number] = signal.signal(number, leave)


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of processes in the lab: this very package is found first, and sbin is on the path."""
    values = dict(os.environ if extra is None else extra)
    values["PATH"] = values.get("PATH", os.defpath) + ":/usr/sbin:/sbin"
    package = str(Path(lictl.__file__).parent.parent)
    values["PYTHONPATH"] = os.pathsep.join(filter(None, (package, values.get("PYTHONPATH"))))
    return values


def _end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Ends processes that this one started: they may not have entered their namespace yet, so by process group."""
    for number, patience_s in ((signal.SIGTERM, 3.0), (signal.SIGKILL, 5.0)):
        left = [process for process in processes if process.poll() is None]
        for process in left:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
        limit = time.monotonic() + patience_s
        for process in left:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=max(0.0, limit - time.monotonic()))


def _write_sysctls(values: Mapping[str, int]) -> None:
    for key, value in values.items():
        with contextlib.suppress(FileNotFoundError):
            Path("/proc/sys", *key.split(".")).write_text(f"{value}\n")


def _started(pid: int) -> int:
    """When a process started, clock ticks since boot: with the pid, unique on this boot; 0 if it is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except OSError:
        return 0


def _is_stale(name: str) -> bool:
    match = _NAME.fullmatch(name)
    return match is not None and _started(int(match["pid"])) != int(match["start"])


def _mounts() -> list[str]:
    return [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]


def _remove_folder(folder: Path) -> None:
    """Unmounts all below the folder, deepest first, and removes it."""
    for mount in sorted((m for m in _mounts() if m.startswith(f"{folder}/")), key=len, reverse=True):
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(["umount", "--lazy", mount], check=False, capture_output=True, timeout=30)
    shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Signals wait until cleaning up is done: a second Ctrl-C leaves nothing behind either."""
    blocked = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, blocked)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
