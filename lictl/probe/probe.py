# SPDX-License-Identifier: Apache-2.0
"""The probe: the capture program in the kernel, its rings and its counters."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from importlib import resources
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from lictl.errors import IntegrityError, MachineError, UsageError
from lictl.probe import abi
from lictl.probe.native import check, error_buffer, ffi, lib
from lictl.probe.state import Attachment, RingState, SlotCounts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from lictl.probe.batch import Batch

__all__ = ["Attachment", "Probe", "RingState", "SlotCounts", "object_hash"]

OBJECT: Final = "capture.bpf.o"
DEFAULT_RING_BYTES: Final = 32 << 20
_MAX_ATTACHMENTS: Final = 256
_MODES: Final = {
    lib.LN_ATTACH_NATIVE: "native",
    lib.LN_ATTACH_GENERIC: "generic",
    lib.LN_ATTACH_OFFLOAD: "offload",
    lib.LN_ATTACH_TC: "tc",
}


def object_hash() -> str:
    """SHA-256 of the capture object in this package, as noted when it was built (hex).

    Raises:
        MachineError: the package was built without it.
    """
    try:
        noted = resources.files("lictl.probe").joinpath(f"{OBJECT}.sha256").read_text()
    except OSError:
        raise MachineError(
            f"{OBJECT} is not in this installation.", "Reinstall lictl, or build it: pip install -e ."
        ) from None
    return noted.split()[0]


@contextmanager
def _object_file() -> Iterator[Path]:
    expected = object_hash()
    with resources.as_file(resources.files("lictl.probe").joinpath(OBJECT)) as path:
        try:
            found = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            raise MachineError(f"{path} cannot be read: {error.strerror}.", "Reinstall lictl.") from None
        if found != expected:
            raise IntegrityError(
                f"{path} is not the capture object of this package: its SHA-256 is {found}, not {expected}.",
                "Reinstall lictl; do not run a capture program of unknown origin.",
            )
        yield path


class Probe:
    """An open probe. `drain`, `release`, `wait` and `nap` belong to one thread; the rest may be called from any.

    Attributes:
        took_over: the maps, and whatever was attached, were there before.
        pin_dir: folder of the pins, None where nothing is pinned.
    """

    def __init__(self, handle: Any, took_over: bool, pin_dir: Path | None) -> None:
        self._handle = handle
        self.took_over = took_over
        self.pin_dir = pin_dir

    @classmethod
    def open(cls, pin_dir: Path | None, ring_bytes: int = DEFAULT_RING_BYTES, fresh: bool = False) -> Self:
        """Checks the object's hash, loads it, or takes over what is pinned.

        Args:
            pin_dir: folder on a bpffs; None: everything ends with this process.
            ring_bytes: of each CPU's ring: a power of two from 4096 to 2^30.
            fresh: never take over: detach and remove what is pinned, with the records that wait in it.

        Raises:
            RefusedError: what is pinned is another version's (says what differs).
            MachineError: the kernel does not do it.
            IntegrityError: the object is not this package's.
        """
        if not 4096 <= ring_bytes <= 1 << 30 or ring_bytes & (ring_bytes - 1):
            raise UsageError(f"a ring of {ring_bytes} bytes cannot be.", "Choose a power of two from 4096 to 2^30.")
        with _object_file() as path:
            options = ffi.new("struct ln_options *")
            kept = [ffi.new("char[]", str(path).encode())]
            options.object_path = kept[0]
            if pin_dir is not None:
                kept.append(ffi.new("char[]", str(pin_dir).encode()))
                options.pin_dir = kept[1]
            options.ring_bytes = ring_bytes
            options.fresh = int(fresh)
            handle, took_over, text = ffi.new("struct ln_probe **"), ffi.new("int *"), error_buffer()
            check(lib.ln_open(options, handle, took_over, text, len(text)), text, "opening the probe")
        return cls(handle[0], bool(took_over[0]), pin_dir)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the descriptors. What is pinned goes on capturing; without pins everything ends."""
        if self._handle is not None:
            lib.ln_close(self._handle)
            self._handle = None

    def destroy(self) -> None:
        """Detaches everywhere, removes the pins and closes: nothing of the probe is left."""
        text = error_buffer()
        check(lib.ln_destroy(self._open(), text, len(text)), text, "removing the probe")
        self.close()

    def _open(self) -> Any:
        if self._handle is None:
            raise MachineError("the probe is closed.")
        return self._handle

    # ---- attachments ----

    def attach(self, ifindex: int, hook: int, generic: bool = False, replace: bool = False) -> Attachment:
        """Attaches to an interface of this thread's network namespace.

        Args:
            hook: AT_INGRESS (XDP) or AT_EGRESS (tc).
            generic: XDP in the kernel's generic mode; never a silent fallback.
            replace: remove another program that is attached there.

        Raises:
            RefusedError: another program holds the interface.
            UnavailableError: there is no such interface.
            MachineError: the driver or the kernel does not do it.
        """
        if not 0 < ifindex < abi.MAX_IFINDEX:
            raise UsageError(f"interface index {ifindex} is outside 1..{abi.MAX_IFINDEX - 1}.", "Recreate it.")
        mode = lib.LN_ATTACH_GENERIC if generic else lib.LN_ATTACH_NATIVE
        out, text = ffi.new("struct ln_attachment *"), error_buffer()
        result = lib.ln_attach(self._open(), ifindex, hook, mode, int(replace), out, text, len(text))
        check(result, text, "attaching")
        return _attachment(out)

    def detach(self, ifindex: int, hook: int) -> None:
        """Ends one attachment."""
        text = error_buffer()
        check(lib.ln_detach(self._open(), ifindex, hook, text, len(text)), text, "detaching")

    def attachments(self) -> list[Attachment]:
        """What is attached now, asked from the kernel."""
        out = ffi.new("struct ln_attachment[]", _MAX_ATTACHMENTS)
        count = check(lib.ln_attachments(self._open(), out, _MAX_ATTACHMENTS), None, "asking for attachments")
        return [_attachment(out[index]) for index in range(count)]

    # ---- records ----

    def drain(self, batch: Batch) -> int:
        """Fills the batch with what the rings hold, in order of time; never blocks. Returns the count."""
        return int(lib.ln_drain(self._handle, batch.c))

    def release(self) -> None:
        """Gives the memory of everything drained back to the kernel; frames of the batch are invalid from here on."""
        lib.ln_release(self._handle)

    def wait(self, timeout_us: int) -> bool:
        """Sleeps until a record arrives (True), or the time is over or `wake` was called (False)."""
        return bool(check(lib.ln_wait(self._open(), timeout_us), None, "waiting for records"))

    def nap(self, timeout_us: int) -> bool:
        """Lets records gather: sleeps, less where a ring passes the watermark. True: there is something to drain."""
        return bool(check(lib.ln_nap(self._open(), timeout_us), None, "waiting for records"))

    def wake(self) -> None:
        """Ends a running `wait` or `nap` from another thread."""
        lib.ln_wake(self._open())

    def rings(self) -> list[RingState]:
        """Fill of every CPU's ring."""
        out = ffi.new("struct ln_ring_state[]", abi.MAX_CPUS)
        count = check(lib.ln_rings(self._open(), out, abi.MAX_CPUS), None, "asking for the rings")
        return [
            RingState(int(ring.cpu), int(ring.size), int(ring.waiting), int(ring.consumed), int(ring.damaged))
            for ring in (out[index] for index in range(count))
        ]

    # ---- counters ----

    def totals(self) -> dict[str, Any]:
        """``li_totals`` summed over CPUs: each counter by its name; ``parse`` and ``l4`` as {class: count}."""
        values = self.per_cpu(abi.MAP_TOTALS, 0, abi.TOTALS)
        totals: dict[str, Any] = {
            name: int(values[name].sum()) for name in abi.TOTALS.names or () if name not in ("parse", "l4")
        }
        totals["parse"] = dict(zip(abi.PARSE_NAMES, values["parse"].sum(axis=0).tolist(), strict=True))
        totals["l4"] = dict(zip(abi.L4_NAMES, values["l4"].sum(axis=0).tolist(), strict=True))
        return totals

    def slot_counts(self, slot: int) -> SlotCounts:
        """Counters of one slot since `zero_slot`, summed over CPUs."""
        values = self.per_cpu(abi.MAP_SLOT_COUNT, slot, abi.SLOT_COUNT)
        return SlotCounts(**{name: int(values[name].sum()) for name in SlotCounts.__dataclass_fields__})

    def slot_counts_by_cpu(self, slot: int) -> NDArray[np.void]:
        """SLOT_COUNT[possible CPUs] of one slot: ``matched`` is the last ``slot_seq`` given on that CPU."""
        return self.per_cpu(abi.MAP_SLOT_COUNT, slot, abi.SLOT_COUNT)

    def zero_slot(self, slot: int) -> None:
        """Zeroes a slot's counters. Only while the slot is not armed: the program's own writes would be lost."""
        zeros = np.zeros(lib.ln_possible_cpus(), abi.SLOT_COUNT)
        self.update(abi.MAP_SLOT_COUNT, np.array([slot], np.uint32), zeros.view("u1").reshape(1, -1))

    @property
    def incarnation(self) -> int:
        """Random number of this set of maps: slot sequences begin anew with another one."""
        return int(self.config()["incarnation"])

    def config(self) -> np.void:
        """A copy of ``li_config`` (CONFIG)."""
        value = np.zeros(1, abi.CONFIG)
        self.lookup(abi.MAP_CONFIG, np.zeros(1, np.uint32), value)
        config: np.void = value[0]
        return config

    # ---- words that the program reads on every packet ----

    def set_utc_offset(self, offset_ns: int) -> None:
        """UTC minus CLOCK_MONOTONIC, as the program stamps and judges from now on (nanoseconds)."""
        lib.ln_config(self._open()).utc_offset_ns = offset_ns & 0xFFFF_FFFF_FFFF_FFFF

    def set_watermark(self, size: int) -> None:
        """Bytes waiting in a ring that end a `nap`."""
        lib.ln_config(self._open()).watermark = size

    def config_words(self) -> Any:
        """``struct li_config *``, mapped; for `lictl.probe.tables` only. Invalid once closed."""
        return lib.ln_config(self._open())

    def filter_words(self) -> NDArray[np.uint64]:
        """The bitmap in front of the target maps, mapped: uint64[16384]; for `lictl.probe.tables` only."""
        return np.frombuffer(ffi.buffer(lib.ln_filter(self._open())), np.uint64)

    def write_slot(self, slot: int, value: bytes) -> None:
        """Writes one packed ``li_slot``, its state word at once; zeros revoke (see `KernelTables`)."""
        if len(value) != abi.SLOT.itemsize:
            raise ValueError("a slot has 24 bytes")
        memory = ffi.from_buffer("struct li_slot *", value)
        check(lib.ln_slot_write(self._open(), slot, memory), None, "writing a slot")

    def grace(self) -> None:
        """Returns when no packet is in work any more that began before the call (some 10 ms)."""
        check(lib.ln_grace(self._open()), None, "waiting for the packets in work")

    # ---- maps ----

    def map_fd(self, name: str) -> int:
        """Descriptor of a map; owned by the probe."""
        return check(lib.ln_map_fd(self._open(), name.encode()), None, f"asking for the map {name}")

    def program_fd(self, name: str) -> int:
        """Descriptor of a program (PROG_*); owned by the probe."""
        return check(lib.ln_prog_fd(self._open(), name.encode()), None, f"asking for the program {name}")

    def per_cpu(self, name: str, key: int, dtype: np.dtype[np.void]) -> NDArray[np.void]:
        """The values of one key of a per-CPU array: dtype[possible CPUs]."""
        values = np.zeros(lib.ln_possible_cpus(), dtype)
        self.lookup(name, np.array([key], np.uint32), values)
        return values

    def lookup(self, name: str, key: NDArray[Any], value: NDArray[Any]) -> None:
        """Reads one value into `value`, which must be as long as the map's value (times CPUs, for a per-CPU map)."""
        result = lib.ln_map_lookup(self.map_fd(name), ffi.cast("void *", key.ctypes.data), _address(value))
        check(result, None, f"reading the map {name}")

    def update(self, name: str, keys: NDArray[Any], values: NDArray[Any]) -> None:
        """Writes n entries: n keys and n values, each C-contiguous with the map's own item size.

        Raises:
            MachineError: an entry was refused; those before it are written.
        """
        keys, values = np.ascontiguousarray(keys), np.ascontiguousarray(values)
        error = ffi.new("int *")
        count = len(keys)
        lib.ln_map_update(
            self.map_fd(name), _address(keys), keys.nbytes // max(count, 1), _address(values),
            values.nbytes // max(count, 1), count, error,
        )  # fmt: skip
        check(error[0], None, f"writing the map {name}")

    def delete(self, name: str, keys: NDArray[Any]) -> None:
        """Removes n keys; those that are absent do not matter.

        Raises:
            MachineError: a removal was refused; those before it are done.
        """
        keys = np.ascontiguousarray(keys)
        error = ffi.new("int *")
        lib.ln_map_delete(self.map_fd(name), _address(keys), keys.nbytes // max(len(keys), 1), len(keys), error)
        check(error[0], None, f"writing the map {name}")

    def dump(self, name: str, key: np.dtype[Any], value: np.dtype[Any], room: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """Every entry of a hash or array map, at most `room`: (keys, values)."""
        keys, values = np.zeros(room, key), np.zeros(room, value)
        count = lib.ln_map_dump(self.map_fd(name), _address(keys), key.itemsize, _address(values), value.itemsize, room)
        check(count, None, f"reading the map {name}")
        return keys[:count], values[:count]

    # ---- tests and measurement ----

    def test_run(self, frame: bytes, ifindex: int = 1, egress: bool = False, repeat: int = 1) -> int:
        """Sends a frame through the program as if received on (or leaving by) ifindex. Returns XDP_* or TC_ACT_*.

        Raises:
            MachineError: the kernel does not take the frame (too short, or egress and longer than a page).
        """
        return self.test_run_out(frame, ifindex, egress, repeat)[0]

    def test_run_out(
        self, frame: bytes, ifindex: int = 1, egress: bool = False, repeat: int = 1
    ) -> tuple[int, bytes, int]:
        """As `test_run`: (verdict, the frame afterwards, nanoseconds a run)."""
        out = ffi.new("uint8_t[]", len(frame) + 256)
        out_len, duration = ffi.new("uint32_t *", len(out)), ffi.new("uint32_t *")
        name = abi.PROG_EGRESS if egress else abi.PROG_INGRESS
        verdict = lib.ln_test_run(
            self._open(), name.encode(), ifindex, ffi.from_buffer(frame), len(frame), out, out_len, repeat, duration
        )
        if verdict < 0 and not (egress and verdict == -1):  # TC_ACT_UNSPEC
            check(verdict, None, "a test run")
        return int(verdict), bytes(ffi.buffer(out, out_len[0])), int(duration[0])


def _address(array: NDArray[Any]) -> Any:
    return ffi.cast("void *", array.ctypes.data)


def _attachment(out: Any) -> Attachment:
    return Attachment(
        int(out.ifindex),
        int(out.hook),
        _MODES.get(int(out.mode), "unknown"),
        int(out.program_id),
        bytes(out.tag).hex(),
        bool(out.taken_over),
    )
