from __future__ import annotations

from budget_proxy.store.recorded import RecordedCall
from tests.exported import FOLDER, read

SUM = "several calls in one sum, whose lengths cannot be told"


def test_buckets_of_the_api() -> None:
    """Only a sum over one call is a call; sums over several are told, and nothing is averaged."""
    calls, told = read(FOLDER / "openai_usage.json", "openai-usage")
    assert calls == [
        (
            1,
            RecordedCall(
                ts=1767225600.0, model="gpt-5-2025-08-07", input_tokens=6100, cached_tokens=4096,
                output_tokens=15500, user="user-1",
            ),
        )
    ]  # fmt: skip
    assert [what for _, what in told.passes] == [
        SUM,
        "a sum without a model: ask for it with group_by=model",
    ]
    assert told.bads == []


def test_the_dashboard_s_table() -> None:
    """Its counts are written as decimals; days without calls are empty."""
    ((line, call),), told = read(FOLDER / "openai_usage.csv", "openai-usage")
    assert line == 3
    assert (call.ts, call.input_tokens, call.output_tokens) == (1767312000.0, 6100, 15500)
    assert told.passes == [(2, SUM), (4, "a time without calls")]


def test_the_older_usage_endpoint() -> None:
    """Five minutes a bucket, by snapshot."""
    ((_, call),), told = read(FOLDER / "openai_usage_legacy.json", "openai-usage")
    assert (call.ts, call.model) == (1699920000.0, "gpt-4-0613")
    assert (call.input_tokens, call.output_tokens) == (300, 45)
    assert [what for _, what in told.passes] == [SUM]
