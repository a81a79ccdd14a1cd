from __future__ import annotations

from typing import Any

import pytest

from budget_proxy.predict.sessions import NUMBERS, Sessions
from tests.cases import case, ln


def _seen(sessions: Sessions, **given: Any) -> dict[str, float]:
    found = sessions.look(case(**given), 5.0)
    assert len(found) == len(NUMBERS)
    return dict(zip(NUMBERS, found, strict=True))


def test_a_session_is_told_by_its_last_lengths() -> None:
    """After 100, 200 and 400 tokens: the last three, the greatest, the step, the input's growth."""
    sessions = Sessions()
    for tokens, start in ((100, 1000), (200, 1100), (400, 1300)):
        sessions.add(case(session="s", input_tokens=start), ln(tokens), 0.25, 0.0)
    seen = _seen(sessions, session="s", input_tokens=1700)
    assert seen["last"] == pytest.approx(ln(400) - 5.0)
    assert seen["two before"] == pytest.approx(ln(100) - 5.0)
    assert seen["most"] == seen["last"]
    assert seen["step"] == pytest.approx(ln(4) / 2)
    assert seen["last rest"] == 0.25
    assert seen["added"] == pytest.approx(ln(401) / 3)
    assert seen["growth before"] == pytest.approx(ln(201) / 3)
    assert seen["grown"] == pytest.approx(ln(301) / 3)


def test_what_a_tool_gave_back_is_what_the_input_grew_by_beyond_the_last_answer() -> None:
    """1,000 tokens in and 200 out: of 1,500 in, 300 are new; of 1,150, none can be."""
    sessions = Sessions()
    sessions.add(case(session="s", input_tokens=1000), ln(200), 0.0, 0.0)
    seen = _seen(sessions, session="s", input_tokens=1500)
    assert seen["observed"] == pytest.approx(ln(301) / 3, rel=1e-3)
    assert _seen(sessions, session="s", input_tokens=1150)["observed"] == 0.0


def test_calls_without_a_session_and_first_calls_know_nothing_of_others() -> None:
    """Neither sees what another session did."""
    sessions = Sessions()
    sessions.add(case(session="s"), 7.0, 1.0, 0.0)
    sessions.add(case(), 7.0, 1.0, 0.0)
    assert _seen(sessions) == _seen(Sessions())
    assert _seen(sessions, session="t") == _seen(Sessions(), session="t")
    assert _seen(sessions, session="t")["first"] == 1.0


def test_the_sessions_that_learned_last_are_kept() -> None:
    """Of three sessions in a store for two, the one that was silent for longest is forgotten."""
    sessions = Sessions(2)
    for name in ("a", "b", "a", "c"):
        sessions.add(case(session=name), 6.0, 0.0, 0.0)
    assert [_seen(sessions, session=name)["first"] for name in "abc"] == [0.0, 1.0, 0.0]


def test_what_was_billed_as_input_is_told_once_it_is_known() -> None:
    """The last call's billed input and its growth; a call whose usage did not tell leaves them."""
    sessions = Sessions()
    for billed in (1000, 1200, 0):
        sessions.add(case(session="s"), 6.0, 0.0, 0.0, ln(1 + billed))
    seen = _seen(sessions, session="s")
    assert seen["billed"] == pytest.approx(ln(1201) / 4)
    assert seen["billed more"] == seen["billed growth"] == pytest.approx(ln(201) / 3)
