"""What a call claims of limits before it is sent: by unit, what is predicted and the worst case."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from budget_proxy.ledger.limits import Unit, Whose, runs_of
from budget_proxy.ledger.moments import Stage, moments_of, stages_of
from budget_proxy.ledger.tempo import Pace, Tempo
from budget_proxy.ledger.totals import Share
from budget_proxy.types import Call, CallRecord, Forecast, Plan, Usage, frozen

Charge = Callable[[str, str, str, Usage, str | None, float], tuple[int, bool]]
"""(api, model, host, usage, tier, Unix seconds) -> nano-dollars, and whether the price is known."""

MOST_OUTPUT: Final = 131_072
"""Output tokens that a model of which nothing is known may give."""
_RESERVED: Final = 0.95


@frozen
class Claim:
    """One attempt's claim: whose it is, and its share by unit. ``priced`` is false at a guess."""

    key: tuple[str, int]
    whose: Whose
    now: float
    shares: Mapping[Unit, Share]
    priced: bool = True


def charge_of(row: CallRecord, charge: Charge) -> tuple[int, bool]:
    """What a row counts in nano-dollars, and whether its price is known."""
    if row.charged is not None and row.cost is not None:
        return row.charged, True
    usage = Usage(
        row.input_tokens, row.output_tokens, row.reasoning_tokens, row.cache_read_tokens,
        row.cache_write_tokens,
    )  # fmt: skip
    return charge(row.api, row.model, row.host, usage, row.tier, row.ts)


def claim_of(
    plan: Plan,
    user: str,
    most: int | None,
    charge: Charge,
    units: frozenset[Unit],
    tempo: Tempo,
) -> Claim:
    """The claim of a plan, in the ``units`` that limits are in.

    ``user`` is the pseudonym of the call's; ``most`` is the model's own maximum of output
    tokens. The worst case is a cap's, or the model's: its input is as estimated, written to a
    cache where that is dearer. Of several choices nobody knows how far each of them is: what
    is expected of them does not change with time.
    """
    call, given, scope = plan.call, plan.allocation, plan.call.scope
    whose = Whose(
        scope.key or "", user, plan.features.agent, scope.task or "", call.model,
        scope.tags, runs_of(scope.run),
    )  # fmt: skip
    top = min(given.ceiling or MOST_OUTPUT, most or MOST_OUTPUT)
    worst = max(call.n * top, given.reserve)
    pace = tempo.of(call.model) if call.n == 1 else None
    wide = call.n * _widening(plan, top)
    output = share_of(plan.forecast, top, pace).scaled(given.reserve, worst, wide)
    shares: dict[Unit, Share] = {"output_tokens": output}
    if "tokens" in units:
        told = plan.input_tokens
        shares["tokens"] = output.scaled(told + given.reserve, told + worst, 1.0, told)
    priced = True
    if "usd" in units:
        shares["usd"], priced = _money(call, plan.input_tokens, output, charge)
    return Claim((call.id, plan.attempt), whose, call.now, shares, priced)


def _widening(plan: Plan, top: int) -> float:
    """By how much more than its forecast's q95 a call reserves, where little is known of it."""
    told = plan.call.n * min(plan.forecast.quantile(_RESERVED), top)
    return max(plan.allocation.reserve / max(told, 1.0), 1.0)


def share_of(forecast: Forecast, most: int, pace: Pace | None) -> Share:
    """The share of one choice of output tokens, in stages where the pace of answers is known.

    It reserves the forecast's q95, and ``most`` at worst.
    """
    reserve = min(round(forecast.quantile(_RESERVED)), most)
    if pace is None:
        only = moments_of(forecast, most)
        return Share(reserve, most, only.mean, only.variance, only.third)
    first, *later = (
        Stage(pace.seconds(stage.after), stage.moments) for stage in stages_of(forecast, most)
    )
    now = first.moments
    return Share(reserve, most, now.mean, now.variance, now.third, tuple(later))


def _money(call: Call, told: int, output: Share, charge: Charge) -> tuple[Share, bool]:
    """The share in nano-dollars. A price's steps by length lie within: the worst case has them.

    A dearer service tier that is asked for may be the one that answers, or the plain one may.
    """
    tiers = {None, call.tier}

    def nano(tokens: int, written: int | None = None) -> tuple[int, bool]:
        usage = Usage(told, tokens, cache_write_tokens=written)
        return max(charge(call.api, call.model, call.host, usage, tier, call.now) for tier in tiers)

    reserve, known = nano(output.reserve)
    worst = max(nano(output.worst)[0], nano(output.worst, told)[0], reserve)
    base = nano(0)[0]
    rate = (reserve - base) / max(output.reserve, 1)
    return output.scaled(reserve, worst, rate, base), known
