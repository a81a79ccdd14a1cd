"""What a suggestion says, and what suggestions are made from.

A lower cap saves no money: providers bill what was generated. It frees reserved tokens, which
some providers count against a rate limit. So each suggestion says what kind of tokens it is
about, and money is a range that this history lets one expect, never a measured saving.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final, Literal

from budget_proxy.analytics.suggestions.rows import Rows
from budget_proxy.policy.base import Policy
from budget_proxy.store.sums import Sums, merged
from budget_proxy.types import CallRecord, Capabilities
from budget_proxy.wire.rates import Rates

Kind = Literal[
    "over-allocated",
    "under-allocated",
    "idle-cap",
    "budget",
    "model",
    "cache",
    "guidance",
    "effort",
]
KINDS: Final[tuple[Kind, ...]] = (
    "over-allocated", "under-allocated", "idle-cap", "budget", "model", "cache", "guidance",
    "effort",
)  # fmt: skip
Tokens = Literal["reserved", "input", "output", "budgeted"]
Confidence = Literal["high", "medium", "low"]
GROUP: Final = ("agent", "task_type", "model")
Effort = Literal["one setting", "one code change", "a change of the prompt"]
Range = tuple[float, float]

LEAST: Final = 50
"""Calls below which nothing is suggested."""
LOOKED_AT: Final = 6
"""Groups of a kind whose rows are looked at, those with most at stake first."""
MONTH: Final = 30.0
"""Days."""

_MEDIUM: Final = 100
_HIGH: Final = 400
_SHOWN: Final = 5
_DIGITS: Final = 3


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting to be made: its place in the settings file, and its value."""

    path: tuple[str, ...]
    value: str | float | int | bool


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One thing that could be done, and what speaks for it.

    ``agent``, ``task_type`` and ``model`` say whose calls it is about, "" for all. ``tokens`` a
    month would be freed or saved, of the kind ``of``; ``money`` is a range in US dollars a
    month, ``None`` where a price or the effect is unknown, and ``worth`` says what the numbers
    are and are not. ``confidence`` goes by ``n``, the calls that the bound rests on. With a
    ``setting`` it can be applied; else ``action`` spells the change out. ``evidence`` has the
    figures behind it, ``calls`` the ids of some calls to look at, newest first.
    """

    id: str
    kind: Kind
    agent: str
    task_type: str
    model: str
    text: str
    action: str
    worth: str
    tokens: int | None
    of: Tokens | None
    money: Range | None
    confidence: Confidence
    n: int
    effort: Effort
    setting: Setting | None = None
    evidence: Mapping[str, float | None] = field(default_factory=dict)
    calls: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Scene:
    """What suggestions are made from.

    ``sums`` are by agent, task type, model and arm, over ``days``; ``work`` has those of other
    models at the same work, too, where only one was asked for; ``rows`` gives newest rows of a
    group; ``able`` what a model can do by (api, host, model); ``rates`` what a row's
    tokens would cost on a model today, ``None`` where that is unknown; ``since`` the sums of a
    time (Unix seconds) and later by agent and model. The span ends at ``end``.
    """

    sums: Sequence[Sums]
    work: Sequence[Sums]
    days: float
    rows: Rows
    policy: Policy
    strategy: str
    able: Callable[[str, str, str], Capabilities]
    rates: Callable[[CallRecord, str], Rates | None]
    since: Callable[[float], Sequence[Sums]]
    end: float
    _by: dict[tuple[str, ...], Sequence[Sums]] = field(default_factory=dict, repr=False)

    def by(self, *keys: str) -> Sequence[Sums]:
        """The sums told apart by no more than these keys, most calls first; added up once."""
        if keys not in self._by:
            self._by[keys] = merged(self.sums, keys)
        return self._by[keys]

    def monthly(self, amount: float) -> float:
        """What an amount over the span comes to in a month."""
        return amount * MONTH / self.days


def suggestion(kind: Kind, whose: Sums, *, n: int, target: str = "", **said: Any) -> Suggestion:
    """Make a suggestion about the calls of ``whose``; ``target`` tells several apart."""
    calls: Iterable[CallRecord] = said.pop("calls", ())
    parts = (kind, whose.agent, whose.task_type, whose.model, target)
    digest = blake2b(digest_size=_DIGITS)
    for part in parts:
        encoded = part.encode(errors="surrogatepass")
        digest.update(len(encoded).to_bytes(8, "little") + encoded)
    return Suggestion(
        id=digest.hexdigest(),
        kind=kind,
        agent=whose.agent,
        task_type=whose.task_type,
        model=whose.model,
        n=n,
        confidence="high" if n >= _HIGH else "medium" if n >= _MEDIUM else "low",
        calls=tuple(dict.fromkeys(row.call_id for row in calls))[:_SHOWN],
        **said,
    )
