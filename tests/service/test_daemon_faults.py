# SPDX-License-Identifier: Apache-2.0
"""kill -9 at every fault point in a real daemon with real kernel tables: the next start puts all of it right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
from fault_scenarios import NO, SCENARIOS, Case, Scenario
from machine_rig import Machine, make
from pinned_kernel import v4

from lictl import faults

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(900)]

POINTS: Final = faults.names()
IN_FORCE: Final = ("approved", "active")
_covered: dict[str, str] = {}


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Machine]]:
    """The machine that cases follow each other on, so that each costs one start; empty: the next one makes it."""
    made: list[Machine] = []
    yield made
    for machine in made:
        machine.__exit__()


@pytest.fixture
def machine(machines: list[Machine], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """One whose daemon runs. A case that fails leaves it out of use."""
    if not machines:
        machines.append(make(tmp_path_factory.mktemp("site")))
        assert machines[0].start() is None
    machine = machines.pop()
    try:
        yield machine
    finally:
        if machine.alive:
            machines.append(machine)
        else:
            machine.__exit__()


def _scenario(point: str) -> Scenario | None:
    return SCENARIOS.get(point.rpartition(".")[0])


def test_every_point_has_a_scenario() -> None:
    """A new fault point without one fails here; there are at least forty."""
    assert [point for point in POINTS if _scenario(point) is None] == []
    assert len(POINTS) >= 40


@pytest.mark.parametrize("point", POINTS)
def test_a_kill_there_is_put_right_by_the_next_start(machine: Machine, point: str) -> None:
    """Chain, store and kernel agree; what was asked to stop is stopped; nothing is armed that was not approved."""
    scenario = _scenario(point)
    assert scenario is not None, point
    number = list(POINTS).index(point)
    case = Case(
        machine, point, f"L{number}-{machine.starts}", [f"203.0.113.{number + 1}"], [f"198.51.100.{number + 1}"]
    )
    try:
        scenario.begins(case)
        before = case.row
        scenario.act(case)
        _judge_dead(case, before)
        scenario.dead(case)
        dead = machine.kernel.claims
        assert machine.start() is None, machine.tail()
        if case.row["state"] not in IN_FORCE:
            assert machine.glimpsed <= dead, "the start armed what may not be"
        done = scenario.stops or not point.endswith(".intended")
        wanted = scenario.after if done else scenario.before
        machine.wait(lambda: case.row["state"] == wanted and _agrees(case), f"{point}: {wanted}, not {case.row}", 20)
        machine.check_chain()
        intents, outcomes = machine.outcomes()
        assert outcomes == intents, point
        scenario.check(case)
        if case.row["state"] not in (NO, "closed", "expired", "revoked"):
            case.operator("warrant.revoke", name=case.liid)
        assert case.absent
        _covered[point] = wanted
    except BaseException:
        machine.kill()
        raise


def _judge_dead(case: Case, before: dict[str, Any]) -> None:
    """While no daemon runs the kernel holds nothing but what was in force before, or is approved in the store."""
    seen, row = case.machine.kernel, case.row
    allowed = {case.claim} if row["slot"] is not None and row["generation"] else set()
    assert seen.claims <= allowed, (seen, row)
    if row["state"] not in IN_FORCE and before["state"] not in IN_FORCE:
        assert not seen.slots, (seen, row)


def _agrees(case: Case) -> bool:
    """The kernel holds what the store says is in force, wholly, and nothing else."""
    seen, row = case.machine.kernel, case.row
    if row["state"] not in IN_FORCE:
        return not seen.slots and not seen.entries
    (slot,) = seen.slots.values() if len(seen.slots) == 1 else (None,)
    return (
        slot is not None
        and slot.claim == case.claim
        and (slot.starts_ns, slot.ends_ns) == (row["starts_ns"], row["ends_ns"])
        and seen.entries == {v4(target): (case.claim,) for target in case.targets}
    )


def test_every_point_was_passed(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> None:
    """The table of points at which a daemon was killed, with the state of the order in the end."""
    asked = {item.callspec.params["point"] for item in request.session.items if _is_case(item)}
    with capsys.disabled():
        print(f"\n{len(_covered)} fault points passed in a real daemon:")
        for point, state in _covered.items():
            print(f"  {point:28} {POINTS[point]:32} {state}")
    assert asked == set(_covered)


def _is_case(item: Any) -> bool:
    return bool(item.fspath == __file__ and "point" in getattr(getattr(item, "callspec", None), "params", {}))
