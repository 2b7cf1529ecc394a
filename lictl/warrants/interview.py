# SPDX-License-Identifier: Apache-2.0
"""A warrant file by questions: what is asked follows from the authority, what is right from the file's rules."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lictl.times import format_rfc3339, now_ns, parse_rfc3339
from lictl.warrants.file import load
from lictl.warrants.problems import UnlawfulWarrantError, WarrantFileError
from lictl.warrants.tables import AuthorityTable, InterceptTable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from lictl.warrants.authorities import Authority
    from lictl.warrants.problems import Problem

_ORDER: Final = ("case_id", "liid", "mode", "starts", "ends", "targets")
_WHY: Final = {
    "case_id": "The agency's own number: several orders may share it, and it stands in everything handed over.",
    "liid": "The agency tells its interceptions apart by it: 1 to 25 characters, one order of each at an agency.",
    "starts": "The kernel takes no packet from before this instant.",
    "targets": "Subscribers, one after the other with commas: ip:203.0.113.7, ip:2001:db8:7::/56, mac:..., "
    "vlan:100.200, ip:ADDRESS ports:LO-HI behind a CGNAT, pppoe:MAC/0x1234. Nothing else is ever taken.",
}


@dataclass(frozen=True, slots=True)
class Question:
    """One question.

    Attributes:
        table: of the file.
        key: in the table.
        title: what is asked for.
        why: the rule behind it.
        example: of an answer.
    """

    table: str
    key: str
    title: str
    why: str
    example: str

    @property
    def where(self) -> str:
        """As problems name it."""
        return f"{self.table}.{self.key}"


class Interview:
    """Answers so far.

    Args:
        authority: the kind that was chosen.
        kinds: all that could be.
        agencies: names of those that are known; empty: not known.
    """

    def __init__(self, authority: Authority, kinds: Mapping[str, Authority], agencies: Sequence[str]) -> None:
        self._authority = authority
        self._kinds = kinds
        self._agencies = agencies
        self._answers: dict[str, dict[str, str]] = {"authority": {}, "intercept": {}, "delivery": {}}

    def questions(self) -> Iterator[Question]:
        """Every question, in the order of the file."""
        rule = self._authority
        for key in rule.requires:
            told = f"{rule.title[0].upper()}{rule.title[1:]} has to state it: {rule.rule_of(key)}."
            yield self._question("authority", AuthorityTable, key, told)
        for key in _ORDER:
            yield self._question("intercept", InterceptTable, key, self._why(key))
        known = f" Known: {', '.join(self._agencies)}." if self._agencies else ""
        yield Question("delivery", "agency", "Who receives", f"One agency, as `lictl agency list` has it.{known}", "")

    def _question(self, table: str, model: type[AuthorityTable | InterceptTable], key: str, why: str) -> Question:
        field = model.model_fields[key]
        example = str((field.examples or [""])[0])
        title = str(field.description)
        return Question(table, key, f"{title[0].upper()}{title[1:]}", f"{why} Example: {example}", example)

    def _why(self, key: str) -> str:
        rule = self._authority
        if key == "mode":
            return f"{rule.citation} allows {' or '.join(sorted(rule.modes))}. Headers never contain a byte of content."
        if key == "ends":
            return f"At most {rule.longest}: {rule.source}. The order may say less; there is none without an end."
        return _WHY[key]

    def default(self, question: Question) -> str:
        """What is proposed: the answer given before, else what follows from the others; empty: nothing."""
        given = self._answers[question.table].get(question.key)
        if given is not None:
            return given
        if question.where == "authority.citation":
            return self._authority.citation
        if question.where == "intercept.mode" and len(self._authority.modes) == 1:
            return next(iter(self._authority.modes))
        if question.where == "intercept.ends":
            return self._latest_end()
        if question.where == "delivery.agency" and len(self._agencies) == 1:
            return self._agencies[0]
        return ""

    def _latest_end(self) -> str:
        try:
            signed = self._answers["authority"].get("signed_at")
            starts = parse_rfc3339(self._answers["intercept"]["starts"])
            end = self._authority.latest_end(None if signed is None else parse_rfc3339(signed), starts)
        except (KeyError, ValueError):
            return ""
        return "" if end is None else format_rfc3339(end)

    def answer(self, question: Question, text: str) -> list[Problem]:
        """Takes an answer; what is wrong with it, by the rules of the file."""
        self._answers[question.table][question.key] = text
        return [problem for problem in self.problems() if _about(question, problem) and not _elsewhere(self, problem)]

    def answered(self, where: str) -> bool:
        """Whether there is an answer at a place."""
        table, _, key = where.partition(".")
        return key in self._answers.get(table, {})

    def problems(self) -> list[Problem]:
        """Everything that is wrong with the file as far as it was answered."""
        try:
            load(self.text(), now_ns(), "the order", self._kinds)
        except (WarrantFileError, UnlawfulWarrantError) as error:
            return list(error.problems)
        return []

    def concerns(self, question: Question, problems: Iterable[Problem]) -> bool:
        """Whether one of the problems is about the question's answer."""
        return any(_about(question, problem) for problem in problems)

    def text(self) -> str:
        """The warrant file."""
        lines = ["[authority]", f"kind = {json.dumps(self._authority.kind)}"]
        lines += [f"{key} = {_value(key, text)}" for key, text in self._answers["authority"].items()]
        lines += ["", "[intercept]"]
        lines += [f"{key} = {_value(key, text)}" for key, text in self._answers["intercept"].items()]
        if self._answers["delivery"]:
            lines += ["", "[[delivery]]", f"agency = {json.dumps(self._answers['delivery']['agency'])}"]
        return "\n".join(lines) + "\n"


def _value(key: str, text: str) -> str:
    if key == "targets":
        return json.dumps([part.strip() for part in text.split(",") if part.strip()])
    if key == "ends_at_first" and text.lower() in ("true", "false", "yes", "no"):
        return "true" if text.lower() in ("true", "yes") else "false"
    return json.dumps(text)


def _about(question: Question, problem: Problem) -> bool:
    place = problem.where.replace("delivery[1]", "delivery").partition("[")[0]
    return place == question.where or (question.table == "delivery" and place.startswith("delivery"))


def _elsewhere(interview: Interview, problem: Problem) -> bool:
    """It is told again when the other answer that it hangs on is there."""
    return problem.where == "intercept.starts" and not interview.answered("intercept.ends") and "ends" in problem.what
