"""Calls as LiteLLM takes them: OpenAI chat parameters, and models behind a provider's name.

Only what is told here passes between a body and a call of LiteLLM's: its own controls (base
URLs, keys, callbacks, mocks) are the program's, never a body's.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

PARAMETERS: Final = frozenset(
    {
        "model", "messages", "functions", "function_call", "temperature", "top_p", "top_k", "n",
        "stream", "stream_options", "stop", "max_tokens", "max_completion_tokens", "modalities",
        "prediction", "audio", "presence_penalty", "frequency_penalty", "logit_bias", "user",
        "response_format", "seed", "tools", "tool_choice", "parallel_tool_calls", "logprobs",
        "top_logprobs", "reasoning_effort", "thinking", "verbosity", "safety_identifier",
        "service_tier", "store", "prompt_cache_key", "prompt_cache_retention",
        "web_search_options",
    }
)  # fmt: skip
"""The parameters of a chat body that LiteLLM takes under the same names."""

_HOSTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "openai": "api.openai.com",
        "azure": "azure.openai.azure.com",
        "anthropic": "api.anthropic.com",
        "gemini": "generativelanguage.googleapis.com",
        "vertex_ai": "aiplatform.googleapis.com",
    }
)
"""Where a provider is reached, of which LiteLLM does not say it."""


def host_of(provider: str, api_base: str | None) -> str:
    """The host that serves a provider's models; the provider's own name where nobody says.

    Never empty, since that would stand for OpenAI's own host.
    """
    host = urlsplit(api_base).netloc.rpartition("@")[2] if api_base else ""
    return host or _HOSTS.get(provider, provider) or "litellm"
