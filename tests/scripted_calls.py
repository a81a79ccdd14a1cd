"""Calls that say themselves how they are to be answered, and an upstream that does so.

The header HEADER has the answer's input tokens, output tokens a choice, and the seconds that it
takes: the proxy and the wrapper hand it on as they hand on all they do not know.
"""

from __future__ import annotations

from typing import Any

import orjson

from tests import provider_answers as say
from tests.proxied import EVENTS, Answer, Seen, events

HEADER = "x-scripted-answer"
_TEXT = "one two three four five six seven eight"


def header(input_tokens: int, output_tokens: int, seconds: float) -> tuple[str, str]:
    """The header of a call that is to be answered like this."""
    return HEADER, f"{input_tokens} {output_tokens} {seconds}"


def answer(seen: Seen) -> Answer:
    """What a chat completion says of its own answer; a stream takes half of its time amid it."""
    told, output, seconds = seen.header(HEADER)[0].split()
    body: dict[str, Any] = seen.json
    said = say.Answer(_TEXT, int(told), int(output)).under(body)
    choices = body.get("n") or 1
    said = say.Answer(_TEXT, said.input_tokens, said.output_tokens * choices, finish=said.finish)
    if not body.get("stream"):
        return Answer(parts=[orjson.dumps(say.chat(said, body))], delay=float(seconds))
    parts = events(*say.chat_events(said, body), done=True)
    half = float(seconds) / 2
    return Answer(headers=EVENTS, parts=parts, delay=half, pause=half / len(parts))
