# SPDX-License-Identifier: Apache-2.0
"""Records gathered from a real store and a real chain, for people of different roles."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from paper_kit import beside_labels, squeezed
from papers_site import AGENCY, ALICE, APPROVER, AUDITOR, BOB, HOUR, NOW, PapersSite, order_text

from lictl.audit.read import entries
from lictl.errors import RefusedError, UnavailableError, UsageError
from lictl.papers import trails
from lictl.papers.certificate import printed
from lictl.papers.drill import brief, with_audit
from lictl.papers.gather import DESTROYED, HIDDEN, HIDDEN_REASON, counted, order_facts
from lictl.papers.report import counts
from lictl.service import accounts
from lictl.service.accounting import Base
from lictl.times import format_rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STREAM = {"agency": AGENCY, "format": "pcapng", "matched": 12, "delivered": 9, "lost": {"ring": 1, "quota": 0},
          "withheld": 0, "in_flight": 2}  # fmt: skip


@pytest.fixture
def site(tmp_path: Path) -> Iterator[PapersSite]:
    """A site of its own."""
    made = PapersSite.make(tmp_path)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the day of the orders."""
    monkeypatch.setenv("LICTL_CLOCK_OFFSET_NS", str(NOW - time.time_ns()))


def facts(plain: dict[str, Any]) -> dict[str, list[str]]:
    """Required facts by name."""
    return {each["name"]: each["values"] for each in plain["required"]}


def test_certificate_of_an_active_order(site: PapersSite) -> None:
    """Six facts from three places: file, people, chain; and the daemon's counts."""
    order = site.armed()
    site.live[order.id] = [STREAM]
    plain = site.desk.certificate(APPROVER, "LIID0117", "1.20004")
    found = facts(plain)
    assert found["circuit_identification"] == ["ip:203.0.113.7"]
    assert found["signed_by"] == ["Judge Jürgen Müßig"]
    assert found["presented_by"] == ["Det. Đặng Thị Ếch"]
    assert found["overseer"] == ["bob (uid 1002)"]
    assert found["type"][0].startswith("pen register or trap and trace order")
    done = next(e for e in entries(site.chain.folder) if e.action == "done" and e.seq > 7)
    assert found["enabled"] == [format_rfc3339(max(done.time_ns, order.starts_ns))]
    assert plain["missing"] == []
    assert plain["counts"][0]["matched"] == 12
    assert plain["counts"][0]["waiting"] == 2
    instrument = plain["instruments"][0]
    assert instrument["submitted_by"].startswith("alice (uid 1001) at ")
    assert instrument["approved_by"].startswith("bob (uid 1002) at ")
    assert printed(plain).missing == []


def test_asking_is_in_the_chain_and_in_the_certificate(site: PapersSite) -> None:
    """Who makes a certificate has read the order: that entry is there before, and the paper lists it."""
    order = site.armed()
    refused = site.chain.append("note.refused", actor={"uid": 9, "name": "eve"}, subject=order.id)
    plain = site.desk.certificate(APPROVER, order.id, "3123")
    last = list(entries(site.chain.folder))[-1]
    assert (last.action, last.subject, last.actor["name"]) == ("read.certificate", order.id, "bob")
    assert [each["seq"] for each in plain["accesses"]] == [last.seq]
    assert plain["audit"] == {"seq": last.seq, "hash": last.hash}
    assert facts(plain)["accessed_by"] == ["bob (uid 1002)"]
    assert refused not in [each["seq"] for each in plain["changes"]], "who was refused neither saw nor changed it"


def test_an_auditor_sees_no_target(site: PapersSite) -> None:
    """Neither in the identifiers nor in the instruments nor in fields that can name a person."""
    order = site.armed()
    for rule in ("1.20004", "3123"):
        plain = site.desk.certificate(AUDITOR, order.id, rule)
        text = json.dumps(plain)
        assert "203.0.113.7" not in text
        assert "account 4711" not in text
        assert HIDDEN in text
    assert "203.0.113.7" in json.dumps(site.desk.certificate(APPROVER, order.id, "3123"))


def test_directed_assistance_is_certified(site: PapersSite) -> None:
    """What the order directs to be furnished (18 USC 3123(b)(2)) is certified, and withheld from an auditor."""
    directs = "access to the switch of account 4711"
    text = order_text().replace('attributes = "', f'assistance = "{directs}"\nattributes = "')
    order = site.armed(text)
    for rule in ("1.20004", "3123"):
        plain = site.desk.certificate(APPROVER, order.id, rule)
        assert plain["instruments"][0]["authority"]["assistance"] == directs
        assert squeezed(directs) in beside_labels(printed(plain).pdf)
        told = site.desk.certificate(AUDITOR, order.id, rule)
        assert told["instruments"][0]["authority"]["assistance"] == HIDDEN


def test_life_of_an_order_in_the_record(site: PapersSite) -> None:
    """Suspension, a failed resumption and the revocation, with who did them and which failed."""
    order = site.armed()
    site.store.suspend(order.id)
    site.act("warrant.suspend", order.id, BOB)
    site.act("warrant.resume", order.id, BOB, fails="the window is over")
    site.store.revoke(order.id, NOW + 5 * HOUR)
    site.act("warrant.revoke", order.id, ALICE)
    plain = site.desk.certificate(APPROVER, order.id, "3123")
    changes = [each["what"] for each in plain["changes"]]
    assert [each.partition(",")[0] for each in changes] == [
        "warrant.add", "warrant.submit", "warrant.approve", "warrant.arm", "warrant.suspend", "warrant.resume",
        "warrant.revoke",
    ]  # fmt: skip
    assert [each.endswith("(not carried out)") for each in changes] == [False] * 5 + [True, False]
    assert plain["ended"] is not None
    assert plain["ending"] == "revoked by alice (uid 1001)"
    assert [person.partition(" at ")[0] for person in facts(plain)["installed_by"]] == [
        "alice (uid 1001)", "bob (uid 1002)",
    ]  # fmt: skip


def test_other_orders_stay_out(site: PapersSite) -> None:
    """W-1 and W-11 share a beginning; an entry of one is not in the other's record."""
    orders = [site.armed(order_text(f"LIID{n}", f"ip:203.0.113.{n}")) for n in range(11)]
    assert orders[-1].id == "W-11"
    for order in (orders[0], orders[-1]):
        found = trails.trail_of(site.chain.folder, order.id)
        assert {entry.subject for entry in found.entries[1:]} == {order.id}
        assert [entry.action for entry in found.entries][:2] == ["warrant.add", "warrant.submit"]
        assert len(found.entries) == 4
        assert len(found.done or {}) == 4


def test_quick_reading_equals_slow_reading(site: PapersSite) -> None:
    """Skipping lines unparsed gives what parsing every line gives, also with quotes and commas in values."""
    for n in range(5):
        order = site.armed(order_text(f"LIID{n}", f"ip:203.0.113.{n}"))
        actor = {"name": 'x","action":"warrant.arm","subject":"W-1"', "uid": 5}
        site.chain.append("read.warrant", actor=actor, subject=f"{order.id}/2", after={"a": ',"action":"b"'})
    head = (site.chain.head.seq, site.chain.head.hash)
    for n in range(1, 6):
        slow = trails.trail(entries(site.chain.folder), f"W-{n}", head)
        assert trails.trail_of(site.chain.folder, f"W-{n}") == slow
        assert len(slow.entries) == 5


def test_order_that_was_never_armed(site: PapersSite) -> None:
    """Approved and waiting: not enabled yet. Revoked before its window: never enabled, and nothing is missing."""
    for order in (
        site.approved(order_text(first=3)),
        site.armed(order_text("LIID2", "ip:203.0.113.8", first=3)),
    ):
        found = facts(site.desk.certificate(APPROVER, order.id, "1.20004"))
        assert found["enabled"] == ["not enabled yet"]
        site.store.revoke(order.id, NOW + HOUR)
        plain = site.desk.certificate(APPROVER, order.id, "3123")
        assert plain["enabled"] is None
        assert plain["ended"] is None
        assert facts(plain)["installed"] == ["never enabled"]
        assert facts(plain)["uninstalled"] == ["never installed"]
        assert plain["missing"] == []


def test_armed_before_its_window(site: PapersSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands in the kernel before the window begins takes nothing: enabling is the begin of the window."""
    order = site.armed(order_text(first=3))
    monkeypatch.setenv("LICTL_CLOCK_OFFSET_NS", str(NOW + 4 * 24 * HOUR - time.time_ns()))
    made = site.desk.certificate(APPROVER, order.id, "1.20004")
    assert made["enabled"] == format_rfc3339(order.starts_ns)


def test_without_a_chain_the_moment_is_a_bound(site: PapersSite) -> None:
    """An order of a version that kept no chain: approval or start of the window stands for it, and that is said."""
    order = site.approved()
    site.store.set_base(order.id, 7, {})
    made = site.desk.certificate(APPROVER, order.id, "1.20004")
    assert made["enabled"] == format_rfc3339(NOW)
    assert any("exact moment of enabling" in note for note in made["notes"])


def test_counts_of_a_closed_order_are_the_sealed_ones(site: PapersSite) -> None:
    """What closing sealed wins over anything else."""
    order = site.armed()
    site.store.revoke(order.id, NOW + HOUR)
    site.store.release_slot(order.id)
    site.store.close_order(order.id, NOW + 2 * HOUR, {"streams": [{**STREAM, "delivered": 11, "in_flight": 0}]})
    site.live[order.id] = [STREAM]
    plain = site.desk.certificate(APPROVER, order.id, "1.20004")
    assert plain["counts"][0]["delivered"] == 11
    assert plain["counts"][0]["counted"] == format_rfc3339(NOW + 2 * HOUR)


def test_counts_that_an_order_left(site: PapersSite) -> None:
    """Over, delivered, not closed and no daemon: its account files tell; while they do not, that is said."""
    order = site.armed()
    site.store.revoke(order.id, NOW + HOUR)
    plain = site.desk.certificate(APPROVER, order.id, "1.20004")
    assert plain["counts"] == []
    assert any(note.startswith("packets:") for note in plain["notes"])
    path = site.home.accounts / order.uuid / f"{AGENCY}-pcapng.json"
    path.parent.mkdir(parents=True)
    accounts.save(path, accounts.Saved(1, 0, Base(90, 10, 1, {"ring": 10}), ended=True))
    count = site.desk.certificate(APPROVER, order.id, "1.20004")["counts"][0]
    assert (count["matched"], count["delivered"], count["lost"]["ring"], count["withheld"]) == (101, 90, 10, 1)
    assert count["format"] == "pcapng"


def test_destroyed_key(site: PapersSite) -> None:
    """After its key is gone the certificate can still be made; it says what it cannot read."""
    order = site.armed()
    site.store.unable(order.id, "no port", ALICE, NOW)
    site.store.revoke(order.id, NOW + HOUR)
    site.store.release_slot(order.id)
    site.store.close_order(order.id, NOW + 2 * HOUR, {"streams": [STREAM]})
    site.store.destroy_key(order.id, NOW + 3 * HOUR)
    plain = site.desk.certificate(APPROVER, order.id, "1.20004")
    assert facts(plain)["circuit_identification"][0].startswith(DESTROYED)
    assert plain["inabilities"][0]["reason"] == DESTROYED
    assert "203.0.113.7" not in json.dumps(plain)
    assert printed(plain).pdf.startswith(b"%PDF")


def test_inabilities_are_certified(site: PapersSite) -> None:
    """Each with when, who and why, on the pages and in the record; reasons are withheld from an auditor."""
    order = site.armed()
    assert site.desk.certificate(APPROVER, order.id, "1.20004")["inabilities"] == []
    site.store.unable(order.id, "no port for account 4711", ALICE, NOW + HOUR)
    site.store.able(order.id, "account 4711 has another port", BOB, NOW + 2 * HOUR)
    site.store.unable(order.id, "the site has no power", BOB, NOW + 3 * HOUR)
    plain = site.desk.certificate(APPROVER, order.id, "1.20004")
    first, second = plain["inabilities"]
    assert first["text"] == (
        f"{format_rfc3339(NOW + HOUR)} alice (uid 1001): no port for account 4711; restored "
        f"{format_rfc3339(NOW + 2 * HOUR)} bob (uid 1002): account 4711 has another port"
    )
    assert (second["reason"], second["restored"], second["restored_by"]) == ("the site has no power", None, None)
    for rule in ("1.20004", "3123"):
        paper = beside_labels(printed(site.desk.certificate(APPROVER, order.id, rule)).pdf)
        for each in plain["inabilities"]:
            assert squeezed(each["text"]) in paper
    older = {key: value for key, value in plain.items() if key != "inabilities"}
    assert printed(older).pdf.startswith(b"%PDF")
    hidden = json.dumps(site.desk.certificate(AUDITOR, order.id, "1.20004"))
    assert "account 4711" not in hidden
    assert "no power" not in hidden
    assert HIDDEN_REASON in hidden
    assert site.desk.report(AUDITOR, "3126")["rows"][0]["unable"] == (
        f"{format_rfc3339(NOW + HOUR)} to {format_rfc3339(NOW + 2 * HOUR)}; "
        f"{format_rfc3339(NOW + 3 * HOUR)} to no end noted"
    )


def test_incident_without_an_order(site: PapersSite) -> None:
    """What nobody ordered is certified too."""
    text = 'what = "an entry from outside"\nfound = 2026-03-02T09:00:00Z\nfound_by = "reconcile"\n'
    plain = site.desk.certificate(APPROVER, "", "1.20004", "Bob Builder", text)
    assert plain["order"]["id"] == ""
    assert plain["incident"]["found_by"] == "reconcile"
    assert plain["title"].endswith("without authorization")
    assert plain["overseer"] == "Bob Builder"
    with pytest.raises(UsageError, match="order or an incident"):
        site.desk.certificate(APPROVER, "", "1.20004")


def test_refusals(site: PapersSite) -> None:
    """No such order, no such rule, no such report, no such month."""
    with pytest.raises(UnavailableError):
        site.desk.certificate(APPROVER, "W-9", "1.20004")
    with pytest.raises(UsageError, match="no certificate for the rule"):
        site.desk.certificate(APPROVER, "W-9", "1.20005")
    with pytest.raises(UsageError, match="no report"):
        site.desk.report(APPROVER, "secret")
    for month in ("2026-13", "March", "2026-3", 7):
        with pytest.raises(UsageError, match="no month"):
            site.desk.report(APPROVER, "counts", month)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="calendar"):
        site.desk.report(APPROVER, "public", "2026-01")


def test_reports_of_a_site(site: PapersSite) -> None:
    """Only what was approved counts; the statute's row has the order's own words."""
    order = site.armed()
    site.store.draft(load_second(), ALICE, NOW)
    made = site.desk.report(AUDITOR, "counts")
    assert made["rows"] == [
        {"month": "2026-03", "authority": "pen-trap", "orders": 1, "emergencies": 0, "extensions": 0, "amendments": 0}
    ]
    assert site.desk.report(AUDITOR, "counts", last="2026-02")["rows"] == []
    row = site.desk.report(AUDITOR, "3126")["rows"][0]
    assert (row["order"], row["offence"], row["facilities"]) == (order.id, "21 USC 841", "1 ip")
    assert "203.0.113.7" not in json.dumps(site.desk.report(AUDITOR, "3126"))
    assert site.desk.report(AUDITOR, "2519")["rows"] == []
    assert {row["orders"] for row in site.desk.report(AUDITOR, "public")["rows"]} == {"0-499"}
    assert [e.action for e in entries(site.chain.folder)][-1] == "read.report"


def load_second() -> Any:
    """A draft that is never approved."""
    from lictl.warrants.model import load

    return load(order_text("LIID0118", "ip:203.0.113.8"), NOW)


def test_an_extension_is_counted_and_shown(site: PapersSite) -> None:
    """A second instrument: its own row in the certificate, an extension in the counts."""
    from lictl.warrants.model import load

    order = site.armed()
    longer = load(order_text(days=40), NOW)
    site.store.extend(order.id, longer, ALICE, NOW)
    site.store.submit(order.id, ALICE, NOW)
    assert site.desk.report(APPROVER, "counts")["rows"][0]["extensions"] == 0
    site.store.approve(order.id, BOB, NOW)
    assert site.desk.report(APPROVER, "counts")["rows"][0]["extensions"] == 1
    plain = site.desk.certificate(APPROVER, order.id, "1.20004")
    assert [each["kind"] for each in plain["instruments"]] == ["original", "extension"]
    assert site.desk.report(APPROVER, "3126")["rows"][0]["extension_days"] == "40 days"


def test_a_drill_is_two_entries(site: PapersSite) -> None:
    """Its begin, and its result with the hash of its record."""
    begun = site.desk.drill_begin(APPROVER)
    assert begun["site"] == {"operator": "EXAMPLE-ISP", "element": "box-1", "country": "US"}
    record = {"ok": False, "began": "a", "ended": "b", "machine": {"capture_sha256": "c"},
              "checks": [{"name": "n", "ok": False, "detail": "d"}]}  # fmt: skip
    entry = site.desk.drill_end(APPROVER, begun["seq"], brief(record))
    last = list(entries(site.chain.folder))[-1]
    assert last.action == "note.drill"
    assert last.after is not None
    assert last.after["failed"] == ["n"]
    assert with_audit(record, entry)["audit"]["record_sha256"] == last.after["record_sha256"]
    with pytest.raises(UsageError, match="no result"):
        site.desk.drill_end(APPROVER, 1, {"ok": True})


def test_nothing_is_read_that_is_not_recorded(site: PapersSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the chain cannot be written, nothing is shown."""
    order = site.armed()

    def refuse(*_: object) -> int:
        raise RefusedError("the disk is full")

    monkeypatch.setattr(PapersSite, "note", refuse)
    for ask in (lambda: site.desk.certificate(APPROVER, order.id, "1.20004"), lambda: site.desk.report(APPROVER)):
        with pytest.raises(RefusedError, match="disk"):
            ask()


def test_counting_opens_nothing(site: PapersSite) -> None:
    """Counts come out the same from the plain columns as from whole orders, and after the keys are gone."""
    order = site.armed()
    site.approved(order_text("LIID2", "ip:203.0.113.8", first=3))
    whole = [facts for each in site.store.list() if (facts := order_facts(each)) is not None]
    assert counts(whole) == counts(counted(site.store.approvals()))
    before = site.desk.report(APPROVER)
    site.store.revoke(order.id, NOW + HOUR)
    site.store.release_slot(order.id)
    site.store.close_order(order.id, NOW + 2 * HOUR, {})
    site.store.destroy_key(order.id, NOW + 3 * HOUR)
    assert site.desk.report(APPROVER) == before
