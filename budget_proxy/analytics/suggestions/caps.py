"""Caps of the caller's own: far above what is used, below what is needed, or never met.

A cap that is lowered frees reservations and rate-limit room where the provider counts caps, and
saves no money. Ours are left out but where they cut: what they may be is the policy's business.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil
from typing import Final

from budget_proxy.analytics.calibration import wilson
from budget_proxy.analytics.suggestions.base import (
    GROUP,
    LEAST,
    LOOKED_AT,
    Range,
    Scene,
    Setting,
    Suggestion,
    suggestion,
)
from budget_proxy.analytics.suggestions.bounds import length_holding, mean, session_of
from budget_proxy.analytics.suggestions.rows import answers
from budget_proxy.store.sums import Sums
from budget_proxy.types import CallRecord

_HOLDS: Final = 0.99
_HEADROOM: Final = 1.5  # over the q99, as the policy's own caps have
_RUNAWAY: Final = 4.0
_FAR: Final = 3.0  # times the cap that would do: what "far above" means
_CUT: Final = 0.01  # of the calls: what the cap that is suggested would cut
_NEVER: Final = 200  # calls of which none was cut, so that at most 1.9 % can have been likely to be
_GRID: Final = 64


def over_allocated(scene: Scene) -> Iterator[Suggestion]:
    """Caps of the caller's far above what is used, where the provider counts them."""
    for group in _by_room(scene):
        rows = _uncapped(scene.rows.of(group))
        known = answers(rows)
        if len(known) < LEAST or not _counted(scene, rows[0]):
            continue
        q99 = length_holding(known, _HOLDS)
        if q99 is None:
            continue
        setting, floor = _lever(scene, rows)
        cap = max(_up(_HEADROOM * q99), floor)
        freed = mean(
            (session_of(row), max((row.ceiling or 0) - cap, 0) * max(row.n, 1)) for row in rows
        )
        capped = group.attempts * len(rows) / len(scene.rows.of(group))
        usual = sum(row.ceiling or 0 for row in rows) / len(rows)
        if usual < _FAR * cap or freed.low <= 0:
            continue
        tokens = round(scene.monthly(freed.value * capped))
        yield suggestion(
            "over-allocated",
            group,
            n=len(known),
            text=f"Caps of {usual:,.0f} tokens on average; 99 % of the answers need {q99:,.0f}.",
            action=_done_by(setting)
            or f"in the calling code, set the cap (max_tokens or its like) to {cap:,}",
            worth="Room in reservations and the rate limit; a lower cap saves no money by itself.",
            tokens=tokens,
            of="reserved",
            money=(0.0, 0.0),
            effort="one setting" if setting else "one code change",
            setting=setting,
            evidence={
                "cap_mean": usual, "q99": q99, "cap_suggested": cap, "sampled": len(rows),
                "freed_a_call": freed.value, "freed_a_call_low": freed.low,
                "freed_a_call_high": freed.high,
            },
            calls=rows,
        )  # fmt: skip


def under_allocated(scene: Scene) -> Iterator[Suggestion]:
    """Caps that cut more than 1 % of the answers: the caller's, or ours."""
    groups = scene.by(*GROUP)
    theirs = [one for one in groups if _likely(one.truncated - one.truncated_by_us, one.attempts)]
    ours = [one for one in groups if _likely(one.truncated_by_us, one.calls)]
    for group in sorted(theirs, key=lambda one: one.truncated_by_us - one.truncated)[:LOOKED_AT]:
        yield from _cut_by_caller(scene, group, group.truncated - group.truncated_by_us)
    for group in sorted(ours, key=lambda one: -one.truncated_by_us)[:LOOKED_AT]:
        yield from _cut_by_us(scene, group)


def idle_caps(scene: Scene) -> Iterator[Suggestion]:
    """Caps of the caller's that no answer ever met, where lowering them would free nothing."""
    for group in _by_room(scene):
        if group.truncated or group.attempts < _NEVER:
            continue
        rows = _uncapped(scene.rows.of(group))
        known = answers(rows)
        if len(known) < _NEVER or _counted(scene, rows[0]):
            continue
        q99 = length_holding(known, _HOLDS)
        usual = sum(row.ceiling or 0 for row in rows) / len(rows)
        if q99 is None or usual < _FAR * _RUNAWAY * q99:
            continue
        guard = _up(_RUNAWAY * q99)
        yield suggestion(
            "idle-cap",
            group,
            n=group.attempts,
            text=f"Caps of {usual:,.0f} tokens on average never cut any of {group.attempts:,} "
            f"answers; 99 % end within {q99:,.0f}.",
            action=f"leave it, or set {guard:,} in the calling code to stop runaways earlier",
            worth="No tokens and no money: this provider does not count caps, and bills what was "
            "generated.",
            tokens=None,
            of=None,
            money=(0.0, 0.0),
            effort="one code change",
            evidence={"cap_mean": usual, "q99": q99, "runaway_guard": guard},
            calls=rows,
        )


def _cut_by_caller(scene: Scene, group: Sums, count: int) -> Iterator[Suggestion]:
    rows = scene.rows.of(group)
    cut = [row for row in rows if row.truncated and not row.cut_by_us]
    if not cut:
        return
    share, (low, high) = count / group.attempts, wilson(count, group.attempts)
    used = sum(row.output_tokens or 0 for row in cut) / len(cut)
    cap, how = _enough(answers(rows))
    yield suggestion(
        "under-allocated",
        group,
        n=group.attempts,
        target="caller",
        text=f"The caller's cap cut {share:.1%} of {group.attempts:,} answers "
        f"({low:.1%} to {high:.1%}).",
        action=f"in the calling code, set the cap to {cap:,} ({how})"
        if cap
        else f"in the calling code, lift the cap or remove it ({how})",
        worth="What the cut answers cost, as far as they were of no use; longer ones cost more.",
        tokens=round(scene.monthly(count) * used),
        of="output",
        money=_nothing_to(scene, _costs(cut), high * group.attempts),
        effort="one code change",
        evidence={"cut": count, "share": share, "share_low": low, "share_high": high,
                  "cut_at_mean": used, "cap_suggested": cap},
        calls=cut,
    )  # fmt: skip


def _cut_by_us(scene: Scene, group: Sums) -> Iterator[Suggestion]:
    if (scene.policy.of(group.agent).caps or scene.policy.caps) == "never":
        return
    cut = [row for row in scene.rows.of(group, cut_by_us=True) if row.cut_by_us]
    if not cut:
        return
    count = group.truncated_by_us
    share, (low, high) = count / group.calls, wilson(count, group.calls)
    used = sum(row.output_tokens or 0 for row in cut) / len(cut)
    cost = _costs(cut)
    money = None
    if cost is not None:
        money = (
            scene.monthly(low * group.calls * cost),
            scene.monthly(high * group.calls * cost),
        )
    yield suggestion(
        "under-allocated",
        group,
        n=group.calls,
        target="ours",
        text=f"Our cap cut {share:.1%} of {group.calls:,} calls ({low:.1%} to {high:.1%}), which "
        "were then sent again.",
        action=f'caps = "never" for agent {group.agent}',
        worth="What the cut attempts cost; their reservations grow to the caller's own caps.",
        tokens=round(scene.monthly(count) * used),
        of="output",
        money=money,
        effort="one setting",
        setting=Setting(("agents", group.agent, "caps"), "never"),
        evidence={"cut": count, "share": share, "share_low": low, "share_high": high,
                  "cut_at_mean": used},
        calls=cut,
    )  # fmt: skip


def _by_room(scene: Scene) -> list[Sums]:
    """Groups with known caps far above what is used, those that reserve most first."""
    groups = [
        group
        for group in scene.by(*GROUP)
        if group.limited >= LEAST
        and group.output_reported
        and group.ceiling / group.limited > _FAR * group.output_tokens / group.output_reported
    ]
    return sorted(groups, key=lambda group: -group.ceiling)[:LOOKED_AT]


def _uncapped(rows: Sequence[CallRecord]) -> list[CallRecord]:
    """The rows that the caller alone capped."""
    return [row for row in rows if row.ceiling is not None and row.cap is None]


def _counted(scene: Scene, row: CallRecord) -> bool:
    return scene.able(row.api, row.host, row.model).counts_cap


def _lever(scene: Scene, rows: Sequence[CallRecord]) -> tuple[Setting | None, int]:
    """The setting by which caps of ours would be written here, and the least that they are."""
    policy, row = scene.policy, rows[0]
    own = policy.of(row.agent)
    able = scene.able(row.api, row.host, row.model)
    floor = policy.reasoning_floor if able.reasoning else policy.floor
    if sum(row.stream for row in rows) > len(rows) / 2:
        return None, 0  # a stream that was cut cannot be sent again: caps there are the caller's
    if (own.mode or policy.mode) != "enforce":
        return Setting(("agents", row.agent, "mode"), "enforce"), floor
    if (own.caps or policy.caps) not in {"quota", "always"}:
        return Setting(("agents", row.agent, "caps"), "quota"), floor
    return None, 0


def _done_by(setting: Setting | None) -> str | None:
    if setting is None:
        return None
    rest = ", which also brings notes" if setting.value == "enforce" else ""
    return f'{setting.path[-1]} = "{setting.value}" for agent {setting.path[1]}{rest}'


def _enough(known: Sequence[CallRecord]) -> tuple[int | None, str]:
    """A cap within which 99 % would end, and how that is known."""
    q99 = length_holding(known, _HOLDS)
    if q99 is not None:
        return _up(q99), "99 % of the answers would end within it"
    forecast = max((row.q99 for row in known if row.q99 is not None), default=None)
    longest = max((row.output_tokens or 0) / max(row.n, 1) for row in known) if known else 0.0
    if forecast is not None and forecast > longest:
        return _up(forecast), "by the forecast's q99: no answer of that length was seen"
    return None, "how long they would have been, no answer tells"


def _likely(count: int, n: int) -> bool:
    """Whether more than 1 % are cut, at the lower 95 % bound."""
    return n >= LEAST and wilson(count, n)[0] > _CUT


def _costs(rows: Sequence[CallRecord]) -> float | None:
    """US dollars of one of the rows on average; ``None`` where the price of any is unknown."""
    costs = [row.cost for row in rows if row.cost is not None]
    return sum(costs) / len(costs) if len(costs) == len(rows) else None


def _nothing_to(scene: Scene, cost: float | None, most: float) -> Range | None:
    return None if cost is None else (0.0, scene.monthly(most * cost))


def _up(tokens: float) -> int:
    """The next multiple of 64."""
    return ceil(tokens / _GRID) * _GRID
