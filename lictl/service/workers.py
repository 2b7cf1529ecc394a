# SPDX-License-Identifier: Apache-2.0
"""The delivery processes: one for each agency that has a stream."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from lictl.delivery.supervisor import AgencyWorker
from lictl.service.credentials import ends

if TYPE_CHECKING:
    from lictl.delivery.config import StreamConfig, Transport
    from lictl.delivery.supervisor import WorkerState
    from lictl.home import Home
    from lictl.warrants.model import Agency


class Workers:
    """Starts, wakes and ends them. May be used from every thread."""

    def __init__(self, home: Home, uid: int | None) -> None:
        self._home = home
        self._uid = uid
        self._lock = threading.Lock()
        self._workers: dict[str, AgencyWorker] = {}
        self._streams: dict[str, set[str]] = {}
        self._ends: dict[str, dict[str, float]] = {}

    def add(self, agency: Agency, stream: StreamConfig) -> None:
        """Delivers one more stream; its spool exists. Starts the agency's process where there is none."""
        with self._lock:
            worker = self._workers.get(agency.name)
            if worker is None:
                folder = self._home.spool / agency.name
                worker = AgencyWorker(agency, folder, [stream], uid=self._uid, transport=agency.transport)
                worker.start()
                self._ends[agency.name] = ends(agency.transport)
                self._workers[agency.name] = worker
            else:
                worker.add_stream(stream)
            self._streams.setdefault(agency.name, set()).add(stream.name)

    def remove(self, agency: str, stream: str) -> None:
        """Ends a stream's delivery; with its last one the agency's process ends."""
        with self._lock:
            worker, names = self._workers.get(agency), self._streams.get(agency, set())
            if worker is None or stream not in names:
                return
            names.discard(stream)
            if names:
                worker.remove_stream(stream)
                return
            del self._workers[agency]
        worker.stop()

    def renew(self, agency: str, transport: Transport) -> bool:
        """Reaches an agency with other credentials, on connections made anew; false where it has no process.

        What was not confirmed on the old connections is sent again, and everything behind it follows in order.
        """
        with self._lock:
            worker = self._workers.get(agency)
            if worker is None:
                return False
            self._ends[agency] = ends(transport)
        worker.renew(transport)
        return True

    def credentials_end(self, agency: str) -> dict[str, float]:
        """When what TLS with an agency rests on ends, as `lictl.service.credentials.ends`."""
        return self._ends.get(agency, {})

    def wake_all(self) -> None:
        """There are new blocks: costs one small write an agency."""
        for worker in tuple(self._workers.values()):
            worker.wake()

    @property
    def connected(self) -> bool:
        """An agency is connected at present."""
        return any(link.phase == "flowing" for state in self.states() for link in state.streams.values())

    def states(self) -> list[WorkerState]:
        """How each agency's process is."""
        return [worker.state() for worker in tuple(self._workers.values())]

    def stop(self) -> None:
        """Ends all of them; what is spooled waits for the next start."""
        with self._lock:
            workers, self._workers = list(self._workers.values()), {}
        for worker in workers:
            worker.stop()
