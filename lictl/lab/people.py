# SPDX-License-Identifier: Apache-2.0
"""Two people in one process: an action in a thread that the kernel takes for another user's."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lictl.lab.thread import in_thread
from lictl.people import permits
from lictl.people.actor import Peer, actor
from lictl.people.roles import Roles, read_grants
from lictl.service.administration import WAIT_S, on_files
from lictl.service.client import Client, NoDaemonError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from lictl.home import Home

    T = TypeVar("T")

OPERATOR_UID: Final = 64101
APPROVER_UID: Final = 64102
AUDITOR_UID: Final = 64103
LAB_ROLES: Final = (f"operator={OPERATOR_UID}", f"approver={APPROVER_UID}", f"auditor={AUDITOR_UID}")
"""For `lictl init --role`."""

# setresgid, setresuid, setfsuid (asm/unistd.h). libc's own functions would change every thread (nptl(7)).
_NUMBERS = {"x86_64": (119, 117, 122), "aarch64": (149, 147, 151)}
_libc = ctypes.CDLL(None, use_errno=True)


def as_user(uid: int, action: Callable[[], T], *, files: bool = False) -> T:
    """What `action` returns when a user with this number does it; the caller stays who it is. Needs root.

    Args:
        uid: user and group.
        action: runs in a thread of its own; its sockets carry the user's credentials.
        files: files are opened as that user, too; without it the lab's folders need not be open to that user.
    """
    setresgid, setresuid, setfsuid = _NUMBERS[platform.machine()]

    def become() -> T:
        _call(setresgid, uid, uid, uid)
        _call(setresuid, uid, uid, uid if files else 0)
        if not files:
            _libc.syscall(ctypes.c_long(setfsuid), ctypes.c_long(0))
        return action()

    return in_thread(become)


def _call(number: int, *arguments: int) -> None:
    if _libc.syscall(ctypes.c_long(number), *(ctypes.c_long(argument) for argument in arguments)):
        code = ctypes.get_errno()
        raise OSError(code, f"changing the user of a thread: {os.strerror(code)}")


def forget_login() -> None:
    """Ends this process's belonging to a login session, where the kernel allows it: else all its people are one."""
    with contextlib.suppress(OSError):
        Path("/proc/self/loginuid").write_text(str(0xFFFF_FFFF))


def lab_roles() -> Roles:
    """The role table of a lab's site."""
    return read_grants(LAB_ROLES)


class Team:
    """An operator and an approver of a lab's site; they go through its daemon where one runs.

    Without a daemon only the owner of a home can act, and that is one person: the lab then acts for both on the home.
    """

    def __init__(self, home: Home) -> None:
        self._home = home
        forget_login()  # both act from this process, and one login session is one person

    def add(self, text: str, name: str = "order.toml") -> dict[str, Any]:
        """Puts an order into force: added and submitted by one, approved by the other."""
        added = self.operator("warrant.add", text=text, name=name, submit=True)
        done: dict[str, Any] = self.approver("warrant.approve", name=added["id"])
        return done

    def revoke(self, name: str) -> dict[str, Any]:
        """Ends an order now."""
        done: dict[str, Any] = self.operator("warrant.revoke", name=name)
        return done

    def operator(self, op: str, **args: Any) -> Any:
        """What the operator is answered."""
        return self._ask(OPERATOR_UID, op, args)

    def approver(self, op: str, **args: Any) -> Any:
        """What the approver is answered."""
        return self._ask(APPROVER_UID, op, args)

    def auditor(self, op: str, **args: Any) -> Any:
        """What the auditor is answered."""
        return self._ask(AUDITOR_UID, op, args)

    def _ask(self, uid: int, op: str, args: dict[str, Any]) -> Any:
        client = Client(self._home, timeout_s=WAIT_S)
        with contextlib.suppress(NoDaemonError):
            return as_user(uid, lambda: client.call(op, **args))
        who = actor(self._home, Peer(uid, None, os.getpid()))
        permits.check(who, op)
        return on_files(self._home, who, op, args)
