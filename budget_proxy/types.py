"""The nouns: frozen values that every layer speaks. Of ours it imports those of runs.

Token counts are whole tokens; times are Unix seconds; money is US dollars. ``None`` means
"unknown", never zero.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final, Literal, Protocol, TypeVar, dataclass_transform

from budget_proxy.run_types import Extend, Note, RunOutlook

Mode = Literal["observe", "guide", "enforce"]
CapPolicy = Literal["quota", "always", "runaway", "never"]
Arm = Literal["treatment", "holdout"]
FinishReason = Literal[
    "stop", "length", "tool_calls", "content_filter", "refusal", "error", "cancelled"
]
NO_ANSWER: Final[frozenset[str]] = frozenset({"error", "cancelled"})
"""The finish reasons of attempts that brought no answer."""

NO_PROVIDER: Final = "task"
"""The api of rows that `Engine.record` wrote: nobody was paid for them."""

GuidanceForm = Literal["compact", "detailed", "off"]
GuidancePlace = Literal["system", "user"]
Body = dict[str, Any]

_Class = TypeVar("_Class")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(noun: type[_Class]) -> type[_Class]:
    """Make a class one of frozen values: a dataclass with slots that type checkers hold frozen.

    At run time nothing guards them, on purpose: the guard makes a value three times as dear to
    make, and a call makes some forty. What callers make, or many calls share, is guarded.
    """
    return dataclass(slots=True, unsafe_hash=True)(noun)


NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})
"""An empty read-only mapping, for defaults."""

LEVELS: Final = (0.50, 0.75, 0.90, 0.95, 0.99)
"""The quantile levels that are promised, stored and scored."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose call it is. Every field is optional; ``tags`` are free labels."""

    session: str | None = None
    run: str | None = None
    agent: str | None = None
    task: str | None = None
    user: str | None = None
    key: str | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Override:
    """What the caller asked of this one call; ``None`` leaves the policy's choice.

    ``cap`` is the caller's own ceiling in output tokens, which ``cap_stands`` keeps in force
    although an outer override says to observe; ``thinking`` and ``effort`` are ``"auto"`` (hand
    over) or a value of the caller's; ``descriptor`` is a task descriptor; ``extend`` asks more for
    the call's run.
    """

    cap: int | None = None
    cap_stands: bool = False
    mode: Mode | None = None
    thinking: str | None = None
    effort: str | None = None
    guidance: bool | None = None
    off: bool = False
    descriptor: Mapping[str, Any] | None = None
    extend: Extend | None = None


@frozen
class Message:
    """One message as the core sees it: its text, and counts of what is not text."""

    role: Literal["system", "user", "assistant", "tool"]
    text: str
    images: int = 0
    attachments: int = 0
    tool_calls: int = 0
    cached: bool = False


@frozen
class Capabilities:
    """What is known of a model on a host. Unknown models get the safe defaults given here."""

    max_output: int | None = None
    reasoning: bool = False
    efforts: tuple[str, ...] = ()
    default_effort: str | None = None
    thinking: frozenset[str] = frozenset()
    cache_minimum: int | None = None
    counts_cap: bool = False
    known: bool = False


@frozen
class Call:
    """One completion call, read from a request body by ``wire``; the body stays a plain dict.

    ``ceiling`` is the caller's own cap in the body; ``starts`` says that no assistant turn
    came before; ``fingerprint`` digests system prompt, tools and first user message;
    ``resendable`` is false where sending twice would repeat side effects on the server;
    ``background`` says that the answer is made whether or not anybody waits for it.
    ``input_chars`` counts the characters the provider will bill as input; ``schema_fields`` the
    properties of the JSON schema that the answer must have. ``tail`` is the place of the newest
    message in the body's list, where that is a user's or a tool's. ``tier`` is the service tier,
    or speed, that is asked for; the one that answers decides the price.
    """

    id: str
    api: str
    model: str
    now: float
    host: str = ""
    scope: Scope = Scope()
    override: Override = Override()
    messages: tuple[Message, ...] = ()
    tools: tuple[str, ...] = ()
    fingerprint: bytes = b""
    input_chars: int = 0
    images: int = 0
    n: int = 1
    stream: bool = False
    ceiling: int | None = None
    effort: str | None = None
    thinking: str | None = None
    thinking_budget: int | None = None
    schema: bool = False
    schema_fields: int = 0
    temperature: float | None = None
    forced_tool: bool = False
    resendable: bool = True
    cappable: bool = True
    signed: bool = False
    starts: bool = True
    tail: int | None = None
    cache_past_system: bool = False
    usage_asked: bool = False
    conversation: str | None = None
    previous_response: str | None = None
    cache_key: str | None = None
    timeout: float | None = None
    background: bool = False
    tier: str | None = None

    @property
    def system(self) -> str:
        """The system prompt's text, its parts joined by a newline."""
        return "\n".join(m.text for m in self.messages if m.role == "system")


@frozen
class Characteristics:
    """What kind of task a call is (mission: task characteristics).

    ``complexity`` is 0-100; ``novelty``, ``uncertainty`` and ``criticality`` are 0-1;
    ``evidence`` maps a characteristic to the names and counts of the cues behind it.
    """

    complexity: float = 0.0
    domains: frozenset[str] = frozenset()
    task_type: str = "conversation"
    novelty: float = 1.0
    uncertainty: float = 0.0
    criticality: float = 0.0
    creative: bool = False
    architecture: bool = False
    evidence: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: NOTHING)

    def columns(self) -> dict[str, Any]:
        """The fields of a CallRecord that they fill."""
        return {
            "task_type": self.task_type,
            "complexity": self.complexity,
            "domains": tuple(sorted(self.domains)),
            "novelty": self.novelty,
            "uncertainty": self.uncertainty,
            "criticality": self.criticality,
            "creative": self.creative,
            "architecture": self.architecture,
        }


@frozen
class Features:
    """What is known of a call before it is sent, and all that a learner may use.

    ``session`` and ``task`` are identities, not texts. ``signals`` is what its messages and
    settings tell without their text, encoded (``predict/signals.py``); empty where unknown.
    """

    agent: str
    model: str
    task_type: str
    characteristics: Characteristics
    now: float
    input_tokens: int | None = None
    ceiling: int | None = None
    session: str | None = None
    task: str | None = None
    signals: bytes = b""

    def with_novelty(self, novelty: float) -> Features:
        """The same of a task that is so new."""
        # (Each call asks: ``replace`` takes five times as long.)
        kind = self.characteristics
        found = Characteristics(
            kind.complexity, kind.domains, kind.task_type, novelty, kind.uncertainty,
            kind.criticality, kind.creative, kind.architecture, kind.evidence,
        )  # fmt: skip
        return Features(
            self.agent, self.model, self.task_type, found, self.now, self.input_tokens,
            self.ceiling, self.session, self.task, self.signals,
        )  # fmt: skip


@frozen
class Observation:
    """One length that came back: ``tokens``; if ``censored``, the true one is at least that.

    ``reasoning`` is the part of it that was reasoning, and ``input_tokens`` what it answered,
    where the usage told.
    """

    tokens: int
    censored: bool
    ts: float
    reasoning: int | None = None
    input_tokens: int | None = None


@frozen
class Similar:
    """An earlier task a prediction rests on, with its similarity (0-1) and tokens used."""

    call_id: str
    task_type: str
    similarity: float
    used: int
    ts: float


@frozen
class Forecast:
    """The predicted distribution of output tokens of one choice.

    ``levels`` ascend and ``values`` never decrease; ``support`` is the number of outcomes of
    the ``group`` that the forecast rests on; ``confidence`` is P(.50 B <= used <= .95 B) at
    B = ``recommended`` for calibrated strategies, the origin's weights for the others.
    ``reasoning`` has the part that is reasoning at the same levels, where that is known.
    """

    levels: tuple[float, ...]
    values: tuple[float, ...]
    strategy: str
    recommended: int
    confidence: float
    support: int = 0
    source: str = "prior"
    group: tuple[str, ...] = ()
    similar: tuple[Similar, ...] = ()
    reasons: tuple[str, ...] = ()
    novelty: float = 1.0
    reasoning: tuple[float, ...] = ()

    def quantile(self, level: float) -> float:
        """Tokens at ``level``, interpolated between the levels in log space."""
        if not 0.0 < level < 1.0:
            raise ValueError(f"a quantile level lies strictly between 0 and 1, not {level}")
        levels, values = self.levels, self.values
        if level <= levels[0]:
            return values[0]
        if level >= levels[-1]:
            return values[-1]
        right = bisect_left(levels, level)
        if levels[right] == level:
            return values[right]
        left = right - 1
        share = (level - levels[left]) / (levels[right] - levels[left])
        low, high = math.log(max(values[left], 1.0)), math.log(max(values[right], 1.0))
        return math.exp(low + share * (high - low))

    def columns(self) -> dict[str, Any]:
        """The fields of a CallRecord that it fills."""
        promised = {f"q{round(100 * level)}": self.quantile(level) for level in LEVELS}
        return {**promised, "strategy": self.strategy, "support": self.support}

    def cdf(self, tokens: float) -> float:
        """P(used <= tokens): the inverse of ``quantile``; 0 below the lowest level, 1 above."""
        values, levels = self.values, self.levels
        if tokens < values[0]:
            return 0.0
        if tokens >= values[-1]:
            return 1.0
        right = bisect_left(values, tokens)
        while values[right] <= tokens:
            right += 1
        left = right - 1
        low, high = math.log(max(values[left], 1.0)), math.log(max(values[right], 1.0))
        if high <= low:
            return levels[right]
        share = (math.log(max(tokens, 1.0)) - low) / (high - low)
        return levels[left] + share * (levels[right] - levels[left])


@frozen
class Thinking:
    """A thinking setting: ``kind`` adaptive, enabled (with ``budget`` tokens) or disabled."""

    kind: str
    budget: int | None = None


@frozen
class Guidance:
    """The budget note a session carries: ``id`` names the text; ``place`` is where it stands.

    ``index`` counts user messages: with place "user" the text ends the index-th of them.
    ``tokens`` is what the note itself costs as input.
    """

    id: str
    text: str
    place: GuidancePlace = "system"
    index: int = 0
    tokens: int = 0


@frozen
class Session:
    """What one session was given, fixed from then on. ``key`` finds it again.

    ``decided`` says that thinking and effort were settled (maybe as "leave them"). ``notes`` are
    added as its run goes on, in the order of their places; each then stays.
    """

    key: str
    id: str
    arm: Arm
    started: float
    seen: float
    propensity: float = 1.0
    guidance: Guidance | None = None
    thinking: Thinking | None = None
    effort: str | None = None
    model: str | None = None
    decided: bool = False
    notes: tuple[Note, ...] = ()

    @property
    def carried(self) -> tuple[Guidance | Note, ...]:
        """All texts of ours that its calls carry."""
        return self.notes if self.guidance is None else (self.guidance, *self.notes)

    def told(self, notes: tuple[Note, ...]) -> Session:
        """The session with these notes too; one that stands at a place already stays there."""
        by_place = {note.at: note for note in (*notes, *self.notes)}
        if len(by_place) == len(self.notes):
            return self
        return replace(self, notes=tuple(by_place[at] for at in sorted(by_place)))


@frozen
class Allocation:
    """The four numbers in tokens, the steer, and why.

    ``target``, ``recommended`` and ``cap`` are per choice, ``reserve`` is for all ``n``.
    ``cap`` is what is written as hard cap by us (``None``: nothing); ``ceiling`` is the cap
    in force, whoever set it; ``ours`` says that the one in force is ours, so that a
    truncation by it is answered by a resend.
    """

    target: int
    recommended: int
    reserve: int
    cap: int | None
    mode: Mode
    arm: Arm
    reason: str
    confidence: float
    thinking: Thinking | None = None
    effort: str | None = None
    model: str | None = None
    ceiling: int | None = None
    ours: bool = False
    steered: bool = False
    propensity: float = 1.0
    overridden: bool = False


@frozen
class Patch:
    """What ``wire`` is to write into a copy of the body; empty fields write nothing."""

    cap: int | None = None
    thinking: Thinking | None = None
    effort: str | None = None
    guidance: Guidance | None = None
    include_usage: bool = False
    model: str | None = None
    notes: tuple[Note, ...] = ()


@frozen
class Usage:
    """Tokens of one attempt, inclusive: cache tokens lie within input, reasoning within output."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None


@frozen
class Outcome:
    """What came back of one attempt.

    ``exact`` is false where usage had to be estimated (``usage.output_tokens`` are then the
    tokens seen); ``rejected`` names the parameter a 400 complained of; ``pending`` says that
    the answer was still being made when it was last seen.
    """

    usage: Usage | None = None
    finish_reason: FinishReason = "stop"
    exact: bool = True
    seconds: float | None = None
    status: int = 200
    rejected: str | None = None
    response_id: str | None = None
    model: str | None = None
    tier: str | None = None
    pending: bool = False


@frozen
class Plan:
    """A call made ready: what it is, what is expected, what it is given, what is sent.

    ``added`` names the body parameters that we wrote; ``attempt`` counts from 1.
    """

    call: Call
    characteristics: Characteristics
    features: Features
    forecast: Forecast
    allocation: Allocation
    session: Session
    body: Body
    input_tokens: int
    patch: Patch = Patch()
    added: tuple[str, ...] = ()
    attempt: int = 1
    pending: Ticket | None = None
    run: RunOutlook | None = None


class Ticket(Protocol):
    """A promise that a session's row is on disk; ``concurrent.futures.Future`` is one."""

    def done(self) -> bool:
        """Whether it is settled, well or badly."""

    def result(self, timeout: float | None = None) -> Any:
        """Wait (``timeout`` in seconds) until it is; raises what went wrong."""


@frozen
class CallRecord:
    """One row of the history: one attempt, all that was decided and all that came back.

    ``charged`` is what it counts against limits in nano-dollars, also where its price is
    unknown; ``None`` where nobody has said it. ``alarms`` are those that it raised about runs, each
    a kind ("loop", "runaway"), a space and the run. ``signals`` are its Features', kept for recent
    rows only, in a table of their own. ``limits`` is the newest limit (its id) that its process
    held calls to as it settled: of those up to it, it comes off the process's leases. Not kept.
    """

    ts: float
    api: str
    model: str
    call_id: str
    attempt: int = 1
    host: str = ""
    agent: str = "default"
    session: str | None = None
    run: str | None = None
    task: str | None = None
    user: str | None = None
    key: str | None = None
    tags: tuple[str, ...] = ()
    task_type: str = "conversation"
    complexity: float = 0.0
    domains: tuple[str, ...] = ()
    novelty: float = 1.0
    uncertainty: float = 0.0
    criticality: float = 0.0
    creative: bool = False
    architecture: bool = False
    stream: bool = False
    n: int = 1
    input_chars: int = 0
    input_estimate: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    exact: bool = True
    finish_reason: str = "stop"
    truncated: bool = False
    cut_by_us: bool = False
    ceiling: int | None = None
    status: int = 200
    seconds: float | None = None
    q50: float | None = None
    q75: float | None = None
    q90: float | None = None
    q95: float | None = None
    q99: float | None = None
    target: int | None = None
    recommended: int | None = None
    reserve: int | None = None
    cap: int | None = None
    thinking: str | None = None
    effort: str | None = None
    mode: str = "observe"
    arm: str = "treatment"
    propensity: float = 1.0
    overridden: bool = False
    strategy: str = "import"
    confidence: float | None = None
    support: int = 0
    guidance: str | None = None
    guidance_tokens: int = 0
    cost: float | None = None
    prices: str | None = None
    charged: int | None = None
    alarms: tuple[str, ...] = ()
    tier: str | None = None
    rejected: str | None = None
    response_id: str | None = None
    reason: str = ""
    score: float | None = None
    instance: str = ""
    pending: bool = False
    id: int | None = None
    signals: bytes = b""
    limits: int = 0

    @property
    def has_length(self) -> bool:
        """Whether it tells a learner a length: an answer came, and its tokens were reported.

        An estimate is no measurement: learners would learn from their own guess.
        """
        answered = self.finish_reason not in NO_ANSWER
        return answered and self.exact and bool(self.output_tokens)


@frozen
class Fit:
    """What a strategy fitted in the background, and where in the history.

    ``taken`` is the newest row (call id, attempt) that it rests on, ``effective`` the one after
    which it was in force. ``content`` is the strategy's own; empty where it is kept no more.
    """

    strategy: str
    taken: tuple[str, int]
    effective: tuple[str, int]
    ts: float
    instance: str = ""
    content: bytes = field(default=b"", repr=False)


@frozen
class Lookup:
    """The core asks the driver for a session it does not hold; the answer may be ``None``.

    With ``response`` set, the session is the one that produced that (hashed) response id. Where
    there is none under ``key``, the newest with the id ``identifier`` serves (another
    conversation of the same session).
    """

    key: str
    response: str | None = None
    identifier: str | None = None


@frozen
class Alternative:
    """Another budget, with the forecast probability (``risk``) that it would not suffice."""

    tokens: int
    risk: float
    label: str


@frozen
class Breakdown:
    """A budget split into phases, in tokens; the phases always add up to the budget."""

    thinking: int
    planning: int
    execution: int
    reflection: int

    @property
    def total(self) -> int:
        """The budget that the phases add up to."""
        return self.thinking + self.planning + self.execution + self.reflection


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer to "how many tokens will this task need?", with what it rests on."""

    id: str
    recommended: int
    confidence: float
    strategy: str
    breakdown: Breakdown
    alternatives: tuple[Alternative, ...]
    similar: tuple[Similar, ...]
    reasons: tuple[str, ...]
    characteristics: Characteristics
    forecast: Forecast
    agent: str
    model: str
    ts: float
