# SPDX-License-Identifier: Apache-2.0
"""Orders judged at a site: its profile, its agencies, its network plan and the orders that are in force."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from lictl.errors import LictlError, RefusedError, UnavailableError, UsageError
from lictl.home import Home
from lictl.keys.site import SiteKey
from lictl.lab.site import Order
from lictl.profiles import profile, site_lock
from lictl.service.check_desk import CheckDesk
from lictl.service.scrutiny import Scrutiny
from lictl.service.site import NetworkPlan, Site, make_site, read_site
from lictl.times import format_rfc3339, now_ns
from lictl.warrants.authorities import adopt
from lictl.warrants.model import Agency, UnlawfulWarrantError
from lictl.warrants.store import Store
from lictl.warrants.who import Who

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

HOUR_NS = 3_600_000_000_000
OPERATOR, APPROVER = Who(1001, "operator"), Who(1002, "approver")
PLAN = '[network]\nshared = ["198.51.100.0/28"]\n[network.subscribers]\n"acct" = ["203.0.113.7/32"]\n'


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A US site with a network plan, bound to its profile."""
    home = Home(tmp_path / "home")
    make_site(home, Site(operator="X", element="Y", country="US"))
    with home.site_file.open("a") as file:
        file.write(PLAN)
    Store.of(home).close()
    bind(home, "us", "US")
    yield home
    adopt(None)


def bind(home: Home, name: str, country: str) -> None:
    """Binds the site."""
    lock = site_lock.made(home, profile.load(name, home.root), country, {}, 0, "test")
    site_lock.save(home, lock, SiteKey.open(home).signer)


@pytest.fixture
def store(home: Home) -> Iterator[Store]:
    """The site's store with two agencies."""
    store = Store.of(home)
    store.add_agency(Agency("sheriff", "192.0.2.10", 41900, "pcapng"))
    store.add_agency(Agency("yard", "192.0.2.20", 41900, "pcapng"))
    yield store
    store.close()


@pytest.fixture
def scrutiny(home: Home, store: Store) -> Scrutiny:
    """Of the site."""
    return Scrutiny(home, read_site(home), store)


def order(*targets: str, mode: str = "headers", liid: str = "L1", agencies: Sequence[str] = ("sheriff",)) -> str:
    """A lawful warrant file around now."""
    now = now_ns()
    window = format_rfc3339(now - HOUR_NS), format_rfc3339(now + HOUR_NS)
    return Order(liid, mode, targets or ("ip:203.0.113.7",), *window, agencies).toml()


class Notes:
    """A record that keeps what was noted."""

    def __init__(self) -> None:
        self.notes: list[tuple[str, str | None]] = []

    def note(self, actor: object, action: str, subject: str | None, after: object = None) -> int:
        """Keeps it."""
        self.notes.append((action, subject))
        return len(self.notes)


def test_a_lawful_order_of_one_subscriber(scrutiny: Scrutiny) -> None:
    """Admitted, nothing against it, delivered in the agency's format."""
    file = scrutiny.read(order(), "order.toml")
    scrutiny.admit(file, "order.toml")
    scrutiny.gate(file, confirm_shared=False, reason=None)
    found = scrutiny.blast(file)
    assert found.refusals == ()
    assert [(each.agency, each.host, each.format, each.family, each.gets) for each in found.deliveries] == [
        ("sheriff", "192.0.2.10", "pcapng", "generic", "headers")
    ]
    assert found.targets[0].subscribers == ("acct",)


def test_a_shared_address_waits_for_an_approver(scrutiny: Scrutiny) -> None:
    """It can be drafted; approved it is only with a reason."""
    file = scrutiny.read(order("ip:198.51.100.3"), "order.toml")
    scrutiny.admit(file, "order.toml")
    with pytest.raises(RefusedError, match="subscribers share"):
        scrutiny.gate(file, confirm_shared=False, reason="x")
    with pytest.raises(UsageError):
        scrutiny.gate(file, confirm_shared=True, reason=None)
    scrutiny.gate(file, confirm_shared=True, reason="the pool is one customer's")


def test_orders_in_force_are_neighbours(scrutiny: Scrutiny, store: Store) -> None:
    """An approved order is one, except for its own amendment; a draft is none."""
    file = scrutiny.read(order("ip:203.0.113.7"), "order.toml")
    draft = store.draft(file, OPERATOR, now_ns())
    other = scrutiny.read(order("ip:203.0.113.0/29", liid="L2"), "other.toml")
    assert scrutiny.blast(other).orders == ()
    store.submit(draft.id, OPERATOR, now_ns())
    approved = store.approve(draft.id, APPROVER, now_ns())
    found = scrutiny.blast(other)
    assert found.orders == (approved.id,)
    assert [(each.liid, each.relation) for each in found.targets[0].overlaps] == [("L1", "contains")]
    assert scrutiny.blast(other, approved).orders == ()


def test_another_jurisdictions_authority_is_refused(home: Home, store: Store) -> None:
    """A Title III order at a German site."""
    bind(home, "de", "DE")
    scrutiny = Scrutiny(home, read_site(home), store)
    file = scrutiny.read(order(mode="content"), "order.toml")
    with pytest.raises(UnlawfulWarrantError, match=r"title-iii is no authority at a site with profile de \(Germany\)"):
        scrutiny.admit(file, "order.toml")
    with pytest.raises(RefusedError, match="Nothing was armed"):
        scrutiny.gate(file, confirm_shared=True, reason="x")


def test_an_unbound_site_admits_nothing(home: Home, scrutiny: Scrutiny) -> None:
    """Without a lock nobody knows whose law applies."""
    file = scrutiny.read(order(), "order.toml")
    (home.root / "site.lock").unlink()
    with pytest.raises(UnlawfulWarrantError, match=r"bound to no profile.*lictl profile confirm"):
        scrutiny.admit(file, "order.toml")


def test_atis_to_an_agency_with_an_etsi_profile_is_refused(store: Store, scrutiny: Scrutiny) -> None:
    """When the agency is added, and for each delivery to one that reads it not."""
    atis = Agency("atis-desk", "192.0.2.30", 41900, "atis-1000013")
    scrutiny.check_agency(atis, None)
    scrutiny.check_agency(atis, "us")
    with pytest.raises(RefusedError, match="family atis, which an agency with profile uk cannot read"):
        scrutiny.check_agency(atis, "uk")
    with pytest.raises(UnavailableError, match="no profile"):
        scrutiny.check_agency(atis, "atlantis")
    with pytest.raises(UsageError):
        scrutiny.check_agency(atis, 7)  # type: ignore[arg-type]
    scrutiny.set_agency_profile("yard", "uk")
    text = order(agencies=("yard",)).replace('agency = "yard"', 'agency = "yard"\nformat = "atis-1000013"')
    problem = scrutiny.blast(scrutiny.read(text, "order.toml")).deliveries[0].problem
    assert "cannot carry" in problem or "cannot read" in problem
    found = scrutiny.agency_profile("yard")
    assert found is not None
    assert found.name == "uk"
    scrutiny.set_agency_profile("yard", None)
    assert scrutiny.agency_profile("yard") is None


def test_unknown_agencies_and_formats_stand_against_it(scrutiny: Scrutiny) -> None:
    """Each delivery says why it must not be."""
    text = order(agencies=("nobody", "sheriff")).replace('agency = "sheriff"', 'agency = "sheriff"\nformat = "fax"')
    found = scrutiny.blast(scrutiny.read(text, "order.toml"))
    assert [each.problem for each in found.deliveries] == [
        "there is no agency of that name", "the format fax cannot carry an order for headers",
    ]  # fmt: skip
    assert {each.code for each in found.refusals} == {"delivery"}


def test_names_that_a_format_cannot_carry_stand_against_it(scrutiny: Scrutiny, store: Store) -> None:
    """A case of 26 characters is refused before anybody approves the order: ATIS-1000013 takes 25; pcapng takes it."""
    store.add_agency(Agency("marshal", "192.0.2.30", 41900, "atis-1000013"))
    for agency, length in (("marshal", 25), ("sheriff", 26)):
        scrutiny.admit(scrutiny.read(_with_case(order(agencies=(agency,)), "C" * length), "order.toml"), "order.toml")
    file = scrutiny.read(_with_case(order(agencies=("marshal",)), "C" * 26), "order.toml")
    with pytest.raises(UnlawfulWarrantError, match=r"caseId"):
        scrutiny.admit(file, "order.toml")


def _with_case(text: str, case: str) -> str:
    return re.sub(r'case_id = ".*"', f'case_id = "{case}"', text)


def test_the_sites_own_authorities_judge(home: Home, store: Store) -> None:
    """A shorter term in authorities.d refuses a file that the package would take."""
    folder = home.make_folder(home.root / "authorities.d")
    (folder / "own.toml").write_text('[[authority]]\nkind = "pen-trap"\nlongest = "1 hour"\n')
    with pytest.raises(UnlawfulWarrantError, match="lasts at most 1 hour"):
        Scrutiny(home, read_site(home), store).read(order(), "order.toml")
    (folder / "own.toml").write_text("= 1")
    with pytest.raises(UsageError, match=r"own.toml is not TOML"):
        Scrutiny(home, read_site(home), store)


def test_the_check_is_recorded_and_answers_for_files_and_orders(scrutiny: Scrutiny, store: Store) -> None:
    """A file or a stored order; that somebody looked stands in the record before the answer."""
    notes: Any = Notes()
    actor: Any = object()
    desk = CheckDesk(scrutiny, store, notes)
    found = desk.check(actor, text=order(), name="order.toml")
    assert (found["name"], found["kind"], found["mode"], found["refusals"]) == ("order.toml", "pen-trap", "headers", [])
    draft = store.draft(scrutiny.read(order(), "order.toml"), OPERATOR, now_ns())
    assert desk.check(actor, order=draft.id)["name"] == draft.id
    store.revoke(draft.id, now_ns())
    with pytest.raises(RefusedError, match="is revoked"):
        desk.check(actor, order=draft.id)
    assert notes.notes == [("read.check", None), ("read.check", draft.id), ("read.check", draft.id)]
    for wrong in ({}, {"text": 7}, {"order": 7}, {"text": order(), "name": 7}):
        with pytest.raises(UsageError):
            desk.check(actor, **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("plan", ['shared = ["x"]', "shared = 1", 'shared = ["203.0.113.7/24"]', "mood = 1"])
def test_a_wrong_network_plan_says_where(home: Home, plan: str) -> None:
    """lictl.toml is refused with the key."""
    text = home.site_file.read_text().partition("[network]")[0]
    home.site_file.write_text(f"{text}[network]\n{plan}\n")
    with pytest.raises(LictlError, match=r"network\."):
        read_site(home)


def test_a_site_without_a_plan(tmp_path: Path) -> None:
    """It has an empty one, which stands nowhere."""
    home = Home(tmp_path / "home")
    make_site(home, Site(operator="X", element="Y", country="US"))
    assert read_site(home).network == NetworkPlan()
    assert "network" not in home.site_file.read_text()
