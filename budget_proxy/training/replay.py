"""The history, learned again in order, with every fit in force from where it was.

The same rows and fits give the same forecasts, to the bit (design decision 15).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from budget_proxy.predict.base import Fitting, Refitting, Snapshot
from budget_proxy.training.arrays import Pause, no_pause, packed, unpacked
from budget_proxy.types import CallRecord, Fit


def replay(
    rows: Iterable[CallRecord],
    fits: Sequence[Fit],
    learn: Callable[[CallRecord], None],
    predictor: Refitting,
    how: Fitting,
    *,
    asked: bool = False,
) -> None:
    """Learn rows by ``learn``, which shows them to ``predictor``, and adopt its fits.

    A fit whose content is kept no more is made again. One that was in force before the rows
    begin is left out; so is one whose content is of another version. Rows before the last fit
    are only kept for it, unless somebody is to ask for forecasts on the way (``asked``).
    """
    rows = list(rows)
    found = {(row.call_id, row.attempt) for row in rows}
    fits = [fit for fit in fits if fit.taken in found and fit.effective in found]
    taken = {fit.taken: fit for fit in fits}
    effective = {fit.effective: fit for fit in fits}
    snapshots: dict[tuple[str, int], Snapshot] = {}
    if fits and not asked:
        predictor.hold()
    for record in rows:
        learn(record)
        row = (record.call_id, record.attempt)
        if row in taken:
            snapshots[row] = predictor.snapshot()
        if row in effective and effective[row].taken in snapshots:
            snapshot = snapshots.pop(effective[row].taken)
            fitted = restored(effective[row].content or made(snapshot, how), snapshot, how)
            if fitted is not None:
                predictor.adopt(fitted)
    predictor.release()


def made(snapshot: Snapshot, how: Fitting) -> bytes:
    """What is fitted on a snapshot, here and now, which takes seconds."""
    return packed(how.refit(snapshot), how.shapes)


def restored(content: bytes, snapshot: Snapshot, how: Fitting, pause: Pause = no_pause) -> Any:
    """A fit that knows what the snapshot in hand knew; ``None`` if it is of another version.

    Outcomes are counted from where a process began to learn, so that the count is the
    snapshot's.
    """
    try:
        fitted = unpacked(content, how.shapes, pause)
    except ValueError:
        return None
    fitted.position = snapshot.position
    return fitted
