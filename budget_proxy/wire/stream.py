"""Metering a streamed answer while its bytes pass, whatever the dialect.

What a dialect adds is one function that reads an event into the Tally. A broken event costs
its own numbers, never the relay.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from budget_proxy.types import FinishReason, Outcome, Usage
from budget_proxy.wire.finish import worse
from budget_proxy.wire.sse import Event, Parser
from budget_proxy.wire.usage import estimated

_DONE: Final = b"[DONE]"


@dataclass(slots=True)
class Tally:
    """What was seen of an answer. ``usage`` is the provider's own object, merged.

    ``final`` says that ``usage`` counts the whole answer; ``done`` that the stream said it
    was over; ``pending`` that the provider is still at it; ``characters`` are those of all
    generated text.
    """

    usage: dict[str, Any] | None = None
    final: bool = False
    finish: FinishReason | None = None
    refused: bool = False
    characters: int = 0
    done: bool = False
    pending: bool = False
    response_id: str | None = None
    model: str | None = None
    tier: str | None = None

    def merge(self, usage: Any) -> None:
        """Take a newer usage object; what is null in it leaves the older value."""
        if isinstance(usage, dict) and usage:
            known = {key: item for key, item in usage.items() if item is not None}
            self.usage = {**(self.usage or {}), **known}

    def conclude(
        self,
        extract: Callable[[Any], Usage | None],
        *,
        seconds: float | None,
        ending: FinishReason,
    ) -> Outcome:
        """The outcome; ``ending`` is its finish reason if the provider named none.

        An error that the provider names before anything was generated is certain to cost nothing.
        """
        usage = extract(self.usage)
        exact = self.final and usage is not None and usage.output_tokens is not None
        exact |= self.finish == "error" and usage is None and not self.characters
        finish = self.finish or ending
        if self.refused and finish == "stop":
            finish = "refusal"
        return Outcome(
            usage=usage if exact else estimated(usage, self.characters),
            finish_reason=finish,
            exact=exact,
            seconds=seconds,
            response_id=self.response_id,
            model=self.model,
            tier=self.tier,
            pending=self.pending,
        )

    def ends(self, finish: FinishReason | None) -> None:
        """Note a choice's finish reason."""
        self.finish = worse(self.finish, finish)


def failed(answer: Mapping[str, Any], seconds: float | None) -> Outcome:
    """The outcome of a plain answer that is none; certain if the provider says so itself."""
    return Outcome(finish_reason="error", exact=bool(answer.get("error")), seconds=seconds)


See = Callable[[Tally, Mapping[str, Any], str], bool]
"""Reads one event (its decoded JSON, its name) into the tally; true for an event that holds
nothing but usage."""


class StreamMeter:
    """A Meter over any dialect. Not reusable."""

    def __init__(
        self, see: See, extract: Callable[[Any], Usage | None], *, drop_usage: bool
    ) -> None:
        self._see = see
        self._extract = extract
        self._drop = drop_usage
        self._parser = Parser()
        self._tally = Tally()

    @property
    def done(self) -> bool:
        """Whether the provider said that the answer is over."""
        return self._tally.done

    def feed(self, chunk: bytes) -> bytes:
        """Bytes in, bytes out; the same, unless the usage event is to be dropped."""
        return self._relay(self._parser.feed(chunk), chunk)

    def close(self) -> bytes:
        """The provider's stream ended: what is still held back."""
        return self._relay(self._parser.close(), b"")

    def outcome(self, *, seconds: float | None = None, cancelled: bool = False) -> Outcome:
        """What was seen so far; a stream that broke off unasked ends in an error."""
        whole = self._tally.done or self._tally.final
        ending: FinishReason = "cancelled" if cancelled else "stop" if whole else "error"
        return self._tally.conclude(self._extract, seconds=seconds, ending=ending)

    def _relay(self, events: list[Event], chunk: bytes) -> bytes:
        dropped = [self._take(event) and self._drop for event in events]
        if not self._drop:
            return chunk
        return b"".join(event.raw for event, drop in zip(events, dropped, strict=True) if not drop)

    def _take(self, event: Event) -> bool:
        if event.data == _DONE:
            self._tally.done = True
            return False
        if not event.data:
            return False
        try:
            payload = orjson.loads(event.data)
        except ValueError:
            return False
        return isinstance(payload, dict) and self._see(self._tally, payload, event.name)
