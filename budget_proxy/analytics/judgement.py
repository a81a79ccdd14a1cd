"""One call judged by its budget: what it used of it, and whether that was much, little or right.

By the same definitions as sums (store/measures.py): adding up judgements gives the figures of a
report.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, Literal

from budget_proxy.store.measures import fit, with_resends
from budget_proxy.types import NO_ANSWER, CallRecord, frozen

Verdict = Literal["over", "accurate", "under", "untold"]

VERDICTS: Final[tuple[Verdict, ...]] = ("accurate", "over", "under", "untold")
"""All verdicts, the good one first."""


@frozen
class Judgement:
    """How the recommended budget of one attempt fitted.

    ``verdict``: ``over``, allocated too much, where less than 50 % was used; ``under`` where more
    than 95 % was, or the answer was cut; ``accurate`` between; ``untold`` where it cannot be
    measured, and ``reason`` says why (else it is empty).

    ``use`` is output tokens / choices / recommended (a lower bound where the answer was cut),
    ``efficiency`` 0.3 to 1 by mission.md's table, ``attainable`` the probability that the
    forecast itself gave to ``accurate``, ``attainable_efficiency`` the efficiency that it let one
    expect; all ``None`` where untold, what was attainable also where the forecast was no
    calibrated one.
    """

    verdict: Verdict
    use: float | None = None
    efficiency: float | None = None
    attainable: float | None = None
    attainable_efficiency: float | None = None
    reason: str = ""


def judged(record: CallRecord, *, resent: bool = False) -> Judgement:
    """Judge one row; ``resent``: it repeats an attempt that our cap cut (see ``judgements``)."""
    found: dict[str, Any] = dict(fit(record, resent=resent))
    if not found.get("measured"):
        return Judgement("untold", reason=_why(record, resent=resent))
    verdict: Verdict = "over" if found["over"] else "under" if found["under"] else "accurate"
    return Judgement(
        verdict,
        found["utilisation"],
        found["efficiency"],
        found.get("confidence"),
        found.get("expected_efficiency"),
    )


def judgements(records: Iterable[CallRecord]) -> Iterator[tuple[CallRecord, Judgement]]:
    """Judge rows that come in the order of their ids, with all attempts of each call."""
    return ((row, judged(row, resent=resent)) for row, resent in with_resends(records))


def _why(record: CallRecord, *, resent: bool) -> str:
    if record.finish_reason in NO_ANSWER:
        return "there was no answer"
    if not record.exact:
        return "its usage is an estimate"
    if not record.output_tokens:
        return "it reported no output tokens"
    if resent:
        return "it repeats an answer that our cap cut"
    if not record.recommended:
        return "it had no budget before it"
    return "the cap in force lay below its budget"
