from __future__ import annotations

from datetime import UTC, datetime

from budget_proxy.store.recorded import RecordedCall
from tests.exported import FOLDER, read

AT_TEN = datetime(2026, 3, 2, 10, tzinfo=UTC).timestamp()


def test_a_table_of_spend_logs() -> None:
    """Completions are calls with their usage, agent and session; times without a zone are UTC."""
    ((line, first), (_, second)), told = read(FOLDER / "litellm.csv", "litellm")
    assert (line, told.bads) == (2, [])
    assert first == RecordedCall(
        ts=AT_TEN + 5.25, model="gpt-4o", input_tokens=1200, cached_tokens=1024,
        output_tokens=300, reasoning_tokens=0, agent="billing-bot", session="sess-1",
        cost_usd=0.00125, seconds=4.5, user="customer-7", tags=("prod", "invoices"),
        id="chatcmpl-001", response="chatcmpl-001",
    )  # fmt: skip
    assert second.model == "openai/gpt-4o-mini", "a pattern is no model"
    assert second.user == "alice", "without an end user, the key's"


def test_a_price_of_zero_is_an_unknown_one() -> None:
    """LiteLLM books a model whose price it does not know at nothing."""
    (_, (_, second)), _ = read(FOLDER / "litellm.csv", "litellm")
    assert second.output_tokens == 200
    assert second.cost_usd is None


def test_what_is_no_answered_completion_is_passed_over() -> None:
    """Answers from the cache, embeddings and failures, each told as what it is."""
    _, told = read(FOLDER / "litellm.csv", "litellm")
    assert told.passes == [
        (4, "answered from LiteLLM's cache"),
        (5, "call_type aembedding"),
        (6, "a call that failed"),
    ]


def test_rows_that_hold_prompts() -> None:
    """Messages, the cap and why the answer ended are read where the proxy stores them."""
    ((_, first), (_, second)), told = read(FOLDER / "litellm.jsonl", "litellm")
    assert told.bads == told.passes == []
    assert first == RecordedCall(
        ts=AT_TEN, model="claude-sonnet-4-5",
        messages=({"role": "user", "content": "Review this function for Zebulon."},),
        input_tokens=5000, cached_tokens=4000, cache_write_tokens=500, output_tokens=300,
        reasoning_tokens=120, finish_reason="length", max_tokens=300, agent="reviewer",
        session="s-9", cost_usd=0.02, seconds=7.5, id="msg_01A", response="msg_01A",
    )  # fmt: skip
    assert second.ts == AT_TEN
    assert second.messages == ({"role": "user", "content": "Name a river."},)
    assert (second.model, second.n, second.max_tokens) == ("gpt-5.4", 2, 900)
    assert (second.cached_tokens, second.reasoning_tokens) == (64, 10)
