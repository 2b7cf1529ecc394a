# SPDX-License-Identifier: Apache-2.0
"""The options of format `etsi-102232`: what one agency wants of what the standard leaves open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from lictl.errors import UsageError
from lictl.handover.options import Choice, check_options

if TYPE_CHECKING:
    from lictl.handover.base import StreamInfo
    from lictl.handover.options import Option

OPTIONS: Final[dict[str, Option]] = {
    "headers": Choice(
        ("packet-report", "iri-only"),
        "Header reports as iPIRIPacketReport, which some receivers (OpenLI's) do not survive, or as iPIRIOnly.",
    ),
    "reports": Choice(("packet", "summary"), "Of an order for headers: a report for each packet, or for each flow."),
    "interval": Choice(
        ("60", "10", "30", "300", "900"), "Seconds after which a flow's summary is sent.", ("reports", "summary")
    ),
    "integrity": Choice(("none", "sha256", "sha512"), "Hash of the digests that follow on what was sent."),
    "signature": Choice(
        ("none", "eddsa", "ecdsa"),
        "Signature over the digests: Ed25519, or ECDSA over P-256 with the hash of integrity.",
    ),
    "encryption": Choice(("none", "aes-256-cbc"), "Seals payloads with a key that the agency has to be given."),
    "time": Choice(("microseconds", "generalized"), "Time in the header: microSecondTimeStamp or timeStamp."),
    "acknowledgement": Choice(
        ("none", "request"), "Asks the agency to confirm what it was sent; delivered is what it has confirmed."
    ),
}


@dataclass(frozen=True, slots=True)
class EtsiOptions:
    """Options of one agency; they hold for its orders of both modes.

    Attributes:
        headers: form of a header report: "packet-report" (iPIRIPacketReport) or "iri-only" (iPIRIOnly).
        reports: "packet": one for each packet; "summary": one for each flow and interval.
        interval: seconds between summaries.
        integrity: "none", or the hash of the digests.
        signature: "none", "eddsa" (Ed25519) or "ecdsa" (P-256) over the digests.
        encryption: "none" or "aes-256-cbc".
        time: "microseconds" (MicroSecondTimeStamp) or "generalized" (GeneralizedTime).
        acknowledgement: "request": asks for an acknowledgement behind every chunk.
    """

    headers: str
    reports: str
    interval: int
    integrity: str
    signature: str
    encryption: str
    time: str
    acknowledgement: str

    @classmethod
    def of(cls, info: StreamInfo) -> Self:
        """The options of a stream.

        Raises:
            UsageError: one that is not known, two that do not go together, or a key that is missing.
        """
        chosen = check_options(info.options, OPTIONS)
        options = cls(**{**chosen, "interval": int(chosen["interval"])})  # type: ignore[arg-type]
        if options.signature != "none" and options.integrity == "none":
            raise UsageError("a signature needs digests to sign.", "Add integrity=sha256, or leave signature out.")
        for name, value in (("signature", options.signature), ("encryption", options.encryption)):
            if value != "none" and info.keys is None:
                raise UsageError(
                    f"{name}={value} needs the agency's keys, and this stream has none.",
                    "Give the agency keys, or set the option to none.",
                )
        return options
