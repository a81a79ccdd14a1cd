"""The alerts that are open, and what becomes of them as findings and calls come.

One alert for one cause: a finding is filed with an open alert of the same cause, or of one that
explains it, where their calls meet. What two parts of a model or an agent show at about the same
time is put down to that model or agent; a stronger cause takes a weaker alert over. An alert is
over once its tests have been calm for many calls.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from math import log
from typing import Any, Final, NamedTuple, Self

from budget_proxy.analytics.causes import (
    CHANGES,
    HELD,
    LIMIT,
    OF_RUNS,
    OPPOSITE,
    REFUSES,
    UNPRICED,
    explains,
    severity_of,
    text_of,
)
from budget_proxy.analytics.scopes import ALL, Scope, covers, meet, shared
from budget_proxy.analytics.signs import Signs
from budget_proxy.store.alerts import Alert, Change

SPAN: Final = 400
"""Calls after an alert's begin in which what it explains belongs to it: two windows of Late."""

QUIET: Final = 100
"""Calls without a sign after which an alert is over."""

MOST_AN_HOUR: Final = 10
MOST_OPEN: Final = 100

_NAMED: Final = 5
NEARING: Final = 0.80
LEFT: Final = 0.70

_NONE: Final[frozenset[str]] = frozenset()
_HOUR, _DAY = 3600.0, 86_400.0
_ORDER: Final = ("info", "warning", "critical")

IsCalm = Callable[[str, Scope, Scope, Signs], bool]
"""Whether a call, of a group (the third), shows no sign of a cause in a scope."""


class Finding(NamedTuple):
    """What an alarm comes to: a cause, whose calls, when and where it began, and numbers."""

    cause: str
    scope: Scope
    since: float
    ts: float
    first: int
    last: int
    rows: int
    figures: Mapping[str, Any]


class Notice(NamedTuple):
    """A change of an alert, and the alert after it."""

    change: Change
    alert: Alert


class _Progress:
    """How an open alert goes on.

    ``calls`` of it have passed, the last ``quiet`` of them without a sign; what begins until
    ``until`` (``None``: still) may be a symptom of it.
    """

    __slots__ = ("alert", "calls", "quiet", "until")

    def __init__(
        self, alert: Alert, calls: int = 0, quiet: int = 0, until: float | None = None
    ) -> None:
        self.alert = alert
        self.calls = calls
        self.quiet = quiet
        self.until = until

    def has_symptom(self, found: Finding) -> bool:
        """Whether a finding may come of this alert's cause: it began soon after it."""
        cause = self.alert.cause
        if not explains(cause, found.cause) and OPPOSITE.get(cause) != found.cause:
            return False
        return self.is_early(found) or found.cause in self.alert.figures.get("symptoms", ())

    def is_early(self, found: Finding) -> bool:
        """Whether a finding began soon after this alert."""
        return self.until is None or found.since <= self.until

    def count(self, ts: float, *, calm: bool) -> None:
        """Count a call that passes."""
        self.calls += 1
        self.quiet = self.quiet + 1 if calm else 0
        if self.calls == SPAN:
            self.until = ts


class Cases:
    """The open alerts by id."""

    def __init__(self) -> None:
        self._open: dict[int, _Progress] = {}
        self._last = 0
        self._raised: list[float] = []
        self._held: set[tuple[str, Scope]] = set()

    @property
    def alerts(self) -> list[Alert]:
        """What is open, the oldest first."""
        return [case.alert for case in self._open.values()]

    def known(self, scope: Scope) -> frozenset[str]:
        """The causes of open alerts that all of these calls are among."""
        if not self._open:
            return _NONE
        return frozenset(
            case.alert.cause for case in self._open.values() if covers(case.alert.scope, scope)
        )

    def file(self, found: Finding) -> list[Notice]:
        """File a finding: raise an alert, or add to one."""
        near = [case for case in self._open.values() if meet(case.alert.scope, found.scope)]
        for case in near:
            if case.alert.cause == found.cause:
                return self._again(case, found)
        for case in near:
            if case.has_symptom(found):
                return [self._symptom(case, found)]
        for case in self._open.values():
            if case.alert.cause == found.cause and case.is_early(found):
                common = shared(case.alert.scope, found.scope)
                if common is not None:
                    return self._again(case, found._replace(scope=common))
        weaker = [
            case for case in near if case.until is None and explains(found.cause, case.alert.cause)
        ]
        if weaker:
            return self._take_over(weaker, found)
        over = [case for case in near if OPPOSITE.get(case.alert.cause) == found.cause]
        notices = [self._resolve(case, found.ts, "the opposite happened") for case in over]
        return notices + self._raise(found)

    def pass_(self, group: Scope, call: Signs, is_calm: IsCalm) -> list[Notice]:
        """Let a call pass by the open alerts: some are over by it."""
        if not self._open:
            return []
        notices = []
        for case in list(self._open.values()):
            alert = case.alert
            if alert.cause in {LIMIT, UNPRICED}:
                continue
            if alert.cause in {HELD, *OF_RUNS}:
                if call.ts >= alert.updated + (_HOUR if alert.cause == HELD else _DAY):
                    notices.append(self._resolve(case, call.ts, "no more of them came"))
                continue
            if not covers(alert.scope, group):
                continue
            case.count(call.ts, calm=is_calm(alert.cause, alert.scope, group, call))
            if self._is_over(case, call.ts):
                notices.append(self._resolve(case, call.ts, "no sign of it any more"))
        return notices

    def limit(
        self, name: str, used: float, size: float, ts: float, row: int, *, said: str = ""
    ) -> list[Notice]:
        """Take in how far a limit is used; ``said``: what became of calls beyond it."""
        share = used / size if size > 0 else 1.0
        figures = {"limit": name, "used": used, "size": size, "share": share, "said": said}
        case = self._case(LIMIT, name)
        if case is None:
            if share < NEARING and said != REFUSES:
                return []
            return self._raise(Finding(LIMIT, ALL, ts, ts, row, row, 0, figures))
        if share < LEFT and said != REFUSES:
            return [self._resolve(case, ts, "it is used less again")]
        return [self._updated(case, ts, figures={**case.alert.figures, **figures})]

    def run(self, cause: str, run: str, agent: str, ts: float, row: int) -> list[Notice]:
        """Take in an alarm about a run: one alert of an agent and cause names the newest runs."""
        for case in self._open.values():
            if (case.alert.cause, case.alert.agent) == (cause, agent):
                others = [one for one in case.alert.figures["runs"] if one != run]
                figures = {**case.alert.figures, "runs": [*others[-_NAMED + 1 :], run]}
                count = case.alert.rows + 1
                return [self._updated(case, ts, figures=figures, rows=count, last=row)]
        return self._raise(
            Finding(cause, (agent, None, None), ts, ts, row, row, 1, {"runs": [run]})
        )

    def unpriced(
        self, model: str, ts: float, row: int, *, unknown: bool, known: bool
    ) -> list[Notice]:
        """Take in that a model's price is unknown, or known again."""
        case = next((c for c in self._open.values() if c.alert.cause == UNPRICED), None)
        if case is None:
            found = Finding(UNPRICED, ALL, ts, ts, row, row, 0, {"models": [model]})
            return self._raise(found) if unknown else []
        models = list(case.alert.figures["models"])
        if unknown and model not in models:
            models.append(model)
        elif known and model in models:
            models.remove(model)
        else:
            return []
        if not models:
            return [self._resolve(case, ts, "all prices are known")]
        return [self._updated(case, ts, figures={**case.alert.figures, "models": models})]

    def dump(self) -> dict[str, Any]:
        """All but the alerts, as JSON."""
        return {
            "last": self._last,
            "raised": self._raised,
            "held": [[cause, list(scope)] for cause, scope in sorted(self._held, key=repr)],
            "open": {
                str(id_): [case.calls, case.quiet, case.until] for id_, case in self._open.items()
            },
        }

    @classmethod
    def load(cls, values: Mapping[str, Any], alerts: Iterable[Alert]) -> Self:
        """Take up what ``dump`` gave, with the open alerts."""
        cases = cls()
        cases._last, cases._raised = values["last"], values["raised"]
        cases._held = {(cause, (a, t, m)) for cause, (a, t, m) in values["held"]}
        for alert in alerts:
            progress = values["open"].get(str(alert.id), ())
            cases._open[alert.id] = _Progress(alert, *progress)
        return cases

    def _case(self, cause: str, name: str) -> _Progress | None:
        return next(
            (
                case
                for case in self._open.values()
                if case.alert.cause == cause and case.alert.figures.get("limit") == name
            ),
            None,
        )

    def _raise(self, found: Finding) -> list[Notice]:
        self._raised = [ts for ts in self._raised if ts > found.ts - _HOUR]
        if len(self._raised) >= MOST_AN_HOUR or len(self._open) >= MOST_OPEN:
            return self._hold(found)
        self._held.discard((found.cause, found.scope))
        self._raised.append(found.ts)
        return [self._opened(found)]

    def _opened(self, found: Finding) -> Notice:
        self._last += 1
        agent, task, model = found.scope
        figures = _rounded(found.figures)
        alert = Alert(
            id=self._last,
            cause=found.cause,
            agent=agent,
            task_type=task,
            model=model,
            severity=severity_of(found.cause, figures),
            since=found.since,
            opened=found.ts,
            updated=found.ts,
            rows=found.rows,
            first_row=found.first,
            last_row=found.last,
            figures=figures,
            text=text_of(found.cause, found.scope, figures),
        )
        self._open[alert.id] = _Progress(alert)
        return Notice("raised", alert)

    def _hold(self, found: Finding) -> list[Notice]:
        """Count what is not raised, in an alert of its own."""
        if (found.cause, found.scope) in self._held:
            return []
        self._held.add((found.cause, found.scope))
        counts = dict(sorted(Counter(cause for cause, _ in self._held).items()))
        case = next((c for c in self._open.values() if c.alert.cause == HELD), None)
        if case is None:
            return [self._opened(found._replace(cause=HELD, scope=ALL, figures={"held": counts}))]
        return [self._updated(case, found.ts, figures={"held": counts})]

    def _again(self, case: _Progress, found: Finding) -> list[Notice]:
        """The same cause once more: newer counts, maybe more calls than was known.

        By how much something changed is the most that was ever found: what is usual follows.
        """
        case.quiet = 0
        scope = case.alert.scope
        parts: list[_Progress] = []
        if covers(found.scope, scope):
            scope = found.scope
            parts = [
                other
                for other in self._open.values()
                if other is not case
                and other.alert.cause == found.cause
                and covers(scope, other.alert.scope)
            ]
        notices = [self._resolve(one, found.ts, f"part of #{case.alert.id}") for one in parts]
        figures = {**case.alert.figures, **_rounded(found.figures)}
        figures |= _farthest(case.alert.figures, figures)
        return [
            *notices,
            self._updated(
                case, found.ts, figures=figures, scope=scope, rows=found.rows, last=found.last
            ),
        ]

    def _symptom(self, case: _Progress, found: Finding) -> Notice:
        symptoms = {
            **case.alert.figures.get("symptoms", {}), found.cause: _rounded(found.figures),
        }  # fmt: skip
        return self._updated(case, found.ts, figures={**case.alert.figures, "symptoms": symptoms})

    def _take_over(self, weaker: list[_Progress], found: Finding) -> list[Notice]:
        """A stronger cause was found: the first of the weaker alerts becomes it."""
        case, *others = weaker
        notices = [self._resolve(other, found.ts, f"part of #{case.alert.id}") for other in others]
        symptoms: dict[str, Any] = {}
        for one in weaker:
            old = dict(one.alert.figures)
            symptoms |= old.pop("symptoms", {})
            symptoms[one.alert.cause] = old
        case.alert = replace(case.alert, cause=found.cause, since=found.since)
        case.quiet = 0
        figures = {**_rounded(found.figures), "symptoms": symptoms}
        return [
            *notices,
            self._updated(
                case, found.ts, figures=figures, scope=found.scope, rows=found.rows,
                last=found.last, change="escalated",
            ),
        ]  # fmt: skip

    def _updated(
        self,
        case: _Progress,
        ts: float,
        *,
        figures: Mapping[str, Any],
        scope: Scope | None = None,
        rows: int | None = None,
        last: int | None = None,
        change: Change = "updated",
    ) -> Notice:
        old = case.alert
        agent, task, model = scope or old.scope
        severity = max(old.severity, severity_of(old.cause, figures), key=_ORDER.index)
        if severity != old.severity or (agent, task, model) != old.scope:
            change = "escalated"
        case.alert = replace(
            old,
            agent=agent,
            task_type=task,
            model=model,
            severity=severity,
            updated=ts,
            rows=old.rows if rows is None else max(rows, old.rows),
            last_row=old.last_row if last is None else last,
            figures=figures,
            text=text_of(old.cause, (agent, task, model), figures),
        )
        return Notice(change, case.alert)

    def _resolve(self, case: _Progress, ts: float, why: str) -> Notice:
        del self._open[case.alert.id]
        figures = {**case.alert.figures, "resolved": why}
        return Notice("resolved", replace(case.alert, resolved=ts, updated=ts, figures=figures))

    @staticmethod
    def _is_over(case: _Progress, ts: float) -> bool:
        if case.alert.cause in CHANGES:
            return case.quiet >= 2 * QUIET and ts >= case.alert.opened + _DAY
        return case.quiet >= QUIET


def _farthest(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, float]:
    """Of two factors the one that is farther from 1; nothing where there is none."""
    known = [figures["factor"] for figures in (one, other) if figures.get("factor", 0.0) > 0.0]
    return {"factor": max(known, key=lambda factor: abs(log(factor)))} if known else {}


def _rounded(figures: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: float(f"{value:.6g}") if isinstance(value, float) else value
        for name, value in figures.items()
    }
