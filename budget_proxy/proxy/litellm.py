"""Other providers' models, through LiteLLM in this very process: one more upstream.

The providers' keys and base URLs are those that LiteLLM finds in the environment. Of a caller's
request nothing is handed on but the parameters of chat completions: its key and headers stay
here, and no body can name a base URL, a key or a callback.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final
from urllib.parse import SplitResult

from budget_proxy.errors import ConfigError
from budget_proxy.proxy.headers import Headers
from budget_proxy.proxy.litellm_answer import LiteLLMAnswer, failed, refused
from budget_proxy.proxy.target import Target
from budget_proxy.proxy.upstream import READ_SECONDS, UpstreamError
from budget_proxy.transport.payload import decoded, encoded
from budget_proxy.types import Body
from budget_proxy.wire.gateway import PARAMETERS
from budget_proxy.wire.provider import OPENAI

API: Final = "openai.chat"
"""The dialect that LiteLLM speaks on our side, whatever the provider's."""
SETTING: Final = "BUDGET_PROXY_LITELLM_MODELS"
_OFFLINE: Final = "LITELLM_LOCAL_MODEL_COST_MAP"


@dataclass(frozen=True, slots=True)
class LiteLLMTarget(Target):
    """Models that LiteLLM reaches: ``prefix`` stands before their names, as in ``gemini/``."""

    prefix: str = ""

    @classmethod
    def of(cls, prefix: str, host: str) -> LiteLLMTarget:
        """The target of models that are served by ``host``."""
        base = SplitResult("litellm", host, "", "", "")
        return cls(OPENAI, base, SETTING, "the providers' keys", prefix=prefix)

    def url(self, path: str, query: str) -> str:  # noqa: ARG002 (every target's)
        """What the upstream is to know of the target."""
        return self.prefix

    def check_key(self) -> None:
        """Nothing to check: LiteLLM finds the providers' keys, or says that there are none."""

    def headers(self, path: str, headers: Headers) -> Headers:  # noqa: ARG002 (every target's)
        """None of the caller's."""
        return ()


class LiteLLMUpstream:
    """LiteLLM as an upstream of chat completions. Raises ConfigError where it is not installed."""

    def __init__(self, patterns: Sequence[str]) -> None:
        if importlib.util.find_spec("litellm") is None:
            raise ConfigError("litellm_models needs LiteLLM: pip install litellm")
        self._patterns = patterns

    def load(self) -> None:
        """Import LiteLLM, which takes seconds: before the first call, off the event loop."""
        os.environ.setdefault(_OFFLINE, "True")  # or it fetches its table of models
        import litellm

        litellm.telemetry = False  # of older versions
        litellm.suppress_debug_info = True  # it prints to standard output

    def route(self, content: bytes) -> tuple[LiteLLMTarget, bytes] | None:
        """The target of a call's plain body, and the body with its provider's name for the model.

        ``None`` for calls of other models.
        """
        body = decoded(content, exactly=True)
        model = body.get("model") if isinstance(body, dict) else None
        if not isinstance(model, str) or not self._takes(model):
            return None
        from budget_proxy.litellm.served import served

        name, host = served({"model": model})
        prefix = model.removesuffix(name)
        return LiteLLMTarget.of(prefix, host), encoded(
            {**body, "model": model.removeprefix(prefix)}
        )

    async def ask(self, method: str, url: str, headers: Headers, content: bytes) -> LiteLLMAnswer:  # noqa: ARG002 (as the other upstreams)
        """Make the call that a body describes; ``url`` is the target's.

        Raises UpstreamError if no answer begins.
        """
        import litellm

        from budget_proxy.litellm.failure import KINDS, lost

        body: Body = decoded(content, exactly=True)
        wrong = _wrong(body)
        if wrong is not None:
            return refused(*wrong)
        try:
            answer = await litellm.acompletion(
                **{**body, "model": url + str(body["model"])},
                timeout=READ_SECONDS, max_retries=0, num_retries=0,
            )  # fmt: skip
        except litellm.Timeout as error:
            raise UpstreamError(str(error), timeout=True) from error
        except KINDS as error:
            fault = lost(error)
            if fault is None:
                return failed(error)
            raise UpstreamError(fault.reason, connecting=fault.connecting) from error
        return LiteLLMAnswer(answer)

    def _takes(self, model: str) -> bool:
        return any(fnmatchcase(model, pattern) for pattern in self._patterns)


def _wrong(body: Body) -> tuple[str, str, str] | None:
    """What is wrong with a call before LiteLLM stumbles over it: a message, a code, a parameter."""
    unknown = sorted(set(body) - PARAMETERS)
    if unknown:
        message = f"budget-proxy hands no {', '.join(unknown)} on to LiteLLM: leave it out"
        return message, "unsupported_parameter", unknown[0]
    if not _are_messages(body.get("messages")):
        message = (
            "budget-proxy: messages must be a list of objects, each with a content that is a "
            "text, a list of objects, or null"
        )
        return message, "invalid_type", "messages"
    return None


def _are_messages(given: Any) -> bool:
    return _are_objects(given) and all(
        content is None or isinstance(content, str) or _are_objects(content)
        for content in (message.get("content") for message in given)
    )


def _are_objects(given: Any) -> bool:
    return isinstance(given, list) and all(isinstance(one, dict) for one in given)
