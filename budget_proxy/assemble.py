"""The composition root: settings, store, recorder and core become one Engine.

The Engine is what programs hold: it adds to the core the clock, ids, the lock, the history's
replay and the background writer. It is safe to use from several threads.
"""

from __future__ import annotations

import itertools
import threading
import time
import uuid
from collections.abc import Generator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from budget_proxy.classify.descriptor import parse as parse_descriptor
from budget_proxy.engine import Answer, Core, OnSettled, Question, Step
from budget_proxy.errors import BudgetExceeded, InvalidInput, StoreError
from budget_proxy.faults import Faults
from budget_proxy.forks import after_fork, load_aside
from budget_proxy.holding import Holding
from budget_proxy.ledger.admission import Waiting
from budget_proxy.ledger.refusal import Refused
from budget_proxy.ledger.runs import Extending, RunLookup
from budget_proxy.policy.base import policy_of
from budget_proxy.policy.router import Choice
from budget_proxy.predict.base import Predictor, Refitting
from budget_proxy.predict.similarity import Similarity
from budget_proxy.predict.strategies import fitting, make
from budget_proxy.runs import Runs, RunsOffered
from budget_proxy.scope import merge, parse
from budget_proxy.store import open_store
from budget_proxy.store.base import Store
from budget_proxy.store.recorder import Recorder
from budget_proxy.tasks import Selection, Tasks, trained
from budget_proxy.training.trainer import Trainer
from budget_proxy.types import (
    Body,
    Call,
    CallRecord,
    Capabilities,
    Lookup,
    Outcome,
    Override,
    Plan,
    Prediction,
    Scope,
    Session,
    Similar,
)
from budget_proxy.wire import DIALECTS
from budget_proxy.wire.base import Context
from budget_proxy.wire.models import capabilities
from budget_proxy.wire.own import strip
from budget_proxy.wire.prices import prices_of
from budget_proxy.wire.usage import preload

if TYPE_CHECKING:
    from budget_proxy.analytics.efficiency import EfficiencyReport
    from budget_proxy.settings import Settings


class Engine(RunsOffered):
    """Plans, settles and remembers calls. Open one with ``Engine.open`` and share it."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self.settings = settings
        self.store = store
        self.prices = prices_of(settings)
        self.faults = Faults()
        self._trainer: Trainer | None = None
        self._begin_process()
        self._preloaded = False
        self._overrides = {
            name: model.model_dump(exclude_none=True) for name, model in settings.models.items()
        }
        instance = uuid.uuid4().hex[:12]
        salt = bytes.fromhex(store.meta("salt", uuid.uuid4().hex + uuid.uuid4().hex))
        self.recorder = Recorder(
            store, price=lambda record: self.prices.charged(self.priced(record)), instance=instance,
            on_fault=self.fault, on_foreign=self._learn, on_late=self._learn,
        )  # fmt: skip
        predictor = make(settings.strategy, window=settings.window)
        self._trainer = self._trained_by(predictor, instance)
        memory = predictor if isinstance(predictor, Similarity) else Similarity(settings.window)
        self.core = Core(
            policy=policy_of(settings),
            predictor=predictor,
            memory=memory,
            salt=salt,
            journal=self.recorder,
            capabilities=self.capabilities,
            route=self._route if settings.tiers else None,
            charge=self.prices.charge,
            instance=instance,
            on_learned=self._trainer.learned if self._trainer is not None else None,
        )
        self._holding = Holding(
            self.core.ledger, store, self.recorder, locked=lambda: self._lock,
            on_fault=self.fault, on_limited=self._preload,
        )  # fmt: skip
        self._tasks = Tasks(self.core, self.capabilities, self.prices)
        self.runs = Runs(
            self.core, store, locked=lambda: self._lock, flush=self.flush, now=self.now,
            on_fault=self.fault,
        )  # fmt: skip
        self.recorder.start_polling(after=self._replay())
        after_fork(self._begin_child)

    @classmethod
    def open(cls, url: str | None = None, **values: Any) -> Engine:
        """Open the history at ``url`` (or the settings' one) and learn from it.

        ``values`` override settings by name. Raises ConfigError on wrong settings and
        StoreError on a history that cannot be used; where the disk is read-only, the history
        is kept in memory, with a warning.
        """
        from budget_proxy.settings import default_store, load

        settings = load(**values)
        where = url or settings.store
        return cls(settings, open_store(where or default_store(), fallback=where is None))

    # -- calls ------------------------------------------------------------------------------

    def run(
        self, call: Call, body: Body, on_settled: OnSettled | None = None
    ) -> Generator[Step, Answer, None]:
        """``Core.run`` under the engine's lock; the lock is free while a call is on its way."""
        self._holding.start()
        self._preload()
        inner = self.core.run(call, body, on_settled)
        answer: Answer = None
        try:
            while True:
                with self._lock:
                    try:
                        step = inner.send(answer)
                    except StopIteration:
                        return
                answer = yield step
        finally:
            with self._lock:
                inner.close()

    def plan(
        self,
        *,
        api: str,
        body: Mapping[str, Any],
        scope: Scope | None = None,
        override: Override | None = None,
        host: str = "",
        timeout: float | None = None,
        dry_run: bool = False,
    ) -> Plan:
        """Plan one call that you send yourself; settle it afterwards.

        ``api`` is "openai.chat", "openai.responses" or "anthropic.messages". With ``dry_run``
        the plan is only to look at: nothing is remembered or reserved. Raises InvalidInput on
        an unknown api or a wrong ``budget`` key in the body, BudgetExceeded where a limit
        refuses the call.
        """
        self._holding.start()
        self._preload()
        dialect = DIALECTS.get(api)
        if dialect is None:
            raise InvalidInput(f"api must be one of {', '.join(DIALECTS)}, not {api!r}")
        stripped, own = strip(body)
        asked_scope, asked = scope or Scope(), override or Override()
        if own is not None:
            own_scope, own_override = parse(own)
            asked_scope, asked = merge(own_scope, asked_scope), merge(own_override, asked)
        if asked.descriptor is not None:
            parse_descriptor(asked.descriptor)
        if asked.extend is not None:
            raise InvalidInput("a program extends a run by engine.extend_run")
        context = Context(self.new_id(), self.now(), host, asked_scope, asked, timeout)
        call = dialect.read(stripped, context)
        found = self.core.sessions.find(call)
        session = self.lookup(found) if isinstance(found, Lookup) else found
        if dry_run:
            with self._lock:
                return self.core.decide(call, stripped, self.core.sessions.settle_on(call, session))
        plan = self._ended(self.core.prepare(call, stripped, session))
        if isinstance(plan, Refused):
            raise BudgetExceeded(plan.message)
        return plan

    def settle(self, plan: Plan, outcome: Outcome) -> CallRecord:
        """Account for a planned call: learn from it, queue its row."""
        with self._lock:
            return self.core.settle(plan, outcome)

    def settle_late(self, response: str, outcome: Outcome) -> None:
        """Settle an answer made in the background, by its response id; an unknown one is nothing.

        Does not block: the row is looked for, and learned from, by the thread that writes.
        """
        self.core.settle_late(response, outcome)

    def lookup(self, wanted: Lookup) -> Session | None:
        """A session from the history. Blocking; a store fault counts as not found."""
        try:
            return self.store.session(wanted.key, wanted.response, wanted.identifier)
        except StoreError as error:
            self.fault("lookup", error)
            return None

    def answer(self, asked: Question) -> Answer:
        """What the core asks the store for. Blocking; a store fault counts as not found."""
        if isinstance(asked, Lookup):
            return self.lookup(asked)
        if isinstance(asked, RunLookup):
            return self.runs.found(asked)
        if isinstance(asked, Extending):
            return self.runs.granted(asked)
        return self._holding.lease(asked)

    @property
    def limited(self) -> bool:
        """Whether there are limits that may refuse a call."""
        return bool(self.core.ledger)

    # -- tasks ------------------------------------------------------------------------------

    def predict(
        self,
        task: Mapping[str, Any],
        agent: str | None = None,
        model: str | None = None,
        strategy: str | None = None,
    ) -> Prediction:
        """The tokens a task will need. ``strategy`` asks another one, trained on the window."""
        predictor = None
        if strategy:
            self.flush()
            rows = self.store.recent(self.settings.window)
            predictor = trained(strategy, rows, self.settings.window)
        with self._lock:
            return self._tasks.predict(
                task, agent=agent, model=model, now=self.now(), identifier=self.new_id(),
                predictor=predictor,
            )  # fmt: skip

    def record(self, prediction: Prediction, used: int, *, truncated: bool = False) -> CallRecord:
        """Learn what a predicted task really used, in tokens."""
        with self._lock:
            row = self._tasks.record(prediction, used, now=self.now(), truncated=truncated)
            row = replace(row, limits=self.core.ledger.newest)
            self.recorder.put(row)
            self.core.ledger.count(row)
        return row

    def similar_tasks(self, task: Mapping[str, Any], n: int = 10) -> tuple[Similar, ...]:
        """The ``n`` most similar tasks of the history, most similar first."""
        with self._lock:
            return self._tasks.similar(task, n, self.now())

    def select_model_and_budget(
        self, task: Mapping[str, Any], agent: str | None = None
    ) -> Selection:
        """A model of the settings' tiers, thinking, effort and budget, chosen together."""
        with self._lock:
            return self._tasks.select(task, agent=agent, now=self.now(), identifier=self.new_id())

    def record_outcome_with_budget(
        self, selection: Selection, used: int, *, truncated: bool = False
    ) -> CallRecord:
        """Learn what the selected model really used."""
        return self.record(selection.prediction, used, truncated=truncated)

    def feedback(self, call_id: str, score: float) -> bool:
        """Attach a quality score (any scale, higher is better) to a call; false if unknown."""
        self.flush()
        return self.store.score(call_id, score)

    def efficiency_report(self, **where: Any) -> EfficiencyReport:
        """Utilisation, accuracy, truncation and calibration over the history.

        ``where``: ``start`` and ``end`` (Unix seconds) and columns of ``calls``. Folded calls
        count too, where it asks for nothing but agent, task_type, model and arm.
        """
        from budget_proxy.analytics.efficiency import efficiency_report

        self.flush()
        return efficiency_report(self.store.sums(**where))

    # -- life -------------------------------------------------------------------------------

    def capabilities(self, api: str, host: str, model: str) -> Capabilities:
        """What a model on a host can do: built-in table, family rules, then your settings."""
        return capabilities(api, host, model, self._overrides, self.settings.quota_hosts)

    def now(self) -> float:
        """Unix seconds."""
        return time.time()

    def new_id(self) -> str:
        """A fresh call id: counted, since random numbers cost a system call each."""
        return f"{self._prefix}{next(self._numbers):012x}"

    def priced(self, record: CallRecord) -> CallRecord:
        """The record with its cost, where the price is known."""
        return self.prices.priced(record)

    def fault(self, stage: str, error: Exception) -> None:
        """Count a fault of ours; log it at most once a minute and stage."""
        self.faults.note(stage, error)

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until every row queued so far is on disk; false if that took too long."""
        return self.recorder.flush(timeout)

    def fitted(self, timeout: float = 60.0) -> bool:
        """Wait until no fit is under way; false if one still is after ``timeout`` seconds.

        Fits are made in the background as outcomes gather: nothing needs to wait for them.
        """
        return self._trainer is None or self._trainer.wait(timeout)

    def close(self) -> None:
        """Write what is queued and close the history."""
        if self._trainer is not None:
            self._trainer.close()
        self.recorder.flush()
        self._holding.close()
        self.recorder.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _begin_process(self) -> None:
        """What is this process's own: a lock that no thread of the parent's holds, and its ids."""
        self._lock = threading.RLock()
        self._prefix = uuid.uuid4().hex[:20]
        self._numbers = itertools.count()
        if self._trainer is not None:
            self._trainer.begin_process()

    def _begin_child(self) -> None:
        self._begin_process()
        self._holding.begin_child()

    def _trained_by(self, predictor: Predictor, instance: str) -> Trainer | None:
        """The worker that fits the predictor, if it is one that is fitted."""
        if not isinstance(predictor, Refitting):
            return None
        return Trainer(
            predictor, fitting(predictor.name), self.store, lock=lambda: self._lock,
            on_fault=self.fault, now=self.now, instance=instance,
        )  # fmt: skip

    def _ended(self, steps: Generator[Step, Answer, Plan | Refused]) -> Plan | Refused:
        """Take steps of the core to their end; the lock is free while the store is asked."""
        answer: Answer = None
        while True:
            with self._lock:
                try:
                    step = steps.send(answer)
                except StopIteration as end:
                    ended: Plan | Refused = end.value
                    return ended
            if isinstance(step, Waiting):
                with suppress(TimeoutError):
                    step.ticket.result(timeout=1.0)
                answer = self.now()
            elif isinstance(step, Question):
                answer = self.answer(step)

    def _replay(self) -> int:
        """Learn the newest rows of the history again; the id of the last."""
        trainer = self._trainer
        rows = self.store.recent(max(self.settings.window, trainer.rows if trainer else 0))
        with self._lock:
            if trainer is not None:
                trainer.replay(rows, self.core.recall)
            else:
                for row in rows:
                    self.core.recall(row)
        return max((row.id or 0 for row in rows), default=0)

    def _preload(self) -> None:
        """Load the prices while the first call is on its way: it takes half a second."""
        if not self._preloaded:
            self._preloaded = True
            load_aside(preload, "budget-proxy-preload")

    def _route(self, *asked: Any) -> Choice:
        return self._tasks.route(*asked)

    def _learn(self, records: Sequence[CallRecord]) -> None:
        for record in records:
            with self._lock:
                self.core.recall(record)
