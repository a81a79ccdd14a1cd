"""Making a Call of a transcript: what every dialect fills in the same way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from budget_proxy.types import Call
from budget_proxy.wire import value
from budget_proxy.wire.base import Context
from budget_proxy.wire.path import model_in
from budget_proxy.wire.place import tail_of
from budget_proxy.wire.transcript import Transcript


def call_of(
    api: str,
    body: Mapping[str, Any],
    context: Context,
    transcript: Transcript,
    tools: Sequence[Any],
    *,
    tool_names: tuple[str, ...],
    schema: Any,
    structured: bool,
    starts: bool = True,
    **fields: Any,
) -> Call:
    """The Call; ``structured`` says that the answer's form is prescribed.

    ``schema`` is that form's JSON schema, if it has one: it is billed as input.
    ``starts`` says that nothing but the transcript could hold an earlier turn;
    ``fields`` are those that the dialect spells in its own way.
    """
    return Call(
        id=context.call_id,
        api=api,
        model=value.name(body.get("model")) or model_in(context.path),
        now=context.now,
        host=context.host,
        scope=context.scope,
        override=context.override,
        messages=tuple(transcript.messages),
        tools=tool_names,
        fingerprint=transcript.fingerprint(tools),
        input_chars=transcript.chars + value.size(tools) + value.size(schema),
        images=transcript.images,
        stream=body.get("stream") is True,
        schema=structured,
        schema_fields=value.properties(schema),
        temperature=value.number(body.get("temperature")),
        signed=context.signed,
        tail=tail_of(body.get("messages", body.get("input"))),
        starts=starts and not transcript.answered,
        cache_past_system=transcript.shared and not transcript.answered,
        timeout=context.timeout,
        **fields,
    )
