"""The core: plan a call, settle it, run it to its end. No I/O, no clock, no chance.

``run`` is a generator that drivers push along: it yields

* a Lookup (answer: a Session or ``None``) or a RunLookup (answer: RunAccounts),
* a Shortage of a limit (answer: what the store granted),
* a Waiting for room in one (answer: the time, in Unix seconds, when that was over),
* a Plan (answer: its Outcome, or UNSENT), or
* a Refusal or Halted, after which it ends (no answer);

and ends when nothing more is to be sent. A driver that gives up closes it; the open attempt
then settles as cancelled. Nothing here is thread-safe: the facade in ``assemble`` holds the
lock.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

from budget_proxy.classify.characteristics import classify_call
from budget_proxy.errors import InvalidInput
from budget_proxy.ledger.accounts import Account, Grant
from budget_proxy.ledger.admission import Admission, Waiting
from budget_proxy.ledger.claims import Charge, charge_of
from budget_proxy.ledger.ledger import Ledger, Shortage
from budget_proxy.ledger.limits import Limit
from budget_proxy.ledger.refusal import Refusal, Refused, named
from budget_proxy.ledger.runs import Extending, Extension, RunAccount, RunLookup
from budget_proxy.ledger.settlement import (
    Identity,
    is_awaited,
    record_of,
    resettled,
    settled,
)
from budget_proxy.policy.allocate import Terms, allocate, as_written, terms_of
from budget_proxy.policy.base import Policy
from budget_proxy.policy.escalate import cut_by_us, may_resend, may_retry, truncated, was_cut
from budget_proxy.policy.evidence import Evidence
from budget_proxy.policy.giving import as_given, give, is_wanted, patch_for
from budget_proxy.policy.guidance import compose
from budget_proxy.policy.refusals import Refusals
from budget_proxy.policy.rollout import pseudonym
from budget_proxy.policy.router import Choice
from budget_proxy.policy.sessions import Sessions
from budget_proxy.policy.view import View
from budget_proxy.predict.base import Predictor
from budget_proxy.predict.input_ratio import InputRatio
from budget_proxy.predict.recorded import features_of, observation_of
from budget_proxy.predict.signals import signals_of
from budget_proxy.predict.similarity import Similarity
from budget_proxy.running import Running
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
    Outcome,
    Patch,
    Plan,
    Session,
    Usage,
)
from budget_proxy.wire import DIALECTS
from budget_proxy.wire.prices import LISTED
from budget_proxy.wire.rejection import parameter_of

DEFAULT_AGENT: Final = "default"
CANCELLED: Final = Outcome(finish_reason="cancelled", exact=False)
UNSENT: Final = Outcome(finish_reason="cancelled", usage=Usage(0, 0))
"""The answer to a Plan that is not sent at all: no attempt was made, so none settles."""

Question = Lookup | RunLookup | Extending | Shortage
"""What the driver asks the store for."""
Step = Plan | Question | Waiting | Refused
Given = Extension | InvalidInput | Mapping[Account, Grant] | Sequence[RunAccount] | Session
Answer = Outcome | Given | float | None
CapabilitiesOf = Callable[[str, str, str], Capabilities]
"""(api, host, model) -> what the model can do."""
Route = Callable[[Call, Characteristics, int, str | None], Choice]
"""(call, characteristics, input tokens, the session's model) -> what the router chooses."""
OnSettled = Callable[[Plan, CallRecord], None]
"""Told of every attempt as it settles."""
OnLearned = Callable[[CallRecord], None]
"""Told of every row that the predictor learned from."""


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
        charge: Charge = LISTED.charge,
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
        self._charge = charge
        self.running = Running(policy, journal, charge, instance)
        self.ledger = Ledger()
        self._admission = Admission(self.ledger, charge, patience=policy.patience)

    def run(
        self, call: Call, body: Body, on_settled: OnSettled | None = None
    ) -> Generator[Step, Answer, None]:
        """Take one call from its body to its last settlement."""
        found: Answer | Lookup = self.sessions.find(call, again=self.running.is_shared(call))
        if isinstance(found, Lookup):
            found = yield found
        session = found if isinstance(found, Session) else None
        admitted = yield from self.prepare(call, body, session)
        if isinstance(admitted, Refusal):
            self.ledger.refused(admitted)
        if isinstance(admitted, Refused):
            yield admitted
            return
        plan: Plan | None = admitted
        process = self.ledger.process
        while plan is not None:
            outcome: Answer = CANCELLED
            try:
                outcome = yield plan
            finally:
                if not isinstance(outcome, Outcome):
                    outcome = CANCELLED
                # A forked child has its parent's open calls; they are not its own to settle.
                if outcome is not UNSENT and process == self.ledger.process:
                    record = self.settle(plan, outcome)
                    if on_settled is not None:
                        on_settled(plan, record)
            if outcome is UNSENT:
                self.ledger.release((plan.call.id, plan.attempt))
                self._refusals.unrepeated(plan.call)
                return
            following = self._next(plan, body, outcome)
            if following is not None and self.ledger:
                again = yield from self.reserve(following, body)
                following = again if isinstance(again, Plan) else None  # what came is all there is
            plan = following

    def prepare(
        self, call: Call, body: Body, session: Session | None
    ) -> Generator[Step, Answer, Plan | Refused]:
        """Plan a call of a session (``None``: one that is not known), and reserve for it."""
        if (halted := (yield from self.running.begin(call, DEFAULT_AGENT))) is not None:
            return halted
        plan = self.plan(call, body, self.sessions.settle_on(call, session))
        return (yield from self.reserve(plan, body)) if self.ledger else plan

    def plan(self, call: Call, body: Body, session: Session) -> Plan:
        """Decide one call, and keep what its session was given."""
        plan = self.decide(call, body, session)
        self.sessions.hold(plan.session)
        given = plan.session
        if given is session and session.started != session.seen:
            return plan
        ticket = self._journal.put_session(given)
        was_given = given.carried or given.decided or given.model is not None
        return replace(plan, pending=ticket) if was_given else plan

    def decide(self, call: Call, body: Body, session: Session) -> Plan:
        """Forecast, allocation, and the body to send; leaves no trace."""
        view = self._view(call, session)
        call, policy = view.call, self.policy
        terms = terms_of(call, policy, view.gate, session, view.agent)
        thinking, effort = view.steer()
        given = give(
            session, call, terms, policy, view.agent,
            compose=lambda form: compose(
                form, call, view.characteristics, view.forecast, view.forecast.quantile(0.60)
            ),
            thinking=thinking, effort=effort, routed=view.choice is not None,
        )  # fmt: skip
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
        if terms.writable and is_wanted(call, policy, view.agent):
            given, patch = self.running.tell(given, call, patch)
        written = DIALECTS[call.api].write(body, call, patch, view.capabilities)
        given = as_given(given, session, patch, written.patch, view.model)
        return Plan(
            call, view.characteristics, view.features, view.forecast,
            as_written(allocation, call, patch, written.patch), given, written.body,
            view.input_tokens, patch=written.patch, added=written.added,
            run=self.running.outlook(call, view.agent),
        )  # fmt: skip

    def reserve(self, plan: Plan, body: Body) -> Generator[Step, Answer, Plan | Refused]:
        """Reserve for a plan: it, a cheaper one that a limit falls back to, or the refusal."""
        call = plan.call
        admitted = yield from self._admission.admit(
            plan,
            user=self._pseudonym(call) or "",
            most=self._capabilities(call.api, call.host, call.model).max_output,
            cheaper=partial(self._cheaper, body=body),
        )
        if isinstance(admitted, Refusal):
            return admitted.of_run(self.running.numbers(call))
        return admitted

    def _pseudonym(self, call: Call) -> str | None:
        user = call.scope.user
        return pseudonym(self._salt, "user", user) if user else None

    def settle(self, plan: Plan, outcome: Outcome) -> CallRecord:
        """Account for one attempt: learn from it, queue its row."""
        outcome = replace(outcome, exact=False) if is_awaited(plan, outcome) else outcome
        kind = plan.features
        reasoning = self.evidence.reasoning_q95(kind.agent, kind.task_type, kind.model)
        produced = outcome.response_id
        identity = Identity(
            user=self._pseudonym(plan.call),
            response=self.sessions.produced(plan.session, produced) if produced else None,
            instance=self._instance,
            limits=self.ledger.newest,
        )
        usage = settled(plan, outcome, reasoning)
        record = record_of(
            plan, outcome, usage, identity,
            truncated=truncated(plan, outcome), cut_by_us=cut_by_us(plan, outcome),
        )  # fmt: skip
        if "usd" in self.ledger.units:
            record = replace(record, charged=charge_of(record, self._charge)[0])
        try:
            if record.run is not None:
                record = self.running.settle(record)
        finally:  # no learner's fault loses the row, nor what it lets go of
            self._journal.put(record)
            self.ledger.settle((record.call_id, record.attempt), record)
        self.learn(record)
        return record

    def settle_late(self, response: str, outcome: Outcome) -> None:
        """Have the pending row of a response take its outcome, if there is such a row."""
        name = pseudonym(self._salt, "response", response)
        self._journal.settle_late(name, partial(_completed, outcome=outcome))

    def recall(self, record: CallRecord) -> None:
        """Fold in a row that is in the history: an older one, or another instance's."""
        self.running.learn(record)
        self.learn(record)

    def learn(self, record: CallRecord) -> None:
        """Fold one row into the state."""
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
        features = features.with_novelty(self.memory.novelty(features))
        return features, self.predictor.predict_one(features)

    def _view(self, call: Call, session: Session) -> View:
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
        return View(
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

    def _cheaper(self, plan: Plan, limit: Limit, body: Body) -> Plan | None:
        """The call by the model or the effort that a limit falls back to, whoever chose them."""
        call = plan.call
        if call.signed:
            return None
        model, effort = limit.model or call.model, limit.effort or call.effort
        again = self.decide(replace(call, model=model, effort=effort), body, plan.session)
        return self._rewritten(
            replace(again, attempt=plan.attempt, pending=plan.pending),
            replace(again.call, effort=call.effort if limit.effort is None else None),
            body,
            replace(again.patch, model=limit.model, effort=limit.effort, notes=plan.patch.notes),
            f"{named(limit)} leaves no room for more than this",
            overridden=True,
        )

    def _patch(self, view: View, given: Session, terms: Terms, allocation: Allocation) -> Patch:
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
        for parameter in self._refusals.of(view.call.host, view.call.model):
            patch = DIALECTS[view.call.api].without(patch, parameter)
        return patch if allocation.ours else replace(patch, cap=allocation.cap)

    def _next(self, plan: Plan, body: Body, outcome: Outcome) -> Plan | None:
        """The attempt that follows, if one does: without our cap, or without what was refused."""
        if may_resend(plan, outcome):
            patch, why = replace(plan.patch, cap=None), "sent again: our cap cut the answer"
        elif may_retry(plan, outcome) and outcome.rejected is not None:
            patch = DIALECTS[plan.call.api].without(plan.patch, parameter_of(outcome.rejected))
            if patch.cap != plan.patch.cap and not plan.allocation.ours:
                return None  # the caller's own cap: without it would not be what was asked for
            why = f"sent again: {outcome.rejected} was refused"
        else:
            return None
        return self._rewritten(replace(plan, attempt=plan.attempt + 1), plan.call, body, patch, why)

    def _rewritten(
        self, plan: Plan, call: Call, body: Body, patch: Patch, why: str, **changed: Any
    ) -> Plan:
        """The plan with another patch written for ``call``, and the reason added."""
        capabilities = self._capabilities(call.api, call.host, call.model)
        written = DIALECTS[call.api].write(body, call, patch, capabilities)
        given = replace(plan.allocation, reason=f"{plan.allocation.reason}; {why}", **changed)
        return replace(
            plan,
            allocation=as_written(given, call, patch, written.patch),
            body=written.body,
            patch=written.patch,
            added=written.added,
        )


def _completed(record: CallRecord, outcome: Outcome) -> CallRecord:
    return resettled(record, outcome, truncated=was_cut(outcome, record.ceiling, record.n))
