# SPDX-License-Identifier: Apache-2.0
"""Many small steps that mostly wait for the disk."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

THREADS = 32
T = TypeVar("T")
U = TypeVar("U")


def in_parallel(step: Callable[[T], U], items: Iterable[T]) -> list[U]:
    """The results in the order of the items; the first exception is raised when all steps have ended."""
    with ThreadPoolExecutor(THREADS, thread_name_prefix="disk") as pool:
        return list(pool.map(step, items))
