"""Why a question is not answered, as status and error object."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from pydantic import ValidationError

from budget_proxy.proxy.errors import CHALLENGE

INVALID: Final = "invalid_request_error"
NOT_FOUND: Final = "not_found_error"
FORBIDDEN: Final = "permission_error"
_NO_OBJECT: Final = frozenset({"model_type", "model_attributes_type", "dict_type"})


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


def unauthorised(message: str) -> Refusal:
    """The refusal of who does not say who asks."""
    return Refusal(401, message, type_="authentication_error", headers=[CHALLENGE])


def wrong(
    error: ValidationError, body: str | None = None, parts_of_body: Iterable[str] = ()
) -> Refusal:
    """The refusal of parameters: of the first that is wrong, what is right.

    A part of the parameter ``body`` goes by its own name.
    """
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    parts = [str(part) for part in first["loc"]]
    inner = parts[1:] if parts[:1] == [body] else []
    param = next(iter(inner or parts), None)
    said = first["msg"].removeprefix("Value error, ")
    if parts == [body] and first["type"] in _NO_OBJECT:
        named = ", ".join(parts_of_body)
        said = "the body should be a JSON object" + (f" with {named}" if named else "")
    message = said if param is None else f"{param}: {said[:1].lower()}{said[1:]}"
    return Refusal(400, message, param=param)
