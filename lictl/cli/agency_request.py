# SPDX-License-Identifier: Apache-2.0
"""What an agency is added with: from the command line of `lictl agency add`, or asked for by `lictl agency new`."""

from __future__ import annotations

import shlex
from dataclasses import MISSING, dataclass, field, fields
from typing import TYPE_CHECKING, Any

from lictl.cli import output
from lictl.cli.agency_options import pairs, pem, place

if TYPE_CHECKING:
    from pathlib import Path

    from lictl.cli.state import State
    from lictl.warrants.model import Agency


@dataclass(frozen=True, slots=True, kw_only=True)
class AgencyRequest:
    """An agency to be added. Each field is an option of `lictl agency add`, with its default."""

    host: str = ""
    port: int = 0
    format: str = "pcapng"
    option: list[str] = field(default_factory=list)
    profile: str | None = None
    transport: str = "lictl"
    tls: bool = False
    tls_ca: Path | None = None
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    tls_min: str = "1.3"
    events: str | None = None
    keepalive: float = 0.0
    response: float = 0.0
    ceiling: int = 0
    backlog: str = ""
    file: list[str] = field(default_factory=list)

    def parameters(self) -> dict[str, Any]:
        """Arguments of the operation `agency.add`, but for the name.

        Raises:
            UsageError: a file cannot be read, or something is not of the form KEY=VALUE or HOST:PORT.
        """
        from lictl.service.options import read_size

        way = {
            "kind": self.transport, "tls": self.tls, "tls_min": self.tls_min, "ca": pem(self.tls_ca),
            "certificate": pem(self.tls_certificate), "key": pem(self.tls_key), "keepalive_s": self.keepalive,
            "response_s": self.response, "bytes_per_s": self.ceiling, "files": pairs(self.file, "file"),
            "backlog_bytes": read_size(self.backlog) if self.backlog else 0, **place(self.events),
        }  # fmt: skip
        return {
            "host": self.host, "port": self.port, "format": self.format, "options": pairs(self.option, "option"),
            "profile": self.profile, "transport": way,
        }  # fmt: skip

    def agency(self, name: str) -> Agency:
        """The agency that would be added; errors as of `parameters`, and where a setting cannot be."""
        from lictl.service.transports import read_transport
        from lictl.warrants.model import Agency

        given = self.parameters()
        transport = read_transport(given["transport"])
        return Agency(name, self.host, self.port, self.format, given["options"], transport)

    def command(self, name: str) -> str:
        """The command line that adds it; what stands as it is by default is left out."""
        words = ["lictl", "agency", "add", name]
        for each in fields(self):
            value, option = getattr(self, each.name), f"--{each.name.replace('_', '-')}"
            if each.default_factory is not MISSING:
                words += [word for item in value for word in (option, item)]
            elif value is True:
                words.append(option)
            elif value != each.default:
                words += [option, str(value)]
        return shlex.join(words)


def add(now: State, name: str, request: AgencyRequest) -> None:
    """Adds the agency and says so."""
    from lictl.service.administration import call

    agency = call(now.home, "agency.add", name=name, **request.parameters())
    secure = " in TLS" if request.tls else ""
    where = f"at {request.host} port {request.port}, " if request.host else ""
    output.answer(now, agency, f"Added agency {name}: {where}format {request.format}, {request.transport}{secure}.")
