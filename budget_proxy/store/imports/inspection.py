"""What is wrong, or odd, with calls that are imported: counts and the first examples by kind.

Examples tell where a row is and which number is odd, never what was said. What is kept in memory
grows with kinds and groups, not with rows.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import exp, log
from types import MappingProxyType
from typing import Final

from budget_proxy.store.recorded import ImpossibleUsage, RecordedCall
from budget_proxy.types import NO_ANSWER

EXAMPLES: Final = 5
MOST_TOKENS: Final = 2_000_000
"""Output tokens that no call has, whatever its model."""

DEVIATIONS: Final = 6.0
"""From so many robust standard deviations on, a length is an outlier of its group."""

KINDS: Final[Mapping[str, tuple[bool, str]]] = MappingProxyType(
    {
        "malformed": (False, "cannot be read"),
        "impossible": (False, "usage that no call can have"),
        "no-usage": (False, "no output tokens, so nothing to learn"),
        "no-call": (False, "something else than an answered call"),
        "repeated": (False, "the same call twice in what is imported"),
        "known": (False, "in the history already"),
        "folded": (False, "of a day whose calls were folded into sums already"),
        "contradiction": (True, "a part of the usage beyond the whole: that part is left out"),
        "unfinished": (True, "the end of the answer is missing: counted, but no length"),
        "clock": (True, "an odd time"),
        "outlier": (True, "a length far from its group's"),
    }
)
"""By name: whether such rows are taken all the same, and what they are."""

DUPLICATES: Final = frozenset({"repeated", "known", "folded"})

_COUNTS: Final = (
    "input_tokens", "cached_tokens", "cache_write_tokens", "reasoning_tokens", "max_tokens", "n",
)  # fmt: skip
_MOST: Final = 1_000_000_000
_EARLIEST: Final = datetime(2020, 1, 1, tzinfo=UTC).timestamp()
_LATEST: Final = datetime(2100, 1, 1, tzinfo=UTC).timestamp()
_DAY: Final = 86_400.0
_SESSIONS: Final = 10_000
_GROUPS: Final = 2_000
_LEAST: Final = 20
_BIN: Final = 0.1
_LEAST_SPREAD: Final = 0.25

MaxOutput = Callable[[str], int | None]


@dataclass(slots=True)
class Finding:
    """How many rows of a kind there were; ``kept``: they were taken all the same."""

    kind: str
    what: str
    kept: bool
    rows: int = 0
    examples: list[str] = field(default_factory=list)


class Inspection:
    """Looks at calls as they pass. ``now`` is in Unix seconds; ``max_output`` is by model."""

    def __init__(self, now: float, max_output: MaxOutput) -> None:
        self._now = now
        self._max_output = max_output
        self._findings: dict[str, Finding] = {}
        self._last: OrderedDict[str, float] = OrderedDict()
        self._lengths: dict[tuple[str, str], _Lengths] = {}

    def note(self, kind: str, where: str, what: str = "") -> None:
        """Count a row of a kind."""
        found = self._findings.get(kind)
        if found is None:
            kept, description = KINDS[kind]
            found = self._findings[kind] = Finding(kind, description, kept)
        found.rows += 1
        told = kind == "no-call" and any(example.endswith(what) for example in found.examples)
        if len(found.examples) < EXAMPLES and not told:  # one of each sort says more there
            found.examples.append(f"{where}: {what}" if what else where)

    def fault(self, call: RecordedCall) -> tuple[str, str] | None:
        """Why a call cannot be taken, as a kind and in words; ``None`` if it can."""
        if not 0 <= call.ts < _LATEST:
            return "malformed", f"{call.ts:g} is no time in Unix seconds"
        if call.finish_reason in NO_ANSWER:
            return "no-call", f"the call ended as {call.finish_reason}"
        tokens = call.output_tokens
        if not tokens:
            return "no-usage", "no output_tokens" if tokens is None else "0 output tokens"
        for name in _COUNTS:
            if (getattr(call, name) or 0) > _MOST:
                return "impossible", f"{name} beyond {_MOST}"
        most = (self._max_output(call.model) if call.model else None) or MOST_TOKENS
        if tokens > min(most * max(call.n, 1), MOST_TOKENS):
            return "impossible", f"{tokens} output tokens, where {most} are the most"
        return None

    def look(self, call: RecordedCall, where: str) -> None:
        """Note what is odd in a call that is taken."""
        for part, whole in (("cached", "input"), ("reasoning", "output")):
            some, all_ = getattr(call, f"{part}_tokens"), getattr(call, f"{whole}_tokens")
            if some is not None and all_ is not None and some > all_:
                self.note("contradiction", where, f"{some} {part} of {all_} {whole} tokens")
        if not call.exact:
            self.note("unfinished", where)
        self._look_at_clock(call, where)
        self._look_at_length(call, where)

    def findings(self) -> list[Finding]:
        """All that was found, in the order of KINDS."""
        found = dict(self._findings)
        outliers = [lengths.outliers() for lengths in self._lengths.values()]
        rows = sum(count for count, _ in outliers)
        if rows:
            kept, what = KINDS["outlier"]
            examples = [example for _, some in outliers for example in some][:EXAMPLES]
            found["outlier"] = Finding("outlier", what, kept, rows, examples)
        return [found[kind] for kind in KINDS if kind in found]

    def _look_at_clock(self, call: RecordedCall, where: str) -> None:
        if call.ts > self._now + _DAY:
            self.note("clock", where, "in the future")
        elif call.ts < _EARLIEST:
            self.note("clock", where, "before 2020")
        if call.session is None:
            return
        last = self._last.pop(call.session, call.ts)
        if call.ts < last:
            self.note(
                "clock", where, f"{last - call.ts:.0f} s before the call above it in its session"
            )
        self._last[call.session] = max(last, call.ts)
        if len(self._last) > _SESSIONS:
            self._last.popitem(last=False)

    def _look_at_length(self, call: RecordedCall, where: str) -> None:
        group = (call.agent or "", call.model or "")
        lengths = self._lengths.get(group)
        if lengths is None:
            if len(self._lengths) >= _GROUPS:
                return
            lengths = self._lengths[group] = _Lengths()
        lengths.add(call.output_tokens or 0, where)


class _Lengths:
    """The lengths of a group on a log grid, and the longest and shortest of them."""

    def __init__(self) -> None:
        self._bins: Counter[int] = Counter()
        self._highest: list[tuple[int, str]] = []
        self._lowest: list[tuple[int, str]] = []

    def add(self, tokens: int, where: str) -> None:
        """Count a length."""
        self._bins[round(log(max(tokens, 1)) / _BIN)] += 1
        _keep(self._highest, (tokens, where), sign=-1)
        _keep(self._lowest, (tokens, where), sign=1)

    def outliers(self) -> tuple[int, list[str]]:
        """How many there are, and examples: too far from the median in ln(tokens).

        The spread is 1.4826 x the median absolute deviation, and at least 0.25.
        """
        if self._bins.total() < _LEAST:
            return 0, []
        middle = _median(self._bins)
        deviations: Counter[int] = Counter()
        for bin_, count in self._bins.items():
            deviations[abs(bin_ - middle)] += count
        spread = max(1.4826 * _median(deviations), _LEAST_SPREAD / _BIN)
        limit = DEVIATIONS * spread
        count = sum(n for bin_, n in self._bins.items() if abs(bin_ - middle) > limit)
        examples = [
            f"{where}: {tokens} tokens, where {exp(middle * _BIN):.0f} are usual"
            for tokens, where in (*self._highest, *self._lowest)
            if abs(round(log(max(tokens, 1)) / _BIN) - middle) > limit
        ]
        return count, examples


def _keep(some: list[tuple[int, str]], one: tuple[int, str], *, sign: int) -> None:
    if len(some) < EXAMPLES or sign * one[0] < sign * some[-1][0]:
        some.append(one)
        some.sort(key=lambda item: sign * item[0])
        del some[EXAMPLES:]


def _median(bins: Counter[int]) -> int:
    half, seen = bins.total() / 2, 0
    for bin_ in sorted(bins):
        seen += bins[bin_]
        if seen >= half:
            return bin_
    raise ValueError("an empty set has no median")


def kind_of(error: Exception) -> str:
    """The kind of a row that could not be read."""
    return "impossible" if isinstance(error, ImpossibleUsage) else "malformed"
