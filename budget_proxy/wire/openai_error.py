"""Errors in OpenAI's shape, which both of its APIs share."""

from __future__ import annotations

from typing import Final

from budget_proxy.types import Body
from budget_proxy.wire.base import REFUSED

_TOO_MANY: Final = 429
_SERVER: Final = 500
_TYPES: Final = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}


def openai_error(status: int, message: str, code: str) -> tuple[int, Body]:
    """The status and body; a budget refusal is a 429 ``insufficient_quota``."""
    if code == REFUSED:
        status, kind = _TOO_MANY, "insufficient_quota"
    else:
        kind = _TYPES.get(status, "server_error" if status >= _SERVER else "invalid_request_error")
    return status, {"error": {"message": message, "type": kind, "param": None, "code": code}}
