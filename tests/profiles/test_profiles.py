# SPDX-License-Identifier: Apache-2.0
"""Jurisdiction profiles: complete data, a site's own, and the rule that a format follows the jurisdiction."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

from lictl.errors import RefusedError, UnavailableError, UsageError
from lictl.handover.registry import formats
from lictl.profiles import profile, rules
from lictl.profiles.binding import choose
from lictl.warrants.authorities import shipped
from lictl.warrants.model import Agency, load
from lictl.warrants.terms import zone_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def home_with(tmp_path: Path) -> Callable[..., Path]:
    """A home with a profile of its own, made from the template by replacements."""

    def make(name: str = "xx", file: str | None = None, **change: str) -> Path:
        text = profile.text_of(profile.TEMPLATE).replace('name = "template"', f'name = "{name}"')
        for key, value in {"countries = []": 'countries = ["XX"]', **change}.items():
            assert key in text
            text = text.replace(key, value)
        (tmp_path / "profiles.d").mkdir(exist_ok=True)
        (tmp_path / "profiles.d" / f"{file or name}.toml").write_text(text)
        return tmp_path

    return make


@pytest.mark.parametrize("name", profile.SHIPPED)
def test_shipped_profiles_are_complete(name: str) -> None:
    """Countries, a zone, known families and authorities, sources, a date; the authorities are of its countries."""
    found = profile.load(name)
    assert found.name == name
    assert found.countries
    zone_of(found.time_zone)
    assert "generic" in found.families
    assert dt.date(2026, 1, 1) <= found.checked
    assert found.sources
    assert len(found.digest) == 64
    for kind in found.authorities:
        countries = shipped()[kind].countries
        assert not countries or countries & set(found.countries)


def test_every_shipped_authority_has_a_profile() -> None:
    """None is forgotten, and what is one country's law is in the profile of that country."""
    found = [profile.load(name) for name in profile.SHIPPED]
    assert {kind for each in found for kind in each.authorities} == set(shipped())
    for kind, authority in shipped().items():
        for each in found:
            if authority.countries and set(each.countries) <= authority.countries:
                assert kind in each.authorities


def test_atis_is_american_and_etsi_is_not() -> None:
    """The one rule of families that cannot be otherwise."""
    assert {name for name in profile.SHIPPED if "atis" in profile.load(name).families} == {"us"}
    assert {name for name in profile.SHIPPED if "etsi" in profile.load(name).families} == {"eu", "uk", "de", "au", "nz"}


def test_every_format_has_one_family() -> None:
    """All formats that lictl has and no others, none of them in two families."""
    names = [format_ for family in profile.families().values() for format_ in family.formats]
    assert sorted(names) == sorted({*formats("content"), *formats("headers")})
    assert profile.family_of("carrier-pigeon") is None


@pytest.mark.parametrize(
    ("country", "name"), [("US", "us"), ("GB", "uk"), ("DE", "de"), ("AU", "au"), ("NZ", "nz"), ("FR", "eu")]
)
def test_countries_have_their_profile(country: str, name: str) -> None:
    """Without --profile, where it is unambiguous."""
    assert profile.for_country(country) == name
    assert choose(None, country).name == name


def test_other_countries_must_choose() -> None:
    """Nothing is guessed; a profile of another country is refused."""
    with pytest.raises(UsageError, match=r"No profile is for country BR alone.*--profile"):
        choose(None, "BR")
    with pytest.raises(UsageError, match="Profile us is not for country DE"):
        choose("us", "DE")


def test_a_profile_of_the_sites_own(home_with: Callable[..., Path]) -> None:
    """It is listed, loads, and can be chosen for its country."""
    home = home_with()
    assert profile.names(home) == [*profile.SHIPPED, "xx"]
    assert choose("xx", "XX", home).families == ("generic",)
    assert profile.text_of("xx", home).startswith("# SPDX")


WRONG = {
    "unknown family": ({'families = ["generic"]': 'families = ["fax"]'}, "'fax' is no family"),
    "unknown key": ({"confirmed = false\n\n#": "confirmed = false\nmood = 1\n\n#"}, "mood: Extra inputs"),
    "no zone": ({'time_zone = "UTC"': 'time_zone = "Moon"'}, "'Moon' is no time zone"),
    "no authority": ({'authorities = ["national-warrant"]': "authorities = []"}, "authorities"),
    "country in words": ({"countries = []": 'countries = ["Exampleland"]'}, "countries.0"),
    "not TOML": ({"countries = []": "countries = ["}, "is not TOML"),
    "reach": ({"ipv4_prefix = 29": "ipv4_prefix = 0"}, "limits.ipv4_prefix"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_profile_says_where(name: str, home_with: Callable[..., Path]) -> None:
    """Key and reason, and where to see a right one."""
    change, words = WRONG[name]
    with pytest.raises(UsageError, match=words):
        profile.load("xx", home_with(**change))


def test_names_must_be_right(home_with: Callable[..., Path]) -> None:
    """No file takes a shipped profile's place or another name than its own; the template binds nothing."""
    with pytest.raises(UsageError, match="is called xx"):
        profile.load("yy", home_with(file="yy"))
    with pytest.raises(RefusedError, match="has the name of a profile of the package"):
        profile.load("us", home_with("us"))
    with pytest.raises(RefusedError, match="template is no jurisdiction"):
        profile.load("template")
    with pytest.raises(UnavailableError, match=r"There is no profile 'usa'\. Did you mean us\? There are us, eu"):
        profile.load("usa")
    with pytest.raises(UnavailableError, match="There is no profile"):
        profile.load("../profiles.d/xx", home_with())


@pytest.mark.parametrize(
    ("format_", "site", "agency", "words"),
    [
        ("pcapng", "us", None, None),
        ("pcapng", "eu", "us", None),
        ("atis-1000013", "us", None, None),
        ("atis-1000013", "us", "us", None),
        ("atis-1000013", "us", "eu", "an agency with profile eu cannot read"),
        ("atis-1000013", "us", "de", "an agency with profile de cannot read"),
        ("atis-1000013", "uk", None, "not allowed by profile uk"),
        ("etsi-102232", "us", None, "not allowed by profile us"),
        ("etsi-102232", "eu", "uk", None),
        ("etsi-102232", "eu", "us", "an agency with profile us cannot read"),
        ("fax", "us", None, "no family"),
    ],
)
def test_the_format_follows_the_jurisdiction(format_: str, site: str, agency: str | None, words: str | None) -> None:
    """ATIS to an agency with an ETSI profile is unreadable and refused, and the other way round."""
    problem = rules.delivery_problem(format_, profile.load(site), profile.load(agency) if agency else None)
    assert problem is None if words is None else problem is not None and words in problem


FILE = """
[authority]
kind = "uk-interception"
citation = "Investigatory Powers Act 2016 s. 15"
court = "Secretary of State"
docket = "1"
signed_by = "A"
signed_at = 2026-03-01T12:00:00Z
presented_by = "B"
subject = "unknown"
[intercept]
case_id = "C"
liid = "L"
mode = "headers"
starts = 2026-03-02T00:00:00Z
ends = 2026-03-30T00:00:00Z
targets = ["ip:203.0.113.7"]
[[delivery]]
agency = "agency"
"""


def test_a_file_is_judged_by_the_sites_profile() -> None:
    """An authority of another country, and a format that the agency cannot read."""
    file = load(FILE, 1772438400 * 10**9)
    agencies = {"agency": Agency("agency", "192.0.2.1", 1, "atis-1000013")}
    us, uk = profile.load("us"), profile.load("uk")
    assert [str(each) for each in rules.judge(file, uk, agencies, {})] == [
        "delivery[1].format: atis-1000013 is of the family atis (ATIS-1000013, CmII and CmC), "
        "not allowed by profile uk; choose a format that the agency reads, or set its profile right"
    ]
    problems = list(rules.judge(file, us, agencies, {"agency": uk}))
    assert [each.where for each in problems] == ["authority.kind", "delivery[1].format"]
    assert all(each.unlawful for each in problems)
    assert problems[0].what == "uk-interception is no authority at a site with profile us (United States)"
    assert list(rules.judge(file, uk, {}, {})) == []
