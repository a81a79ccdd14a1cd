"""A call's way past the limits, through the core: refused, waiting, or by something cheaper."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from budget_proxy.engine import UNSENT
from budget_proxy.ledger.admission import Waiting
from budget_proxy.ledger.ledger import Shortage
from budget_proxy.ledger.limits import NANO, Limit
from budget_proxy.ledger.refusal import Refusal
from budget_proxy.types import Capabilities, Outcome, Override, Plan, Scope, Usage
from tests.bank import Bank
from tests.makers import NOW
from tests.test_engine import Bench as CoreBench

PRICED = "gpt-5-mini"
EFFORTFUL = Capabilities(
    max_output=16_000, reasoning=True, efforts=("none", "low", "high"), known=True
)


class Bench(CoreBench):
    """A core with limits, and what a driver does with them."""

    def __init__(self, *limits: Limit, **given: Any) -> None:
        super().__init__(**given)
        self.bank = Bank(self.core.ledger, *limits)

    def started(self, **more: Any) -> tuple[Generator[Any, Any, None], Any]:
        """A call under way, and its first step that is no question to the store."""
        body = {"model": PRICED, "messages": [{"role": "user", "content": "Review this."}], **more}
        given = {name: body.pop(name) for name in ("scope", "override") if name in body}
        run = self.core.run(self.call(body, **given), body)
        return run, self.on(run, None)

    def on(self, run: Generator[Any, Any, None], answer: Any) -> Any:
        """Push a call on to its next step that is no question to the store; ``None`` at its end."""
        try:
            step = run.send(answer)
            while not isinstance(step, Plan | Refusal | Waiting):
                step = run.send(
                    self.bank.lease(step.wanted) if isinstance(step, Shortage) else None
                )
        except StopIteration:
            return None
        return step


def done(tokens: int, **more: Any) -> Outcome:
    """An answer of so many tokens."""
    return Outcome(usage=Usage(input_tokens=20, output_tokens=tokens), **more)


def test_a_call_beyond_a_limit_is_refused_and_leaves_no_row() -> None:
    """It ends with the refusal; nothing was made, so nothing is recorded or held."""
    bench = Bench(Limit("tokens", 10, "day", id=1))
    run, step = bench.started()
    assert isinstance(step, Refusal)
    assert bench.on(run, None) is None
    assert bench.journal.records == []
    assert bench.core.ledger.open() == {}


@pytest.mark.parametrize("mode", ["observe", "guide", "enforce"])
@pytest.mark.parametrize("holdout", [0.0, 1.0])
def test_limits_hold_in_every_mode_and_arm(mode: Any, holdout: float) -> None:
    """Whatever else is done to a call."""
    bench = Bench(Limit("tokens", 0, "day", id=1), holdout=holdout)
    _, step = bench.started(override=Override(mode=mode))
    assert isinstance(step, Refusal)
    _, step = bench.started(override=Override(off=True))
    assert isinstance(step, Refusal)


def test_what_a_call_used_counts_and_what_it_only_held_does_not() -> None:
    """After it settled its account has what its row counts; money to the nano-dollar."""
    bench = Bench(Limit("tokens", 100_000, "lifetime", id=1), Limit("usd", NANO, "lifetime", id=2))
    run, step = bench.started()
    assert isinstance(step, Plan)
    held = {account.limit: one.reserved for account, one in bench.core.ledger.open().items()}
    assert held[1] > 120
    assert bench.on(run, done(100)) is None
    assert bench.core.ledger.open() == {}
    (row,) = bench.journal.records
    assert row.charged == 20 * 250 + 100 * 2_000
    free = bench.core.ledger.idle(1e11)
    counted = {account.limit: lent - free[account] for account, lent in bench.bank.lent.items()}
    assert counted == {1: 120, 2: row.charged}


@pytest.mark.parametrize(
    "outcome",
    [
        UNSENT,
        Outcome(finish_reason="error", status=500),
        Outcome(finish_reason="error", exact=False, status=0),
        Outcome(finish_reason="cancelled", exact=False),
    ],
)
def test_however_a_call_ends_nothing_is_left_reserved(outcome: Outcome) -> None:
    """Failed, timed out, cancelled or never sent."""
    bench = Bench(Limit("tokens", 100_000, "lifetime", id=1))
    run, step = bench.started()
    assert isinstance(step, Plan)
    bench.on(run, outcome)
    assert bench.core.ledger.open() == {}


def test_a_learners_fault_leaves_nothing_reserved(monkeypatch: pytest.MonkeyPatch) -> None:
    """The row is written, and counts: so it has to be counted here too."""

    def broken(_: object) -> Any:
        raise RuntimeError("broken")

    bench = Bench(Limit("tokens", 100_000, "lifetime", id=1))
    monkeypatch.setattr(bench.core.running, "settle", broken)
    run, step = bench.started(scope=Scope(run="ticket"))
    assert isinstance(step, Plan)
    with pytest.raises(RuntimeError, match="broken"):
        bench.on(run, done(100))
    assert [row.output_tokens for row in bench.journal.records] == [100]
    assert bench.core.ledger.open() == {}
    (free,) = bench.core.ledger.idle(1e11).values()
    assert sum(bench.bank.lent.values()) - free == 120


def test_a_driver_that_gives_up_leaves_nothing_reserved() -> None:
    """Before the store answered, and while the call was on its way."""
    bench = Bench(Limit("tokens", 100_000, "lifetime", id=1))
    run, step = bench.started()
    assert isinstance(step, Plan)
    run.close()
    body = {"model": PRICED, "messages": [{"role": "user", "content": "Review this."}]}
    early = bench.core.run(bench.call(body), body)
    step = next(early)
    while not isinstance(step, Shortage):
        step = early.send(None)
    early.close()
    assert bench.core.ledger.open() == {}


def test_a_limit_that_degrades_tries_something_cheaper_before_it_refuses() -> None:
    """The model that the policy names is written and reserved; its row says why."""
    bench = Bench(Limit("usd", 5_000_000, "day", action="degrade", model="gpt-5-nano", id=7))
    first, step = bench.started(max_tokens=2000)
    assert step.body["model"] == PRICED
    second, step = bench.started(max_tokens=2000)
    assert step.body["model"] == "gpt-5-nano"
    assert "limit 7 (all calls: $0.005 a day) leaves no room" in step.allocation.reason
    assert step.allocation.overridden
    bench.on(second, done(100))
    assert bench.journal.records[-1].model == "gpt-5-nano"
    refused = None
    for _ in range(20):
        _, refused = bench.started(max_tokens=2000)
        if isinstance(refused, Refusal):
            break
    assert isinstance(refused, Refusal)
    first.close()


def test_a_lower_effort_is_a_fallback_too() -> None:
    """Written in place of the caller's own: the other way would be a refusal."""
    bench = Bench(
        Limit("tokens", 30_000, "day", action="degrade", effort="none", id=7),
        capabilities=EFFORTFUL,
    )
    _, step = bench.started(reasoning_effort="high")
    assert (step.body["reasoning_effort"], step.allocation.reserve >= 15_000) == ("high", True)
    _, step = bench.started(reasoning_effort="high")
    assert (step.body["reasoning_effort"], step.allocation.reserve < 5_000) == ("none", True)


def test_a_call_waits_for_room_as_long_as_its_patience_lasts() -> None:
    """It goes on when one that is under way settles, and is refused when it took too long."""
    bench = Bench(Limit("output_tokens", 2000, "flight", id=1), patience=5.0)
    first, step = bench.started(max_tokens=1500)
    assert isinstance(step, Plan)
    second, waiting = bench.started(max_tokens=1500)
    assert isinstance(waiting, Waiting)
    assert isinstance(bench.on(second, NOW + 4), Waiting)
    third, step = bench.started(max_tokens=100)
    assert isinstance(step, Waiting)  # nobody passes those in line
    bench.on(first, done(10))
    assert isinstance(bench.on(second, NOW + 5), Plan)
    assert isinstance(bench.on(third, NOW + 6), Plan)
    fourth, step = bench.started(max_tokens=1500)
    assert isinstance(step, Waiting)
    assert isinstance(bench.on(fourth, NOW + 60), Refusal)


def test_nobody_waits_for_room_that_cannot_come() -> None:
    """A call that is larger than the limit is refused at once."""
    bench = Bench(Limit("output_tokens", 1000, "flight", id=1), patience=5.0)
    _, step = bench.started(max_tokens=1500)
    assert isinstance(step, Refusal)
    assert step.retry_after is None


def test_a_price_that_is_a_guess_is_flagged() -> None:
    """The plan, its answer's header and its row say that it counts at the dearest price."""
    bench = Bench(Limit("usd", 1_000 * NANO, "day", id=1))
    run, step = bench.started(model="nobody-knows-it", max_tokens=100)
    assert "no price of nobody-knows-it is known" in step.allocation.reason
    bench.on(run, done(10))
    assert "no price of nobody-knows-it is known" in bench.journal.records[-1].reason
    _, step = bench.started(max_tokens=100)
    assert "no price" not in step.allocation.reason
