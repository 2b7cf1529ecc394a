# SPDX-License-Identifier: Apache-2.0
"""Log lines."""

from __future__ import annotations

import io
import json
import os
import sys
from typing import TYPE_CHECKING

from lictl import log

if TYPE_CHECKING:
    import pytest


def test_a_line_is_one_json_object(monkeypatch: pytest.MonkeyPatch) -> None:
    """Part, level, event and time stand in each line."""
    sink = io.StringIO()
    monkeypatch.setattr(sys, "stderr", sink)
    log.configure("info")
    log.get("test").warning("something happened", count=3)
    line = json.loads(sink.getvalue())
    assert (line["part"], line["level"], line["event"], line["count"]) == ("test", "warning", "something happened", 3)
    assert line["time"].endswith("Z")


def test_a_closed_standard_error_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line is lost, the caller goes on: capture does not depend on who reads the log."""
    sink = io.StringIO()
    monkeypatch.setattr(sys, "stderr", sink)
    log.configure("info")
    sink.close()
    log.get("test").error("nobody reads this")


def test_a_reader_that_went_away_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same with a pipe whose other end is closed."""
    read, write = os.pipe()
    os.close(read)
    pipe = os.fdopen(write, "w")
    monkeypatch.setattr(sys, "stderr", pipe)
    log.configure("info")
    log.get("test").error("nobody reads this")
    monkeypatch.undo()
    os.dup2(os.open(os.devnull, os.O_WRONLY), write)  # so that closing the pipe has somewhere to flush to
    pipe.close()
