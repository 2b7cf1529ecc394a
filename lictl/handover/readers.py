# SPDX-License-Identifier: Apache-2.0
"""What reads the formats that are made of PDUs, by name.

The agency's side imports it on machines that have neither the native core nor Linux: nothing here or below may import
an encoder, numpy or `lictl.probe`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lictl.handover.decode_atis import AtisFormat
from lictl.handover.decode_etsi import PS_PDUS
from lictl.handover.decode_mirror import CccFormat, TzspFormat
from lictl.handover.decode_x2x3 import X2X3Format

if TYPE_CHECKING:
    from lictl.handover.pdu import PduFormat

PDU_FORMATS: dict[str, PduFormat] = {
    "etsi-102232": PS_PDUS,
    "atis-1000013": AtisFormat(),
    "etsi-103221-2": X2X3Format(),
    "tzsp": TzspFormat(),
    "ccc": CccFormat(),
}
"""Formats that are a sequence of PDUs: what reads them."""
