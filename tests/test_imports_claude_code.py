from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from budget_proxy.store.recorded import RecordedCall
from tests.exported import FOLDER, read

AT_TEN = datetime(2026, 9, 1, 10, tzinfo=UTC).timestamp()
TRANSCRIPT = FOLDER / "claude_code.jsonl"


def answer(identifier: str, **more: Any) -> dict[str, Any]:
    """A line of an answer that ended."""
    message = {
        "id": identifier, "role": "assistant", "model": "claude-sonnet-4-5", "content": [],
        "stop_reason": "end_turn", "usage": {"input_tokens": 1, "output_tokens": 9}, **more,
    }  # fmt: skip
    return {
        "type": "assistant", "sessionId": "s", "uuid": f"u-{identifier}", "message": message,
        "timestamp": "2026-09-01T10:00:00Z",
    }  # fmt: skip


def write(path: Path, *rows: dict[str, Any]) -> Path:
    """A transcript of these lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_the_parts_of_an_answer_are_one_call() -> None:
    """The last usage counts, and input is what was fresh, written to and read from the cache."""
    ((line, first), *_), told = read(TRANSCRIPT, "claude-code")
    assert line == 4
    assert first == RecordedCall(
        ts=AT_TEN, model="claude-sonnet-4-5",
        messages=({"role": "user", "content": "Fix the login bug of Zebulon."},),
        input_tokens=11004, cached_tokens=9000, cache_write_tokens=2000, output_tokens=350,
        finish_reason="tool_calls", agent="claude-code", session="sess-1", seconds=6.0,
        id="msg_1", response="msg_1",
    )  # fmt: skip
    assert (told.bads, told.passes) == ([], [])


def test_a_subagent_is_an_agent_and_a_session_of_its_own() -> None:
    """Its prompt is what it was sent out with."""
    (_, (_, side), _), _ = read(TRANSCRIPT, "claude-code")
    assert (side.agent, side.session) == ("claude-code-subagent", "sess-1/ab12")
    assert side.messages == ({"role": "user", "content": "Search for callers of login."},)
    assert (side.output_tokens, side.finish_reason, side.exact) == (60, "stop", True)


def test_an_answer_whose_end_is_missing_tells_no_length() -> None:
    """Without a stop reason the count is that of the answer's beginning."""
    (_, _, (_, cut)), _ = read(TRANSCRIPT, "claude-code")
    assert (cut.output_tokens, cut.exact) == (2, False)


def test_what_tools_gave_back_is_part_of_the_next_question() -> None:
    """The typed prompt and the results since the last answer, not what Claude Code added."""
    (_, _, (_, third)), _ = read(TRANSCRIPT, "claude-code")
    assert [message["role"] for message in third.messages] == ["user", "tool", "tool"]
    assert third.messages[2]["content"] == "def auth(): ..."


def test_what_claude_code_says_itself_is_no_call(tmp_path: Path) -> None:
    """Errors of the API and interruptions stand in the transcript as answers of no model."""
    calls, _ = read(TRANSCRIPT, "claude-code")
    assert [call.id for _, call in calls] == ["msg_1", "msg_2", "msg_3"]
    path = write(tmp_path / "t.jsonl", answer("a", model="<synthetic>"), answer("b"))
    assert [call.id for _, call in read(path, "claude-code")[0]] == ["b"]


def test_many_answers_are_all_read_and_bad_ones_told(tmp_path: Path) -> None:
    """In the order they began, with the line of each that has no usage or an impossible one."""
    rows = [answer(f"m{number}") for number in range(100)]
    rows[40] = answer("bad", usage=None)
    rows[50] = answer("odd", usage={"output_tokens": -4})
    calls, told = read(write(tmp_path / "t.jsonl", *rows), "claude-code")
    wanted = [f"m{number}" for number in range(100) if number not in {40, 50}]
    assert [call.id for _, call in calls] == wanted
    assert [number for number, _ in told.bads] == [41, 51]
    assert "output_tokens must be a whole number" in told.bads[1][1]


def test_a_transcript_without_answers(tmp_path: Path) -> None:
    """A session that was opened and left."""
    rows = [{"type": "summary", "summary": "x", "leafUuid": "l"}]
    assert read(write(tmp_path / "t.jsonl", *rows), "claude-code")[0] == []
