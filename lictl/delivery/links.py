# SPDX-License-Identifier: Apache-2.0
"""Which link delivers by which transport."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lictl.delivery.datagram import DatagramLink
from lictl.delivery.filed import FilesLink
from lictl.delivery.framed import FramedLink
from lictl.delivery.raw import RawLink

if TYPE_CHECKING:
    from collections.abc import Callable

    from lictl.delivery.config import StreamConfig, TransportKind
    from lictl.delivery.link import Link
    from lictl.delivery.route import Route

LINKS: dict[TransportKind, Callable[[StreamConfig, Route], Link]] = {
    "lictl": FramedLink,
    "tcp": RawLink,
    "udp": DatagramLink,
    "files": FilesLink,
}


def make_link(stream: StreamConfig, route: Route) -> Link:
    """The link of one stream; OSError or LictlError where its spool cannot be opened."""
    return LINKS[route.transport.kind](stream, route)
