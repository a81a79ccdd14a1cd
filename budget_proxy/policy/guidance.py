"""The budget note that a model reads, in a compact and a detailed form.

Every number in it is coarse, so that like calls get the same bytes and a provider's prompt
cache holds. It states an aim and never orders a cut: a text is a nudge, and too small a
number makes answers longer. Left out: when a session may start to carry a note, and where
in a body it is written (``wire``).
"""

from __future__ import annotations

import hashlib
import math
from typing import Final

from budget_proxy.errors import InvalidInput
from budget_proxy.policy.base import VERSION
from budget_proxy.policy.breakdown import breakdown
from budget_proxy.types import (
    Call,
    Characteristics,
    Forecast,
    Guidance,
    GuidanceForm,
    GuidancePlace,
)

FLOOR: Final = 64
"""The smallest number of tokens ever shown: below it, answers get longer, not shorter."""

_AIM: Final = (
    "An aim, not a limit: correctness and the required format come first; "
    "go over if the task needs it."
)
_COUNTS: Final = (20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)
_COMPLEXITY_TIPS: Final = {
    "low": "answer directly; a plan or a list of options is not needed.",
    "medium": "settle the approach in a few lines, then carry it out.",
    "high": "split the task into parts and finish each before the next.",
}
_CONFIDENCE_TIPS: Final = {
    "low": "the estimate is rough; trust the task over the number.",
    "medium": "the estimate is fair; expect to land somewhat off it.",
    "high": "the estimate has held well; going far over it deserves a reason.",
}
_CRITICALITY_TIPS: Final = {
    "low": "no second check is needed for details that are easy to put right later.",
    "medium": "check the result once before you finish.",
    "high": "check the result, its edge cases and its failure modes before you finish.",
}
_WARNINGS: Final = {
    "medium": "Warning: this task is important. Save tokens on wording, not on checks.",
    "high": "Warning: this task is critical. Do not leave out checks, error handling or "
    "safeguards to save tokens.",
}


def bucket(tokens: float) -> int:
    """Round up to the next of 64, 91, 128, 181, 256 ... tokens (64 x 2^(k/2), rounded).

    Applied to a bucket it changes nothing. Raises InvalidInput unless ``tokens`` is finite.
    """
    if not math.isfinite(tokens):
        raise InvalidInput(f"a token count must be a finite number, not {tokens}")
    step = 0
    while _rung(step) < tokens:
        step += 1
    return _rung(step)


def _within(tokens: float, call: Call) -> float | None:
    """The aim that is shown: no bucket above the caller's own cap, none below the lowest."""
    caps = [cap for cap in (call.ceiling, call.override.cap) if cap is not None]
    most = min(caps, default=None)
    if most is None or bucket(tokens) <= most:
        return tokens
    if most < FLOOR:
        return None
    step = 0
    while _rung(step + 1) <= most:
        step += 1
    return float(_rung(step))


def place(call: Call) -> tuple[GuidancePlace, int]:
    """Say where the note stands: the system prompt, or the newest user message by index.

    The latter where the cached prefix runs past the system prompt; a change before its end
    would cost more than the note saves. The index counts user messages from 0.
    """
    users = sum(message.role == "user" for message in call.messages)
    return ("user", users - 1) if call.cache_past_system and users else ("system", 0)


def compact(tokens: float) -> str:
    """Write the short note, at most 60 tokens: the bucket as an aim, correctness first."""
    return (
        f"<budget>Aim for about {bucket(tokens)} output tokens in all, reasoning included. "
        "Correctness and the required format come first: go over if the task needs it.</budget>"
    )


def detailed(tokens: float, characteristics: Characteristics, forecast: Forecast) -> str:
    """Write the long note (mission: prompt guidance), a function of coarse facts alone.

    Budget and alternatives in buckets, confidence and risk to the nearest 10 %, history in
    steps of 1, 2 and 5, the rest in words; the phases' shares come in steps of 5 %.
    """
    shown = bucket(tokens)
    complexity = _level(characteristics.complexity, 30.0, 60.0)
    criticality = _level(characteristics.criticality, 0.6, 0.8, strict=True)
    sure = _tens(forecast.confidence)
    lines = [
        "<budget>",
        f"# Token budget: about {shown} output tokens in all, reasoning included",
        _AIM,
        f"Task: {characteristics.task_type}, complexity {complexity}",
        _phases(characteristics),
        *_alternatives(shown, forecast),
        *filter(None, [_WARNINGS.get(criticality)]),
        "Use more when requirements conflict, a check fails or the required output is long.",
        "Use fewer when the answer is short, known or asked for in brief; never pad.",
        f"Tip (complexity {complexity}): {_COMPLEXITY_TIPS[complexity]}",
        f"Tip (criticality {criticality}): {_CRITICALITY_TIPS[criticality]}",
        _confidence_tip(sure),
        f"History: {_history(forecast.support)}",
        _efficiency(sure, forecast),
        "</budget>",
    ]
    return "\n".join(lines)


def compose(
    form: GuidanceForm,
    call: Call,
    characteristics: Characteristics,
    forecast: Forecast,
    target: float,
) -> Guidance | None:
    """Make the note for a session that starts with ``call``; ``None`` when the form is "off".

    It never asks for more than the caller's own cap, and says nothing where that is below the
    lowest bucket. Its id digests the policy's version and the text; ``tokens`` is estimated at four
    characters a token.
    """
    aim = None if form == "off" else _within(target, call)
    if aim is None:
        return None
    text = compact(aim) if form == "compact" else detailed(aim, characteristics, forecast)
    digest = hashlib.blake2b(f"{VERSION}\0{text}".encode(), digest_size=8)
    where, index = place(call)
    return Guidance(
        id=digest.hexdigest(),
        text=text,
        place=where,
        index=index,
        tokens=math.ceil(len(text) / 4),
    )


def _rung(step: int) -> int:
    return round(FLOOR * math.sqrt(2.0**step))


def _level(value: float, medium: float, high: float, *, strict: bool = False) -> str:
    if strict:  # the mission's criticality thresholds are exceeded, not reached
        return "high" if value > high else "medium" if value > medium else "low"
    return "high" if value >= high else "medium" if value >= medium else "low"


def _phases(characteristics: Characteristics) -> str:
    shares = breakdown(100, characteristics)  # of 100 tokens: the shares in per cent
    return (
        f"Phases: thinking {shares.thinking} %, planning {shares.planning} %, "
        f"execution {shares.execution} %, reflection {shares.reflection} %"
    )


def _alternatives(shown: int, forecast: Forecast) -> list[str]:
    """List the mission's .6 x and 1.5 x, in buckets, with the risk of the number shown."""
    lower, higher = bucket(0.6 * shown), bucket(1.5 * shown)
    others = [lower, higher] if lower < shown else [higher]
    return [
        f"Alternative: about {tokens} tokens; {_risk(tokens, forecast)} of such answers need more"
        for tokens in others
    ]


def _risk(tokens: int, forecast: Forecast) -> str:
    if tokens < forecast.values[0]:  # the forecast says nothing finer below its lowest level
        return f"over {min(_tens(1.0 - forecast.levels[0]), 90)} %"
    return _percent(1.0 - forecast.cdf(tokens))


def _confidence_tip(sure: int) -> str:
    level = _level(sure, 40, 70)
    return f"Tip (confidence {level}): {_CONFIDENCE_TIPS[level]}"


def _history(support: int) -> str:
    reached = [count for count in _COUNTS if support >= count]
    if reached:
        return f"at least {reached[-1]} earlier calls like this one"
    if support > 0:
        return f"fewer than {_COUNTS[0]} earlier calls like this one"
    return "no earlier calls like this one; estimated from the task alone"


def _efficiency(sure: int, forecast: Forecast) -> str:
    bar = "#" * (sure // 10)
    return f"Efficiency [{bar:-<10}] confidence {_percent(forecast.confidence)} in this budget"


def _tens(share: float) -> int:
    return 10 * math.floor(10.0 * min(max(share, 0.0), 1.0) + 0.5)


def _percent(share: float) -> str:
    tens = _tens(share)
    if tens == 0:
        return "under 10 %"
    return "over 90 %" if tens == 100 else f"about {tens} %"  # noqa: PLR2004 (per cent)
