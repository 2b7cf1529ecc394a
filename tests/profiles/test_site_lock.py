# SPDX-License-Identifier: Apache-2.0
"""The site lock: whatever makes host, profile or law another than it was bound to is found."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lictl.errors import IntegrityError, RefusedError, UnavailableError, UsageError
from lictl.home import Home
from lictl.keys.signer import KeySigner
from lictl.keys.site import SiteKey
from lictl.profiles import profile, site_lock
from lictl.profiles.host import HostIdentity, differences, read_identity

if TYPE_CHECKING:
    from pathlib import Path

HOST = HostIdentity("probe-1", "a" * 64, "b" * 64, ("02:00:00:00:00:01", "02:00:00:00:00:02"))
WHO = {"uid": 0, "name": "root"}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home with keys, bound to the US profile on HOST."""
    home = Home(tmp_path / "home")
    home.make_folder(home.root)
    SiteKey.make(home)
    bind(home)
    return home


def bind(home: Home, name: str = "us", country: str = "US", reason: str = "because") -> site_lock.SiteLock:
    """Binds the site."""
    lock = site_lock.made(home, profile.load(name, home.root), country, WHO, 0, reason, HOST)
    site_lock.save(home, lock, SiteKey.open(home).signer)
    return lock


def changed(home: Home, host: HostIdentity = HOST, country: str = "US") -> list[str]:
    """What check finds."""
    return [each.what for each in site_lock.check(home, country, host)]


def test_a_bound_site_is_as_it_was(home: Home) -> None:
    """Nothing has changed; the lock is private and says who, when and why."""
    assert changed(home) == []
    assert (home.root / "site.lock").stat().st_mode & 0o777 == 0o600
    lock = site_lock.read(home)
    assert lock.bound == {"time": "1970-01-01T00:00:00Z", "by": WHO, "reason": "because"}
    assert site_lock.bound_profile(home).name == "us"


@pytest.mark.parametrize(
    ("host", "found"),
    [
        (replace(HOST, hostname="probe-2"), ["host name"]),
        (replace(HOST, machine_id="c" * 64), ["machine id"]),
        (replace(HOST, hardware="c" * 64), ["hardware id"]),
        (replace(HOST, macs=("02:00:00:00:00:03",)), ["network cards"]),
        (replace(HOST, macs=("02:00:00:00:00:01", "02:00:00:00:00:03")), []),
        (replace(HOST, hardware=None), []),
        (replace(HOST, macs=()), []),
        (HostIdentity("probe-1", None, None, ()), ["machine"]),
        (HostIdentity("x", "c" * 64, "c" * 64, ("x",)), ["host name", "machine id", "hardware id", "network cards"]),
    ],
)
def test_another_machine_is_found(home: Home, host: HostIdentity, found: list[str]) -> None:
    """A cloned or moved image; one replaced card or a value that cannot be read is none."""
    assert changed(home, host) == found


def test_another_country_is_found(home: Home) -> None:
    """lictl.toml was edited."""
    assert changed(home, country="DE") == ["country"]


def test_other_authorities_are_found(home: Home) -> None:
    """A file in authorities.d, and a change of it, wait for an approver."""
    folder = home.make_folder(home.root / "authorities.d")
    (folder / "own.toml").write_text("")
    assert changed(home) == ["authorities data"]
    bind(home)
    assert changed(home) == []
    (folder / "own.toml").write_text('[[authority]]\nkind = "pen-trap"\nlongest = "30 days"\n')
    assert changed(home) == ["authorities data"]
    (folder / "own.toml").unlink()
    assert changed(home) == ["authorities data"]


def test_an_own_profile_that_is_edited_is_found(home: Home) -> None:
    """Its digest is bound; without its file nothing holds."""
    folder = home.make_folder(home.root / "profiles.d")
    text = profile.text_of("template").replace('"template"', '"xx"').replace("countries = []", 'countries = ["US"]')
    (folder / "xx.toml").write_text(text)
    bind(home, "xx")
    assert changed(home) == []
    (folder / "xx.toml").write_text(text.replace('["generic"]', '["generic", "etsi"]'))
    assert changed(home) == ["profile data"]
    (folder / "xx.toml").write_text("= 1")
    assert changed(home) == ["profile"]
    (folder / "xx.toml").unlink()
    assert changed(home) == ["profile"]


def test_no_lock_arms_nothing(home: Home) -> None:
    """A home of an earlier version, or one whose lock was removed."""
    (home.root / "site.lock").unlink()
    assert changed(home) == ["lock"]
    with pytest.raises(UnavailableError, match=r"bound to no profile.*lictl profile confirm"):
        site_lock.read(home)
    with pytest.raises(RefusedError, match="Nothing is armed"):
        site_lock.require(home, "US")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "null", '{"signature": 1}', '{"signature": "zz"}'])
def test_a_damaged_lock_arms_nothing(home: Home, text: str) -> None:
    """Never a traceback."""
    (home.root / "site.lock").write_text(text)
    assert changed(home) == ["lock"]
    with pytest.raises(IntegrityError):
        site_lock.read(home)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_every_edit_of_the_lock_is_found(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Whatever value is changed, added or taken away: the signature covers it."""
    home = Home(tmp_path_factory.mktemp("lock"))
    SiteKey.make(home)
    bind(home)
    document: dict[str, Any] = json.loads((home.root / "site.lock").read_text())
    table = document
    while isinstance(table[key := data.draw(st.sampled_from(sorted(table)))], dict) and data.draw(st.booleans()):
        table = table[key]
    how = data.draw(st.sampled_from(["change", "remove", "add"]))
    if how == "change":
        table[key] = "other" if isinstance(table[key], str) else str(table[key])
    elif how == "remove":
        del table[key]
    else:
        table["other"] = "x"
    (home.root / "site.lock").write_text(json.dumps(document))
    assert changed(home) == ["lock"]


def test_another_sites_lock_is_found(home: Home) -> None:
    """Signed by a key that is not this site's."""
    lock = site_lock.read(home)
    site_lock.save(home, lock, KeySigner(bytes(32)))
    assert changed(home) == ["lock"]
    with pytest.raises(IntegrityError, match="not signed by this site"):
        site_lock.read(home)


def test_confirming_makes_it_whole(home: Home) -> None:
    """A new lock replaces the old one, whatever state that was in."""
    (home.root / "site.lock").write_text("broken")
    bind(home, reason="mainboard replaced")
    assert changed(home) == []
    assert [path.name for path in home.root.iterdir() if "new" in path.name] == []


@pytest.mark.parametrize("reason", ["", "  ", "x" * 501, "a\nb", "a\x1b[2J"])
def test_a_reason_is_one_line(home: Home, reason: str) -> None:
    """It is kept in the lock and in the chain."""
    with pytest.raises(UsageError, match="reason"):
        bind(home, reason=reason)


def test_this_machine_has_an_identity(tmp_path: Path) -> None:
    """It reads without an error anywhere, is the same twice, and shows no identifier in the clear."""
    now = read_identity()
    assert differences(now, read_identity()) == []
    assert HostIdentity.from_json(json.loads(json.dumps(now.to_json()))) == now
    empty = read_identity(tmp_path)
    assert (empty.machine_id, empty.hardware, empty.macs) == (None, None, ())


def test_an_identity_is_read_from_the_system(tmp_path: Path) -> None:
    """Machine id and product UUID are hashed; cards are those with a device behind them; an unset UUID is none."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/machine-id").write_text("0123456789abcdef0123456789abcdef\n")
    dmi = tmp_path / "sys/class/dmi/id"
    dmi.mkdir(parents=True)
    (dmi / "product_uuid").write_text("00000000-0000-0000-0000-000000000000\n")
    for name, mac, physical in (("eth0", "02:00:00:00:00:09", True), ("veth0", "02:00:00:00:00:0a", False)):
        card = tmp_path / "sys/class/net" / name
        card.mkdir(parents=True)
        (card / "address").write_text(mac + "\n")
        if physical:
            (card / "device").mkdir()
    found = read_identity(tmp_path)
    assert found.machine_id is not None
    assert "0123456789abcdef" not in found.machine_id
    assert found.hardware is None
    assert found.macs == ("02:00:00:00:00:09",)
