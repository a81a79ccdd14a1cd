"""Models behind a provider's name."""

from __future__ import annotations

import pytest

from budget_proxy.wire.gateway import PARAMETERS, host_of
from budget_proxy.wire.models import is_openai_host


@pytest.mark.parametrize(
    ("provider", "base", "host"),
    [
        ("openai", None, "api.openai.com"),
        ("openai", "http://127.0.0.1:8000/v1", "127.0.0.1:8000"),
        ("mistral", "https://user:secret@api.mistral.ai/v1", "api.mistral.ai"),
        ("anthropic", None, "api.anthropic.com"),
        ("bedrock", None, "bedrock"),
        ("", None, "litellm"),
    ],
)
def test_the_host_is_the_base_urls_else_the_providers(
    provider: str, base: str | None, host: str
) -> None:
    """Where neither is known it is the provider's name, and no secret is kept."""
    assert host_of(provider, base) == host


@pytest.mark.parametrize("provider", ["anthropic", "gemini", "bedrock", "vertex_ai", ""])
def test_no_other_provider_passes_for_openai(provider: str) -> None:
    """OpenAI's rules for caps and their names hold on its own hosts only."""
    assert not is_openai_host(host_of(provider, None))


@pytest.mark.parametrize("provider", ["openai", "azure"])
def test_openai_and_azure_do(provider: str) -> None:
    """Both count caps against quota."""
    assert is_openai_host(host_of(provider, None))


def test_no_body_can_name_what_is_the_programs_own() -> None:
    """A caller of the proxy must not say where our keys are sent, or what is run."""
    own = {"api_base", "base_url", "api_key", "callbacks", "custom_llm_provider", "extra_headers"}
    assert not own & PARAMETERS
