"""The proxy's own errors, in the shape of the provider that the caller speaks to.

The SDKs turn them into the exceptions that programs already handle; the message says what to
look at.
"""

from __future__ import annotations

import orjson

from budget_proxy.proxy.caller import Caller
from budget_proxy.proxy.target import Target
from budget_proxy.proxy.upstream import CONNECT_SECONDS, READ_SECONDS, UpstreamError
from budget_proxy.wire.provider import NO_RETRY, provider_error

_JSON = [("content-type", "application/json")]
_UNAUTHORISED = 401
CHALLENGE = ("www-authenticate", "Bearer")
"""The header that a 401 has to have."""


async def refuse(
    caller: Caller, target: Target, status: int, message: str, code: str, *, passes: bool = False
) -> None:
    """Answer with an error in the shape of the target's provider.

    Unless it ``passes`` by itself the SDKs are told not to try again.
    """
    status, body = provider_error(target.provider, status, message, code)
    headers = _JSON if passes else [*_JSON, NO_RETRY]
    if status == _UNAUTHORISED:
        headers = [*headers, CHALLENGE]
    await caller.answer(status, headers, orjson.dumps(body))


async def not_found(caller: Caller) -> None:
    """Answer for a path that is no provider's and none of ours."""
    message = (
        f"budget-proxy serves /v1/… (and /openai/… for Azure), not {caller.path[:200]!r}; clients "
        "of OpenAI take a base URL that ends in /v1, Anthropic's take one without it"
    )
    error = {"error": {"type": "not_found_error", "code": "not_found", "message": message}}
    await caller.answer(404, _JSON, orjson.dumps(error))


async def unreachable(caller: Caller, target: Target, error: UpstreamError) -> None:
    """Answer for an upstream that did not: 504 if the wait was over, else 502."""
    where = f"{target.origin} (set by {target.setting})"
    if error.timeout:
        seconds = CONNECT_SECONDS if error.connecting else READ_SECONDS
        what = "accept a connection" if error.connecting else "answer"
        message = f"budget-proxy: {where} did not {what} within {seconds} seconds"
        await refuse(caller, target, 504, message, "upstream_timeout", passes=True)
    else:
        what = "cannot reach" if error.connecting else "lost its connection to"
        message = f"budget-proxy {what} {where}: {error}"
        await refuse(caller, target, 502, message, "upstream_unreachable", passes=True)
