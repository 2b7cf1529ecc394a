# SPDX-License-Identifier: Apache-2.0
"""Every fixture through both builds of the capture program: each gives exactly what the fixture says."""

from __future__ import annotations

import pytest
from fixtures_all import CASES
from kernel_builds import KernelBuild, NativeBuild, Outcome, tables_of
from kernel_case import TC_ACT_UNSPEC, XDP_DROP, XDP_PASS, Case, expected_fields

from lictl.probe import abi

pytestmark = pytest.mark.kernel


def _expected_totals(case: Case) -> dict[str, int]:
    moved = {"packets": 1, "bytes": len(case.frame), "records": len(case.wants)}
    if "no_port" not in case.totals:
        moved[f"parse {case.parse}"] = 1
        if case.l4 is not None:
            moved[f"l4 {case.l4}"] = 1
    return {name: count for name, count in (moved | dict(case.totals)).items() if count}


def _expected_counts(case: Case) -> dict[int, dict[str, int]]:
    made = {want.slot: {"seen": 1, "matched": 1, "emitted": 1, "bytes": len(case.frame)} for want in case.wants}
    return made | {slot: dict(counts) for slot, counts in case.counts.items()}


def _check(case: Case, outcome: Outcome, at_egress: bool) -> None:
    """The outcome is the fixture's, in every field, byte and counter."""
    got = {record.fields["claim"]: record for record in outcome.records}
    assert len(got) == len(outcome.records), "one order got two records of one packet"
    wanted = {case.order(want.slot).armed().claim: expected_fields(case, want, at_egress) for want in case.wants}
    assert {claim: record.fields for claim, record in got.items()} == wanted
    for record in outcome.records:
        assert record.data == case.frame[: record.fields["cap_len"]]
        assert record.sequence == 1
    assert outcome.totals == _expected_totals(case)
    assert outcome.counts == _expected_counts(case)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_fixture(case: Case, kernel: KernelBuild, native: NativeBuild) -> None:
    """XDP, tc and native: the fixture's records and counters, frame and verdict untouched, all builds alike."""
    tables = tables_of(case.orders)
    outcomes = []
    native.load(tables, case.hook)
    kernel.load(tables, case.hook)
    for build in case.builds:
        outcome = native.run(case.frame) if build == "native" else kernel.run(case.frame, build == "tc")
        _check(case, outcome, build == "tc")
        outcomes.append(outcome)
        if build == "native":
            continue
        drop = case.hook.flags == abi.HOOK_ACTIVE | abi.HOOK_DROP
        assert outcome.verdict == (TC_ACT_UNSPEC if build == "tc" else XDP_DROP if drop else XDP_PASS)
        assert outcome.frame == case.frame
    assert all(outcome.comparable == outcomes[0].comparable for outcome in outcomes)


def test_fixtures_have_names_of_their_own() -> None:
    """No fixture hides another one."""
    names = [case.name for case in CASES]
    assert len(names) == len(set(names)) >= 500
