"""The watch: rows in order come to alerts, one for each cause. State = fold(rows); no clock.

Each row goes to its group (agent, task type, model), its agent and its model, of which those that
were seen last are kept (analytics/subject.py). What alarms becomes a finding, put down to the scope
whose calls it explains best, and filed with the alerts that are open (analytics/cases.py).
"""

from __future__ import annotations

import json
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Self

from budget_proxy.analytics import causes
from budget_proxy.analytics.cases import Cases, Finding, Notice
from budget_proxy.analytics.evidence import Shown, figures_of
from budget_proxy.analytics.rates import Rate, tokens_of
from budget_proxy.analytics.scopes import WIDER, Scope, blamed, covers, meet
from budget_proxy.analytics.signs import Signs, is_unpriced, signs
from budget_proxy.analytics.subject import Probe, Steps, Subject
from budget_proxy.store.alerts import Alert, Seen

RING: Final = 2_000
"""Newest calls that are kept to find out whom an alarm is about."""

GROUPS: Final = 256
"""Subjects of each kind that are watched."""

YOUNG: Final = 300
"""Forecasts of a history's first so many outcomes are not tested."""

_HEAD: Final = "watch"
_NARROWER: Final = 3.0
"""How much better than all calls of a scope some of them must show a change to be named alone.

Lengths and prices change for many at once, and forecasts follow, so that not all show it. Of what
happens now and then, such as cuts, the others must show something to be named too.
"""

_RATES: Final = 256
_CUT_CALLS: Final = 256
_UNPRICED: Final = 5
_LENGTHS: Final = frozenset({causes.LONGER, causes.SHORTER})

_CAUSES: Final[Mapping[Probe, str]] = {
    Probe.LONGER: causes.LONGER,
    Probe.LEVEL_UP: causes.LONGER,
    Probe.SHORTER: causes.SHORTER,
    Probe.LEVEL_DOWN: causes.SHORTER,
    Probe.DEARER: causes.PRICE,
    Probe.CUT: causes.TRUNCATION,
    Probe.ABOVE_50: causes.COVERAGE,
    Probe.BELOW_50: causes.COVERAGE,
    Probe.ABOVE_90: causes.COVERAGE,
    Probe.BELOW_90: causes.COVERAGE,
    Probe.ABOVE_95: causes.COVERAGE,
    Probe.ESTIMATED: causes.ESTIMATED,
    Probe.SPIKE: causes.SPIKE,
    Probe.INEFFICIENT: causes.EFFICIENCY,
}
_PROBES: Final[dict[str, tuple[Probe, ...]]] = {
    cause: tuple(test for test, its in _CAUSES.items() if its == cause)
    for cause in set(_CAUSES.values())
} | dict.fromkeys((causes.OVER, causes.UNDER), (Probe.MISFIT,))

_OF_GROUPS: Final = frozenset({Probe.MISFIT, Probe.INEFFICIENT})
"""How budgets are used only groups tell."""


class Watch:
    """What has been seen so far. ``row`` is the id of the last row; rows come in order of ids."""

    def __init__(self) -> None:
        self.row = 0
        self.unwatched = 0
        self.cases = Cases()
        self._outcomes = 0
        self._subjects: OrderedDict[Scope, Subject] = OrderedDict()
        self._rates: OrderedDict[str, Rate] = OrderedDict()
        self._cut: OrderedDict[str, None] = OrderedDict()
        self._unpriced: OrderedDict[str, int] = OrderedDict()
        self._ring: deque[tuple[Scope, Signs, Steps, float]] = deque(maxlen=RING)
        self._touched: dict[Scope, None] = {}

    def learn_one(self, row: Seen) -> list[Notice]:
        """Take in a row; what has become of alerts by it."""
        if row.id <= self.row:
            return []
        self.row = row.id
        if row.pending:
            return []
        call, shift = self._read(row)
        group: Scope = (row.agent, row.task_type, row.model)
        notices: list[Notice] = []
        alarms: list[tuple[Subject, Probe]] = []
        steps: Steps = []
        for scope in ((None, None, row.model), (row.agent, None, None), group):
            subject = self._subject(scope)
            known = self.cases.known(scope)
            steps, found = subject.learn(call, young=self._outcomes <= YOUNG, known=known)
            alarms += [(subject, test) for test in found]
        self._ring.append((group, call, steps, shift))
        for subject, test in alarms:
            notices += self._alarm(subject, test, call)
        notices += self._priced(row)
        for alarm in json.loads(row.alarms):
            cause, _, run = alarm.partition(" ")
            if cause in causes.OF_RUNS:  # a later version may know others
                notices += self.cases.run(cause, run, row.agent, row.ts, row.id)
        return notices + self.cases.pass_(group, call, self._is_calm)

    def remember(self, row: Seen) -> None:
        """Keep a row that was learned already, for alarms that ask whom they are about."""
        call, shift = self._read(row, learning=False)
        group: Scope = (row.agent, row.task_type, row.model)
        subject = self._subjects.get(group)
        steps = subject.weigh(call) if subject is not None else []
        self._ring.append((group, call, steps, shift))

    def limit(
        self, name: str, used: float, size: float, ts: float, *, said: str = ""
    ) -> list[Notice]:
        """Take in how far a limit is used, from whoever knows it."""
        return self.cases.limit(name, used, size, ts, self.row, said=said)

    # -- one row ----------------------------------------------------------------------------

    def _read(self, row: Seen, *, learning: bool = True) -> tuple[Signs, float]:
        """What a row tells, and by how much its ln(tokens) differ from its group's usual."""
        first = row.attempt == 1 or row.call_id not in self._cut
        if row.cut_by_us and learning:
            self._cut[row.call_id] = None
            if len(self._cut) > _CUT_CALLS:
                self._cut.popitem(last=False)
        call = signs(row, first=first)
        level, shift = None, 0.0
        if call.length is not None:
            self._outcomes += learning
            subject = self._subjects.get((row.agent, row.task_type, row.model))
            usual = None if subject is None else subject.usual_length()
            if subject is not None and usual is not None:
                level, shift = subject.deviation(call.tokens), call.tokens - usual
        price = self._surprise(row, learning=learning) if call.cost is not None else None
        return call._replace(level=level, price=price), shift

    def _surprise(self, row: Seen, *, learning: bool) -> float | None:
        tokens = tokens_of(
            row.input_tokens, row.output_tokens, row.cache_read_tokens, row.cache_write_tokens
        )
        if tokens is None or not row.cost:
            return None
        key = f"{row.model}\n{row.tier or ''}"
        rate = self._rates.get(key)
        if rate is None:
            rate = self._rates[key] = Rate()
            if len(self._rates) > _RATES:
                self._rates.popitem(last=False)
        surprise = rate.surprise(row.cost, tokens)
        scope: Scope = (None, None, row.model)
        subject = self._subjects.get(scope)
        calm = (
            subject is None
            or subject.calm(Probe.DEARER)
            or bool(causes.CHANGES & self.cases.known(scope))
        )
        if learning and calm:
            self._rates.move_to_end(key)
            rate.learn(row.cost, tokens)
        return surprise

    def _subject(self, scope: Scope) -> Subject:
        found = self._subjects.get(scope)
        if found is None:
            found = self._subjects[scope] = Subject(scope, group=scope[1] is not None)
            if len(self._subjects) > 3 * GROUPS:
                gone, _ = self._subjects.popitem(last=False)
                self._touched[gone] = None
                self.unwatched += 1
        else:
            self._subjects.move_to_end(scope)
        self._touched[scope] = None
        return found

    # -- alarms -----------------------------------------------------------------------------

    def _alarm(self, subject: Subject, test: Probe, call: Signs) -> list[Notice]:
        cause = _CAUSES.get(test) or _direction(subject)
        first, since = subject.firsts[test], subject.since[test]
        scope = subject.scope
        if test not in _OF_GROUPS:
            model = scope[2] if test is Probe.DEARER else None  # a price is a model's
            steps = ((group, its[test]) for group, _, its, _ in self._after(first) if its)
            told = ((group, step) for group, step in steps if step is not None)
            usual = (None, None, model) if model else scope
            scope = blamed(told, scope, usual, _NARROWER if cause in causes.CHANGES else -WIDER)
        shown = [
            Shown(call, shift)
            for group, call, _, shift in self._after(first)
            if covers(scope, group)
        ]
        figures, rows = figures_of(cause, shown, subject)
        last = shown[0].call.row if shown else call.row
        subject.reset(*_PROBES[cause])
        self._settle(cause, scope)
        return self.cases.file(Finding(cause, scope, since, call.ts, first, last, rows, figures))

    def _settle(self, cause: str, scope: Scope) -> None:
        """Begin the tests of a cause anew wherever the same calls are tested."""
        for subject in self._subjects.values():
            if meet(scope, subject.scope):
                subject.reset(*_PROBES[cause])
                if cause in _LENGTHS and covers(scope, subject.scope):
                    subject.follow()
                self._touched[subject.scope] = None

    def _priced(self, row: Seen) -> list[Notice]:
        """One alert for all models without a price."""
        known = row.cost is not None
        if not known and not is_unpriced(row):
            return []
        count = self._unpriced.get(row.model, 0)
        if known and not count:
            return []
        count = max(count - 1, 0) if known else min(count + 1, _UNPRICED)
        self._unpriced[row.model] = count
        if len(self._unpriced) > GROUPS:
            self._unpriced.popitem(last=False)
        return self.cases.unpriced(
            row.model, row.ts, row.id,
            unknown=count >= _UNPRICED and not known, known=known and not count,
        )  # fmt: skip

    def _is_calm(self, cause: str, scope: Scope, group: Scope, call: Signs) -> bool:
        """Whether a call shows no sign of an alert's cause, and neither do the tests."""
        tests = _PROBES.get(cause, ())
        subject = self._subjects.get(scope) or self._subjects.get(group)
        if subject is None or not tests:
            return True
        if cause == causes.EFFICIENCY and subject.late.is_low():
            return False
        shows = (cause == causes.TRUNCATION and call.cut) or (
            cause == causes.ESTIMATED and call.estimated
        )
        return not shows and subject.calm(*tests)

    # -- evidence ---------------------------------------------------------------------------

    def _after(self, first: int) -> Iterator[tuple[Scope, Signs, Steps, float]]:
        """The calls from row ``first`` on, as far as they are kept; the newest first."""
        for entry in reversed(self._ring):
            if entry[1].row < first:
                return
            yield entry

    # -- state ------------------------------------------------------------------------------

    def changed(self) -> dict[str, str | None]:
        """What has changed since it was last asked: JSON by name, ``None`` where it is gone.

        The alerts are kept elsewhere.
        """
        parts: dict[str, str | None] = {}
        for scope in self._touched:
            subject = self._subjects.get(scope)
            parts[json.dumps(scope)] = None if subject is None else json.dumps(subject.dump())
        self._touched.clear()
        parts[_HEAD] = json.dumps(
            {
                "outcomes": self._outcomes,
                "unwatched": self.unwatched,
                "rates": [[key, rate.dump()] for key, rate in self._rates.items()],
                "cut": list(self._cut),
                "unpriced": list(self._unpriced.items()),
                "cases": self.cases.dump(),
            }
        )
        return parts

    @classmethod
    def load(cls, row: int, parts: Mapping[str, str], alerts: Iterable[Alert]) -> Self:
        """Take up all that ``changed`` ever gave, and the alerts that are open."""
        watch = cls()
        watch.row = row
        if _HEAD not in parts:
            return watch
        head = json.loads(parts[_HEAD])
        watch._outcomes, watch.unwatched = head["outcomes"], head["unwatched"]
        watch._rates = OrderedDict((key, Rate.load(values)) for key, values in head["rates"])
        watch._cut = OrderedDict.fromkeys(head["cut"])
        watch._unpriced = OrderedDict(head["unpriced"])
        watch.cases = Cases.load(head["cases"], alerts)
        found = [_subject_of(name, state) for name, state in parts.items() if name != _HEAD]
        for subject in sorted(found, key=lambda subject: subject.last):
            watch._subjects[subject.scope] = subject
        return watch


def _subject_of(name: str, state: str) -> Subject:
    agent, task, model = json.loads(name)
    return Subject.load((agent, task, model), json.loads(state), group=task is not None)


def _direction(subject: Subject) -> str:
    """Whether budgets that do not fit are rather too high or too low."""
    late = subject.late.figures()
    return causes.OVER if late["over"] >= late["under"] else causes.UNDER
