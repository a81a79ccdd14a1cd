"""Claude Code's transcripts: ``~/.claude/projects/**/*.jsonl``, one session or subagent a file.

Anthropic documents no schema; this follows what readers of it agree on: majiayu000/ccstats
(docs/algorithm/authoritative-token-accounting.md), alicoding/claude-parser
(docs/JSONL-STRUCTURE.md) and issues of anthropics/claude-code (13326, 44597).

An answer is written in parts while it streams, one line for each block: the lines share
``message.id``, and the last ``usage`` counts. Where no part has a ``stop_reason``, the counts are
those of the beginning: such an answer is counted, but tells no length. ``input_tokens`` leave out
the cached ones, so they are added up here. A resumed session repeats earlier lines in a new file,
and a subagent's answers may stand in two: the id tells them. What a call was asked is the newest
typed prompt and what tools gave back since the last answer.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from budget_proxy.errors import InvalidInput
from budget_proxy.store.imports import value
from budget_proxy.store.imports.base import Listener
from budget_proxy.store.recorded import RecordedCall, finish_reason
from budget_proxy.store.source import Row

MAIN: Final = "claude-code"
SIDE: Final = "claude-code-subagent"

_OPEN: Final = 32
"""Answers that may still get parts; tools that run side by side mix the lines of few."""

_RESULTS: Final = 8
_LONGEST_TURN: Final = 3600.0
_MARKS: Final = frozenset({"sessionId", "uuid", "leafUuid", "messageId"})
_TYPES: Final = frozenset({"user", "assistant", "summary", "file-history-snapshot", "system"})


class ClaudeCode:
    """Transcripts, line by line."""

    name = "claude-code"

    def recognises(self, row: Row) -> bool:
        """By the type of a line and an id of Claude Code's own."""
        return value.text(row, "type") in _TYPES and not row.keys().isdisjoint(_MARKS)

    def calls(
        self, rows: Iterable[tuple[int, Row]], listener: Listener
    ) -> Iterator[tuple[int, RecordedCall]]:
        """The answers, each with the number of its first line, in the order they began."""
        transcript = _Transcript()
        for number, row in rows:
            try:
                transcript.take(number, row)
            except InvalidInput as error:
                listener.bad(number, error)
            yield from transcript.closed(_OPEN, listener)
        yield from transcript.closed(0, listener)


@dataclass(slots=True)
class _Answer:
    """One answer, as far as its parts have been seen."""

    line: int
    ts: float
    asked: tuple[Row, ...]
    last: float = 0.0
    usage: Row = field(default_factory=dict)
    row: Row = field(default_factory=dict)
    stop: str | None = None
    cost: float | None = None


@dataclass(slots=True)
class _Turn:
    """What a conversation has asked since its last answer, and when."""

    prompt: Row | None = None
    results: list[Row] = field(default_factory=list)
    since: float | None = None
    answer: str = ""

    def asked(self) -> tuple[Row, ...]:
        """As messages."""
        return ((self.prompt,) if self.prompt else ()) + tuple(self.results)


class _Transcript:
    """A transcript under way; ``answers`` by id, oldest first."""

    def __init__(self) -> None:
        self.answers: OrderedDict[str, _Answer] = OrderedDict()
        self._turns: dict[str, _Turn] = {}

    def take(self, number: int, row: Row) -> None:
        """Take a line. Raises InvalidInput where it is an answer without a time or usage."""
        message = row.get("message")
        if not isinstance(message, dict):
            return
        turn = self._turns.setdefault(_chain(row), _Turn())
        if row.get("type") == "user" and not row.get("isMeta"):
            _ask(turn, row, message)
        elif row.get("type") == "assistant" and _is_call(row, message):
            self._answer(number, row, message, turn)

    def closed(self, open_: int, listener: Listener) -> Iterator[tuple[int, RecordedCall]]:
        """The oldest answers, to which nothing can come any more, but for the ``open_`` newest."""
        while len(self.answers) > open_:
            identifier, answer = self.answers.popitem(last=False)
            try:
                call = _call(identifier, answer)
            except InvalidInput as error:
                listener.bad(answer.line, error)
            else:
                yield answer.line, call

    def _answer(self, number: int, row: Row, message: Row, turn: _Turn) -> None:
        written = value.moment(row, "timestamp")
        usage = message.get("usage")
        if written is None or not isinstance(usage, dict):
            raise InvalidInput(f"an answer without {'usage' if written else 'timestamp'}")
        identifier = value.text(message, "id") or value.text(row, "requestId", "uuid") or ""
        answer = self.answers.get(identifier)
        if answer is None:
            began = turn.since
            known = began is not None and 0 <= written - began < _LONGEST_TURN
            answer = _Answer(number, began if known and began else written, turn.asked())
            self.answers[identifier] = answer
        if turn.answer != identifier:
            turn.answer, turn.results = identifier, []
        answer.last, answer.row = max(answer.last, written), row
        answer.stop = value.text(message, "stop_reason") or answer.stop
        answer.usage = usage
        answer.cost = value.money(row, "costUSD") or answer.cost


def _chain(row: Row) -> str:
    """The conversation that a line belongs to: the main one, or a subagent's."""
    session = value.text(row, "sessionId") or ""
    side = value.text(row, "agentId") or ("side" if row.get("isSidechain") else "")
    return f"{session}/{side}" if side else session


def _is_call(row: Row, message: Row) -> bool:
    """Whether a model answered, and not Claude Code itself (an error, an interruption)."""
    return message.get("model") != "<synthetic>" and not row.get("isApiErrorMessage")


def _ask(turn: _Turn, row: Row, message: Row) -> None:
    since = value.moment(row, "timestamp")
    turn.since = since if since is not None else turn.since
    content = message.get("content")
    if isinstance(content, str):
        turn.prompt, turn.results = _message("user", content), []
        return
    for block in content if isinstance(content, list) else ():
        if not isinstance(block, dict):
            continue
        if block.get("type") == "tool_result":
            if len(turn.results) < _RESULTS:
                turn.results.append(_message("tool", _text(block.get("content"))))
        elif block.get("type") == "text":
            turn.prompt, turn.results = _message("user", _text([block])), []


def _message(role: str, text: str) -> Row:
    return {"role": role, "content": text[: value.LONGEST_TEXT]}


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    blocks = content if isinstance(content, list) else ()
    texts = (block.get("text") for block in blocks if isinstance(block, dict))
    return "\n".join(text for text in texts if isinstance(text, str))


def _call(identifier: str, answer: _Answer) -> RecordedCall:
    row, usage = answer.row, answer.usage
    message: Row = row["message"]
    fresh = value.whole(usage, "input_tokens")
    cached = value.whole(usage, "cache_read_input_tokens")
    written = value.whole(usage, "cache_creation_input_tokens")
    return RecordedCall(
        ts=answer.ts,
        model=value.text(message, "model"),
        messages=answer.asked,
        input_tokens=None if fresh is None else fresh + (cached or 0) + (written or 0),
        cached_tokens=cached,
        cache_write_tokens=written,
        output_tokens=value.whole(usage, "output_tokens"),
        finish_reason=finish_reason(answer.stop) if answer.stop else None,
        agent=SIDE if row.get("isSidechain") else MAIN,
        session=_chain(row) or None,
        cost_usd=answer.cost,
        seconds=value.between(answer.ts, answer.last),
        id=identifier or None,
        response=value.text(message, "id"),
        exact=answer.stop is not None,
    )
