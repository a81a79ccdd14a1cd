from __future__ import annotations

import pytest

from budget_proxy.types import Capabilities
from budget_proxy.wire.models import (
    api_of_model,
    bare_host,
    capabilities,
    is_openai_host,
    provider_of_model,
)

CHAT, RESPONSES, MESSAGES = "openai.chat", "openai.responses", "anthropic.messages"
HOST = "api.openai.com"


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("", True),
        ("api.openai.com", True),
        ("API.OpenAI.com:443", True),
        ("eu.api.openai.com", True),
        ("x.openai.azure.com", True),
        ("x.services.ai.azure.com", True),
        ("x.cognitiveservices.azure.com", True),
        ("127.0.0.1:8080", False),
        ("localhost", False),
        ("api.openai.com.evil.example", False),
        ("notapi.openai.com.example", False),
        ("api.anthropic.com", False),
        ("openrouter.ai", False),
    ],
)
def test_openai_hosts(host: str, expected: bool) -> None:
    """OpenAI's and Azure's hosts count caps against quota; an empty host is the provider's own."""
    assert is_openai_host(host) is expected
    assert capabilities(CHAT, host, "gpt-5.5").counts_cap is expected
    assert not capabilities(MESSAGES, host, "claude-opus-5").counts_cap


def test_hosts_without_port() -> None:
    """A port is no part of a host's name, not even after an IPv6 address."""
    assert bare_host("LLM.internal:8000") == "llm.internal"
    assert bare_host("[::1]:8000") == "[::1]"


def test_quota_hosts_by_setting() -> None:
    """A host that the user names counts caps too, with or without its port."""
    for named in ("llm.internal", "llm.internal:8000"):
        got = capabilities(CHAT, "llm.internal:8000", "m", quota_hosts=(named,))
        assert got == Capabilities(counts_cap=True)
    assert not capabilities(MESSAGES, "llm.internal", "m", quota_hosts=("llm.internal",)).counts_cap


@pytest.mark.parametrize(
    ("model", "efforts", "default"),
    [
        ("gpt-6-astra", "low medium high xhigh max", "medium"),
        ("gpt-6.1-sol", "low medium high xhigh max", "medium"),
        ("gpt-6.1-terra", "none low medium high xhigh max", "medium"),
        ("gpt-6-luna", "none low medium high xhigh max", "medium"),
        ("gpt-5.6-sol-2026-08-01", "none low medium high xhigh max", "medium"),
        ("gpt-5.5", "none low medium high xhigh", "medium"),
        ("gpt-5.5-pro", "medium high xhigh", None),
        ("gpt-5.4-mini", "none low medium high xhigh", "none"),
        ("gpt-5.2-20251211", "none low medium high xhigh", "none"),
        ("gpt-5.1", "none low medium high", "none"),
        ("gpt-5.3-chat-latest", "medium", "medium"),
        ("gpt-5-mini", "minimal low medium high", "medium"),
        ("gpt-5-pro", "high", "high"),
        ("o3", "low medium high", "medium"),
        ("o4-mini-2025-04-16", "low medium high", "medium"),
        ("gpt-9-nova", "low medium high", None),
        ("gpt-6.7-sol", "low medium high", None),
    ],
)
def test_efforts_of_openai(model: str, efforts: str, default: str | None) -> None:
    """Efforts by family, also of versions newer than the table; max only on Responses."""
    got = capabilities(RESPONSES, HOST, model)
    assert " ".join(got.efforts) == efforts
    assert (got.default_effort, got.reasoning, got.known) == (default, True, True)
    on_chat = capabilities(CHAT, HOST, model).efforts
    assert " ".join(on_chat) == efforts.removesuffix(" max")


@pytest.mark.parametrize(
    ("model", "thinking", "efforts", "max_output", "minimum"),
    [
        ("claude-opus-5-5", "adaptive", 5, 128_000, None),
        ("claude-fable-5", "adaptive", 5, 128_000, 512),
        ("claude-mythos-5-2", "adaptive", 5, 128_000, None),
        ("claude-sonnet-5-5", "adaptive between_tools", 5, 128_000, None),
        ("claude-haiku-5-5-20260901", "adaptive disabled", 5, 128_000, None),
        ("claude-opus-5", "adaptive disabled", 5, 128_000, 512),
        ("claude-sonnet-5-20260301", "adaptive disabled", 5, 128_000, 1024),
        ("claude-opus-4-8", "adaptive disabled", 5, 128_000, 1024),
        ("claude-opus-4-7", "adaptive disabled", 5, 128_000, 2048),
        ("claude-opus-4-6", "adaptive disabled enabled", 4, 128_000, 4096),
        ("claude-sonnet-4.6", "adaptive disabled enabled", 4, 128_000, 1024),
        ("claude-opus-4-5-20251101", "disabled enabled", 3, 64_000, 4096),
        ("claude-haiku-4-5", "disabled enabled", 0, 64_000, 4096),
        ("claude-sonnet-4-5", "disabled enabled", 0, 64_000, 1024),
        ("claude-sonnet-4-20250514", "disabled enabled", 0, 64_000, 1024),
        ("claude-opus-4-1-20250805", "disabled enabled", 0, 32_000, 1024),
        ("claude-3-7-sonnet-latest", "disabled enabled", 0, 64_000, 1024),
        ("claude-3-5-haiku-20241022", "", 0, 8_192, None),
        ("claude-sonnet-6", "adaptive", 3, 128_000, None),
        ("claude-opus-5-9", "adaptive", 3, 128_000, None),
        ("us.anthropic.claude-opus-4-6-v1:0", "adaptive disabled enabled", 4, 128_000, 4096),
        ("anthropic/claude-sonnet-5.5", "adaptive between_tools", 5, 128_000, None),
    ],
)
def test_claude(
    model: str, thinking: str, efforts: int, max_output: int, minimum: int | None
) -> None:
    """Thinking kinds, number of efforts, ceiling and cache minimum by family."""
    got = capabilities(MESSAGES, "api.anthropic.com", model)
    assert " ".join(sorted(got.thinking)) == thinking
    assert (len(got.efforts), got.max_output, got.cache_minimum) == (efforts, max_output, minimum)
    assert got.reasoning is bool(thinking)


def test_default_efforts_of_claude() -> None:
    """High by default, medium on Opus 5.5 and Haiku 5.5."""
    models = ("claude-opus-5-5", "claude-haiku-5-5", "claude-sonnet-5-5", "claude-opus-4-6")
    got = [capabilities(MESSAGES, "", model).default_effort for model in models]
    assert got == ["medium", "medium", "high", "high"]


def test_unknown_models_get_safe_defaults() -> None:
    """An unknown model passes: nothing is claimed of it."""
    for model in ("SmolLM2-135M-Instruct", "", "llama-3", "my-claude", "mygpt-5"):
        assert capabilities(CHAT, "127.0.0.1:9", model) == Capabilities()


def test_a_model_through_another_providers_dialect() -> None:
    """Its ceiling holds, but its own steering cannot be spelled there."""
    got = capabilities(CHAT, "openrouter.ai", "anthropic/claude-opus-4.6")
    assert got.max_output == 128_000
    assert (got.efforts, got.thinking, got.default_effort) == ((), frozenset(), None)


@pytest.mark.parametrize(
    ("model", "provider", "api"),
    [
        ("gpt-5.5", "openai", RESPONSES),
        ("openai/gpt-4.1", "openai", RESPONSES),
        ("o4-mini", "openai", RESPONSES),
        ("claude-opus-5-5", "anthropic", MESSAGES),
        ("us.anthropic.claude-opus-4-6-v1:0", "anthropic", MESSAGES),
        ("SmolLM2-135M-Instruct", None, None),
        ("", None, None),
    ],
)
def test_provider_and_api_of_a_name(model: str, provider: str | None, api: str | None) -> None:
    """A family tells whose a model is and under which API it is looked up; else nothing does."""
    assert (provider_of_model(model), api_of_model(model)) == (provider, api)


def test_the_api_of_a_model_knows_all_its_efforts() -> None:
    """Looked up by its name alone, a model has the efforts that only Responses takes as well."""
    assert "max" in capabilities(api_of_model("gpt-6-astra") or "", HOST, "gpt-6-astra").efforts


def test_models_that_do_not_reason() -> None:
    """Older models have a ceiling and no effort."""
    for model, most in [("gpt-4o-mini", 16_384), ("gpt-4.1", 32_768), ("gpt-4-turbo", 4_096)]:
        got = capabilities(CHAT, HOST, model)
        assert (got.max_output, got.reasoning, got.efforts) == (most, False, ())


def test_overrides() -> None:
    """The user's word goes before the table's; what it leaves open stays."""
    overrides = {
        "gpt-5.5": {"max_output": 9, "efforts": ["low"], "reasoning": None},
        "mine": {"reasoning": True, "thinking": ["adaptive"], "counts_cap": True},
    }
    known = capabilities(CHAT, HOST, "gpt-5.5", overrides)
    assert (known.max_output, known.efforts, known.reasoning) == (9, ("low",), True)
    mine = capabilities(CHAT, "127.0.0.1", "mine", overrides)
    assert mine == Capabilities(
        reasoning=True, thinking=frozenset({"adaptive"}), counts_cap=True, known=True
    )
    assert capabilities(CHAT, HOST, "gpt-5.1", overrides) == capabilities(CHAT, HOST, "gpt-5.1")
