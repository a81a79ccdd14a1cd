"""One conversation of twenty requests with a coding agent, as four agents send it.

Markers of cached prefixes move from request to request as agents move them, and what loses its
marker also loses its form: a list of one block becomes a string again, as in Claude Code 2.1.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

Body = dict[str, Any]
Message = dict[str, Any]

TASK: Final = "The login redirect loses its query string after two-factor sign-in. Fix it."
RULES: Final = "You are a coding agent. You work in the user's repository.\n" + "\n".join(
    f"{number}. {rule}"
    for number, rule in enumerate(
        [
            "Read a file before you change it.",
            "Make the smallest change that does the task.",
            "Run the tests after each change, and read what they say.",
            "Never commit unless you are asked to.",
            "Say what you did in two sentences at the end.",
        ]
        * 8,
        start=1,
    )
)
SURROUNDINGS: Final = "# Environment\nWorking directory: /src/shop\nPlatform: linux\nBranch: main"
REMINDER: Final = (
    "<system-reminder>The repository's own rules: tabs, no new packages.</system-reminder>"
)
MARK: Final = {"type": "ephemeral"}
TOOLS: Final = {
    "read": ("Read a file", "path"),
    "search": ("Search the repository", "pattern"),
    "edit": ("Replace text in a file", "path"),
    "run": ("Run a command", "command"),
}


@dataclass(frozen=True)
class Step:
    """What the assistant did: the words, the tools called with what they gave, the answer to it."""

    text: str
    calls: Sequence[tuple[str, str, str]] = ()
    reply: str = ""


STEPS: Final = (
    Step("The redirect first.", [("search", "redirect", "auth/views.py:31\nauth/mfa.py:8")]),
    Step(
        "Two places build it.",
        [
            ("read", "auth/views.py", "def login(request):\n\treturn redirect(next_url)\n" * 9),
            ("read", "auth/mfa.py", "def verify(request):\n\treturn redirect(request.path)\n" * 9),
        ],
    ),
    Step("mfa.py drops the query.", [("edit", "auth/mfa.py", "1 replacement")]),
    Step("", [("run", "pytest auth -q", "FAILED auth/test_mfa.py::test_next\n1 failed")]),
    Step("It posts no query.", [("read", "auth/test_mfa.py", "def test_next():\n\t...\n" * 7)]),
    Step("", [("edit", "auth/test_mfa.py", "2 replacements")]),
    Step("", [("run", "pytest auth -q", "12 passed in 1.4s")]),
    Step(
        "Fixed: verify() keeps the query string. All tests of auth pass.",
        reply="Good. Is the same mistake made anywhere else? \u00e4\u00f6\u00fc \u2014 look twice.",
    ),
    Step("", [("search", "redirect(request.path", "shop/cart.py:77\nshop/pay.py:12")]),
    Step(
        "Both are candidates.",
        [("read", "shop/cart.py", "def add(request):\n" * 9), ("read", "shop/pay.py", "\n" * 9)],
    ),
    Step("", [("edit", "shop/cart.py", "1 replacement")]),
    Step("", [("edit", "shop/pay.py", "no match: the text is not in the file")]),
    Step("The file has tabs.", [("read", "shop/pay.py", "def pay(request):\n\t\tpass\n" * 12)]),
    Step("", [("edit", "shop/pay.py", "1 replacement")]),
    Step("", [("run", "pytest -q", "214 passed in 31.0s")]),
    Step("Two more were wrong, in cart.py and pay.py; both are fixed.", reply="Note it down."),
    Step("", [("read", "CHANGELOG.md", "## Unreleased\n- Faster search.\n")]),
    Step("", [("edit", "CHANGELOG.md", "1 replacement")]),
    Step("The line is in CHANGELOG.md, under Unreleased.", reply="Thank you. Sum it all up?"),
)  # fmt: skip


@dataclass(frozen=True)
class Agent:
    """An agent: its dialect, the headers it sends, and how it writes its n-th request."""

    name: str
    api: str
    model: str
    request: Callable[[str, Sequence[Step]], Body]
    headers: dict[str, str]

    def bodies(self, *, stream: bool, thread: str = "thread-1") -> list[Body]:
        """The twenty requests, each with all that was said before."""
        head = {"model": self.model, "stream": stream}
        requests = [self.request(thread, STEPS[:turn]) for turn in range(len(STEPS) + 1)]
        return [{**head, **copy.deepcopy(request)} for request in requests]

    def __str__(self) -> str:
        return self.name


def _claude_code(thread: str, steps: Sequence[Step]) -> Body:
    opening = [_text(REMINDER + thread), _text(TASK)]
    messages: list[Message] = [
        {"role": "user", "content": opening},
        {"role": "system", "content": SURROUNDINGS},
        *_anthropic_turns(steps),
    ]
    _mark(messages[-1 if steps else 1])
    system = [
        _text("x-agent-header: version=2.1; entry=cli;"),
        _text("You are an agent."),
        _text(RULES),
    ]
    for block in system[1:]:
        block["cache_control"] = MARK
    return {
        "max_tokens": 32_000, "system": system, "messages": messages,
        "tools": _anthropic_tools(), "thinking": {"type": "adaptive"},
        "metadata": {"user_id": thread},
    }  # fmt: skip


def _two_markers(thread: str, steps: Sequence[Step]) -> Body:
    """Context in a message of its own, and a marker on each of the last two of the user's.

    The tools are marked until there are turns to mark instead.
    """
    messages = [
        {"role": "user", "content": REMINDER + thread},
        {"role": "user", "content": TASK},
        *_anthropic_turns(steps),
    ]
    for message in [each for each in messages if each["role"] == "user"][-2:]:
        _mark(message)
    tools = _anthropic_tools()
    if not steps:
        tools[-1]["cache_control"] = MARK
    system = [{**_text(RULES), "cache_control": MARK}]
    return {"max_tokens": 8000, "tools": tools, "system": system, "messages": messages}


def _chat(thread: str, steps: Sequence[Step]) -> Body:
    messages: list[Message] = [
        {"role": "system", "content": RULES},
        {"role": "user", "content": TASK},
    ]
    for turn, step in enumerate(steps):
        calls = [
            {"id": f"call_{turn}_{index}", "type": "function",
             "function": {"name": name, "arguments": _arguments(name, given)}}
            for index, (name, given, _) in enumerate(step.calls)
        ]  # fmt: skip
        said: Message = {"role": "assistant", "content": step.text or None}
        messages.append({**said, "tool_calls": calls} if calls else said)
        for call, (_, _, result) in zip(calls, step.calls, strict=True):
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": result})
        if step.reply:
            messages.append({"role": "user", "content": step.reply})
    tools = [{"type": "function", "function": tool} for tool in _functions("parameters")]
    return {"messages": messages, "tools": tools, "prompt_cache_key": thread}


def _responses(thread: str, steps: Sequence[Step]) -> Body:
    opening = [_message("user", "input_text", TASK)]
    return {"instructions": RULES, "input": [*opening, *_items(steps)], **_responses_rest(thread)}


def _codex(thread: str, steps: Sequence[Step]) -> Body:
    """No instructions: they stand in messages of the developer's, as in Codex 0.171."""
    opening = [
        _message("developer", "input_text", RULES),
        _message("developer", "input_text", "<permissions>read-only</permissions>"),
        _message(
            "user", "input_text", f"<environment_context>{SURROUNDINGS}</environment_context>"
        ),
        _message("user", "input_text", TASK),
    ]
    return {"input": [*opening, *_items(steps)], **_responses_rest(thread)}


def _responses_rest(thread: str) -> Body:
    tools = [{"type": "function", **tool} for tool in _functions("parameters")]
    return {
        "tools": tools, "store": False, "include": ["reasoning.encrypted_content"],
        "reasoning": {"effort": "medium"}, "prompt_cache_key": thread,
    }  # fmt: skip


def _items(steps: Sequence[Step]) -> list[Message]:
    items: list[Message] = []
    for turn, step in enumerate(steps):
        items.append({"type": "reasoning", "summary": [], "encrypted_content": f"sealed-{turn}"})
        if step.text:
            items.append(_message("assistant", "output_text", step.text))
        called = [(f"call_{turn}_{index}", *call) for index, call in enumerate(step.calls)]
        items += [
            {"type": "function_call", "call_id": name, "name": tool,
             "arguments": _arguments(tool, given)}
            for name, tool, given, _ in called
        ]  # fmt: skip
        items += [
            {"type": "function_call_output", "call_id": name, "output": result}
            for name, _, _, result in called
        ]
        if step.reply:
            items.append(_message("user", "input_text", step.reply))
    return items


def _anthropic_turns(steps: Sequence[Step]) -> list[Message]:
    messages: list[Message] = []
    for turn, step in enumerate(steps):
        thought = {"type": "thinking", "thinking": "", "signature": f"signed-{turn}"}
        said = [thought, *([_text(step.text)] if step.text else [])]
        called = [(f"toolu_{turn}_{index}", *call) for index, call in enumerate(step.calls)]
        said += [
            {"type": "tool_use", "id": name, "name": tool, "input": {TOOLS[tool][1]: given}}
            for name, tool, given, _ in called
        ]
        results = [
            {"type": "tool_result", "tool_use_id": name, "content": result}
            for name, _, _, result in called
        ]
        messages.append({"role": "assistant", "content": said})
        messages.append({"role": "user", "content": results or step.reply})
    return messages


def _mark(message: Message) -> None:
    """Mark a message's last block; a string becomes a list for it."""
    content = message["content"]
    blocks = [_text(content)] if isinstance(content, str) else content
    message["content"] = [*blocks[:-1], {**blocks[-1], "cache_control": MARK}]


def _anthropic_tools() -> list[Body]:
    return _functions("input_schema")


def _functions(schema: str) -> list[Body]:
    return [
        {"name": name, "description": what,
         schema: {"type": "object", "properties": {argument: {"type": "string"}}}}
        for name, (what, argument) in TOOLS.items()
    ]  # fmt: skip


def _arguments(tool: str, given: str) -> str:
    return json.dumps({TOOLS[tool][1]: given})


def _message(role: str, kind: str, text: str) -> Message:
    return {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}


def _text(text: str) -> Message:
    return {"type": "text", "text": text}


_ANTHROPIC: Final = {"anthropic-version": "2023-06-01", "x-api-key": "sk-ant-test"}
_OPENAI: Final = {"authorization": "Bearer sk-test"}
AGENTS: Final = (
    Agent("claude-code", "anthropic.messages", "claude-sonnet-5-5", _claude_code, _ANTHROPIC),
    Agent("two-markers", "anthropic.messages", "claude-sonnet-5-5", _two_markers, _ANTHROPIC),
    Agent("chat", "openai.chat", "gpt-5.5", _chat, _OPENAI),
    Agent("responses", "openai.responses", "gpt-5.5", _responses, _OPENAI),
    Agent("codex", "openai.responses", "gpt-5.5", _codex, _OPENAI),
)
