"""Where requests go, and with whose key."""

from __future__ import annotations

from typing import Any

import pytest

from budget_proxy.errors import ConfigError
from budget_proxy.proxy.target import Targets
from budget_proxy.settings import load
from budget_proxy.wire import dialect_for

CHAT = "/v1/chat/completions"
AZURE = "/openai/deployments/d/chat/completions"


def targets(**values: Any) -> Targets:
    """The targets of these settings."""
    return Targets(load(**values))


@pytest.mark.parametrize(
    ("base", "path", "url"),
    [
        ("https://api.openai.com", CHAT, "https://api.openai.com/v1/chat/completions"),
        ("https://api.openai.com/", CHAT, "https://api.openai.com/v1/chat/completions"),
        ("http://127.0.0.1:8080/v1", CHAT, "http://127.0.0.1:8080/v1/chat/completions"),
        ("http://127.0.0.1:8080/v1/", CHAT, "http://127.0.0.1:8080/v1/chat/completions"),
        ("https://gate.example/llm", CHAT, "https://gate.example/llm/v1/chat/completions"),
        ("https://gate.example/api/v1", CHAT, "https://gate.example/api/v1/chat/completions"),
        (
            "https://g.example/v1beta/openai/",
            CHAT,
            "https://g.example/v1beta/openai/chat/completions",
        ),
        ("https://r.azure.example/openai/v1", CHAT, "https://r.azure.example/openai/v1/chat/completions"),
        ("https://r.azure.example", AZURE, f"https://r.azure.example{AZURE}"),
        ("https://r.azure.example/openai", AZURE, f"https://r.azure.example{AZURE}"),
        ("https://r.azure.example/openai/v1/", AZURE, f"https://r.azure.example{AZURE}"),
        ("https://vast.example/video", CHAT, "https://vast.example/video/v1/chat/completions"),
    ],
)  # fmt: skip
def test_base_urls_are_joined_however_they_are_written(base: str, path: str, url: str) -> None:
    """With or without /v1, slash, prefix or a version of its own, the path is right."""
    assert targets(openai_base_url=base).openai.url(path, "") == url


def test_the_query_goes_along() -> None:
    """A query is kept as it is."""
    target = targets().of(None, "/v1/messages", [])
    assert target.url("/v1/messages", "beta=true") == (
        "https://api.anthropic.com/v1/messages?beta=true"
    )


@pytest.mark.parametrize("base", ["api.openai.com", "ftp://x", "http://", "https://x/v1?key=1"])
def test_a_base_url_that_is_none_is_refused(base: str) -> None:
    """A wrong base URL is found at the start, and named."""
    with pytest.raises(ConfigError, match="anthropic_base_url"):
        targets(anthropic_base_url=base)


def test_without_a_key_of_ours_the_callers_own_is_forwarded() -> None:
    """No key is configured: the headers stay as they are."""
    headers = [("authorization", "Bearer caller"), ("x", "y")]
    assert targets().openai.headers(CHAT, headers) == headers


@pytest.mark.parametrize("blank", ["", "  "])
def test_an_empty_key_is_no_key(monkeypatch: pytest.MonkeyPatch, blank: str) -> None:
    """A variable that is set to nothing does not take the caller's key away."""
    monkeypatch.setenv("OPENAI_API_KEY", blank)
    assert targets().openai.headers(CHAT, [("authorization", "Bearer a")]) == [
        ("authorization", "Bearer a")
    ]


def test_a_key_of_ours_goes_to_its_provider_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment's key takes the place of the caller's, at its own provider only."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-ours")
    both = targets()
    caller = [("authorization", "Bearer caller"), ("x-api-key", "caller")]
    assert both.openai.headers(CHAT, caller) == [("authorization", "Bearer sk-ours")]
    assert both.anthropic.headers("/v1/messages", caller) == caller


def test_secrets_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a key nor what a base URL hides appears in what is printed."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-ours")
    target = targets(openai_base_url="https://user:word@gate.example:99/v1").openai
    assert target.origin == "https://gate.example:99/v1"
    assert target.host == "gate.example:99"
    assert "sk-ours" not in repr(target)


def test_calls_go_where_their_dialect_is_spoken() -> None:
    """However a client identifies itself, a chat completion is not sent to Anthropic."""
    both = targets()
    headers = [("x-api-key", "k"), ("anthropic-version", "2023-06-01")]
    assert both.of(dialect_for("POST", CHAT), CHAT, headers) is both.openai
    assert both.of(dialect_for("POST", "/v1/messages"), "/v1/messages", []) is both.anthropic
    assert both.of(None, "/v1/models", headers) is both.anthropic
