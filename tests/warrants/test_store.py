# SPDX-License-Identifier: Apache-2.0
"""The store: agencies, orders, slots, and that nothing is ever half done."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import bounded
import pytest
from sqlalchemy import text
from warrant_people import ALICE, BOB, approved, in_force
from warrant_texts import DAY_NS, NOW_NS

from lictl.delivery.config import Transport
from lictl.errors import IntegrityError, RefusedError, UnavailableError, UsageError
from lictl.targets import layout
from lictl.targets.compile import compile
from lictl.targets.grammar import parse
from lictl.times import parse_rfc3339
from lictl.warrants.model import Agency, Warrant, WarrantFile, to_armed
from lictl.warrants.records import NO_SLOT

if TYPE_CHECKING:
    from collections.abc import Callable

    from lictl.warrants.store import Store

ENDS = parse_rfc3339("2026-03-30T00:00:00Z")
FileWith: TypeAlias = "Callable[..., WarrantFile]"
PEN = {"authority.kind": '"pen-trap"', "authority.citation": '"18 USC 3123"', "intercept.mode": '"headers"'}


@pytest.fixture
def store(either: Store) -> Store:
    """On both databases."""
    return either


def set_row(store: Store, statement: str, *values: dict[str, int]) -> None:
    """Changes the database behind the store's back."""
    with store._database.write() as connection:
        connection.execute(text(statement), values or None)


def test_an_order_comes_back_as_it_was_given(store: Store, file_with: FileWith) -> None:
    """Every field of the order, its file word for word, slot 0 of generation 1."""
    file = file_with(
        PEN
        | {
            "intercept.targets": '["ip:203.0.113.7/32", "mac:02-00-00-00-00-07", "ip:198.51.100.9 ports:1-9"]',
            "intercept.ports": "false",
            "intercept.length": "false",
            "delivery.format": '"text"',
        }
    )
    added = in_force(store, file)
    assert store.get("W-1") == store.get("LIID0117") == added == store.list()[0]
    assert (added.id, added.liid, added.case_id, added.mode, added.state) == (
        "W-1", "LIID0117", "CASE-1", "headers", "active",
    )  # fmt: skip
    assert (added.starts_ns, added.ends_ns) == (parse_rfc3339("2026-03-02T00:00:00Z"), ENDS)
    assert (added.slot, added.generation, added.claim) == (0, 1, 4096)
    assert added.flags == layout.SLOT_ACCESS_ONLY | layout.SLOT_NO_PORTS | layout.SLOT_NO_LENGTH
    assert [str(target) for target in added.targets] == [
        "ip:203.0.113.7", "mac:02:00:00:00:00:07", "ip:198.51.100.9 ports:1-9",
    ]  # fmt: skip
    assert [(each.agency, each.format) for each in added.deliveries] == [("sheriff", "text")]
    assert added.authority["kind"] == "pen-trap"
    assert added.authority["signed_at"] == parse_rfc3339("2026-03-01T12:00:00Z")
    assert added.text == file.text
    assert (added.added_ns, added.ended_ns, added.released, added.incarnation, added.base) == (
        NOW_NS, None, False, None, {},
    )  # fmt: skip


def test_no_representation_names_a_target(store: Store, file_with: FileWith) -> None:
    """An order's repr can stand in a log: no address, no file."""
    added = in_force(store, file_with())
    for value in (added, to_armed(added)):
        assert "203.0.113.7" not in repr(value)
        assert "203, 0, 113" not in repr(value)


def test_armed_orders_compile(store: Store, file_with: FileWith) -> None:
    """`to_armed` carries slot, generation, mode and window into the kernel's slot."""
    added = in_force(store, file_with())
    slots = compile([to_armed(added)]).slots
    assert layout.SLOT.unpack(slots[0]) == (1, layout.MODE_CONTENT, 0, added.starts_ns, added.ends_ns)


def test_live_holds_future_orders_and_drops_ended_ones(store: Store, file_with: FileWith) -> None:
    """An order that starts later is armed early; one past its end is not, even before it was marked expired."""
    in_force(store, file_with())
    in_force(store, file_with({"intercept.liid": '"later"', "intercept.starts": "2026-03-20T00:00:00Z"}))
    assert [warrant.liid for warrant in store.live(NOW_NS)] == ["LIID0117", "later"]
    assert [warrant.id for warrant in store.live(ENDS - 1)] == ["W-1", "W-2"]
    assert store.live(ENDS) == []
    assert store.get("W-1").state == "active"


def test_expire_ends_exactly_what_is_over(store: Store, file_with: FileWith) -> None:
    """Expiry is at the end itself, once, and only of orders whose window is over."""
    in_force(store, file_with({"intercept.ends": "2026-03-10T00:00:00Z"}))
    in_force(store, file_with({"intercept.liid": '"b"'}))
    at = parse_rfc3339("2026-03-10T00:00:00Z")
    assert store.expire(at - 1) == []
    (expired,) = store.expire(at)
    assert (expired.id, expired.state, expired.ended_ns, expired.ends_ns) == ("W-1", "expired", at, at)
    assert store.expire(at + 1) == []
    assert [warrant.id for warrant in store.live(at)] == ["W-2"]


def test_revoke_ends_the_window_now(store: Store, file_with: FileWith) -> None:
    """A revoked order's end is the revocation; revoking again is refused and changes nothing."""
    in_force(store, file_with())
    revoked = store.revoke("LIID0117", NOW_NS + 5)
    assert (revoked.state, revoked.ends_ns, revoked.ended_ns) == ("revoked", NOW_NS + 5, NOW_NS + 5)
    with pytest.raises(RefusedError, match=r"Order W-1 is revoked: revoke is not possible\."):
        store.revoke("W-1", NOW_NS + 9)
    assert store.get("W-1") == revoked
    assert store.live(NOW_NS) == []


def test_revoking_after_the_end_does_not_move_it(store: Store, file_with: FileWith) -> None:
    """The end of the window never becomes later."""
    in_force(store, file_with())
    assert store.revoke("W-1", ENDS + DAY_NS).ends_ns == ENDS


def test_an_expired_order_cannot_be_added(store: Store, file_with: FileWith) -> None:
    """A file that was lawful when it was read is judged again when it is added."""
    with pytest.raises(RefusedError, match="The order ended at 2026-03-30T00:00:00Z"):
        store.draft(file_with(), ALICE, ENDS)
    assert store.list() == []


def test_unknown_agencies_are_refused_whole(store: Store, file_with: FileWith) -> None:
    """The second delivery names nobody: no order, no slot taken."""
    file = file_with({"delivery.agency": '"sherif"'})
    with pytest.raises(UnavailableError, match=r"no agency 'sherif'\. Did you mean sheriff\?"):
        in_force(store, file)
    assert store.list() == []
    assert in_force(store, file_with()).claim == 4096


def test_one_live_liid_an_agency(store: Store, file_with: FileWith) -> None:
    """An agency has one live order of a LIID; another agency may, and the same one again once it is over."""
    in_force(store, file_with())
    with pytest.raises(RefusedError, match="Order W-1 for agency sheriff has LIID LIID0117 already"):
        in_force(store, file_with())
    assert (store.get("W-2").state, store.get("W-2").slot) == ("submitted", NO_SLOT)
    assert in_force(store, file_with({"delivery.agency": '"fbi"'})).id == "W-3"
    store.revoke("W-1", NOW_NS)
    assert store.approve("W-2", BOB, NOW_NS).state == "approved"


def test_several_orders_of_one_case(store: Store, file_with: FileWith) -> None:
    """A case may have several intercepts."""
    for liid in ("a", "b"):
        in_force(store, file_with({"intercept.liid": f'"{liid}"'}))
    assert {warrant.case_id for warrant in store.list()} == {"CASE-1"}


def test_names_are_never_guessed(store: Store, file_with: FileWith) -> None:
    """A LIID means its order in force, else its only one; what could be two is refused with both ids."""
    in_force(store, file_with())
    store.revoke("W-1", NOW_NS)
    in_force(store, file_with())
    assert store.get("LIID0117").id == "W-2"
    store.revoke("LIID0117", NOW_NS)
    with pytest.raises(UsageError, match=r"'LIID0117' could be W-1, W-2\."):
        store.get("LIID0117")
    in_force(store, file_with({"intercept.liid": '"W-1"'}))
    with pytest.raises(UsageError, match=r"'W-1' could be W-1, W-3\."):
        store.revoke("W-1", NOW_NS)
    for nobody in ("W-9", "w-1", "W-01", "", "x' OR 1=1 --", "W-" + "9" * 18, "W-" + "9" * 40):
        with pytest.raises(UnavailableError, match="There is no order"):
            store.get(nobody)


def test_a_slot_waits_for_its_release(store: Store, file_with: FileWith) -> None:
    """An ended order keeps its slot until its target entries are gone; then the slot returns with a new generation."""
    first = in_force(store, file_with())
    with pytest.raises(RefusedError, match="Order W-1 is active and keeps its slot"):
        store.release_slot("W-1")
    store.revoke("W-1", NOW_NS)
    assert [warrant.id for warrant in store.unfinished()] == ["W-1"]
    second = in_force(store, file_with())
    assert (second.slot, second.generation) == (1, 1)
    store.release_slot("W-1")
    assert [warrant.id for warrant in store.unfinished()] == ["W-2"]
    third = in_force(store, file_with({"intercept.liid": '"c"'}))
    assert (third.slot, third.generation) == (0, 2)
    store.release_slot("W-1")
    fourth = in_force(store, file_with({"intercept.liid": '"d"'}))
    assert (fourth.slot, fourth.generation) == (2, 1)
    assert store.get("W-1").claim == first.claim
    assert len({warrant.claim for warrant in store.list()}) == 4


def test_a_slot_without_generations_left_is_retired(store: Store, file_with: FileWith) -> None:
    """After the last generation the slot is never given out again."""
    in_force(store, file_with())
    store.revoke("W-1", NOW_NS)
    store.release_slot("W-1")
    set_row(store, "UPDATE slots SET generation = :generation", {"generation": layout.GENERATION_MAX - 1})
    last = in_force(store, file_with())
    assert (last.slot, last.generation) == (0, layout.GENERATION_MAX)
    store.revoke("W-2", NOW_NS)
    store.release_slot("W-2")
    assert in_force(store, file_with()).slot == 1


def test_all_slots_taken_is_refused(store: Store, file_with: FileWith) -> None:
    """The 4,097th live order is refused and leaves nothing behind."""
    rows = [{"slot": slot, "generation": layout.GENERATION_MAX} for slot in range(layout.MAX_SLOTS)]
    set_row(store, "INSERT INTO slots (slot, generation) VALUES (:slot, :generation)", *rows)
    with pytest.raises(RefusedError, match="4096 orders are live or wait"):
        in_force(store, file_with())
    assert (store.get("W-1").state, store.get("W-1").slot) == ("submitted", NO_SLOT)


def test_an_id_is_never_given_out_twice(store: Store, file_with: FileWith) -> None:
    """Even a row that was deleted behind the store's back does not free its number."""
    in_force(store, file_with())
    set_row(store, "DELETE FROM deliveries")
    set_row(store, "DELETE FROM slots")
    set_row(store, "DELETE FROM instruments")
    set_row(store, "DELETE FROM warrant_keys")
    set_row(store, "DELETE FROM warrants")
    assert in_force(store, file_with()).id == "W-2"


def test_base_counters_are_kept(store: Store, file_with: FileWith) -> None:
    """Incarnations have 64 bits, counters may be large; the last writing counts."""
    in_force(store, file_with())
    base = {"fbi/text": {"records": (1 << 63) + 1, "classes": {"ring": 7}}}
    store.set_base("W-1", (1 << 64) - 1, base)
    found = store.get("W-1")
    assert (found.incarnation, found.base) == ((1 << 64) - 1, base)
    with pytest.raises(UnavailableError, match="There is no order 'W-2'"):
        store.set_base("W-2", 1, {})


def test_orders_are_armed_together(store: Store, file_with: FileWith) -> None:
    """In one transaction: one whose window ended meanwhile is left as it is and holds up none of the others."""
    for liid, ends in (("a", "2026-03-20T00:00:00Z"), ("b", "2026-03-10T00:00:00Z"), ("c", "2026-03-20T00:00:00Z")):
        approved(store, file_with({"intercept.liid": f'"{liid}"', "intercept.ends": ends}))
    at = parse_rfc3339("2026-03-15T00:00:00Z")
    assert [order.liid for order in store.armed_all(["W-1", "W-2", "W-3"], at)] == ["a", "c"]
    assert [order.state for order in store.list()] == ["active", "approved", "active"]
    assert len(store.armed_all(["W-1", "W-3"], at)) == 2, "again does nothing"


def test_what_opening_takes_is_what_each_question_gives(store: Store, file_with: FileWith) -> None:
    """Keys and agencies read at once are those that are asked for one by one, and so are the refusals."""
    agency = Agency("state", "192.0.2.9", 1, "pcapng", transport=Transport(key="PEM"))
    store.add_agency(agency)
    orders = [approved(store, file_with({"intercept.liid": f'"{liid}"'})) for liid in "ab"]
    other = approved(store, file_with({"intercept.liid": '"c"'}))
    found = store.openings(orders)
    assert [found.key(order) for order in orders] == [store.warrant_key(order.id) for order in orders]
    assert found.receiver("state").agency.transport == store.transport("state") == agency.transport
    assert found.receiver("state").keys.eddsa_pem == store.agency_keys("state").eddsa_pem
    with pytest.raises(UnavailableError, match="There is no agency 'nobody'"):
        found.receiver("nobody")
    with pytest.raises(IntegrityError, match="has no key"):
        found.key(other)


def test_a_failure_half_way_leaves_nothing(store: Store, file_with: FileWith, monkeypatch: Any) -> None:
    """An exception after the order's row was written rolls all of it back, the slot included."""
    monkeypatch.setattr("lictl.warrants.slots.hold", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        in_force(store, file_with())
    monkeypatch.undo()
    assert (store.get("W-1").state, store.get("W-1").approved_by) == ("submitted", None)
    assert store.approve("W-1", BOB, NOW_NS).claim == 4096


def test_agencies_come_and_go(store: Store, file_with: FileWith) -> None:
    """A double name is refused; one that receives cannot go; one that went may come back elsewhere."""
    with pytest.raises(UsageError, match="There is an agency sheriff already"):
        store.add_agency(Agency("sheriff", "192.0.2.1", 1, "text"))
    in_force(store, file_with())
    with pytest.raises(RefusedError, match=r"Agency sheriff receives orders that are not over: W-1\."):
        store.remove_agency("sheriff")
    store.revoke("W-1", NOW_NS)
    store.remove_agency("sheriff")
    with pytest.raises(UnavailableError, match="There is no agency 'sheriff'"):
        store.agency("sheriff")
    with pytest.raises(UnavailableError, match="There is no agency 'sheriff'"):
        store.remove_agency("sheriff")
    assert [each.agency for each in store.get("W-1").deliveries] == ["sheriff"]
    moved = Agency("sheriff", "2001:db8::1", 2, "text", {"encoding": "ascii"})
    store.add_agency(moved)
    assert store.agency("sheriff") == moved


@pytest.mark.parametrize(
    ("agency", "reason"),
    [
        (Agency("../x", "h", 1, "text"), "The agency name '../x' is not a name"),
        (Agency("", "h", 1, "text"), "The agency name '' is not a name"),
        (Agency(".x", "h", 1, "text"), "is not a name"),
        (Agency("x" * 65, "h", 1, "text"), "is not a name"),
        (Agency("x", "h", 1, "a b"), "The format 'a b' is not a name"),
        (Agency("x", "", 1, "text"), "'' is no host"),
        (Agency("x", "a b", 1, "text"), "'a b' is no host"),
        (Agency("x", "192.0.2", 1, "text"), r"'192\.0\.2' is no host"),
        (Agency("x", "-x", 1, "text"), "'-x' is no host"),
        (Agency("x", "h", 0, "text"), "0 is no TCP port"),
        (Agency("x", "h", 65536, "text"), "65536 is no TCP port"),
        (Agency("x", "h", True, "text"), "True is no TCP port"),
        (Agency("x", "h", 1, "text", {"a": "b" * 5000}), "longer than 4096 bytes"),
        (Agency("x", "h", 1, "text", {"a": object()}), "An agency's options are text and numbers"),
    ],
)
def test_agencies_that_cannot_be_are_refused(store: Store, agency: Agency, reason: str) -> None:
    """Names that are paths, hosts that are none, ports out of range, options without end."""
    with pytest.raises(UsageError, match=reason):
        store.add_agency(agency)
    assert len(store.agencies()) == 2


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "a.example", "a_b.example.", "localhost", "x1"])
def test_hosts_that_can_be(store: Store, host: str) -> None:
    """Addresses of both versions and names."""
    store.add_agency(Agency("x", host, 1, "text"))
    assert store.agency("x").host == host


def test_threads_get_different_slots(store: Store, file_with: FileWith) -> None:
    """Orders added at the same moment by several threads each own a slot."""
    files = [file_with({"intercept.liid": f'"L{n}"'}) for n in range(24)]
    added: list[Warrant] = []

    def add(some: list[WarrantFile]) -> None:
        added.extend(in_force(store, file) for file in some)

    bounded.at_once(*[partial(add, files[n::4]) for n in range(4)])
    assert sorted(warrant.slot for warrant in added) == list(range(24))
    assert {warrant.id for warrant in store.live(NOW_NS)} == {warrant.id for warrant in added}


def test_errors_of_the_database_quote_no_parameters(store: Store, file_with: FileWith, monkeypatch: Any) -> None:
    """What SQLAlchemy reports about a failed statement does not hold the order's targets."""
    monkeypatch.setattr("lictl.warrants.slots.take", lambda _: (5000, 1))
    with pytest.raises(IntegrityError, match=r"refuses a change: .*constraint") as caught:
        in_force(store, file_with())
    assert "203.0.113.7" not in str(caught.value)
    assert "LIID0117" not in str(caught.value)


def test_targets_read_back_from_their_texts(store: Store, file_with: FileWith) -> None:
    """A store that is opened anew parses the canonical texts to the same targets."""
    texts = [
        "flow:tcp [2001:db8::1]:1-[2001:db8::2]:2",
        "pppoe:02:00:00:00:00:07/0x00ff",
        "vlan:1.2",
        "ip:2001:db8::/32",
    ]
    quoted = ", ".join(f'"{each}"' for each in texts)
    in_force(store, file_with({"intercept.targets": f"[{quoted}]"}))
    store._reader.forget()
    assert store.get("W-1").targets == tuple(parse(each) for each in texts)
