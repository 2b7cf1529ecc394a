# SPDX-License-Identifier: Apache-2.0
"""Acts on the store, on both databases: two people, emergencies, instruments, the first interception, the end."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

import pytest
from sqlalchemy import text
from warrant_people import ALICE, ALICE_BY_SUDO, BOB, CAROL, approved, in_force
from warrant_texts import DAY_NS, NOW_NS, build_text

from lictl.errors import IntegrityError, RefusedError, UsageError
from lictl.service.telling import addresses_ever
from lictl.targets import layout
from lictl.times import parse_rfc3339
from lictl.warrants.model import to_armed
from lictl.warrants.records import NO_SLOT
from lictl.warrants.states import OVER, State
from lictl.warrants.who import Who

if TYPE_CHECKING:
    from collections.abc import Callable

    from lictl.warrants.model import WarrantFile
    from lictl.warrants.store import Store

FileWith: TypeAlias = "Callable[..., WarrantFile]"
EMERGENCY = {
    "authority.kind": '"title-iii-emergency"',
    "authority.citation": '"18 USC 2518(7)"',
    "authority.designated_by": '"Attorney General"',
    "authority.grounds": '"danger of death"',
    "intercept.ends": "2026-03-03T12:00:00Z",
}
ENDS = parse_rfc3339("2026-03-30T00:00:00Z")
LATER = parse_rfc3339("2026-04-09T00:00:00Z")
EXTENSION = {"intercept.starts": "2026-03-29T00:00:00Z", "intercept.ends": "2026-04-09T00:00:00Z"}
CONSENT = {"authority.kind": '"consent"', "authority.citation": '"18 USC 2511(2)(c)"'}
TWO_TARGETS = {"intercept.targets": '["ip:203.0.113.7", "mac:02:00:00:00:00:07"]'}


@pytest.fixture
def store(either: Store) -> Store:
    """On both databases."""
    return either


def further(store: Store, act: str, file: WarrantFile) -> str:
    """An extension or amendment of W-1 that alice submitted; returns the order's id."""
    getattr(store, act)("W-1", file, ALICE, NOW_NS)
    return store.submit("W-1", ALICE, NOW_NS).id


def test_a_life(store: Store, file_with: FileWith) -> None:
    """From draft to closed, with who did what and when."""
    drafted = store.draft(file_with(), ALICE, NOW_NS)
    assert (drafted.state, drafted.slot, drafted.submitted_by) == ("draft", NO_SLOT, None)
    assert store.submit("W-1", ALICE, NOW_NS + 1).state == "submitted"
    order = store.approve("W-1", BOB, NOW_NS + 2, reason="seen the paper", confirm_shared=True)
    assert (order.state, order.slot, order.generation) == ("approved", 0, 1)
    (only,) = order.instruments
    assert (only.drafted_by, only.submitted_by, only.approved_by) == (ALICE, ALICE, BOB)
    assert (only.drafted_ns, only.submitted_ns, only.approved_ns) == (NOW_NS, NOW_NS + 1, NOW_NS + 2)
    assert (only.reason, only.confirmed_shared) == ("seen the paper", True)
    assert store.armed("W-1", NOW_NS).state == store.armed("W-1", NOW_NS).state == "active"
    assert store.suspend("W-1").state == "suspended"
    assert [each.id for each in store.live(NOW_NS)] == []
    assert [each.id for each in store.unfinished()] == ["W-1"]
    assert store.resume("W-1", BOB, NOW_NS).state == "approved"
    assert store.revoke("W-1", NOW_NS + 9).state == "revoked"
    with pytest.raises(RefusedError, match="its agencies do not have all of it yet"):
        store.close_order("W-1", NOW_NS, {})
    store.release_slot("W-1")
    closed = store.close_order("W-1", NOW_NS + 10, {"matched": 7})
    assert (closed.state, closed.closed_ns, closed.summary) == ("closed", NOW_NS + 10, {"matched": 7})
    assert closed.targets == order.targets
    assert store.unfinished() == []


def test_a_draft_is_nowhere(store: Store, file_with: FileWith) -> None:
    """What nobody approved holds no slot, is not live, and cannot be compiled."""
    for order in (store.draft(file_with(), ALICE, NOW_NS), store.submit("W-1", ALICE, NOW_NS)):
        with pytest.raises(RefusedError, match="was never approved"):
            to_armed(order)
    assert store.live(NOW_NS) == store.unfinished() == []
    with store._database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM slots")).scalar() == 0


@pytest.mark.parametrize("second", [ALICE, ALICE_BY_SUDO, Who(2001, "alice"), Who(2009, "x", 2001)])
def test_one_person_is_not_two(second: Who, store: Store, file_with: FileWith) -> None:
    """The submitter cannot approve, not by another user id either as long as the login behind it is the same."""
    store.draft(file_with(), BOB, NOW_NS)
    store.submit("W-1", ALICE, NOW_NS)
    with pytest.raises(RefusedError, match="alice submitted W-1/1 and cannot approve it: two people are needed"):
        store.approve("W-1", second, NOW_NS)
    assert store.get("W-1").state == "submitted"
    assert store.approve("W-1", CAROL, NOW_NS).state == "approved"
    store.suspend("W-1")
    with pytest.raises(RefusedError, match="cannot resume it"):
        store.resume("W-1", second, NOW_NS)


def test_the_submitter_counts_not_the_drafter(store: Store, file_with: FileWith) -> None:
    """After a rejection another person may submit; then the first one may approve."""
    store.draft(file_with(), ALICE, NOW_NS)
    store.submit("W-1", ALICE, NOW_NS)
    back = store.reject("W-1", "wrong docket")
    assert (back.state, back.instruments[0].reason, back.submitted_by) == ("draft", "wrong docket", None)
    store.submit("W-1", BOB, NOW_NS)
    assert store.approve("W-1", ALICE, NOW_NS).approved_by == ALICE


def test_the_database_itself_wants_two_people(store: Store, file_with: FileWith) -> None:
    """A row that says one person did both is refused below the code."""
    approved(store, file_with())
    for statement in (
        "UPDATE instruments SET approved_uid = submitted_uid",
        "UPDATE instruments SET approved_uid = NULL",
        "UPDATE warrants SET slot = NULL, generation = NULL",
        "UPDATE warrants SET state = 'draft'",
    ):
        with pytest.raises(IntegrityError, match="refuses a change"), store._database.write() as connection:
            connection.execute(text(statement))


def test_an_emergency_needs_one_person(store: Store, file_with: FileWith) -> None:
    """Under an emergency authority one person submits and approves; it says so, and it ends by itself."""
    order = store.draft(file_with(EMERGENCY), ALICE, NOW_NS, emergency=True)
    store.submit(order.id, ALICE, NOW_NS)
    order = store.approve(order.id, ALICE, NOW_NS)
    assert (order.state, order.emergency, order.kind) == ("approved", True, "title-iii-emergency")
    assert [each.id for each in store.expire(order.ends_ns)] == ["W-1"]


def test_emergency_is_what_the_authority_says(store: Store, file_with: FileWith) -> None:
    """An ordinary authority is no emergency; an emergency one that is not called so takes two people."""
    with pytest.raises(RefusedError, match="Title III wiretap order is no emergency authority"):
        store.draft(file_with(), ALICE, NOW_NS, emergency=True)
    assert store.list() == []
    store.draft(file_with(EMERGENCY), ALICE, NOW_NS)
    store.submit("W-1", ALICE, NOW_NS)
    with pytest.raises(RefusedError, match="two people are needed"):
        store.approve("W-1", ALICE, NOW_NS)


def test_an_emergency_becomes_an_order_by_two_people(store: Store, file_with: FileWith) -> None:
    """The order applied for follows as an extension, which one person alone cannot approve; no second emergency."""
    store.draft(file_with(EMERGENCY), ALICE, NOW_NS, emergency=True)
    store.submit("W-1", ALICE, NOW_NS)
    store.approve("W-1", ALICE, NOW_NS)
    with pytest.raises(RefusedError, match="an emergency cannot be extended by another one"):
        store.extend("W-1", file_with(EMERGENCY | {"intercept.ends": "2026-03-03T20:00:00Z"}), ALICE, NOW_NS)
    further(store, "extend", file_with())
    with pytest.raises(RefusedError, match="two people are needed"):
        store.approve("W-1", ALICE, NOW_NS)
    order = store.approve("W-1", BOB, NOW_NS)
    assert (order.ends_ns, [each.kind for each in order.instruments]) == (ENDS, ["title-iii-emergency", "title-iii"])


def test_nothing_goes_on_behind_the_end(store: Store, file_with: FileWith) -> None:
    """Submitting, approving, arming and resuming are refused from the end on."""
    store.draft(file_with(), ALICE, NOW_NS)
    with pytest.raises(RefusedError, match="The order ended at"):
        store.submit("W-1", ALICE, ENDS)
    store.submit("W-1", ALICE, NOW_NS)
    with pytest.raises(RefusedError, match="The order ended at"):
        store.approve("W-1", BOB, ENDS)
    store.approve("W-1", BOB, NOW_NS)
    with pytest.raises(RefusedError, match="The order ended at"):
        store.armed("W-1", ENDS)
    store.suspend("W-1")
    with pytest.raises(RefusedError, match="The order ended at"):
        store.resume("W-1", BOB, ENDS)


def test_a_wrong_clock_ends_nothing_for_good(store: Store, file_with: FileWith) -> None:
    """While the clock is not trusted what seems over is not live, and is live again when it was put right."""
    in_force(store, file_with())
    assert store.expire(ENDS + DAY_NS, trusted=False) == []
    assert store.live(ENDS + DAY_NS) == []
    assert [each.state for each in store.live(NOW_NS)] == ["active"]
    assert [each.id for each in store.expire(ENDS)] == ["W-1"]
    assert store.live(NOW_NS) == []


def test_every_state_expires(store: Store, file_with: FileWith) -> None:
    """Drafts and submissions too; they never held a slot."""
    store.draft(file_with(), ALICE, NOW_NS)
    store.draft(file_with({"intercept.liid": '"b"'}), ALICE, NOW_NS)
    store.submit("W-2", ALICE, NOW_NS)
    approved(store, file_with({"intercept.liid": '"c"'}))
    store.suspend("W-3")
    assert [(each.state, each.released) for each in store.expire(ENDS)] == [
        ("expired", True), ("expired", True), ("expired", False),
    ]  # fmt: skip
    assert store.close_order("W-1", ENDS, {}).state == "closed"


def test_an_extension_changes_nothing_before_its_approval(store: Store, file_with: FileWith) -> None:
    """Drafted, submitted, rejected: the window stays; approved: it is longer, with the chain shown."""
    first = in_force(store, file_with())
    assert store.extend("W-1", file_with(EXTENSION), ALICE, NOW_NS).ends_ns == ENDS
    assert store.submit("W-1", ALICE, NOW_NS).ends_ns == ENDS
    assert store.reject("W-1", "not readable").ends_ns == ENDS
    with pytest.raises(RefusedError, match="The extension W-1/2 is draft: approve is not possible"):
        store.approve("W-1", BOB, NOW_NS)
    store.submit("W-1", ALICE, NOW_NS)
    order = store.approve("W-1", BOB, NOW_NS)
    assert (order.state, order.ends_ns, order.claim) == ("active", LATER, first.claim)
    assert [(each.position, each.act, each.state) for each in order.instruments] == [
        (1, "original", "approved"), (2, "extension", "approved"),
    ]  # fmt: skip
    assert [each.id for each in store.live(ENDS)] == ["W-1"]


def test_one_instrument_waits_at_a_time(store: Store, file_with: FileWith) -> None:
    """A second one is refused until the first is withdrawn or approved."""
    in_force(store, file_with())
    with pytest.raises(RefusedError, match="has no extension or amendment that waits"):
        store.withdraw("W-1")
    store.extend("W-1", file_with(EXTENSION), ALICE, NOW_NS)
    with pytest.raises(RefusedError, match="The extension W-1/2 is draft already"):
        store.amend("W-1", file_with(TWO_TARGETS), ALICE, NOW_NS)
    store.withdraw("W-1")
    with pytest.raises(RefusedError, match="Order W-1 is active: submit is not possible"):
        store.submit("W-1", ALICE, NOW_NS)
    order = store.amend("W-1", file_with(TWO_TARGETS), ALICE, NOW_NS)
    assert [each.state for each in order.instruments] == ["approved", "withdrawn", "draft"]


@pytest.mark.parametrize(
    ("act", "edits", "kind", "reason"),
    [
        ("extend", {"intercept.liid": '"other"'}, UsageError, "has another LIID than order W-1"),
        ("extend", {"intercept.case_id": '"other"'}, UsageError, "has another case than order W-1"),
        ("extend", {"delivery.agency": '"fbi"'}, UsageError, "has another delivery than order W-1"),
        ("extend", {"intercept.mode": '"headers"'}, UsageError, "has another mode than order W-1"),
        ("extend", TWO_TARGETS, UsageError, "has another set of targets than order W-1"),
        ("extend", {"intercept.starts": "2026-03-30T00:00:01Z"}, RefusedError, "after order W-1 ends"),
        ("extend", {"intercept.ends": "2026-03-30T00:00:00Z"}, RefusedError, "not after order W-1"),
        ("extend", CONSENT, RefusedError, "rests on consent"),
        ("amend", {}, UsageError, "names the targets that order W-1 has already"),
        ("amend", TWO_TARGETS | {"intercept.mode": '"headers"'}, UsageError, "has another mode"),
    ],
)  # fmt: skip
def test_instruments_that_cannot_follow(
    act: str, edits: dict[str, str], kind: type[Exception], reason: str, store: Store, file_with: FileWith
) -> None:
    """What is about something else, leaves a gap, gives no more time, or rests on another law."""
    in_force(store, file_with())
    with pytest.raises(kind, match=reason):
        getattr(store, act)("W-1", file_with((EXTENSION if act == "extend" else {}) | edits), ALICE, NOW_NS)
    assert len(store.get("W-1").instruments) == 1


def test_only_held_orders_have_further_instruments(store: Store, file_with: FileWith) -> None:
    """Not a draft, not one that is over; what waits when an order ends waits in vain."""
    store.draft(file_with(), ALICE, NOW_NS)
    with pytest.raises(RefusedError, match="Order W-1 is draft: extend is not possible"):
        store.extend("W-1", file_with(EXTENSION), ALICE, NOW_NS)
    store.submit("W-1", ALICE, NOW_NS)
    store.approve("W-1", BOB, NOW_NS)
    further(store, "extend", file_with(EXTENSION))
    store.revoke("W-1", NOW_NS)
    for act in (
        lambda: store.approve("W-1", BOB, NOW_NS),
        lambda: store.reject("W-1", "x"),
        lambda: store.withdraw("W-1"),
        lambda: store.amend("W-1", file_with(TWO_TARGETS), ALICE, NOW_NS),
    ):
        with pytest.raises(RefusedError, match="is revoked"):
            act()


def test_an_amendment_changes_the_targets(store: Store, file_with: FileWith) -> None:
    """Added and removed by instruments alone; the flags of the slot follow the kinds of target.

    What it named before is known as long as the order is: an agency may have been told of it.
    """
    in_force(store, file_with())
    further(store, "amend", file_with(TWO_TARGETS))
    assert [str(each) for each in store.get("W-1").targets] == ["ip:203.0.113.7"]
    order = store.approve("W-1", BOB, NOW_NS)
    assert [str(each) for each in order.targets] == ["ip:203.0.113.7", "mac:02:00:00:00:00:07"]
    assert order.flags == layout.SLOT_ACCESS_ONLY
    further(store, "amend", file_with({"intercept.targets": '["ip:198.51.100.1"]'}))
    order = store.approve("W-1", BOB, NOW_NS)
    assert ([str(each) for each in order.targets], order.flags) == (["ip:198.51.100.1"], 0)
    assert [str(each) for each in order.instruments[0].targets] == ["ip:203.0.113.7"]
    assert list(dict.fromkeys(addresses_ever(order))) == [("198.51.100.1",), ("203.0.113.7",)]
    further(store, "extend", file_with(EXTENSION | {"intercept.targets": '["ip:198.51.100.1"]'}))
    assert store.approve("W-1", BOB, NOW_NS).ends_ns == LATER


def test_an_amendment_never_makes_it_longer(store: Store, file_with: FileWith) -> None:
    """A later end is not taken, an earlier one is; it takes effect when it has begun."""
    in_force(store, file_with({"intercept.ends": "2026-03-20T00:00:00Z"}))
    further(store, "amend", file_with(TWO_TARGETS))
    assert store.approve("W-1", BOB, NOW_NS).ends_ns == parse_rfc3339("2026-03-20T00:00:00Z")
    less = {"intercept.targets": '["ip:203.0.113.7"]', "intercept.starts": "2026-03-05T00:00:00Z"}
    further(store, "amend", file_with(less | {"intercept.ends": "2026-03-15T00:00:00Z"}))
    with pytest.raises(RefusedError, match="The amendment begins at 2026-03-05T00:00:00Z"):
        store.approve("W-1", BOB, NOW_NS)
    order = store.approve("W-1", BOB, NOW_NS + 4 * DAY_NS)
    assert order.ends_ns == parse_rfc3339("2026-03-15T00:00:00Z")


def test_the_first_interception_is_kept_once(store: Store, file_with: FileWith) -> None:
    """The earliest counts; an order that a court signed for less than the statute is not made longer."""
    in_force(store, file_with())
    assert store.took("W-1", NOW_NS + 5).first_taken_ns == NOW_NS + 5
    assert store.took("W-1", NOW_NS + 9).first_taken_ns == NOW_NS + 5
    order = store.took("W-1", NOW_NS + 1)
    assert (order.first_taken_ns, order.ends_ns) == (NOW_NS + 1, ENDS)
    store.revoke("W-1", NOW_NS + 20)
    order = store.took("W-1", NOW_NS)
    assert (order.first_taken_ns, order.ends_ns) == (NOW_NS, NOW_NS + 20)


def test_a_destroyed_key_leaves_counts_alone(store: Store, file_with: FileWith) -> None:
    """After closing, what names the subject can be made unreadable for good; the rest stays."""
    in_force(store, file_with())
    assert len(store.warrant_key("W-1")) == 32
    store.revoke("W-1", NOW_NS)
    with pytest.raises(RefusedError, match="its key is still needed"):
        store.destroy_key("W-1", NOW_NS)
    store.release_slot("W-1")
    store.close_order("W-1", NOW_NS, {"matched": 7})
    order = store.destroy_key("W-1", NOW_NS + 1)
    assert (order.targets, order.text, dict(order.authority)) == ((), "", {})
    assert (order.key_destroyed_ns, order.summary, order.liid) == (NOW_NS + 1, {"matched": 7}, "LIID0117")
    assert order.instruments[0].targets == ()
    assert store.get("W-1") == order
    for act in (lambda: store.warrant_key("W-1"), lambda: store.destroy_key("W-1", NOW_NS)):
        with pytest.raises(RefusedError, match="was destroyed"):
            act()


def test_inabilities_are_noted_one_after_the_other(store: Store, file_with: FileWith) -> None:
    """Each with who, when and why, in any state that is not over; their end is noted for all that last; no more."""
    drafted = store.draft(file_with(), ALICE, NOW_NS)
    assert store.unable("W-1", "no port", ALICE, NOW_NS + 1).state == "draft"
    store.submit("W-1", ALICE, NOW_NS)
    store.approve("W-1", BOB, NOW_NS)
    before = store.armed("W-1", NOW_NS)
    noted = store.unable("W-1", "the account moved", BOB, NOW_NS + 2)
    assert replace(noted, inabilities=before.inabilities) == before
    assert [(each.noted_by, each.noted_ns, each.reason, each.lasts) for each in noted.inabilities] == [
        (ALICE, NOW_NS + 1, "no port", True), (BOB, NOW_NS + 2, "the account moved", True),
    ]  # fmt: skip
    assert (drafted.unable, noted.unable, store.overview()[0].unable) == (False, True, True)
    restored = store.able("W-1", "a new port", CAROL, NOW_NS + 3)
    assert {(each.restored_by, each.restored_ns, each.restored) for each in restored.inabilities} == {
        (CAROL, NOW_NS + 3, "a new port")
    }
    assert (restored.unable, store.overview()[0].unable) == (False, False)
    with pytest.raises(RefusedError, match="Nothing is noted"):
        store.able("W-1", "again", CAROL, NOW_NS + 4)
    again = store.unable("W-1", "the port is down", ALICE, NOW_NS + 5)
    assert [each.lasts for each in again.inabilities] == [False, False, True]
    assert store.get("W-1") == again
    over = store.revoke("W-1", NOW_NS + 6)
    assert (over.unable, store.overview()[0].unable, over.inabilities[2].lasts) == (False, False, True)
    for act in (store.unable, store.able):
        with pytest.raises(RefusedError, match="is revoked"):
            act("W-1", "too late", ALICE, NOW_NS + 7)
    assert store.get("W-1") == over


def test_a_destroyed_key_takes_the_reasons_of_inabilities_along(store: Store, file_with: FileWith) -> None:
    """When, and who, stay; the reasons cannot be read any more, and nothing is sealed there."""
    in_force(store, file_with())
    store.unable("W-1", "no port", ALICE, NOW_NS + 1)
    store.able("W-1", "a new port", BOB, NOW_NS + 2)
    store.revoke("W-1", NOW_NS + 3)
    store.release_slot("W-1")
    store.close_order("W-1", NOW_NS + 4, {})
    (left,) = store.destroy_key("W-1", NOW_NS + 5).inabilities
    assert (left.noted_by, left.noted_ns, left.restored_by, left.restored_ns) == (ALICE, NOW_NS + 1, BOB, NOW_NS + 2)
    assert (left.reason, left.restored) == (None, None)
    with store._database.read() as connection:
        assert connection.execute(text("SELECT sealed_reason, sealed_restored FROM inabilities")).all() == [
            (None, None)
        ]


def test_every_order_has_its_own_key_and_folder(store: Store, file_with: FileWith) -> None:
    """No two orders share a key or the name of their folders."""
    for liid in "abc":
        approved(store, file_with({"intercept.liid": f'"{liid}"'}))
    assert len({store.warrant_key(liid) for liid in "abc"}) == 3
    assert len({order.uuid for order in store.list()}) == 3


def test_what_was_moved_does_not_open(store: Store, file_with: FileWith) -> None:
    """Another order's sealed targets in an order's row are refused, and so are those of an earlier instrument."""
    approved(store, file_with())
    approved(store, file_with({"intercept.liid": '"b"', "intercept.targets": '["ip:198.51.100.1"]'}))
    with store._database.write() as connection:
        connection.execute(text("UPDATE warrants SET sealed_targets = (SELECT sealed_document FROM instruments"
                                " WHERE warrant = 1) WHERE number = 1"))  # fmt: skip
        connection.execute(text("UPDATE warrants SET sealed_targets = (SELECT sealed_targets FROM warrants"
                                " WHERE number = 1) WHERE number = 2"))  # fmt: skip
    store._reader.forget()
    for name in ("W-1", "W-2"):
        with pytest.raises(IntegrityError, match="A sealed value does not open"):
            store.get(name)


def test_lists_without_secrets(store: Store, file_with: FileWith) -> None:
    """An overview has what a list needs, by state, and opens nothing that is sealed."""
    in_force(store, file_with())
    store.draft(file_with({"intercept.liid": '"b"'}), ALICE, NOW_NS)
    with store._database.write() as connection:
        connection.execute(text("UPDATE warrant_keys SET wrapped = sealed_targets FROM warrants"))
    first, second = store.overview()
    assert (first.id, first.state, first.kind, first.agencies) == ("W-1", "active", "title-iii", ("sheriff",))
    assert [each.id for each in store.overview({State.DRAFT})] == [second.id]
    assert store.overview(OVER) == []


def test_notes_and_the_head_of_the_chain(store: Store) -> None:
    """The last writing counts; nothing is there before."""
    assert (store.note("trusted"), store.audit_head()) == (None, None)
    for value in ("1", "2"):
        store.keep_note("trusted", value)
        store.set_audit_head(int(value), "ab" * 32, NOW_NS)
    assert (store.note("trusted"), store.audit_head()) == ("2", (2, "ab" * 32))


def test_a_text_of_a_file_survives(store: Store, file_with: FileWith) -> None:
    """The file comes back byte for byte, with whatever characters it has."""
    edits = {"authority.signed_by": '"Jürgen Çelik \\u4e2d"'}
    assert approved(store, file_with(edits)).text == build_text(edits)
