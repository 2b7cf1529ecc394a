# SPDX-License-Identifier: Apache-2.0
"""A site's own authorities: they may add and narrow, never silently widen."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest
from warrant_texts import DAY_NS, NOW_NS, build_text

from lictl.errors import LictlError, RefusedError, UsageError
from lictl.warrants.additions import load
from lictl.warrants.authorities import adopt, authorities, shipped
from lictl.warrants.model import UnlawfulWarrantError
from lictl.warrants.model import load as load_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

OWN = """
[[authority]]
kind = "xx-warrant"
title = "warrant of Exampleland"
citation = "Example Act s. 1"
longest = "14 days"
counts_from = "signature"
modes = ["headers"]
requires = ["citation", "signed_by", "signed_at", "presented_by", "grounds"]
source = "Example Act s. 2"
checked = 2026-11-22
confirmed = true
"""
COUNSEL = 'counsel_confirmed_by = "A. Counsel"\ncounsel_confirmed_on = 2026-11-22\n'


@pytest.fixture
def with_own(tmp_path: Path) -> Callable[[str], Path]:
    """A home with one file of authorities."""

    def make(text: str) -> Path:
        (tmp_path / "authorities.d").mkdir(exist_ok=True)
        (tmp_path / "authorities.d" / "own.toml").write_text(text)
        return tmp_path

    return make


def test_without_a_folder_the_package_holds(tmp_path: Path) -> None:
    """Nothing of the site's own."""
    assert load(tmp_path) == shipped()


def test_a_kind_is_added(with_own: Callable[[str], Path]) -> None:
    """It stands behind the package's, unconfirmed while no counsel has signed it, and judges files."""
    kinds = load(with_own(OWN))
    assert list(kinds) == [*shipped(), "xx-warrant"]
    own = kinds["xx-warrant"]
    assert (own.confirmed, own.origin, own.counsel) == (False, "own.toml", "")
    assert own.latest_end(0, 5 * DAY_NS) == 14 * DAY_NS
    edits = {"authority.kind": '"xx-warrant"', "authority.citation": '"Example Act s. 1"'}
    text = build_text(edits | {"intercept.mode": '"headers"', "intercept.ends": "2026-03-14T00:00:00Z"})
    with pytest.raises(UnlawfulWarrantError, match="no kind of authority"):
        load_file(text, NOW_NS)
    with pytest.raises(UnlawfulWarrantError, match=r"authority.grounds: is missing, and a warrant of Exampleland"):
        load_file(text, NOW_NS, kinds=kinds)
    assert load_file(text.replace("[intercept]", 'grounds = "x"\n[intercept]'), NOW_NS, kinds=kinds)


def test_counsel_confirms(with_own: Callable[[str], Path]) -> None:
    """With name and date it is confirmed, and may last more than a year."""
    own = load(with_own(OWN.replace("14 days", "2 years") + COUNSEL))["xx-warrant"]
    assert own.confirmed
    assert own.counsel == "A. Counsel, 2026-11-22"
    assert own.checked == dt.date(2026, 11, 22)


def test_a_shipped_kind_is_narrowed(with_own: Callable[[str], Path]) -> None:
    """Shorter, fewer modes, more to state; all else stays as shipped."""
    home = with_own('[[authority]]\nkind = "title-iii"\nlongest = "10 days"\nmodes = ["headers"]\n')
    own = load(home)["title-iii"]
    assert (own.longest, own.modes, own.origin) == ("10 days", frozenset({"headers"}), "own.toml")
    assert own.requires == shipped()["title-iii"].requires
    assert own.counts_from == shipped()["title-iii"].counts_from
    assert own.patterns["predicate"].words == shipped()["title-iii"].patterns["predicate"].words


def test_a_shipped_term_gets_longer_by_counsel_alone(with_own: Callable[[str], Path]) -> None:
    """Silently it is refused; with name and date it holds."""
    text = '[[authority]]\nkind = "pen-trap"\nlongest = "61 days"\n'
    with pytest.raises(RefusedError, match=r"own.toml, pen-trap: 61 days may be longer than the 60 days.*counsel"):
        load(with_own(text))
    assert load(with_own(text + COUNSEL))["pen-trap"].longest == "61 days"


WIDER = {
    "term counted another way": ('kind = "pen-trap"\ncounts_from = "start-or-tenth-day"', "may be longer"),
    "term in other units": ('kind = "pen-trap"\nlongest = "2 months"', "may be longer"),
    "hours for days": ('kind = "pen-trap-emergency"\nlongest = "3 days"', "may be longer"),
    "another zone": ('kind = "uk-interception"\nlongest = "6 months"\nzone = "Pacific/Honolulu"', "may be longer"),
    "weekend": ('kind = "de-100a-urgent"\nweekend = ["sat", "sun"]', "may be longer"),
    "content under a pen register": ('kind = "pen-trap"\nmodes = ["content", "headers"]', "does not allow content"),
    "an intercept under a subpoena": ('kind = "subpoena"\ninstrument = "interception"\nlongest = "1 day"\n'
        'modes = ["headers"]\nrequires = ["citation", "signed_by", "signed_at", "presented_by"]', "stays so"),
    "an emergency": ('kind = "title-iii"\nemergency = true\nbecomes = "pen-trap"', "stays as shipped"),
    "less to state": ('kind = "title-iii"\nrequires = ["citation", "signed_by", "signed_at", "presented_by"]',
        "18 USC 2518 requires authorised_agency"),
    "no predicate": ('kind = "title-iii"\npatterns.predicate = {match = ".", words = "x"}', "pattern of predicate"),
    "another country": ('kind = "title-iii"\ncountries = ["DE"]', "is the law of US"),
}  # fmt: skip


@pytest.mark.parametrize("name", WIDER)
def test_what_widens_is_refused(name: str, with_own: Callable[[str], Path]) -> None:
    """Every way to make a shipped authority reach further."""
    entry, words = WIDER[name]
    with pytest.raises(RefusedError, match=words):
        load(with_own(f"[[authority]]\n{entry}\n"))


WRONG = {
    "no list": ("kind = 1\n", "is no list of authorities"),
    "other table": ("[x]\n", "is no list of authorities"),
    "not TOML": ("= 1\n", "is not TOML"),
    "bad kind": ('[[authority]]\nkind = "A B"\n', "kind: String should match pattern"),
    "unknown key": ('[[authority]]\nkind = "x"\nlong = 1\n', "long: Extra inputs"),
    "twice": ('[[authority]]\nkind = "pen-trap"\n[[authority]]\nkind = "pen-trap"\n', "stands there twice"),
    "no term": (OWN.replace('longest = "14 days"\n', ""), "longest is missing"),
    "no such term": (OWN.replace("14 days", "a fortnight"), "is no term"),
    "no modes": (OWN.replace('["headers"]', "[]"), "modes is empty"),
    "no source": (OWN.replace('source = "Example Act s. 2"\n', ""), "source is missing"),
    "no signature": (OWN.replace('"signed_by", ', ""), "requires leaves out signed_by"),
    "unknown field": (OWN.replace('"grounds"', '"mood"'), "no warrant file has a key mood"),
    "emergency that becomes nothing": (OWN + "emergency = true\n", "says what it becomes"),
    "emergency that becomes no order": (OWN + 'emergency = true\nbecomes = "subpoena"\n', "becomes no order"),
    "no pattern": (OWN + 'patterns.citation = {match = "(", words = "x"}\n', "no regular expression"),
    "records with modes": (OWN + 'instrument = "stored-records"\n', "never arms an intercept"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_named(name: str, with_own: Callable[[str], Path]) -> None:
    """File, kind and reason; nothing of the file holds."""
    text, words = WRONG[name]
    with pytest.raises(UsageError, match=words) as caught:
        load(with_own(text))
    assert "own.toml" in str(caught.value)


def test_more_than_a_year_takes_counsel(with_own: Callable[[str], Path]) -> None:
    """Also for a kind of the site's own."""
    with pytest.raises(RefusedError, match="no counsel confirms it"):
        load(with_own(OWN.replace("14 days", "13 months")))


@pytest.fixture
def adopted() -> Iterator[None]:
    """The package's authorities again afterwards."""
    yield
    adopt(None)


@pytest.mark.usefixtures("adopted")
def test_a_process_adopts_its_site(with_own: Callable[[str], Path]) -> None:
    """All that asks for authorities sees the site's from then on."""
    adopt(load(with_own(OWN)))
    assert "xx-warrant" in authorities()
    adopt(None)
    assert authorities() is shipped()


def test_errors_are_for_people(with_own: Callable[[str], Path]) -> None:
    """Bytes that are no text are an error with words, not a traceback."""
    home = with_own("")
    (home / "authorities.d" / "own.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(LictlError, match="is not TOML"):
        load(home)
