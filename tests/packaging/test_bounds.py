# SPDX-License-Identifier: Apache-2.0
"""Nothing waits for ever: each wait has a bound, or says beside it why it needs none."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

pytestmark = pytest.mark.tree

ROOT = Path(__file__).parents[2]
RUN = {"run", "call", "check_call", "check_output"}
WAITS = {"wait", "join", "communicate", "result", "readline"}
"""Methods that wait for ever where they get no argument."""
WORD = "no bound:"
"""A comment with it, on the line or the one before, says why a wait ends all the same."""
NEVER = {"ThreadPoolExecutor", "ProcessPoolExecutor", "Popen"}
"""As context managers they wait at the end, whatever ended the block: also behind a test's own time limit."""


def unbounded(text: str) -> list[int]:
    """Lines that wait without a bound."""
    lines = text.splitlines()
    found = []
    for node in ast.walk(ast.parse(text)):
        calls = [item.context_expr for item in node.items] if isinstance(node, ast.With) else []
        wrong = [call for call in calls if isinstance(call, ast.Call) and _name(call.func) in NEVER]
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner, name = _name(node.func.value), node.func.attr
            named = {keyword.arg for keyword in node.keywords}
            endless = name in WAITS and not node.args and not named - {"input"}
            endless |= owner == "subprocess" and name in RUN and not named & {"timeout", None}
            endless |= name == "waitpid" and ast.unparse(node.args[-1]) == "0"
            if endless:
                wrong.append(node)
        found += [call.lineno for call in wrong if WORD not in "".join(lines[max(call.lineno - 2, 0) : call.lineno])]
    return sorted(found)


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


@pytest.mark.parametrize("folder", ["lictl", "tests"])
def test_every_wait_has_a_bound(folder: str) -> None:
    """A wait that nothing ends holds up a daemon's stop, or every test behind it."""
    files = sorted((ROOT / folder).rglob("*.py"))
    assert len(files) > 100
    assert [f"{path.relative_to(ROOT)}:{at}" for path in files for at in unbounded(path.read_text())] == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("thread.join()", [1]),
        ("thread.join(5)", []),
        ("','.join(words)", []),
        ("process.communicate(input=b'')", [1]),
        ("subprocess.run(['true'])", [1]),
        ("subprocess.run(['true'], timeout=5)", []),
        ("os.waitpid(child, 0)", [1]),
        ("os.waitpid(child, os.WNOHANG)", []),
        ("with subprocess.Popen(['cat']) as process:\n    pass", [1]),
        ("event.wait()  # no bound: nothing else is done here", []),
        ("# no bound: nothing else is done here\nevent.wait()\nevent.wait()", [3]),
    ],
)
def test_the_look_finds_them(text: str, found: list[int]) -> None:
    """It sees each kind, and a reason that is given."""
    assert unbounded(text) == found
