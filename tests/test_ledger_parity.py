"""Limits at both doors, sync and async, plain and streamed, in all dialects: one behaviour."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import anthropic
import openai
import pytest

from budget_proxy.engine import Core
from budget_proxy.errors import StoreError
from budget_proxy.ledger.limits import EACH, Limit
from budget_proxy.types import Usage
from budget_proxy.wire.prices import LISTED
from tests.doors import learned, rows
from tests.test_parity import (
    ANSWER,
    MESSAGES,
    MODELS,
    Bench,
    _body,
    apis,
    bench,
    colours,
    doors,
    ways,
)

CHEAPER = {
    "openai.chat": "gpt-5-nano", "openai.responses": "gpt-5-nano", MESSAGES: "claude-haiku-4-5",
}  # fmt: skip

UNFITTED: dict[str, Any] = {"strategy": "quantile"}
"""No fit comes into force between a look at a plan and the call: what is reserved is the same."""


@dataclass(frozen=True)
class Refused:
    """An SDK's error, in one spelling for both of them; ``tries`` counts what the engine ran."""

    kind: type[Exception]
    status: int
    type: str
    message: str
    headers: Any
    tries: int


def limit(site: Bench, one: Limit) -> int:
    """Put a limit into force at once."""
    number = site.engine.store.save_limit(one)
    site.engine._holding._keeper.look()
    return number


def refused(
    site: Bench, api: str, body: dict[str, Any], colour: str, door: str, patch: pytest.MonkeyPatch
) -> Refused:
    """Make a call that is refused, by a client that would try again twice."""
    tries: list[None] = []
    run = site.engine.run

    def counted(*given: Any) -> Any:
        tries.append(None)
        return run(*given)

    patch.setattr(site.engine, "run", counted)
    library: Any = anthropic if api == MESSAGES else openai
    with pytest.raises(library.APIStatusError) as caught:
        site.call(api, body, colour=colour, door=door, retries=2)
    error: Any = caught.value
    body = error.body["error"] if api == MESSAGES else error.body
    return Refused(
        type(error), error.status_code, body["type"], body["message"], error.response.headers,
        len(tries),
    )  # fmt: skip


@apis
@doors
@colours
@ways
def test_a_refusal_is_the_providers_own_kind_of_error(
    api: str, door: str, colour: str, stream: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says what to do, nobody tries again by himself, and nothing was sent or recorded."""
    with bench() as site:
        number = limit(site, Limit("output_tokens", 10, "day", (("model", MODELS[api]),)))
        found = refused(site, api, _body(api, stream=stream), colour, door, monkeypatch)
        assert site.provider.requests == []
        assert rows(site.engine) == []
        assert site.engine.faults == {}
        assert site.engine.core.ledger.open() == {}
    expected = (402, "billing_error") if api == MESSAGES else (429, "insufficient_quota")
    assert (found.status, found.type) == expected
    assert api == MESSAGES or found.kind is openai.RateLimitError
    assert found.headers["x-should-retry"] == "false"
    assert found.headers["x-budget-limit"] == f"{number}"
    assert found.tries == 1
    assert f"limit {number} (model {MODELS[api]}: 10 output tokens a day)" in found.message
    assert "is too low for this call: this call may need" in found.message
    assert "a lower cap on its output makes that less" in found.message


@apis
@doors
@colours
@ways
def test_a_degraded_call_reaches_the_provider_with_the_cheaper_model(
    api: str, door: str, colour: str, stream: bool
) -> None:
    """Where the model that was asked for does not fit any more; its row says why."""
    body, cheaper = _body(api, stream=stream), CHEAPER[api]
    with bench(**UNFITTED) as site:
        learned(site.engine, model=cheaper)
        plan = site.engine.plan(api=api, body=body, dry_run=True)
        usage = Usage(plan.input_tokens, plan.allocation.reserve)
        amount, known = LISTED.charge(api, MODELS[api], "", usage, None, time.time())
        limit(site, Limit("usd", amount - 1, "day", action="degrade", model=cheaper))
        site.call(api, body, colour=colour, door=door)
        sent = site.provider.last.body
        (row,) = rows(site.engine)
    assert known
    assert sent["model"] == row.model == cheaper
    assert "leaves no room for more than this" in row.reason
    assert (row.output_tokens, row.exact) == (ANSWER.output_tokens, True)


@apis
@doors
@colours
@ways
def test_a_call_that_waits_goes_on_when_another_one_settles(
    api: str, door: str, colour: str, stream: bool
) -> None:
    """Two at once where one has room: both are answered, one after the other."""
    body = _body(api, stream=stream)
    with bench(limit_wait=30.0, **UNFITTED) as site:
        plan = site.engine.plan(api=api, body=body, dry_run=True)
        limit(site, Limit("output_tokens", plan.allocation.reserve * 3 // 2, "flight"))
        came: list[float] = []
        site.provider.before = lambda _: came.append(time.monotonic())
        site.provider.answer = replace(ANSWER, delay=0.4)
        with ThreadPoolExecutor(2) as pool:
            calls = [pool.submit(site.call, api, body, colour=colour, door=door) for _ in range(2)]
        assert all(call.result() for call in calls)
        assert len(rows(site.engine)) == 2
        assert site.engine.core.ledger.open() == {}
    first, second = came
    assert second - first >= 0.4


@apis
@doors
@ways
def test_a_broken_store_refuses_what_has_no_lease_and_lets_go_on_what_has(
    api: str, door: str, stream: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Limits in memory go on; what was settled meanwhile is written and counted afterwards."""
    known = {**_body(api, stream=stream), "budget": {"agent": "known"}}
    other = {**known, "budget": {"agent": "other"}}
    with bench() as site:
        keeper = site.engine._holding._keeper
        keeper._stop.set()  # so that nothing idle is given back before the store breaks
        limit(site, Limit("tokens", 10**7, "day", (("agent", EACH),)))
        site.call(api, known, colour="sync", door=door)
        _break_store(site, monkeypatch)
        site.call(api, known, colour="sync", door=door)
        assert len(site.provider.requests) == 2
        found = refused(site, api, other, "sync", door, monkeypatch)
        assert len(site.provider.requests) == 2
        assert site.engine.faults["limits"] == 1
        monkeypatch.undo()
        assert [row.agent for row in rows(site.engine)] == ["known", "known"]
        assert site.engine.store.miscounted(time.time()) == {}
    assert found.status == (402 if api == MESSAGES else 429)
    assert "could not be looked at" in found.message
    assert found.tries == 1


def _break_store(site: Bench, patch: pytest.MonkeyPatch) -> None:
    def unreadable(*_: Any, **__: Any) -> Any:
        raise StoreError("injected")

    for name in ("append", "save_sessions", "session", "lease", "renew", "balances", "limits"):
        patch.setattr(site.engine.store, name, unreadable)


@apis
@doors
@colours
@ways
def test_a_call_that_cannot_be_planned_is_not_made_where_a_limit_forbids(
    api: str, door: str, colour: str, stream: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault of ours lets a call through, unless there are limits that it might break."""

    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("injected")

    body = _body(api, stream=stream)
    with bench() as site:
        monkeypatch.setattr(Core, "plan", broken)
        limit(site, Limit("tokens", 10**9, "day", action="alert"))
        site.call(api, body, colour=colour, door=door)
        assert len(site.provider.requests) == 1
        limit(site, Limit("tokens", 10**9, "day"))
        found = refused(site, api, body, colour, door, monkeypatch)
        assert len(site.provider.requests) == 1
    assert (found.status, found.tries) == (503, 1)
    assert found.headers["x-should-retry"] == "false"
    assert "could not be held against the limits in force" in found.message
