# SPDX-License-Identifier: Apache-2.0
"""Reading BER (ITU-T X.690), liberally: definite lengths of any valid form, bounded by what is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lictl.handover.decoded import DecodeError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_LENGTH_OCTETS = 8
"""Of a length field, leading zeros included; longer ones serve no honest sender."""
CONTEXT = 0x80
_CLASS, _NUMBER, _MORE = 0xC0, 0x1F, 0x80


class Element(NamedTuple):
    """One element.

    Attributes:
        tag: the tag's first octet.
        number: of the tag.
        begin: where its content begins.
        end: where it ends.
    """

    tag: int
    number: int
    begin: int
    end: int

    @property
    def context(self) -> bool:
        """A context-specific tag."""
        return self.tag & _CLASS == CONTEXT


def head(data: bytes | memoryview, at: int, stop: int) -> Element | None:
    """The element at `at`, whose end may lie beyond `stop`; None where its head is not all there.

    Raises:
        DecodeError: an indefinite length, or fields longer than anybody needs.
    """
    if stop - at < 2:
        return None
    tag, number, behind = data[at], data[at] & _NUMBER, at + 1
    if number == _NUMBER:
        number = 0
        while True:
            if behind >= stop:
                return None
            octet = data[behind]
            number, behind = number << 7 | octet & ~_MORE, behind + 1
            if not octet & _MORE:
                break
            if behind - at > 5:
                raise DecodeError("a tag is too long")
    if behind >= stop:
        return None
    size, behind = data[behind], behind + 1
    if size & _MORE:
        count = size & ~_MORE
        if not 1 <= count <= MAX_LENGTH_OCTETS:
            raise DecodeError("a length is indefinite or too long")
        if behind + count > stop:
            return None
        size, behind = int.from_bytes(data[behind : behind + count]), behind + count
    return Element(tag, number, behind, behind + size)


def element(data: bytes, at: int, stop: int) -> Element:
    """The element at `at`; raises DecodeError where it does not end before `stop`."""
    found = head(data, at, stop)
    if found is None or found.end > stop:
        raise DecodeError(f"octet {at}: an element is longer than what holds it")
    return found


def elements(data: bytes, begin: int, end: int) -> Iterator[Element]:
    """All elements in an element's content; raises DecodeError on the way."""
    at = begin
    while at < end:
        found = element(data, at, end)
        yield found
        at = found.end
