from __future__ import annotations

from typing import Any

import pytest

from budget_proxy import Engine, InvalidInput
from budget_proxy.errors import BudgetProxyError
from budget_proxy.types import Outcome, Scope, Usage

TICKET = {
    "description": "Fix the login redirect",
    "type": "bug-fix",
    "complexity": 65,
    "priority": "High",
}
TIERS: Any = [
    {"model": "gpt-6-luna", "max_complexity": 40},
    {"model": "gpt-6.1-sol", "max_complexity": 100},
]


def test_without_history_the_origins_example_comes_out() -> None:
    """Complexity 65, priority High: (1,000 + 80 x 65) x 1.1 x 1.2 = 8,184."""
    with Engine.open("memory:", strategy="heuristic") as engine:
        prediction = engine.predict({"complexity": 65, "priority": "High"}, agent="coder")
    assert prediction.recommended == 8184
    assert prediction.breakdown.total == 8184
    assert [round(other.tokens) for other in prediction.alternatives] == [4910, 12276]
    assert prediction.reasons


def test_recorded_tasks_move_the_forecast_and_are_found_again() -> None:
    """After 25 tickets of about 4,000 tokens the next one is forecast near that."""
    with Engine.open("memory:") as engine:
        for extra in range(25):
            engine.record(engine.predict(TICKET, agent="coder"), used=4000 + 10 * extra)
        prediction = engine.predict(TICKET, agent="coder")
        similar = engine.similar_tasks(TICKET, n=3)
    assert 3500 < prediction.forecast.quantile(0.5) < 4700
    assert 4000 < prediction.recommended < 8500
    assert 0 < prediction.confidence <= 1
    assert len(similar) == 3
    assert similar[0].similarity == pytest.approx(1.0, abs=0.05)
    assert prediction.similar


def test_every_strategy_answers_from_the_same_history() -> None:
    """By name, for one question."""
    with Engine.open("memory:") as engine:
        for _ in range(10):
            engine.record(engine.predict(TICKET, agent="coder"), used=4000)
        answers = {
            name: engine.predict(TICKET, agent="coder", strategy=name)
            for name in ("heuristic", "similarity", "quantile", "fixed:15000")
        }
    assert answers["fixed:15000"].recommended == 15_000
    assert answers["heuristic"].strategy == "heuristic"
    assert answers["similarity"].strategy == "similarity"
    assert len(answers["similarity"].similar) == 10


def test_an_unknown_strategy_and_a_wrong_descriptor_are_the_callers() -> None:
    """Each says what is known."""
    with Engine.open("memory:") as engine:
        with pytest.raises(BudgetProxyError, match="quantile"):
            engine.predict(TICKET, strategy="oracle")
        with pytest.raises(InvalidInput, match="story_points"):
            engine.predict({"story_points": "many"})
        prediction = engine.predict(TICKET)
        for wrong in (-1, 1.5, True, "12"):
            with pytest.raises(InvalidInput, match="whole number"):
                engine.record(prediction, used=wrong)  # type: ignore[arg-type]


def test_model_and_budget_are_chosen_together_and_the_outcome_is_learned() -> None:
    """An easy task goes to the cheap tier, a hard one to the strong."""
    with Engine.open("memory:", tiers=TIERS) as engine:
        easy = engine.select_model_and_budget({"complexity": 20}, agent="coder")
        hard = engine.select_model_and_budget({"complexity": 90}, agent="coder")
        row = engine.record_outcome_with_budget(hard, used=9000)
        assert easy.model == "gpt-6-luna"
        assert hard.model == "gpt-6.1-sol"
        assert "gpt-6.1-sol" in hard.explanation
        assert hard.prediction.recommended == hard.prediction.breakdown.total
        assert (row.model, row.output_tokens) == ("gpt-6.1-sol", 9000)
        (found,) = engine.similar_tasks({"complexity": 90}, n=1)
        assert found.used == 9000


def test_thinking_effort_and_price_are_chosen_with_the_model() -> None:
    """By what each model can do and costs: a budget for Claude 4.5, an effort for GPT-6."""
    claude: Any = [{"model": "claude-sonnet-4-5", "thinking": True}]
    gpt: Any = [{"model": "gpt-6-luna", "thinking": True}]
    hard = {"complexity": 90, "priority": "Critical"}
    with Engine.open("memory:", tiers=claude) as engine:
        chosen = engine.select_model_and_budget(hard, agent="coder").choice
        assert chosen.thinking is not None
        assert chosen.thinking.kind == "enabled"
        assert chosen.thinking.budget is not None
        assert chosen.thinking.budget >= 1024
        assert chosen.expected_cost is not None
        assert chosen.expected_cost > 0
    with Engine.open("memory:", tiers=gpt) as engine:
        chosen = engine.select_model_and_budget(hard, agent="coder").choice
        assert chosen.effort in {"high", "xhigh"}
        assert chosen.expected_cost is not None


def test_of_two_that_take_the_task_the_cheaper_is_chosen() -> None:
    """Whatever their order in the settings."""
    tiers: Any = [{"model": "claude-opus-5-5"}, {"model": "claude-haiku-5-5"}]
    with Engine.open("memory:", tiers=tiers) as engine:
        assert engine.select_model_and_budget({"complexity": 50}).model == "claude-haiku-5-5"


def test_the_alias_goes_to_a_model_that_the_provider_has() -> None:
    """And a session that speaks to two providers does not carry one's model to the other."""
    tiers: Any = [{"model": "claude-haiku-5-5"}, {"model": "gpt-6-luna"}]
    body: Any = {"model": "auto", "messages": [{"role": "user", "content": "What is 2 + 2?"}]}
    with Engine.open("memory:", tiers=tiers, holdout=0.0) as engine:
        scope = Scope(session="s")
        chat = engine.plan(api="openai.chat", body=body, scope=scope)
        claude = {**body, "max_tokens": 100}
        messages = engine.plan(api="anthropic.messages", body=claude, scope=scope)
    assert chat.body["model"] == "gpt-6-luna"
    assert messages.body["model"] == "claude-haiku-5-5"


def test_without_tiers_the_router_says_what_to_set() -> None:
    """In budget_proxy.toml."""
    with Engine.open("memory:") as engine, pytest.raises(InvalidInput, match="tiers"):
        engine.select_model_and_budget({"complexity": 20})


def test_the_alias_is_replaced_and_stays_for_the_session() -> None:
    """A call for the model "auto" goes to a tier; the next of its session to the same."""
    with Engine.open("memory:", tiers=TIERS, holdout=0.0) as engine:
        scope = Scope(session="s")
        easy = {"model": "auto", "messages": [{"role": "user", "content": "What is 2 + 2?"}]}
        first = engine.plan(api="openai.chat", body=easy, scope=scope)
        engine.settle(first, Outcome(usage=Usage(input_tokens=5, output_tokens=5)))
        assert first.body["model"] == "gpt-6-luna"
        assert first.allocation.model == "gpt-6-luna"
        second = engine.plan(api="openai.chat", body=easy, scope=scope)
        assert second.body["model"] == "gpt-6-luna"
        other = engine.plan(api="openai.chat", body={**easy, "model": "gpt-x"}, scope=scope)
        assert other.body["model"] == "gpt-x"
