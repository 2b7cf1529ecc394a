# SPDX-License-Identifier: Apache-2.0
"""Points at which a test can kill this process, to prove that a crash there is survived.

`point("room.act.step")` does nothing, unless the environment has ``LICTL_FAULT=name:count``: then the process kills
itself with SIGKILL when that point is reached for the count-th time. ``LICTL_FAULT_TRACE=file`` appends the name of
every point that is reached to the file, so that a test learns which points a course of events passes.
"""

from __future__ import annotations

import ast
import os
import signal
import threading
from pathlib import Path

FAULT = "LICTL_FAULT"
TRACE = "LICTL_FAULT_TRACE"

_hits: dict[str, int] = {}
_lock = threading.Lock()


def point(name: str) -> None:
    """Ends this process here, if the environment says so.

    Args:
        name: a literal, used at one place only: `names` reads it from the source.
    """
    if FAULT in os.environ or TRACE in os.environ:
        _reached(name)


def _reached(name: str) -> None:
    with _lock:
        trace = os.environ.get(TRACE)
        if trace:
            with open(trace, "a") as file:  # noqa: PTH123 (opened for each line: the next step may be a kill)
                file.write(name + "\n")
        wanted, _, count = os.environ.get(FAULT, "").partition(":")
        if wanted != name:
            return
        _hits[name] = _hits.get(name, 0) + 1
        if _hits[name] == int(count or "1"):
            os.kill(os.getpid(), signal.SIGKILL)


def names() -> dict[str, str]:
    """Every point of the package and where it stands, from the source: nothing has to be imported or registered.

    Returns:
        name to "module file:line", sorted by name.

    Raises:
        ValueError: a name is no literal, or stands at two places.
    """
    root = Path(__file__).parent
    found: dict[str, str] = {}
    for path in sorted(root.rglob("*.py")):
        text = path.read_bytes()
        if path == Path(__file__) or b"faults.point" not in text:  # parsing is what takes the time
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and _is_point(node):
                place = f"{path.relative_to(root)}:{node.lineno}"
                name = _literal(node, place)
                if name in found:
                    raise ValueError(f"the fault point {name} stands at {found[name]} and at {place}")
                found[name] = place
    return dict(sorted(found.items()))


def _is_point(node: ast.Call) -> bool:
    return (
        isinstance(node.func, ast.Attribute)
        and node.func.attr == "point"
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "faults"
    )


def _literal(node: ast.Call, place: str) -> str:
    if len(node.args) == 1:
        argument = node.args[0]
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
            return argument.value
    raise ValueError(f"the fault point at {place} has no literal name")
