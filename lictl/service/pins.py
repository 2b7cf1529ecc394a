# SPDX-License-Identifier: Apache-2.0
"""Where the last daemon of a home pinned its maps: a command has to find them when that daemon is dead."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lictl.errors import RefusedError
from lictl.home import FILE_MODE

if TYPE_CHECKING:
    from lictl.home import Home

_NAME = "pins"


@dataclass(frozen=True, slots=True)
class Pins:
    """What has to be known to open them.

    Attributes:
        folder: on a bpffs.
        ring_bytes: of each CPU's ring.
        netns: inode of the network namespace whose interfaces it captures on; 0: not known.
    """

    folder: str
    ring_bytes: int
    netns: int = 0

    @property
    def present(self) -> bool:
        """A set of maps is pinned there (the last one that is pinned is)."""
        return Path(self.folder, "maps", "li_config").exists()


def note(home: Home, pins: Pins) -> None:
    """Writes down where this daemon pins."""
    path = home.run / _NAME
    new = path.with_suffix(".new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, FILE_MODE), "w") as file:
        json.dump(asdict(pins), file)
    new.replace(path)


def forget(home: Home) -> None:
    """Nothing is pinned any more."""
    (home.run / _NAME).unlink(missing_ok=True)


def this_netns() -> int:
    """Inode of this thread's network namespace (namespaces(7))."""
    return Path("/proc/thread-self/ns/net").stat().st_ino


def _find_netns(inode: int) -> Path | None:
    """A file that leads to a network namespace, where any does."""
    for path in (*Path("/run/netns").glob("*"), *Path("/proc").glob("[0-9]*/ns/net")):
        with contextlib.suppress(OSError):
            if path.stat().st_ino == inode:
                return path
    return None


def check_netns(home: Home) -> None:
    """Refuses what would touch a capture of another network namespace; as `left_behind` does."""
    left_behind(home)


def left_behind(home: Home) -> Pins | None:
    """What a daemon has left in the kernel; None after a clean stop or a restart of the machine.

    A network namespace that is gone took its interfaces along; what is pinned is then taken over as usual.

    Raises:
        RefusedError: it captures in another network namespace, where the same numbers are other interfaces; says where.
    """
    try:
        pins = Pins(**json.loads((home.run / _NAME).read_text()))
    except (OSError, ValueError, TypeError):
        return None
    if not pins.present:
        return None
    if pins.netns not in (0, this_netns()) and (where := _find_netns(pins.netns)) is not None:
        raise RefusedError(
            "the capture of this home was started in another network namespace, and goes on there.",
            f"Run the command there: nsenter --net={where} lictl ...",
        )
    return pins
