# SPDX-License-Identifier: Apache-2.0
"""The words in front of the target maps: kinds in use, prefix lengths in use, and the bitmap of keys.

They only ever say where to look, so they may say too much for a while, never too little: they are widened before
entries are added and narrowed after entries are gone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from lictl.probe import abi
from lictl.probe.native import check, ffi, lib

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from numpy.typing import NDArray

    from lictl.probe.probe import Probe

LENGTH_LISTS: Final = {"v4_lens": abi.MAX_V4_LENS, "v6_lens": abi.MAX_V6_LENS, "port_lens": abi.MAX_PORT_LENS}
"""Each list of prefix lengths in ``li_config`` with its capacity."""
FILTER_WORDS: Final[int] = lib.LI_FILTER_WORDS


def union(a: Iterable[int], b: Iterable[int]) -> tuple[int, ...]:
    """Lengths of both lists, longest first."""
    return tuple(sorted({*a, *b}, reverse=True))


def filter_of(maps: Mapping[str, Iterable[bytes]]) -> NDArray[np.uint64]:
    """The bitmap with exactly the bits of these keys: uint64[16384].

    Args:
        maps: target map name -> packed keys.
    """
    words = np.zeros(FILTER_WORDS, np.uint64)
    memory = ffi.cast("struct li_filter *", words.ctypes.data)
    for name, keys in maps.items():
        packed = b"".join(keys)
        size = abi.KEY_DTYPES[name].itemsize
        result = lib.ln_filter_add(memory, name.encode(), ffi.from_buffer(packed), size, len(packed) // size)
        check(result, None, f"making the filter of {name}")
    return words


class Words:
    """The mapped words of one probe; every write is of one aligned word or byte.

    Args:
        probe: open.
    """

    def __init__(self, probe: Probe) -> None:
        self._probe = probe

    def lengths(self, name: str) -> tuple[int, ...]:
        """The active prefix lengths of one list, as the program reads them."""
        config = self._probe.config_words()
        return tuple(int(length) for length in getattr(config, name)[0 : getattr(config, f"n_{name}")])

    @property
    def kinds(self) -> int:
        """KIND_* bits in use."""
        return int(self._probe.config_words().kinds)

    def widen(self, kinds: int, lengths: Mapping[str, tuple[int, ...]], bits: NDArray[np.uint64]) -> None:
        """Adds kinds, prefix lengths and bits of the bitmap to those that are there."""
        config = self._probe.config_words()
        self.show(bits)
        for name in LENGTH_LISTS:
            self._widen_lengths(config, name, union(self.lengths(name), lengths[name]))
        config.kinds |= kinds

    def show(self, bits: NDArray[np.uint64]) -> None:
        """Sets bits of the bitmap."""
        words = self._probe.filter_words()
        np.bitwise_or(words, bits, out=words)

    def narrow(self, kinds: int, lengths: Mapping[str, tuple[int, ...]], bits: NDArray[np.uint64]) -> None:
        """Reduces all three to just these, which must be part of what is there."""
        config = self._probe.config_words()
        config.kinds = kinds
        for name in LENGTH_LISTS:
            self._narrow_lengths(config, name, lengths[name], self._probe.grace)
        np.copyto(self._probe.filter_words(), bits)

    @staticmethod
    def _widen_lengths(config: Any, name: str, wanted: tuple[int, ...]) -> None:
        # From the end: a length only moves to the right, so a packet that walks the list meets each one.
        count = int(getattr(config, f"n_{name}"))
        slots = getattr(config, name)
        for index in range(len(wanted) - 1, -1, -1):
            if index == count - 1 and len(wanted) > count:
                setattr(config, f"n_{name}", len(wanted))
            if slots[index] != wanted[index]:
                slots[index] = wanted[index]
        setattr(config, f"n_{name}", len(wanted))

    @staticmethod
    def _narrow_lengths(config: Any, name: str, wanted: tuple[int, ...], grace: Callable[[], None]) -> None:
        # To the left: between two writes every packet in work ends, so none walks past a length that moves.
        slots = getattr(config, name)
        for index, length in enumerate(wanted):
            if slots[index] != length:
                slots[index] = length
                grace()
        setattr(config, f"n_{name}", len(wanted))
