"""The core: plan a call, settle it, run it to its end. No I/O, no clock, no chance.

``run`` is a generator that drivers push along: it yields a Lookup (answer: a Session or
``None``) or a Plan (answer: its Outcome), and ends when nothing more is to be sent. A driver
that gives up closes it; the open attempt then settles as cancelled. Nothing here is
thread-safe: the facade in ``assemble`` holds the lock.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import Final

from budget_proxy.classify.characteristics import classify_call
from budget_proxy.ledger.settlement import Identity, has_length, record_of, settled
from budget_proxy.policy.allocate import Terms, allocate, capped_at, terms_of
from budget_proxy.policy.base import Policy
from budget_proxy.policy.breakdown import breakdown
from budget_proxy.policy.effort import effort_for, thinking_for
from budget_proxy.policy.escalate import may_resend, may_retry, truncated
from budget_proxy.policy.evidence import Evidence, Gate
from budget_proxy.policy.giving import give, patch_for
from budget_proxy.policy.guidance import compose
from budget_proxy.policy.rollout import pseudonym
from budget_proxy.policy.router import Choice
from budget_proxy.policy.sessions import Sessions
from budget_proxy.predict.base import Predictor
from budget_proxy.predict.input_ratio import InputRatio
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
)
from budget_proxy.wire import DIALECTS

DEFAULT_AGENT: Final = "default"
CANCELLED: Final = Outcome(finish_reason="cancelled", exact=False)

Step = Plan | Lookup
Answer = Outcome | Session | None
CapabilitiesOf = Callable[[str, str, str], Capabilities]
"""(api, host, model) -> what the model can do."""
Route = Callable[[Call, Characteristics, int], Choice]
"""(call, characteristics, input tokens) -> the model that the router chooses."""
OnSettled = Callable[[Plan, CallRecord], None]
"""Told of every attempt as it settles."""


@dataclass(frozen=True, slots=True)
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
    model: str | None


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
        self._unsupported: set[tuple[str, str, str]] = set()

    def run(
        self, call: Call, body: Body, on_settled: OnSettled | None = None
    ) -> Generator[Step, Answer, None]:
        """Take one call from its body to its last settlement."""
        found = self.sessions.find(call)
        key = found.key
        if isinstance(found, Lookup):
            answer = yield found
            session = answer if isinstance(answer, Session) else None
        else:
            session = found
        plan: Plan | None = self.plan(call, body, self.sessions.settle_on(call, session, key))
        while plan is not None:
            outcome: Answer = CANCELLED
            try:
                outcome = yield plan
            finally:
                if not isinstance(outcome, Outcome):
                    outcome = CANCELLED
                record = self.settle(plan, outcome)
                if on_settled is not None:
                    on_settled(plan, record)
            plan = self._next(plan, body, outcome)

    def plan(self, call: Call, body: Body, session: Session) -> Plan:
        """Decide one call, and keep what its session was given."""
        plan = self.decide(call, body, session)
        self.sessions.hold(plan.session)
        if plan.session is not session:
            return replace(plan, pending=self._journal.put_session(plan.session))
        if session.started == session.seen:
            self._journal.put_session(session)
        return plan

    def decide(self, call: Call, body: Body, session: Session) -> Plan:
        """Forecast, allocation, and the body to send; leaves no trace."""
        view = self._view(call, session)
        call, policy = view.call, self.policy
        terms = terms_of(call, policy, view.gate, session, view.agent)
        phases = breakdown(view.forecast.recommended, view.characteristics)
        thinking = thinking_for(
            view.forecast.recommended, phases, view.characteristics, view.capabilities
        )
        effort = effort_for(view.characteristics, view.capabilities, thinking=thinking)
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
        return self._planned(view, given, allocation, patch, body)

    def settle(self, plan: Plan, outcome: Outcome) -> CallRecord:
        """Account for one attempt: learn from it, queue its row."""
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
        )
        self.learn(record)
        self._journal.put(record)
        return record

    def learn(self, record: CallRecord) -> None:
        """Fold one row of the history into the state."""
        if record.rejected is not None:
            self._unsupported.add((record.host, record.model, record.rejected))
        if not has_length(record):
            return
        features, observation = features_of(record), observation_of(record)
        self.predictor.learn_one(features, observation, record.call_id)
        if self.memory is not self.predictor:
            self.memory.learn_one(features, observation, record.call_id)
        self.evidence.learn(record)
        if record.exact and record.input_tokens and record.input_chars:
            tokens = record.input_tokens - record.guidance_tokens
            self.ratio.learn(record.model, record.input_chars, tokens)

    def foresee(self, features: Features) -> tuple[Features, Forecast]:
        """A forecast, with the novelty of the task filled in from the history."""
        kind = replace(features.characteristics, novelty=self.memory.novelty(features))
        features = replace(features, characteristics=kind)
        return features, self.predictor.predict_one(features)

    def _view(self, call: Call, session: Session) -> _View:
        agent = call.scope.agent or DEFAULT_AGENT
        kind = classify_call(
            call.messages, call.override.descriptor, images=call.images, tools=call.tools
        )
        tokens = self.ratio.estimate(call.model, call.input_chars, call.images)
        model: str | None = None
        if self._route is not None and call.model == self.policy.alias:
            model = session.model or self._route(call, kind, tokens).model
            call = replace(call, model=model)
        features, forecast = self.foresee(
            Features(agent, call.model, kind.task_type, kind, call.now, tokens, call.ceiling)
        )
        return _View(
            call=call,
            agent=agent,
            characteristics=features.characteristics,
            features=features,
            forecast=forecast,
            capabilities=self._capabilities(call.api, call.host, call.model),
            gate=self.evidence.gate(agent, kind.task_type, call.model),
            input_tokens=tokens,
            model=model,
        )

    def _patch(self, view: _View, given: Session, terms: Terms, allocation: Allocation) -> Patch:
        patch = patch_for(
            given,
            view.call,
            terms,
            cap=allocation.cap,
            include_usage=self.policy.include_usage,
            capabilities=view.capabilities,
            model=view.model,
        )
        dialect = DIALECTS[view.call.api]
        for host, model, parameter in self._unsupported:
            if (host, model) == (view.call.host, view.call.model):
                patch = dialect.without(patch, parameter)
        return patch

    def _planned(
        self, view: _View, given: Session, allocation: Allocation, patch: Patch, body: Body
    ) -> Plan:
        call = view.call
        written = DIALECTS[call.api].write(body, call, patch, view.capabilities)
        if written.cap != allocation.cap:
            allocation = capped_at(allocation, call, written.cap)
        steered = patch.thinking is not None or patch.effort is not None
        if steered or view.model is not None:
            allocation = replace(allocation, steered=steered, model=view.model)
        session = given
        if view.model not in {None, given.model}:
            session = replace(given, model=view.model)
        return Plan(
            call=call,
            characteristics=view.characteristics,
            features=view.features,
            forecast=view.forecast,
            allocation=allocation,
            session=session,
            body=written.body,
            input_tokens=view.input_tokens,
            patch=patch,
            added=written.added,
        )

    def _next(self, plan: Plan, body: Body, outcome: Outcome) -> Plan | None:
        """The attempt that follows, if one does: without our cap, or without what was refused."""
        if may_resend(plan, outcome):
            patch, why = replace(plan.patch, cap=None), "sent again: our cap cut the answer"
        elif may_retry(plan, outcome) and outcome.rejected is not None:
            patch = DIALECTS[plan.call.api].without(plan.patch, outcome.rejected)
            why = f"sent again: {outcome.rejected} was refused"
        else:
            return None
        allocation = capped_at(plan.allocation, plan.call, patch.cap)
        allocation = replace(allocation, reason=f"{plan.allocation.reason}; {why}")
        capabilities = self._capabilities(plan.call.api, plan.call.host, plan.call.model)
        written = DIALECTS[plan.call.api].write(body, plan.call, patch, capabilities)
        return replace(
            plan,
            allocation=allocation,
            body=written.body,
            patch=patch,
            added=written.added,
            attempt=plan.attempt + 1,
        )


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
        record.input_estimate, record.ceiling,
    )  # fmt: skip


def observation_of(record: CallRecord) -> Observation:
    """The length of one choice that a recorded call tells."""
    each = round((record.output_tokens or 0) / max(record.n, 1))
    return Observation(max(each, 1), record.truncated, record.ts)
