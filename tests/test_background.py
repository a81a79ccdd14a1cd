"""Responses made in the background, by the real SDK through each door."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from math import ceil
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from budget_proxy import Engine
from budget_proxy.errors import StoreError
from budget_proxy.ledger.limits import Limit, nano_of
from budget_proxy.types import CallRecord
from tests.background import DOORS, MODEL, TEXT, Background, Site, opened
from tests.doors import items, now
from tests.proxied import Upstream

ASK: dict[str, Any] = {"model": MODEL, "input": "hello", "background": True}


@pytest.fixture
def provider() -> Background:
    """What the upstream answers by."""
    return Background()


@pytest.fixture
def upstream(provider: Background) -> Iterator[Upstream]:
    """The network's far end."""
    with Upstream(provider) as running:
        yield running


@pytest.fixture(params=DOORS)
def door(request: pytest.FixtureRequest) -> str:
    """The proxy, and the wrapper in both colours."""
    return str(request.param)


@pytest.fixture
def site(door: str, tmp_path: Path, upstream: Upstream) -> Iterator[Site]:
    """Each door, open."""
    with opened(door, tmp_path, upstream) as site:
        yield site


async def shut(site: Site) -> None:
    """Let an async client's connections go while its loop runs."""
    if isinstance(site.client, openai.AsyncOpenAI):
        await site.client.close()


def soon(condition: Callable[[], Any], seconds: float = 5.0) -> bool:
    """Wait until something holds, or not much longer."""
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return bool(condition())


def one(site: Site) -> CallRecord:
    """The only row."""
    (row,) = site.rows()
    return row


async def test_a_queued_response_is_pending_until_it_is_retrieved(
    site: Site, provider: Background
) -> None:
    """First an estimate, marked; then the provider's own numbers in a row at the end."""
    created = await now(site.client.responses.create(**ASK))
    first = one(site)
    assert created.status == "queued"
    assert (first.pending, first.exact) == (True, False)
    assert first.output_tokens
    provider.ends("completed")
    found = await now(site.client.responses.retrieve(created.id))
    second = one(site)
    assert found.usage.output_tokens == 40
    assert (second.pending, second.exact, second.finish_reason) == (False, True, "stop")
    assert (second.input_tokens, second.output_tokens, second.reasoning_tokens) == (9, 40, 5)
    assert (second.call_id, second.ts, second.seconds) == (first.call_id, first.ts, None)
    assert (second.response_id, second.session) == (first.response_id, first.session)
    assert (second.id or 0) > (first.id or 0)
    assert second.cost is not None
    assert first.cost is not None
    assert second.cost != first.cost
    assert second.charged == ceil(Decimal(repr(second.cost)) * 10**9)
    await shut(site)


async def test_a_response_that_is_still_made_stays_pending(
    site: Site, provider: Background
) -> None:
    """Polling changes nothing before the end."""
    created = await now(site.client.responses.create(**ASK))
    first = one(site)
    provider.status = "in_progress"
    for _ in range(3):
        await now(site.client.responses.retrieve(created.id))
    assert one(site) == first
    await shut(site)


async def test_only_the_end_teaches(site: Site, provider: Background, tmp_path: Path) -> None:
    """The estimate is no evidence, the answer is; and a replay of the file comes to the same."""
    created = await now(site.client.responses.create(**ASK))
    first = one(site)
    gate = site.engine.core.evidence.gate
    assert gate(first.agent, first.task_type, MODEL).support == 0
    provider.ends("completed", 77)
    for _ in range(3):  # the second and third change nothing
        await now(site.client.responses.retrieve(created.id))
        row = one(site)
    assert gate(first.agent, first.task_type, MODEL).support == 1
    with Engine.open(f"sqlite:///{tmp_path / 'history.db'}", holdout=0.0) as replayed:
        task = {"description": "hello"}
        ours = site.engine.predict(task, agent=row.agent, model=MODEL)
        theirs = replayed.predict(task, agent=row.agent, model=MODEL)
        assert theirs.forecast == ours.forecast
        assert ours.forecast.support == 1
        assert replayed.core.evidence.gate(row.agent, row.task_type, MODEL).support == 1
    await shut(site)


async def test_a_response_may_be_retrieved_as_a_stream(site: Site, provider: Background) -> None:
    """Whole, or from an event on; the last event has the usage, and every event passes."""
    created = await now(site.client.responses.create(**ASK))
    provider.ends("completed")
    stream = await now(site.client.responses.retrieve(created.id, stream=True, starting_after=1))
    (event,) = await items(stream)
    assert event.response.usage.output_tokens == 40
    row = one(site)
    assert (row.pending, row.exact, row.output_tokens) == (False, True, 40)
    await shut(site)


async def test_a_stream_that_breaks_off_can_be_resumed(site: Site, provider: Background) -> None:
    """The answer goes on being made: pending with what was seen, until a retrieval tells."""
    provider.cut = 2
    provider.ends("completed")
    stream = await now(site.client.responses.create(**ASK, stream=True))
    with pytest.raises(openai.APIConnectionError):
        await items(stream)
    first = one(site)
    assert (first.pending, first.exact, first.stream) == (True, False, True)
    assert first.finish_reason == "error"
    assert (first.output_tokens or 0) >= len(TEXT) / 4
    provider.cut = None
    resumed = await now(site.client.responses.retrieve("resp_1", stream=True, starting_after=0))
    assert len(await items(resumed)) == 2
    row = one(site)
    assert (row.pending, row.exact, row.output_tokens, row.stream) == (False, True, 40, True)
    await shut(site)


async def test_a_resumed_stream_that_breaks_off_too_tells_nothing(
    site: Site, provider: Background
) -> None:
    """Half a retrieval leaves the row as it is, for the next one."""
    await now(site.client.responses.create(**ASK))
    first = one(site)
    provider.ends("completed")
    provider.cut = 2
    stream = await now(site.client.responses.retrieve("resp_1", stream=True))
    with pytest.raises(openai.APIConnectionError):
        await items(stream)
    assert one(site) == first
    await shut(site)


async def test_a_background_stream_that_is_seen_to_its_end_is_settled(
    site: Site, provider: Background
) -> None:
    """Nothing is to be retrieved where the last event came."""
    provider.ends("completed")
    await items(await now(site.client.responses.create(**ASK, stream=True)))
    row = one(site)
    assert (row.pending, row.exact, row.output_tokens) == (False, True, 40)
    await shut(site)


async def test_a_stream_that_its_caller_leaves_is_pending(site: Site, provider: Background) -> None:
    """In the background the answer is made whether or not anybody listens."""
    provider.ends("completed")
    provider.pause = 0.3
    stream = await now(site.client.responses.create(**ASK, stream=True))
    await (anext(stream) if hasattr(stream, "__anext__") else now(next(stream)))
    await now(stream.close())
    assert soon(site.rows)
    row = one(site)
    assert (row.pending, row.exact, row.finish_reason) == (True, False, "cancelled")
    await now(site.client.responses.retrieve("resp_1"))
    assert one(site).output_tokens == 40
    await shut(site)


@pytest.mark.parametrize(
    ("status", "tokens", "facts", "expected"),
    [
        ("failed", None, {"error": {"code": "server_error", "message": "no"}}, (True, "error", 0)),
        ("failed", 12, {"error": {"code": "server_error", "message": "no"}}, (True, "error", 12)),
        ("cancelled", 7, {}, (True, "cancelled", 7)),
        (
            "incomplete", 30, {"incomplete_details": {"reason": "max_output_tokens"}},
            (True, "length", 30),
        ),
        (
            "incomplete", 30, {"incomplete_details": {"reason": "content_filter"}},
            (True, "content_filter", 30),
        ),
    ],
)  # fmt: skip
async def test_every_end_is_settled(
    site: Site, provider: Background, status: str, tokens: int | None, facts: Any, expected: Any
) -> None:
    """A failure costs what it says, nothing if it says nothing; a cut answer counts as cut."""
    created = await now(site.client.responses.create(**ASK))
    provider.ends(status, tokens, **facts)
    await now(site.client.responses.retrieve(created.id))
    row = one(site)
    assert (row.exact, row.finish_reason, row.output_tokens) == expected
    assert row.truncated == (row.finish_reason == "length")
    assert not row.pending
    assert not row.cut_by_us
    await shut(site)


async def test_reaching_the_caller_s_own_cap_is_a_truncation(
    site: Site, provider: Background
) -> None:
    """Some servers call a cut answer completed; the cap in force is in the row."""
    created = await now(site.client.responses.create(**ASK, max_output_tokens=40))
    provider.ends("completed", 40)
    await now(site.client.responses.retrieve(created.id))
    assert one(site).truncated
    await shut(site)


async def test_a_cancelled_response_keeps_its_estimate(site: Site) -> None:
    """What it used until then nobody says: it is settled, and stays an estimate."""
    created = await now(site.client.responses.create(**ASK))
    first = one(site)
    cancelled = await now(site.client.responses.cancel(created.id))
    row = one(site)
    assert cancelled.status == "cancelled"
    assert (row.pending, row.exact, row.finish_reason) == (False, False, "cancelled")
    assert row.output_tokens == first.output_tokens
    await shut(site)


async def test_a_limit_in_money_counts_what_the_answer_cost(
    site: Site, provider: Background
) -> None:
    """Not what had been estimated before it came."""
    limit = Limit("usd", 10**12, "lifetime", created=time.time())
    site.engine.store.save_limit(limit)
    created = await now(site.client.responses.create(**ASK))
    first = one(site)
    provider.ends("completed")
    await now(site.client.responses.retrieve(created.id))
    second = one(site)
    assert first.charged != second.charged
    assert second.charged == nano_of(second.cost)
    (balance,) = site.engine.store.balances(time.time())
    assert balance.used == second.charged
    await shut(site)


async def test_an_unknown_response_passes(site: Site, provider: Background) -> None:
    """A retrieval of what was never ours leaves no trace, be it there or not."""
    provider.ends("completed")
    assert (await now(site.client.responses.retrieve("resp_1"))).usage.output_tokens == 40
    with pytest.raises(openai.NotFoundError, match="no such response"):
        await now(site.client.responses.retrieve("resp_2"))
    assert site.rows() == []
    assert not site.engine.faults
    await shut(site)


async def test_a_retrieval_after_a_restart_settles(
    door: str, tmp_path: Path, upstream: Upstream, provider: Background
) -> None:
    """The pending row is found in the file; what was learned at the start is not learned twice."""
    with opened(door, tmp_path, upstream) as before:
        await now(before.client.responses.create(**ASK))
        await shut(before)
    provider.ends("completed")
    with opened(door, tmp_path, upstream) as after:
        assert one(after).pending
        await now(after.client.responses.retrieve("resp_1"))
        row = one(after)
        assert (row.pending, row.output_tokens) == (False, 40)
        assert after.engine.core.evidence.gate(row.agent, row.task_type, MODEL).support == 1
        await shut(after)


async def test_another_instance_may_retrieve(
    door: str, tmp_path: Path, upstream: Upstream, provider: Background
) -> None:
    """Whoever gets the answer settles it, and the instance that asked for it learns of it."""
    with opened(door, tmp_path, upstream) as asking, opened(door, tmp_path, upstream) as other:
        await now(asking.client.responses.create(**ASK))
        assert one(asking).pending
        provider.ends("completed")
        await now(other.client.responses.retrieve("resp_1"))
        row = one(other)
        assert (row.pending, row.output_tokens, row.instance) == (
            False, 40, other.engine.recorder.instance,
        )  # fmt: skip
        gate = asking.engine.core.evidence.gate
        assert soon(lambda: gate(row.agent, row.task_type, MODEL).support == 1)
        await shut(asking)
        await shut(other)


async def test_another_instance_may_retrieve_before_the_row_is_written(
    door: str,
    tmp_path: Path,
    upstream: Upstream,
    provider: Background,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever polls stops at the answer: it waits for the row, and then settles it."""
    with opened(door, tmp_path, upstream) as asking, opened(door, tmp_path, upstream) as other:
        with monkeypatch.context() as late:
            late.setattr(asking.engine.store, "append", _broken)
            await now(asking.client.responses.create(**ASK))
            provider.ends("completed")
            await now(other.client.responses.retrieve("resp_1"))
            assert other.rows() == []
        assert one(asking).pending
        assert soon(lambda: not one(other).pending)
        row = one(asking)
        assert (row.output_tokens, row.instance) == (40, other.engine.recorder.instance)
        await shut(asking)
        await shut(other)


async def test_a_history_that_cannot_be_written_for_a_while_catches_up(
    site: Site, provider: Background, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault of the store neither reaches the caller nor loses the answer."""
    created = await now(site.client.responses.create(**ASK))
    assert one(site).pending
    provider.ends("completed")
    with monkeypatch.context() as while_broken:
        while_broken.setattr(site.engine.store, "settle_late", _broken)
        found = await now(site.client.responses.retrieve(created.id))
        assert found.usage.output_tokens == 40
        assert not site.engine.flush()
    row = one(site)
    assert (row.pending, row.output_tokens) == (False, 40)
    assert site.engine.faults["store"] >= 1
    await shut(site)


async def test_a_fault_of_ours_leaves_the_retrieval_as_it_is(
    site: Site, provider: Background, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is counted; the caller gets the answer, plain or streamed."""
    created = await now(site.client.responses.create(**ASK))
    provider.ends("completed")

    def broken(*_: object) -> None:
        raise RuntimeError("injected")

    monkeypatch.setattr(site.engine.core, "settle_late", broken)
    assert (await now(site.client.responses.retrieve(created.id))).usage.output_tokens == 40
    stream = await now(site.client.responses.retrieve(created.id, stream=True))
    assert len(await items(stream)) == 3
    assert site.engine.faults["settle"] == 2
    assert one(site).pending
    await shut(site)


def test_a_plain_call_that_breaks_off_is_not_pending(tmp_path: Path, upstream: Upstream) -> None:
    """Without `background` nothing goes on when the connection is lost."""
    provider: Any = upstream.answer
    provider.cut = 2
    with opened("wrapper", tmp_path, upstream) as site:
        stream = site.client.responses.create(model=MODEL, input="hello", stream=True)
        with pytest.raises(openai.APIConnectionError):
            list(stream)
        assert (one(site).pending, one(site).exact) == (False, False)


@pytest.mark.parametrize("prefix", ["/v1/responses", "/openai/v1/responses", "/openai/responses"])
def test_azure_s_paths_are_retrieved_too(
    tmp_path: Path, upstream: Upstream, provider: Background, prefix: str
) -> None:
    """Path and query pass, byte for byte, and so does the answer."""
    with opened("proxy", tmp_path, upstream) as site:
        root = str(site.client.base_url).removesuffix("/v1/")
        query = "?api-version=2026-10-01"
        headers = {"api-key": "mine", "x-budget-agent": "a"}
        httpx.post(f"{root}{prefix}{query}", json=ASK, headers=headers)
        assert one(site).pending
        provider.ends("completed")
        reply = httpx.get(f"{root}{prefix}/resp_1{query}", headers=headers)
        row = one(site)
    seen = upstream.seen[-1]
    assert (seen.method, seen.target) == ("GET", f"{prefix}/resp_1{query}")
    assert (seen.header("api-key"), seen.header("x-budget-agent")) == (["mine"], [])
    assert reply.json() == provider.response()
    assert not [name for name in reply.headers if name.startswith("x-budget")]
    assert (row.pending, row.output_tokens, row.agent) == (False, 40, "a")


def _broken(*_: object) -> None:
    raise StoreError("disk full")
