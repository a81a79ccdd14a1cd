from __future__ import annotations

from budget_proxy.classify.characteristics import classify_call
from budget_proxy.predict.runs import RunStep
from budget_proxy.predict.runs.loops import PERIODS, Circling, Streaks, digest_of
from budget_proxy.predict.signals import signals_of
from budget_proxy.types import Call, Message


def _steps(*digests: int, output: int = 100) -> list[RunStep]:
    """Calls that each add the same input and output."""
    return [
        RunStep("r", "a", "m", 1000 + 300 * place, output, float(place), None, None, digest)
        for place, digest in enumerate(digests)
    ]


def _streaks(steps: list[RunStep]) -> list[int]:
    circling = Circling()
    for step in steps:
        found = circling.add(step)
    return list(found)


def test_repeats_are_counted_by_period() -> None:
    """The same again and again, two in turn, three in turn."""
    assert _streaks(_steps(*[7] * 8))[0] == 6
    assert _streaks(_steps(*[1, 2] * 5))[:2] == [0, 7]
    assert _streaks(_steps(*[1, 2, 3] * 4)) == [0, 0, 8]


def test_another_call_ends_a_streak() -> None:
    """By what it is about, or by its length."""
    assert _streaks(_steps(*[7] * 8, 8))[0] == 0
    longer = RunStep("r", "a", "m", 1000 + 300 * 8, 400, 9.0, None, None, 7)
    assert _streaks([*_steps(*[7] * 8), longer])[0] == 0


def test_without_digests_lengths_decide() -> None:
    """Calls of unknown content that answer and add alike are repeats."""
    assert _streaks(_steps(*[0] * 8))[0] == 6


def test_limits_come_down_as_agents_are_known_not_to_repeat() -> None:
    """From a long streak to the shortest that can be suspicious."""
    streaks = Streaks()
    before = streaks.limits(40.0)
    for _ in range(100):
        streaks.learn({(at, 0): (40, 0) for at in range(len(PERIODS))}, alarmed=False)
    after = streaks.limits(40.0)
    assert all(limit > 10 for limit in before)
    assert after == (3, 4, 6)


def test_an_agent_that_repeats_itself_has_a_higher_limit() -> None:
    """Where two repeats in three go on, only a long streak is odd."""
    streaks = Streaks()
    for _ in range(100):
        streaks.learn({(0, length): (30, 20) for length in range(32)}, alarmed=False)
    assert streaks.limits(40.0)[0] > 20


def test_runs_with_an_alarm_teach_nothing_unless_they_are_usual() -> None:
    """One in fifty leaves the limits as they were; if all do, that is how the agent works."""
    streaks = Streaks()
    calm = {(at, 0): (40, 0) for at in range(len(PERIODS))}
    circling = {(0, length): (3, 3) for length in range(32)}
    for number in range(100):
        streaks.learn(circling if number % 50 == 0 else calm, alarmed=number % 50 == 0)
    assert streaks.limits(40.0)[0] == 3
    for _ in range(100):
        streaks.learn(circling, alarmed=True)
    assert streaks.limits(40.0)[0] > 20


def _digest(*messages: Message) -> int:
    call = Call("1", "openai.chat", "m", 1.7e9, messages=messages)
    return digest_of(signals_of(call, classify_call(messages, None), b"salt"))


def test_a_digest_is_of_the_newest_message() -> None:
    """The same observation has the same digest, whatever came before; another has another."""
    opening = Message("user", "Fix the bug in the parser.")
    same = Message("tool", "no such file: parser.py")
    first = _digest(opening, same)
    assert first == _digest(opening, Message("assistant", "Let me look."), same)
    assert first != _digest(opening, Message("tool", "three tests failed"))
    assert _digest(opening) not in {0, first}
    assert digest_of(b"") == 0
