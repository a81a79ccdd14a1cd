"""What came before in a session: the lengths of its calls so far, as numbers.

Keeps the sessions that learned last. It knows nothing of texts: how the last message ended is
a key.
"""

from __future__ import annotations

from collections import OrderedDict
from copy import copy
from math import exp, expm1, log1p, sqrt
from typing import Final

from budget_proxy.predict.cases import Case

NUMBERS: Final = (
    "in a session", "step", "last", "one before", "two before", "mean", "most", "lately",
    "spread", "growth", "last rest", "since a long one", "same ending", "first", "last - lately",
    "reasoning", "input", "growth before", "added", "grown", "billed", "billed more",
    "billed growth", "observed",
)  # fmt: skip
"""The numbers' names, in order; lengths are ln(tokens) less the general mean."""

_LONG: Final = 6.0  # ln(400 tokens): an answer that does more than name the next command
_NEVER: Final = 9
_LATELY, _SPREAD = 0.3, 0.2  # weight of the newest
_NEW_VARIANCE: Final = 0.5
_NOTHING, _NOTHING_AFTER = (0.0,) * 12, (0.0,) * 7


class Before:
    """What came before in one session."""

    __slots__ = (
        "billed", "billed_more", "count", "first_billed", "first_input", "grown", "input", "lately",
        "lengths", "most", "reasoning", "rest", "since", "sum", "tail", "variance",
    )  # fmt: skip

    def __init__(self, length: float, start: float) -> None:
        self.count = 0
        self.sum = 0.0
        self.most = self.lately = length
        self.variance = _NEW_VARIANCE
        self.lengths = (length, length, length)
        self.input = self.first_input = start
        self.grown = 0.0
        self.rest = 0.0
        self.since = _NEVER
        self.tail = 0
        self.reasoning = 0.0
        self.billed = self.first_billed = 0.0
        self.billed_more = 0.0


class Sessions:
    """Sessions by key, at most ``most`` of them."""

    __slots__ = ("_most", "_sessions")

    def __init__(self, most: int = 4096) -> None:
        self._most = most
        self._sessions: OrderedDict[int, Before] = OrderedDict()

    def copy(self) -> Sessions:
        """The same, to be added to apart from this."""
        twin = Sessions(self._most)
        twin._sessions.update((key, copy(known)) for key, known in self._sessions.items())
        return twin

    def look(self, case: Case, general: float) -> tuple[float, ...]:
        """NUMBERS for a call that is to come; ``general`` is the mean ln(tokens) of all calls."""
        inputs, session = case.input / 4.0, case.session
        known = self._sessions.get(session) if session else None
        if known is None:
            return (float(session > 0), *_NOTHING, 1.0, 0.0, 0.0, inputs, *_NOTHING_AFTER)
        last, second, third = known.lengths
        return (
            1.0,
            log1p(known.count) / 2.0,
            last - general,
            second - general,
            third - general,
            known.sum / known.count - general,
            known.most - general,
            known.lately - general,
            sqrt(known.variance),
            min(max(case.input - known.input, -3.0), 3.0),
            known.rest,
            min(log1p(known.since), 4.0) / 2.0,
            float(known.tail == case.tail),
            0.0,
            last - known.lately,
            known.reasoning,
            inputs,
            known.grown,
            _more(case.input, known.input),
            _more(known.input, known.first_input),
            known.billed / 4.0,
            known.billed_more,
            _more(known.billed, known.first_billed),
            _more(case.input, log1p(expm1(known.input) + exp(last))),
        )

    def add(
        self, case: Case, length: float, rest: float, reasoning: float, billed: float = 0.0
    ) -> None:
        """Count one outcome in: ln(tokens), and what the effects left of it.

        ``reasoning`` and ``billed`` (the input) are ln(1 + tokens), 0 where not known.
        """
        session = case.session
        if not session:
            return
        known = self._sessions.get(session)
        if known is None:
            known = self._sessions[session] = Before(length, case.input)
            if len(self._sessions) > self._most:
                self._sessions.popitem(last=False)
        else:
            away = length - known.lately
            known.lately += _LATELY * away
            known.variance += _SPREAD * (away * away - known.variance)
            known.lengths = (length, *known.lengths[:2])
            known.grown = _more(case.input, known.input)
            self._sessions.move_to_end(session)
        if billed:
            known.first_billed = known.first_billed or billed
            known.billed_more = _more(billed, known.billed) if known.billed else 0.0
            known.billed = billed
        known.count += 1
        known.sum += length
        known.most = max(known.most, length)
        known.input = case.input
        known.rest = rest
        known.since = 0 if length > _LONG else known.since + 1
        known.tail = case.tail
        known.reasoning = reasoning / 3.0


def _more(now: float, before: float) -> float:
    """Tokens of input that came on top, as ln / 3; both are ln(1 + tokens)."""
    return log1p(expm1(now) - expm1(before)) / 3.0 if now > before else 0.0
