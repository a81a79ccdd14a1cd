from __future__ import annotations

from typing import Any

from budget_proxy.policy.refusals import Refusals
from tests.makers import call, record


def _refused(**given: Any) -> Any:
    return record(host="h", finish_reason="error", status=400, rejected="max_tokens", **given)


def test_a_parameter_is_left_out_once_the_same_call_went_through_without_it() -> None:
    """For that host and model, and no other."""
    refusals = Refusals()
    refusals.learn(_refused())
    assert refusals.of("h", "gpt-5.4") == ()
    refusals.learn(record(host="h", attempt=2))
    assert refusals.of("h", "gpt-5.4") == ("max_tokens",)
    assert refusals.of("other", "gpt-5.4") == ()
    assert refusals.of("h", "other") == ()


def test_a_call_that_fails_without_it_too_proves_nothing() -> None:
    """The caller's own value was what is wrong."""
    refusals = Refusals()
    refusals.learn(_refused())
    refusals.learn(record(host="h", attempt=2, finish_reason="error", status=400))
    refusals.learn(record(host="h", attempt=3))
    assert refusals.of("h", "gpt-5.4") == ()


def test_a_value_that_was_refused_says_nothing_of_others() -> None:
    """Too large for one prompt: the call goes through without, and the next one tries again."""
    refusals = Refusals()
    passing = "max_tokens (this value)"
    refusals.learn(record(host="h", finish_reason="error", status=400, rejected=passing))
    refusals.learn(record(host="h", attempt=2))
    assert refusals.of("h", "gpt-5.4") == ()
    refusals.learn(record(host="h", finish_reason="error", status=400, rejected=passing))
    refusals.unrepeated(call(id="c1", host="h"))  # it would fail at every call like this one
    assert refusals.of("h", "gpt-5.4") == ("max_tokens",)


def test_refusals_that_are_never_resolved_do_not_pile_up() -> None:
    """Callers may leave in between."""
    refusals = Refusals()
    for number in range(3000):
        refusals.learn(_refused(call_id=str(number)))
    assert len(refusals._pending) == 1000


def test_a_refusal_that_could_not_be_tried_without_is_believed() -> None:
    """Or a driver that cannot send twice would run into it at every call."""
    refusals = Refusals()
    refusals.learn(_refused())
    refusals.unrepeated(call(id="c1", host="h"))
    refusals.unrepeated(call(id="c2", host="other"))
    assert refusals.of("h", "gpt-5.4") == ("max_tokens",)
    assert refusals.of("other", "gpt-5.4") == ()
