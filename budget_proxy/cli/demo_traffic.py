"""The demo's calls: three agents with prompts of their own, sent by the real SDKs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from budget_proxy.errors import ConfigError
from budget_proxy.local import MODEL

CEILING: Final = 700
"""What these callers set as their own cap on every call, as people do today."""

_PATIENCE: Final = 600.0
"""Seconds until a call is given up: on a busy machine the model is slow, and no worse for that."""
_COUNTRIES: Final = (  # noqa: SIM905 (a list of one-word names reads better as text)
    "France Japan Brazil Egypt Norway Kenya Canada India Spain Peru Greece Poland Chile Turkey "
    "Ireland Cuba Nepal Austria Finland Morocco Portugal Sweden Hungary Vietnam Italy Ghana "
    "Denmark Belgium Iceland Thailand Mexico Croatia"
).split()
_PROCESSES: Final = (
    "rain forms", "a bicycle stays upright", "bread rises", "a magnet works", "plants eat light",
    "the heart pumps blood", "a refrigerator cools", "volcanoes erupt", "a vaccine works",
    "tides come about", "a telescope works", "soap cleans", "batteries store power",
    "birds fly", "a piano makes sound", "glaciers move", "yeast ferments", "a camera works",
    "the moon shines", "bridges carry loads", "a microwave heats", "rainbows appear",
    "wind turbines work", "bees make honey", "the ear hears", "a clock keeps time",
    "salt melts ice", "a rocket lifts off", "trees drink water", "a lock opens",
    "paper is made", "glass is made",
)  # fmt: skip
_FUNCTIONS: Final = (
    "reverses a string", "computes a factorial", "checks for a prime", "sums a list",
    "counts vowels", "finds the maximum of a list", "removes duplicates", "sorts by length",
    "merges two lists", "converts Celsius to Fahrenheit", "checks for a palindrome",
    "computes an average", "flattens a nested list", "counts words", "generates Fibonacci numbers",
    "finds common elements", "capitalises words", "rotates a list", "checks for an anagram",
    "computes a power", "finds the minimum of a list", "multiplies two matrices",
    "splits a sentence", "counts characters", "converts to binary", "finds the median",
    "checks for leap years", "shuffles a list", "validates an e-mail address", "computes a median",
    "zips two lists", "computes a greatest common divisor",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Agent:
    """One application: its name, what it is like, and its prompts."""

    name: str
    likeness: str
    prompts: tuple[str, ...]


AGENTS: Final = (
    Agent(
        "facts",
        "chat, short",
        tuple(f"What is the capital of {c}? Answer in one sentence." for c in _COUNTRIES),
    ),
    Agent(
        "explainer",
        "chat, long",
        tuple(f"Explain how {p}, in two paragraphs." for p in _PROCESSES),
    ),
    Agent(
        "coder",
        "code",
        tuple(f"Write a Python function that {f}, with an example." for f in _FUNCTIONS),
    ),
)

SURPRISES: Final = tuple(
    f"What is the capital of {country}? Answer with a long story of at least 500 words."
    for country in ("Wales", "Bolivia", "Latvia", "Uruguay", "Jordan")
)
"""Asked of ``facts``, whose answers have always been short."""


@dataclass(frozen=True, slots=True)
class Door:
    """One way to make a call: which SDK, which API, streamed or not."""

    label: str
    send: Callable[[str, dict[str, str]], int]
    """(prompt, headers) -> how many attempts the proxy made."""


@contextmanager
def doors(base_url: str) -> Iterator[tuple[Door, ...]]:
    """The six ways the budgeted phase calls, all through the proxy at ``base_url``."""
    try:
        import anthropic
        import openai
    except ImportError as error:
        missing = f"the demo needs both SDKs: pip install {error.name}"
        raise ConfigError(missing) from None
    with (
        openai.OpenAI(
            base_url=f"{base_url}/v1", api_key="demo", max_retries=0, timeout=_PATIENCE
        ) as oai,
        anthropic.Anthropic(
            base_url=base_url, api_key="demo", max_retries=0, timeout=_PATIENCE
        ) as ant,
    ):
        yield tuple(
            Door(f"{label}{', streamed' if stream else ''}", _bound(way, stream=stream))
            for label, way in _ways(oai, ant).items()
            for stream in (False, True)
        )


def _ways(oai: Any, ant: Any) -> dict[str, Callable[..., Any]]:
    """The three APIs, by name, through a client of either SDK."""

    def chat(prompt: str, **how: Any) -> Any:
        return oai.chat.completions.with_raw_response.create(
            model=MODEL, messages=_user(prompt), max_tokens=CEILING, **how
        )

    def responses(prompt: str, **how: Any) -> Any:
        return oai.responses.with_raw_response.create(
            model=MODEL, input=prompt, max_output_tokens=CEILING, **how
        )

    def messages(prompt: str, **how: Any) -> Any:
        return ant.messages.with_raw_response.create(
            model=MODEL, messages=_user(prompt), max_tokens=CEILING, **how
        )

    return {"OpenAI chat": chat, "OpenAI responses": responses, "Anthropic messages": messages}


def _bound(way: Callable[..., Any], *, stream: bool) -> Callable[[str, dict[str, str]], int]:
    def send(prompt: str, headers: dict[str, str]) -> int:
        answer = way(prompt, stream=stream, extra_headers=headers)
        parsed = answer.parse()
        if stream:
            for _event in parsed:
                pass
        return int(answer.headers.get("x-budget-attempt", "1"))

    return send


def _user(prompt: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": prompt}]
