# SPDX-License-Identifier: Apache-2.0

"""Warrant files without authority for what they ask, or without what the law has an order state."""

from __future__ import annotations

from refused_words import KINDS_FIX, PEN, PR, STORED, T3

# name: (edits, text behind the file, problems, unlawful)
AUTHORITY: dict[str, tuple[dict[str, str | None], str, list[str], bool]] = {
    "no authority": (
        {"authority": None},
        "",
        ["authority: is missing: nothing is intercepted without one; write [authority]"],
        True,
    ),
    "empty delivery list": (
        {"delivery": None, "authority": None},
        "[authority]\nkind = 'consent'\n[x]\n",
        [
            "x: is unknown; a warrant file has the tables authority, intercept, delivery",
            "authority.citation: is missing, and a consent of a party (18 USC 2511(2)(c), 3121(b)(3)) states it; "
            'write citation = "18 USC 2511(2)(c), 3121(b)(3)" as the order has it',
            "authority.signed_by: is missing, and a consent of a party (18 USC 2511(2)(c), 3121(b)(3)) states it; "
            'write signed_by = "Judge R. Roe" as the order has it',
            "authority.signed_at: is missing, and a consent of a party (18 USC 2511(2)(c), 3121(b)(3)) states it; "
            "write signed_at = 2026-03-01T12:00:00Z as the order has it",
            "authority.presented_by: is missing, and a consent of a party (18 USC 2511(2)(c), 3121(b)(3)) states it; "
            'write presented_by = "Agent J. Doe" as the order has it',
            "delivery: is missing: somebody must receive; write [[delivery]], agency = NAME",
        ],
        True,
    ),
    "unknown kind": (
        {"authority.kind": '"title-3"'},
        "",
        [f"authority.kind: 'title-3' is no kind of authority; did you mean title-iii? {KINDS_FIX}"],
        True,
    ),
    "no docket under Title III": (
        {"authority.docket": None},
        "",
        [f'authority.docket: is missing, and {T3} states it; write docket = "26-mj-117" as the order has it'],
        True,
    ),
    "no court under a pen register": (
        PEN | {"authority.court": None},
        "",
        [f'authority.court: is missing, and {PR} states it; write court = "D. Example" as the order has it'],
        True,
    ),
    "citation of another law": (
        {"authority.citation": '"18 U.S.C. § 3123"'},
        "",
        [
            "authority.citation: '18 U.S.C. § 3123' is not the law of a Title III wiretap order; "
            'write kind = "pen-trap", or the citation of the order (18 USC 2518)'
        ],
        True,
    ),
    "content under a pen register": (
        PEN | {"intercept.mode": '"content"'},
        "",
        [f'intercept.mode: {PR} does not allow content; write mode = "headers", or get an order that allows content'],
        True,
    ),
    "signed in the future": (
        {"authority.signed_at": "2026-03-02T08:00:01Z"},
        "",
        [
            "authority.signed_at: 2026-03-02T08:00:01Z is in the future; "
            "check the date, the zone and this machine's clock"
        ],
        True,
    ),
    "default route": (
        {"intercept.targets": '["ip:203.0.113.7", "ip:0.0.0.0/0"]'},
        "",
        ["intercept.targets[2]: 0.0.0.0/0 is the default route: every subscriber; name the subscriber's own address"],
        True,
    ),
    "IPv6 default route": (
        {"intercept.targets": '["ip:::/0"]'},
        "",
        ["intercept.targets[1]: ::/0 is the default route: every subscriber; name the subscriber's own address"],
        True,
    ),
    "no predicate offence under Title III": (
        {"authority.predicate": None},
        "",
        [
            "authority.predicate: is missing, and a Title III wiretap order (18 USC 2516) states it; "
            'write predicate = "18 USC 2516(1)(e)" as the order has it'
        ],
        True,
    ),
    "predicate that is in no list": (
        {"authority.predicate": '"18 USC 2510"'},
        "",
        [
            "authority.predicate: '18 USC 2510' names no paragraph of the list of offences in 18 USC 2516; "
            'write the one of the order, such as "18 USC 2516(1)(e)", or another kind'
        ],
        True,
    ),
    "nothing of what 18 USC 2518(4) lists": (
        {
            f"authority.{key}": None
            for key in (
                "offence",
                "subject",
                "facilities",
                "communications",
                "authorised_agency",
                "authorised_by",
                "ends_at_first",
            )
        },
        "",
        [
            "authority.offence: is missing, and a Title III wiretap order (18 USC 2518(4)(c)) states it; "
            'write offence = "distribution of narcotics, 21 USC 841" as the order has it',
            "authority.subject: is missing, and a Title III wiretap order (18 USC 2518(4)(a)) states it; "
            'write subject = "unknown" as the order has it',
            "authority.facilities: is missing, and a Title III wiretap order (18 USC 2518(4)(b)) states it; "
            'write facilities = "internet access of account 4711, 1 Example St" as the order has it',
            "authority.communications: is missing, and a Title III wiretap order (18 USC 2518(4)(c)) states it; "
            'write communications = "e-mail and messages about the offence" as the order has it',
            "authority.authorised_agency: is missing, and a Title III wiretap order (18 USC 2518(4)(d)) states it; "
            'write authorised_agency = "DEA" as the order has it',
            "authority.authorised_by: is missing, and a Title III wiretap order (18 USC 2518(4)(d)) states it; "
            'write authorised_by = "Deputy Assistant AG M. Major" as the order has it',
            "authority.ends_at_first: is missing, and a Title III wiretap order (18 USC 2518(4)(e)) states it; "
            "write ends_at_first = false as the order has it",
        ],
        True,
    ),
    "no subscriber under a pen register": (
        PEN | {"authority.subscriber": None},
        "",
        [
            "authority.subscriber: is missing, and a pen register or trap and trace order (18 USC 3123(b)(1)(A)) "
            'states it; write subscriber = "unknown" as the order has it'
        ],
        True,
    ),
    "no attributes under a pen register": (
        PEN | {"authority.attributes": None},
        "",
        [
            "authority.attributes: is missing, and a pen register or trap and trace order (18 USC 3123(b)(1)(C)) "
            'states it; write attributes = "addressing and routing of account 4711" as the order has it'
        ],
        True,
    ),
    "subpoena": (
        {"authority.kind": '"subpoena"', "authority.citation": '"18 USC 2703(c)(2)"'},
        "",
        [f"authority.kind: a subpoena (18 USC 2703(c)(2)) {STORED}"],
        True,
    ),
    "2703(d) order": (
        PEN | {"authority.kind": '"2703d"', "authority.citation": '"18 USC 2703(d)"'},
        "",
        [f"authority.kind: a 2703(d) order (18 USC 2703(d)) {STORED}"],
        True,
    ),
    "preservation letter": (
        {"authority.kind": '"preservation"', "authority.citation": '"18 USC 2703(f)"'},
        "",
        [f"authority.kind: a preservation letter (18 USC 2703(f)) {STORED}"],
        True,
    ),
    "search warrant for stored content": (
        {"authority.kind": '"search-warrant"'},
        "",
        [
            "authority.kind: a search warrant (18 USC 2703(a), (b)) reaches stored records only: "
            "it is no authority for an intercept; get a Title III order (18 USC 2518)"
        ],
        True,
    ),
    "CALEA as authority": (
        {"authority.kind": '"calea"', "authority.citation": '"47 USC 1002"'},
        "",
        [
            "authority.kind: a CALEA duty (47 USC 1002) authorises nothing: it is no authority for an intercept; "
            "get a pen register order (18 USC 3123) for headers, a Title III order (18 USC 2518) for content"
        ],
        True,
    ),
    "pen register that cites 2703(d)": (
        PEN | {"authority.citation": '"18 USC 2703(d)"'},
        "",
        [
            "authority.citation: '18 USC 2703(d)' is not the law of a pen register or trap and trace order, "
            "but of a subpoena, which is no authority for an intercept; "
            "get a pen register order (18 USC 3123) for headers, a Title III order (18 USC 2518) for content"
        ],
        True,
    ),
    "German order that cites another paragraph": (
        {"authority.kind": '"de-100a"', "authority.citation": '"§ 100g StPO"'},
        "",
        [
            "authority.citation: '§ 100g StPO' does not name § 100a StPO; "
            'write the one of the order, such as "§ 100a StPO", or another kind'
        ],
        True,
    ),
    "content under German traffic data": (
        {"authority.kind": '"de-100g"', "authority.citation": '"§ 100g StPO"'},
        "",
        [
            "intercept.mode: an Anordnung der Erhebung von Verkehrsdaten (§ 100g StPO) does not allow content; "
            'write mode = "headers", or get an order that allows content'
        ],
        True,
    ),
}
