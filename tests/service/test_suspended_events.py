# SPDX-License-Identifier: Apache-2.0
"""What an agency is told when the daemon starts."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from lictl.service import enlisting
from lictl.service.live import Phase


@pytest.mark.parametrize(
    ("phase", "blocks", "told"),
    [
        (Phase.ARMED, 0, ["begin"]),
        (Phase.ARMED, 7, ["continue"]),
        (Phase.WAITING, 7, ["continue"]),
        (Phase.SUSPENDED, 7, []),
        (Phase.ENDING, 7, []),
    ],
)
def test_only_what_goes_on_is_told_to_go_on(
    monkeypatch: pytest.MonkeyPatch, phase: Phase, blocks: int, told: list[str]
) -> None:
    """An order that is suspended or over is not told to be active because the daemon was restarted."""
    heard: list[str] = []
    stream = SimpleNamespace(ended=False, spool=SimpleNamespace(last_block=blocks), stream=SimpleNamespace(writable=1))
    monkeypatch.setattr(enlisting, "open_stream", lambda *_: stream)
    monkeypatch.setattr(enlisting, "tell_at_once", lambda _order, _stream, kind: heard.append(kind))
    agency = SimpleNamespace(transport=SimpleNamespace(certificate=""), format="pcapng")
    rooms: Any = SimpleNamespace(probe=SimpleNamespace(incarnation=1), store=SimpleNamespace(agency=lambda _: agency))
    warrant: Any = SimpleNamespace(
        id="1", mode="headers", starts_ns=0, ends_ns=1, incarnation=1,
        deliveries=[SimpleNamespace(agency="fbi", format="")],
    )  # fmt: skip
    enlisting.Enlisting(rooms)._open(warrant, phase)
    assert heard == told
