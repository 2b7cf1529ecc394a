# SPDX-License-Identifier: Apache-2.0
"""Content and headers are two types that never meet: for the type checker and at run time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from handover_records import info

from lictl.errors import RefusedError
from lictl.handover import ContentEncoder, HeadersEncoder, content_encoder, encoder, formats, headers_encoder, registry

if TYPE_CHECKING:
    from lictl.handover.base import Mode

ROOT = Path(__file__).resolve().parents[2]

PROGRAM = """
from lictl.handover import ContentEncoder, HeadersEncoder, StreamInfo, content_encoder, headers_encoder

def pen_register(encoder: HeadersEncoder) -> None: ...
def intercept(encoder: ContentEncoder) -> None: ...

def wire(info: StreamInfo) -> None:
    pen_register(headers_encoder("pcapng", info))
    intercept(content_encoder("pcapng", info))
    pen_register(content_encoder("pcapng", info))
    intercept(headers_encoder("pcapng", info))
"""


def test_the_type_checker_refuses_to_mix_them(tmp_path: Path) -> None:
    """mypy accepts the two right lines and refuses exactly the two wrong ones."""
    source = tmp_path / "wire.py"
    source.write_text(PROGRAM)
    run = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), "--no-error-summary",
         "--follow-imports=silent", str(source)],
        cwd=ROOT, capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    wrong = [line.split(":")[1] for line in run.stdout.splitlines() if "wire.py" in line and "[arg-type]" in line]
    assert wrong == ["10", "11"], run.stdout + run.stderr


@pytest.mark.parametrize("mode", ["headers", "content"])
def test_each_mode_gets_its_own_kind(mode: Mode) -> None:
    """Every format, by the mode of the order; the kind of record goes with it."""
    assert formats(mode) == tuple(sorted(registry.CONTENT if mode == "content" else registry.HEADERS))
    assert {"msgpack", "pcapng", "text"} <= set(formats(mode))
    for name in formats(mode):
        made = encoder(name, info(mode))
        assert isinstance(made, HeadersEncoder) == (mode == "headers")
        assert isinstance(made, ContentEncoder) == (mode == "content")
        assert (made.mode, made.kind) == ((mode, 1) if mode == "headers" else (mode, 2))
        assert made.name == name


def test_an_order_for_headers_cannot_have_a_content_encoder() -> None:
    """Nor the other way round, whatever is asked for."""
    with pytest.raises(RefusedError):
        content_encoder("pcapng", info("headers"))
    with pytest.raises(RefusedError):
        headers_encoder("pcapng", info("content"))


def test_a_format_that_carries_only_one_mode_is_refused_for_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the formats that can."""
    monkeypatch.delitem(registry.HEADERS, "text")
    with pytest.raises(RefusedError, match=r"Choose one of .*msgpack.*pcapng"):
        encoder("text", info("headers"))
