"""Errors of the provider: their class, words, body, code and headers are the provider's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tests.conformance import chat, got, messages
from tests.conformance.behaviour import behaviour
from tests.conformance.visit import Visit
from tests.provider_answers import Answer

AREA = "errors"
OPENAI: Final[Mapping[int, str]] = {
    400: "BadRequestError",
    401: "AuthenticationError",
    403: "PermissionDeniedError",
    404: "NotFoundError",
    409: "ConflictError",
    422: "UnprocessableEntityError",
    429: "RateLimitError",
    500: "InternalServerError",
}
ANTHROPIC: Final[Mapping[int, str]] = {
    **OPENAI,
    413: "RequestTooLargeError",
    503: "ServiceUnavailableError",
    529: "OverloadedError",
}
HEADERS = {"x-request-id": "req_1", "request-id": "req_1", "retry-after": "7"}


def _openai(status: int) -> None:
    @behaviour(AREA, f"OpenAI: {status} is {OPENAI[status]}")
    async def refused(visit: Visit) -> Any:
        """The SDK's own error, with the provider's words, body and headers."""
        visit.provider.answer = Answer(
            status=status, error=("that will not do", "messages"), headers=HEADERS
        )
        client = visit.client()
        return await got.raised(lambda: client.chat.completions.create(**chat.ASK))


def _anthropic(status: int) -> None:
    @behaviour(AREA, f"Anthropic: {status} is {ANTHROPIC[status]}")
    async def refused(visit: Visit) -> Any:
        """The SDK's own error, with the provider's words, body and headers."""
        visit.provider.answer = Answer(
            status=status, error=("that will not do", None), headers=HEADERS
        )
        client = visit.client("Anthropic")
        return await got.raised(lambda: client.messages.create(**messages.ASK))


for _status in OPENAI:
    _openai(_status)
for _status in ANTHROPIC:
    _anthropic(_status)


@behaviour(AREA, "a stream that is refused")
async def refused_stream(visit: Visit) -> Any:
    """An error before the stream has begun."""
    visit.provider.answer = Answer(status=429, error=("slow down", None), headers=HEADERS)
    client = visit.client()
    return await got.raised(lambda: client.chat.completions.create(**chat.ASK, stream=True))
