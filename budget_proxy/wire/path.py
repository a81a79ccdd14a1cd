"""What a path alone tells: the model, where a host wants it there, and which API is none of ours.

Azure names a deployment so, which may be called anything; Amazon Bedrock a model, a profile
or an ARN, which may hold slashes where the path comes decoded.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

_DEPLOYMENT: Final = re.compile(r"/deployments/+([^/]+)/", re.IGNORECASE)
_REALTIME: Final = re.compile(
    r"^/(?:v1|openai(?:/+v1)?)/+(?:realtime(?:api)?|live)(?:/|$)", re.IGNORECASE
)
_INVOKED: Final = re.compile(r"(?:^|/)model/(.+)/invoke/?$")


def is_bedrock(path: str) -> bool:
    """Whether a path is a plain call of Bedrock's; its streams are in a binary form of its own."""
    return _INVOKED.search(path) is not None


def is_realtime(path: str) -> bool:
    """Whether a path is of OpenAI's realtime or live API.

    What it makes by HTTP (a secret, a call) lets a client speak with the model by other ways,
    on which nobody counts tokens.
    """
    return _REALTIME.match(path) is not None


def model_in(path: str) -> str:
    """The model that a path names; empty if it names none."""
    found = _INVOKED.search(path) or _DEPLOYMENT.search(path)
    return unquote(found[1]) if found else ""
