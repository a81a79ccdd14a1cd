from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from budget_proxy.store.recorded import RecordedCall
from tests.exported import FOLDER, read

AT_NINE = datetime(2026, 4, 1, 9, tzinfo=UTC).timestamp()
BLOB = FOLDER / "langfuse_observations_v2.jsonl"


def test_a_blob_storage_export() -> None:
    """Usage in parts that exclude each other is added up: cached within input, reasoning within."""
    ((_, first), *_), told = read(BLOB, "langfuse")
    assert told.bads == []
    assert first == RecordedCall(
        ts=AT_NINE, model="gpt-5.4",
        messages=(
            {"role": "system", "content": "You are Zebulon."},
            {"role": "user", "content": "Summarise the report."},
        ),
        input_tokens=1000, cached_tokens=800, output_tokens=300, reasoning_tokens=210,
        max_tokens=4000, agent="report-writer", session="sess-4", user="u-3",
        tags=("nightly",), cost_usd=0.004, seconds=4.5, id="obs-1",
    )  # fmt: skip


def test_usage_that_a_client_sent_itself() -> None:
    """The total tells that the parts lie within the sums; a trace stands for a session."""
    (_, (_, own), _), _ = read(BLOB, "langfuse")
    assert (own.input_tokens, own.output_tokens) == (1000, 300)
    assert (own.cached_tokens, own.reasoning_tokens) == (800, 210)
    assert own.messages == ({"role": "user", "content": "Name a river."},)
    assert (own.agent, own.session, own.user, own.cost_usd) == ("own-client", "tr-1", None, None)


def test_other_observations_and_failures_are_passed_over() -> None:
    """Only generations are calls; one without usage is one all the same."""
    calls, told = read(BLOB, "langfuse")
    assert told.passes == [(3, "type SPAN"), (4, "a call that failed")]
    assert calls[2][1].output_tokens is None


def test_an_answer_of_the_api() -> None:
    """One JSON object with ``data``, over several lines; the older ``usage`` is read too."""
    ((item, first), (_, older)), told = read(FOLDER / "langfuse_api.json", "langfuse")
    assert item == 1
    assert (first.input_tokens, first.cached_tokens, first.cache_write_tokens) == (3450, 3000, 400)
    assert (first.output_tokens, first.max_tokens, first.truncated) == (1024, 1024, True)
    assert first.messages == ({"role": "user", "content": "Fix the login bug."},)
    assert (older.input_tokens, older.output_tokens) == (10, 20)
    assert [what for _, what in told.passes] == ["type EVENT", "usage in characters, not tokens"]


def test_a_table() -> None:
    """Objects are JSON within cells, which may hold line breaks."""
    ((_, call),), told = read(FOLDER / "langfuse.csv", "langfuse")
    assert (call.input_tokens, call.output_tokens, call.max_tokens) == (120, 80, 500)
    assert call.messages == ({"role": "user", "content": "One line, and a comma"},)
    assert (call.agent, call.session, call.seconds) == ("support", "sess-x", 3.0)
    assert [what for _, what in told.passes] == ["type SPAN"]


@pytest.mark.parametrize(
    ("usage", "input_tokens", "output_tokens"),
    [
        ({"input": 5, "output": 7}, 5, 7),
        ({"input": 5, "output": 7, "output_reasoning_tokens": 3}, 5, 10),
        ({"input": 5, "output": 7, "output_reasoning_tokens": 3, "total": 12}, 5, 7),
        ({"input": 5, "input_cached_tokens": 4, "output": 7, "reasoning": 3, "total": 16}, 9, 7),
        ({"input_tokens": 5, "output_tokens": 7, "total_tokens": 12}, 5, 7),
        ({"output": 7}, None, 7),
        ({"input": 5, "output": 7, "total": 99}, 5, 7),
    ],
)
def test_parts_of_usage(
    tmp_path: Path, usage: dict[str, Any], input_tokens: int | None, output_tokens: int
) -> None:  # fmt: skip
    """Parts exclude each other, as Langfuse keeps them, unless the total says otherwise."""
    row = {
        "id": "o", "traceId": "t", "type": "GENERATION", "startTime": "2026-04-01T09:00:00Z",
        "usageDetails": usage,
    }  # fmt: skip
    path = tmp_path / "export.json"
    path.write_text(json.dumps([row]))
    ((_, call),), _ = read(path, "langfuse")
    assert (call.input_tokens, call.output_tokens) == (input_tokens, output_tokens)
