# SPDX-License-Identifier: Apache-2.0
"""The tables of a warrant file. Each field's description and example serve its refusals and the reference."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, PlainValidator

from lictl.warrants.fields import (
    AuthorityKind,
    Flag,
    Liid,
    Mode,
    ModeField,
    Moment,
    Name,
    TargetField,
    Text,
    refusal,
)


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class AuthorityTable(_Table):
    """``[authority]``: on what the interception rests."""

    kind: AuthorityKind = Field(description="kind of authority", examples=['"title-iii"'])
    citation: Text | None = Field(None, description="statute or rule", examples=['"18 USC 2518"'])
    court: Text | None = Field(None, description="court or authority that issued it", examples=['"D. Example"'])
    docket: Text | None = Field(None, description="its number there", examples=['"26-mj-117"'])
    signed_by: Text | None = Field(None, description="person who signed", examples=['"Judge R. Roe"'])
    signed_at: Moment | None = Field(None, description="time of signing", examples=["2026-03-01T12:00:00Z"])
    presented_by: Text | None = Field(None, description="officer who presented it", examples=['"Agent J. Doe"'])
    offence: Text | None = Field(None, description="offence", examples=['"distribution of narcotics, 21 USC 841"'])
    predicate: Text | None = Field(None, description="paragraph of 18 USC 2516", examples=['"18 USC 2516(1)(e)"'])
    subject: Text | None = Field(None, description="person of interest, or unknown", examples=['"unknown"'])
    subscriber: Text | None = Field(None, description="who holds the line, or unknown", examples=['"unknown"'])
    facilities: Text | None = Field(
        None, description="facilities or place", examples=['"internet access of account 4711, 1 Example St"']
    )
    communications: Text | None = Field(
        None, description="type of communication sought", examples=['"e-mail and messages about the offence"']
    )
    attributes: Text | None = Field(
        None, description="attributes of the communications", examples=['"addressing and routing of account 4711"']
    )
    authorised_agency: Text | None = Field(None, description="agency that may intercept", examples=['"DEA"'])
    authorised_by: Text | None = Field(
        None, description="who authorised the application", examples=['"Deputy Assistant AG M. Major"']
    )
    ends_at_first: Flag | None = Field(None, description="whether it ends with the first capture", examples=["false"])
    assistance: Text | None = Field(
        None,
        description="assistance that it directs: information, facilities, technical help",
        examples=['"access to the aggregation switch of account 4711"'],
    )
    designated_by: Text | None = Field(
        None, description="who specially designated the officer", examples=['"the Attorney General"']
    )
    grounds: Text | None = Field(
        None, description="grounds of the emergency or authorisation", examples=['"immediate danger of death"']
    )


SEALED_KEYS: Final = frozenset({"subject", "subscriber", "facilities", "communications", "attributes", "assistance"})
"""Keys of [authority] that can name a person or a line: sealed wherever they are kept."""


class InterceptTable(_Table):
    """``[intercept]``: what is taken, from whom, from when until when."""

    case_id: Text = Field(description="the agency's case", examples=['"CASE-2026-0117"'])
    liid: Liid = Field(description="lawful interception identifier", examples=['"LIID0117"'])
    mode: ModeField = Field(description="headers or content", examples=['"headers"'])
    starts: Moment = Field(description="first instant inside", examples=["2026-03-02T00:00:00Z"])
    ends: Moment = Field(description="first instant outside", examples=["2026-03-30T00:00:00Z"])
    targets: Annotated[tuple[TargetField, ...], Field(strict=False, min_length=1)] = Field(
        repr=False, description="what names the subject's traffic", examples=['["ip:203.0.113.7"]']
    )
    ports: Flag | None = Field(None, description="headers mode: report ports", examples=["true"])
    length: Flag | None = Field(None, description="headers mode: report the IP length", examples=["true"])


class DeliveryTable(_Table):
    """``[[delivery]]``: one agency that receives."""

    agency: Name = Field(description="name of an agency that lictl agency list shows", examples=['"county-sheriff"'])
    format: Name | None = Field(None, description="handover format; absent: the agency's own", examples=['"pcapng"'])


def _own_text(value: object) -> str:
    if not isinstance(value, str):
        raise refusal("is not text", "pass the file's own text")
    return value


class WarrantFile(_Table):
    """A warrant file that is complete, consistent and lawful at the time when it was read.

    Times are UTC nanoseconds, targets are values of `lictl.targets.kinds`.
    """

    authority: AuthorityTable
    intercept: InterceptTable
    delivery: Annotated[tuple[DeliveryTable, ...], Field(strict=False, min_length=1)]
    text: Annotated[str, PlainValidator(_own_text)] = Field(repr=False)


__all__ = ["SEALED_KEYS", "AuthorityTable", "DeliveryTable", "InterceptTable", "Mode", "WarrantFile"]
