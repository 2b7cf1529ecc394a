# SPDX-License-Identifier: Apache-2.0
"""Handover formats: `encoder(name, info)` gives one stream's encoder.

What reads (`readers`, `decode`) has to work without the native core, so an encoder is imported when it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lictl.handover.base import ContentEncoder, Encoded, Encoder, Event, Gap, HeadersEncoder, StreamInfo
    from lictl.handover.registry import content_encoder, encoder, formats, headers_encoder

__all__ = [
    "ContentEncoder", "Encoded", "Encoder", "Event", "Gap", "HeadersEncoder", "StreamInfo",
    "content_encoder", "encoder", "formats", "headers_encoder",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Finds the names above in their modules."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from lictl.handover import base, registry

    return getattr(base if name[0].isupper() else registry, name)
