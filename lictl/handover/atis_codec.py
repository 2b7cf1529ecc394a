# SPDX-License-Identifier: Apache-2.0
"""BER (X.690) of types with context tags, driven by tables: what ATIS-1000013's modules are made of.

Values look as asn1tools has them: a dict for a SEQUENCE, a (name, value) pair for a CHOICE, None for NULL, text for an
ENUMERATED and for each string but OCTET STRING. Tags are below 31, lengths definite.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final

from lictl.handover.decoded import DecodeError

CONSTRUCTED: Final = 0x20
CONTEXT: Final = 0x80
SEQUENCE: Final = 0x30
OBJECT_IDENTIFIER: Final = 0x06
_LONG: Final = 0x80


class Kind:
    """A type: how its contents octets are made and read."""

    constructed: ClassVar[bool] = False

    def encode(self, value: Any) -> bytes:
        """The contents octets."""
        raise NotImplementedError

    def decode(self, body: bytes) -> Any:
        """The value. Raises DecodeError."""
        raise NotImplementedError


class Text(Kind):
    """VisibleString, NumericString, UTF8String and GeneralizedTime: UTF-8 holds all of them."""

    def encode(self, value: str) -> bytes:
        return value.encode()

    def decode(self, body: bytes) -> str:
        return body.decode("utf-8", "backslashreplace")


class Octets(Kind):
    """OCTET STRING."""

    def encode(self, value: bytes) -> bytes:
        return value

    def decode(self, body: bytes) -> bytes:
        return body


class Integer(Kind):
    """INTEGER of either sign."""

    def encode(self, value: int) -> bytes:
        return value.to_bytes((value if value >= 0 else ~value).bit_length() // 8 + 1, "big", signed=True)

    def decode(self, body: bytes) -> int:
        if not 0 < len(body) <= 16:
            raise DecodeError(f"an INTEGER of {len(body)} octets")
        return int.from_bytes(body, "big", signed=True)


class Null(Kind):
    """NULL."""

    def encode(self, value: None) -> bytes:
        del value
        return b""

    def decode(self, body: bytes) -> None:
        del body


class Oid(Kind):
    """OBJECT IDENTIFIER as dotted numbers."""

    def encode(self, value: str) -> bytes:
        first, second, *rest = (int(part) for part in value.split("."))
        return b"".join(_base128(number) for number in (40 * first + second, *rest))

    def decode(self, body: bytes) -> str:
        if not 0 < len(body) <= 64 or body[-1] & 0x80:
            raise DecodeError("an OBJECT IDENTIFIER that does not end")
        numbers, number = [], 0
        for octet in body:
            number = number << 7 | octet & 0x7F
            if not octet & 0x80:
                numbers.append(number)
                number = 0
        first = min(numbers[0] // 40, 2)
        return ".".join(str(each) for each in (first, numbers[0] - 40 * first, *numbers[1:]))


@dataclass(frozen=True, slots=True)
class Enumerated(Kind):
    """ENUMERATED whose names count from 0; an unknown number is read as its digits."""

    names: tuple[str, ...]

    def encode(self, value: str) -> bytes:
        return Integer().encode(self.names.index(value))

    def decode(self, body: bytes) -> str:
        number = Integer().decode(body)
        return self.names[number] if 0 <= number < len(self.names) else str(number)


@dataclass(frozen=True, slots=True)
class Field:
    """A component or alternative: its context tag, its type, whether it may be left out."""

    tag: int
    kind: Kind
    optional: bool = False


class Choice(Kind):
    """CHOICE: stands in an EXPLICIT tag wherever it is a component."""

    constructed: ClassVar[bool] = True

    def __init__(self, **alternatives: Field) -> None:
        self._fields = alternatives
        self._tags = {field.tag: name for name, field in alternatives.items()}

    def __contains__(self, name: str) -> bool:
        return name in self._fields

    def encode(self, value: tuple[str, Any]) -> bytes:
        """Raises KeyError: no such alternative."""
        name, inner = value
        return element(self._fields[name], inner)

    def decode(self, body: bytes) -> Any:
        tag, inner, end = read(body, 0)
        if end != len(body):
            raise DecodeError("more than one alternative of a CHOICE")
        name = self._tags.get(tag & 0x1F)
        if tag & 0xC0 != CONTEXT or name is None:
            return f"[{tag & 0x1F}]", inner
        return name, self._fields[name].kind.decode(inner)


class Sequence(Kind):
    """SEQUENCE of components with context tags; components that are not known are kept as octets."""

    constructed: ClassVar[bool] = True

    def __init__(self, fields: dict[str, Field]) -> None:
        self.fields = fields
        self._tags = {field.tag: name for name, field in fields.items()}

    def encode(self, value: dict[str, Any]) -> bytes:
        """Raises ValueError: a component is missing or not known."""
        if unknown := value.keys() - self.fields.keys():
            raise ValueError(f"no such component: {', '.join(sorted(unknown))}")
        parts = []
        for name, field in self.fields.items():
            if name in value:
                parts.append(element(field, value[name]))
            elif not field.optional:
                raise ValueError(f"{name} is missing")
        return b"".join(parts)

    def decode(self, body: bytes) -> dict[str, Any]:
        value: dict[str, Any] = {}
        at = 0
        while at < len(body):
            tag, inner, at = read(body, at)
            name = self._tags.get(tag & 0x1F) if tag & 0xC0 == CONTEXT else None
            if name is None or name in value:
                value[f"[{len(value)}] {tag:02x}"] = inner
            else:
                value[name] = self.fields[name].kind.decode(inner)
        return value


@dataclass(frozen=True, slots=True)
class SetOf(Kind):
    """SET OF a CHOICE, or of a SEQUENCE, whose elements have the universal tag."""

    constructed: ClassVar[bool] = True
    of: Kind

    def encode(self, value: list[Any]) -> bytes:
        if isinstance(self.of, Choice):
            return b"".join(self.of.encode(each) for each in value)
        return b"".join(tlv(SEQUENCE, self.of.encode(each)) for each in value)

    def decode(self, body: bytes) -> list[Any]:
        found, at = [], 0
        while at < len(body):
            _, inner, end = read(body, at)
            found.append(self.of.decode(body[at:end] if isinstance(self.of, Choice) else inner))
            at = end
        return found


def element(field: Field, value: Any) -> bytes:
    """The component with its tag."""
    constructed = CONSTRUCTED if field.kind.constructed else 0
    return tlv(CONTEXT | constructed | field.tag, field.kind.encode(value))


def tlv(tag: int, body: bytes) -> bytes:
    """Identifier, length in its shortest form, contents."""
    size = len(body)
    if size < _LONG:
        return bytes((tag, size)) + body
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, _LONG | len(octets))) + octets + body


def read(data: bytes | memoryview, at: int) -> tuple[int, bytes, int]:
    """Identifier octet, contents and end of the element at an offset; its length may be longer than need be.

    Raises:
        DecodeError: no whole element of a low tag and definite length stands there.
    """
    start, size = extent(data, at)
    if start < 0 or start + size > len(data):
        raise DecodeError("an element is longer than what holds it")
    return data[at], bytes(data[start : start + size]), start + size


def extent(data: bytes | memoryview, at: int) -> tuple[int, int]:
    """Where the contents of the element at an offset begin and how long they are; (-1, 0): more octets are needed.

    Raises:
        DecodeError: a high tag, an indefinite length, or one of more than 8 octets.
    """
    if at < len(data) and data[at] & 0x1F == 0x1F:
        raise DecodeError("a tag above 30")
    if at + 2 > len(data):
        return -1, 0
    first = data[at + 1]
    if first < _LONG:
        return at + 2, first
    octets = first & 0x7F
    if not 0 < octets <= 8:
        raise DecodeError("a length that is indefinite or has more than 8 octets")
    if at + 2 + octets > len(data):
        return -1, 0
    return at + 2 + octets, int.from_bytes(data[at + 2 : at + 2 + octets], "big")


def _base128(number: int) -> bytes:
    octets = [number & 0x7F]
    while number := number >> 7:
        octets.append(0x80 | number & 0x7F)
    return bytes(reversed(octets))
