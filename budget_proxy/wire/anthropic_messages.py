"""Anthropic messages: thinking and effort live in parameters of their own, usage is split."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from budget_proxy.types import Body, Call, Capabilities, FinishReason, Outcome, Patch, Usage
from budget_proxy.wire import cap, place, value
from budget_proxy.wire.base import REFUSED, Context, Meter, Written
from budget_proxy.wire.path import is_bedrock
from budget_proxy.wire.reading import call_of
from budget_proxy.wire.rejection import mention, named
from budget_proxy.wire.stream import StreamMeter, Tally, failed
from budget_proxy.wire.thinking import fit_budget, may_stand_beside, write_thinking
from budget_proxy.wire.transcript import Transcript, role_of
from budget_proxy.wire.usage import Shape, extract, plus
from budget_proxy.wire.writing import begin, note

_CAP: Final = "max_tokens"
_SHAPE: Final = Shape("anthropic", "default", "input_tokens", "output_tokens")
_CLIENT_TOOLS: Final = (
    "custom", "bash_", "text_editor_", "computer_", "memory_", "browser_", "tool_search_",
)  # fmt: skip
_SIDE_EFFECTS: Final = ("mcp_servers", "container", "thread")
_FINISH: Final[Mapping[str, FinishReason]] = {
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "refusal",
}
_ERRORS: Final = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_PAYMENT: Final = 402
_SERVER: Final = 500
_MENTIONS: Final = (
    mention(r"max_tokens", _CAP),
    mention(r"\bthinking\b|budget_tokens", "thinking"),
    mention(r"output_config|\beffort\b", "output_config"),
    mention(r"(?m:^)system[.:]", "system"),
)
_PLACES: Final = mention(r"\bmessages\.\d+", "messages")


class AnthropicMessages:
    """``POST /v1/messages``, and Bedrock's plain ``POST /model/{model}/invoke``."""

    api: str = "anthropic.messages"
    provider: str = "anthropic"

    def read(self, body: Body, context: Context) -> Call:
        """A Call from a body; never raises. Bedrock's count as signed, whichever key they carry."""
        if is_bedrock(context.path):
            context = replace(context, signed=True)
        tools = value.items(body.get("tools"))
        transcript = _transcript(body)
        output = value.mapping(body.get("output_config"))
        schema = output.get("format") or body.get("output_format")
        thinking = value.mapping(body.get("thinking"))
        choice = value.mapping(body.get("tool_choice")).get("type")
        thread = body.get("thread")
        ceiling = cap.ceiling(body, (_CAP,), minimum=0)
        return call_of(
            self.api,
            body,
            context,
            transcript,
            tools,
            schema=value.mapping(schema).get("schema"),
            starts=not thread,
            tool_names=tuple(filter(None, map(_tool_name, tools))),
            ceiling=ceiling,
            effort=value.name(output.get("effort")),
            thinking=value.name(thinking.get("type")),
            thinking_budget=value.count(thinking.get("budget_tokens")),
            structured=bool(schema),
            forced_tool=choice in ("any", "tool"),
            resendable=not any(body.get(key) for key in _SIDE_EFFECTS)
            and all(map(_runs_at_client, tools)),
            cappable=ceiling != 0 and not context.signed,
            usage_asked=True,
            conversation=value.name(thread) or value.name(value.mapping(thread).get("id")),
            tier=_tier(body),
        )

    def write(
        self, body: Mapping[str, Any], call: Call, patch: Patch, capabilities: Capabilities
    ) -> Written:
        """A copy of the body with the patch written in."""
        out, patch, added = begin(body, call, patch)
        most = cap.allowed(call, patch, capabilities, 1)
        capped = cap.lower(out, (_CAP,), _CAP, most) if fit_budget(out, call, most) else []
        steered = _write_effort(out, call, patch, capabilities)
        thinking = write_thinking(out, call, patch, capabilities)
        thought = [] if out.get("thinking") is body.get("thinking") else ["thinking"]
        noted = note(out, patch, "messages")
        guided = _guide(out, patch)
        return Written(
            out,
            (*added, *capped, *thought, *steered, *guided, *(["messages"] if noted else [])),
            Patch(
                cap=most if capped else None,
                thinking=thinking,
                effort=patch.effort if steered else None,
                guidance=patch.guidance if guided else None,
                model=patch.model,
                notes=noted,
            ),
        )

    def read_outcome(self, payload: Any, *, seconds: float | None = None) -> Outcome:
        """The outcome of a plain answer."""
        answer = value.mapping(payload)
        blocks = value.items(answer.get("content"))
        if answer.get("type") == "error" or not (blocks or answer.get("usage")):
            return failed(answer, seconds)
        tally = Tally()
        _see_message(tally, answer)
        tally.final = tally.usage is not None
        tally.ends(_finish(answer.get("stop_reason")))
        tally.characters = sum(map(_characters, blocks))
        return tally.conclude(_usage, seconds=seconds, ending="stop")

    def rejected(self, payload: Any, added: tuple[str, ...]) -> str | None:
        """The parameter of ours that a 400 names."""
        return named(payload, _MENTIONS, added, _PLACES)

    def without(self, patch: Patch, rejected: str) -> Patch:
        """The patch without what that parameter carries."""
        if rejected == _CAP or (rejected == "thinking" and patch.thinking is None):
            # Thinking that we did not set was changed only to make room for the cap.
            return replace(patch, cap=None)
        if rejected == "thinking":
            return replace(patch, thinking=None)
        if rejected == "output_config":
            return replace(patch, effort=None)
        if rejected in {"system", "messages"}:
            return replace(patch, guidance=None, notes=())
        return patch

    def meter(self, *, drop_usage: bool) -> Meter:  # noqa: ARG002 (usage is the provider's own here)
        """A fresh meter; there is never a usage event of ours to drop."""
        return StreamMeter(_see, _usage, drop_usage=False)

    def error(self, status: int, message: str, code: str) -> tuple[int, Body]:
        """The status and body in Anthropic's shape; a budget refusal is a 402."""
        if code == REFUSED:
            status = _PAYMENT
        kind = _ERRORS.get(status, "api_error" if status >= _SERVER else "invalid_request_error")
        return status, {"type": "error", "error": {"type": kind, "message": message}}


def _transcript(body: Mapping[str, Any]) -> Transcript:
    transcript = Transcript()
    if body.get("system"):
        transcript.add("system", body["system"])
    for message in value.items(body.get("messages")):
        if isinstance(message, dict):
            transcript.add(role_of(message), message.get("content"))
    return transcript


def _tool_name(tool: Any) -> str | None:
    known = value.mapping(tool)
    return value.name(known.get("name") or known.get("type"))


def _runs_at_client(tool: Any) -> bool:
    kind = value.text(value.mapping(tool).get("type"))
    return not kind or kind.startswith(_CLIENT_TOOLS)


def _write_effort(out: Body, call: Call, patch: Patch, capabilities: Capabilities) -> list[str]:
    config = out.get("output_config")
    if patch.effort is None or call.effort is not None:
        return []
    if capabilities.known and patch.effort not in capabilities.efforts:
        return []
    if not (config is None or isinstance(config, dict)):
        return []
    if not may_stand_beside(patch.effort, out.get("thinking")):
        return []
    out["output_config"] = {**(config or {}), "effort": patch.effort}
    return ["output_config"]


def _guide(out: Body, patch: Patch) -> list[str]:
    aim = patch.guidance
    if aim is None:
        return []
    key = "system" if aim.place == "system" else "messages"
    written: Any = None
    if key == "system":
        written = place.extended(out.get(key), aim.text)
    else:
        written = place.in_user_turn(out.get(key), aim.index, aim.text)
    if written is None:
        return []
    out[key] = written
    return [key]


def _usage(raw: Any) -> Usage | None:
    usage = extract(raw, _SHAPE)
    if usage is None:
        return None
    for item in value.items(value.mapping(raw).get("iterations")):
        # The totals leave out what a compaction on the server spent.
        if value.mapping(item).get("type") == "compaction":
            usage = plus(usage, extract(item, _SHAPE))
    return usage


def _see(tally: Tally, event: Mapping[str, Any], name: str) -> bool:
    kind = value.text(event.get("type")) or name
    if kind == "error":
        tally.finish = "error"
    elif kind == "content_block_delta":
        tally.characters += _characters(event.get("delta"))
    elif kind == "message_start":
        _see_message(tally, value.mapping(event.get("message")))
    elif kind == "message_delta":
        reason = _finish(value.mapping(event.get("delta")).get("stop_reason"))
        tally.ends(reason)
        _see_usage(tally, event.get("usage"))
        tally.final = tally.finish is not None and bool(event.get("usage"))
    elif kind == "message_stop":
        tally.done = True
    return False


def _see_message(tally: Tally, message: Mapping[str, Any]) -> None:
    tally.response_id = value.name(message.get("id"))
    tally.model = value.name(message.get("model"))
    _see_usage(tally, message.get("usage"))


def _tier(known: Mapping[str, Any]) -> str | None:
    """The service tier that a request or a usage names, or the speed where that is fast."""
    return "fast" if known.get("speed") == "fast" else value.name(known.get("service_tier"))


def _see_usage(tally: Tally, usage: Any) -> None:
    known = value.mapping(usage)
    tally.merge(usage)
    tally.tier = _tier(known) or tally.tier


def _finish(reason: Any) -> FinishReason | None:
    said = value.name(reason)
    return None if said is None else _FINISH.get(said, "stop")


def _characters(part: Any) -> int:
    known = value.mapping(part)
    texts = (known.get("text"), known.get("thinking"), known.get("partial_json"))
    return sum(len(value.text(text)) for text in texts) + value.size(known.get("input"))
