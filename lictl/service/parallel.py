# SPDX-License-Identifier: Apache-2.0
"""Many small steps that mostly wait for the disk."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

THREADS = 32
T = TypeVar("T")
U = TypeVar("U")


def in_parallel(step: Callable[[T], U], items: Iterable[T]) -> list[U]:
    """The results in the order of the items; the first exception is raised when all steps have ended."""
    waiting = [_pool().submit(step, item) for item in items]
    wait(waiting)  # without a limit: what a step has begun on the disk is not left half done
    return [each.result() for each in waiting]  # no bound: all have ended


@cache
def _pool() -> ThreadPoolExecutor:
    """One for all: it is asked for some orders at a time, and to make threads costs more than what they do."""
    return ThreadPoolExecutor(THREADS, thread_name_prefix="disk")


os.register_at_fork(after_in_child=_pool.cache_clear)  # a child has none of its threads
