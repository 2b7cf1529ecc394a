# SPDX-License-Identifier: Apache-2.0
"""What a certificate says: each fact that its rule asks for, or that it is missing."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paper_kit import DAY, START, record, squeezed, text, unauthorised

from lictl.papers.certificate import Certificate, canonical, certificate
from lictl.papers.page import Size
from lictl.papers.rules import FORMS, Rule


def values(paper: Certificate) -> dict[str, list[str]]:
    """Required facts by name."""
    return {each["name"]: each["values"] for each in paper.json["required"]}


def test_calea_has_its_six_facts() -> None:
    """47 CFR 1.20004(a)(1)(i) to (vi), each with the value of the record."""
    paper = certificate(record(), Rule.CALEA, START)
    assert [each["clause"] for each in paper.json["required"]] == [
        "(a)(1)(i)", "(a)(1)(ii)", "(a)(1)(iii)", "(a)(1)(iv)", "(a)(1)(v)", "(a)(1)(vi)",
    ]  # fmt: skip
    assert values(paper) == {
        "circuit_identification": ["ip:203.0.113.7", "ip:2001:db8::/64"],
        "enabled": ["2026-03-02T00:00:00.000000005Z"],
        "presented_by": ["Det. Đặng Thị Ếch"],
        "signed_by": ["Judge Jürgen Müßig-Łukaszewski"],
        "type": ["pen register or trap and trace order, packet headers only (call-identifying information)"],
        "overseer": ["Björk Þórðardóttir, Legal Compliance"],
    }
    assert paper.missing == []


def test_pen_trap_record_has_its_facts() -> None:
    """18 USC 3123(a)(3)(A)(i) to (iv): who, when, configuration and changes, information collected."""
    found = values(certificate(record(), Rule.PEN_TRAP, START))
    assert found["installed_by"] == ["alice (uid 1001) submitted it", "bob (uid 1002) approved it"]
    assert found["accessed_by"] == ["carol (uid 1003)"]
    assert found["uninstalled"] == ["2026-03-05T00:00:00Z (revoked by bob)"]
    assert found["accesses"] == ["2026-03-04T00:00:00Z carol (uid 1003): read.warrant, 1.500 s [audit 14]"]
    assert found["modifications"] == ["2026-03-03T00:00:00Z bob (uid 1002): suspended: court's call [audit 12]"]
    assert found["collected"][-1] == "to county-sheriff: 12,345 packets matched, 12,300 delivered, 45 lost"


@pytest.mark.parametrize("rule", Rule)
def test_what_was_not_recorded_is_said(rule: Rule) -> None:
    """A fact that nobody recorded is listed as missing and has a line to write on; nothing is made up."""
    bare = replace(record(), identifiers=(), overseer=None, enabled_ns=None, disabled_ns=None, installed_by=(),
                   configuration=(), state="revoked")  # fmt: skip
    paper = certificate(bare, rule, START)
    wanted = {
        Rule.CALEA: ["(a)(1)(i)", "(a)(1)(ii)", "(a)(1)(vi)"],
        Rule.PEN_TRAP: ["(a)(3)(A)(i)", "(a)(3)(A)(ii)", "(a)(3)(A)(ii)", "(a)(3)(A)(iii)"],
    }
    assert [each.split()[0] for each in paper.missing] == wanted[rule]
    assert text(paper.pdf).count(squeezed("NOT RECORDED, to be completed by hand")) >= len(paper.missing)


def test_order_that_is_still_running() -> None:
    """Without an end the record says so."""
    running = replace(record(), disabled_ns=None, ending="", state="active")
    assert values(certificate(running, Rule.PEN_TRAP, START))["uninstalled"] == ["still installed"]
    paper = certificate(running, Rule.CALEA, START)
    assert paper.json["ended"] is None
    assert squeezed("End not ended") in text(paper.pdf)


def test_each_instrument_names_its_officer() -> None:
    """An extension was presented and signed by persons of its own."""
    first = record().instruments[0]
    second = replace(first, kind="extension", authority={**first.authority, "presented_by": "Det. Two"},
                     ends_ns=START + 60 * DAY)  # fmt: skip
    found = values(certificate(replace(record(), instruments=(first, second)), Rule.CALEA, START))
    assert found["presented_by"] == ["Det. Đặng Thị Ếch (original)", "Det. Two (extension)"]


def test_interception_without_authority() -> None:
    """It is certified too: no officer, no signature, and what happened."""
    paper = certificate(unauthorised(), Rule.CALEA, START)
    found = values(paper)
    assert found["signed_by"] == found["presented_by"]
    assert found["signed_by"] == ["none: the interception was made without appropriate authorization"]
    assert found["type"][0].endswith("made without appropriate authorization")
    assert paper.json["incident"]["found_by"] == "reconcile"
    assert paper.missing == ["(a)(1)(vi) Employee responsible for overseeing"]
    shown = text(paper.pdf)
    assert squeezed("Interception without appropriate authorization") in shown
    assert squeezed("put into the pinned map from outside") in shown
    assert squeezed("End not known") in shown


@pytest.mark.parametrize("rule", Rule)
def test_hash_is_that_of_the_file(rule: Rule) -> None:
    """`sha256sum` of the JSON file gives what stands on the paper."""
    paper = certificate(record(), rule, START)
    assert paper.digest == hashlib.sha256(paper.text).hexdigest()
    assert paper.digest in text(paper.pdf)
    assert json.loads(paper.text) == paper.json


@pytest.mark.parametrize("size", Size)
def test_same_record_same_bytes(size: Size) -> None:
    """A certificate can be made again and compared."""
    one, two = (certificate(record(), Rule.CALEA, START, size) for _ in range(2))
    assert one.pdf == two.pdf
    assert one.text == two.text


def test_every_form_names_its_rule() -> None:
    """Each form has a citation, and each fact a clause of it."""
    for rule, form in FORMS.items():
        assert form.rule is rule
        assert str(rule) in form.citation
        assert all(asked.clause.startswith("(a)") for asked in form.asks)
        assert len({asked.name for asked in form.asks}) == len(form.asks)


@given(st.text(), st.text())
def test_any_text_survives_the_record(one: str, two: str) -> None:
    """Whatever a field holds, the file is UTF-8 JSON that holds the same, and two values never give one file."""
    first, second = (canonical(certificate_values(value)) for value in (one, two))
    if not any(0xD800 <= ord(character) < 0xE000 for character in one):
        assert json.loads(first) == certificate_values(one)
    assert (first == second) == (one == two)


def certificate_values(value: str) -> dict[str, object]:
    """A record that holds one text."""
    return {"b": [value], "a": 1}
