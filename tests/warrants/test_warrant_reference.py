# SPDX-License-Identifier: Apache-2.0
"""docs/warrant-file.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lictl.targets.grammar import parse
from lictl.times import parse_rfc3339
from lictl.warrants.authorities import shipped
from lictl.warrants.model import AuthorityTable, DeliveryTable, InterceptTable, load
from lictl.warrants.reference import fill

pytestmark = pytest.mark.tree

REFERENCE = Path(__file__).parents[2] / "docs" / "warrant-file.md"


def _reference() -> str:
    return REFERENCE.read_text()


def _section(title: str) -> str:
    return _reference().split(f"\n## {title}\n")[1].split("\n## ")[0]


def _first_cells(section: str) -> list[str]:
    return re.findall(r"^\| (`[^|]*) \|", section, re.MULTILINE)


@pytest.mark.parametrize("index", [0, 1])
def test_each_example_is_a_good_file(index: int) -> None:
    """The examples load as they stand, at a moment inside their windows."""
    example = re.findall(r"```toml\n(.*?)```", _reference(), re.DOTALL)[index]
    file = load(example, parse_rfc3339("2026-03-02T06:00:00Z"))
    assert file.text == example


def test_there_are_two_examples() -> None:
    """None is left out above."""
    assert _reference().count("```toml") == 2


@pytest.mark.parametrize(
    ("section", "model"),
    [("[authority]", AuthorityTable), ("[intercept]", InterceptTable), ("[[delivery]]", DeliveryTable)],
)
def test_every_key_is_documented(section: str, model: type[AuthorityTable]) -> None:
    """The key tables list the keys of the model, all and only, in their order."""
    text = _section(section).split("<!--")[0]
    assert [cell.strip("`") for cell in _first_cells(text)] == list(model.model_fields)


def test_every_target_form_is_read() -> None:
    """Each text of the target table parses, and stands there in its canonical form."""
    texts = [text for cell in _first_cells(_section("Targets")) for text in re.findall("`([^`]*)`", cell)]
    assert len(texts) == 10
    assert [str(parse(text)) for text in texts] == texts


def test_the_tables_of_authorities_are_the_data() -> None:
    """Both stand in the document as the data make them, and name every kind once."""
    text = _reference()
    assert fill(text) == text
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| ", _section("[authority]").split("<!--", 1)[1], re.MULTILINE)
    assert sorted(rows) == sorted(shipped())
