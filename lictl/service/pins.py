# SPDX-License-Identifier: Apache-2.0
"""Where the last daemon of a home pinned its maps: a command has to find them when that daemon is dead."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

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
    """

    folder: str
    ring_bytes: int

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


def left_behind(home: Home) -> Pins | None:
    """What a daemon has left in the kernel; None after a clean stop or a restart of the machine."""
    try:
        pins = Pins(**json.loads((home.run / _NAME).read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return pins if pins.present else None
