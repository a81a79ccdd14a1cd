"""Requests that ask after an answer which was begun by an earlier call.

OpenAI makes a response in the background if asked to. What it used is told when the response is
retrieved, whole or as a stream, or cancelled.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from budget_proxy.wire import DIALECTS
from budget_proxy.wire.base import Dialect

_PATHS: Final = {
    "GET": re.compile(r"(?:^|/)responses/([^/]+)/?$"),
    "POST": re.compile(r"(?:^|/)responses/([^/]+)/cancel/?$"),
}


@dataclass(frozen=True, slots=True)
class Retrieval:
    """Which response is asked for, and the dialect that its answer is in."""

    dialect: Dialect
    response: str


def retrieval_of(method: str, path: str) -> Retrieval | None:
    """What a request retrieves, by its method and path (no query), whatever stands before."""
    pattern = _PATHS.get(method.upper())
    found = pattern.search(path) if pattern is not None else None
    return Retrieval(DIALECTS["openai.responses"], unquote(found[1])) if found else None
