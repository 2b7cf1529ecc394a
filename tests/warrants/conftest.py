# SPDX-License-Identifier: Apache-2.0
"""Warrant files to start from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from postgres_server import postgres
from warrant_texts import NOW_NS, build_text

from lictl.home import Home
from lictl.keys.site import SiteKey
from lictl.warrants.model import Agency, WarrantFile, load
from lictl.warrants.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["postgres"]


@pytest.fixture
def now_ns() -> int:
    """A moment inside the base file's window."""
    return NOW_NS


@pytest.fixture
def text_with() -> Callable[..., str]:
    """`build_text`."""
    return build_text


@pytest.fixture
def file_with() -> Callable[..., WarrantFile]:
    """The base file with edits, read."""
    return lambda edits=None, **more: load(build_text((edits or {}) | more), NOW_NS)


def with_agencies(store: Store) -> Store:
    """A store that knows the agencies sheriff and fbi."""
    store.add_agency(Agency("sheriff", "192.0.2.10", 41900, "pcapng"))
    store.add_agency(Agency("fbi", "fbi.example", 41900, "text", {"encoding": "hex"}))
    return store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store that knows the agencies sheriff and fbi."""
    opened = with_agencies(Store.open(tmp_path / "warrants.db"))
    yield opened
    opened.close()


@pytest.fixture(params=["sqlite", "postgres"])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """As `store`, on each of the two databases."""
    if request.param == "sqlite":
        opened = Store.open(tmp_path / "warrants.db")
    else:
        url = request.getfixturevalue("postgres").make_database()
        opened = Store.open(url, SiteKey.make(Home(tmp_path)).sealer)
    yield with_agencies(opened)
    opened.close()
