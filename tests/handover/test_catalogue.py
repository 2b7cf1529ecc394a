# SPDX-License-Identifier: Apache-2.0
"""What people choose a format by: every one is in it, and the pages say the same of its options."""

from __future__ import annotations

import re

import pytest
from handover_examples import FORMATS

from lictl.handover.catalogue import CATALOGUE
from lictl.handover.options import Choice
from lictl.handover.registry import formats
from lictl.service.transports import kinds_for


def test_every_format_is_in_it() -> None:
    """No other; the way that is proposed is one that the format goes over."""
    assert tuple(sorted(CATALOGUE)) == formats("content")
    assert {name for name, entry in CATALOGUE.items() if entry.transport not in kinds_for(name)} == set()


@pytest.mark.tree
@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_the_page_explains_every_option(name: str) -> None:
    """Its table has the option's values, the default first, and the sentence that `lictl agency new` shows."""
    page = {"text": "descriptive-text"}.get(name, name)
    rows = re.findall(r"^\| `(.+?)` \| (.+?) \| (.+) \|$", (FORMATS / f"{page}.md").read_text(), re.MULTILINE)
    told = {option: (values, meaning) for option, values, meaning in rows}
    for key, option in CATALOGUE[name].options.items():
        values, meaning = told[key]
        listed = ", ".join(f"`{value}`" for value in option.values) if isinstance(option, Choice) else values
        assert values == listed
        assert values.startswith(f"`{option.default}`")
        assert meaning == option.meaning
