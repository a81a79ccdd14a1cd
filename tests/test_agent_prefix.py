"""A coding agent's prompt keeps its prefix through us, so that providers' prompt caches hold.

Twenty requests of a conversation are sent through a proxy that gives guidance from the first:
eight before a restart, the rest in turn to two instances that share the history, which by then
would tell a new conversation something else.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from budget_proxy.assemble import Engine
from budget_proxy.proxy.app import create_app
from budget_proxy.types import CallRecord
from tests.agent_conversations import AGENTS, Agent, Body
from tests.makers import record
from tests.providers import PATHS, ScriptedProvider
from tests.proxied import served
from tests.wire_bodies import changed

BEFORE_RESTART = 8
PROMPT = {"tools", "system", "instructions", "messages", "input"}
"""The parts of a body that the model reads; a provider's cache compares no others."""
WRITTEN = {"stream_options", "max_completion_tokens", "max_tokens", "max_output_tokens"}

pytestmark = pytest.mark.xdist_group("agent_prefix")
"""One worker has what a conversation came to."""


@dataclass(frozen=True)
class Replay:
    """The twenty requests as the provider saw them without us and through us."""

    alone: list[Body]
    through: list[Body]
    rows: list[CallRecord]
    fresh: Body
    """The first request of another conversation, made after the last of this one."""

    @property
    def note(self) -> str:
        """The note that the first request carries."""
        (note,) = _notes(self.through[0])
        return note


@pytest.fixture(scope="module", params=AGENTS, ids=str)
def agent(request: pytest.FixtureRequest) -> Agent:
    """One agent after the other."""
    chosen: Agent = request.param
    return chosen


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "streamed"])
def replay(
    request: pytest.FixtureRequest, agent: Agent, tmp_path_factory: pytest.TempPathFactory
) -> Replay:
    """The conversation, sent without us and through us."""
    bodies = agent.bodies(stream=request.param)
    provider = ScriptedProvider(honours_caps=False)
    home = tmp_path_factory.mktemp("agent")
    with provider.serve() as upstream:
        for body in bodies:
            _post(agent, upstream, body)
        alone = list(provider.bodies)
        provider.requests.clear()
        with _proxy(home, upstream) as (engine, _):
            engine.store.append(_history(agent, 300))
        with _proxy(home, upstream) as (engine, proxy):
            for body in bodies[:BEFORE_RESTART]:
                _post(agent, proxy, body)
            engine.store.append(_history(agent, 3000))
        with _proxy(home, upstream) as (_, one), _proxy(home, upstream) as (_, other):
            for turn, body in enumerate(bodies[BEFORE_RESTART:]):
                _post(agent, other if turn % 2 else one, body)
        with _proxy(home, upstream) as (engine, proxy):
            rows = [row for row in engine.store.calls() if row.strategy != "import"]
            _post(agent, proxy, agent.bodies(stream=False, thread="thread-2")[0])
    return Replay(alone, provider.bodies[:-1], rows, provider.bodies[-1])


@contextmanager
def _proxy(home: Path, upstream: str) -> Iterator[tuple[Engine, str]]:
    """An instance on the same history as the others.

    It knows all of that at once. Fits are made when there is time for them, so that what a new
    conversation would be told after some of them is anybody's guess.
    """
    bases = {"openai_base_url": upstream, "anthropic_base_url": upstream, "strategy": "quantile"}
    with (
        pytest.MonkeyPatch.context() as patch,
        Engine.open(f"sqlite:///{home / 'history.db'}", holdout=0.0, **bases) as engine,
        served(create_app(engine)) as proxy,
    ):
        patch.setenv("XDG_DATA_HOME", str(home))
        yield engine, proxy


def _history(agent: Agent, tokens: int) -> list[CallRecord]:
    now = time.time()
    facts = {"agent": agent.name, "model": agent.model, "api": agent.api}
    return [
        record(output_tokens=tokens + number, ts=now - 200 + number, strategy="import", **facts)
        for number in range(100)
    ]


def _post(agent: Agent, base: str, body: Body) -> None:
    headers = {**agent.headers, "x-budget-agent": agent.name, "content-type": "application/json"}
    reply = httpx.post(
        base + PATHS[agent.api], content=json.dumps(body).encode(), headers=headers, timeout=30
    )
    assert reply.status_code == 200, reply.text


def _prompt(body: Body) -> bytes:
    """The prompt as a model reads it: tools, then the system prompt, then turns, block by block.

    That is the order in which Anthropic builds cached prefixes and OpenAI matches them. Markers
    are left out, because they say where to cache and are no part of the prompt; a string is a
    block of text, which is what both providers take it for.
    """
    lines: list[Any] = [("tool", _unmarked(tool)) for tool in body.get("tools", [])]
    for place in ("system", "instructions"):
        lines += [(place, block) for block in _blocks(body.get(place))]
    for turn in [*body.get("messages", []), *body.get("input", [])]:
        head = {name: value for name, value in turn.items() if name != "content"}
        lines += [(head, block) for block in _blocks(turn.get("content")) or [None]]
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


def _blocks(content: Any) -> list[Any]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [_unmarked(block) for block in content or []]


def _unmarked(block: Body) -> Body:
    return {name: value for name, value in block.items() if name != "cache_control"}


def _common(one: bytes, other: bytes) -> int:
    """The length of the longest common prefix."""
    for at, (mine, theirs) in enumerate(zip(one, other, strict=False)):
        if mine != theirs:
            return at
    return min(len(one), len(other))


def _notes(value: Any) -> list[str]:
    """All texts of a body that are or end with a note."""
    if isinstance(value, str):
        return [value[value.index("<budget>") :]] if value.endswith("</budget>") else []
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [note for part in parts for note in _notes(part)]


def _without(value: Any, note: str) -> Any:
    """A body without the note: without the block that it is, or the end of the text it was put to.

    ``None`` for what was nothing but the note, which then was not there.
    """
    if isinstance(value, str):
        return None if value == note else value.removesuffix(f"\n\n{note}")
    if isinstance(value, list):
        return [_without(item, note) for item in value if not _is_note(item, note)]
    if isinstance(value, dict):
        stripped = {name: _without(item, note) for name, item in value.items()}
        return {
            name: item for name, item in stripped.items() if item is not None or value[name] is None
        }
    return value


def _as_sent(bare: Any, alone: Any) -> Any:
    """A string again where the agent sent one: the turn that ends with the note is a list."""
    if isinstance(alone, str) and isinstance(bare, list):
        return alone if [block.get("text") for block in bare] == [alone] else bare
    if isinstance(bare, dict) and isinstance(alone, dict):
        return {name: _as_sent(item, alone.get(name)) for name, item in bare.items()}
    if isinstance(bare, list) and isinstance(alone, list) and len(bare) == len(alone):
        return [_as_sent(mine, theirs) for mine, theirs in zip(bare, alone, strict=True)]
    return bare


def _is_note(block: Any, note: str) -> bool:
    return isinstance(block, dict) and block.get("text") == note


def test_the_common_prefix_is_the_agents_own_and_the_constant_note(replay: Replay) -> None:
    """Turn by turn: as long as without us, plus the note, after a restart and elsewhere too."""
    extra = len(_prompt(replay.through[0])) - len(_prompt(replay.alone[0]))
    assert len(replay.note) < extra < len(replay.note) + 200
    for turn in range(19):
        alone = _common(_prompt(replay.alone[turn]), _prompt(replay.alone[turn + 1]))
        through = _common(_prompt(replay.through[turn]), _prompt(replay.through[turn + 1]))
        assert alone == len(_prompt(replay.alone[turn])), "the agent itself broke its prefix"
        assert through - alone == extra


def test_without_the_note_the_provider_saw_what_the_agent_sent(replay: Replay) -> None:
    """Byte for byte, markers included; besides, only caps and metering were written."""
    assert len(replay.alone) == len(replay.through) == 20
    for alone, through in zip(replay.alone, replay.through, strict=True):
        assert _notes(through) == [replay.note]
        bare = _as_sent(_without(through, replay.note), alone)
        for part in PROMPT:
            assert json.dumps(bare.get(part)) == json.dumps(alone.get(part))
        assert changed(alone, bare) <= WRITTEN


def test_a_conversation_is_one_session_and_keeps_its_note(replay: Replay) -> None:
    """Twenty rows of one session and one note; by then a new conversation is told another."""
    assert len(replay.rows) == 20
    assert len({row.session for row in replay.rows}) == 1
    assert len({row.guidance for row in replay.rows}) == 1
    (other,) = _notes(replay.fresh)
    assert other != replay.note
