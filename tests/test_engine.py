from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

import pytest

from budget_proxy.engine import Core
from budget_proxy.ledger.runs import RunBudget
from budget_proxy.policy.base import Policy
from budget_proxy.predict.base import Predictor
from budget_proxy.predict.recorded import features_of, observation_of
from budget_proxy.predict.similarity import Similarity
from budget_proxy.predict.strategies import make
from budget_proxy.store.base import Complete
from budget_proxy.types import (
    Body,
    Call,
    CallRecord,
    Capabilities,
    Lookup,
    Outcome,
    Override,
    Plan,
    Scope,
    Session,
    Usage,
)
from budget_proxy.wire import DIALECTS
from budget_proxy.wire.base import Context
from tests.makers import NOW, SALT, record

OPENAI = "api.openai.com"
COUNTED = Capabilities(max_output=16_000, counts_cap=True, known=True)


class MemoryJournal:
    """Keeps what the engine queues."""

    def __init__(self) -> None:
        self.records: list[CallRecord] = []
        self.sessions: list[Session] = []
        self.runs: list[RunBudget] = []

    def put(self, record: CallRecord) -> None:
        """Keep a row."""
        self.records.append(record)

    def settle_late(self, response: str, complete: Complete) -> None:
        """Replace a pending row."""
        for row in list(self.records):
            if row.pending and row.response_id == response:
                self.records.remove(row)
                self.records.append(complete(row))

    def put_session(self, session: Session) -> Future[None]:
        """Keep a session; on disk at once."""
        self.sessions.append(session)
        done: Future[None] = Future()
        done.set_result(None)
        return done

    def put_run(self, budget: RunBudget) -> Future[None]:
        """Keep what a run was given; on disk at once."""
        self.runs.append(budget)
        done: Future[None] = Future()
        done.set_result(None)
        return done


class Bench:
    """A core, its journal, and what a driver does with them."""

    def __init__(self, capabilities: Capabilities = COUNTED, **policy: Any) -> None:
        self.journal = MemoryJournal()
        self.now = NOW
        self._calls = 0
        settings: dict[str, Any] = {"holdout": 0.0, "floor": 64, **policy}
        self.core = Core(
            policy=Policy(**settings),
            predictor=make("quantile"),
            memory=Similarity(),
            salt=SALT,
            journal=self.journal,
            capabilities=lambda *_: capabilities,
        )

    def call(self, body: Body, api: str = "openai.chat", **context: Any) -> Call:
        """A call read from a body, a second after the one before."""
        self._calls += 1
        self.now += 1.0
        facts: dict[str, Any] = {
            "call_id": f"c{self._calls}", "now": self.now, "host": OPENAI,
            "scope": Scope(agent="reviewer"), **context,
        }  # fmt: skip
        return DIALECTS[api].read(body, Context(**facts))

    def send(
        self,
        body: Body,
        outcomes: Sequence[Outcome | None],
        stored: Session | None = None,
        **context: Any,
    ) -> list[Plan]:
        """Drive one call through these outcomes (``None``: cut at the cap); the plans sent."""
        run = self.core.run(self.call(body, **context), body)
        plans: list[Plan] = []
        step = next(run)
        if isinstance(step, Lookup):
            step = run.send(stored)
        for outcome in outcomes:
            assert isinstance(step, Plan)
            plans.append(step)
            try:
                step = run.send(outcome or _cut(step.allocation.ceiling or 0))
            except StopIteration:
                break
        else:
            raise AssertionError("the engine wanted to send more")
        return plans

    def warm(self, lengths: Sequence[int]) -> None:
        """A history of single-turn reviews with these lengths, sent again where they are cut."""
        for index, tokens in enumerate(lengths):
            self.send(_body(f"Review part {index}."), [_done(tokens)] * 2)


def _body(text: str = "Review this.", **more: Any) -> Body:
    return {"model": "gpt-x", "messages": [{"role": "user", "content": text}], **more}


def _turns(opening: Body, text: str) -> list[Any]:
    """The conversation after an answer and one more message of the user's."""
    answer = {"role": "assistant", "content": "ok"}
    return [*opening["messages"], answer, {"role": "user", "content": text}]


def _done(tokens: int, **more: Any) -> Outcome:
    return Outcome(usage=Usage(input_tokens=20, output_tokens=tokens), **more)


def _cut(tokens: int, **more: Any) -> Outcome:
    return _done(tokens, finish_reason="length", seconds=0.5, **more)


LENGTHS = [90, 100, 110, 120] * 6


def test_without_history_a_call_is_observed_and_the_body_is_the_callers() -> None:
    """The first day is safe."""
    bench = Bench()
    body = _body()
    plan = bench.send(body, [_done(100)])[0]
    assert plan.body == body
    assert plan.added == ()
    assert "0 of 20 outcomes" in plan.allocation.reason
    assert bench.journal.records[0].output_tokens == 100


def test_after_twenty_outcomes_it_is_capped_and_guided() -> None:
    """1.5 x q99: at least 1.5 x the longest (120); few rows and a wide prior add some room."""
    bench = Bench()
    bench.warm(LENGTHS)
    body = _body("Review something new.")
    before = json.dumps(body)
    plan = bench.send(body, [_done(100)])[0]
    cap = plan.body["max_completion_tokens"]
    assert 180 <= cap <= 300
    assert cap == plan.allocation.cap
    assert plan.patch.guidance is not None
    assert plan.patch.guidance.text in json.dumps(plan.body)
    assert json.dumps(body) == before


def test_an_answer_cut_by_our_cap_is_asked_for_again_once_without_it() -> None:
    """Both attempts are in the history; the second carries the caller's own cap."""
    bench = Bench()
    bench.warm(LENGTHS)
    body = _body("Review a monster.", max_completion_tokens=4000)
    plans = bench.send(body, [None, _done(900)])
    first_cap = plans[0].allocation.cap
    assert [plan.attempt for plan in plans] == [1, 2]
    assert plans[0].body["max_completion_tokens"] < 4000
    assert plans[1].body["max_completion_tokens"] == 4000
    rows = bench.journal.records[-2:]
    assert [(row.attempt, row.truncated, row.output_tokens) for row in rows] == [
        (1, True, first_cap),
        (2, False, 900),
    ]
    assert rows[0].call_id == rows[1].call_id
    assert "sent again" in rows[1].reason


def test_a_second_truncation_is_the_callers_own() -> None:
    """The resend is not repeated."""
    bench = Bench()
    bench.warm(LENGTHS)
    plans = bench.send(_body("Review y.", max_completion_tokens=4000), [None, None])
    assert len(plans) == 2


def test_a_truncated_group_gets_wider_budgets_at_once() -> None:
    """The next call's cap is at least 1.8 times the one that cut."""
    bench = Bench()
    bench.warm(LENGTHS)
    cut = bench.send(_body("Review z."), [None, _done(500)])[0].allocation
    after = bench.send(_body("Review z2."), [_done(100)])[0].allocation
    assert cut.cap is not None
    assert after.cap is not None
    assert after.cap >= 1.8 * cut.cap
    assert "widened" in after.reason


def test_a_refused_parameter_of_ours_is_left_out_and_remembered() -> None:
    """Once for the call, and from then on for that host and model."""
    bench = Bench()
    bench.warm(LENGTHS)
    refused = Outcome(finish_reason="error", status=400, rejected="max_completion_tokens")
    plans = bench.send(_body("Review q."), [refused, _done(100)])
    assert "max_completion_tokens" in plans[0].body
    assert "max_completion_tokens" not in plans[1].body
    later = bench.send(_body("Review r."), [_done(100)])[0]
    assert "max_completion_tokens" not in later.body
    assert later.allocation.cap is None


def test_a_cap_too_large_for_one_call_is_tried_again_at_the_next() -> None:
    """The call goes through without it, and others keep theirs."""
    bench = Bench()
    bench.warm(LENGTHS)
    passing = "max_completion_tokens (this value)"
    refused = Outcome(finish_reason="error", status=400, rejected=passing)
    plans = bench.send(_body("Review q."), [refused, _done(100)])
    assert "max_completion_tokens" not in plans[1].body
    assert "max_completion_tokens" in bench.send(_body("Review r."), [_done(100)])[0].body


def test_the_callers_own_cap_is_never_left_out() -> None:
    """What refuses it is the caller's to see; a model that takes no cap of ours still gets it."""
    bench = Bench()
    bench.warm(LENGTHS)
    refused = Outcome(finish_reason="error", status=400, rejected="max_completion_tokens")
    own = Override(cap=50)
    plans = bench.send(_body("Review q.", max_completion_tokens=8000), [refused], override=own)
    assert [plan.body["max_completion_tokens"] for plan in plans] == [50]
    bench.send(_body("Review r."), [refused, _done(100)])
    later = bench.send(_body("Review s."), [_done(40)], override=own)[0]
    assert later.body["max_completion_tokens"] == later.allocation.cap == 50


def test_a_forked_child_does_not_settle_its_parents_calls() -> None:
    """They would count twice, once as cancelled."""
    bench = Bench()
    body = _body()
    run = bench.core.run(bench.call(body), body)
    assert isinstance(next(run), Lookup)
    assert isinstance(run.send(None), Plan)
    bench.core.ledger.begin_process()
    run.close()
    assert bench.journal.records == []


def test_a_refusal_is_remembered_by_a_replay_of_the_history() -> None:
    """State is a fold of the rows."""
    bench = Bench()
    row = record(host=OPENAI, model="gpt-x", output_tokens=5)
    bench.core.learn(replace(row, finish_reason="error", rejected="max_completion_tokens"))
    bench.core.learn(replace(row, attempt=2))
    bench.warm(LENGTHS)
    assert "max_completion_tokens" not in bench.send(_body("Review r."), [_done(9)])[0].body


def test_guidance_is_the_same_bytes_on_every_later_call_of_the_session() -> None:
    """Although the forecast has moved on in between."""
    bench = Bench()
    bench.warm(LENGTHS)
    opening = _body("Review the parser.")
    first = bench.send(opening, [_done(100)])[0]
    bench.warm([2000] * 30)
    turns = _turns(opening, "more")
    second = bench.send({**opening, "messages": turns}, [_done(100)])[0]
    assert first.patch.guidance is not None
    assert second.patch.guidance == first.patch.guidance
    assert second.session.id == first.session.id
    assert second.body["messages"][0] == first.body["messages"][0]


def test_guidance_comes_back_from_the_history_after_a_restart() -> None:
    """Another instance re-emits what the store remembers, without any evidence of its own."""
    first = Bench()
    first.warm(LENGTHS)
    opening = _body("Review the lexer.")
    given = first.send(opening, [_done(100)])[0]
    turns = _turns(opening, "more")
    second = Bench()
    later = second.send({**opening, "messages": turns}, [_done(50)], stored=given.session)[0]
    assert later.patch.guidance == given.patch.guidance
    assert later.body["messages"][0] == given.body["messages"][0]


def test_another_conversation_of_the_session_is_not_edited() -> None:
    """It began without the note, so none of its earlier messages gets one now."""
    bench = Bench()
    bench.warm(LENGTHS)
    scope = Scope(agent="reviewer", session="s9")
    begun = bench.send(_body("Review the parser."), [_done(100)], scope=scope)[0]
    assert begun.patch.guidance is not None
    older = {"model": "gpt-x", "messages": _turns(_body("An older conversation."), "Go on.")}
    plan = bench.send(older, [_done(100)], scope=scope)[0]
    assert plan.body["messages"] == older["messages"]
    assert plan.session.id == begun.session.id


def test_a_learner_that_fails_does_not_lose_the_row() -> None:
    """The row is queued first."""
    bench = Bench()
    call = bench.call(_body())
    plan = bench.core.plan(call, _body(), bench.core.sessions.settle_on(call, None))
    broken: Predictor = Raising()
    bench.core.predictor = broken
    with pytest.raises(RuntimeError, match="broken"):
        bench.core.settle(plan, _done(100))
    assert [row.output_tokens for row in bench.journal.records] == [100]


def test_a_conversation_that_began_unguided_stays_so() -> None:
    """A note in the middle would break the provider's cache."""
    bench = Bench()
    bench.warm(LENGTHS)
    turns = _turns(_body("hi"), "Review it.")
    plan = bench.send({"model": "gpt-x", "messages": turns}, [_done(100)])[0]
    assert plan.patch.guidance is None
    assert plan.allocation.cap is not None


def test_what_a_session_was_given_is_queued_with_a_ticket_and_nothing_else_waits() -> None:
    """Only a session that was given something holds its first answer back."""
    bench = Bench()
    plain = bench.send(_body(), [_done(100)])[0]
    assert plain.pending is None
    bench.warm(LENGTHS)
    given = bench.send(_body("Review fresh."), [_done(100)])[0]
    assert given.pending is not None
    assert bench.journal.sessions[-1].guidance == given.patch.guidance


def test_the_holdout_is_left_alone_and_logged_with_its_propensity() -> None:
    """All sessions held out: nothing is written, the forecast is still logged."""
    bench = Bench(holdout=1.0)
    bench.warm(LENGTHS)
    body = _body("Review h.")
    plan = bench.send(body, [_done(100)])[0]
    assert plan.body == body
    row = bench.journal.records[-1]
    assert (row.arm, row.propensity, row.cap) == ("holdout", 1.0, None)
    assert row.q95 is not None


def test_a_driver_that_gives_up_settles_as_cancelled() -> None:
    """No open end in the ledger: an estimate at 1.2 x target, within the reserve."""
    bench = Bench()
    run = bench.core.run(bench.call(_body()), _body())
    next(run)
    run.send(None)
    run.close()
    row = bench.journal.records[-1]
    assert (row.finish_reason, row.exact) == ("cancelled", False)
    assert row.output_tokens is not None
    assert row.output_tokens > 0


def test_errors_and_cancellations_teach_no_length() -> None:
    """They are rows, but not outcomes."""
    bench = Bench()
    for _ in range(30):
        bench.send(_body(), [Outcome(finish_reason="error", status=500)])
    assert not bench.core.evidence.gate("reviewer", "review", "gpt-x").open


def test_a_replay_of_the_rows_gives_the_same_forecast() -> None:
    """State = fold(history)."""
    lived = Bench()
    lived.warm([40, 300, 80, 900, 120] * 8)
    replayed = Bench()
    for row in lived.journal.records:
        replayed.core.learn(row)
    body = _body("Review once more.")
    first, second = lived.send(body, [_done(1)])[0], replayed.send(body, [_done(1)])[0]
    assert first.forecast.values == second.forecast.values
    assert first.allocation.cap == second.allocation.cap
    assert first.input_tokens == second.input_tokens


def test_the_callers_cap_by_override_holds_on_streams_from_the_first_call() -> None:
    """No evidence needed; never sent again."""
    bench = Bench()
    plans = bench.send(_body(stream=True), [_cut(50)], override=Override(cap=50))
    assert plans[0].body["max_completion_tokens"] == 50
    assert bench.journal.records[-1].truncated


def test_handed_over_effort_is_written_and_stays_for_the_session() -> None:
    """By policy; the level is the one the task's difficulty suggests."""
    reasons = Capabilities(max_output=16_000, counts_cap=True, efforts=("low", "medium", "high"))
    bench = Bench(reasons, effort="auto")
    bench.warm(LENGTHS)
    opening = _body("Review e.")
    first = bench.send(opening, [_done(100)])[0]
    assert first.body["reasoning_effort"] == first.allocation.effort
    assert first.allocation.steered
    turns = _turns(opening, "Redesign the security architecture in production.")
    later = bench.send({**opening, "messages": turns}, [_done(100)])[0]
    assert later.body["reasoning_effort"] == first.body["reasoning_effort"]


def test_computed_effort_is_shown_but_not_written_where_it_was_not_handed_over() -> None:
    """Always computed and shown."""
    reasons = Capabilities(efforts=("low", "medium", "high"))
    bench = Bench(reasons)
    bench.warm(LENGTHS)
    plan = bench.send(_body("Review s."), [_done(100)])[0]
    assert plan.allocation.effort is not None
    assert not plan.allocation.steered
    assert "reasoning_effort" not in plan.body


def test_input_tokens_are_learned_by_model() -> None:
    """A tokenizer with 2 characters a token is found out (the default is 4)."""
    bench = Bench(guidance="off")
    text = "x" * 400
    for _ in range(60):
        usage = Usage(input_tokens=200, output_tokens=10)
        bench.send(_body(text), [Outcome(usage=usage)])
    plan = bench.send(_body(text), [_done(1)])[0]
    assert plan.input_tokens == pytest.approx(200, rel=0.15)


class Raising:
    """A predictor with a fault."""

    name = "raising"

    def predict_one(self, *_: Any) -> Any:
        """Fail."""
        raise RuntimeError("broken")

    def learn_one(self, *_: Any) -> None:
        """Fail."""
        raise RuntimeError("broken")


def test_the_core_hides_no_fault() -> None:
    """Failing open is the drivers' single guard, not the core's."""
    bench = Bench()
    broken: Predictor = Raising()
    bench.core.predictor = broken
    run = bench.core.run(bench.call(_body()), _body())
    next(run)
    with pytest.raises(RuntimeError, match="broken"):
        run.send(None)


def test_a_recorded_row_gives_back_what_was_known_and_what_was_seen() -> None:
    """Several choices share the tokens: 300 of 3 are 100 each."""
    row = record(n=3, output_tokens=300, truncated=True, complexity=40.0, ceiling=128)
    assert features_of(row).characteristics.complexity == 40.0
    assert features_of(row).ceiling == 128
    seen = observation_of(row)
    assert (seen.tokens, seen.censored) == (100, True)
