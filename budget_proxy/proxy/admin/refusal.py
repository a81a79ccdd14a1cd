"""Why a question is not answered, as status and error object."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pydantic import ValidationError

INVALID: Final = "invalid_request_error"
NOT_FOUND: Final = "not_found_error"


class Refusal(Exception):
    """What goes back in place of an answer; ``param`` names the parameter that is wrong."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        type_: str = INVALID,
        param: str | None = None,
        headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers
        self.body: dict[str, Any] = {"error": {"message": message, "type": type_, "param": param}}


def wrong(error: ValidationError) -> Refusal:
    """The refusal of parameters: of the first that is wrong, what is right."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    param = str(first["loc"][0]) if first["loc"] else None
    said = first["msg"].removeprefix("Value error, ")
    message = said if param is None else f"{param}: {said[:1].lower()}{said[1:]}"
    return Refusal(400, message, param=param)
