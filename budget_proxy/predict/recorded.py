"""A recorded call as learners see it: what was known of it, and the length that came back."""

from __future__ import annotations

from budget_proxy.types import CallRecord, Characteristics, Features, Observation


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
