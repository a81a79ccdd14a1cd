"""When a reasoning effort may be written into a body without turning it into a wrong one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from budget_proxy.types import Call, Capabilities, Patch

_SAMPLING: Final = ("temperature", "top_p", "logprobs", "top_logprobs")


def may_write_effort(
    body: Mapping[str, Any], call: Call, patch: Patch, capabilities: Capabilities
) -> bool:
    """Whether the patch's effort is the first word on it, and one that the model takes here.

    Reasoning models of OpenAI refuse sampling parameters at any effort but none, so such a
    body gets no effort of ours. An unknown model gets what the caller asked us for.
    """
    if patch.effort is None or call.effort is not None:
        return False
    if capabilities.known and patch.effort not in capabilities.efforts:
        return False
    return patch.effort == "none" or all(body.get(key) is None for key in _SAMPLING)
