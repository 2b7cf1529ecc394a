# SPDX-License-Identifier: Apache-2.0
"""The kernel's share of a start, beside ours: it verifies the capture program while the rest of lictl is read in."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lictl.probe.probe import Probe

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Ending:
    """How a daemon ends.

    Attributes:
        asked: set once it was told to; where it is not, it fails.
        keep: what is attached shall stay.
    """

    asked: threading.Event
    keep: bool

    @property
    def keeps(self) -> bool:
        """The capture goes on without a daemon."""
        return self.keep and self.asked.is_set()


class Loading:
    """Opens a probe in a thread of its own.

    Args:
        folder: of the pins, on a bpffs.
        ring_bytes: of each CPU's ring.
        fresh: as of `Probe.open`.
    """

    def __init__(self, folder: Path, ring_bytes: int, fresh: bool) -> None:
        self._opened: Future[Probe] = Future()
        self._taken = False
        threading.Thread(target=self._open, args=(folder, ring_bytes, fresh), name="loading", daemon=True).start()

    def _open(self, folder: Path, ring_bytes: int, fresh: bool) -> None:
        try:
            self._opened.set_result(Probe.open(folder, ring_bytes, fresh))
        except BaseException as error:
            self._opened.set_exception(error)

    def take(self) -> Probe:
        """The probe, once it is open; it is the caller's from here on.

        Raises:
            LictlError: as of `Probe.open`.
        """
        probe = self._opened.result()  # no bound: the kernel's verifier has one of its own, and nothing goes on without
        self._taken = True
        return probe

    def abandon(self) -> None:
        """Ends what nobody took, where this start began it; what an earlier daemon left goes on."""
        if self._taken or self._opened.exception() is not None:
            return
        probe = self._opened.result()  # no bound: it is there
        if probe.took_over:
            probe.close()
        else:
            probe.destroy()
