# SPDX-License-Identifier: Apache-2.0
"""Handover formats: `encoder(name, info)` gives one stream's encoder."""

from lictl.handover.base import ContentEncoder, Encoded, Encoder, Event, Gap, HeadersEncoder, StreamInfo
from lictl.handover.registry import content_encoder, encoder, formats, headers_encoder

__all__ = [
    "ContentEncoder", "Encoded", "Encoder", "Event", "Gap", "HeadersEncoder", "StreamInfo",
    "content_encoder", "encoder", "formats", "headers_encoder",
]  # fmt: skip
