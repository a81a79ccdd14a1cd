"""The core: plan a call, settle it, run it to its end. No I/O, no clock, no chance.

``run`` is a generator that drivers push along: it yields a Lookup (answer: a Session or
``None``) or a Plan (answer: its Outcome, or UNSENT), and ends when nothing more is to be sent. A
driver that gives up closes it; the open attempt then settles as cancelled. Nothing here is
thread-safe: the facade in ``assemble`` holds the lock.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from functools import partial
from typing import Final

from budget_proxy.classify.characteristics import classify_call
from budget_proxy.ledger.settlement import (
    Identity,
    is_awaited,
    record_of,
    resettled,
    settled,
)
from budget_proxy.policy.allocate import Terms, allocate, as_written, terms_of
from budget_proxy.policy.base import Policy
from budget_proxy.policy.breakdown import breakdown
from budget_proxy.policy.effort import effort_for, thinking_for
from budget_proxy.policy.escalate import cut_by_us, may_resend, may_retry, truncated, was_cut
from budget_proxy.policy.evidence import Evidence, Gate
from budget_proxy.policy.giving import give, patch_for
from budget_proxy.policy.guidance import compose
from budget_proxy.policy.refusals import Refusals
from budget_proxy.policy.rollout import pseudonym
from budget_proxy.policy.router import Choice
from budget_proxy.policy.sessions import Sessions
from budget_proxy.predict.base import Predictor
from budget_proxy.predict.input_ratio import InputRatio
from budget_proxy.predict.signals import signals_of
from budget_proxy.predict.similarity import Similarity
from budget_proxy.store.base import Journal
from budget_proxy.types import (
    Allocation,
    Body,
    Call,
    CallRecord,
    Capabilities,
    Characteristics,
    Features,
    Forecast,
    Lookup,
    Observation,
    Outcome,
    Patch,
    Plan,
    Session,
    Thinking,
    Usage,
    frozen,
)
from budget_proxy.wire import DIALECTS

DEFAULT_AGENT: Final = "default"
CANCELLED: Final = Outcome(finish_reason="cancelled", exact=False)
UNSENT: Final = Outcome(finish_reason="cancelled", usage=Usage(0, 0))
"""The answer to a Plan that is not sent at all: no attempt was made, so none settles."""

Step = Plan | Lookup
Answer = Outcome | Session | None
CapabilitiesOf = Callable[[str, str, str], Capabilities]
"""(api, host, model) -> what the model can do."""
Route = Callable[[Call, Characteristics, int, str | None], Choice]
"""(call, characteristics, input tokens, the session's model) -> what the router chooses."""
OnSettled = Callable[[Plan, CallRecord], None]
"""Told of every attempt as it settles."""
OnLearned = Callable[[CallRecord], None]
"""Told of every row that the predictor learned from."""


@frozen
class _View:
    """A call with everything that is known of it before anything is decided."""

    call: Call
    agent: str
    characteristics: Characteristics
    features: Features
    forecast: Forecast
    capabilities: Capabilities
    gate: Gate
    input_tokens: int
    choice: Choice | None

    @property
    def model(self) -> str | None:
        """The model that the router chose, where it was asked to."""
        return self.choice.model if self.choice else None

    def steer(self) -> tuple[Thinking | None, str | None]:
        """Thinking and effort as the policy, or the router with the model, would set them."""
        if self.choice is not None:
            return self.choice.thinking, self.choice.effort
        kind, can, budget = self.characteristics, self.capabilities, self.forecast.recommended
        thinking = thinking_for(budget, breakdown(budget, kind), kind, can)
        return thinking, effort_for(kind, can, thinking=thinking)


class Core:
    """The state that history folds into, and the decisions that rest on it."""

    def __init__(
        self,
        *,
        policy: Policy,
        predictor: Predictor,
        memory: Similarity,
        salt: bytes,
        journal: Journal,
        capabilities: CapabilitiesOf,
        route: Route | None = None,
        instance: str = "",
        on_learned: OnLearned | None = None,
    ) -> None:
        self.policy = policy
        self.predictor = predictor
        self.memory = memory
        self.evidence = Evidence(policy.evidence)
        self.ratio = InputRatio()
        self.sessions = Sessions(salt, holdout=policy.holdout, silence=policy.silence)
        self._salt = salt
        self._journal = journal
        self._capabilities = capabilities
        self._route = route
        self._instance = instance
        self._on_learned = on_learned
        self._refusals = Refusals()

    def run(
        self, call: Call, body: Body, on_settled: OnSettled | None = None
    ) -> Generator[Step, Answer, None]:
        """Take one call from its body to its last settlement."""
        found: Answer | Lookup = self.sessions.find(call)
        if isinstance(found, Lookup):
            found = yield found
        session = found if isinstance(found, Session) else None
        plan: Plan | None = self.plan(call, body, self.sessions.settle_on(call, session))
        while plan is not None:
            outcome: Answer = CANCELLED
            try:
                outcome = yield plan
            finally:
                if not isinstance(outcome, Outcome):
                    outcome = CANCELLED
                if outcome is not UNSENT:
                    record = self.settle(plan, outcome)
                    if on_settled is not None:
                        on_settled(plan, record)
            if outcome is UNSENT:
                self._refusals.unrepeated(plan.call)
                return
            plan = self._next(plan, body, outcome)

    def plan(self, call: Call, body: Body, session: Session) -> Plan:
        """Decide one call, and keep what its session was given."""
        plan = self.decide(call, body, session)
        self.sessions.hold(plan.session)
        given = plan.session
        if given is session and session.started != session.seen:
            return plan
        ticket = self._journal.put_session(given)
        was_given = given.guidance is not None or given.decided or given.model is not None
        return replace(plan, pending=ticket) if was_given else plan

    def decide(self, call: Call, body: Body, session: Session) -> Plan:
        """Forecast, allocation, and the body to send; leaves no trace."""
        view = self._view(call, session)
        call, policy = view.call, self.policy
        terms = terms_of(call, policy, view.gate, session, view.agent)
        thinking, effort = view.steer()
        given = give(
            session,
            call,
            terms,
            policy,
            view.agent,
            compose=lambda form: compose(
                form, call, view.characteristics, view.forecast, view.forecast.quantile(0.60)
            ),
            thinking=thinking,
            effort=effort,
            routed=view.choice is not None,
        )
        allocation = allocate(
            call,
            view.forecast,
            view.capabilities,
            policy,
            view.gate,
            given,
            terms,
            agent=view.agent,
            thinking=given.thinking or thinking,
            effort=given.effort or effort,
        )
        patch = self._patch(view, given, terms, allocation)
        written = DIALECTS[call.api].write(body, call, patch, view.capabilities)
        if session.guidance is None and written.patch.guidance is None:
            given = replace(given, guidance=None) if given.guidance is not None else given
        if view.model not in {None, given.model}:
            given = replace(given, model=view.model)
        return Plan(
            call=call,
            characteristics=view.characteristics,
            features=view.features,
            forecast=view.forecast,
            allocation=as_written(allocation, call, patch, written.patch),
            session=given,
            body=written.body,
            input_tokens=view.input_tokens,
            patch=written.patch,
            added=written.added,
        )

    def settle(self, plan: Plan, outcome: Outcome) -> CallRecord:
        """Account for one attempt: learn from it, queue its row."""
        if is_awaited(plan, outcome):
            outcome = replace(outcome, exact=False)
        kind = plan.features
        reasoning = self.evidence.reasoning_q95(kind.agent, kind.task_type, kind.model)
        user, produced = plan.call.scope.user, outcome.response_id
        identity = Identity(
            user=pseudonym(self._salt, "user", user) if user else None,
            response=self.sessions.produced(plan.session, produced) if produced else None,
            instance=self._instance,
        )
        record = record_of(
            plan,
            outcome,
            settled(plan, outcome, reasoning),
            identity,
            truncated=truncated(plan, outcome),
            cut_by_us=cut_by_us(plan, outcome),
        )
        self._journal.put(record)  # first of all, so that no learner's fault loses the row
        self.learn(record)
        return record

    def settle_late(self, response: str, outcome: Outcome) -> None:
        """Have the pending row of a response take its outcome, if there is such a row."""
        name = pseudonym(self._salt, "response", response)
        self._journal.settle_late(name, partial(_completed, outcome=outcome))

    def learn(self, record: CallRecord) -> None:
        """Fold one row of the history into the state."""
        self._refusals.learn(record)
        if not record.has_length:
            return
        features, observation = features_of(record), observation_of(record)
        self.predictor.learn_one(features, observation, record.call_id)
        if self.memory is not self.predictor:
            self.memory.learn_one(features, observation, record.call_id)
        self.evidence.learn(record)
        if record.exact and record.input_tokens and record.input_chars:
            tokens = record.input_tokens - record.guidance_tokens
            self.ratio.learn(record.model, record.input_chars, tokens)
        if self._on_learned is not None:
            self._on_learned(record)

    def foresee(self, features: Features) -> tuple[Features, Forecast]:
        """A forecast, with the novelty of the task filled in from the history."""
        novelty = self.memory.novelty(features)
        if novelty != features.characteristics.novelty:
            kind = replace(features.characteristics, novelty=novelty)
            features = replace(features, characteristics=kind)
        return features, self.predictor.predict_one(features)

    def _view(self, call: Call, session: Session) -> _View:
        agent = call.scope.agent or DEFAULT_AGENT
        kind = classify_call(
            call.messages, call.override.descriptor, images=call.images, tools=call.tools
        )
        tokens = self.ratio.estimate(call.model, call.input_chars, call.images)
        choice: Choice | None = None
        if self._route is not None and call.model == self.policy.alias:
            choice = self._route(call, kind, tokens, session.model)
            call = replace(call, model=choice.model)
        signals = signals_of(call, kind, self._salt)
        features, forecast = self.foresee(
            Features(
                agent, call.model, kind.task_type, kind, call.now, tokens, call.ceiling,
                session.id, call.scope.task, signals,
            )
        )  # fmt: skip
        return _View(
            call=call,
            agent=agent,
            characteristics=features.characteristics,
            features=features,
            forecast=forecast,
            capabilities=self._capabilities(call.api, call.host, call.model),
            gate=self.evidence.gate(agent, kind.task_type, call.model),
            input_tokens=tokens,
            choice=choice,
        )

    def _patch(self, view: _View, given: Session, terms: Terms, allocation: Allocation) -> Patch:
        patch = patch_for(
            given,
            view.call,
            terms,
            self.policy,
            view.agent,
            cap=allocation.cap,
            model=view.model,
            routed=view.choice is not None,
        )
        dialect = DIALECTS[view.call.api]
        for parameter in self._refusals.of(view.call.host, view.call.model):
            patch = dialect.without(patch, parameter)
        return patch

    def _next(self, plan: Plan, body: Body, outcome: Outcome) -> Plan | None:
        """The attempt that follows, if one does: without our cap, or without what was refused."""
        if may_resend(plan, outcome):
            patch, why = replace(plan.patch, cap=None), "sent again: our cap cut the answer"
        elif may_retry(plan, outcome) and outcome.rejected is not None:
            patch = DIALECTS[plan.call.api].without(plan.patch, outcome.rejected)
            why = f"sent again: {outcome.rejected} was refused"
        else:
            return None
        call = plan.call
        capabilities = self._capabilities(call.api, call.host, call.model)
        written = DIALECTS[call.api].write(body, call, patch, capabilities)
        allocation = replace(plan.allocation, reason=f"{plan.allocation.reason}; {why}")
        return replace(
            plan,
            allocation=as_written(allocation, call, patch, written.patch),
            body=written.body,
            patch=written.patch,
            added=written.added,
            attempt=plan.attempt + 1,
        )


def _completed(record: CallRecord, outcome: Outcome) -> CallRecord:
    cut = was_cut(outcome, record.ceiling, record.n)
    return resettled(record, outcome, truncated=cut)


def features_of(record: CallRecord) -> Features:
    """What was known of a recorded call before it was sent."""
    kind = Characteristics(
        complexity=record.complexity,
        domains=frozenset(record.domains),
        task_type=record.task_type,
        novelty=record.novelty,
        uncertainty=record.uncertainty,
        criticality=record.criticality,
        creative=record.creative,
        architecture=record.architecture,
    )
    return Features(
        record.agent, record.model, record.task_type, kind, record.ts,
        record.input_estimate, record.ceiling, record.session, record.task, record.signals,
    )  # fmt: skip


def observation_of(record: CallRecord) -> Observation:
    """The length of one choice that a recorded call tells."""
    choices = max(record.n, 1)
    each = round((record.output_tokens or 0) / choices)
    reasoning = record.reasoning_tokens
    if reasoning is not None:
        reasoning = round(reasoning / choices)
    return Observation(max(each, 1), record.truncated, record.ts, reasoning, record.input_tokens)
