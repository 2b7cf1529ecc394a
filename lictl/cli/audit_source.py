# SPDX-License-Identifier: Apache-2.0
"""Where `lictl audit` gets its answers: the daemon, the home's own files for its owner, or a bundle."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from lictl.errors import LictlError, UsageError
from lictl.home import Home
from lictl.inputs import read_bytes

Ask = Callable[..., Any]
Progress = Callable[[int, int, int], None]
PAGE = 1000
_POLL_S = 0.1


@contextmanager
def opened(home: Home) -> Iterator[Ask]:
    """Asks `audit.*` operations of the daemon, or without one, as the owner of the home, on its files.

    Raises:
        LictlError: nobody can be asked, or this user may not.
    """
    from lictl.people import permits
    from lictl.people.actor import this_process
    from lictl.service.administration import require_owner, require_text
    from lictl.service.client import Client
    from lictl.service.guard import DaemonLock

    client = Client(home, timeout_s=120)
    if client.daemon_runs:

        def ask_daemon(op: str, **args: Any) -> Any:
            require_text(args)
            return client.call(op, **args)

        yield ask_daemon
        return
    require_owner(home)
    from lictl.audit.desk import AuditDesk
    from lictl.service.office import open_office
    from lictl.warrants.anchor import StoreAnchor

    with DaemonLock(home), open_office(home) as office:
        desk = AuditDesk(office.record.chain, StoreAnchor(office.store))
        actor, table = this_process(home), desk.table()

        def ask(op: str, **args: Any) -> Any:
            require_text(args)
            permits.check(actor, op)
            return table[op](actor, **args)

        yield ask


def verified(
    home: Home, progress: Progress, *, bundle: Path | None, key: Path | None, head: str, thorough: bool
) -> dict[str, Any]:
    """The verdict (`Verdict.to_json`): on a bundle; on the home's files without a daemon or with a key; by the daemon.

    Raises:
        UsageError: a bundle without a key, or a head that was copied wrongly.
        LictlError: the record cannot be read.
    """
    from lictl.audit.anchor import parse_code
    from lictl.service.client import Client

    heads = [parse_code(head)] if head else []
    public_key = _key(key) if key is not None else None
    if bundle is not None:
        from lictl.audit.export import verify_bundle

        if public_key is None:
            raise UsageError("A bundle is verified with the site's key.", "Name it: --key audit.pub")
        return verify_bundle(bundle, public_key, progress, heads=heads, thorough=thorough).to_json()
    if public_key is None and os.geteuid() != 0 and Client(home).daemon_runs:
        return _by_daemon(Client(home, timeout_s=120).call, progress, head, thorough)
    from lictl.audit.local import verify_home
    from lictl.service.administration import require_owner

    require_owner(home)
    return verify_home(home, progress, public_key=public_key, heads=heads, thorough=thorough).to_json()


def _by_daemon(ask: Ask, progress: Progress, head: str, thorough: bool) -> dict[str, Any]:
    found = ask("audit.verify", start=True, thorough=thorough, head=head)
    while found["verdict"] is None:
        progress(found["entries"], found["bytes"], found["total"])
        time.sleep(_POLL_S)
        found = ask("audit.verify", start=False)
    progress(found["entries"], found["bytes"], found["total"])
    verdict: dict[str, Any] = found["verdict"]
    return verdict


def _key(path: Path) -> bytes:
    from lictl.keys.signer import read_public_pem

    return read_public_pem(read_bytes(path, "the audit.pub of the site"))


def pages(ask: Ask, first: int, conditions: dict[str, str | None]) -> Iterator[dict[str, Any]]:
    """Every entry from number `first` on that the conditions ask for, a page at a time."""
    at = max(first, 1)
    while True:
        page = ask("audit.show", count=PAGE, first=at, **conditions)
        yield from page
        if len(page) < PAGE:
            return
        at = page[-1]["seq"] + 1


def fetch_bundle(ask: Ask, target: Path) -> dict[str, Any]:
    """Writes a bundle of the chain; returns its manifest.

    Raises:
        LictlError: it cannot be written or fetched.
    """
    import json

    from lictl.audit.export import small_parts, write_bundle

    about = ask("audit.export")

    def parts() -> Iterator[tuple[str, int, BinaryIO]]:
        yield from small_parts(about["manifest"], about["signature"], about["key"])
        for name, size in about["files"]:
            yield name, size, io.BufferedReader(_Remote(ask, name, size), 1 << 20)

    write_bundle(target, parts())
    manifest: dict[str, Any] = json.loads(about["manifest"])
    return manifest


class _Remote(io.RawIOBase):
    """A file of the chain, read through the desk."""

    def __init__(self, ask: Ask, name: str, size: int) -> None:
        self._ask, self._name, self._left, self._at, self._data = ask, name, size, 0, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._data and self._left:
            self._data = self._ask("audit.export", file=self._name, offset=self._at)["data"][: self._left]
            if not self._data:
                raise LictlError(f"{self._name} became shorter while it was read.", "Run lictl audit verify.")
            self._at += len(self._data)
            self._left -= len(self._data)
        count = min(len(buffer), len(self._data))
        buffer[:count], self._data = self._data[:count], self._data[count:]
        return count
