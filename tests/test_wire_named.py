"""Which models a request names."""

from __future__ import annotations

from typing import Any

import pytest

from budget_proxy.wire.named import models_in

CHAT = "/v1/chat/completions"
AZURE = "/openai/deployments/gpt%2D5/chat/completions"


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        (CHAT, {"model": "a"}, ("a",)),
        (CHAT, {"model": "a", "MODEL": "b"}, ("a", "b")),
        (CHAT, {"model": "a", "models": ["a", "b", 3, {"model": "c"}]}, ("a", "b", "c")),
        (CHAT, {"model": "a", "fallbacks": [{"model": "b"}, "c"]}, ("a", "b", "c")),
        (CHAT, {"model": "a", "fallbacks": [{"a": ["b", {"model": "c"}]}]}, ("a", "b", "c")),
        (CHAT, {"model": "a", "Context_Window_Fallbacks": [{"a": ["b"]}]}, ("a", "b")),
        (CHAT, {"model": "a", "context_window_fallback_dict": {"a": "b"}}, ("a", "b")),
        (
            CHAT,
            {
                "model": "a",
                "router_settings_override": {"content_policy_fallbacks": [{"a": ["b"]}]},
            },
            ("a", "b"),
        ),
        (CHAT, {"model": "a", "disable_fallbacks": True, "fallbacks": None}, ("a",)),
        (CHAT, {"model": "a", "tools": [{"type": "advisor", "model": "b"}, None]}, ("a", "b")),
        (AZURE, {"messages": []}, ("gpt-5",)),
        ("/openai/Deployments//o-big/embeddings", {"model": "a"}, ("o-big", "a")),
        (AZURE, {"model": "a"}, ("gpt-5", "a")),
        (CHAT, {}, ()),
        (CHAT, {"model": ""}, ()),
        (CHAT, {"model": ["a"], "models": "a", "tools": {"model": "a"}}, ()),
    ],
)
def test_every_model_is_found_once(path: str, body: dict[str, Any], named: tuple[str, ...]) -> None:
    """In the path, in the body, among its tools and stand-ins; what is odd names none."""
    assert models_in(path, body) == named


def test_a_tool_s_parameter_of_that_name_is_no_model() -> None:
    """What a schema or an earlier call of a tool speaks of is not asked."""
    schema = {"type": "object", "properties": {"model": {"type": "string"}}}
    body = {
        "model": "a",
        "tools": [{"type": "function", "function": {"name": "f", "parameters": schema}}],
        "messages": [{"role": "assistant", "content": [{"input": {"model": "T-34"}}]}],
    }
    assert models_in(CHAT, body) == ("a",)
