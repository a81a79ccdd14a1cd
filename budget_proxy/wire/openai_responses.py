"""OpenAI Responses: items in, items out, and usage always in the terminal event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from budget_proxy.types import Body, Call, Capabilities, FinishReason, Outcome, Patch, Usage
from budget_proxy.wire import cap, place, value
from budget_proxy.wire.base import Context, Meter, Written
from budget_proxy.wire.effort import may_write_effort
from budget_proxy.wire.models import is_openai_host
from budget_proxy.wire.openai_error import openai_error
from budget_proxy.wire.reading import call_of
from budget_proxy.wire.rejection import mention, named
from budget_proxy.wire.stream import StreamMeter, Tally, failed
from budget_proxy.wire.transcript import Transcript, role_of
from budget_proxy.wire.usage import Shape, extract
from budget_proxy.wire.writing import begin, note

_CAP: Final = "max_output_tokens"
_FLOOR: Final = 16
_SHAPE: Final = Shape("openai", "responses", "input_tokens", "output_tokens")
_CLIENT_TOOLS: Final = frozenset(
    {
        "function", "custom", "namespace", "local_shell", "apply_patch", "computer",
        "computer_use_preview", "tool_search",
    }
)  # fmt: skip
_SIDE_EFFECTS: Final = ("conversation", "background", "prompt")
_UNFINISHED: Final = frozenset({"queued", "in_progress"})
_TERMINAL: Final = frozenset(
    {"response.completed", "response.incomplete", "response.failed", "response.cancelled"}
)
_MENTIONS: Final = (
    mention(r"max_(?:output_)?tokens", _CAP),
    mention(r"reasoning\.effort|\breasoning_effort|'reasoning'|^reasoning\b", "reasoning"),
    mention(r"\binstructions\b", "instructions"),
)
_PLACES: Final = mention(r"\binput\[\d+\]", "input")


class OpenAIResponses:
    """``POST /v1/responses``."""

    api: str = "openai.responses"
    provider: str = "openai"

    def read(self, body: Body, context: Context) -> Call:
        """A Call from a body; never raises."""
        tools = value.items(body.get("tools"))
        transcript = _transcript(body)
        reasoning = value.mapping(body.get("reasoning"))
        text_format = value.mapping(value.mapping(body.get("text")).get("format"))
        conversation = body.get("conversation")
        previous = value.name(body.get("previous_response_id"))
        prewarm = bool(value.mapping(body.get("prompt_cache_options")).get("prewarm"))
        return call_of(
            self.api,
            body,
            context,
            transcript,
            tools,
            schema=text_format.get("schema"),
            starts=not (conversation or previous),
            tool_names=tuple(filter(None, map(_tool_name, tools))),
            ceiling=cap.ceiling(body, (_CAP,)),
            effort=value.name(reasoning.get("effort")),
            structured=value.name(text_format.get("type")) not in {None, "text"},
            forced_tool=_forced(body.get("tool_choice")),
            resendable=not any(body.get(key) for key in _SIDE_EFFECTS)
            and all(map(_runs_at_client, tools)),
            cappable=not (prewarm or context.signed),
            usage_asked=True,
            conversation=value.name(conversation)
            or value.name(value.mapping(conversation).get("id")),
            previous_response=previous,
            cache_key=value.name(body.get("prompt_cache_key")),
            background=body.get("background") is True,
            tier=value.name(body.get("service_tier")),
        )

    def write(
        self, body: Mapping[str, Any], call: Call, patch: Patch, capabilities: Capabilities
    ) -> Written:
        """A copy of the body with the patch written in."""
        out, patch, added = begin(body, call, patch)
        floor = _FLOOR if is_openai_host(call.host) else 1
        most = cap.allowed(call, patch, capabilities, floor)
        capped = cap.lower(out, (_CAP,), _CAP, most)
        steered = []
        reasoning = out.get("reasoning")
        if may_write_effort(body, call, patch, capabilities) and (
            reasoning is None or isinstance(reasoning, dict)
        ):
            out["reasoning"] = {**(reasoning or {}), "effort": patch.effort}
            steered = ["reasoning"]
        noted = note(out, patch, "input", "input_text")
        guided = _guide(out, patch)
        return Written(
            out,
            (*added, *capped, *steered, *guided, *(["input"] if noted else [])),
            Patch(
                cap=most if capped else None,
                effort=patch.effort if steered else None,
                guidance=patch.guidance if guided else None,
                model=patch.model,
                notes=noted,
            ),
        )

    def read_outcome(self, payload: Any, *, seconds: float | None = None) -> Outcome:
        """The outcome of a plain answer, also of one still queued (no usage then)."""
        answer = value.mapping(payload)
        if answer.get("status") is None and answer.get("usage") is None:
            return failed(answer, seconds)
        tally = Tally()
        _see_response(tally, answer)
        tally.final = tally.usage is not None
        tally.characters = sum(map(_characters, value.items(answer.get("output"))))
        return tally.conclude(_usage, seconds=seconds, ending="stop")

    def rejected(self, payload: Any, added: tuple[str, ...]) -> str | None:
        """The parameter of ours that a 400 names."""
        return named(payload, _MENTIONS, added, _PLACES)

    def without(self, patch: Patch, rejected: str) -> Patch:
        """The patch without what that parameter carries."""
        if rejected == _CAP:
            return replace(patch, cap=None)
        if rejected == "reasoning":
            return replace(patch, effort=None)
        if rejected in {"instructions", "input"}:
            return replace(patch, guidance=None, notes=())
        return patch

    def meter(self, *, drop_usage: bool) -> Meter:  # noqa: ARG002 (usage is the provider's own here)
        """A fresh meter; there is never a usage event of ours to drop."""
        return StreamMeter(_see, _usage, drop_usage=False)

    def error(self, status: int, message: str, code: str) -> tuple[int, Body]:
        """An error in OpenAI's shape."""
        return openai_error(status, message, code)


def _transcript(body: Mapping[str, Any]) -> Transcript:
    transcript = Transcript()
    instructions = value.name(body.get("instructions"))
    if instructions:
        transcript.add("system", instructions)
    given = body.get("input")
    if isinstance(given, str):
        transcript.add("user", given)
    for item in value.items(given):
        if isinstance(item, dict):
            _read_item(item, transcript)
    return transcript


def _read_item(item: Mapping[str, Any], transcript: Transcript) -> None:
    kind = value.text(item.get("type"))
    if isinstance(item.get("role"), str):
        transcript.add(role_of(item), item.get("content"))
    elif kind.endswith("_output"):
        output = item.get("output")
        whole = output if isinstance(output, str | list) else None
        transcript.add("tool", whole, hidden=0 if whole else value.size(output))
    elif kind.endswith("_call"):
        arguments = item.get("arguments") or item.get("input") or item.get("action")
        transcript.add("assistant", None, tool_calls=1, hidden=value.size(arguments))
    else:  # reasoning, references, compactions: the traces of earlier turns
        transcript.add("assistant", item.get("summary"))


def _tool_name(tool: Any) -> str | None:
    known = value.mapping(tool)
    return value.name(known.get("name") or known.get("type"))


def _runs_at_client(tool: Any) -> bool:
    known = value.mapping(tool)
    kind = value.text(known.get("type"))
    if kind == "shell":
        return value.mapping(known.get("environment")).get("type") == "local"
    return not kind or kind in _CLIENT_TOOLS


def _forced(choice: Any) -> bool:
    if isinstance(choice, dict):
        return choice.get("type") != "allowed_tools" or choice.get("mode") == "required"
    return bool(choice == "required")


def _guide(out: Body, patch: Patch) -> list[str]:
    aim = patch.guidance
    if aim is None:
        return []
    key = "instructions" if aim.place == "system" else "input"
    given = out.get(key)
    written: Any = None
    if key == "instructions":
        # A prompt template may have instructions of its own, which ours must not stand in for.
        unknown = isinstance(given, list) or (not given and out.get("prompt") is not None)
        written = None if unknown else place.extended(given, aim.text)
    elif isinstance(given, str):
        written = place.extended(given, aim.text) if aim.index == 0 else None
    else:
        written = place.in_user_turn(given, aim.index, aim.text, "input_text")
    if written is None:
        return []
    out[key] = written
    return [key]


def _usage(raw: Any) -> Usage | None:
    return extract(raw, _SHAPE)


def _see(tally: Tally, event: Mapping[str, Any], name: str) -> bool:
    kind = value.text(event.get("type")) or name
    if kind == "error" or event.get("error"):
        tally.finish = "error"
    elif kind.endswith(".delta") and "audio" not in kind:
        tally.characters += len(value.text(event.get("delta")))
        tally.refused |= "refusal" in kind
    else:
        response = value.mapping(event.get("response"))
        if response:
            _see_response(tally, response)
        if kind in _TERMINAL:
            tally.done = True
            tally.final = tally.usage is not None
    return False


def _see_response(tally: Tally, response: Mapping[str, Any]) -> None:
    tally.response_id = value.name(response.get("id")) or tally.response_id
    tally.model = value.name(response.get("model")) or tally.model
    tally.tier = value.name(response.get("service_tier")) or tally.tier
    tally.merge(response.get("usage"))
    tally.pending = value.text(response.get("status")) in _UNFINISHED
    tally.ends(_finish(response))
    for item in value.items(response.get("output")):
        for part in value.items(value.mapping(item).get("content")):
            tally.refused |= value.mapping(part).get("type") == "refusal"


def _finish(response: Mapping[str, Any]) -> FinishReason | None:
    status = response.get("status")
    if status == "completed":
        kinds = (value.mapping(item).get("type") for item in value.items(response.get("output")))
        called = any(kind in ("function_call", "custom_tool_call") for kind in kinds)
        return "tool_calls" if called else "stop"
    if status == "incomplete":
        reason = value.mapping(response.get("incomplete_details")).get("reason")
        return "content_filter" if reason == "content_filter" else "length"
    if status == "failed":
        return "error"
    return "cancelled" if status == "cancelled" else None


def _characters(item: Any) -> int:
    known = value.mapping(item)
    texts = [known.get("arguments"), known.get("input")]
    for part in value.items(known.get("content")):
        texts += [value.mapping(part).get(key) for key in ("text", "refusal")]
    return sum(len(value.text(text)) for text in texts)
