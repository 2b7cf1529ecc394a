# SPDX-License-Identifier: Apache-2.0

"""Sentences that several refusals share."""

from __future__ import annotations

PEN = {"authority.kind": '"pen-trap"', "authority.citation": '"18 USC 3123"', "intercept.mode": '"headers"'}
KEYS = (
    "kind, citation, court, docket, signed_by, signed_at, presented_by, offence, predicate, subject, subscriber, "
    "facilities, communications, attributes, authorised_agency, authorised_by, ends_at_first, assistance, "
    "designated_by, grounds"
)
KINDS_FIX = "`lictl profile show` lists those of this site"
STORED = (
    "reaches stored records only: it is no authority for an intercept; "
    "get a pen register order (18 USC 3123) for headers, a Title III order (18 USC 2518) for content"
)
T3 = "a Title III wiretap order (18 USC 2518)"
PR = "a pen register or trap and trace order (18 USC 3123)"
NAME_FIX = "write 1 to 64 of A-Z a-z 0-9 . _ - and begin with a letter, digit or _"
TIME_FIX = "write a time such as 2026-03-01T12:00:00Z"
TABLES = "a warrant file has the tables authority, intercept, delivery"
