"""The nouns of billing: what providers billed, and what our rows say was used and paid.

Money is whole nano-dollars ($1 = 1,000,000,000), so that sums are exact. Knows no database.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from math import floor, isnan
from typing import Final, Literal

from budget_proxy.store.measures import MOST_TOKENS
from budget_proxy.types import NO_ANSWER, NO_PROVIDER, CallRecord, frozen

Report = Literal["cost", "usage"]
Kind = Literal["input", "cache_read", "cache_write", "cache_write_1h", "output", "all", "other"]

NANO: Final = 1_000_000_000
"""Nano-dollars in a dollar."""

SpentKey = tuple[int, str, str, str, str, str, bool, bool, bool, bool, bool]
"""What attempts have in common that are summed: see Spent."""

TOKEN_KINDS: Final[tuple[Kind, ...]] = (
    "input", "cache_read", "cache_write", "cache_write_1h", "output",
)  # fmt: skip
"""Tokens that are priced apart; they exclude each other: ``input`` is fresh input."""

MOST_DOLLARS: Final = 1e6
"""As dearer no single attempt counts, whatever its row says."""

HALF_HOUR: Final = 1_800
DAY: Final = 86_400


@frozen
class Billed:
    """One line of a provider's export: what it charged, or counted, on one day (UTC).

    ``report`` says which of the provider's reports it is from. ``kind`` is a kind of tokens,
    "all" where the export does not tell kinds apart, or "other" for what is no tokens;
    ``item`` is what the export calls it. ``amount`` is in nano-dollars (``None``: not told, as
    in reports of usage), ``tokens`` and ``requests`` are counts (``None``: not told; requests
    stand on lines of output alone). ``file`` and ``digest`` (SHA-256) tell where it came from.
    A line without model and kind "all", of amount 0, says that nothing was billed that day.
    """

    provider: str
    report: Report
    day: str
    model: str = ""
    kind: Kind = "all"
    item: str = ""
    tier: str = ""
    project: str = ""
    amount: int | None = None
    tokens: int | None = None
    requests: int | None = None
    file: str = ""
    digest: str = ""
    imported: float = 0.0

    @property
    def scope(self) -> tuple[str, str, str]:
        """What a newer export of the same replaces: provider, report and day."""
        return (self.provider, self.report, self.day)


@frozen
class Taken:
    """What became of an export: lines ``written``, ``unchanged`` ones, and those ``replaced``."""

    written: int
    unchanged: int
    replaced: tuple[Billed, ...]


@frozen
class Spent:
    """Attempts of one half hour (``start``, Unix seconds) that have all else in common, summed.

    ``fresh``, ``cached``, ``written`` and ``output`` are tokens that exclude each other;
    ``amount`` is what they cost by our prices, in nano-dollars, 0 where not ``priced``.
    ``prices`` is the version of these. ``failed`` ones brought no answer. ``repeated`` ones have
    time, model and tokens of an earlier row. ``late`` ones ended on a later day (UTC) than they
    began.
    """

    start: int
    api: str
    host: str
    model: str
    tier: str
    prices: str
    exact: bool
    priced: bool
    failed: bool
    repeated: bool
    late: bool
    attempts: int
    fresh: int
    cached: int
    written: int
    output: int
    amount: int

    @property
    def key(self) -> SpentKey:
        """All that they have in common."""
        return (
            self.start, self.api, self.host, self.model, self.tier, self.prices, self.exact,
            self.priced, self.failed, self.repeated, self.late,
        )  # fmt: skip


def nano(dollars: Decimal) -> int:
    """A decimal amount of dollars as nano-dollars, rounded to the nearest (half to even)."""
    return int((dollars * NANO).quantize(Decimal(1), rounding=ROUND_HALF_EVEN))


def sorted_out(
    old: Sequence[Billed], new: Sequence[Billed]
) -> tuple[list[Billed], list[Billed], int]:
    """Which old lines go, which new ones are written, and how many are there already.

    ``old`` are the lines of the new ones' scopes. What is there of the same provider, report and
    day goes; where old and new lines all name a project, only that of the projects which are
    new. A day whose lines come from the very same file stays as it is.
    """
    there, come = _by_scope(old), _by_scope(new)
    going: list[Billed] = []
    coming: list[Billed] = []
    unchanged = 0
    for scope, lines in come.items():
        before = there.get(scope, [])
        projects = {line.project for line in lines}
        if "" not in projects and all(line.project for line in before):
            before = [line for line in before if line.project in projects]
        if len(before) == len(lines) and {line.digest for line in before} == {lines[0].digest}:
            unchanged += len(lines)
            continue
        going += before
        coming += lines
    return going, coming, unchanged


def _by_scope(lines: Iterable[Billed]) -> dict[tuple[str, str, str], list[Billed]]:
    found: defaultdict[tuple[str, str, str], list[Billed]] = defaultdict(list)
    for line in lines:
        found[line.scope].append(line)
    return found


def spent_of(records: Iterable[CallRecord]) -> list[Spent]:
    """Rows as Spent; rows come in the order of their ids. In SQL: store/billing.py."""
    seen: set[tuple[object, ...]] = set()
    sums: defaultdict[SpentKey, list[int]] = defaultdict(lambda: [0] * 6)
    for record in records:
        if record.api == NO_PROVIDER:
            continue
        one = _spent(record, repeated=_is_repeated(record, seen))
        for place, number in enumerate(
            (one.attempts, one.fresh, one.cached, one.written, one.output, one.amount)
        ):
            sums[one.key][place] += number
    return sorted((Spent(*key, *numbers) for key, numbers in sums.items()), key=_order)


def _order(one: Spent) -> tuple[object, ...]:
    return one.key


def _is_repeated(record: CallRecord, seen: set[tuple[object, ...]]) -> bool:
    facts = (
        record.model, record.ts, record.attempt, record.input_tokens, record.output_tokens,
    )  # fmt: skip
    if facts in seen:
        return bool((record.input_tokens or 0) + (record.output_tokens or 0))
    seen.add(facts)
    return False


def _spent(record: CallRecord, *, repeated: bool) -> Spent:
    given, output = _tokens(record.input_tokens), _tokens(record.output_tokens)
    cached, written = _tokens(record.cache_read_tokens), _tokens(record.cache_write_tokens)
    priced = record.cost is not None and not isnan(record.cost)
    cost = min(max(record.cost or 0.0, 0.0), MOST_DOLLARS) if priced else 0.0
    return Spent(
        start=int(record.ts) // HALF_HOUR * HALF_HOUR,
        api=record.api,
        host=record.host,
        model=record.model,
        tier=record.tier or "",
        prices=record.prices or "",
        exact=record.exact,
        priced=priced,
        failed=record.finish_reason in NO_ANSWER,
        repeated=repeated,
        late=record.ts % DAY + (record.seconds or 0.0) >= DAY,
        attempts=1,
        fresh=max(given - cached - written, 0),
        cached=cached,
        written=written,
        output=output,
        amount=floor(cost * NANO + 0.5),
    )


def _tokens(count: int | None) -> int:
    return min(max(count or 0, 0), MOST_TOKENS)
