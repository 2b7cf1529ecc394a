# SPDX-License-Identifier: Apache-2.0
"""Operations by name, from the command line: through the daemon where it runs, else on the home, for its owner."""

from __future__ import annotations

import contextlib
import json
import os
from typing import TYPE_CHECKING, Any

from lictl.errors import UnavailableError, UsageError
from lictl.people import permits
from lictl.people.actor import this_process
from lictl.printable import printable
from lictl.service.client import Client, NoDaemonError
from lictl.service.effects import Absent
from lictl.service.guard import DaemonLock, find_home, open_home
from lictl.service.office import open_office
from lictl.service.operations import operations
from lictl.service.unresolved import resolve

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lictl.home import Home
    from lictl.people.actor import Actor

WAIT_S = 120.0


def call(home: Home, op: str, /, **args: Any) -> Any:
    """An operation by name; the same code runs in the daemon and without one.

    Raises:
        UnavailableError: no daemon runs, and this user does not own the home or the operation needs one.
        UsageError: what was given is no text.
        LictlError: what the operation refused or failed.
    """
    require_text(args)
    with contextlib.suppress(NoDaemonError):
        return Client(find_home(home), timeout_s=WAIT_S).call(op, **args)
    require_owner(home)
    actor = this_process(home)
    permits.check(actor, op)
    return on_files(home, actor, op, args)


def require_text(args: Mapping[str, Any]) -> None:
    """Refuses words that are no UTF-8: neither the store nor the chain nor the daemon's socket can hold them.

    Raises:
        UsageError: names the first of them.
    """
    for name, value in args.items():
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            what = f"{printable(str(value))!r}, given as {name}, is not text in UTF-8."
            raise UsageError(what, "Write it in UTF-8.") from None


def on_files(home: Home, actor: Actor, op: str, args: dict[str, Any]) -> Any:
    """An operation on the home, without a daemon; the caller has judged who asks.

    Raises:
        LictlError: what the operation refused or failed; a daemon serves the home.
    """
    # The lock keeps a daemon from starting in between, which would not see the change.
    with DaemonLock(home), open_office(home) as office:
        effects = Absent(home, office.store)
        resolve(home, office.record.chain, office.store, effects)
        known = operations(home, office.site, office.store, office.record, effects)
        if op not in known:
            raise UnavailableError(f"no daemon answers at {home.socket}.", "Start it with `lictl serve`.")
        return known[op](actor, **args)


def require_owner(home: Home) -> None:
    """What works on the home's files.

    Raises:
        UnavailableError: there is no home, or this user does not own it and no daemon runs.
        RefusedError: the home is not private.
    """
    try:
        foreign = home.exists and home.root.stat().st_uid != os.geteuid()
    except PermissionError:
        foreign = True
    if foreign:
        raise UnavailableError(
            f"no daemon answers at {home.socket}; without one only the owner of the home can act.",
            "Start it with `lictl serve`, as the owner of the home.",
        )
    open_home(home)
