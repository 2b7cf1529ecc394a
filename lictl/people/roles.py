# SPDX-License-Identifier: Apache-2.0
"""The role table of a home: `roles.toml`, Unix users and what they may be.

The file maps a user name, or a user number in quotes, to a list of roles:

    alice = ["operator"]
    "64102" = ["approver", "auditor"]
"""

from __future__ import annotations

import json
import os
import pwd
import re
import tomllib
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from lictl.errors import UsageError
from lictl.home import FILE_MODE, sync_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lictl.home import Home


class Role(StrEnum):
    """What a person may be."""

    OPERATOR = "operator"
    """Drafts, submits, stops and closes orders."""
    APPROVER = "approver"
    """Approves what another person submitted; may stop."""
    AUDITOR = "auditor"
    """Reads orders without their targets, and the audit chain."""
    COLLECTOR_ADMIN = "collector-admin"
    """Keeps the agencies that orders can name."""


MAX_UID: Final = 0xFFFF_FFFE
"""(uid_t)-1 stands for nobody (credentials(7))."""
_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}\$?|[0-9]{1,10}", re.ASCII)
_HEAD = "# Who may do what; changed with `lictl role`. User names or numbers; see docs/operator-guide.md.\n"


@dataclass(frozen=True, slots=True)
class Roles:
    """The table.

    Attributes:
        entries: user name or number, as it was written, to roles; no empty ones.
    """

    entries: Mapping[str, frozenset[Role]]

    @classmethod
    def load(cls, home: Home) -> Roles:
        """The table of a home; empty where there is no file.

        Raises:
            UsageError: the file is damaged or was edited wrongly. Nobody has a role then.
        """
        path = home.roles
        try:
            plain = tomllib.loads(path.read_text())
        except FileNotFoundError:
            return cls({})
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UsageError(f"{path} is not TOML: {error}.", "Correct the file.") from None
        entries = {}
        for user, names in plain.items():
            if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
                raise UsageError(f"{path}: {user} has no list of roles.", f'Write {user} = ["operator"].')
            if found := frozenset(role(name) for name in names):
                entries[check_user(user)] = found
        return cls(entries)

    def save(self, home: Home) -> None:
        """Replaces the file as a whole, durably; raises OSError."""
        lines = [f"{json.dumps(user)} = {json.dumps(sorted(roles))}\n" for user, roles in sorted(self.entries.items())]
        new = home.roles.with_suffix(".new")
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, FILE_MODE), "w") as file:
            file.write(_HEAD + "".join(lines))
            file.flush()
            os.fsync(file.fileno())
        new.replace(home.roles)
        sync_folder(home.root)

    def of(self, uid: int) -> frozenset[Role]:
        """The roles of a user number; those of every entry that means it."""
        return frozenset().union(*(roles for user, roles in self.entries.items() if number(user) == uid))

    def granted(self, user: str, more: Iterable[Role]) -> Roles:
        """The table with more roles for a user."""
        key = check_user(user)
        return Roles({**self.entries, key: self.entries.get(key, frozenset()) | frozenset(more)})

    def withdrawn(self, user: str, fewer: Iterable[Role]) -> Roles:
        """The table with fewer roles for a user, under whatever name it stands there.

        Raises:
            UsageError: the user has none of them.
        """
        uid, gone = number(user), frozenset(fewer)
        meant = {key for key in self.entries if key == user or (uid is not None and number(key) == uid)}
        if not any(self.entries[key] & gone for key in meant):
            raise UsageError(f"{user} is not {' or '.join(sorted(gone))}.", "See `lictl role list`.")
        kept = {key: roles - gone if key in meant else roles for key, roles in self.entries.items()}
        return Roles({key: roles for key, roles in kept.items() if roles})

    def rows(self) -> list[dict[str, object]]:
        """For lists: `{user, uid (None: no such user now), roles}`."""
        return [
            {"user": user, "uid": number(user), "roles": sorted(roles)} for user, roles in sorted(self.entries.items())
        ]


def role(name: str) -> Role:
    """A role by its name; UsageError where there is none."""
    try:
        return Role(name)
    except ValueError:
        raise UsageError(f"{name!r} is no role.", f"Roles are {', '.join(Role)}.") from None


def check_user(user: str) -> str:
    """A user as the table may write it; UsageError where it can be none."""
    if not _USER.fullmatch(user) or (user.isdecimal() and int(user) > MAX_UID):
        raise UsageError(f"{user!r} is no user name and no user number.", "Write alice, or 1000.")
    return user


def known_user(user: str) -> str:
    """A user of this machine, or any user number.

    Raises:
        UsageError: no such user: a slip of the pen must not wait for somebody to take that name.
    """
    if number(check_user(user)) is None:
        raise UsageError(f"this machine has no user {user!r}.", "Make it with `adduser`, or write the number.")
    return user


def number(user: str) -> int | None:
    """The user number that an entry means now; None where there is no such user."""
    if user.isdecimal():
        return int(user)
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        return None


def name_of(uid: int) -> str:
    """The name of a user number, or the number."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def read_grants(texts: Iterable[str]) -> Roles:
    """The table that `--role ROLE=USER` options make.

    Raises:
        UsageError: an option is not ROLE=USER, or names what is not there.
    """
    table = Roles({})
    for text in texts:
        name, equals, user = text.partition("=")
        if not (name and equals and user):
            raise UsageError(f"--role {text} is not ROLE=USER.", "Write for example --role operator=alice.")
        table = table.granted(known_user(user), [role(name)])
    return table
