# SPDX-License-Identifier: Apache-2.0
"""Adding and ending orders from the command line: through the daemon where it runs, else on the store."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lictl.errors import LictlError, RefusedError, UnavailableError
from lictl.handover.base import StreamInfo
from lictl.handover.registry import encoder, formats
from lictl.people import permits
from lictl.people.actor import this_process
from lictl.service.client import Client
from lictl.service.guard import DaemonLock, open_home
from lictl.service.pins import left_behind
from lictl.service.role_desk import RoleDesk
from lictl.times import format_rfc3339, now_ns
from lictl.warrants.model import load
from lictl.warrants.store import Store

if TYPE_CHECKING:
    from lictl.home import Home
    from lictl.warrants.model import Agency, Warrant, WarrantFile


def call(home: Home, op: str, /, **args: Any) -> Any:
    """An operation by name: of the daemon where one runs, else on the home's files, for its owner only.

    Raises:
        UnavailableError: no daemon runs and this user does not own the home.
        LictlError: what the operation refused or failed.
    """
    client = Client(home, timeout_s=120)
    if client.daemon_runs:
        return client.call(op, **args)
    require_owner(home)
    # The lock keeps a daemon from starting in between, which would not see the change.
    with DaemonLock(home):
        operation = RoleDesk(home).table()[op]
        actor = this_process(home)
        permits.check(actor, op)
        return operation(actor, **args)


def require_owner(home: Home) -> None:
    """What works on the home's files.

    Raises:
        UnavailableError: there is no home, or this user cannot open it and no daemon runs.
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


def read(store: Store, text: str, name: str) -> WarrantFile:
    """A warrant file that could be put into force: lawful, its agencies known, their formats able to carry it.

    Raises:
        LictlError: what is wrong with it.
    """
    file = load(text, now_ns(), name)
    for delivery in file.delivery:
        format_ = delivery.format or store.agency(delivery.agency).format
        mode: Literal["content", "headers"] = "content" if file.intercept.mode == "content" else "headers"
        if format_ not in formats(mode):
            raise RefusedError(
                f"{name}: the format {format_} of agency {delivery.agency} cannot carry an order for {mode}.",
                f"Choose one of {', '.join(formats(mode))}.",
            )
    return file


def check_agency(agency: Agency) -> None:
    """Refuses an agency whose format is not known or does not take its options.

    Raises:
        UsageError: what is wrong.
    """
    modes: tuple[Literal["content", "headers"], ...] = ("content", "headers")
    for mode in modes:
        if agency.format in formats(mode) or mode == "content":
            info = StreamInfo("X", "X", mode, "X", "X", "ZZ", agency.name, str, agency.options)
            encoder(agency.format, info)


def add(home: Home, text: str, name: str) -> dict[str, Any]:
    """Puts an order into force.

    Returns:
        `summary` of the order, with `armed` and `effect` (one sentence for people).
    """
    client = Client(home, timeout_s=120)
    if client.daemon_runs:
        return dict(client.call("warrant.add", text=text, name=name))
    # The lock keeps a daemon from starting in between, which would not see the order.
    with DaemonLock(home):
        store = Store.open(home.database)
        try:
            from lictl.service.room import check_room

            file = read(store, text, name)
            check_room(file, store.live(now_ns()))
            warrant = store.add_warrant(file, now_ns())
        finally:
            store.close()
    return {
        **summary(warrant),
        "armed": False,
        "effect": "No daemon runs: it takes effect when `lictl serve` is started.",
    }


def revoke(home: Home, name: str) -> dict[str, Any]:
    """Ends an order now.

    Returns:
        `summary` of the order, with `revoked` (RFC 3339) and `effect`.
    """
    client = Client(home, timeout_s=120)
    if client.daemon_runs:
        return dict(client.call("warrant.revoke", name=name))
    with DaemonLock(home):
        store = Store.open(home.database)
        try:
            warrant = store.get(name)
            if warrant.state != "active":
                raise RefusedError(f"Order {warrant.id} is {warrant.state} already.", "Nothing was changed.")
            moment = now_ns()
            stopped = _stop_pinned(home, warrant)
            ended = store.revoke(name, moment)
        finally:
            store.close()
    effect = "No daemon runs, and no capture was left running."
    if stopped:
        effect = "No daemon runs; it was stopped in the capture that a daemon left running."
    return {**summary(ended), "revoked": format_rfc3339(moment), "effect": effect}


def _stop_pinned(home: Home, warrant: Warrant) -> bool:
    """Switches the order off in tables that a killed daemon left; False where there are none.

    Raises:
        LictlError: there are some and they cannot be changed: the order may still be running.
    """
    pins = left_behind(home)
    if pins is None:
        return False
    from lictl.probe.probe import Probe
    from lictl.probe.tables import KernelTables

    try:
        with Probe.open(Path(pins.folder), pins.ring_bytes) as probe:
            tables = KernelTables(probe)
            if int.from_bytes(tables.slot(warrant.slot)[:4], "little") == warrant.generation:
                tables.revoke(warrant.slot)
    except LictlError as error:
        raise type(error)(
            f"order {warrant.id} may still be running in the kernel: {error.what}",
            f"Start `lictl serve` and revoke it then, or end the capture: rm -r {pins.folder}/*. {error.fix}".strip(),
        ) from None
    return True


def summary(warrant: Warrant) -> dict[str, Any]:
    """An order for lists."""
    return {
        "id": warrant.id,
        "liid": warrant.liid,
        "case_id": warrant.case_id,
        "state": warrant.state,
        "mode": str(warrant.mode),
        "starts": format_rfc3339(warrant.starts_ns),
        "ends": format_rfc3339(warrant.ends_ns),
        "targets": [str(target) for target in warrant.targets],
        "agencies": [delivery.agency for delivery in warrant.deliveries],
    }


def details(store: Store, name: str) -> dict[str, Any]:
    """Everything of one order.

    Raises:
        UnavailableError, UsageError: as of `Store.get`.
    """
    warrant = store.get(name)
    authority = {
        key: format_rfc3339(value) if key == "signed_at" and value is not None else value
        for key, value in warrant.authority.items()
    }
    return {
        **summary(warrant),
        "added": format_rfc3339(warrant.added_ns),
        "ended": format_rfc3339(warrant.ended_ns) if warrant.ended_ns else None,
        "authority": authority,
        "formats": [delivery.format for delivery in warrant.deliveries],
        "file": warrant.text,
    }
