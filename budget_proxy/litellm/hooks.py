"""The callback for LiteLLM's own proxy: budgets before each attempt, usage after it.

LiteLLM tells of an attempt in pieces: a hook before it, another after a plain answer or a
failure, and log events, which for streams are all that comes. Between the pieces a call is
kept open under LiteLLM's id for it.
"""

from __future__ import annotations

import asyncio
import atexit
import weakref
from collections.abc import Mapping
from typing import Any, Final, Unpack

import litellm
from litellm.integrations.custom_logger import CustomLogger

from budget_proxy.litellm.budgeted import Budgeted, is_under_us, next_send, under_us
from budget_proxy.litellm.hooked import HookedTrip
from budget_proxy.litellm.opened import Opened
from budget_proxy.transport.binding import Ours

_CALL: Final = "acompletion"
_ID: Final = "litellm_call_id"


class BudgetCallback(CustomLogger):  # type: ignore[misc] # untyped where LiteLLM is not installed
    """Budgets the chat completions of a LiteLLM proxy, whichever of its endpoints they came by.

    Without an engine it is one for the whole process, opened by the settings now. ``agent``,
    ``mode``, ``thinking`` and ``effort`` hold for calls that say nothing else. Raises
    InvalidInput on a wrong setting, ConfigError and StoreError where the engine cannot be
    opened.
    """

    def __init__(self, **ours: Unpack[Ours]) -> None:
        super().__init__()
        self._binding = Budgeted(**ours).binding()
        self.opened = Opened()
        atexit.register(_close, weakref.ref(self.opened))  # before the history is flushed

    async def async_pre_call_deployment_hook(
        self, kwargs: dict[str, Any], call_type: Any
    ) -> dict[str, Any] | None:
        """An attempt is about to be made: the arguments to make it with.

        Raises litellm.BadRequestError where what was asked of the call is wrong.
        """
        if call_type != _CALL or is_under_us() or "messages" not in kwargs:
            return None
        trip = HookedTrip(self._binding, kwargs)
        send = await next_send(trip)
        if send is None:
            raise litellm.BadRequestError(trip.refusal, model=kwargs.get("model"), llm_provider="")
        arguments = trip.outgoing(send)
        self.opened.put(kwargs.get(_ID), trip, trip.size)
        self._watch(kwargs.get(_ID))
        return arguments

    async def async_post_call_success_deployment_hook(
        self, request_data: Mapping[str, Any], response: Any, call_type: Any
    ) -> Any:
        """A plain answer came. One that our cap cut is asked for again: then the second one."""
        trip = self._of(request_data, call_type)
        if trip is None:
            return None
        with trip:
            trip.sent(response)
            while (send := await next_send(trip)) is not None:
                with trip.failing(), under_us():
                    trip.sent(await litellm.acompletion(**trip.again(send)))
        # An answer that is short is better than none: what it was asked again for has failed.
        return None if trip.error is not None else trip.response()

    async def async_post_call_failure_deployment_hook(
        self,
        request_data: Mapping[str, Any],
        exception: Exception,
        call_type: Any,
        fallback_depth: int | None = None,  # noqa: ARG002 (LiteLLM's signature)
    ) -> None:
        """An attempt failed. What follows it is LiteLLM's to decide."""
        trip = self._of(request_data, call_type)
        if trip is not None:
            trip.failed(exception)
            await _ended(trip)

    async def async_log_success_event(
        self,
        kwargs: Mapping[str, Any],
        response_obj: Any,
        start_time: Any,  # noqa: ARG002 (LiteLLM's signature)
        end_time: Any,  # noqa: ARG002
    ) -> None:
        """A call ended well: for a stream the only word, with the answer put together."""
        trip = self.opened.take(kwargs.get(_ID))
        if trip is None:
            return
        if kwargs.get("cache_hit"):
            trip.unsent()
        else:
            trip.sent(kwargs.get("async_complete_streaming_response") or response_obj)
        await _ended(trip)

    async def async_log_failure_event(
        self,
        kwargs: Mapping[str, Any],
        response_obj: Any,  # noqa: ARG002 (LiteLLM's signature)
        start_time: Any,  # noqa: ARG002
        end_time: Any,  # noqa: ARG002
    ) -> None:
        """A call ended badly: for a stream that broke off the only word."""
        trip = self.opened.take(kwargs.get(_ID))
        if trip is not None:
            trip.broke_off()
            await _ended(trip)

    def _of(self, request: Mapping[str, Any], call_type: Any) -> HookedTrip | None:
        mine = call_type == _CALL and not is_under_us()
        return self.opened.take(request.get(_ID)) if mine else None

    def _watch(self, identifier: Any) -> None:
        """A call that is cancelled is told of by nobody but its task."""
        task = asyncio.current_task()

        def look(ended: asyncio.Task[Any]) -> None:
            if ended.cancelled() and (trip := self.opened.take(identifier)) is not None:
                trip.close()

        if task is not None:
            task.add_done_callback(look)


def _close(opened: weakref.ref[Opened]) -> None:
    """At the end of the process: what is open then settles as cancelled."""
    still = opened()
    if still is not None:
        still.close()


async def _ended(trip: HookedTrip) -> None:
    """Take a trip to its end; what it would send yet cannot be sent from here."""
    while await next_send(trip) is not None:
        trip.unsent()
