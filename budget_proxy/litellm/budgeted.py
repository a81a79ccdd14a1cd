"""``completion`` and ``acompletion``, bound to an engine."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, Final

import litellm
from anyio import to_thread

from budget_proxy.assemble import Engine
from budget_proxy.engine import Question
from budget_proxy.litellm.trip import Trip
from budget_proxy.scope import parse
from budget_proxy.transport.binding import Binding, bind
from budget_proxy.transport.exchange import Send
from budget_proxy.transport.guard import fail_open
from budget_proxy.transport.steps import wait
from budget_proxy.types import Mode

_off_the_loop = partial(to_thread.run_sync, abandon_on_cancel=True)
_under_us: Final[ContextVar[bool]] = ContextVar("budget_proxy_litellm", default=False)


class Budgeted:
    """LiteLLM's two calls on one engine, with what goes without saying for them.

    Without an engine it is one for the whole process, opened by the settings at the first call.
    Raises InvalidInput on a wrong setting.
    """

    def __init__(
        self,
        *,
        engine: Engine | None = None,
        agent: str | None = None,
        mode: Mode | None = None,
        thinking: str | None = None,
        effort: str | None = None,
    ) -> None:
        self._engine = engine
        self._settings = {"agent": agent, "mode": mode, "thinking": thinking, "effort": effort}
        self._bound: Binding | None = None
        parse(self._settings)

    def completion(self, *args: Any, **kwargs: Any) -> Any:
        """``litellm.completion``. Raises what it raises, and InvalidInput on a wrong budget."""
        with Trip(self.binding(), _named(args, kwargs)) as trip:
            for step in trip:
                if isinstance(step, Send):
                    with trip.failing(), under_us():
                        trip.sent(litellm.completion(**trip.outgoing(step)))
                elif isinstance(step, Question):
                    with fail_open(trip.engine, "lookup"):
                        trip.found(trip.engine.answer(step))
                else:
                    wait(step.ticket)
            return trip.response()

    async def acompletion(self, *args: Any, **kwargs: Any) -> Any:
        """``litellm.acompletion``. Raises what it raises, and InvalidInput on a wrong budget."""
        binding = self._bound
        if binding is None:
            binding = await _off_the_loop(self.binding)
        with Trip(binding, _named(args, kwargs)) as trip:
            while (send := await next_send(trip)) is not None:
                with trip.failing(), under_us():
                    trip.sent(await litellm.acompletion(**trip.outgoing(send)))
            return trip.response()

    def binding(self) -> Binding:
        """What its calls are bound to. Raises what Engine.open raises."""
        if self._bound is None:
            self._bound = bind(self._engine, self._settings)
        return self._bound


async def next_send(trip: Trip) -> Send | None:
    """Take a trip on to what it sends next; ``None`` where it ends. Waits off the loop."""
    for step in trip:
        if isinstance(step, Send):
            return step
        if isinstance(step, Question):
            with fail_open(trip.engine, "lookup"):
                trip.found(await _off_the_loop(trip.engine.answer, step))
        else:
            await _off_the_loop(wait, step.ticket)
    return None


@contextmanager
def under_us() -> Iterator[None]:
    """A call made in here is planned already: a callback of ours lets it be."""
    token = _under_us.set(True)
    try:
        yield
    finally:
        _under_us.reset(token)


def is_under_us() -> bool:
    """Whether the call being made is planned already."""
    return _under_us.get()


def _named(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """All arguments by their names. Raises TypeError on what LiteLLM does not take."""
    if not args:
        return kwargs
    return {**inspect.signature(litellm.completion).bind_partial(*args).arguments, **kwargs}
