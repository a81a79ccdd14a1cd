"""What models are told of their run keeps the prompt's prefix, so that providers' caches hold.

Twenty requests of a coding agent's conversation are sent through proxies that share a history, with
a restart and a change of instances in between, while the run uses its budget up and is extended.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from budget_proxy.assemble import Engine
from budget_proxy.policy.noting import text_of
from budget_proxy.proxy.app import create_app
from budget_proxy.running import FRESH
from tests.agent_conversations import AGENTS, Agent, Body
from tests.makers import record
from tests.provider_answers import Answer
from tests.providers import PATHS, ScriptedProvider
from tests.proxied import served
from tests.test_agent_prefix import _blocks

NOTE = re.compile(r"<budget>[^<]*(?:of this run)[^<]*</budget>")
OURS = re.compile(r"\n*<budget>.*?</budget>", re.DOTALL)
USED = 1_000
"""Tokens of each answer: the budget of 20,000 is half used after the tenth."""
BUDGET = 20_000

pytestmark = pytest.mark.xdist_group("agent_runs")
"""One worker has what a conversation came to."""


@dataclass(frozen=True)
class Replay:
    """The conversation as the provider saw it without us and through us."""

    alone: list[Body]
    through: list[Body]
    headers: list[httpx.Headers]


@pytest.fixture(scope="module", params=AGENTS, ids=str)
def replay(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Replay:
    """Sent alone; then by one instance, by that again after a restart, and by two in turn."""
    agent: Agent = request.param
    bodies = agent.bodies(stream=False)
    provider = ScriptedProvider(honours_caps=False)
    provider.answer = Answer(input_tokens=USED - 100, output_tokens=100)
    home = tmp_path_factory.mktemp("run")
    answers: list[httpx.Headers] = []
    with provider.serve() as upstream:
        for body in bodies:
            _post(agent, upstream, body)
        alone = list(provider.bodies)
        provider.requests.clear()
        with _proxy(home, upstream, agent) as (engine, _):
            engine.store.append(_history(agent))
        with _proxy(home, upstream, agent) as (_, proxy):
            answers += [_post(agent, proxy, body) for body in bodies[:12]]
        with _proxy(home, upstream, agent) as (_, proxy):
            answers += [_post(agent, proxy, body) for body in bodies[12:17]]
        with _proxy(home, upstream, agent) as (one, here), _proxy(home, upstream, agent) as pair:
            answers.append(_post(agent, pair[1], bodies[17]))
            pair[0].flush()
            answers.append(_post(agent, here, bodies[18]))
            one.extend_run("ticket/fix", tokens=BUDGET, reason="two tests still fail")
            one.flush()
            time.sleep(FRESH + 0.1)  # then the other reads the account again
            answers.append(_post(agent, pair[1], bodies[19]))
    return Replay(alone, provider.bodies, answers)


@contextmanager
def _proxy(home: Path, upstream: str, agent: Agent) -> Iterator[tuple[Engine, str]]:
    bases = {"openai_base_url": upstream, "anthropic_base_url": upstream}
    agents: Any = {agent.name: {"run_tokens": BUDGET}}
    url = f"sqlite:///{home / 'history.db'}"
    with (
        Engine.open(url, holdout=0.0, agents=agents, **bases) as engine,
        served(create_app(engine)) as proxy,
    ):
        yield engine, proxy


def _history(agent: Agent) -> list[Any]:
    now = time.time()
    facts = {"agent": agent.name, "model": agent.model, "api": agent.api, "strategy": "import"}
    return [record(output_tokens=300 + n, ts=now - 200 + n, **facts) for n in range(100)]


def _post(agent: Agent, base: str, body: Body) -> httpx.Headers:
    headers = {
        **agent.headers, "x-budget-agent": agent.name, "x-budget-run": "ticket/fix",
        "content-type": "application/json",
    }  # fmt: skip
    url = base + PATHS[agent.api]
    reply = httpx.post(url, content=orjson.dumps(body), headers=headers, timeout=30)
    assert reply.status_code == 200, reply.text
    return reply.headers


def _turns(body: Body) -> list[str]:
    """The texts of a body's turns, one after another, as a model reads them."""
    turns = [*body.get("messages", []), *body.get("input", [])]
    return ["\n".join(_texts(turn)) for turn in turns]


def _texts(turn: Body) -> Iterator[str]:
    for block in [*_blocks(turn.get("content")), *_blocks(turn.get("output"))]:
        yield block.get("text") or orjson.dumps(block).decode()


def test_each_request_extends_the_one_before_it(replay: Replay) -> None:
    """Turns that were sent come again byte for byte, our notes among them."""
    for before, after in zip(replay.through, replay.through[1:], strict=False):
        assert _turns(after)[: len(_turns(before))] == _turns(before)


def test_notes_come_at_coarse_steps_at_the_end_of_the_newest_message(replay: Replay) -> None:
    """At 50, 75 and 90 %, once each, and when the budget was extended; nothing else is told."""
    first: dict[str, int] = {}
    for number, body in enumerate(replay.through):
        turns = _turns(body)
        for at, turn in enumerate(turns):
            for note in NOTE.findall(turn):
                if note not in first:
                    first[note] = number
                    assert at == len(turns) - 1
                    assert turn.endswith(note)
    assert list(first.items()) == [
        (text_of("tokens", BUDGET, 50), 10),
        (text_of("tokens", BUDGET, 75), 15),
        (text_of("tokens", BUDGET, 90), 18),
        (text_of("tokens", 2 * BUDGET, 0, extended=True), 19),
    ]


def test_nothing_else_of_the_turns_is_ours(replay: Replay) -> None:
    """Without our texts the turns are those that were sent without us."""
    for alone, through in zip(replay.alone, replay.through, strict=True):
        bare = (OURS.sub("", turn).strip("\n") for turn in _turns(through))
        theirs = (turn.strip("\n") for turn in _turns(alone))
        assert list(filter(None, bare)) == list(filter(None, theirs))


def test_headers_say_what_is_left_and_what_comes(replay: Replay) -> None:
    """What is left falls by what each call used, and grows by the extension."""
    left = [int(one["x-budget-run-left"].removeprefix("tokens=")) for one in replay.headers]
    assert left[:12] == [BUDGET - USED * (n + 1) for n in range(12)]
    assert left[-1] == 2 * BUDGET - USED * len(replay.headers)
    told = replay.headers[5]["x-budget-run-forecast"]
    found = re.fullmatch(r"p10=(\d+); p50=(\d+); p90=(\d+)", told)
    assert found is not None
    low, middle, high = map(int, found.groups())
    assert 5 * USED <= low <= middle <= high
