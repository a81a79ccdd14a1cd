"""A recorded call as a row of the history: the one place where the one becomes the other."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from budget_proxy.types import CallRecord

if TYPE_CHECKING:
    from budget_proxy.store.recorded import RecordedCall
    from budget_proxy.types import Body, Call, Characteristics
    from budget_proxy.wire.prices import Prices

API: Final = "import"
_FORM: Final = "openai.chat"  # recordings hold messages in this form
_UNNAMED: Final = "unknown"
_LONGEST_NAME: Final = 200


def imported(
    call: RecordedCall, salt: bytes, prices: Prices, *, source: str, agent: str | None = None
) -> CallRecord:
    """What the history keeps of a recorded call: classified as a live one, and no text of it.

    ``prices`` are for a call that tells no cost; ``source`` names the format; ``agent`` stands in
    for the recording's own. Novelty is left out: it depends on the rows before this one.
    """
    from budget_proxy.classify.characteristics import classify_call
    from budget_proxy.engine import DEFAULT_AGENT
    from budget_proxy.policy.rollout import pseudonym
    from budget_proxy.predict.signals import signals_of

    identifier = identity(call, salt, source)
    seen = _as_call(identifier, call)
    kind = classify_call(seen.messages, None, images=seen.images)
    return replace(
        _row(identifier, call, kind, prices),
        agent=_name(agent or call.agent or DEFAULT_AGENT),
        session=pseudonym(salt, "import", call.session) if call.session else None,
        user=pseudonym(salt, "user", call.user) if call.user else None,
        response_id=pseudonym(salt, "response", call.response) if call.response else None,
        reason=f"imported ({source})",
        signals=signals_of(seen, kind, salt) if call.messages else b"",
    )


def identity(call: RecordedCall, salt: bytes, source: str) -> str:
    """A keyed hash that tells a call: by its id in the source, else by what it was.

    That is its time, model, tokens and prompt.
    """
    import orjson

    from budget_proxy.policy.rollout import keyed_hash

    if call.id is not None:
        parts = source.encode(), call.id.encode()
    else:
        facts = [call.ts, call.model, call.input_tokens, call.output_tokens, call.reasoning_tokens]
        parts = orjson.dumps(facts), orjson.dumps(call.messages)
    return keyed_hash(salt, "import", *parts).hex()


def _as_call(identifier: str, call: RecordedCall) -> Call:
    """The call as ``wire`` would have read it; its messages are forgotten with it."""
    from budget_proxy.wire import DIALECTS, Context

    body: Body = {"model": call.model or _UNNAMED, "messages": list(call.messages), "n": call.n}
    if call.max_tokens:
        body["max_completion_tokens"] = call.max_tokens
    return DIALECTS[_FORM].read(body, Context(identifier, call.ts))


def _row(identifier: str, call: RecordedCall, kind: Characteristics, prices: Prices) -> CallRecord:
    """The row of a recorded call; what contradicts itself counts as absent.

    ``input_chars`` stays 0: recorded messages may be cut, or lack their system prompt, so
    that they do not tell how many characters make a token.
    """
    record = CallRecord(
        ts=call.ts,
        api=API,
        model=_name(call.model or _UNNAMED),
        call_id=identifier,
        task=_name(call.task) if call.task else None,
        tags=tuple(map(_name, call.tags)),
        **kind.columns(),
        n=call.n,
        input_estimate=call.input_tokens,
        input_tokens=call.input_tokens,
        output_tokens=call.output_tokens,
        reasoning_tokens=_within(call.reasoning_tokens, call.output_tokens),
        cache_read_tokens=_within(call.cached_tokens, call.input_tokens),
        cache_write_tokens=_within(call.cache_write_tokens, call.input_tokens),
        exact=call.exact,
        finish_reason="length" if call.truncated else call.finish_reason or "stop",
        truncated=call.truncated,
        ceiling=call.max_tokens or None,
        seconds=call.seconds,
        score=call.quality,
        instance=API,
    )
    if call.cost_usd is not None:
        return replace(record, cost=call.cost_usd, prices="recorded")
    return _priced(record, prices)


def _priced(record: CallRecord, prices: Prices) -> CallRecord:
    """The record with its cost: your own price, or by whichever provider lists such a model.

    Where none does, with what it counts against limits.
    """
    from budget_proxy.wire import DIALECTS

    for api in DIALECTS:
        found = prices.priced(replace(record, api=api))
        if found.cost is not None:
            return replace(found, api=record.api)
    return prices.charged(record)


def _name(text: str) -> str:
    """A name as it stands; what is too long to be one is cut."""
    return text[:_LONGEST_NAME]


def _within(part: int | None, whole: int | None) -> int | None:
    return part if part is None or whole is None or part <= whole else None
