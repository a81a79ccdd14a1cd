"""Why a bill counts other tokens than our rows: bucket by bucket, as far as the figures tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from typing import Final

from budget_proxy.analytics.billing.cells import Bucket, Cell, counted
from budget_proxy.analytics.billing.parts import Cause, Part
from budget_proxy.store.billed import Spent

_INPUT: Final = ("input", "cache_read", "cache_write", "cache_write_1h")
_SAME: Final = 0.002
"""Tokens of input that are apart by a smaller share are the same."""

_NEARLY: Final = 0.9
_ALIKE: Final = 0.1

Tokens = Mapping[Bucket, int]
Values = Mapping[Bucket, Fraction]


class Counts:
    """One place's tokens. ``beyond`` are the bill's beyond ours, ``values`` what one is worth."""

    def __init__(
        self, cell: Cell, beyond: Tokens, values: Values, ours: Tokens, habit: Fraction | None
    ) -> None:
        self._cell = cell
        self._habit = habit
        self._left = Counter({bucket: n for bucket, n in beyond.items() if n})
        self._values = values
        self._ours = ours
        answered = [one for one in cell.spent if not one.failed]
        billed = cell.bill.requests
        self._more = None if billed is None else billed - sum(one.attempts for one in answered)

    def parts(self, fold: Mapping[Bucket, Bucket]) -> Iterator[Part]:
        """All of it. ``fold`` maps buckets of our rows to those that the bill tells apart."""
        spent = self._cell.spent
        repeated = _folded([one for one in spent if one.repeated], fold)
        failed = _folded([one for one in spent if one.failed], fold)
        guessed = _folded([one for one in spent if not one.exact], fold)
        yield from self._moved(guessed)
        twice = sum(one.attempts for one in spent if one.repeated and not one.failed)
        if self._takes(repeated, twice):
            yield from self._taken("repeated-rows", repeated, -twice)
            self._more = None if self._more is None else self._more + twice
            guessed = guessed - _folded((s for s in spent if s.repeated and not s.exact), fold)
        if self._unpaid(failed):
            yield from self._taken("unbilled-rows", failed, None, "they brought no answer")
            guessed = guessed - failed
        yield from self._guesses(guessed)
        yield from self._rows()

    def _moved(self, guessed: Tokens) -> Iterator[Part]:
        """Tokens that are the same in all, but in another tier or another kind of input."""
        for bucket in sorted(self._left):
            for other in sorted(self._left):
                tier = bucket[0] == other[0] and bucket[1] != other[1]
                cache = bucket[1] == other[1] and {bucket[0], other[0]} <= {*_INPUT}
                number = min(self._left[bucket], -self._left[other])
                if number <= 0 or not (tier or cache):
                    continue
                yield from self._move(other, bucket, number, guessed, tier=tier)

    def _move(
        self, source: Bucket, target: Bucket, number: int, guessed: Tokens, *, tier: bool
    ) -> Iterator[Part]:
        self._left[target] -= number
        self._left[source] += number
        worth = self._values[target] - self._values[source]
        if not tier and self._ours.get(target) and number <= guessed[source]:
            note = f"estimates do not tell {named(target)} from {named(source)}"
            yield Part("estimated-usage", number * worth, bucket=target, note=note)
            return
        yield Part(
            "tier" if tier else "cache", number * worth, number,
            bucket=target, ours=self._values[source], theirs=self._values[target],
            note=f"billed as {named(target)}, in our rows {named(source)}",
        )  # fmt: skip

    def _takes(self, some: Tokens, attempts: int) -> bool:
        """Whether the bill lacks about these tokens."""
        if not any(some.values()) or (self._more is not None and self._more > -attempts / 2):
            return False
        return all(self._left[bucket] <= -_NEARLY * n for bucket, n in some.items() if n)

    def _unpaid(self, failed: Tokens) -> bool:
        """Whether the bill lacks the tokens of attempts that brought no answer."""
        whole = sum(failed.values())
        if not whole:
            return False
        lacking = -sum(self._left[bucket] for bucket in failed)
        return lacking >= _NEARLY * whole or (self._more == 0 and lacking > whole / 2)

    def _taken(
        self, cause: Cause, some: Tokens, requests: int | None, note: str = ""
    ) -> Iterator[Part]:
        for bucket, number in some.items():
            if number:
                self._left[bucket] += number
                yield self._part(cause, bucket, -number, requests=requests, note=note)
                requests = None  # told once

    def _guesses(self, guessed: Tokens) -> Iterator[Part]:
        """What is put down to estimates: all where no row is missing, else what rows leave."""
        if not any(guessed.values()):
            return
        given = sum(n for bucket, n in self._left.items() if bucket[0] in _INPUT)
        whole = sum(n for bucket, n in self._ours.items() if bucket[0] in _INPUT)
        same = self._more == 0 if self._more is not None else abs(given) <= _SAME * whole
        rate = Fraction(given, whole) if whole else Fraction(0)
        for bucket in list(self._left):
            if not same and bucket[0] in _INPUT:
                continue
            guess = self._guess(bucket, guessed[bucket], None if same else rate)
            if not guess:
                continue
            self._left[bucket] -= guess
            yield self._part(
                "estimated-usage", bucket, guess,
                estimate=guessed[bucket], other=None if same else "missing-rows",
            )  # fmt: skip

    def _guess(self, bucket: Bucket, guessed: int, rate: Fraction | None) -> int:
        """How many tokens the estimates of a bucket lack.

        ``rate`` is the share of our input that the bill has beyond it; ``None`` where rows are
        the same. Where they are not, estimates are as they are on other days, if that is known;
        else they lack what rows in proportion to the input do not make up.
        """
        left = self._left[bucket]
        if rate is None:
            return max(left, -guessed)
        if self._habit is not None:
            return round(guessed * self._habit)
        rows = round(rate * self._ours.get(bucket, 0))
        guess = max(left - rows, -guessed)
        return 0 if abs(guess) <= _ALIKE * abs(rows) else guess

    def _rows(self) -> Iterator[Part]:
        """What is left: rows that one side does not have."""
        more = self._more
        for bucket, number in self._left.items():
            if not number:
                continue
            cause: Cause = "missing-rows" if number > 0 else "unbilled-rows"
            told = more if more and (more > 0) == (number > 0) else None
            yield self._part(cause, bucket, number, requests=told)
            more = None if told else more

    def _part(self, cause: Cause, bucket: Bucket, tokens: int, **given: object) -> Part:
        amount = tokens * self._values[bucket]
        return Part(cause, amount, tokens, bucket=bucket, **given)  # type: ignore[arg-type]  # as named


def habit(cells: Iterable[Cell]) -> Fraction | None:
    """What share of a model's estimated output the bill has beyond it, where rows are the same.

    Negative where estimates are too high; ``None`` where that is nowhere known.
    """
    lacking = guessed = 0
    for cell in cells:
        estimate = sum(one.output for one in cell.spent if not one.exact and not one.failed)
        if cell.bill.tokens is None or not estimate or not _same_rows(cell):
            continue
        billed = sum(n for (kind, _), n in cell.bill.tokens.items() if kind == "output")
        lacking += billed - sum(one.output for one in cell.spent if not one.failed)
        guessed += estimate
    return Fraction(lacking, guessed) if guessed else None


def _same_rows(cell: Cell) -> bool:
    """Whether both sides count the same requests, or else the same input."""
    answered = [one for one in cell.spent if not one.failed]
    if cell.bill.requests is not None:
        return cell.bill.requests == sum(one.attempts for one in answered)
    given = sum(one.fresh + one.cached + one.written for one in answered)
    told = cell.bill.tokens or {}
    billed = sum(n for (kind, _), n in told.items() if kind in _INPUT)
    return abs(billed - given) <= _SAME * given


def _folded(spent: Iterable[Spent], fold: Mapping[Bucket, Bucket]) -> Counter[Bucket]:
    found: Counter[Bucket] = Counter()
    for bucket, tokens in counted(spent).items():
        found[fold[bucket]] += tokens
    return found


def named(bucket: Bucket) -> str:
    """A bucket in words."""
    kind, tier = bucket
    words = {
        "input": "fresh input", "cache_read": "cache reads", "cache_write": "cache writes",
        "cache_write_1h": "cache writes for an hour", "output": "output",
    }  # fmt: skip
    return f"{words.get(kind, kind)} ({tier})" if tier else words.get(kind, kind)
