# SPDX-License-Identifier: Apache-2.0
"""An agency of raw ETSI TS 102 232 that keeps the octets as they come, in the clear or in mutual TLS 1.3.

A receiver that decodes as it goes would be what is measured. This one writes to a file, and the packets in it are
counted afterwards.

``python -m bench.sink PORT FILE [CERTIFICATE KEY CA]`` takes one connection after another until it is ended.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from io import FileIO

PIECE = 1 << 20  # octets read at once
IPCC = bytes.fromhex("800405031402")
"""iPCCObjId, which begins each packet's IPCC (TS 102 232-3); it stands in no frame of `bench.wire.frame_of`."""


def taken(file: Path) -> tuple[int, float]:
    """Packets in the file, and when the last octet was written to it, seconds since 1970."""
    count, before = 0, b""
    with file.open("rb") as octets:
        while data := octets.read(64 << 20):
            count += (before + data).count(IPCC)
            before = data[-len(IPCC) + 1 :]
    return count, file.stat().st_mtime


def main(port: int, file: Path, certificate: str = "", key: str = "", ca: str = "") -> None:
    """Listens on loopback."""
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(certificate, key)
        context.load_verify_locations(ca)
        context.verify_mode = ssl.CERT_REQUIRED
    with socket.create_server(("127.0.0.1", port)) as listener, file.open("wb", buffering=0) as out:
        while True:
            plain, _ = listener.accept()
            with contextlib.suppress(OSError), context.wrap_socket(plain, server_side=True) if context else plain as s:
                _keep(s, out)


def _keep(sock: socket.socket, out: FileIO) -> None:
    piece = memoryview(bytearray(PIECE))
    while size := sock.recv_into(piece):
        out.write(piece[:size])


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
