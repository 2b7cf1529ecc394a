# SPDX-License-Identifier: Apache-2.0
"""`lictl decode`: every format told from its first octets, a line, a tree or an object a PDU, and damage named."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from typing import TYPE_CHECKING

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pdu_kit import KEYS, PACKET, Operator, event, ipcc, long_form, sealed
from typer.testing import CliRunner

from lictl.cli.app import app
from lictl.collection import show
from lictl.collection.detect import detect
from lictl.collection.reading import formats, read
from lictl.errors import IntegrityError, UsageError
from lictl.handover.decoded import DecodeError
from lictl.handover.msgpack_elements import INTERFACE, OPENING
from lictl.handover.pdu import Pdu

if TYPE_CHECKING:
    from pathlib import Path

STREAM = b"".join(map(ipcc, range(3))) + Operator().checked([long_form(ipcc(3))], 3)
FOURTH = 3 * len(ipcc(0))
TEXT = b"LICTL-TEXT VERSION=1 MODE=HEADERS\nABOUT LIID=L CASE=c OPERATOR=o ELEMENT=e COUNTRY=US AGENCY=a\n"


def run(*arguments: str, data: bytes = b"") -> tuple[int, str, str]:
    """Exit code, output and errors of `lictl decode`."""
    done = CliRunner().invoke(app, ["decode", *arguments], input=data)
    return done.exit_code, done.stdout, done.stderr


def test_a_line_a_pdu(tmp_path: Path) -> None:
    """From a file or from a pipe; with time, identifiers, number, ends and length."""
    file = tmp_path / "stream"
    file.write_bytes(STREAM)
    code, out, _ = run(str(file))
    assert (code, run("-", data=STREAM)[1]) == (0, out)
    lines = out.splitlines()
    assert len(lines) == 5
    assert lines[1] == (
        "2026-03-01T12:00:00.123457000Z  IPCC  liid=LIID0001  stream=1  seq=1  "
        "from target UDP 203.0.113.7:40000 > 198.51.100.1:443 28 octets"
    )
    assert "sha256 digest over 1 cc" in lines[4]


def test_trees_and_objects() -> None:
    """-v shows all fields; --json gives one object a line, with packet and fields."""
    code, out, _ = run("-v", "-", data=ipcc(0))
    assert code == 0
    assert "lawfulInterceptionIdentifier" in out
    code, out, _ = run("-v", "--json", "-", data=STREAM)
    values = [json.loads(line) for line in out.splitlines()]
    assert (code, len(values)) == (0, 5)
    assert values[0]["packet"]["data"] == PACKET.hex()
    assert values[0]["packet"]["source_port"] == 40000
    assert values[0]["fields"]
    assert values[4]["check"]["algorithm"] == "sha256"


def test_sealed_payloads(tmp_path: Path) -> None:
    """Shown closed without a key and open with it, whatever other key is given; a wrong one is named with the place."""
    data = b"".join(sealed([(0, event(0)), (0, ipcc(0)), (1, ipcc(1))]))
    right, wrong, none = (tmp_path / name for name in ("right", "wrong", "none"))
    right.write_text(KEYS.payload_key.hex() + "\n")
    wrong.write_text("00" * 32)
    none.write_text("00" * 31)
    code, out, _ = run("-", data=data)
    assert (code, out.count("encryptionContainer"), "UDP" in out) == (0, 3, False)
    code, out, _ = run("--payload-key", str(wrong), "--payload-key", str(right), "-v", "-", data=data)
    assert (code, out.count("from target UDP 203.0.113.7:40000"), out.count("event=begin")) == (0, 2, 1)
    assert "byteCounter" in out
    code, out, err = run("--payload-key", str(wrong), "-", data=ipcc(0) + data)
    assert (code, len(out.splitlines())) == (5, 1)
    assert f"offset {len(ipcc(0))}" in err
    assert "does not open with the key" in err
    assert "agency keys" in err
    assert "damaged" not in err
    for bad, status in ((none, 2), (tmp_path / "nowhere", 4), (tmp_path, 4)):
        code, _, err = run("--payload-key", str(bad), "-", data=data)
        assert (code, str(bad) in err, "Traceback" in err) == (status, True, False)


def test_streams_that_are_not_made_of_pdus() -> None:
    """Openings, interfaces, records and losses, likewise."""
    code, out, _ = run("-", data=TEXT)
    assert (code, out) == (0, "opening  liid=L  mode=headers\n")
    assert json.loads(run("--json", "-", data=TEXT)[1])["liid"] == "L"


@pytest.mark.parametrize(
    "data",
    [
        TEXT.replace(b"VERSION=1", b"VERSION=\x1b]0;x\x07"),
        msgpack.packb([OPENING, {"format": "lictl-msgpack", "version": 1, "mode": "headers", "liid": "L"}])
        + msgpack.packb([INTERFACE, 0, "eth0", "\x1b[2J\x9b2J"]),
    ],
)
def test_no_sender_steers_the_terminal(data: bytes) -> None:
    """Names and messages that quote the stream hold no control characters, whatever stands in it."""
    _, out, errors = run("-", data=data)
    assert out or errors
    assert all(char.isprintable() or char == "\n" for char in out + errors)


@pytest.mark.parametrize(
    "damage", [STREAM[:-7], STREAM + b"\0\0\0", STREAM[:FOURTH] + b"\x30\x80" + STREAM[FOURTH + 2 :]]
)
def test_damage_is_named_behind_what_was_readable(damage: bytes) -> None:
    """Exit code 5, the offset, and everything before it."""
    code, out, err = run("-", data=damage)
    assert code == 5
    assert len(out.splitlines()) >= 3
    assert "offset" in err
    assert "Traceback" not in err


def test_wrong_commands() -> None:
    """An unknown format, an unknown beginning and nothing at all are told apart from damage."""
    assert run("--format", "morse", "-", data=STREAM)[0] == 2
    assert run("-", data=b"GET / HTTP/1.1")[0] == 2
    assert run("-", data=b"")[0] == 2
    assert run("/nowhere/at/all")[0] == 4


def test_a_reader_that_goes_away(tmp_path: Path) -> None:
    """`| head` ends the command quietly."""
    file = tmp_path / "stream"
    file.write_bytes(ipcc(0) * 20_000)
    program = f"{sys.executable} -m lictl decode {file} | head -n 2"
    done = subprocess.run(["sh", "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert len(done.stdout.splitlines()) == 2
    assert done.stderr == ""


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["", *formats()]), st.binary(max_size=200), st.integers(0, 130), st.booleans())
def test_any_octets_get_an_answer(name: str, noise: bytes, keep: int, good: bool) -> None:
    """Values, or an error that a person can act on; never anything else."""
    data = (ipcc(0)[:keep] if good else b"") + noise
    try:
        for found in read(io.BytesIO(data), name):
            text = show.line(found) if isinstance(found, Pdu) else show.item_line(found)
            assert text.isprintable()
            value = show.plain(found) if isinstance(found, Pdu) else show.item_plain(found)
            json.dumps(value)
            list(show.tree(found) if isinstance(found, Pdu) else show.item_tree(found))
    except (IntegrityError, UsageError):
        pass


@pytest.mark.parametrize(
    ("first", "name"),
    [
        (bytes.fromhex("308183a145"), "etsi-102232"),
        (bytes.fromhex("3072060b2a864886f8490201010000aa63"), "atis-1000013"),
        (bytes.fromhex("305ca03ca01e8009434153452d30303031"), "atis-1000013"),
        (bytes.fromhex("000500020000003c0000001c0005000329f2"), "etsi-103221-2"),
        (bytes.fromhex("0003000300000028") + bytes(32), "etsi-103221-2"),
        (bytes.fromhex("0000002f0100000101") + bytes(60), "tzsp"),
        (bytes.fromhex("00000030") + bytes(12) + b"\x45" + bytes(60), "ccc"),
        (b"\x0a\x0d\x0d\x0a", "pcapng"),
        (b"\xd4\xc3\xb2\xa1", "pcap"),
        (b"LICTL-TEXT V", "text"),
        (b"\x92\x00\x8b", "msgpack"),
        (b"\x01\0\0\0\x80\0\0\0", "lictl-delivery"),
    ],
)
def test_formats_are_told_apart(first: bytes, name: str) -> None:
    """By the samples of each format; a beginning that is still too short asks for more."""
    assert detect(first) == name
    for size in range(len(first)):
        try:
            assert detect(first[:size]) in (None, name)
        except DecodeError:
            pytest.fail(f"{size} octets of {name} are refused")
