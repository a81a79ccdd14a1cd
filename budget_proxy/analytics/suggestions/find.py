"""All suggestions about a history, those worth most first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from budget_proxy.analytics.suggestions.base import GROUP, KINDS, Kind, Scene, Suggestion
from budget_proxy.analytics.suggestions.budgets import ill_fitting
from budget_proxy.analytics.suggestions.caches import breaking
from budget_proxy.analytics.suggestions.caps import idle_caps, over_allocated, under_allocated
from budget_proxy.analytics.suggestions.effort import untried
from budget_proxy.analytics.suggestions.guidance import unpaid
from budget_proxy.analytics.suggestions.models import cheaper
from budget_proxy.analytics.suggestions.rows import Rows
from budget_proxy.policy.base import policy_of
from budget_proxy.store.base import Store
from budget_proxy.store.sums import KEYS
from budget_proxy.types import CallRecord
from budget_proxy.wire.models import api_of_model, capabilities
from budget_proxy.wire.prices import Prices, prices_of
from budget_proxy.wire.rates import Rates

if TYPE_CHECKING:
    from budget_proxy.settings import Settings

_DAY: Final = 86_400.0
_READ: Final = ("input_tokens", "cache_read_tokens", "cache_read_reported")
"""What is asked of the end of the span: what was read from caches."""

_WAYS: Final[dict[Kind, Callable[[Scene], Iterator[Suggestion]]]] = {
    "over-allocated": over_allocated,
    "under-allocated": under_allocated,
    "idle-cap": idle_caps,
    "budget": ill_fitting,
    "model": cheaper,
    "cache": breaking,
    "guidance": unpaid,
    "effort": untried,
}


_APART: Final[Mapping[Kind, tuple[str, ...]]] = {
    "budget": ("task_type",),
    "cache": ("agent", "model"),
    "guidance": ("agent",),
}
"""What suggestions of a kind tell calls apart by, where that is not GROUP."""


def kinds_of(kind: Kind | None, where: Mapping[str, Any]) -> tuple[Kind, ...]:
    """The kinds that are asked for: one, or all that are about calls as ``where`` tells them apart.

    What holds of all calls of an agent cannot be told from those of one model.
    """
    kinds = KINDS if kind is None else (kind,)
    return tuple(one for one in kinds if set(where) <= set(_APART.get(one, GROUP)))


def suggestions(scene: Scene, kinds: tuple[Kind, ...] = KINDS) -> tuple[Suggestion, ...]:
    """What could be set otherwise, by the money it may save, then by tokens."""
    found = [one for kind in kinds for one in _WAYS[kind](scene)]
    return tuple(sorted(found, key=worth))


def scene_of(
    store: Store, settings: Settings, now: float, start: float | None, **where: Any
) -> Scene:
    """A history's scene from ``start`` to ``now`` (Unix seconds), under these settings.

    ``where`` asks for the calls of an agent, a task type, a model (see ``kinds_of``). Its days
    count from the first call on, and are one at least, so that an hour's traffic is not blown up
    to a month's.
    """
    sums = store.sums(start=start, by=KEYS, **where)
    work = {name: value for name, value in where.items() if name != "model"}
    first = min((one.first for one in sums), default=now)
    known = {name: model.model_dump(exclude_none=True) for name, model in settings.models.items()}
    return Scene(
        sums=sums,
        work=sums if work == where else store.sums(start=start, by=KEYS, **work),
        days=max((now - first) / _DAY, 1.0),
        rows=Rows(partial(store.newest, start=start)),
        policy=policy_of(settings),
        strategy=settings.strategy,
        able=lambda api, host, model: capabilities(api, host, model, known, settings.quota_hosts),
        rates=partial(_rates, prices_of(settings), now),
        since=lambda ts: store.sums(start=ts, by=("agent", "model"), only=_READ, **where),
        end=now,
    )


def _rates(prices: Prices, now: float, row: CallRecord, model: str) -> Rates | None:
    """What a model's tokens cost where the row was sent, or else at the model's own provider."""
    found = prices.rates(row.api, model, row.host, row.tier if model == row.model else None, now)
    api = api_of_model(model)
    return prices.rates(api, model, "", None, now) if found is None and api else found


def worth(one: Suggestion) -> tuple[float, int, int, str]:
    """What suggestions are sorted by: less comes first."""
    low, high = one.money or (0.0, 0.0)
    return (-(low + high), -(one.tokens or 0), KINDS.index(one.kind), one.id)
