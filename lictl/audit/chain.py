# SPDX-License-Identifier: Apache-2.0
"""The audit chain: what is appended is on disk, signed and linked when `append` returns.

The pattern of every change: ``intent = chain.append("warrant.approve", ...)``, then the effect, then
``chain.done(intent)`` or ``chain.failed(intent, why)``. After a crash `unresolved` names intents without an outcome.
"""

from __future__ import annotations

import fcntl
import os
import socket
import threading
from typing import TYPE_CHECKING, Any, Final

from lictl import faults, log
from lictl.audit import tail as tails
from lictl.audit.anchor import Head
from lictl.audit.entry import GENESIS, OUTCOMES, ROTATED, is_intent, link_of, pack_entry, pack_signature
from lictl.audit.files import FOLDER, disk_error, name_of
from lictl.audit.read import find
from lictl.errors import IntegrityError, MachineError, UnavailableError
from lictl.home import FILE_MODE
from lictl.times import now_ns

if TYPE_CHECKING:
    from pathlib import Path

    from lictl.audit.anchor import Anchor
    from lictl.audit.entry import Entry
    from lictl.home import Home
    from lictl.keys.signer import Signer

FILE_BYTES: Final = 16 << 20
"""A file this long is followed by the next one."""
LOCK: Final = "lock"
DAEMON: Final[dict[str, Any]] = {"name": "lictl"}
"""The actor of what nobody asked for: expiry, recovery, reconciliation."""

_log = log.get("audit")


class Chain:
    """The chain of one home, open for appending by one process; may be used from every thread.

    Threads that append at the same moment share one signature and one flush of the disk.

    Attributes:
        folder: of the files.
        damage: what did not fit when it was opened; "" where all did.
        anchor_error: why the last head could not be anchored; "" where it was.
    """

    def __init__(self, folder: Path, signer: Signer, anchor: Anchor | None, tail: tails.Tail, file_bytes: int) -> None:
        self.folder = folder
        self.damage = tail.damage
        self.anchor_error = ""
        self._signer = signer
        self._public = signer.public_key
        self._anchor = anchor
        self._host = socket.gethostname()
        self._file_bytes = file_bytes
        self._number, self._size = tail.file, tail.size
        self._fd: int | None = None
        self._lock_fd = -1
        self._broken = ""
        self._lock = threading.Lock()  # of what is in memory
        self._writing = threading.Lock()  # of the file; taken before the other
        self._seq, self._head, self._prev = tail.seq, tail.head, tail.prev
        self._open = set(tail.open)
        self._pending: list[bytes] = []
        self._epoch = 0
        self._durable = (tail.seq, tail.head, tail.prev, frozenset(tail.open))

    @classmethod
    def open(
        cls,
        home: Home,
        signer: Signer,
        anchor: Anchor | None = None,
        *,
        upcoming: Signer | None = None,
        file_bytes: int = FILE_BYTES,
        go_on: bool = False,
    ) -> Chain:
        """Opens the chain of a home, or begins it; what a crash tore is cut, and that is recorded.

        Args:
            home: whose.
            signer: of its entries.
            anchor: keeps the head outside of the files.
            upcoming: the key that was made to follow; it signs where the chain says that it was handed over to it.
            file_bytes: a file this long is followed by the next one.
            go_on: where the chain was changed by somebody, record that and go on behind it (`damage` says what); its
                verification fails at that place for ever. Without it, such a chain is not opened.

        Raises:
            UnavailableError: another process appends to it.
            IntegrityError: somebody changed its end or removed it.
            MachineError: the disk.
        """
        folder = home.make_folder(home.root / FOLDER)
        lock = _lock(folder)
        try:
            anchored = anchor.read() if anchor is not None else None
            keys = [signer, *([upcoming] if upcoming is not None else [])]
            tail = tails.take_up(folder, [each.public_key for each in keys], anchored)
            handed_over = tail.announced != "" and tail.signed != ""
            by = tail.announced if handed_over else tail.signed
            signer = next((each for each in keys if each.public_key.hex() == by), signer)
            if handed_over and signer.public_key.hex() != tail.announced:
                tail.damage, handed_over = "It was handed over to a key that is not there.", False
            if tail.damage and not go_on:
                raise IntegrityError(
                    f"The audit chain was changed from outside: {tail.damage}",
                    "`lictl audit verify` names the place. Keep the folder as it is, and find out who did it.",
                )
            chain = cls(folder, signer, anchor, tail, file_bytes)
            chain._lock_fd = lock
            if handed_over:
                chain._begin_file()
            chain._record_opening(tail, anchored)
        except OSError as error:
            os.close(lock)
            raise disk_error(folder, error) from None
        except BaseException:
            os.close(lock)
            raise
        return chain

    def _record_opening(self, tail: tails.Tail, anchored: tuple[int, str] | None) -> None:
        if tail.damage:
            found = {"what": tail.damage, "anchored": list(anchored) if anchored else None, "ended": tail.head}
            self.append("chain.damaged", actor=DAEMON, after=found)
        elif tail.head == GENESIS:
            self.append("chain.begin", actor=DAEMON, after={"key": self._signer.public_key.hex(), "version": 1})
        if tail.cut is not None:
            self.append("chain.recovered", actor=DAEMON, after=tail.cut)

    # ---- another key

    def hand_over(self, signer: Signer, actor: dict[str, Any]) -> None:
        """The key that signed so far signs that this one follows; this one signs from here on, in a file of its own.

        Raises:
            MachineError: it could not be written; the key that signed so far goes on.
        """
        with self._writing:
            with self._lock:
                self._check(self._epoch)
                after = {"from": self._signer.public_key.hex(), "to": signer.public_key.hex()}
                self._add(ROTATED, None, actor=actor, before=None, after=after, sealed=None)
                group = self._take_group()
            self._commit(group)
            with self._lock:
                self._signer = signer
                self._begin_file()
        faults.point("audit.rotate.announced")

    def _begin_file(self) -> None:
        """The next group stands in a file of its own."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
        if self._size:
            self._number, self._size = self._number + 1, 0

    # ---- appending

    def append(
        self,
        action: str,
        *,
        actor: dict[str, Any],
        subject: str | int | None = None,
        before: dict[str, Any] | None = None,
        after: dict[str, Any] | None = None,
        sealed: bytes | None = None,
        sync: bool = True,
    ) -> int:
        """Adds an entry.

        Args:
            action: what is done or read. One that is neither an outcome nor begins with one of `entry.NOTES` is an
                intent: "done" or "failed" with its number as subject has to follow.
            actor: who.
            subject: about what: never a target.
            before: JSON values; never a target.
            after: JSON values; never a target.
            sealed: what names a target, under the warrant's key.
            sync: on disk and signed on return; else with the next entry that is, or `flush`.

        Returns:
            its number.

        Raises:
            MachineError: it could not be written; nothing may be done that it announces.
        """
        about = None if subject is None else str(subject)
        with self._lock:
            self._add(action, about, actor=actor, before=before, after=after, sealed=sealed)
            seq, epoch = self._seq, self._epoch
        if sync:
            self._sync(seq, epoch)
        return seq

    def _add(self, action: str, subject: str | None, **fields: Any) -> None:
        line, digest = pack_entry(
            self._prev, self._seq + 1, now_ns(), self._host, action=action, subject=subject, **fields
        )
        self._pending.append(line)
        self._seq, self._head, self._prev = self._seq + 1, digest, digest
        self._note(action, subject)

    def done(self, intent: int, *, actor: dict[str, Any] | None = None, after: dict[str, Any] | None = None) -> int:
        """Records that an intent was carried out."""
        return self.append("done", actor=actor or DAEMON, subject=intent, after=after)

    def failed(self, intent: int, why: str, *, actor: dict[str, Any] | None = None) -> int:
        """Records that an intent was not carried out, and why; never names a target."""
        return self.append("failed", actor=actor or DAEMON, subject=intent, after={"why": why})

    def _note(self, action: str, subject: str | None) -> None:
        if is_intent(action):
            self._open.add(self._seq)
        elif action in OUTCOMES and subject is not None and subject.isdecimal():
            self._open.discard(int(subject))

    def flush(self) -> None:
        """Brings what was appended without `sync` to disk.

        Raises:
            MachineError: it could not be written.
        """
        with self._lock:
            seq, epoch = self._seq, self._epoch
        self._sync(seq, epoch)

    def _sync(self, seq: int, epoch: int) -> None:
        with self._writing:
            with self._lock:
                self._check(epoch)
                if self._durable[0] >= seq:
                    return
                group = self._take_group()
            self._commit(group)

    def _check(self, epoch: int) -> None:
        if epoch != self._epoch or self._broken:
            raise MachineError("The audit chain could not be written.", self._broken or "See the log.")

    def _commit(self, group: bytes) -> None:
        try:
            self._write(group)
        except OSError as error:
            self._roll_back()
            raise disk_error(self.folder / name_of(self._number), error) from None
        faults.point("audit.group.synced")
        self._keep_head()

    def _take_group(self) -> bytes:
        signature = pack_signature(
            self._signer, self._head, self._durable[0] + 1, self._seq, sorted(self._open), now_ns()
        )
        group = b"\n".join((*self._pending, signature, b""))
        self._pending = []
        self._prev = link_of(signature)
        self._taken = (self._seq, self._head, self._prev, frozenset(self._open))
        return group

    def _write(self, group: bytes) -> None:
        if self._fd is not None and self._size >= self._file_bytes:
            self._begin_file()
        if self._fd is None:
            self._fd = tails.new_file(self.folder, self._number)
        faults.point("audit.group.begun")
        view = memoryview(group)
        while view:
            view = view[os.write(self._fd, view) :]
        faults.point("audit.group.written")
        try:
            os.fdatasync(self._fd)  # its length goes with it, its times need not
        except OSError:
            # What the disk holds is not known after a failed one; only a new look at it tells (`open`).
            self._broken = "The disk failed: repair it, then restart lictl."
            raise
        self._size += len(group)
        with self._lock:
            self._durable, self._public = self._taken, self._signer.public_key

    def _roll_back(self) -> None:
        """After a failed write: the file and the memory as they were after the last group that was written."""
        with self._lock:
            self._epoch += 1
            self._pending = []
            self._seq, self._head, self._prev = self._durable[:3]
            self._open = set(self._durable[3])
        if self._fd is None:
            return
        try:
            os.ftruncate(self._fd, self._size)
        except OSError:
            self._broken = "Its file cannot be repaired: see the log, then restart lictl."

    def _keep_head(self) -> None:
        if self._anchor is None:
            return
        try:
            self._anchor.write(self._durable[0], self._durable[1])
            self.anchor_error = ""
        except Exception as error:  # whatever it is: the entry itself is safe
            self.anchor_error = type(error).__name__
            _log.error("head not anchored", error=type(error).__name__, **log.place(error))
        faults.point("audit.group.anchored")

    # ---- state

    @property
    def head(self) -> Head:
        """The last entry that is on disk."""
        return Head(*self._durable[:2])

    @property
    def public_key(self) -> bytes:
        """Of the key that signed last."""
        return self._public

    @property
    def signer(self) -> Signer:
        """Signs its entries at present."""
        return self._signer

    def open_intents(self) -> list[int]:
        """Numbers of the intents that have no outcome yet."""
        with self._lock:
            return sorted(self._open)

    def close(self) -> None:
        """Flushes and lets another process append."""
        try:
            self.flush()
        finally:
            if self._fd is not None:
                os.close(self._fd)
                self._fd = None
            if self._lock_fd >= 0:
                os.close(self._lock_fd)
                self._lock_fd = -1

    def __enter__(self) -> Chain:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def unresolved(chain: Chain) -> list[Entry]:
    """The intents without an outcome, oldest first. To be asked before anything is appended after a start."""
    return find(chain.folder, chain.open_intents())


def _lock(folder: Path) -> int:
    path = folder / LOCK
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
    except OSError as error:
        raise disk_error(path, error) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise UnavailableError(
            f"Another process appends to the audit chain in {folder}.", "Ask the daemon, or stop it first."
        ) from None
    return descriptor
