"""Limits: how much of what, for whom, and over which time.

A limit with several names of a scope concerns the calls that have them all. The name ``*``
(``EACH``) stands for each value apart: one limit then keeps one account a value, and calls
that name none share one. A limit that names a value takes the place of one of ``EACH`` for that
value (``beaten``). Runs are named by paths: ``ticket/fix`` is a part of ``ticket``, so that what a
child uses comes out of its parent's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import isnan
from typing import Final, Literal, get_args

from budget_proxy.errors import InvalidInput
from budget_proxy.ledger.windows import Window
from budget_proxy.types import CallRecord, frozen

Unit = Literal["tokens", "output_tokens", "usd"]
Action = Literal["refuse", "alert", "degrade"]
Hold = Literal["predicted", "worst"]

UNITS: Final = get_args(Unit)
ACTIONS: Final = get_args(Action)
HOLDS: Final = get_args(Hold)
ENFORCED: Final[frozenset[Action]] = frozenset({"refuse", "degrade"})
"""The actions of limits that calls have to reserve of."""
DIMENSIONS: Final = ("key", "user", "agent", "task", "model", "tag", "run")
EACH: Final = "*"
NANO: Final = 1_000_000_000
"""Nano-dollars a US dollar: amounts of money are whole numbers of them."""
MOST: Final = 10**18
"""More than any limit needs, and less than SQLite's largest number by a factor of nine."""
MOST_A_ROW: Final = 10**13
"""More no row counts, whatever it says: ten trillion tokens, or 10,000 dollars."""


@frozen
class Whose:
    """Whom usage is counted for. ``user`` is a pseudonym; ``runs`` a run and those above it."""

    key: str = ""
    user: str = ""
    agent: str = ""
    task: str = ""
    model: str = ""
    tags: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()

    def names(self, dimension: str) -> tuple[str, ...]:
        """The names that it has in a dimension; the one name of nobody is empty."""
        if dimension == "tag":
            return tuple(dict.fromkeys(self.tags)) or ("",)
        if dimension == "run":
            return self.runs or ("",)
        return (getattr(self, dimension),)


@dataclass(frozen=True, slots=True)
class Limit:
    """So many tokens (input and output, or output alone) or nano-dollars in every window.

    ``where`` has pairs of a dimension and a name, at most one of them ``EACH``; empty, it
    concerns every call. An ``amount`` of 0 means 0. ``action`` says what becomes of a call
    beyond it: refused, let through with an alert, or tried with ``model`` or ``effort`` before
    it is refused. Days and longer windows begin in ``zone``. ``hold`` says what a call under
    way holds: what is predicted, or the worst case. Raises InvalidInput on what makes no sense.
    """

    unit: Unit
    amount: int
    window: Window
    where: tuple[tuple[str, str], ...] = ()
    action: Action = "refuse"
    model: str | None = None
    effort: str | None = None
    zone: str = "UTC"
    hold: Hold = "predicted"
    name: str = ""
    created: float = 0.0
    id: int = 0

    def __post_init__(self) -> None:
        """Check it."""
        for what, value, known in (
            ("unit", self.unit, UNITS),
            ("window", self.window, get_args(Window)),
            ("action", self.action, ACTIONS),
            ("hold", self.hold, HOLDS),
        ):
            if value not in known:
                raise InvalidInput(f"a limit's {what} is one of {', '.join(known)}, not {value!r}")
        if not 0 <= self.amount <= MOST:
            raise InvalidInput(f"a limit lies between 0 and {MOST}, not at {self.amount}")
        dimensions = [dimension for dimension, _ in self.where]
        if unknown := [one for one in dimensions if one not in DIMENSIONS]:
            raise InvalidInput(f"limits are by {', '.join(DIMENSIONS)}, not by {unknown[0]!r}")
        if len(set(dimensions)) < len(dimensions):
            raise InvalidInput("a limit names a dimension once; make a second limit for another")
        if sum(name == EACH for _, name in self.where) > 1:
            raise InvalidInput(f"a limit keeps accounts by one dimension: one {EACH} at most")
        if self.action == "degrade" and self.model is None and self.effort is None:
            raise InvalidInput("a limit that degrades names a model or an effort to fall back to")
        if self.action != "degrade" and (self.model or self.effort):
            raise InvalidInput("a model or an effort to fall back to needs the action degrade")

    @property
    def by(self) -> str | None:
        """The dimension that it keeps accounts by; ``None`` if all calls share one."""
        return next((dimension for dimension, name in self.where if name == EACH), None)

    def parts(self, whose: Whose) -> tuple[str, ...]:
        """The accounts of this limit that a call's usage is counted in; none where it is not.

        An account is named by what stands in the place of ``EACH``, else by an empty name.
        """
        found: tuple[str, ...] = ("",)
        for dimension, name in self.where:
            names = whose.names(dimension)
            if name == EACH:
                found = names
            elif name not in names:
                return ()
        return found


def beaten(limits: Iterable[Limit]) -> Mapping[int, frozenset[str]]:
    """The accounts of limits by ``EACH`` that hold nobody, by the limit's id.

    Those are of values that a limit of the same unit, window and other names has named: each user
    may have 100,000 tokens a day, and one of them 500,000. What only alerts lifts nothing that
    refuses. Rows are counted in all accounts the same.
    """
    known = list(limits)
    named: defaultdict[object, set[tuple[str, bool]]] = defaultdict(set)
    for limit in known:
        for dimension, name in limit.where:
            if limit.by is None:
                named[_apart(limit, dimension)].add((name, limit.action in ENFORCED))
    found = {}
    for limit in known:
        by = limit.by
        if by is not None:
            holds = limit.action in ENFORCED
            names = {name for name, other in named[_apart(limit, by)] if other or not holds}
            if names:
                found[limit.id] = frozenset(names)
    return found


def _apart(limit: Limit, dimension: str) -> tuple[object, ...]:
    """What two limits share that differ in one name at most."""
    others = frozenset(pair for pair in limit.where if pair[0] != dimension)
    return limit.unit, limit.window, dimension, others


def runs_of(path: str | None) -> tuple[str, ...]:
    """A run and those above it, from its path: ``a/b`` is a part of ``a``, ``/a`` of none."""
    if not path:
        return ()
    ends = (at for at, sign in enumerate(path) if sign == "/" and path[:at].strip("/"))
    return (*(path[:at] for at in ends if path[at - 1] != "/"), path)


def whose_of(row: CallRecord) -> Whose:
    """Whom a row of the history is counted for."""
    return Whose(
        row.key or "", row.user or "", row.agent, row.task or "", row.model,
        row.tags, runs_of(row.run),
    )  # fmt: skip


def amount_of(unit: Unit, row: CallRecord) -> int:
    """What a row of the history counts in a unit: tokens, or nano-dollars.

    Tokens that nobody knows count nothing; a row that has no price is charged at the dearest
    one before it is written (design decision 11). Rows of older versions count their cost.
    """
    if unit == "usd":
        return _sane(nano_of(row.cost) if row.charged is None else row.charged)
    output = _sane(row.output_tokens)
    return output if unit == "output_tokens" else output + _sane(row.input_tokens)


def nano_of(cost: float | None) -> int | None:
    """US dollars as whole nano-dollars, halves up; what is no number is unknown."""
    if cost is None or isnan(cost):
        return None
    return int(min(max(cost, 0.0) * NANO, MOST_A_ROW) + 0.5)


def _sane(amount: int | None) -> int:
    return min(max(amount or 0, 0), MOST_A_ROW)
