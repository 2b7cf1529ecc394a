# SPDX-License-Identifier: Apache-2.0
"""The room's types in one place: warrant files, orders, agencies."""

from __future__ import annotations

from lictl.warrants.fields import Mode
from lictl.warrants.file import load
from lictl.warrants.problems import Problem, UnlawfulWarrantError, WarrantFileError
from lictl.warrants.records import Agency, Delivery, Warrant, to_armed
from lictl.warrants.tables import AuthorityTable, DeliveryTable, InterceptTable, WarrantFile

__all__ = [
    "Agency",
    "AuthorityTable",
    "Delivery",
    "DeliveryTable",
    "InterceptTable",
    "Mode",
    "Problem",
    "UnlawfulWarrantError",
    "Warrant",
    "WarrantFile",
    "WarrantFileError",
    "load",
    "to_armed",
]
