# SPDX-License-Identifier: Apache-2.0
"""Flow summaries, against plain Python."""

from __future__ import annotations

import io
import time
from collections import Counter
from typing import Any

import numpy as np
import pytest
from handover_records import T0, encode_all, header, info, numbered
from hypothesis import given
from hypothesis import strategies as st

from lictl import handover
from lictl.handover import flows as flows_module
from lictl.handover.decode import Record, decode
from lictl.handover.flows import FlowSummary, records_of
from lictl.probe import abi

ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "src": st.sampled_from(["203.0.113.7", "203.0.113.8"]),
            "dst": st.sampled_from(["198.51.100.1", "198.51.100.2"]),
            "proto": st.sampled_from([6, 17]),
            "src_port": st.integers(1, 3),
            "dst_port": st.integers(1, 2),
            "dir": st.integers(0, 3),
            "present": st.integers(0, 31),
            "l3_len": st.integers(0, 2**32 - 1),
            "utc_ns": st.integers(T0, T0 + 100),
        }
    ),
    max_size=30,
)


def array(rows: list[dict[str, Any]]) -> np.ndarray[Any, Any]:
    return np.concatenate([np.zeros(0, abi.REC), *(header(**row) for row in rows)])


def key(row: dict[str, Any]) -> tuple[Any, ...]:
    ip, ports = row["present"] & abi.HAS_IP, row["present"] & abi.HAS_PORTS
    return (
        row["src"] if ip else "", row["dst"] if ip else "", row["proto"] if ip else 0,
        row["src_port"] if ports else None, row["dst_port"] if ports else None,
        ("unknown", "from", "to", "both")[row["dir"]],
    )  # fmt: skip


def expected(rows: list[dict[str, Any]]) -> set[tuple[Any, ...]]:
    packets = Counter(map(key, rows))
    out = set()
    for flow, n in packets.items():
        mine = [row for row in rows if key(row) == flow]
        octets = sum(row["l3_len"] for row in mine if row["present"] & abi.HAS_LENGTH)
        times = [row["utc_ns"] for row in mine]
        out.add((*flow, n, octets, min(times), max(times)))
    return out


def found(summary: FlowSummary) -> set[tuple[Any, ...]]:
    return {
        (f.source, f.destination, f.protocol, f.source_port, f.destination_port, f.direction, f.packets, f.octets,
         f.first_ns, f.last_ns)
        for f in summary.top(1000)
    }  # fmt: skip


@given(ROWS, st.integers(0, 30))
def test_a_summary_is_what_plain_counting_gives(rows: list[dict[str, Any]], cut: int) -> None:
    """However the records are cut into batches; fields that are not proven tell nothing apart."""
    summary = FlowSummary()
    summary.add(array(rows[:cut]))
    summary.add(array(rows[cut:]))
    assert found(summary) == expected(rows)
    assert summary.overflow == 0


@given(ROWS)
def test_the_agencys_summary_is_the_operators(rows: list[dict[str, Any]]) -> None:
    """Made from decoded records it is the same as from the kernel's."""
    if not rows:
        return
    recs = numbered(array(rows))
    data, _ = encode_all(handover.encoder("msgpack", info("headers")), recs)
    ours, theirs = FlowSummary(), FlowSummary()
    ours.add(recs)
    theirs.add(records_of(item for item in decode("msgpack", io.BytesIO(data)) if isinstance(item, Record)))
    assert found(ours) == found(theirs)


def test_flows_are_bounded() -> None:
    """Beyond the limit packets are counted, flows already known go on."""
    recs = np.concatenate([header(src_port=port) for port in range(1, 21)])
    summary = FlowSummary(max_flows=5)
    summary.add(recs)
    summary.add(recs)
    assert len(summary.flows) == 5
    assert summary.overflow == 30
    assert [flow.packets for flow in summary.top()] == [2] * 5


@given(ROWS, st.sampled_from([0, 1, 1 << 60]))
def test_keys_that_look_alike_are_told_apart(rows: list[dict[str, Any]], factor: int) -> None:
    """Though all have one place in the table, or a few: the same flows, in order of their first packets."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flows_module, "_FACTORS", [factor] * len(flows_module._FACTORS))
        summary = FlowSummary()
    summary.add(array(rows))
    assert found(summary) == expected(rows)
    first = list(dict.fromkeys(map(key, rows)))
    assert [key(row) for row in (_row(flow) for flow in summary.flows)] == first


def _row(flow: Any) -> dict[str, Any]:
    """The key of a flow as a record's fields."""
    fields = flow["key"]
    present = abi.HAS_IP * bool(fields["ip_version"]) + abi.HAS_PORTS * bool(fields["has_ports"])
    return {
        "present": present, "dir": int(fields["dir"]), "proto": int(fields["proto"]),
        "src": ".".join(map(str, fields["src"][:4])), "dst": ".".join(map(str, fields["dst"][:4])),
        "src_port": int(fields["src_port"]), "dst_port": int(fields["dst_port"]),
    }  # fmt: skip


@given(st.lists(ROWS, max_size=4), ROWS, st.integers(1, 20))
def test_the_newest_addition_is_taken_back(
    parts: list[list[dict[str, Any]]], last: list[dict[str, Any]], most: int
) -> None:
    """Flows, their order, their counts and what had no room are as before, and another addition counts on."""
    summary, plain = FlowSummary(max_flows=most), FlowSummary(max_flows=most)
    for rows in parts:
        summary.add(array(rows))
        plain.add(array(rows))
    summary.add(array(last))
    summary.undo()
    assert (summary.flows.tobytes(), summary.overflow) == (plain.flows.tobytes(), plain.overflow)
    for each in (summary, plain):
        each.add(array(last[::-1]))
    assert (summary.flows.tobytes(), summary.overflow) == (plain.flows.tobytes(), plain.overflow)


def test_flows_that_are_taken_are_forgotten() -> None:
    """Those seen last go on where they were; one that is gone begins anew."""
    summary = FlowSummary()
    for turn in range(3):
        summary.add(np.concatenate([header(src_port=port, utc_ns=T0 + turn * 10 + port) for port in range(turn, 5)]))
    taken = summary.take(3)
    assert taken["key"]["src_port"].tolist() == [0, 1]
    summary.add(np.concatenate([header(src_port=port, utc_ns=T0 + 50) for port in (1, 4)]))
    assert summary.flows["key"]["src_port"].tolist() == [2, 3, 4, 1]
    assert summary.flows["packets"].tolist() == [3, 3, 4, 1]
    assert len(summary.take(4)) == 0


def test_many_records_at_once() -> None:
    """A batch of 8,192 records of 1,000 flows."""
    recs = np.repeat(header(), 8192)
    recs["src_port"] = np.arange(8192) % 1000
    summary = FlowSummary()
    summary.add(recs)
    flows = summary.flows
    assert len(flows) == 1000
    assert flows["key"]["src_port"].tolist() == [*range(1000)]
    assert int(flows["packets"].sum()) == 8192
    assert int(flows["bytes"].sum()) == 8192 * 60


def test_an_addition_costs_what_is_added() -> None:
    """However many flows are open: a hundred times as many make small batches hardly dearer."""

    def seconds(summary: FlowSummary) -> float:
        batch = np.repeat(header(), 64)
        batch["src_port"] = np.arange(64)
        begun = time.thread_time()
        for _ in range(200):
            summary.add(batch)
        return time.thread_time() - begun

    few, many = FlowSummary(), FlowSummary()
    opened = np.repeat(header(), 40_000)
    opened["src_port"] = np.arange(40_000)
    few.add(opened[:400])
    many.add(opened)
    times = [(seconds(few), seconds(many)) for _ in range(7)]
    assert min(dear for _, dear in times) < 10 * min(cheap for cheap, _ in times)
