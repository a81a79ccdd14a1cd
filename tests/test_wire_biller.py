"""Who bills for a call, and which names are one model's."""

from __future__ import annotations

import pytest

from budget_proxy.wire.biller import biller, family, tier_of


@pytest.mark.parametrize(
    ("api", "host", "model", "expected"),
    [
        ("openai.chat", "api.openai.com", "anything", "openai"),
        ("openai.chat", "eu.api.openai.com:443", "gpt-5", "openai"),
        ("openai.chat", "", "anything", "openai"),
        ("anthropic.messages", "api.anthropic.com", "claude-haiku-4-5", "anthropic"),
        ("openai.chat", "mine.openai.azure.com", "gpt-5", "azure"),
        ("anthropic.messages", "bedrock-runtime.us-east-1.amazonaws.com", "claude-x", "aws"),
        ("openai.chat", "127.0.0.1:8080", "llama-3", None),
        ("openai.chat", "127.0.0.1:8080", "gpt-oss-20b", None),
        ("openai.chat", "gateway.example:4000", "gpt-5-mini", "openai"),
        ("import", "", "claude-haiku-4-5", "anthropic"),
        ("import", "", "llama-3", None),
        ("import", "", "openai/gpt-oss-120b", None),
    ],
)
def test_the_host_says_who_bills_else_the_model(
    api: str, host: str, model: str, expected: str | None
) -> None:
    """A gateway passes on whose model it is; a model of one's own is billed by nobody."""
    assert biller(api, host, model) == expected


@pytest.mark.parametrize(
    "names",
    [
        ("gpt-5-mini", "gpt-5-mini-2025-08-07", "openai/gpt-5-mini", "GPT-5-mini"),
        ("claude-haiku-4-5", "Claude Haiku 4.5", "claude-haiku-4-5-20251001",
         "us.anthropic.claude-haiku-4-5-20251001-v1:0", "claude-haiku-4-5@20251001"),
        ("claude-3-5-sonnet-20241022", "Claude Sonnet 3.5", "claude-3-5-sonnet-latest"),
        ("ft:gpt-4o-2024-08-06:org::id", "ft-gpt-4o-2024-08-06"),
    ],
)  # fmt: skip
def test_names_of_one_model_are_one_family(names: tuple[str, ...]) -> None:
    """Alias, snapshot, a cloud's name and the name for people."""
    assert len(set(map(family, names))) == 1


def test_different_models_stay_apart() -> None:
    """Versions and sizes are no snapshots; nor is a fine-tuned model its base."""
    names = [
        "gpt-5", "gpt-5-mini", "gpt-5.4", "gpt-4o", "ft-gpt-4o", "claude-haiku-4-5",
        "claude-sonnet-4-5", "claude-sonnet-4", "claude-3-5-haiku", "o3",
    ]  # fmt: skip
    assert len(set(map(family, names))) == len(names)


def test_the_standard_tier_has_many_names() -> None:
    """The others keep theirs."""
    assert {tier_of(name) for name in (None, "", "default", "auto", "Standard")} == {""}
    assert tier_of("Batch") == "batch"
