# SPDX-License-Identifier: Apache-2.0
"""How one agency is reached: what all links of its worker share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lictl.delivery.ceiling import Ceiling
from lictl.delivery.filing import Filing
from lictl.delivery.resolve import Resolver
from lictl.delivery.shelf import Shelf, prepare
from lictl.delivery.tls import client_context

if TYPE_CHECKING:
    import selectors
    import ssl

    from lictl.delivery.config import Transport, WorkerConfig, WorkerOptions


@dataclass(frozen=True, slots=True)
class Route:
    """What a link needs besides its stream.

    Attributes:
        host: of the agency's receiver.
        resolver: its addresses.
        events: of the receiver of events; None: they go where everything goes.
        transport: as configured; certificate and key are not in it any more.
        options: see WorkerOptions.
        tls: settings of its connections; None: they are plain.
        ceiling: of all links together.
        selector: of the loop.
        shelf: for "files": where they go; else None.
    """

    host: str
    resolver: Resolver
    events: Resolver | None
    transport: Transport
    options: WorkerOptions
    tls: ssl.SSLContext | None
    ceiling: Ceiling
    selector: selectors.BaseSelector
    shelf: Shelf | None = None


def make_route(config: WorkerConfig, selector: selectors.BaseSelector) -> Route:
    """The route of a worker's configuration; while the process may still open files.

    Raises:
        UsageError: certificates or key cannot be used.
    """
    transport = config.transport
    return Route(
        host=config.host,
        resolver=Resolver(config.host, config.port),
        events=Resolver(transport.events_host, transport.events_port) if transport.events_port else None,
        transport=replace(transport, ca="", certificate="", key=""),
        options=config.options,
        tls=client_context(transport) if transport.tls else None,
        ceiling=Ceiling(transport.bytes_per_s),
        selector=selector,
        shelf=_shelf(config) if transport.kind == "files" else None,
    )


def _shelf(config: WorkerConfig) -> Shelf:
    filing = Filing.of(config.transport.files)
    folder = Path(filing.folder)
    prepare(folder, config.uid)
    return Shelf(folder, filing, config.agency)
