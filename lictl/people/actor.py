# SPDX-License-Identifier: Apache-2.0
"""Who stands behind a request: the kernel's word on the other end of the control socket."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lictl.errors import RefusedError
from lictl.people.roles import Role, Roles, name_of

if TYPE_CHECKING:
    from lictl.home import Home

_CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid (unix(7), SO_PEERCRED)
_SO_PEERPIDFD: Final = 77  # asm-generic/socket.h, Linux 6.5
_NO_LOGIN: Final = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class Peer:
    """What the kernel says of the process at the other end.

    Attributes:
        uid: effective, when it connected.
        login_uid: whom the session was opened for, which `sudo` and `su` do not change; None: no session.
        pid: of the process.
    """

    uid: int
    login_uid: int | None
    pid: int


@dataclass(frozen=True, slots=True)
class Actor:
    """A person who asks for something.

    Attributes:
        uid: Unix user number.
        name: of that user.
        roles: what it may be; root and the owner of the home are collector-admin without being told so.
        login_uid: see Peer.
        pid: of its process.
        owner: root or the owner of the home: keeps the role table.
    """

    uid: int
    name: str
    roles: frozenset[Role]
    login_uid: int | None
    pid: int
    owner: bool = False

    def to_json(self) -> dict[str, Any]:
        """For the audit chain."""
        login = None if self.login_uid is None else name_of(self.login_uid)
        return {
            "uid": self.uid, "name": self.name, "roles": sorted(self.roles), "login_uid": self.login_uid,
            "login": login, "pid": self.pid,
        }  # fmt: skip


def peer_of(connection: socket.socket) -> Peer:
    """Who is at the other end of a Unix socket.

    Raises:
        RefusedError: its process has ended: nobody can tell any more whose session it was.
    """
    pid, uid, _ = _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    gone = RefusedError("the process that asks has ended.", "Ask again, and wait for the answer.")
    try:
        login = login_uid(pid)
    except OSError:
        raise gone from None
    if not _alive(connection):  # then the number may be another process's by now
        raise gone
    return Peer(uid & 0xFFFF_FFFF, login, pid)


def login_uid(pid: int) -> int | None:
    """The session's user of a process (proc_pid_loginuid(5)); None where there is no session; raises OSError."""
    path = Path(f"/proc/{pid}/loginuid")
    try:
        value = int(path.read_text())
    except FileNotFoundError:
        if path.parent.is_dir():  # a kernel without audit support
            return None
        raise
    return None if value == _NO_LOGIN else value


def _alive(connection: socket.socket) -> bool:
    """True where the process is still there, or the kernel is too old to tell."""
    try:
        descriptor = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERPIDFD)
    except OSError:
        return True
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return not poll.poll(0)
    finally:
        os.close(descriptor)


def actor(home: Home, peer: Peer) -> Actor:
    """The person, with the roles that the table gives it now; UsageError where the table is damaged."""
    owner = peer.uid in (0, home.root.stat().st_uid)
    own = frozenset({Role.COLLECTOR_ADMIN}) if owner else frozenset()
    roles = Roles.load(home).of(peer.uid) | own
    return Actor(peer.uid, name_of(peer.uid), roles, peer.login_uid, peer.pid, owner)


def this_process(home: Home) -> Actor:
    """The person who runs this process."""
    login = None
    with contextlib.suppress(OSError):
        login = login_uid(os.getpid())
    return actor(home, Peer(os.geteuid(), login, os.getpid()))


def daemon() -> dict[str, Any]:
    """For the audit chain: what lictl itself does, such as ending an order whose window is over."""
    return {"uid": os.geteuid(), "name": "lictl", "roles": [], "login_uid": None, "login": None, "pid": os.getpid()}
