# SPDX-License-Identifier: Apache-2.0
"""The template of docs/formats/adding-a-format.md is a format: registered, it passes the conformance suite."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path

import conformance
import pytest
import test_conformance as suite

from lictl.handover.decode import DECODERS
from lictl.handover.registry import CONTENT

PAGE = Path(__file__).resolve().parents[2] / "docs" / "formats" / "adding-a-format.md"
pytestmark = pytest.mark.tree


@pytest.fixture
def template(monkeypatch: pytest.MonkeyPatch) -> str:
    """The page's module, registered as a reader of the page would."""
    match = re.search(r"<!-- template: encoder -->\n```python\n(.*?)```\n", PAGE.read_text(), re.DOTALL)
    assert match is not None
    module = types.ModuleType("lictl_template")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(match[1], str(PAGE), "exec"), module.__dict__)  # noqa: S102  our own document
    monkeypatch.setitem(CONTENT, "NAME", module.NameContent)
    monkeypatch.setitem(DECODERS, "NAME", module.decode_name)
    monkeypatch.setattr(conformance, "CASES", [*conformance.CASES, ("NAME", "content")])
    return "NAME"


CHECKS = (
    suite.test_it_is_what_it_is_called, suite.test_the_opening_comes_first, suite.test_directions_come_back,
    suite.test_losses_stand_at_their_place, suite.test_numbers_go_on_after_a_restart, suite.test_the_account_is_exact,
    suite.test_a_gap_is_told_or_silent, suite.test_events_do_not_disturb_the_records, suite.test_the_state_is_small,
    suite.test_the_other_kind_of_record_is_refused, suite.test_the_other_mode_is_refused,
    suite.test_unknown_options_are_refused, suite.test_damage_never_breaks_a_reader,
)  # fmt: skip


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("test_"))
def test_the_template_passes(template: str, check: object) -> None:
    """Each check of the suite that is for any mode."""
    assert callable(check)
    check(template, "content")


def test_the_template_delivers_packets_whole(template: str) -> None:
    """And the one for content."""
    suite.test_every_packet_comes_back_whole(template)
