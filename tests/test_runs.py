"""Runs through both doors and in all dialects: what is told, what is refused, what is asked for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import anthropic
import httpx
import openai
import pytest

from budget_proxy.errors import BudgetExceeded, InvalidInput
from budget_proxy.ledger.limits import EACH, Limit
from budget_proxy.policy.noting import text_of
from budget_proxy.predict.runs import RunForecast
from budget_proxy.types import Outcome, Override, Scope, Usage
from tests.makers import NOW, record
from tests.provider_answers import Answer
from tests.providers import PATHS
from tests.test_parity import MESSAGES, MODELS, Bench, apis, bench, colours, doors, ways

USED = 1_000
AGENTS: dict[str, Any] = {"default": {"run_tokens": 2 * USED}}
ANSWER = Answer(input_tokens=USED - 100, output_tokens=100)
REFUSED = (openai.RateLimitError, anthropic.APIStatusError)


def body(api: str, *, stream: bool = False, **budget: Any) -> dict[str, Any]:
    """A call of one user message, of the run ``ticket``."""
    turns = [{"role": "user", "content": "fix the login"}]
    facts: dict[str, Any] = {"model": MODELS[api], "stream": stream}
    facts["input" if api == "openai.responses" else "messages"] = turns
    if api == MESSAGES:
        facts["max_tokens"] = 500
    return {**facts, "budget": {"run": "ticket", **budget}}


def sent(opened: Bench) -> str:
    """The newest turn as the provider saw it."""
    seen = opened.provider.last.body
    turn = (seen.get("messages") or seen["input"])[-1]
    content = turn["content"]
    return content if isinstance(content, str) else content[-1]["text"]


@apis
@doors
@colours
@ways
def test_half_a_budget_used_is_told(api: str, door: str, colour: str, stream: bool) -> None:
    """The second call carries the note, in a block of its own at the end of its message."""
    with bench(agents=AGENTS, guidance="compact") as opened:
        opened.provider.answer = ANSWER
        opened.call(api, body(api, stream=stream), colour=colour, door=door)
        assert "of this run" not in sent(opened)
        more = body(api, stream=stream)
        turns = more.get("messages") or more["input"]
        turns += [{"role": "assistant", "content": "which?"}, {"role": "user", "content": "all"}]
        opened.call(api, more, colour=colour, door=door)
        assert sent(opened) == text_of("tokens", 2 * USED, 50)


@apis
@doors
@colours
@ways
def test_a_hard_stop_refuses_with_the_runs_numbers(
    api: str, door: str, colour: str, stream: bool
) -> None:
    """In the provider's own shape, before anything is sent."""
    with bench(agents=AGENTS) as opened:
        opened.provider.answer = ANSWER
        opened.engine.store.save_limit(
            Limit("tokens", USED, "lifetime", (("run", EACH),), created=NOW)
        )
        opened.engine._holding._keeper.look()
        opened.call(api, body(api, stream=stream), colour=colour, door=door)
        with pytest.raises(REFUSED) as refused:
            opened.call(api, body(api, stream=stream), colour=colour, door=door)
        assert "run ticket has made 1 calls and used 1,000 tokens" in str(refused.value)
        assert "(run ticket: 1,000 tokens in all) is reached" in str(refused.value)
        assert len(opened.provider.requests) == 1
        assert opened.engine.run_status("ticket").state == "stopped"


QUIET: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"mode": "observe"}, {}),
    ({"holdout": 1.0}, {}),
    ({"guidance": "off"}, {}),
    ({"runs": {"told": False}}, {}),
    ({}, {"guidance": False}),
    ({}, {"off": True}),
    ({}, {"mode": "observe"}),
]


@pytest.mark.parametrize(("settings", "asked"), QUIET, ids=str)
@apis
def test_nothing_is_told_where_nothing_may_be_written(
    api: str, settings: dict[str, Any], asked: dict[str, Any]
) -> None:
    """In observe mode, in the holdout, with guidance off: the turns are the caller's own."""
    with bench(agents=AGENTS, **settings) as opened:
        opened.provider.answer = ANSWER
        for _ in range(3):
            opened.call(api, body(api, **asked), colour="sync", door="wrapper")
            seen = opened.provider.last.body
            assert (seen.get("messages") or seen["input"])[-1]["content"] == "fix the login"
        assert opened.engine.run_status("ticket").tokens == 3 * USED


def post(opened: Bench, api: str, **headers: str) -> httpx.Response:
    """A call through the proxy with headers of ours."""
    plain = body(api)
    del plain["budget"]
    given = {f"x-budget-{name}": text for name, text in headers.items()}
    return httpx.post(
        opened.proxy_url + PATHS[api], json=plain, headers={"x-budget-run": "ticket", **given}
    )


@apis
def test_a_caller_may_extend_a_run_where_the_settings_say_so(api: str) -> None:
    """The header is no part of what is sent; what was granted shows in what is left."""
    with bench(agents=AGENTS, runs={"extend": "header", "extend_tokens": 700}) as opened:
        opened.provider.answer = ANSWER
        first = post(opened, api)
        assert first.headers["x-budget-run-left"] == "tokens=1000"
        more = post(opened, api, extend="500; reason=two tests; both fail")
        assert more.headers["x-budget-run-left"] == "tokens=500"
        assert not any(name.startswith("x-budget") for name in opened.provider.last.headers)
        (granted,) = opened.engine.run_status("ticket").granted
        assert (granted.who, granted.tokens, granted.reason) == (
            "caller", 500, "two tests; both fail",
        )  # fmt: skip
        beyond = post(opened, api, extend="500; reason=more")
        assert beyond.status_code == 400
        assert "ask for 200 at most" in beyond.text


def test_an_sdks_own_retry_does_not_extend_again() -> None:
    """The provider fails once; the SDK sends the call again with the same header."""
    with bench(runs={"extend": "header"}) as opened:
        opened.provider.then(Answer(status=500, error=("no", None)))
        client = openai.OpenAI(base_url=f"{opened.proxy_url}/v1", api_key="k", max_retries=2)
        client.chat.completions.create(
            model="gpt-5.5",
            messages=[{"role": "user", "content": "hi"}],
            extra_headers={"x-budget-run": "t", "x-budget-extend": "500; reason=once"},
        )
        client.close()
        assert len(opened.provider.requests) == 2
        assert [one.tokens for one in opened.engine.run_status("t").granted] == [500]


@pytest.mark.parametrize(
    ("settings", "text", "said"),
    [
        ({}, "500; reason=x", "callers may not extend runs here"),
        ({"extend": "header"}, "500", "needs a reason"),
        ({"extend": "header"}, "many; reason=x", "is written as"),
        ({"extend": "header"}, "cents=5; reason=x", "is written as"),
        ({"extend": "header"}, "-5; reason=x", "between 0"),
        ({"extend": "header"}, "usd=nan; reason=x", "between 0"),
        ({"extend": "header"}, "usd=99; reason=x", r"$10.00 in all"),
    ],
)
def test_an_extension_that_cannot_be_is_said(
    settings: dict[str, Any], text: str, said: str
) -> None:
    """With status 400 in the provider's shape; the call is not made, nothing is granted."""
    with bench(runs=settings) as opened:
        answer = post(opened, "openai.chat", extend=text)
        assert answer.status_code == 400
        assert said in answer.json()["error"]["message"]
        assert opened.provider.requests == []
        assert opened.engine.store.run_accounts(["ticket"])[0].extensions == ()


def test_a_loop_is_told_in_a_header_and_stops_where_the_settings_say_so() -> None:
    """The answer to the call that shows it says so; the next one is refused until extended."""
    with bench(runs={"runaway": "stop"}) as opened:
        opened.provider.answer = ANSWER
        answers = []
        for _ in range(40):
            answers.append(post(opened, "openai.chat"))
            if answers[-1].status_code != 200:
                break
        *made, refused = answers
        assert [one.headers.get("x-budget-run-alert") for one in made[:-1]] == [None] * (
            len(made) - 1
        )
        assert made[-1].headers["x-budget-run-alert"] == "loop"
        assert (refused.status_code, refused.headers["x-budget-run-alert"]) == (429, "loop")
        assert "this run goes in circles and is stopped" in refused.json()["error"]["message"]
        assert refused.headers["x-should-retry"] == "false"
        opened.engine.extend_run("ticket", tokens=1, reason="it waits for a build")
        assert post(opened, "openai.chat").status_code == 200


def test_a_run_is_known_after_a_restart(tmp_path: Any) -> None:
    """Budget, use and extension are those of before; the budget is not drawn anew."""
    from budget_proxy.assemble import Engine

    url = f"sqlite:///{tmp_path / 'history.db'}"
    scope = Scope(run="t", agent="coder")
    chat = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    used = Outcome(usage=Usage(input_tokens=300, output_tokens=100))
    with Engine.open(url, agents={"coder": {"run_tokens": 1_000}}) as engine:
        engine.settle(engine.plan(api="openai.chat", body=chat, scope=scope), used)
        engine.extend_run("t", tokens=200, reason="why")
    with Engine.open(url, agents={"coder": {"run_tokens": 5}}) as engine:
        plan = engine.plan(api="openai.chat", body=chat, scope=scope)
        assert plan.run is not None
        assert plan.run.left == 800
        engine.settle(plan, used)
        status = engine.run_status("t")
        assert (status.turns, status.tokens, status.soft_tokens) == (2, 800, 1_200)
        with pytest.raises(InvalidInput, match="no run 'u'"):
            engine.run_status("u")


def test_parts_never_use_more_than_their_whole_may(tmp_path: Any) -> None:
    """Eight threads of parts against one hard stop, whatever the interleaving: none passes it."""
    from budget_proxy.assemble import Engine

    chat = {"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]}
    refused = []
    with Engine.open(f"sqlite:///{tmp_path / 'history.db'}") as engine:
        engine.store.save_limit(
            Limit("output_tokens", 5_000, "lifetime", (("run", "t"),), hold="worst", created=NOW)
        )
        engine._holding._keeper.look()

        def part(number: int) -> None:
            for _ in range(20):
                scope = Scope(run=f"t/part-{number}" if number else "t")
                try:
                    plan = engine.plan(api="openai.chat", body=chat, scope=scope)
                except BudgetExceeded as error:
                    refused.append(str(error))
                    continue
                tokens = 40 + 10 * (number % 7)
                engine.settle(plan, Outcome(usage=Usage(input_tokens=9, output_tokens=tokens)))

        threads = [threading.Thread(target=part, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        whole = engine.run_status("t")
        parts = [one for one in engine.runs.page().runs if one.parent == "t"]
    assert 4_000 < whole.output_tokens <= 5_000
    assert sum(one.output_tokens for one in parts) <= whole.output_tokens
    assert refused
    assert all("run t has made" in text for text in refused)


def test_an_override_names_its_run() -> None:
    """``with budget(run=...)`` and the key in the body are the same as the header."""
    assert Override().extend is None
    with bench(agents=AGENTS) as opened:
        opened.provider.answer = ANSWER
        opened.call("openai.chat", body("openai.chat", run="a/b"), colour="sync", door="wrapper")
        assert opened.engine.run_status("a").tokens == USED
        assert opened.engine.run_status("a/b").parent == "a"


@apis
def test_a_note_stays_although_the_message_of_an_earlier_one_is_gone(api: str) -> None:
    """An agent drops its oldest turns: what it is told after that is told once, in one place."""

    def turns(*answers: str) -> list[dict[str, Any]]:
        first: dict[str, Any] = {"role": "user", "content": "fix the login"}
        pairs = [
            (
                {"role": "assistant", "content": f"did {it}"},
                {"role": "user", "content": f"now {it}"},
            )
            for it in answers
        ]
        return [first, *(turn for pair in pairs for turn in pair)]

    def seen(conversation: list[dict[str, Any]]) -> list[Any]:
        asked = body(api)
        asked["input" if api == "openai.responses" else "messages"] = conversation
        opened.call(api, asked, colour="sync", door="wrapper")
        sent_body = opened.provider.last.body
        turns_seen: list[Any] = sent_body.get("messages") or sent_body["input"]
        return turns_seen

    with bench(agents={"default": {"run_tokens": 4 * USED}}, guidance="compact") as opened:
        opened.provider.answer = ANSWER
        for known in ("", "a", "ab"):
            told = seen(turns(*known))
        assert text_of("tokens", 4 * USED, 50) in str(told[-1])
        later = seen(turns("c"))
        assert text_of("tokens", 4 * USED, 75) in str(later[-1])
        again = seen(turns("c", "d"))
        assert again[: len(later)] == later
        assert text_of("tokens", 4 * USED, 75) not in str(again[len(later) :])


def test_calls_may_go_on_between_two_runs_of_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine's lock is taken for each run anew, and never held while another is looked at."""
    from budget_proxy.assemble import Engine

    with Engine.open("memory:") as engine:
        engine.store.append([record(run=f"t{number}", ts=NOW + number) for number in range(5)])
        holds, seen = [0], []
        lock = engine._lock

        @contextmanager
        def counted() -> Iterator[None]:
            with lock:
                holds[0] += 1
                yield

        def forecast(*asked: Any) -> RunForecast:
            seen.append(holds[0])
            return known(*asked)

        known = engine.core.running.forecast
        monkeypatch.setattr(engine.core.running, "forecast", forecast)
        monkeypatch.setattr(engine.runs, "_locked", counted)
        assert len(engine.runs.page().runs) == 5
    assert seen == [1, 2, 3, 4, 5]


def test_an_extension_answers_the_alarms_that_are_known_whatever_the_clock_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Put back by an hour since a loop was seen, it does not keep the run from going on."""
    from budget_proxy.assemble import Engine

    scope = Scope(run="t")
    chat = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    with Engine.open("memory:", runs={"runaway": "stop"}) as engine:
        engine.store.append([record(run="t", alarms=("loop t",))])
        monkeypatch.setattr(engine, "now", lambda: NOW - 3600.0)
        monkeypatch.setattr(engine.runs, "_now", lambda: NOW - 3600.0)
        with pytest.raises(BudgetExceeded, match="goes in circles"):
            engine.plan(api="openai.chat", body=chat, scope=scope)
        engine.extend_run("t", tokens=1, reason="it waits for a build")
        assert engine.plan(api="openai.chat", body=chat, scope=scope).run is not None
