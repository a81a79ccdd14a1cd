"""Made-up traffic with a spread like that of real one: agents, models, prompts, sessions.

Some sixty agents, the first of them with most of the calls, each with a template of its own and
up to four of twelve models; prompts that come again, also to other models; sessions of some
steps. Every length is drawn by agent, model and prompt. The same seed gives the same traffic.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from prompts import SYSTEM

from budget_proxy.classify.characteristics import classify_call
from budget_proxy.predict.signals import signals_of
from budget_proxy.types import Call, Characteristics, Features, Observation, Scope
from budget_proxy.wire import DIALECTS, Context

AGENTS, MODELS, STEPS = 60, 12, 8
SALT = b"traffic"
_START = 1.7e9
_OPENINGS = ("Review", "Explain", "Translate", "Sum up", "Fix", "Test", "Classify", "List", "Plan")
_OBJECTS = ("the change to the login form", "this table of orders", "the failing step", "a letter")
_LENGTHS = ("in 3 sentences", "in one word", "step by step", "as JSON", "briefly", "in 400 words")
_FILLER = "The team prefers small changes, and existing callers must keep working for a while. "


@dataclass(frozen=True)
class Prompt:
    """A prompt as it is asked: whose it is, what is told of it, and how long its answers are."""

    agent: int
    kind: Characteristics
    signals: bytes
    input_tokens: int
    centre: float


def body(agent: int, number: int, chars: int) -> dict[str, Any]:
    """The request of an agent's prompt of about so many characters."""
    text = (
        f"{_OPENINGS[agent % 9]} {_OBJECTS[agent // 9 % 4]}, case {number}, "
        f"{_LENGTHS[(agent + number) % 6]}. "
    )
    text += _FILLER * math.ceil(max(chars - len(text), 0) / len(_FILLER))
    messages = [
        {"role": "system", "content": f"{SYSTEM} You are agent {agent}."},
        {"role": "user", "content": text[:chars]},
    ]
    return {"model": f"model-{(agent + number) % MODELS}", "messages": messages}


def call(agent: int, number: int, chars: int, after: int = 0) -> Call:
    """The same, as wire reads it, in the agent's session after so many calls of all agents."""
    scope = Scope(agent=f"agent-{agent}", session=session(agent, after))
    context = Context(f"c{number}", _START + after, scope=scope)
    return DIALECTS["openai.chat"].read(body(agent, number, chars), context)


def session(agent: int, number: int) -> str:
    """An agent's session at the call of that number; most have some eight calls."""
    return f"s{agent}-{number // (STEPS * AGENTS)}"


class Traffic:
    """Endless traffic of ``prompts`` distinct prompts."""

    def __init__(self, prompts: int, seed: int = 5) -> None:
        self._draw = np.random.default_rng(seed)
        self._agents = self._draw.normal(0.0, 0.8, AGENTS)
        self._models = self._draw.normal(0.0, 0.4, MODELS)
        self._prompts = [self._prompt(number) for number in range(prompts)]

    def rows(self, count: int, first: int = 0) -> Iterator[tuple[Features, Observation, str]]:
        """So many calls with what came back, numbered from ``first``."""
        draw = self._draw
        for start in range(first, first + count, 10_000):
            size = min(10_000, first + count - start)
            chosen = draw.integers(len(self._prompts), size=size).tolist()
            models = draw.integers(4, size=size).tolist()
            noise = draw.normal(0.0, 0.4, size).tolist()
            for at, place in enumerate(chosen):
                prompt = self._prompts[place]
                model = (prompt.agent + models[at]) % MODELS
                number = start + at
                yield self._row(prompt, model, number, noise[at])

    def agent(self) -> int:
        """An agent, the first ones more often than the last."""
        return min(int(AGENTS * self._draw.random() ** 3), AGENTS - 1)

    def _prompt(self, number: int) -> Prompt:
        agent = self.agent()
        asked = call(agent, number, 150)
        kind = classify_call(asked.messages, None, images=0, tools=())
        centre = 5.5 + self._agents[agent] + float(self._draw.normal(0.0, 0.4))
        return Prompt(agent, kind, signals_of(asked, kind, SALT), asked.input_chars // 4, centre)

    def _row(
        self, prompt: Prompt, model: int, number: int, noise: float
    ) -> tuple[Features, Observation, str]:
        now = _START + number
        features = Features(
            agent=f"agent-{prompt.agent}",
            model=f"model-{model}",
            task_type=prompt.kind.task_type,
            characteristics=prompt.kind,
            now=now,
            input_tokens=prompt.input_tokens,
            session=session(prompt.agent, number),
            signals=prompt.signals,
        )
        tokens = max(round(math.exp(prompt.centre + self._models[model] + noise)), 1)
        return features, Observation(tokens, censored=False, ts=now), f"c{number}"
