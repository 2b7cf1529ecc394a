# SPDX-License-Identifier: Apache-2.0
"""Streams whose agency fetches files: a spool, the link that empties it, and a look at what lies in the outbox."""

from __future__ import annotations

import contextlib
import json
import selectors
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lictl.delivery.config import StreamConfig, Transport, WorkerConfig
from lictl.delivery.filed import FilesLink
from lictl.delivery.outbox import EVENTS, MANIFEST
from lictl.delivery.route import make_route
from lictl.keys.agency import AgencyKeys

if TYPE_CHECKING:
    from pathlib import Path

KEYS = AgencyKeys(bytes(range(32)))


@dataclass(frozen=True)
class Agency:
    """An agency that no connection goes to."""

    name: str
    host: str = "localhost"
    port: int = 1


@dataclass(frozen=True)
class Fetched:
    """One file with what lies beside it."""

    name: str
    content: bytes
    events: list[dict[str, Any]]
    manifest: dict[str, Any]


def stream_config(name: str = "W-1", **changes: Any) -> StreamConfig:
    """A text stream whose files are signed."""
    return StreamConfig(name, "LIID.1/x", "text", "txt", "content", "op", "el", seed=KEYS.eddsa_seed, **changes)


def config_of(folder: Path, outbox: Path, stream: StreamConfig, **files: Any) -> WorkerConfig:
    """Of the worker of an agency with one stream; `folder` holds its spools."""
    transport = Transport("files", files={"folder": str(outbox), **files})
    return WorkerConfig("county", str(folder), "localhost", 1, streams={0: stream}, transport=transport)


class Delivery:
    """One run of the link, as a worker would have it, over the spool `folder / "W-1"`."""

    def __init__(self, folder: Path, outbox: Path, **files: Any) -> None:
        stream = stream_config()
        route = make_route(config_of(folder, outbox, stream, **files), selectors.DefaultSelector())
        assert route.shelf is not None
        self._shelf = route.shelf
        with contextlib.chdir(folder):  # as the worker, whose streams lie in its current folder
            self.link = FilesLink(stream, route)

    def run(self) -> Delivery:
        """Takes all that is in the spool."""
        self.link.tick(float("inf"))
        while self.link.state().phase == "flowing" and not self.link.state().error:
            before = self.link.state().sent
            self.link.wake()
            if self.link.state().sent == before:
                break
        return self

    def close(self) -> None:
        """Ends it in order."""
        self.link.close()
        self._shelf.close()

    def __enter__(self) -> Delivery:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def fetched(outbox: Path) -> list[Fetched]:
    """What an agency finds, by the number of the file."""
    found = []
    for path in outbox.glob(f"files/*/*{MANIFEST}"):
        manifest = json.loads(path.read_text())
        content = path.with_name(manifest["content"]["name"])
        events = path.with_name(manifest["events"]["name"])
        assert events.name.endswith(EVENTS)
        lines = [json.loads(line) for line in events.read_text().splitlines()]
        found.append(Fetched(content.name, content.read_bytes(), lines, manifest))
    return sorted(found, key=lambda each: int(each.manifest["number"]))
