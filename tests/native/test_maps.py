# SPDX-License-Identifier: Apache-2.0
"""Map access in bulk, slots written in place, and frames through the programs."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING

import bounded
import numpy as np
import pytest
from native_kit import LOOPBACK, PEER, TARGET, arm, drain_all, feed, frame, order

from lictl.errors import LictlError, MachineError, UnavailableError
from lictl.lab import frames
from lictl.probe import abi
from lictl.probe.native import ffi, lib
from lictl.targets.compile import compile as compile_tables
from lictl.targets.grammar import parse
from lictl.targets.orders import ArmedOrder

if TYPE_CHECKING:
    from conftest import Wire

    from lictl.probe.probe import Probe

pytestmark = pytest.mark.kernel
XDP_DROP, XDP_PASS = 1, 2


def keys_of(*numbers: int) -> np.ndarray:
    """MAC keys."""
    keys = np.zeros(len(numbers), abi.KEY_MAC)
    keys["mac"][:, 5] = numbers
    return keys


def values_of(*claims: int) -> np.ndarray:
    """Target entries of one claim each."""
    values = np.zeros(len(claims), abi.TARGET)
    values["n_claims"] = 1
    values["claims"][:, 0] = claims
    return values


def test_entries_go_in_come_back_and_go(loaded: Probe) -> None:
    """update, dump and delete agree; deleting what is absent is no error."""
    loaded.update(abi.MAP_MAC, keys_of(1, 2, 3), values_of(10, 20, 30))
    keys, values = loaded.dump(abi.MAP_MAC, abi.KEY_MAC, abi.TARGET, 100)
    found = dict(zip(keys["mac"][:, 5].tolist(), values["claims"][:, 0].tolist(), strict=True))
    assert found == {1: 10, 2: 20, 3: 30}
    loaded.delete(abi.MAP_MAC, keys_of(2, 9, 1))
    keys, _ = loaded.dump(abi.MAP_MAC, abi.KEY_MAC, abi.TARGET, 100)
    assert keys["mac"][:, 5].tolist() == [3]
    loaded.delete(abi.MAP_MAC, keys_of(3))


def test_a_dump_has_no_more_than_its_room(loaded: Probe) -> None:
    """Memory of the caller is never overrun."""
    loaded.update(abi.MAP_MAC, keys_of(*range(20)), values_of(*range(20)))
    keys, _ = loaded.dump(abi.MAP_MAC, abi.KEY_MAC, abi.TARGET, 7)
    assert len(keys) == 7
    loaded.delete(abi.MAP_MAC, keys_of(*range(20)))


def test_a_refused_entry_is_an_error_and_those_before_it_stand(loaded: Probe) -> None:
    """An index beyond an array: the error names the map."""
    keys = np.array([1, abi.MAX_IFINDEX, 2], np.uint32)
    with pytest.raises(MachineError, match="li_ports"):
        loaded.update(abi.MAP_PORTS, keys, np.zeros(3, abi.PORT))


def test_an_unknown_map_or_program(loaded: Probe) -> None:
    """Named in the error."""
    with pytest.raises(LictlError, match="li_nothing"):
        loaded.map_fd("li_nothing")
    with pytest.raises(LictlError, match="li_nothing"):
        loaded.program_fd("li_nothing")


def test_per_cpu_values_come_for_every_possible_cpu(loaded: Probe) -> None:
    """As many values as the kernel has CPUs; their sum is what `totals` gives."""
    values = loaded.per_cpu(abi.MAP_TOTALS, 0, abi.TOTALS)
    assert len(values) == lib.ln_possible_cpus()
    assert loaded.totals()["packets"] == int(values["packets"].sum())


def test_zeroing_a_slot(loaded: Probe) -> None:
    """Every CPU's counters of that slot, and of no other."""
    arm(loaded, order(slot=5), order(slot=6))
    feed(loaded, range(3))
    before = loaded.slot_counts(6)
    assert loaded.slot_counts(5).matched >= 3
    loaded.zero_slot(5)
    assert loaded.slot_counts(5).matched == 0
    assert loaded.slot_counts(6) == before
    drain_all(loaded)


def test_the_verdict_is_pass_and_the_frame_unchanged(loaded: Probe) -> None:
    """Matched or not, at both hooks: the packet goes on as it came."""
    arm(loaded, order())
    for data in (frame(1, 200), bytes(frames.eth(frames.ipv4("192.0.2.1", PEER, frames.udp(1, 2, b"z" * 40))))):
        assert loaded.test_run_out(data)[:2] == (XDP_PASS, data)
        assert loaded.test_run_out(data, egress=True)[:2] == (-1, data)
    drain_all(loaded)


@pytest.mark.parametrize("size", [1500, 3498, 4096, 9014, 16000])
def test_jumbo_frames_through_xdp(loaded: Probe, size: int) -> None:
    """Frames in several buffers are captured whole."""
    arm(loaded, order())
    data = frame(7, size)
    assert loaded.test_run(data) == XDP_PASS
    _, got = drain_all(loaded)
    assert got == [data]


def test_a_frame_shorter_than_ethernet_is_an_error_not_a_crash(loaded: Probe) -> None:
    """The kernel refuses it; so do we."""
    with pytest.raises(MachineError):
        loaded.test_run(b"x")
    with pytest.raises(UnavailableError):
        loaded.test_run(frame(), ifindex=9999)


@pytest.mark.parametrize("same_owner", [False, True])
def test_no_packet_is_judged_by_a_mixture_of_two_windows(loaded: Probe, same_owner: bool) -> None:
    """A slot changes between a window that ended long ago and one that begins in ages, while packets pass.

    Neither covers now; a packet that read the beginning of the one and the end of the other would match.
    """
    target = (parse(f"ip:{TARGET}"),)
    past = compile_tables([ArmedOrder(5, 1, abi.MODE_CONTENT, 0, 1000, 0, target)])
    future = compile_tables([ArmedOrder(5, 1 if same_owner else 2, abi.MODE_CONTENT, 1 << 62, 1 << 63, 0, target)])
    tables = arm(loaded)
    tables.apply(None, past)
    drain_all(loaded)
    done = threading.Event()

    def pump() -> None:
        data, took = frame(), ffi.new("uint32_t *")
        while not done.is_set():
            lib.ln_test_run(loaded._handle, b"li_ingress", LOOPBACK, data, len(data), ffi.NULL, ffi.NULL, 500, took)

    pumper = threading.Thread(target=pump, daemon=True)
    pumper.start()
    for _ in range(20):
        tables.apply(past, future)
        tables.apply(future, past)
    limit = time.monotonic() + 30  # the counters began anew with the last owner; see that packets do pass
    while not loaded.slot_counts(5).seen and time.monotonic() < limit:
        time.sleep(0.01)
    done.set()
    bounded.join(pumper)
    assert len(drain_all(loaded)[0]) == 0
    assert loaded.slot_counts(5).seen > 0
    tables.revoke(5)


def test_a_change_of_mode_alone_misses_no_packet(loaded: Probe) -> None:
    """Content to headers and back while packets pass: each is one record, of the one kind or the other."""
    arm(loaded, order())
    drain_all(loaded)
    loaded.zero_slot(5)
    values = []
    for mode in (abi.MODE_CONTENT, abi.MODE_HEADERS):
        value = np.frombuffer(bytearray(24), abi.SLOT).copy()
        value["generation"], value["mode"], value["not_after"] = 1, mode, 1 << 63
        values.append(value.tobytes())
    done = threading.Event()

    def swap() -> None:
        while not done.is_set():
            for value in values:
                loaded.write_slot(5, value)

    swapper = threading.Thread(target=swap, daemon=True)
    swapper.start()
    feed(loaded, range(2000))
    done.set()
    bounded.join(swapper)
    recs, _ = drain_all(loaded)
    assert len(recs) == 2000
    assert np.all((recs["kind"] == abi.REC_HEADER) == (recs["cap_len"] == 0))
    assert loaded.slot_counts(5).matched == 2000


@pytest.mark.net
def test_live_frames_are_real(loaded: Probe, wire: Wire) -> None:
    """The generator's path: every repetition is a frame that the stack receives."""
    arm(loaded, order(), ifindex=wire.a)
    mac = json.loads(wire.run("ip", "-j", "link", "show", "va"))[0]["address"]
    data = bytes(frames.eth(frames.ipv4(TARGET, PEER, frames.udp(1, 2, b"q" * 20)), dst=mac))

    def send() -> int:
        return int(
            lib.ln_test_run_fd(
                loaded.program_fd(abi.PROG_INGRESS), wire.a, data, len(data), 300, 1, 64, ffi.new("uint32_t *")
            )
        )

    before = received(wire)
    assert wire.inside(send) >= 0
    # XDP_PASS of a live frame: it goes up the stack of its interface, as if the wire had brought it.
    assert received(wire) - before >= 300
    assert len(drain_all(loaded)[0]) == 300


def received(wire: Wire) -> int:
    """IP packets that the namespace's stack has seen (delivered or not)."""
    text = wire.run("cat", "/proc/net/snmp").splitlines()
    heads, values = (line.split() for line in text if line.startswith("Ip:"))
    return int(values[heads.index("InReceives")])
