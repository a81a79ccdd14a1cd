"""The tokens that a task will need."""

from __future__ import annotations

from typing import Any, Final

from pydantic import Field

from budget_proxy.assemble import Engine
from budget_proxy.classify.descriptor import COMPLEXITY_WORDS, PRIORITIES
from budget_proxy.proxy.admin.endpoint import Endpoint
from budget_proxy.proxy.admin.question import Name, Question
from budget_proxy.types import Prediction

_TEXT: Final = {"type": ["string", "null"]}
_TEXTS: Final = {
    "anyOf": [_TEXT, {"type": "array", "items": {"type": ["string", "null"]}}],
}
_DESCRIPTOR: Final = {
    "type": "object",
    "description": "A task descriptor; every field may be left out.",
    "properties": {
        "description": _TEXT,
        "type": {**_TEXT, "description": "Such as bug-fix; types that are not ours are kept."},
        "complexity": {
            "anyOf": [
                {"type": "number", "minimum": 0, "maximum": 100},
                {"enum": [*COMPLEXITY_WORDS, None]},
            ]
        },
        "domain": _TEXTS,
        "domains": _TEXTS,
        "story_points": {"type": ["number", "null"], "minimum": 0},
        "priority": {"enum": [*PRIORITIES, None]},
        "labels": _TEXTS,
        "subtasks": {"anyOf": [{"type": ["integer", "null"], "minimum": 0}, {"type": "array"}]},
    },
    "additionalProperties": False,
    "examples": [{"type": "bug-fix", "description": "users are logged out at random"}],
}


class AskedPrediction(Question):
    """What ``/predict`` is asked."""

    task: dict[str, Any]
    agent: Name | None = Field(None, description="Who will do the task.")
    model: Name | None = Field(None, description="The model that will.")
    strategy: Name | None = Field(
        None,
        description="Another strategy: learned, quantile, rolling, similarity, heuristic, fixed:N.",
    )


def predict(engine: Engine, asked: AskedPrediction) -> Prediction:
    """The tokens that a task will need, as `budget-proxy predict --json`."""
    return engine.predict(asked.task, agent=asked.agent, model=asked.model, strategy=asked.strategy)


ENDPOINTS = (
    Endpoint(
        "POST",
        "/predict",
        AskedPrediction,
        Prediction,
        predict,
        body="task",
        schema=_DESCRIPTOR,
        role="approver",
    ),
)
