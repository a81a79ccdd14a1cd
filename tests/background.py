"""A provider that makes responses in the background, and clients that reach it by either door."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import openai
import orjson

from budget_proxy import Engine, wrap
from budget_proxy.proxy.app import create_app
from budget_proxy.types import CallRecord
from tests.proxied import EVENTS, Answer, Seen, Upstream, events, served

MODEL = "gpt-5.4"
DOORS = ("proxy", "wrapper", "async wrapper")
TEXT = "word " * 8


@dataclass
class Background:
    """Answers by what became of the response by now: ``status`` and ``facts`` tell.

    A stream has ``pause`` seconds between its events, and is cut after ``cut`` of them, if set.
    """

    status: str = "queued"
    facts: dict[str, Any] = field(default_factory=dict)
    cut: int | None = None
    pause: float = 0.0

    def ends(self, status: str, tokens: int | None = 40, **facts: Any) -> None:
        """The response has ended like this, with that many output tokens."""
        usage = None
        if tokens is not None:
            usage = {
                "input_tokens": 9, "output_tokens": tokens, "total_tokens": 9 + tokens,
                "input_tokens_details": {"cached_tokens": 0},
                "output_tokens_details": {"reasoning_tokens": 5},
            }  # fmt: skip
        self.status, self.facts = status, {"usage": usage, **facts}

    def __call__(self, seen: Seen) -> Answer:
        """What the provider answers."""
        path, _, query = seen.target.partition("?")
        if path.endswith("/cancel"):
            self.status = "cancelled"
        elif "/responses/resp_" in path and "resp_1" not in path:
            return Answer(status=404, parts=[b'{"error": {"message": "no such response"}}'])
        asked = seen.json if seen.method == "POST" and seen.body else {}
        if not (asked.get("stream") or "stream=true" in query):
            return Answer(parts=[orjson.dumps(self.response())])
        told = events(*self._events(query), named=True)
        if self.cut is None:
            return Answer(headers=EVENTS, parts=told, pause=self.pause)
        return Answer(headers=EVENTS, parts=told[: self.cut], cut=True)

    def response(self, **facts: Any) -> dict[str, Any]:
        """The response object as it is now."""
        return {
            "id": "resp_1", "object": "response", "created_at": 1, "model": MODEL,
            "status": self.status, "background": True, "parallel_tool_calls": True,
            "tool_choice": "auto", "tools": [], "output": [], "usage": None,
            **self.facts, **facts,
        }  # fmt: skip

    def _events(self, query: str) -> list[dict[str, Any]]:
        place = {"item_id": "m", "output_index": 0, "content_index": 0, "logprobs": []}
        begun = self.response(status="in_progress", usage=None)
        told: list[dict[str, Any]] = [
            {"type": "response.created", "response": begun},
            {"type": "response.output_text.delta", "delta": TEXT, **place},
            {"type": f"response.{self.status}", "response": self.response()},
        ]
        numbered = [{**event, "sequence_number": n} for n, event in enumerate(told)]
        after = parse_qs(query).get("starting_after")
        return numbered[int(after[0]) + 1 :] if after else numbered


@dataclass(frozen=True)
class Site:
    """One process's worth of a door: its engine, and the SDK's client before it."""

    engine: Engine
    client: Any

    def rows(self) -> list[CallRecord]:
        """The history, oldest first."""
        assert self.engine.flush()
        return list(self.engine.store.calls())


@contextmanager
def opened(door: str, folder: Path, upstream: Upstream, **settings: Any) -> Iterator[Site]:
    """A door on the history of ``folder``, before an upstream."""
    values: dict[str, Any] = {"openai_base_url": upstream.url, "holdout": 0.0, **settings}
    facts: dict[str, Any] = {"api_key": "sk-callers", "max_retries": 0}
    with ExitStack() as stack:
        url = f"sqlite:///{folder / 'history.db'}"
        engine = stack.enter_context(Engine.open(url, **values))
        if door == "proxy":
            address = stack.enter_context(served(create_app(engine)))
            client: Any = openai.OpenAI(base_url=f"{address}/v1", **facts)
            stack.callback(client.close)
        else:
            kind: Any = openai.OpenAI if door == "wrapper" else openai.AsyncOpenAI
            client = wrap(kind(base_url=f"{upstream.url}/v1", **facts), engine=engine)
        yield Site(engine, client)
        if door == "wrapper":
            client.close()
