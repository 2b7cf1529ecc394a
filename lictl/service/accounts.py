# SPDX-License-Identifier: Apache-2.0
"""What of a stream's account must survive restarts and stands nowhere else: its base, and losses by class.

One small file a stream, `account` in the order's folder below the home, replaced as a whole. A lost or damaged file
costs the division into classes, never the sum: that is found again from spool and kernel.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final, get_args

from lictl.handover.base import EventKind
from lictl.home import FILE_MODE, FOLDER_MODE
from lictl.service.accounting import Base

if TYPE_CHECKING:
    from pathlib import Path

_REPLACE: Final = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC


@dataclass(slots=True)
class Saved:
    """The content of the file.

    Attributes:
        claim: of the order; with `incarnation` the kernel counters that the base goes with.
        incarnation: li_config.incarnation.
        base: what the stream had when those counters began.
        quota: lost since then because the spool was full.
        other: lost since then in user space for other reasons.
        ended: the END block is on disk: nothing more comes.
        waiting: events that the spool has no room for yet: number in the stream, kind, UTC ns.
    """

    claim: int
    incarnation: int
    base: Base
    quota: int = 0
    other: int = 0
    ended: bool = False
    waiting: tuple[tuple[int, EventKind, int], ...] = ()


def load(path: Path) -> Saved | None:
    """What was saved; None where there is nothing, or nothing that can be read."""
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
        plain = json.loads(path.read_bytes())
        waiting = tuple((int(number), kind, int(ns)) for number, kind, ns in plain.get("waiting", ()))
        if not {kind for _, kind, _ in waiting} <= {*get_args(EventKind)}:
            return None
        return Saved(**{**plain, "base": Base(**plain["base"]), "waiting": waiting})
    return None


def save(path: Path, saved: Saved) -> None:
    """Replaces the file; the old one or the new one is there after a crash.

    Raises:
        OSError: the disk refuses.
    """
    plain = {each.name: getattr(saved, each.name) for each in fields(saved)} | {"base": saved.base.to_json()}
    content, new = json.dumps(plain).encode(), path.with_suffix(".new")
    try:
        descriptor = os.open(new, _REPLACE, FILE_MODE)
    except FileNotFoundError:
        for folder in (path.parent.parent, path.parent):
            folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
        descriptor = os.open(new, _REPLACE, FILE_MODE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    new.replace(path)
