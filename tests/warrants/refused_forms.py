# SPDX-License-Identifier: Apache-2.0
"""Warrant files that are written wrongly."""

from __future__ import annotations

from refused_words import KEYS, NAME_FIX, PEN, TABLES, TIME_FIX

# name: (edits, text behind the file, problems, unlawful)
FORMS: dict[str, tuple[dict[str, str | None], str, list[str], bool]] = {
    "no intercept": ({"intercept": None}, "", ["intercept: is missing; write [intercept] and its keys below"], False),
    "no delivery": (
        {"delivery": None},
        "",
        ["delivery: is missing: somebody must receive; write [[delivery]], agency = NAME"],
        False,
    ),
    "delivery as a plain table": (
        {"delivery": None},
        '[delivery]\nagency = "sheriff"\n',
        ["delivery: is not a list of tables; write [[delivery]], with two brackets"],
        False,
    ),
    "authority as text": (
        {"authority": None, "intercept": None, "delivery": None},
        'authority = "judge"\nintercept = 3\ndelivery = [1]\n',
        [
            "authority: is not a table; write [authority] and its keys below",
            "intercept: is not a table; write [intercept] and its keys below",
            "delivery[1]: is not a table; write [delivery[1]] and its keys below",
        ],
        False,
    ),
    "unknown table": ({}, "[deliveries]\n", [f"deliveries: is unknown; did you mean delivery? {TABLES}"], False),
    "unknown key": (
        {"intercept.end": "2026-03-30T00:00:00Z"},
        "",
        [
            "intercept.end: is unknown; did you mean ends? known are "
            "case_id, liid, mode, starts, ends, targets, ports, length"
        ],
        False,
    ),
    "unknown key far from any": (
        {"authority.zzz": "1"},
        "",
        [
            f"authority.zzz: is unknown; known are {KEYS}",
        ],
        False,
    ),
    "unknown key of a delivery": (
        {"delivery.agancy": '"sheriff"'},
        "",
        ["delivery[1].agancy: is unknown; did you mean agency? known are agency, format"],
        False,
    ),
    "no kind": (
        {"authority.kind": None},
        "",
        ['authority.kind: is missing (kind of authority); write kind = "title-iii"'],
        False,
    ),
    "empty signature": (
        {"authority.signed_by": '" "'},
        "",
        ["authority.signed_by: is empty; write what the order says"],
        False,
    ),
    "unknown mode": (
        {"intercept.mode": '"header"'},
        "",
        ['intercept.mode: \'header\' is no mode; did you mean headers? write "headers" or "content"'],
        False,
    ),
    "no end": (
        {"intercept.ends": None},
        "",
        ["intercept.ends: is missing (first instant outside); write ends = 2026-03-30T00:00:00Z"],
        False,
    ),
    "no start": (
        {"intercept.starts": None},
        "",
        ["intercept.starts: is missing (first instant inside); write starts = 2026-03-02T00:00:00Z"],
        False,
    ),
    "end before the start": (
        {"intercept.ends": "2026-03-02T00:00:00+00:30"},
        "",
        [
            "intercept.ends: 2026-03-01T23:30:00Z is not after the start, 2026-03-02T00:00:00Z; "
            "check both times and their zones"
        ],
        False,
    ),
    "empty window": (
        {"intercept.ends": "2026-03-02T00:00:00Z"},
        "",
        [
            "intercept.ends: 2026-03-02T00:00:00Z is not after the start, 2026-03-02T00:00:00Z; "
            "check both times and their zones"
        ],
        False,
    ),
    "time without a zone": (
        {"intercept.ends": "2026-03-30T00:00:00"},
        "",
        [
            "intercept.ends: 2026-03-30T00:00:00 has no time zone; "
            "write 2026-03-30T00:00:00Z for UTC, or an offset such as 2026-03-30T00:00:00+01:00"
        ],
        False,
    ),
    "time as text without a zone": (
        {"intercept.ends": '"2026-03-30T00:00:00"'},
        "",
        ["intercept.ends: '2026-03-30T00:00:00' has no time zone; write Z for UTC or an offset such as +01:00"],
        False,
    ),
    "leap second": (
        {"intercept.ends": "2026-03-29T23:59:60Z"},
        "",
        [
            "ends: has a second 60: no system clock shows leap seconds; "
            "write second 59, or the first second of the minute behind it"
        ],
        False,
    ),
    "leap second as text": (
        {"intercept.ends": '"2026-03-29T23:59:60.5+00:00"'},
        "",
        [
            "intercept.ends: '2026-03-29T23:59:60.5+00:00' has a second 60: no system clock shows leap seconds; "
            "write second 59, or the first second of the minute behind it"
        ],
        False,
    ),
    "twelve-hour time": (
        {"intercept.ends": '"03/30/2026 9:00 PM"'},
        "",
        [
            "intercept.ends: '03/30/2026 9:00 PM' is not an RFC 3339 time such as 2026-03-01T12:00:00Z "
            f"or 2026-03-01T12:00:00+01:00; {TIME_FIX}"
        ],
        False,
    ),
    "impossible day": (
        {"intercept.ends": '"2026-02-30T00:00:00Z"'},
        "",
        [f"intercept.ends: '2026-02-30T00:00:00Z' is not a possible time: day is out of range for month; {TIME_FIX}"],
        False,
    ),
    "day instead of a time": (
        {"intercept.ends": "2026-03-30"},
        "",
        ["intercept.ends: 2026-03-30 is a day, not a time; write 2026-03-30T00:00:00Z for UTC"],
        False,
    ),
    "seconds since 1970": (
        {"intercept.ends": "1774828800"},
        "",
        [f"intercept.ends: is a number, not a time; {TIME_FIX}"],
        False,
    ),
    "year far off": (
        {"intercept.ends": '"9026-03-30T00:00:00Z"'},
        "",
        ["intercept.ends: is not between the years 2000 and 2200; check the year"],
        False,
    ),
    "year one": (
        {"intercept.starts": '"0001-01-01T00:00:00+14:00"'},
        "",
        ["intercept.starts: is not between the years 2000 and 2200; check the year"],
        False,
    ),
    "time finer than TOML keeps": (
        {"intercept.ends": "2026-03-30T00:00:00.1234567Z"},
        "",
        [
            "ends: has more than six digits behind the second; "
            'write it in quotes, such as "2026-03-01T12:00:00.123456789Z"'
        ],
        False,
    ),
    "no target": ({"intercept.targets": "[]"}, "", ["intercept.targets: is empty; name at least one"], False),
    "target missing": (
        {"intercept.targets": None},
        "",
        ['intercept.targets: is missing (what names the subject\'s traffic); write targets = ["ip:203.0.113.7"]'],
        False,
    ),
    "target as text": (
        {"intercept.targets": '"ip:203.0.113.7"'},
        "",
        ['intercept.targets: is text; write a list: ["...", "..."]'],
        False,
    ),
    "targets as a number": (
        {"intercept.targets": "7"},
        "",
        ['intercept.targets: is no list; write a list: ["...", "..."]'],
        False,
    ),
    "target as a number": (
        {"intercept.targets": "[7]"},
        "",
        ["intercept.targets[1]: is a number, not text; write it in quotes"],
        False,
    ),
    "two bad targets and a double one": (
        {"intercept.targets": '["vlan:0", "mac:02:00:00:00:00:07", "vlan:1.2.3", "mac:02-00-00-00-00-07"]'},
        "",
        [
            "intercept.targets[1]: '0' is not a VLAN number; write a decimal number from 1 to 4094",
            "intercept.targets[3]: '2.3' is not a VLAN number; write a decimal number from 1 to 4094",
            "intercept.targets[4]: mac:02:00:00:00:00:07 is target 2 already; name each target once",
        ],
        False,
    ),
    "same target in two spellings": (
        {"intercept.targets": '["ip:203.0.113.7", "ip:203.0.113.7/32"]'},
        "",
        ["intercept.targets[2]: ip:203.0.113.7 is target 1 already; name each target once"],
        False,
    ),
    "no LIID": (
        {"intercept.liid": None},
        "",
        ['intercept.liid: is missing (lawful interception identifier); write liid = "LIID0117"'],
        False,
    ),
    "empty LIID": (
        {"intercept.liid": '""'},
        "",
        ["intercept.liid: '' has 0 characters; write the 1 to 25 characters that the agency gave"],
        False,
    ),
    "long LIID": (
        {"intercept.liid": f'"{"L" * 26}"'},
        "",
        [f"intercept.liid: '{'L' * 26}' has 26 characters; write the 1 to 25 characters that the agency gave"],
        False,
    ),
    "LIID with a slash": (
        {"intercept.liid": '"a/../b"'},
        "",
        ["intercept.liid: 'a/../b' has the character '/'; write visible ASCII without / and \\"],
        False,
    ),
    "LIID with a space": (
        {"intercept.liid": '"a b"'},
        "",
        ["intercept.liid: 'a b' has the character ' '; write visible ASCII without / and \\"],
        False,
    ),
    "LIID with a letter that is not ASCII": (
        {"intercept.liid": '"LIÏD"'},
        "",
        ["intercept.liid: 'LIÏD' has the character 'Ï'; write visible ASCII without / and \\"],
        False,
    ),
    "LIID with a dot first": (
        {"intercept.liid": '"..x"'},
        "",
        ["intercept.liid: '..x' begins with a dot; begin with another character"],
        False,
    ),
    "LIID as a number": (
        {"intercept.liid": "117"},
        "",
        ["intercept.liid: is a number, not text; write it in quotes"],
        False,
    ),
    "case with a terminal escape": (
        {"intercept.case_id": '"\\u001b[2J"'},
        "",
        ["intercept.case_id: has control characters; write one line of plain text"],
        False,
    ),
    "case with a direction override": (
        {"intercept.case_id": '"a\\u202eb"'},
        "",
        ["intercept.case_id: has control characters; write one line of plain text"],
        False,
    ),
    "long case": (
        {"intercept.case_id": f'"{"x" * 201}"'},
        "",
        ["intercept.case_id: has 201 characters, at most 200 are allowed; shorten it"],
        False,
    ),
    "case as a list": (
        {"intercept.case_id": "[1]"},
        "",
        ["intercept.case_id: is a list, not text; write it in quotes"],
        False,
    ),
    "case as a table": (
        {"intercept.case_id": "{a = 1}"},
        "",
        ["intercept.case_id: is a table, not text; write it in quotes"],
        False,
    ),
    "case as a date": (
        {"intercept.case_id": "2026-01-01"},
        "",
        ["intercept.case_id: is a date or time, not text; write it in quotes"],
        False,
    ),
    "ports as text": (PEN | {"intercept.ports": '"no"'}, "", ["intercept.ports: is text; write true or false"], False),
    "length as a number": (
        PEN | {"intercept.length": "1"},
        "",
        ["intercept.length: is a number; write true or false"],
        False,
    ),
    "report options of a content order": (
        {"intercept.ports": "true", "intercept.length": "false"},
        "",
        [
            "intercept.ports: says what header reports hold, and a content order has none; "
            'leave it out, or write mode = "headers"',
            "intercept.length: says what header reports hold, and a content order has none; "
            'leave it out, or write mode = "headers"',
        ],
        False,
    ),
    "no agency": (
        {"delivery.agency": None},
        "",
        [
            "delivery[1].agency: is missing (name of an agency that lictl agency list shows); "
            'write agency = "county-sheriff"'
        ],
        False,
    ),
    "agency that is a path": (
        {"delivery.agency": '"../fbi"'},
        "",
        [f"delivery[1].agency: '../fbi' is not a name; {NAME_FIX}"],
        False,
    ),
    "format that is no name": (
        {"delivery.format": '"pcap ng"'},
        "",
        [f"delivery[1].format: 'pcap ng' is not a name; {NAME_FIX}"],
        False,
    ),
    "same agency twice": (
        {},
        '[[delivery]]\nagency = "fbi"\n[[delivery]]\nagency = "sheriff"\n',
        ["delivery[3]: sheriff receives this already by delivery 1; name each agency once, or another format"],
        False,
    ),
    "not TOML": ({}, "= 3\n", ["is not TOML: Invalid statement (at line 28, column 1); correct it there"], False),
    "key twice": (
        {},
        'agency = "fbi"\n',
        ["is not TOML: Cannot overwrite a value (at line 28, column 15); correct it there"],
        False,
    ),
    "end at the first capture as text": (
        {"authority.ends_at_first": '"no"'},
        "",
        ["authority.ends_at_first: is text; write true or false"],
        False,
    ),
}
