# SPDX-License-Identifier: Apache-2.0
"""What the fixtures of targets are written with."""

from __future__ import annotations

from typing import Any

from kernel_case import (
    Case,
    Seen,
    Want,
    content,
    headers,
    taken,
    untouched,
)


def both(*targets: str, **more: Any) -> tuple:
    """A headers order and a content order on the same targets."""
    return headers(1, *targets, **more), content(2, *targets, **more)


def hit(name: str, targets: str, frame: bytes, seen: Seen, **more: Any) -> Case:
    """Both kinds of order on these targets (parted by semicolons) take the frame."""
    return taken(name, frame, seen, orders=both(*targets.split("; ")), **more)


def miss(name: str, targets: str, frame: bytes, **more: Any) -> Case:
    """Neither kind of order on these targets takes the frame."""
    return untouched(name, frame, orders=both(*targets.split("; ")), **more)


def some(name: str, frame: bytes, seen: Seen, slots: tuple[int, ...], orders: tuple, **more: Any) -> Case:
    """Exactly the orders in these slots take the frame."""
    return Case(name, frame, tuple(Want(slot, seen) for slot in slots), orders=orders, **more)
