# SPDX-License-Identifier: Apache-2.0
"""docs/profiles.md says what the data say."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from lictl.profiles import profile
from lictl.profiles.reference import fill
from lictl.service.site import Site

pytestmark = pytest.mark.tree

PAGE = Path(__file__).parents[2] / "docs" / "profiles.md"


def test_the_table_of_profiles_is_the_data() -> None:
    """As the data make it, each shipped profile once."""
    text = PAGE.read_text()
    assert fill(text) == text
    assert all(text.count(f"| `{name}` | ") == 1 for name in profile.SHIPPED)


def test_the_families_are_the_data() -> None:
    """All and only."""
    section = PAGE.read_text().split("| family | formats |")[1].split("## ")[0]
    rows = dict(re.findall(r"^\| `([a-z0-9]+)` \| (.*) \|$", section, re.MULTILINE))
    assert list(rows) == list(profile.families())
    for name, family in profile.families().items():
        assert set(family.formats) <= set(re.findall(r"[a-z0-9-]+", rows[name])), name


def test_the_network_plan_is_read() -> None:
    """The example of lictl.toml is one."""
    example = tomllib.loads(PAGE.read_text().split("```toml\n")[1].split("```")[0])
    site = Site.model_validate({"operator": "X", "element": "Y", "country": "US", **example})
    assert [str(each) for each in site.network.shared] == ["100.64.0.0/10", "198.51.100.0/28"]
    assert list(site.network.subscribers) == ["account-4711"]
    assert "network" not in site.model_dump()
