# SPDX-License-Identifier: Apache-2.0
"""What the lab's server host offers: HTTP on port 80 (IPv4 and IPv6), and DNS by dnsmasq.

``GET /text/<marker>/<bytes>`` answers with the marker repeated to that many bytes, so whoever searches captured files
for the marker finds any leaked payload.
"""

from __future__ import annotations

import http.server
import re
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lictl.lab import topology

if TYPE_CHECKING:
    from lictl.lab.lab import Lab

DOMAIN = "lab.example"
_PATH = re.compile(r"/text/(?P<marker>[\w-]{1,63})/(?P<size>\d{1,9})")
_BLOCK = 64 * 1024


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answers with marker text, or 404."""
        match = _PATH.fullmatch(self.path)
        if match is None:
            self.send_error(404)
            return
        size = int(match["size"])
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(size))
        self.end_headers()
        text = match["marker"].encode() + b" "
        block = text * (_BLOCK // len(text))
        for _ in range(size // len(block)):
            self.wfile.write(block)
        self.wfile.write(block[: size % len(block)])

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""


class _Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
    daemon_threads = True

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super(http.server.HTTPServer, self).server_bind()
        self.server_name, self.server_port = DOMAIN, self.server_address[1]


def start_http(lab: Lab) -> None:
    """Starts the HTTP server; returns when it accepts connections."""
    lab.start("server", [sys.executable, "-m", "lictl.lab.services"])
    lab.wait_for_port("server", 80)


def start_dns(lab: Lab) -> None:
    """Starts dnsmasq; every name below lab.example is the server itself."""
    argv = ["dnsmasq", "--keep-in-foreground", "--no-daemon", "--no-resolv", "--no-hosts", "--conf-file=/dev/null"]
    argv += ["--pid-file=", "--user=root", "--bind-interfaces", "--port=53", "--local-ttl=60"]
    argv += [f"--address=/{DOMAIN}/{topology.SERVER.v4}", f"--address=/{DOMAIN}/{topology.SERVER.v6}"]
    lab.start("server", argv, cwd=lab.folder)
    lab.wait_for_port("server", 53)


def start_iperf(lab: Lab) -> None:
    """Starts an iperf3 server."""
    lab.start("server", ["iperf3", "--server"])
    lab.wait_for_port("server", 5201)


def listening(port: int) -> bool:
    """True where a TCP socket of the calling thread's namespace listens on the port."""
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/thread-self/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                return True
    return False


if __name__ == "__main__":
    _Server(("::", 80), _Handler).serve_forever()
