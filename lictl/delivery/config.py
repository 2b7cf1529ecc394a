# SPDX-License-Identifier: Apache-2.0
"""What the daemon tells a delivery worker: plain values that cross a pipe as msgpack."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, Protocol

_MOST = 2**63
_LAST_SECOND = 253_402_300_799
"""Of the year 9999."""
LONGEST_ERROR = 4096
"""Characters of what a worker says of a connection."""

TransportKind = Literal["lictl", "tcp", "udp", "files"]


class AgencyLike(Protocol):
    """What delivery needs to know of an agency."""

    @property
    def name(self) -> str:
        """Its short name, also the name of its folder in the spool."""

    @property
    def host(self) -> str:
        """Address or host name of its receiver."""

    @property
    def port(self) -> int:
        """TCP port of its receiver."""


@dataclass(frozen=True, slots=True)
class StreamConfig:
    """One stream that a worker delivers.

    Attributes:
        name: of the stream and of its folder below the agency's; with `liid` it names the stream to the agency.
        liid: of the order.
        format: name of the handover format.
        suffix: of the file at the agency.
        mode: "headers" or "content".
        operator: who delivers.
        element: which network element.
        key: of the spool's seal, 32 bytes; empty for a spool that is not sealed. In no log: it has no repr.
        country: ISO 3166-1 alpha-2, of the operator.
        framing: how payloads fall apart into datagrams: `lictl.handover.base.Framing`.
        options: the agency's, for the format.
        seed: of the agency's Ed25519 key, 32 bytes, for files with a signed manifest; else empty. It has no repr.
    """

    name: str
    liid: str
    format: str
    suffix: str
    mode: str = ""
    operator: str = ""
    element: str = ""
    key: bytes = field(default=b"", repr=False)
    country: str = ""
    framing: str = "stream"
    options: dict[str, str] = field(default_factory=dict)
    seed: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Transport:
    """How an agency is reached.

    Attributes:
        kind: "lictl": the acknowledged protocol of docs/formats/delivery-protocol.md; "tcp": the format's own bytes on
            a connection; "udp": one PDU a datagram; "files": rotating files that the agency fetches.
        events_host: where events (HI2, CmII) go; "": the same connection as everything else.
        events_port: likewise; 0: none.
        tls: in TLS ("lictl" and "tcp").
        tls_min: "1.3", or "1.2" for an agency that cannot do better.
        ca: PEM of the authorities that may have signed the agency's certificate; no others count.
        certificate: PEM chain that is shown to the agency; "": none.
        key: PEM of its private key. In no log: it has no repr.
        keepalive_s: idle seconds before a keep-alive; 0: as the format says.
        response_s: seconds in which its answer has to come; 0: as the format says.
        bytes_per_s: most octets a second; 0: no ceiling.
        backlog_bytes: most octets that a stream may have waiting on disk; 0: as the daemon is told.
        files: for "files": rotation and folder; empty otherwise.
    """

    kind: TransportKind = "lictl"
    events_host: str = ""
    events_port: int = 0
    tls: bool = False
    tls_min: str = "1.3"
    ca: str = ""
    certificate: str = ""
    key: str = field(default="", repr=False)
    keepalive_s: float = 0.0
    response_s: float = 0.0
    bytes_per_s: int = 0
    backlog_bytes: int = 0
    files: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """How a worker behaves; times in seconds.

    Attributes:
        window_bytes: most bytes sent and not acknowledged, for each stream (at least one block is always sent).
        window_blocks: most blocks sent and not acknowledged.
        chunk_bytes: read from the spool at once.
        connect_s: limit of one attempt to connect and to be welcomed.
        ping_s: silence after which the connection is probed.
        dead_s: silence after which it is given up.
        settle_s: for so long a connection has to live on before what TCP acknowledged on it counts as delivered: a
            receiver that dies takes what it had not read with it.
        backoff_min_s: wait before the first new attempt; doubles each time, with jitter.
        backoff_max_s: longest wait.
    """

    window_bytes: int = 64 << 20
    window_blocks: int = 4096
    chunk_bytes: int = 1 << 20
    connect_s: float = 10.0
    ping_s: float = 10.0
    dead_s: float = 30.0
    settle_s: float = 1.0
    backoff_min_s: float = 0.1
    backoff_max_s: float = 30.0


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """Everything that a worker starts with.

    Attributes:
        agency: its name.
        folder: the agency's folder in the spool.
        host: of its receiver.
        port: of its receiver.
        uid: user to become; None: stay (tests without root).
        gid: group to become.
        streams: by number; the number is what a wake-up names.
        options: see WorkerOptions.
        transport: see Transport.
    """

    agency: str
    folder: str
    host: str
    port: int
    uid: int | None = None
    gid: int | None = None
    streams: dict[int, StreamConfig] = field(default_factory=dict)
    options: WorkerOptions = field(default_factory=WorkerOptions)
    transport: Transport = field(default_factory=Transport)

    def to_plain(self) -> dict[str, Any]:
        """A dict that msgpack can carry."""
        return asdict(self)

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> WorkerConfig:
        """The reverse of `to_plain`."""
        streams = {int(number): StreamConfig(**stream) for number, stream in plain["streams"].items()}
        return cls(
            **{
                **plain,
                "streams": streams,
                "options": WorkerOptions(**plain["options"]),
                "transport": Transport(**plain["transport"]),
            }
        )


@dataclass(frozen=True, slots=True)
class LinkState:
    """How the delivery of one stream stands, as the worker saw it last.

    Attributes:
        name: of the stream.
        phase: "waiting" (before the next attempt), "connecting", "greeting", "flowing" or "done".
        acknowledged: last block that the agency confirmed.
        sent: last block that was sent on the present connection.
        unacknowledged: blocks sent and not confirmed.
        lag_s: age of the oldest packet sent and not confirmed; 0 where there is none.
        attempts: failed attempts since the last success.
        error: why the last connection ended or was not made; empty while all is well.
        last_ack_ns: UTC ns of the last confirmation, 0 for never.
        damaged: blocks that could not be read from the spool and were reported to the agency as such.
        too_long: records that are longer than a datagram can be, and were not sent.
        peer_until: end of validity of the certificate that the agency presented, seconds since 1970; 0: no TLS.
    """

    name: str
    phase: str = "waiting"
    acknowledged: int = 0
    sent: int = 0
    unacknowledged: int = 0
    lag_s: float = 0.0
    attempts: int = 0
    error: str = ""
    last_ack_ns: int = 0
    damaged: int = 0
    too_long: int = 0
    peer_until: int = 0

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> LinkState:
        """As a worker reports it. It talks to strangers, so what it says is taken for nothing but what it must be.

        Raises:
            ValueError: it is no state.
        """
        state = cls(**plain)
        for each in fields(cls):
            value = getattr(state, each.name)
            if type(value).__name__ != each.type or (each.type != "str" and not 0 <= value <= _MOST):
                raise ValueError(f"no worker reports such a {each.name}")
        if state.peer_until > _LAST_SECOND or len(state.error) > LONGEST_ERROR:
            raise ValueError("no worker reports such a state")
        return state
