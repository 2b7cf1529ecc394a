# SPDX-License-Identifier: Apache-2.0
"""A site that is not as it was bound: the daemon arms nothing, keeps what is armed, and goes on when confirmed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from daemon_rig import Rig, order

from lictl.errors import RefusedError
from lictl.lab.people import APPROVER_UID, OPERATOR_UID, as_user

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.net, pytest.mark.kernel]


@pytest.fixture
def rig(tmp_path: Path, netns_prefix: str) -> Iterator[Rig]:
    """A site with its wire; nothing runs yet."""
    with Rig(tmp_path, netns_prefix) as made:
        yield made


def _states(rig: Rig) -> dict[str, str]:
    return {warrant["liid"]: warrant["state"] for warrant in rig.status()["warrants"]}


def test_nothing_is_armed_until_an_approver_confirms(rig: Rig) -> None:
    """What is armed stays; an approval is refused, what was approved waits with an alarm; confirmed, it is armed."""
    rig.serve()
    rig.add("BEFORE", targets="ip:203.0.113.1")
    rig.add("DUE", targets="ip:203.0.113.2", starts=30)
    rig.home.make_folder(rig.home.root / "authorities.d")
    own = rig.home.root / "authorities.d" / "own.toml"
    own.write_text('[[authority]]\nkind = "consent"\nlongest = "1 day"\n')
    own.chmod(0o600)
    with pytest.raises(RefusedError, match=r"authorities data: was .* Nothing is armed"):
        rig.add("AFTER", targets="ip:203.0.113.3")
    rig.wait(lambda: "site-lock" in rig.alarms(), "the alarm")
    assert _states(rig)["BEFORE"] == "active"
    assert _states(rig)["DUE"] == "waiting"
    with pytest.raises(RefusedError, match="approver"):
        as_user(OPERATOR_UID, lambda: rig.call("profile.confirm", reason="why not"))
    found = as_user(APPROVER_UID, lambda: rig.call("profile.confirm", reason="counsel wants a day"))
    assert found["arms"] is True
    rig.wait(lambda: _states(rig).get("DUE") == "active", lambda: f"it is armed: {_states(rig)}")
    rig.wait(lambda: "site-lock" not in rig.alarms(), "the alarm is lifted")


def test_the_daemon_answers_what_an_order_would_touch(rig: Rig) -> None:
    """`warrant check` through the socket: for operators and approvers, with the orders in force."""
    rig.serve()
    added = rig.add("LIVE", targets="ip:203.0.113.1")
    text = order("NEW", targets="ip:203.0.113.0/30")
    found = as_user(OPERATOR_UID, lambda: rig.call("warrant.check", text=text, name="order.toml"))
    assert found["orders"] == [added["id"]]
    assert found["kernel"]["changed"] == {"li_v4": 1}
    assert found["refusals"] == []
    with pytest.raises(RefusedError, match="has no role at this site"):
        as_user(64199, lambda: rig.call("warrant.check", text=text, name="order.toml"))
