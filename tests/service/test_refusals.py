# SPDX-License-Identifier: Apache-2.0
"""What is refused for want of a role: in the audit chain, and never enough of it to fill that or to hold anybody up."""

from __future__ import annotations

import os
import socket
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from warrant_people import ALICE
from warrant_texts import NOW_NS, build_text

from lictl.audit.chain import Chain
from lictl.audit.read import Query, entries
from lictl.audit.verify import verify
from lictl.errors import RefusedError
from lictl.home import Home
from lictl.keys.site import SiteKey
from lictl.lab.people import OPERATOR_UID, as_user
from lictl.people.actor import Actor
from lictl.people.permits import PERMITS
from lictl.people.roles import Role, Roles
from lictl.service import messages
from lictl.service.client import Client
from lictl.service.control import ControlServer
from lictl.service.refusals import AT_ONCE, EVERY_S, MOST_USERS, STRANGERS_AT_ONCE, Refusals, subject_of
from lictl.warrants.model import Agency, load
from lictl.warrants.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lictl.audit.entry import Entry

NOBODY = 65534
TARGET = "203.0.113.7"


class Site:
    """A home with an order and a control server that permits nothing which takes a role.

    Attributes:
        now: seconds of the clock that allowances are filled by.
    """

    def __init__(self, folder: Path) -> None:
        self.home = Home(folder)
        self.home.make_folder(self.home.run)
        Roles({str(OPERATOR_UID): frozenset({Role.OPERATOR})}).save(self.home)
        self.store = Store.open(self.home.database)
        self.store.add_agency(Agency("sheriff", "192.0.2.10", 41900, "pcapng"))
        self.store.draft(load(build_text({}), NOW_NS), ALICE, NOW_NS)
        self.key = SiteKey.open(self.home)
        self.chain = Chain.open(self.home, self.key.signer)
        self.now = 1000.0
        self.refusals = Refusals(self.chain, partial(subject_of, self.store), lambda: self.now)
        self.server = ControlServer(self.home, {"warrant.approve": print}, refused=self.refusals.note)
        self.server.start()

    def close(self) -> None:
        """Lets everything go; the chain verifies."""
        self.server.stop()
        self.refusals.close()
        self.chain.close()
        self.store.close()
        assert verify(self.chain.folder, self.key.signer.public_key).faults == []

    def asks(self, uid: int, op: str = "warrant.approve", **args: Any) -> str:
        """A user asks over the socket; the refusal that it is told."""
        with pytest.raises(RefusedError) as caught:
            as_user(uid, lambda: Client(self.home, timeout_s=20).call(op, **args))
        return caught.value.what

    def told(self) -> list[Entry]:
        """Entries of refusals."""
        return list(entries(self.chain.folder, Query(action="note.refused")))

    def wait(self, count: int) -> list[Entry]:
        """The same, once there are so many: an answer does not wait for its entry."""
        end = time.monotonic() + 20
        while len(found := self.told()) < count and time.monotonic() < end:
            time.sleep(0.01)
        assert len(found) == count
        return found

    def counted(self, count: int) -> None:
        """Waits until so many are counted that no entry tells of."""
        end = time.monotonic() + 20
        while self.refusals._untold.total() != count and time.monotonic() < end:
            time.sleep(0.01)
        assert self.refusals._untold.total() == count


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Served while the test runs."""
    made = Site(tmp_path)
    yield made
    made.close()


def person(uid: int, *roles: Role) -> Actor:
    """Somebody, as the control server sees them."""
    return Actor(uid, f"user-{uid}", frozenset(roles), None, 1)


def about(entry: Entry) -> tuple[Any, ...]:
    """Who, what, on what, and how many before."""
    after = entry.after or {}
    return entry.actor["uid"], after["op"], entry.subject, after["suppressed"]


@pytest.mark.kernel
def test_who_was_refused_what_stands_in_the_chain(site: Site) -> None:
    """With a role that is not enough and with none; by number and name; it needs no outcome."""
    assert "it takes the role approver" in site.asks(OPERATOR_UID, name="LIID0117")
    (first,) = site.wait(1)
    assert about(first) == (OPERATOR_UID, "warrant.approve", "W-1", 0)
    assert (first.actor["roles"], first.intent) == (["operator"], False)
    assert "no role" in site.asks(NOBODY, "audit.show")
    assert about(site.wait(2)[1]) == (NOBODY, "audit.show", None, 0)
    assert site.told()[1].actor["name"] == "nobody"


@pytest.mark.kernel
def test_who_hangs_up_before_the_answer_was_refused_all_the_same(site: Site) -> None:
    """Nobody stays out of the chain by not listening."""
    for uid in (OPERATOR_UID, NOBODY):
        connection = as_user(uid, lambda: _connected(site.home))
        messages.send(connection, {"op": "warrant.approve", "args": {"name": "W-1"}}, messages.MAX_REQUEST)
        connection.close()
    assert {entry.actor["uid"] for entry in site.wait(2)} == {OPERATOR_UID, NOBODY}


def _connected(home: Home) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(home.socket))
    return connection


ASKED: list[tuple[Any, Any, str | None]] = [
    ("warrant.show", {"name": "LIID0117"}, "W-1"),
    ("warrant.revoke", {"name": "W-1"}, "W-1"),
    ("warrant.show", {"name": TARGET}, None),
    ("warrant.show", {"name": [TARGET]}, None),
    ("warrant.add", {"name": f"{TARGET}.toml", "text": TARGET}, None),
    ("warrant.add", {"name": "LIID0117", "text": TARGET}, None),
    ("agency.remove", {"name": "sheriff"}, "sheriff"),
    ("agency.remove", {"name": TARGET}, None),
    ("role.grant", {"user": "nobody", "role": "approver"}, "nobody"),
    ("role.grant", {"user": "5550117", "role": "approver"}, None),
    ("audit.show", {"subject": TARGET}, None),
    (f"warrant.{TARGET}", {}, None),
    (7, None, None),
]


def test_nothing_that_was_typed_gets_into_the_chain(site: Site) -> None:
    """An order, an agency and a user are named as they are known here; any other text could be a target."""
    for op, args, subject in ASKED:
        site.now += EVERY_S
        site.refusals.note(person(OPERATOR_UID, Role.OPERATOR), op, args)
        known = op if op in PERMITS else None
        assert about(site.told()[-1]) == (OPERATOR_UID, known, subject, 0)
    assert len(site.told()) == len(ASKED)
    assert TARGET not in "".join(path.read_text() for path in site.chain.folder.glob("*.jsonl"))


@pytest.mark.kernel
def test_a_flood_adds_few_entries_and_all_of_it_is_counted(site: Site) -> None:
    """Three hundred refused acts of one user: some entries, then one a minute, each with how many had none."""
    with as_user(OPERATOR_UID, lambda: _connected(site.home)) as connection:
        connection.settimeout(20)
        for _ in range(300):
            messages.send(connection, {"op": "warrant.approve", "args": {"name": "W-1"}}, messages.MAX_REQUEST)
            assert "error" in messages.receive(connection, 20, messages.MAX_REPLY)
    assert [about(entry)[3] for entry in site.wait(AT_ONCE)] == [0] * AT_ONCE
    site.counted(300 - AT_ONCE)
    site.now += EVERY_S
    site.asks(OPERATOR_UID, name="W-1")
    assert about(site.wait(AT_ONCE + 1)[-1]) == (OPERATOR_UID, "warrant.approve", "W-1", 300 - AT_ONCE)
    site.asks(OPERATOR_UID, name="W-1")
    site.counted(1)
    assert "no role" in site.asks(NOBODY)
    assert about(site.wait(AT_ONCE + 2)[-1])[0] == NOBODY, "a flood of one hides nobody else"
    site.refusals.settle()
    assert len(site.told()) == AT_ONCE + 2, "who may come back is waited for"
    site.now += EVERY_S
    site.refusals.settle()
    last = site.told()[-1]
    assert (last.actor, last.after) == ({"name": "lictl"}, {"suppressed": 1, "users": {str(OPERATOR_UID): 1}})
    site.refusals.settle()
    assert len(site.told()) == AT_ONCE + 3


def test_one_person_with_many_user_numbers_adds_no_more(site: Site) -> None:
    """Those without a role share an allowance; people with a role keep theirs; memory is bounded; all are counted."""
    users = 20 * MOST_USERS
    for uid in range(100_000, 100_000 + users):
        site.refusals.note(person(uid), "warrant.list", {})
    assert len(site.told()) == STRANGERS_AT_ONCE
    assert len(site.refusals._users) <= MOST_USERS
    assert len(site.refusals._untold) <= MOST_USERS + 1
    site.refusals.note(person(OPERATOR_UID, Role.OPERATOR), "warrant.approve", {})
    assert site.told()[-1].actor["uid"] == OPERATOR_UID
    site.now += EVERY_S
    site.refusals.settle()
    assert (site.told()[-1].after or {})["suppressed"] == users - STRANGERS_AT_ONCE
    assert len(site.told()) == STRANGERS_AT_ONCE + 2


def test_a_stop_tells_what_was_only_counted(site: Site) -> None:
    """And nothing is written after it."""
    for _ in range(AT_ONCE + 5):
        site.refusals.note(person(OPERATOR_UID, Role.OPERATOR), "warrant.approve", {})
    site.refusals.close()
    assert (site.told()[-1].after or {})["suppressed"] == 5
    site.refusals.note(person(NOBODY), "warrant.approve", {})
    site.refusals.close()
    assert len(site.told()) == AT_ONCE + 1


@pytest.mark.kernel
def test_a_chain_that_stalls_holds_no_refusal_up(site: Site) -> None:
    """While the disk does not come back the refusal is answered at once; its entry follows when it does."""
    with site.chain._writing:
        begun = time.monotonic()
        assert "it takes the role approver" in site.asks(OPERATOR_UID, name="W-1")
        assert "no role" in site.asks(NOBODY)
        assert time.monotonic() - begun < 5
        assert site.told() == []
    assert len(site.wait(2)) == 2


@pytest.mark.kernel
def test_a_chain_that_cannot_be_written_fails_no_refusal(site: Site) -> None:
    """The refusal is the same; what has no entry is counted and told once the disk takes it again."""
    full, good = os.open("/dev/full", os.O_WRONLY), site.chain._fd
    site.chain._fd = full
    truncate = os.ftruncate
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "ftruncate", lambda fd, size: None if fd == full else truncate(fd, size))
        for _ in range(3):
            assert "it takes the role approver" in site.asks(OPERATOR_UID, name="W-1")
        site.counted(3)
    site.chain._fd = good
    os.close(full)
    assert site.told() == []
    site.asks(OPERATOR_UID, name="W-1")
    assert about(site.wait(1)[0]) == (OPERATOR_UID, "warrant.approve", "W-1", 3)
