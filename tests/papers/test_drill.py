# SPDX-License-Identifier: Apache-2.0
"""Drills: evidence that says what was found, and one real drill beside a site that it does not touch."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from paper_kit import PAPER_SIZES, beside_labels, overlaps, pictures, squeezed, text, words

from lictl.lab.demo import Check, Outcome
from lictl.papers import drill
from lictl.papers.certificate import canonical
from lictl.papers.page import MARGIN, Size

if TYPE_CHECKING:
    from pathlib import Path

SITE = {"operator": "EXAMPLE-ISP", "element": "box-1", "country": "US"}
STREAM = {"agency": "lab-agency", "format": "pcapng", "matched": 1234, "delivered": 1234, "lost": {"ring": 0}}
GOOD = Outcome(
    [Check("content equals the wire, byte for byte", True, "1234 packets"), Check("nothing is left behind", True, "-")],
    [{"liid": "LIID-CONTENT", "mode": "content", "streams": [STREAM]}],
    21.5,
)


def record(outcome: Outcome = GOOD) -> dict[str, Any]:
    """The evidence of a drill."""
    return drill.with_audit(drill.evidence(SITE, outcome, 10**18, 10**18 + 2 * 10**10), {"seq": 41, "begun": 40})


@pytest.mark.parametrize("size", Size)
def test_page_of_proof(size: Size, tmp_path: Path) -> None:
    """Site, machine, kernel, program, each check and the packets stand on the page, inside its margins."""
    file, pdf = drill.printed(record(), size)
    shown = text(pdf) + beside_labels(pdf)
    wanted = ["Proof of readiness", "EXAMPLE-ISP", "every check held", "nothing is left behind", "1,234", "41",
              record()["machine"]["capture_sha256"], record()["machine"]["kernel"], hashlib.sha256(file).hexdigest(),
              drill.MARK]  # fmt: skip
    assert [each for each in wanted if squeezed(each) not in shown] == []
    assert overlaps(words(pdf)) == []
    wide, high = PAPER_SIZES[size]
    for picture in pictures(pdf, tmp_path):
        ink = (picture < 128).nonzero()
        assert MARGIN - 2 <= ink[0].min() <= ink[0].max() <= high - MARGIN + 2
        assert MARGIN - 2 <= ink[1].min() <= ink[1].max() <= wide - MARGIN + 2


def test_a_failed_check_is_loud() -> None:
    """A drill that failed says so in its title, at the check and in what the chain keeps."""
    bad = record(replace(GOOD, checks=[*GOOD.checks, Check("the third subscriber: zero", False, "3 packets")]))
    shown = text(drill.printed(bad)[1])
    assert squeezed("NOT READY: a check failed") in shown
    assert "FAILED" in shown
    assert drill.brief(bad)["ok"] is False
    assert drill.brief(bad)["failed"] == ["the third subscriber: zero"]


def test_a_drill_without_checks_proves_nothing() -> None:
    """One that was cut off at its beginning is no proof."""
    assert record(Outcome())["ok"] is False


def test_entry_and_record_name_each_other() -> None:
    """The chain keeps the hash of the record as it was before its own entry's number was put in."""
    plain = drill.evidence(SITE, GOOD, 1, 2)
    digest = drill.brief(plain)["record_sha256"]
    assert digest == hashlib.sha256(canonical(plain)).hexdigest()
    assert drill.with_audit(plain, {"seq": 1, "record_sha256": digest})["audit"]["record_sha256"] == digest
    assert plain["audit"] is None


@pytest.mark.kernel
@pytest.mark.net
def test_a_real_drill(tmp_path: Path) -> None:
    """Every check holds, two entries stand in the site's chain, and no port of this machine has a program."""
    env = os.environ | {"LICTL_HOME": str(tmp_path / "home")}

    def lictl(*words: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "lictl", *words]
        return subprocess.run(argv, env=env, capture_output=True, text=True, check=False, timeout=timeout)

    made = lictl("init", "--operator", "EXAMPLE-ISP", "--element", "box-1", "--country", "US", "--role",
                 "operator=root")  # fmt: skip
    assert made.returncode == 0, made.stderr
    before = programs()
    files = ["--pdf", str(tmp_path / "drill.pdf"), "--out", str(tmp_path / "drill.json")]
    done = lictl("--json", "drill", *files, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    plain = json.loads((tmp_path / "drill.json").read_bytes())
    assert plain == json.loads(done.stdout)
    assert plain["ok"] is True
    assert plain["site"] == SITE
    assert {order["mode"] for order in plain["orders"]} == {"content", "headers"}
    assert all(s["matched"] == s["delivered"] > 0 for order in plain["orders"] for s in order["streams"])
    assert squeezed("every check held") in text((tmp_path / "drill.pdf").read_bytes())
    lines = [line for path in sorted((tmp_path / "home" / "audit").glob("*.jsonl"))
             for line in path.read_text().splitlines() if '"action":"note.drill' in line]  # fmt: skip
    entries = [json.loads(line) for line in lines]
    assert [entry["action"] for entry in entries] == ["note.drill.begin", "note.drill"]
    assert entries[1]["seq"] == plain["audit"]["seq"]
    assert entries[1]["after"]["ok"] is True
    assert entries[1]["after"]["record_sha256"] == plain["audit"]["record_sha256"]
    assert programs() == before


def programs() -> list[str]:
    """XDP and tc programs on the ports of this machine's own namespace."""
    done = subprocess.run(["bpftool", "-j", "net"], capture_output=True, text=True, check=True, timeout=60)
    return sorted(json.dumps(each) for net in json.loads(done.stdout) for kind in net.values() for each in kind)
