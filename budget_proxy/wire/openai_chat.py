"""OpenAI chat completions, and the many servers that speak the same dialect."""

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

_CAPS: Final = ("max_completion_tokens", "max_tokens")
_FLOOR: Final = 16
_SHAPE: Final = Shape("openai", "chat", "prompt_tokens", "completion_tokens")
_CLIENT_TOOLS: Final = frozenset({"function", "custom"})
_FINISH: Final[Mapping[str, FinishReason]] = {
    "stop": "stop",
    "length": "length",
    "max_tokens": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}
_MENTIONS: Final = (
    mention(r"max_(?:completion_)?tokens", *_CAPS),
    mention(r"stream_options|include_usage", "stream_options"),
    mention(r"reasoning[_.]effort", "reasoning_effort"),
    mention(r"system (?:role|message|prompt)|role[^\n]{0,40}\bsystem\b", "messages"),
)
_PLACES: Final = mention(r"\bmessages\[\d+\]|invalid type: sequence", "messages")


class OpenAIChat:
    """``POST /v1/chat/completions``."""

    api: str = "openai.chat"
    provider: str = "openai"

    def read(self, body: Body, context: Context) -> Call:
        """A Call from a body; never raises."""
        tools = [*value.items(body.get("tools")), *value.items(body.get("functions"))]
        transcript = Transcript()
        for message in value.items(body.get("messages")):
            if isinstance(message, dict):
                _read_message(message, transcript)
        response_format = value.mapping(body.get("response_format"))
        thinking = value.mapping(body.get("thinking"))
        prediction = bool(body.get("prediction"))
        prewarm = bool(value.mapping(body.get("prompt_cache_options")).get("prewarm"))
        return call_of(
            self.api,
            body,
            context,
            transcript,
            tools,
            schema=response_format.get("json_schema"),
            tool_names=tuple(filter(None, map(_tool_name, tools))),
            n=value.count(body.get("n")) or 1,
            ceiling=cap.ceiling(body, _CAPS),
            effort=value.name(body.get("reasoning_effort"))
            or value.name(value.mapping(body.get("reasoning")).get("effort")),
            thinking=value.name(thinking.get("type")),
            thinking_budget=value.count(thinking.get("budget_tokens")),
            structured=value.name(response_format.get("type")) not in {None, "text"},
            forced_tool=_forced(body),
            resendable=not (prediction or body.get("web_search_options"))
            and all(map(_runs_at_client, tools)),
            cappable=not (prediction or prewarm or context.signed),
            usage_asked=bool(value.mapping(body.get("stream_options")).get("include_usage")),
            cache_key=value.name(body.get("prompt_cache_key")),
            tier=value.name(body.get("service_tier")),
        )

    def write(
        self, body: Mapping[str, Any], call: Call, patch: Patch, capabilities: Capabilities
    ) -> Written:
        """A copy of the body with the patch written in."""
        out, patch, added = begin(body, call, patch)
        openai = is_openai_host(call.host)
        most = cap.allowed(call, patch, capabilities, _FLOOR if openai else 1)
        capped = cap.lower(out, _CAPS, _CAPS[0] if openai else _CAPS[1], most)
        asked = _ask_usage(out, call) if patch.include_usage else []
        steered = []
        if may_write_effort(body, call, patch, capabilities):
            out["reasoning_effort"] = patch.effort
            steered = ["reasoning_effort"]
        noted = note(out, patch, "messages")
        guided = _guide(out, patch)
        return Written(
            out,
            (*added, *capped, *asked, *steered, *guided, *(["messages"] if noted else [])),
            Patch(
                cap=most if capped else None,
                effort=patch.effort if steered else None,
                guidance=patch.guidance if guided else None,
                include_usage=bool(asked),
                model=patch.model,
                notes=noted,
            ),
        )

    def read_outcome(self, payload: Any, *, seconds: float | None = None) -> Outcome:
        """The outcome of a plain answer."""
        tally = Tally()
        answer = value.mapping(payload)
        _identify(tally, answer)
        tally.merge(answer.get("usage"))
        tally.final = tally.usage is not None
        choices = [
            choice for choice in value.items(answer.get("choices")) if isinstance(choice, dict)
        ]
        for choice in choices:
            _see_choice(tally, choice, value.mapping(choice.get("message")))
        if not choices and not tally.final:
            return failed(answer, seconds)
        return tally.conclude(_usage, seconds=seconds, ending="stop")

    def rejected(self, payload: Any, added: tuple[str, ...]) -> str | None:
        """The parameter of ours that a 400 names."""
        return named(payload, _MENTIONS, added, _PLACES)

    def without(self, patch: Patch, rejected: str) -> Patch:
        """The patch without what that parameter carries."""
        if rejected in _CAPS:
            return replace(patch, cap=None)
        if rejected == "stream_options":
            return replace(patch, include_usage=False)
        if rejected == "reasoning_effort":
            return replace(patch, effort=None)
        if rejected == "messages":
            return replace(patch, guidance=None, notes=())
        return patch

    def meter(self, *, drop_usage: bool) -> Meter:
        """A fresh meter."""
        return StreamMeter(_see, _usage, drop_usage=drop_usage)

    def error(self, status: int, message: str, code: str) -> tuple[int, Body]:
        """An error in OpenAI's shape."""
        return openai_error(status, message, code)


def _read_message(message: Mapping[str, Any], transcript: Transcript) -> None:
    plain = "tool_calls" not in message and "function_call" not in message
    functions = [] if plain else _functions(message)
    transcript.add(
        role_of(message),
        message.get("content"),
        tool_calls=len(functions),
        hidden=sum(value.size(function.get("arguments")) for function in functions),
        marked=message.get("cache_control") is not None,
    )


def _functions(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The functions that a message calls, in the present spelling and in the one before."""
    calls = value.items(message.get("tool_calls"))
    functions = [value.mapping(value.mapping(call).get("function")) for call in calls]
    legacy = value.mapping(message.get("function_call"))
    return [*functions, legacy] if legacy else functions


def _tool_name(tool: Any) -> str | None:
    outer = value.mapping(tool)
    inner = value.mapping(outer.get("function")) or value.mapping(outer.get("custom"))
    return value.name(inner.get("name")) or value.name(outer.get("name") or outer.get("type"))


def _runs_at_client(tool: Any) -> bool:
    kind = value.mapping(tool).get("type")
    return kind is None or (isinstance(kind, str) and kind in _CLIENT_TOOLS)


def _forced(body: Mapping[str, Any]) -> bool:
    choice = body.get("tool_choice")
    if isinstance(choice, dict) and choice.get("type") == "allowed_tools":
        return value.mapping(choice.get("allowed_tools")).get("mode") == "required"
    return (
        choice == "required"
        or isinstance(choice, dict)
        or isinstance(body.get("function_call"), dict)
    )


def _ask_usage(out: Body, call: Call) -> list[str]:
    options = out.get("stream_options")
    if not call.stream or call.usage_asked or not (options is None or isinstance(options, dict)):
        return []
    out["stream_options"] = {**(options or {}), "include_usage": True}
    return ["stream_options"]


def _guide(out: Body, patch: Patch) -> list[str]:
    aim = patch.guidance
    if aim is None:
        return []
    if aim.place == "system":
        messages = place.in_system_message(out.get("messages"), aim.text)
    else:
        messages = place.in_user_turn(out.get("messages"), aim.index, aim.text)
    if messages is None:
        return []
    out["messages"] = messages
    return ["messages"]


def _usage(raw: Any) -> Usage | None:
    return extract(raw, _SHAPE)


def _identify(tally: Tally, answer: Mapping[str, Any]) -> None:
    tally.response_id = tally.response_id or value.name(answer.get("id"))
    tally.model = tally.model or value.name(answer.get("model"))
    tally.tier = value.name(answer.get("service_tier")) or tally.tier


def _see(tally: Tally, chunk: Mapping[str, Any], _name: str) -> bool:
    if chunk.get("error"):
        tally.finish = "error"
        return False
    _identify(tally, chunk)
    tally.merge(chunk.get("usage"))
    choices = chunk.get("choices")
    for choice in value.items(choices):
        if isinstance(choice, dict):
            _see_choice(tally, choice, value.mapping(choice.get("delta")))
    usage_only = choices == [] and bool(chunk.get("usage"))
    # Servers that send running totals send the last of them with the finish reason.
    tally.final |= usage_only or (tally.usage is not None and tally.finish is not None)
    return usage_only


def _see_choice(tally: Tally, choice: Mapping[str, Any], part: Mapping[str, Any]) -> None:
    reason = value.name(choice.get("finish_reason"))
    if reason is not None:
        tally.ends(_FINISH.get(reason, "stop"))
    refusal = value.text(part.get("refusal"))
    tally.refused |= bool(refusal)
    thought = value.text(part.get("reasoning_content")) or value.text(part.get("reasoning"))
    tally.characters += len(refusal) + len(thought) + len(value.text(part.get("content")))
    for call in value.items(part.get("tool_calls")):
        function = value.mapping(value.mapping(call).get("function"))
        tally.characters += len(value.text(function.get("arguments")))
    legacy = value.mapping(part.get("function_call"))
    tally.characters += len(value.text(legacy.get("arguments")))
