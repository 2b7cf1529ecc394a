# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: E501 - sentences stay whole, so that they can be searched for
"""Warrant files that ask for a time or targets that they may not have."""

from __future__ import annotations

from refused_words import PEN

# name: (edits, text behind the file, problems, unlawful)
WINDOW: dict[str, tuple[dict[str, str | None], str, list[str], bool]] = {
    "Title III longer than 30 days": (
        {"intercept.ends": "2026-04-01T00:00:01Z"},
        "",
        [
            "intercept.ends: a Title III wiretap order lasts at most 30 days (18 USC 2518(5)), "
            "here until 2026-04-01T00:00:00Z; write ends = 2026-04-01T00:00:00Z or earlier, and get an extension for more"
        ],
        True,
    ),
    "Title III that starts after the tenth day": (
        {"intercept.starts": "2026-03-20T00:00:00Z", "intercept.ends": "2026-04-19T00:00:00Z"},
        "",
        [
            "intercept.ends: a Title III wiretap order lasts at most 30 days (18 USC 2518(5)), "
            "here until 2026-04-10T12:00:00Z; write ends = 2026-04-10T12:00:00Z or earlier, and get an extension for more"
        ],
        True,
    ),
    "pen register longer than 60 days": (
        PEN | {"intercept.ends": '"2026-05-01T00:00:00.000000001Z"'},
        "",
        [
            "intercept.ends: a pen register or trap and trace order lasts at most 60 days (18 USC 3123(c)), "
            "here until 2026-05-01T00:00:00Z; write ends = 2026-05-01T00:00:00Z or earlier, and get an extension for more"
        ],
        True,
    ),
    "emergency longer than 48 hours": (
        {
            "authority.kind": '"pen-trap-emergency"',
            "authority.citation": '"18 USC 3125"',
            "authority.designated_by": '"the Attorney General"',
            "authority.grounds": '"immediate danger of death"',
            "intercept.mode": '"headers"',
            "intercept.ends": "2026-03-04T01:00:00Z",
        },
        "",
        [
            "intercept.ends: an emergency pen register or trap and trace lasts at most 48 hours (18 USC 3125(a), (b)), "
            "here until 2026-03-04T00:00:00Z; write ends = 2026-03-04T00:00:00Z or earlier, and get "
            'a pen register or trap and trace order (kind = "pen-trap") for more',
        ],
        True,
    ),
    "end in the past": (
        {"intercept.ends": "2026-03-02T08:00:00Z"},
        "",
        [
            "intercept.ends: 2026-03-02T08:00:00Z is in the past: the order has expired; "
            "check the date and the zone, or get an extension"
        ],
        True,
    ),
    "start before the signature": (
        {"intercept.starts": "2026-03-01T11:59:59Z"},
        "",
        [
            "intercept.starts: 2026-03-01T11:59:59Z is before the authority was signed; "
            "write starts = 2026-03-01T12:00:00Z or later"
        ],
        True,
    ),
    "emergency without a designated officer": (
        {
            "authority.kind": '"title-iii-emergency"',
            "authority.citation": '"18 USC 2518(7)"',
            "authority.grounds": '"immediate danger of death"',
            "intercept.ends": "2026-03-03T00:00:00Z",
        },
        "",
        [
            "authority.designated_by: is missing, and a Title III emergency interception (18 USC 2518(7)) states it; "
            'write designated_by = "the Attorney General" as the order has it'
        ],
        True,
    ),
    "emergency without grounds": (
        {
            "authority.kind": '"title-iii-emergency"',
            "authority.citation": '"18 USC 2518(7)"',
            "authority.designated_by": '"the Attorney General"',
            "intercept.ends": "2026-03-03T00:00:00Z",
        },
        "",
        [
            "authority.grounds: is missing, and a Title III emergency interception (18 USC 2518(7)(a)) states it; "
            'write grounds = "immediate danger of death" as the order has it'
        ],
        True,
    ),
    "Title III emergency longer than 48 hours": (
        {
            "authority.kind": '"title-iii-emergency"',
            "authority.citation": '"18 USC 2518(7)"',
            "authority.designated_by": '"the Attorney General"',
            "authority.grounds": '"immediate danger of death"',
            "intercept.ends": "2026-03-04T00:00:01Z",
        },
        "",
        [
            "intercept.ends: a Title III emergency interception lasts at most 48 hours (18 USC 2518(7): an order is "
            "applied for within 48 hours, else the interception stops), here until 2026-03-04T00:00:00Z; "
            "write ends = 2026-03-04T00:00:00Z or earlier, and get "
            'a Title III wiretap order (kind = "title-iii") for more'
        ],
        True,
    ),
    "consent for ever": (
        {
            "authority.kind": '"consent"',
            "authority.citation": '"18 USC 2511(2)(c)"',
            "intercept.ends": "2199-01-01T00:00:00Z",
        },
        "",
        [
            "intercept.ends: a consent of a party lasts at most 1 year (lictl: 18 USC 2511(2)(c) sets no term beyond "
            "the consent, and nothing here is open-ended; have it renewed), here until 2027-03-02T00:00:00Z; "
            "write ends = 2027-03-02T00:00:00Z or earlier, and get an extension for more"
        ],
        True,
    ),
    "national warrant for ever": (
        {
            "authority.kind": '"national-warrant"',
            "authority.citation": '"Example Act s. 1"',
            "intercept.ends": "2199-01-01T00:00:00Z",
        },
        "",
        [
            "intercept.ends: a national warrant lasts at most 1 year (lictl: the order itself states its term, and "
            "nothing here is open-ended; have it renewed), here until 2027-03-02T00:00:00Z; "
            "write ends = 2027-03-02T00:00:00Z or earlier, and get an extension for more"
        ],
        True,
    ),
    "UK warrant longer than six months": (
        {
            "authority.kind": '"uk-interception"',
            "authority.citation": '"Investigatory Powers Act 2016 s. 15"',
            "intercept.ends": "2026-09-01T00:00:00Z",
        },
        "",
        [
            "intercept.ends: a targeted interception warrant lasts at most 6 months "
            "(Investigatory Powers Act 2016 s. 32(2)(b)), here until 2026-08-31T23:00:00Z; "
            "write ends = 2026-08-31T23:00:00Z or earlier, and get an extension for more"
        ],
        True,
    ),
    "Australian warrant that counts from its issue": (
        {
            "authority.kind": '"au-46-b-party"',
            "authority.citation": '"Telecommunications (Interception and Access) Act 1979 s. 46"',
            "intercept.ends": "2026-04-16T00:00:00Z",
        },
        "",
        [
            "intercept.ends: a telecommunications service warrant for a person with whom the suspect communicates "
            "lasts at most 45 days (Telecommunications (Interception and Access) Act 1979 s. 49(3)(a)), "
            "here until 2026-04-15T12:00:00Z; write ends = 2026-04-15T12:00:00Z or earlier, and get an extension for more"
        ],
        True,
    ),
}
