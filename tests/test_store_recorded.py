from __future__ import annotations

import gzip
import json
import logging
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from budget_proxy.errors import InvalidInput
from budget_proxy.store.recorded import RecordedCall, finish_reason, read_recorded
from budget_proxy.types import FinishReason

Bad = list[tuple[int, str]]


def write(path: Path, *rows: object, packed: bool = False) -> Path:
    """Write a recording: objects as JSON, texts as they are."""
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    data = "".join(f"{line}\n" for line in lines).encode()
    path.write_bytes(gzip.compress(data) if packed else data)
    return path


def read(path: Path) -> tuple[list[tuple[int, RecordedCall]], Bad]:
    """Read all, and what was bad."""
    bad: Bad = []
    return list(read_recorded(path, on_bad=lambda line, why: bad.append((line, why)))), bad


FULL: dict[str, Any] = {
    "ts": 1786020170.904, "model": "m", "messages": [{"role": "user", "content": ["as", "is"]}],
    "agent": "a", "task": "smoke", "session": "s", "step": 3, "input_tokens": 7365,
    "cached_tokens": 7000, "output_tokens": 71, "reasoning_tokens": 18, "max_tokens": 4096,
    "finish_reason": "tool-calls", "cost_usd": 0.0125, "quality": 1, "prompt_id": "3b6d",
    "unheard_of": {"x": 1},
}  # fmt: skip


@pytest.mark.parametrize("packed", [False, True])
def test_every_field_is_read(tmp_path: Path, packed: bool) -> None:
    """A line becomes a value with all its fields, plain or gzip, whatever the file is called."""
    rows, bad = read(write(tmp_path / "calls.dat", FULL, packed=packed))
    expected = RecordedCall(
        ts=1786020170.904, model="m", messages=({"role": "user", "content": ["as", "is"]},),
        agent="a", task="smoke", session="s", step=3, input_tokens=7365, cached_tokens=7000,
        output_tokens=71, reasoning_tokens=18, max_tokens=4096, finish_reason="tool_calls",
        cost_usd=0.0125, quality=1.0, prompt_id="3b6d",
    )  # fmt: skip
    assert rows == [(0, expected)]
    assert bad == []


def test_what_is_not_said_is_unknown(tmp_path: Path) -> None:
    """Only the time is needed; a null is the same as nothing; a service stands for an agent."""
    rows, bad = read(
        write(tmp_path / "x.jsonl", {"ts": 1}, {"ts": 2, "model": None, "service": "conv"})
    )
    assert rows == [(0, RecordedCall(ts=1.0)), (1, RecordedCall(ts=2.0, agent="conv"))]
    assert bad == []


def test_a_row_without_a_length_is_told_apart(tmp_path: Path) -> None:
    """A row that does not say how long its answer was is handed on, flagged; zero is a length."""
    rows, _ = read(write(tmp_path / "x", {"ts": 1}, {"ts": 2, "output_tokens": 0}))
    assert [call.has_length for _, call in rows] == [False, True]


@pytest.mark.parametrize(
    ("given_", "cut"),
    [
        ({"output_tokens": 99, "max_tokens": 100, "finish_reason": "stop"}, False),
        ({"output_tokens": 100, "max_tokens": 100, "finish_reason": "stop"}, True),
        ({"output_tokens": 101, "max_tokens": 100}, True),
        ({"output_tokens": 50, "max_tokens": 100, "finish_reason": "MAX_TOKENS"}, True),
        ({"output_tokens": 50}, False),
        ({"max_tokens": 100}, False),
    ],
)
def test_an_answer_at_its_cap_is_truncated(
    tmp_path: Path, given_: dict[str, Any], cut: bool
) -> None:  # fmt: skip
    """A length at the cap is a lower bound, whatever the status says."""
    ((_, call),), _ = read(write(tmp_path / "x", {"ts": 1, **given_}))
    assert call.truncated is cut


@pytest.mark.parametrize(
    ("spelling", "reason"),
    [
        ("STOP", "stop"),
        ("end_turn", "stop"),
        ("tool-calls", "tool_calls"),
        ("tool_use", "tool_calls"),
        ("MAX_TOKENS", "length"),
        (" length ", "length"),
        ("SAFETY", "content_filter"),
        ("content-filter", "content_filter"),
        ("refusal", "refusal"),
        ("canceled", "cancelled"),
        ("error", "error"),
        ("who knows", None),
    ],
)
def test_spellings_of_an_end(spelling: str, reason: FinishReason | None) -> None:
    """Sources spell the same end in several ways; an unknown one counts as absent."""
    assert finish_reason(spelling) == reason


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "no valid JSON"),
        ("[1]", "a JSON object is needed, not a list"),
        ("null", "not null"),
        ("{}", "ts (Unix seconds) is missing"),
        ('{"ts": "now"}', "ts must be a number, not a text"),
        ('{"ts": true}', "ts must be a number, not true or false"),
        ('{"ts": 1, "output_tokens": -1}', "output_tokens must be a whole number >= 0, not -1"),
        ('{"ts": 1, "output_tokens": 1.5}', "output_tokens must be a whole number >= 0, not 1.5"),
        ('{"ts": 1, "output_tokens": "9"}', "output_tokens must be a number, not a text"),
        ('{"ts": 1, "messages": "hi"}', "messages must be a list of objects, not a text"),
        ('{"ts": 1, "messages": ["hi"]}', "messages must be a list of objects"),
        ('{"ts": 1, "model": {}}', "model must be a text, not an object"),
        ('{"ts": NaN}', "no valid JSON"),
    ],
)
def test_a_malformed_line_is_reported_with_its_number(tmp_path: Path, line: str, why: str) -> None:
    """It is left out, its number (as editors count) and the reason told; its row number is kept."""
    rows, bad = read(write(tmp_path / "x", {"ts": 1}, "", line, {"ts": 3}))
    assert [(row, call.ts) for row, call in rows] == [(0, 1.0), (2, 3.0)]
    assert len(bad) == 1
    assert bad[0][0] == 3
    assert why in bad[0][1]


def test_without_a_listener_malformed_lines_are_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody who forgets to listen loses lines in silence."""
    with caplog.at_level(logging.WARNING, logger="budget_proxy"):
        assert list(read_recorded(write(tmp_path / "x", "{"))) == []
    assert "line 1" in caplog.text


def test_a_byte_order_mark_is_no_content(tmp_path: Path) -> None:
    """Files from Windows tools begin with one."""
    path = tmp_path / "x"
    path.write_bytes(b'\xef\xbb\xbf{"ts": 1}\r\n{"ts": 2}')
    rows, bad = read(path)
    assert [call.ts for _, call in rows] == [1.0, 2.0]
    assert bad == []


def test_a_file_that_is_not_there_is_a_clear_error(tmp_path: Path) -> None:
    """The error names the file."""
    with pytest.raises(InvalidInput, match=r"nope\.jsonl cannot be read: No such file"):
        list(read_recorded(tmp_path / "nope.jsonl"))


def test_a_file_that_breaks_off_says_where(tmp_path: Path) -> None:
    """What came before the break is read; the rest is not lost in silence."""
    lines = [{"ts": n, "task": f"{n * 7919 % 104729:x}" * 20} for n in range(5000)]
    path = write(tmp_path / "x.gz", *lines, packed=True)
    path.write_bytes(path.read_bytes()[:-2000])
    rows = []
    with pytest.raises(InvalidInput, match="breaks off after line") as caught:  # noqa: PT012 (counts what came before)
        for row, _ in read_recorded(path):
            rows.append(row)
    assert 1000 < len(rows) < 5000
    assert f"after line {len(rows)}:" in str(caught.value)


def test_a_recording_is_streamed(tmp_path: Path) -> None:
    """The first call comes before the rest of the file has been looked at."""
    path = write(tmp_path / "x", {"ts": 1}, *["{"] * 10)
    bad: Bad = []
    calls = read_recorded(path, on_bad=lambda *told: bad.append(told))
    assert next(calls)[1].ts == 1.0
    assert bad == []
    assert list(calls) == []
    assert len(bad) == 10


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@settings(max_examples=50)
@given(
    st.lists(st.dictionaries(st.sampled_from(sorted(FULL)), json_values) | json_values, max_size=8)
)
def test_every_line_is_either_read_or_reported(
    tmp_path_factory: pytest.TempPathFactory, values: list[Any]
) -> None:
    """Whatever stands in the lines, none raises and none is lost."""
    path = write(tmp_path_factory.mktemp("any") / "x", *(json.dumps(value) for value in values))
    rows, bad = read(path)
    assert len(rows) + len(bad) == len(values)
    assert sorted([row for row, _ in rows] + [line - 1 for line, _ in bad]) == list(
        range(len(values))
    )
    assert all(isinstance(call.ts, float) for _, call in rows)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "count", "truncated"),
    [
        ("chat", 9468, 32),
        ("reasoning", 2348, 11),
        ("agent_steps", 9675, 0),
        ("coding_agent_steps", 2645, 0),
        ("load_trace", 28185, 0),
    ],
)
def test_the_recorded_files_are_read_completely(
    recorded: Path, name: str, count: int, truncated: int
) -> None:
    """Every line of the published recordings is a call with a length, known ends among them."""
    rows, bad = read(recorded / f"{name}.jsonl.gz")
    assert (len(rows), bad) == (count, [])
    assert all(call.has_length for _, call in rows)
    assert sum(call.truncated for _, call in rows) == truncated
