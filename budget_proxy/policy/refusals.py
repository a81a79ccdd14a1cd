"""Which parameters of ours a model on a host does not take, learned from its 400s.

A fold over the history, like every learner.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from budget_proxy.types import Call, CallRecord
from budget_proxy.wire.rejection import is_passing, parameter_of

_PENDING: Final = 1000

Place = tuple[str, str]
"""Host and model."""


class Refusals:
    """Remembers a refused parameter once the same call went through without it.

    A 400 alone proves nothing: the caller's own value may be what is wrong. One that complains of
    a value of ours (too large for this prompt, say) proves nothing of others.
    """

    def __init__(self) -> None:
        self._known: dict[Place, set[str]] = {}
        self._pending: OrderedDict[str, str] = OrderedDict()

    def of(self, host: str, model: str) -> tuple[str, ...]:
        """The parameters to leave out."""
        return tuple(sorted(self._known.get((host, model), ())))

    def learn(self, record: CallRecord) -> None:
        """Take one attempt in."""
        refused = self._pending.pop(record.call_id, None)
        if record.rejected is not None:
            self._pending[record.call_id] = record.rejected
            if len(self._pending) > _PENDING:
                self._pending.popitem(last=False)
        elif refused is not None and not is_passing(refused) and record.finish_reason != "error":
            self._known.setdefault((record.host, record.model), set()).add(refused)

    def unrepeated(self, call: Call) -> None:
        """The call cannot be tried again: what it was refused for is believed at once.

        To leave out what was no fault of ours costs little; to fail at every call, much.
        """
        refused = self._pending.pop(call.id, None)
        if refused is not None:
            place = (call.host, call.model)
            self._known.setdefault(place, set()).add(parameter_of(refused))
