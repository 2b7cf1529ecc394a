# SPDX-License-Identifier: Apache-2.0
"""What an extension or an amendment of an order may say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lictl.errors import RefusedError, UsageError
from lictl.targets import layout
from lictl.times import format_rfc3339
from lictl.warrants.kinds import is_emergency, may_follow
from lictl.warrants.rows import slot_flags

if TYPE_CHECKING:
    from lictl.warrants.records import Instrument, Warrant
    from lictl.warrants.tables import WarrantFile

_REPORTS = layout.SLOT_NO_PORTS | layout.SLOT_NO_LENGTH


def check_file(order: Warrant, file: WarrantFile, act: str) -> None:
    """Refuses a file that is no extension or amendment of this order.

    Args:
        order: as it is.
        file: of the further instrument; complete, as each warrant file.
        act: "extension" or "amendment".

    Raises:
        UsageError: it is about something else than the order.
        RefusedError: an instrument of its kind cannot follow, or one waits already.
    """
    if order.pending is not None:
        waits = order.pending
        raise RefusedError(
            f"The {waits.act} {order.id}/{waits.position} is {waits.state} already.",
            "Have it approved, or withdraw it first.",
        )
    for what, differs in _differences(order, file, act):
        if differs:
            fix = "Write it as the order has it, or add a new order."
            raise UsageError(f"The {act} has another {what} than order {order.id}.", fix)
    _check_kind(order, file, act)
    if act == "extension":
        _check_extension(order, file.intercept.starts, file.intercept.ends)
    elif set(file.intercept.targets) == set(order.targets):
        raise UsageError(
            f"The amendment names the targets that order {order.id} has already.", "Name all that it shall have."
        )


def check_effect(order: Warrant, instrument: Instrument, now_ns: int) -> None:
    """Refuses the approval of an instrument that would not have the effect that its file states.

    The order may have become shorter since the file was checked.
    """
    if instrument.act == "extension":
        _check_extension(order, instrument.starts_ns, instrument.clock.end(order.first_taken_ns))
    elif instrument.starts_ns > now_ns:
        raise RefusedError(
            f"The amendment begins at {format_rfc3339(instrument.starts_ns)}.", "Approve it when it has begun."
        )
    elif instrument.ends_ns <= now_ns:
        raise RefusedError(f"The amendment ended at {format_rfc3339(instrument.ends_ns)}.", "Get a new one.")


def _differences(order: Warrant, file: WarrantFile, act: str) -> list[tuple[str, bool]]:
    asked = file.intercept
    receivers = {(each.agency, each.format) for each in file.delivery}
    return [
        ("LIID", asked.liid != order.liid),
        ("case", asked.case_id != order.case_id),
        ("mode", asked.mode.value != order.mode),
        ("setting of header reports", (slot_flags(asked) ^ order.flags) & _REPORTS != 0),
        ("delivery", receivers != {(each.agency, each.format) for each in order.deliveries}),
        ("set of targets", act == "extension" and set(asked.targets) != set(order.targets)),
    ]


def _check_kind(order: Warrant, file: WarrantFile, act: str) -> None:
    """The same law goes on, or the law that an emergency was waiting for; an emergency is not repeated."""
    approved = [each for each in order.instruments if each.state == "approved"]
    old, new = approved[-1].kind, file.authority.kind
    if is_emergency(new) and act == "extension":
        raise RefusedError(
            f"The extension rests on {new}, and an emergency cannot be extended by another one.",
            "Get an order of the court.",
        )
    if not may_follow(old, new):
        raise RefusedError(
            f"The {act} rests on {new}, and order {order.id} on {old}.",
            "Add it as a new order: another law is another order.",
        )


def _check_extension(order: Warrant, starts_ns: int, ends_ns: int) -> None:
    if starts_ns > order.ends_ns:
        raise RefusedError(
            f"The extension begins at {format_rfc3339(starts_ns)}, after order {order.id} ends "
            f"({format_rfc3339(order.ends_ns)}).",
            "Add it as a new order: nothing may be taken in between.",
        )
    if ends_ns <= order.ends_ns:
        raise RefusedError(
            f"The extension ends at {format_rfc3339(ends_ns)}, not after order {order.id} "
            f"({format_rfc3339(order.ends_ns)}).",
            "Check its end; an order is ended early with revoke.",
        )
