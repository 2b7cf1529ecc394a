# SPDX-License-Identifier: Apache-2.0
"""The running daemon and the people: who may do what, and what each act does to the packets on the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from daemon_rig import OTHER, TARGET, Rig, order

from lictl.audit.read import Query, entries
from lictl.errors import LictlError, RefusedError
from lictl.lab.people import as_user
from lictl.service.client import Client

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.kernel, pytest.mark.net]
SECOND_TARGET = "203.0.113.78"


@pytest.fixture
def rig(tmp_path: Path, netns_prefix: str) -> Iterator[Rig]:
    """A site with its agency and a running daemon."""
    with Rig(tmp_path, netns_prefix) as rig:
        rig.receive()
        rig.serve()
        yield rig


def test_an_order_takes_two_people_and_nothing_flows_before(rig: Rig) -> None:
    """Draft and submitted take nothing; neither the submitter nor root nor a stranger can approve; the approver can."""
    rig.team.operator("warrant.add", text=order("L1"), name="order.toml")
    rig.send(3)
    rig.team.operator("warrant.submit", name="L1")
    rig.send(3)
    for refused in (
        lambda: rig.team.operator("warrant.approve", name="L1"),
        lambda: rig.call("warrant.approve", name="L1"),
        lambda: as_user(65534, lambda: Client(rig.home).call("warrant.approve", name="L1")),
    ):
        with pytest.raises(RefusedError):
            refused()
    assert rig.status()["warrants"] == []
    assert rig.status()["orders"]["submitted"] == 1
    asked = Query(action="note.refused", subject="W-1")
    rig.wait(lambda: len(list(entries(rig.home.root / "audit", asked))) == 3, "each refusal is in the chain")
    assert {e.actor["uid"] for e in entries(rig.home.root / "audit", asked)} == {64101, 0, 65534}
    assert rig.team.approver("warrant.approve", name="L1")["state"] == "active"
    rig.send(2)
    rig.settled("L1", 2)
    assert rig.numbers() == [6, 7]
    rig.team.operator("warrant.add", text=order("L2"), name="order.toml")
    assert "never in force" in rig.team.operator("warrant.revoke", name="L2")["effect"]
    assert "any more" in rig.team.operator("warrant.revoke", name="L1")["effect"]


def test_a_suspended_order_takes_nothing_until_an_approver_resumes_it(rig: Rig) -> None:
    """Between suspend and resume no packet is matched; the account and the agency's file stay whole."""
    rig.add("L1")
    rig.send(2)
    rig.team.operator("warrant.suspend", name="L1")
    rig.send(5)
    assert rig.warrant("L1")["lifecycle"] == "suspended"
    with pytest.raises(RefusedError):
        rig.team.operator("warrant.resume", name="L1")
    assert rig.team.approver("warrant.resume", name="L1")["state"] == "active"
    rig.send(3)
    rig.settled("L1", 5)
    assert rig.numbers() == [0, 1, 7, 8, 9]
    rig.revoke("L1")
    rig.gone("L1")
    assert rig.verdict()["ok"]


def test_a_suspension_survives_a_kill(rig: Rig) -> None:
    """The next daemon does not arm it, and can resume it."""
    rig.add("L1")
    rig.send(2)
    rig.team.approver("warrant.suspend", name="L1")
    rig.stop(9)
    rig.serve()
    rig.send(3)
    assert rig.warrant("L1")["lifecycle"] == "suspended"
    rig.team.approver("warrant.resume", name="L1")
    rig.send(1)
    rig.settled("L1", 3)
    assert rig.numbers() == [0, 1, 5]


def test_an_amendment_changes_the_targets_when_it_is_approved(rig: Rig) -> None:
    """Drafted and submitted it changes nothing; approved, the new target is taken and the dropped one is not."""
    rig.add("L1")
    text = order("L1", targets=f"ip:{SECOND_TARGET}")
    rig.team.operator("warrant.amend", name="L1", text=text, file="amendment.toml", submit=True)
    rig.send(1, source=SECOND_TARGET)
    rig.send(1)
    rig.settled("L1", 1)
    rig.team.approver("warrant.approve", name="L1")
    rig.send(1)
    rig.send(1, source=SECOND_TARGET)
    rig.settled("L1", 2)
    assert rig.numbers() == [1, 3]


def test_an_extension_moves_the_end_when_it_is_approved(rig: Rig) -> None:
    """The window in the kernel is the extended one; nothing is lost over the change."""
    rig.add("L1", ends=1800)
    rig.send(1)
    before = rig.warrant("L1")["ends"]
    rig.team.operator("warrant.extend", name="L1", text=order("L1", starts=900, ends=7200), file="x", submit=True)
    assert rig.warrant("L1")["ends"] == before
    rig.team.approver("warrant.approve", name="L1")
    assert rig.warrant("L1")["ends"] > before
    rig.send(1)
    rig.settled("L1", 2)


def test_an_order_is_closed_with_its_counts(rig: Rig) -> None:
    """Not before it is over and delivered; what is sealed are the final counts, and the key can be destroyed."""
    rig.add("L1")
    rig.send(4)
    rig.settled("L1", 4)
    with pytest.raises(RefusedError):
        rig.team.operator("warrant.close", name="L1")
    rig.revoke("L1")
    rig.gone("L1")
    closed = rig.team.operator("warrant.close", name="L1")
    (stream,) = closed["summary"]["streams"]
    assert (stream["matched"], stream["delivered"], sum(stream["lost"].values())) == (4, 4, 0)
    assert len(closed["summary"]["sha256"]) == 64
    rig.team.approver("warrant.destroy-key", name="L1")
    assert rig.team.operator("warrant.show", name="L1")["file"] == ""


def test_an_auditor_sees_no_target(rig: Rig) -> None:
    """Neither in the list nor in an order; that they were looked at stands in the chain, with who did."""
    rig.add("L1")
    told = str(rig.team.auditor("warrant.list")) + str(rig.team.auditor("warrant.show", name="L1"))
    assert TARGET not in told
    assert TARGET in str(rig.team.operator("warrant.list"))
    found = [entry for entry in entries(rig.home.root / "audit") if entry.action.startswith("read.")]
    assert [(e.action, e.actor["uid"]) for e in found] == [
        ("read.warrants", 64103), ("read.warrant", 64103), ("read.warrants", 64101),
    ]  # fmt: skip


def test_what_is_done_stands_in_the_chain_with_an_outcome(rig: Rig) -> None:
    """Approval by a person, arming by lictl, revocation by a person; nothing is left open and no target in plain."""
    rig.add("L1")
    rig.revoke("L1")
    rig.gone("L1")
    found = list(entries(rig.home.root / "audit"))
    acts = [(e.action, e.actor.get("uid")) for e in found if e.action.startswith("warrant.")]
    assert acts == [
        ("warrant.add", 64101), ("warrant.submit", 64101), ("warrant.approve", 64102), ("warrant.arm", 0),
        ("warrant.revoke", 64101),
    ]  # fmt: skip
    intents = {str(e.seq) for e in found if e.intent}
    assert intents == {e.subject for e in found if e.action == "done"}
    plain = "".join(path.read_text() for path in (rig.home.root / "audit").glob("*.jsonl"))
    assert TARGET not in plain
    assert OTHER not in plain


def test_a_changed_role_table_counts_at_once(rig: Rig) -> None:
    """Root withdraws a role while the daemon runs."""
    rig.call("role.withdraw", user="64102", role="approver")
    with pytest.raises(LictlError):
        rig.add("L1")
    assert rig.status()["warrants"] == []
    rig.call("role.grant", user="64102", role="approver")
    assert rig.team.approver("warrant.approve", name="L1")["state"] == "active"
