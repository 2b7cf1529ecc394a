# SPDX-License-Identifier: Apache-2.0
"""The compiled core, typed as Any: ``ffi`` and ``lib`` of the cffi module, and what every caller of it needs."""

from __future__ import annotations

import errno
import os
from typing import Any, Final

from lictl.errors import LictlError, MachineError, RefusedError, UnavailableError

try:
    from lictl.probe._native import ffi as _ffi
    from lictl.probe._native import lib as _lib
except ImportError as _error:  # a source tree that is not built, or a system library that is gone
    raise MachineError(
        f"the native core cannot be loaded: {_error}.", "Reinstall lictl, or build it: pip install -e ."
    ) from None

ffi: Final[Any] = _ffi
lib: Final[Any] = _lib

_ERROR_BYTES: Final = 1024
_UNAVAILABLE: Final = {errno.ENODEV, errno.ENOENT, errno.ENXIO}
_REFUSED: Final = {errno.EBUSY, errno.ESTALE}


def error_buffer() -> Any:
    """Room for the sentence that a native call leaves (``char[1024]``)."""
    return ffi.new("char[]", _ERROR_BYTES)


def check(result: int, text: Any, fallback: str) -> int:
    """The result of a native call, or the error that it stands for.

    Args:
        result: 0, a count, or a negative errno.
        text: what `error_buffer` gave, or None where the call leaves no text.
        fallback: what was tried, for calls that leave no text.

    Raises:
        UnavailableError: something is not there.
        RefusedError: somebody else holds it, or another version's state is in the way.
        MachineError: anything else.
    """
    if result >= 0:
        return result
    said = ffi.string(text).decode(errors="replace").strip() if text is not None else ""
    what, _, fix = said.partition(". ") if said else (f"{fallback}: {os.strerror(-result)}", "", "")
    kind: type[LictlError] = MachineError
    if -result in _UNAVAILABLE:
        kind = UnavailableError
    elif -result in _REFUSED:
        kind = RefusedError
    raise kind(what.rstrip(".") + ".", fix)
