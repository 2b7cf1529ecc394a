# SPDX-License-Identifier: Apache-2.0
"""Fuzzes the receiver over real sockets for a stated time: `make fuzz`. Its protocol, raw streams and datagrams.

python tests/collection/fuzz_receiver.py SECONDS [SEED]
"""

from __future__ import annotations

import contextlib
import random
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from fuzz_readers import SEEDS, check_memory, mutated
from sender_kit import Sender, Stream, block_frame, hello

from lictl.collection.datagrams import DEFECT
from lictl.collection.listening import Listen
from lictl.collection.receiver import Receiver
from lictl.delivery import wire
from lictl.delivery.wire import FrameType

LOCAL = ("127.0.0.1", 0)
EACH = 10_000
"""Conversations with one receiver; the next one has a folder of its own."""


def conversation(rng: random.Random) -> bytes:
    """A sender's side of the delivery protocol: a greeting, blocks and what else it may say."""
    stream, number = Stream(), rng.randrange(4)
    parts = [wire.hello_frame(hello(f"L-{number}", f"W-{number}"))]
    for _ in range(rng.randrange(5)):
        match rng.randrange(4):
            case 0:
                parts.append(wire.number_frame(FrameType.PING, rng.getrandbits(64)))
            case 1:
                parts.append(wire.frame_head(FrameType.END, 0))
            case _:
                changes = {"kind": rng.randrange(8), "total_lost": rng.randrange(9)} if rng.random() < 0.3 else {}
                block = stream.data(rng.randbytes(rng.randrange(200)), rng.randrange(3), rng.randrange(3), **changes)
                parts.append(block_frame(block))
    return b"".join(parts)


def one(rng: random.Random, receiver: Receiver) -> bytes:
    """One conversation or datagram; returns what was sent."""
    tcp, udp = receiver.addresses
    data = mutated(rng, (*SEEDS, conversation(rng), conversation(rng), conversation(rng)))
    if rng.random() < 0.2:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(data[:60_000], udp)
        return data
    with contextlib.suppress(OSError), socket.create_connection(tcp, 30) as sock:
        at = 0
        while at < len(data):
            step = rng.choice((1, 7, 64, len(data)))
            sock.sendall(data[at : at + step])
            at += step
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(1 << 16):
            pass
    return data


def check_serves(receiver: Receiver) -> None:
    """An honest sender is still answered."""
    with Sender(receiver.address, hello("honest")) as honest:
        honest.send(wire.number_frame(FrameType.PING, 1))
        if honest.next()[0] is not FrameType.PONG:
            raise AssertionError("no answer")


def main(seconds: float, seed: int) -> None:
    """Runs until the time is over; a finding is written to the current folder and ends it."""
    rng, end, count = random.Random(seed), time.monotonic() + seconds, 0
    fallen: list[Any] = []
    threading.excepthook = fallen.append
    while time.monotonic() < end:
        with (
            tempfile.TemporaryDirectory() as folder,
            Receiver(LOCAL, Path(folder) / "r", udp=[Listen(LOCAL)], durable=False).start() as receiver,
        ):
            for _ in range(EACH):
                data = one(rng, receiver)
                count += 1
                defects = [reason for reason in receiver.refused if reason.startswith(DEFECT)]
                if fallen or defects:
                    Path(f"fuzz-receiver-{seed}-{count}").write_bytes(data)
                    cause = fallen[0].exc_value if fallen else None
                    raise AssertionError(f"the receiver has fallen, or would have: {defects}") from cause
                if time.monotonic() >= end:
                    break
            check_serves(receiver)
            receiver.verdict()
    sys.stdout.write(f"{count} conversations, seed {seed}, {check_memory() >> 20} MiB, no finding\n")


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(1 << 32))
