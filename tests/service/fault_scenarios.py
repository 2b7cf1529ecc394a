# SPDX-License-Identifier: Apache-2.0
"""How each fault point is reached in a running daemon, and what has to be true before and after the next start."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pytest
from machine_rig import FAULT, NS, DiedError, text_of
from pinned_kernel import put_entry, v4

from lictl.audit.read import Query, entries
from lictl.audit.verify import verify
from lictl.keys.site import SiteKey
from lictl.lab.authority import Authority
from lictl.lab.people import APPROVER_UID, OPERATOR_UID

if TYPE_CHECKING:
    from collections.abc import Callable

    from machine_rig import Machine

AUTHORITIES: Final = (Authority("first").pem, Authority("second").pem)
STRANGER: Final = "203.0.113.250"


@dataclass
class Case:
    """One order of a machine, on its way to a fault point.

    Attributes:
        machine: its daemon runs.
        point: where it shall die.
        liid: of the order.
        targets: that the order names, as approved.
        further: that an amendment names.
    """

    machine: Machine
    point: str
    liid: str
    targets: list[str]
    further: list[str]

    # ---- people

    def operator(self, op: str, **args: Any) -> Any:
        return self.machine.ask(OPERATOR_UID, op, **args)

    def approver(self, op: str, **args: Any) -> Any:
        return self.machine.ask(APPROVER_UID, op, **args)

    def owner(self, op: str, **args: Any) -> Any:
        return self.machine.ask(0, op, **args)

    def text(self, *, starts_s: int = -600, ends_s: int = 1800, further: bool = False) -> str:
        now, targets = self.machine.now_ns, self.further if further else self.targets
        starts_ns = now + starts_s * NS
        return text_of(self.liid, targets, starts_ns, now + ends_s * NS, min(starts_ns, now) - 60 * NS)

    # ---- the states that acts begin with

    def draft(self) -> None:
        self.operator("warrant.add", text=self.text(), name="x")

    def submitted(self) -> None:
        self.operator("warrant.add", text=self.text(), name="x", submit=True)

    def active(self) -> None:
        self.submitted()
        told = self.approver("warrant.approve", name=self.liid)
        assert told["state"] == "active", told
        assert self.row["state"] == "active"
        assert self.armed

    def suspended(self) -> None:
        self.active()
        self.operator("warrant.suspend", name=self.liid)

    def extended(self) -> None:
        self.active()
        self.operator("warrant.extend", name=self.liid, text=self.text(starts_s=600, ends_s=7200), file="x")

    def finished(self) -> None:
        self.active()
        self.operator("warrant.revoke", name=self.liid)
        self.machine.wait(lambda: bool(self.row["released"]), "the order is delivered")

    def closed(self) -> None:
        self.finished()
        self.operator("warrant.close", name=self.liid)

    # ---- dying

    def dies(self, act: Callable[[], Any]) -> None:
        """The running daemon dies at the point while somebody acts."""
        self.machine.set(FAULT, f"{self.point}:1")
        with pytest.raises(DiedError):
            act()
        self._judge(self.machine.status)

    def dies_at_start(self, small: bool = False) -> None:
        """The next daemon dies at the point before it serves."""
        self._judge(self.machine.start(f"{self.point}:1", small))

    def _judge(self, status: int | None) -> None:
        assert status is not None, f"{self.point} was not reached"
        assert os.WIFSIGNALED(status), (status, self.machine.tail())
        assert os.WTERMSIG(status) == signal.SIGKILL

    # ---- what is there

    @property
    def row(self) -> dict[str, Any]:
        return self.machine.rows().get(self.liid, {"state": "none", "released": 0, "slot": None})

    @property
    def claim(self) -> int:
        return int(self.row["slot"]) | int(self.row["generation"]) << 12

    @property
    def armed(self) -> bool:
        """The slot is on and each target has its entry."""
        seen, claim = self.machine.kernel, self.claim
        return claim in seen.claims and all(claim in seen.entries.get(v4(each), ()) for each in self.targets)

    @property
    def absent(self) -> bool:
        """Nothing of the order is in the kernel."""
        seen, row = self.machine.kernel, self.row
        named = any(v4(each) in seen.entries for each in (*self.targets, *self.further))
        return not named and (row["slot"] is None or self.claim not in seen.claims)


@dataclass(frozen=True)
class Scenario:
    """How a point is reached.

    Attributes:
        begins: brings the order to where the act begins.
        act: makes the daemon die.
        before: state where the act did not happen.
        after: state where it did.
        stops: it happens although only its intent was written.
        dead: what is true before the next start.
        check: what is true after it, beside the state and that all agree.
    """

    begins: Callable[[Case], None]
    act: Callable[[Case], None]
    before: str
    after: str
    stops: bool = False
    dead: Callable[[Case], None] = lambda case: None
    check: Callable[[Case], None] = lambda case: None


# ---- how each point is reached


def _op(who: str, op: str, **args: Any) -> Callable[[Case], None]:
    """An act of a person on the order, in the running daemon."""

    def act(case: Case) -> None:
        given = {name: value(case) if callable(value) else value for name, value in args.items()}
        if op != "warrant.add":
            given["name"] = case.liid
        case.dies(lambda: getattr(case, who)(op, **given))

    return act


def _arming_is_whole_or_absent(case: Case) -> None:
    """Before the tables are written nothing of it is there; from then on all of it."""
    assert case.absent if case.point == "warrant.arm.intended" else case.armed


def _not_armed_yet(case: Case) -> None:
    assert case.absent


def _off_at_once(case: Case) -> None:
    """The kernel is told before the store: from then on it takes nothing, daemon or not."""
    assert (case.claim in case.machine.kernel.claims) == case.point.endswith(".intended")


def _instruments(*others: str) -> Callable[[Case], None]:
    """States of the further instrument: where the act was not done, and where it was."""

    def check(case: Case) -> None:
        further = case.row["instruments"].split(",")[1:]
        wanted = others[0 if case.point.endswith(".intended") else 1]
        assert further == [wanted] if wanted else not further

    return check


def _unable(case: Case) -> None:
    case.active()
    case.operator("warrant.unable", name=case.liid, reason="the port is down")


def _inabilities(*others: str) -> Callable[[Case], None]:
    """What is noted of the order: where the act was not done, and where it was. It is in force all the while."""

    def check(case: Case) -> None:
        told = case.operator("warrant.show", name=case.liid)
        found = ["restored" if each["restored"] else "lasts" for each in told["inabilities"]]
        assert ",".join(found) == others[0 if case.point.endswith(".intended") else 1]
        assert case.armed

    return check


def _key_is_gone(case: Case) -> None:
    assert (case.row["sealed"] == 0) == (not case.point.endswith(".intended"))


def _expire(case: Case) -> None:
    case.machine.kill()
    case.machine.offset_ns += 3600 * NS
    case.machine.rebooted(3600 * NS)
    case.dies_at_start()


def _expired_is_out(case: Case) -> None:
    assert case.absent


def _recovery(case: Case) -> None:
    case.machine.set(FAULT, "warrant.revoke.intended:1")
    with pytest.raises(DiedError):
        case.operator("warrant.revoke", name=case.liid)
    assert case.row["state"] == "active"
    case.dies_at_start()


def _torn(case: Case) -> None:
    case.machine.kill()
    last = max((case.machine.home.root / "audit").glob("*.jsonl"))
    with last.open("ab") as file:
        file.write(b'{"seq": 4')
    case.dies_at_start()


def _torn_is_kept(case: Case) -> None:
    assert list((case.machine.home.root / "audit").glob("*.torn-*"))


def _full_file(case: Case) -> None:
    case.machine.kill()
    assert case.machine.start(small=True) is None
    case.dies(lambda: [case.operator("warrant.list") for _ in range(20)])


def _reconcile(case: Case) -> None:
    put_entry(case.machine.home.bpf, STRANGER, case.claim)
    case.dies(lambda: case.approver("audit.reconcile"))


def _foreign_is_gone(case: Case) -> None:
    assert v4(STRANGER) not in case.machine.kernel.entries
    found = list(entries(case.machine.home.root / "audit", Query(action="reconcile.found")))
    assert any("foreign-entry" in str(entry.after) for entry in found)


def _rotate(case: Case) -> None:
    case.dies(lambda: case.owner("audit.rotate-key"))


def _one_key_signs(case: Case) -> None:
    """The old one or the next one, whole: files, lock and chain say the same, and each key of the chain shows it."""
    home = case.machine.home
    assert sorted(path.name for path in (home.root / "keys").iterdir()) == ["audit.key", "audit.pub", "site.key"]
    signer = SiteKey.open(home).signer.public_key.hex()
    (begin,) = entries(home.root / "audit", Query(action="chain.begin"))
    changes = [entry.after or {} for entry in entries(home.root / "audit", Query(action="chain.rotated"))]
    keys = [(begin.after or {})["key"], *(change["to"] for change in changes)]
    assert signer == keys[-1]
    assert all(verify(home.root / "audit", bytes.fromhex(key)).faults == [] for key in (keys[0], signer))
    destroyed = [(e.after or {})["key"] for e in entries(home.root / "audit", Query(action="chain.key-destroyed"))]
    assert set(destroyed) == set(keys[:-1])
    _site_arms(case)


def _agency(op: str) -> Callable[[Case], None]:
    given = {"name": "second", "host": "127.0.0.1", "port": 9, "format": "pcapng", "options": {}}

    def act(case: Case) -> None:
        if op == "agency.remove":
            if "second" not in _agencies(case):
                case.owner("agency.add", **given)
            case.dies(lambda: case.owner(op, name="second"))
        else:
            if "second" in _agencies(case):
                case.owner("agency.remove", name="second")
            case.dies(lambda: case.owner(op, **given))

    return act


def _agencies(case: Case) -> set[str]:
    return {agency["name"] for agency in case.owner("agency.list")}


def _agency_is_as_recorded(case: Case) -> None:
    done = case.point.endswith(".stored")
    assert ("second" in _agencies(case)) == (done == case.point.startswith("agency.add"))


def _renew(case: Case) -> None:
    way = {"kind": "tcp", "tls": True, "ca": AUTHORITIES[0]}
    if "third" in _agencies(case):
        case.owner("agency.remove", name="third")
    case.owner("agency.add", name="third", host="127.0.0.1", port=9, format="pcapng", options={}, transport=way)
    case.dies(lambda: case.owner("agency.renew", name="third", ca=AUTHORITIES[1]))


def _renewed_as_recorded(case: Case) -> None:
    known = case.owner("agency.show", name="third")["agency"]["transport"]["ca"]
    assert known == AUTHORITIES[case.point.endswith(".stored")]


def _role(case: Case) -> None:
    case.owner("role.withdraw", user="64103", role="auditor") if "auditor" in _auditor(case) else None
    case.dies(lambda: case.owner("role.grant", user="64103", role="auditor"))


def _auditor(case: Case) -> str:
    return str([row for row in case.owner("role.list") if "64103" in str(row)])


def _role_is_as_recorded(case: Case) -> None:
    assert ("auditor" in _auditor(case)) == (not case.point.endswith(".intended"))


def _confirm(case: Case) -> None:
    case.dies(lambda: case.approver("profile.confirm", reason="moved to another rack"))


def _site_arms(case: Case) -> None:
    assert case.owner("profile.status")["arms"]


def _none(case: Case) -> None:
    """Nothing has to be there."""


NO = "none"
_approve = _op("approver", "warrant.approve")
_further = {"file": "x"}
SCENARIOS: Final[dict[str, Scenario]] = {
    "warrant.add": Scenario(_none, _op("operator", "warrant.add", text=Case.text, name="x"), NO, "draft"),
    "warrant.submit": Scenario(Case.draft, _op("operator", "warrant.submit"), "draft", "submitted"),
    "warrant.reject": Scenario(
        Case.submitted, _op("approver", "warrant.reject", reason="wrong docket"), "submitted", "draft"
    ),
    "warrant.approve": Scenario(Case.submitted, _approve, "submitted", "active", dead=_not_armed_yet),
    "warrant.arm": Scenario(Case.submitted, _approve, "active", "active", dead=_arming_is_whole_or_absent),
    "warrant.suspend": Scenario(
        Case.active, _op("operator", "warrant.suspend"), "active", "suspended", stops=True, dead=_off_at_once
    ),
    "warrant.resume": Scenario(
        Case.suspended, _op("approver", "warrant.resume"), "suspended", "active", dead=_not_armed_yet
    ),
    "warrant.revoke": Scenario(
        Case.active, _op("approver", "warrant.revoke"), "active", "revoked", stops=True, dead=_off_at_once
    ),
    "warrant.expire": Scenario(Case.active, _expire, "active", "expired", stops=True, check=_expired_is_out),
    "warrant.extend": Scenario(
        Case.active,
        _op("operator", "warrant.extend", text=lambda c: c.text(starts_s=600, ends_s=7200), **_further),
        "active",
        "active",
        check=_instruments("", "draft"),
    ),
    "warrant.amend": Scenario(
        Case.active,
        _op("operator", "warrant.amend", text=lambda c: c.text(further=True), **_further),
        "active",
        "active",
        check=_instruments("", "draft"),
    ),
    "warrant.withdraw": Scenario(
        Case.extended, _op("operator", "warrant.withdraw"), "active", "active", check=_instruments("draft", "withdrawn")
    ),
    "warrant.unable": Scenario(
        Case.active,
        _op("operator", "warrant.unable", reason="the port is down"),
        "active",
        "active",
        check=_inabilities("", "lasts"),
    ),
    "warrant.able": Scenario(
        _unable,
        _op("approver", "warrant.able", reason="another port"),
        "active",
        "active",
        check=_inabilities("lasts", "restored"),
    ),
    "warrant.close": Scenario(Case.finished, _op("operator", "warrant.close"), "revoked", "closed"),
    "warrant.destroy-key": Scenario(
        Case.closed, _op("approver", "warrant.destroy-key"), "closed", "closed", check=_key_is_gone
    ),
    "recovery.intent": Scenario(Case.active, _recovery, "revoked", "revoked"),
    "recovery.stop": Scenario(Case.active, _recovery, "revoked", "revoked"),
    "audit.group": Scenario(Case.submitted, _approve, "submitted", "submitted"),
    "audit.file": Scenario(Case.active, _full_file, "active", "active"),
    "audit.recover": Scenario(Case.active, _torn, "active", "active", check=_torn_is_kept),
    "audit.reconcile": Scenario(Case.active, _reconcile, "active", "active", check=_foreign_is_gone),
    "audit.rotate": Scenario(Case.active, _rotate, "active", "active", check=_one_key_signs),
    "agency.add": Scenario(_none, _agency("agency.add"), NO, NO, check=_agency_is_as_recorded),
    "agency.remove": Scenario(_none, _agency("agency.remove"), NO, NO, check=_agency_is_as_recorded),
    "agency.renew": Scenario(_none, _renew, NO, NO, check=_renewed_as_recorded),
    "role.change": Scenario(_none, _role, NO, NO, check=_role_is_as_recorded),
    "profile.confirm": Scenario(Case.active, _confirm, "active", "active", check=_site_arms),
}
