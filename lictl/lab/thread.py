# SPDX-License-Identifier: Apache-2.0
"""An action in a thread of its own, for what the kernel keeps for each thread: namespace, user."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")


def in_thread(action: Callable[[], T]) -> T:
    """What `action` returns or raises, from a fresh thread that ends with it."""
    results: list[T] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            results.append(action())
        except BaseException as error:  # raised again below, in the caller's thread
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()  # no bound: the caller would wait for the action itself no less
    if failures:
        raise failures[0]
    return results[0]
