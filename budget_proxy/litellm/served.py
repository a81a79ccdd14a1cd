"""Who serves a model: LiteLLM reads it from the model's name, and knows the base URLs of many."""

from __future__ import annotations

import litellm

from budget_proxy.litellm.arguments import Arguments
from budget_proxy.wire.gateway import host_of


def served(arguments: Arguments, *, alias: str | None = None) -> tuple[str, str]:
    """The model as its provider calls it, and the host that serves it.

    ``alias`` stands for a model that is yet to be chosen.
    """
    model, base = arguments["model"], arguments.get("api_base") or arguments.get("base_url")
    if model == alias:
        return model, host_of("", base)
    try:
        name, provider, _, known = litellm.get_llm_provider(
            model, arguments.get("custom_llm_provider"), base
        )
    except litellm.BadRequestError:  # the call itself will say so
        return model, host_of("", base)
    return name, host_of(provider, base or known)
