"""One HTTP exchange, driven by hand."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import pytest

from budget_proxy.assemble import Engine
from budget_proxy.errors import StoreError
from budget_proxy.ledger.limits import Limit
from budget_proxy.ledger.runs import RunLookup
from budget_proxy.scope import CallReport
from budget_proxy.settings import load
from budget_proxy.store.memory import MemoryStore
from budget_proxy.transport.exchange import (
    Failed,
    Relay,
    Reply,
    Request,
    Send,
    Unsent,
    Wait,
    exchange,
)
from budget_proxy.types import Lookup, Outcome, Override, Scope, Usage
from tests import provider_answers as say
from tests.doors import HELLO, MODEL, learned, rows
from tests.provider_answers import Answer

CHAT = {"model": MODEL, "messages": HELLO}
CAP = "max_completion_tokens"
JSON = [("content-type", "application/json")]
EVENTS = [("content-type", "text/event-stream")]
LONG = Answer(output_tokens=5_000)


@pytest.fixture
def engine() -> Iterator[Engine]:
    """An engine that caps wherever it may, with a low floor."""
    with Engine.open("memory:", holdout=0.0, caps="always", floor=64) as engine:
        yield engine


class Trip:
    """An exchange and what came of it: ``sent``, ``waits`` and ``result``."""

    def __init__(self, engine: Engine, body: Any, *answers: Any, **request: Any) -> None:
        self.engine = engine
        self.sent: list[Send] = []
        self.waits: list[Wait] = []
        self.lookups: list[Lookup] = []
        self.result: Any = None
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        facts: dict[str, Any] = {
            "method": "POST", "host": "api.openai.com", "path": "/v1/chat/completions",
            "headers": [("content-type", "application/json")], "content": content, **request,
        }  # fmt: skip
        self.steps = exchange(engine, Request(**facts))
        self._answers = list(answers)

    def run(self) -> Trip:
        """Drive it to its end, answering each Send by the next answer."""
        answer: Any = None
        while True:
            try:
                step = self.steps.send(answer)
            except StopIteration as done:
                self.result = done.value
                return self
            answer = self._take(step)

    def _take(self, step: Any) -> Any:
        if isinstance(step, Lookup):
            self.lookups.append(step)
            return self.engine.lookup(step)
        if isinstance(step, RunLookup):
            return self.engine.answer(step)
        if isinstance(step, Wait):
            self.waits.append(step)
            return None
        self.sent.append(step)
        given = self._answers.pop(0)
        if isinstance(given, Answer):
            body = json.loads(step.content)
            return Reply(200, JSON, json.dumps(say.chat(given.under(body), body)).encode())
        return given

    @property
    def bodies(self) -> list[Any]:
        """What was sent, decoded."""
        return [json.loads(send.content) for send in self.sent]


def ours(reply: Any) -> dict[str, str]:
    """Our own headers of a reply."""
    return {name: text for name, text in reply.headers if name.startswith("x-budget-")}


def test_what_is_no_call_passes_with_our_headers_removed_only(engine: Engine) -> None:
    """Another path, another method: the same bytes, without x-budget-*, and the reply as is."""
    reply = Reply(200, JSON, b"{}")
    headers = [("x-budget-agent", "a"), ("x-other", "b")]
    trip = Trip(engine, b"not json", reply, path="/v1/embeddings", headers=headers).run()
    assert trip.sent == [Send(b"not json", [("x-other", "b")], metered=False)]
    assert trip.result is reply
    assert rows(engine) == []


@pytest.mark.parametrize("content", [b"", b"not json", b"[1]", b'"text"', b"null"])
def test_a_body_that_is_no_object_is_the_providers_to_answer(
    engine: Engine, content: bytes
) -> None:
    """What we cannot read we do not judge: it passes, and nothing is recorded."""
    trip = Trip(engine, content, Reply(400, JSON, b"{}")).run()
    assert trip.sent[0].content == content
    assert trip.result == Reply(400, JSON, b"{}")
    assert rows(engine) == []


@pytest.mark.parametrize(
    ("content", "coding"),
    [
        (b'{"model": "m", "messages": [], "x": NaN}', "identity"), (b"[1]", "identity"),
        (b'{"x": %s%s}' % (b"[" * 200_000, b"]" * 200_000), "identity"),
        (b"whatever", "zstd"), (b"whatever", "br"), (b"{}", "gzip"),
    ],
)  # fmt: skip
def test_a_body_that_cannot_be_read_is_not_made_where_limits_hold(
    engine: Engine, content: bytes, coding: str
) -> None:
    """It might be a call of any size: somebody else may read what we cannot."""
    engine.core.ledger.adopt([Limit("tokens", 10**9, "day", id=1)])
    trip = Trip(engine, content, headers=[("content-encoding", coding)]).run()
    assert trip.sent == []
    error = json.loads(trip.result.content)["error"]
    assert (trip.result.status, error["code"]) == (400, "limits_unchecked")
    assert "send one, plain or compressed" in error["message"]


def test_an_unchanged_body_is_sent_byte_for_byte(engine: Engine) -> None:
    """Where nothing is added the caller's own bytes go out, spacing and all."""
    spaced = b'{ "model": "plain-model",  "messages": [] , "odd": [1.0, {}] }'
    trip = Trip(engine, spaced, Answer()).run()
    assert trip.sent[0].content == spaced
    assert trip.result.status == 200


@pytest.mark.parametrize("own", [{"agent": "a"}, {"cap": 700, "mode": "observe"}, None])
def test_our_key_never_reaches_the_provider(engine: Engine, own: object) -> None:
    """A ``budget`` key is removed, whatever it holds; nothing else of the body changes."""
    override = Override(mode="observe")
    trip = Trip(engine, {**CHAT, "budget": own}, Answer(), override=override).run()
    assert trip.bodies == [CHAT]


@pytest.mark.parametrize(
    ("own", "override"),
    [
        ({"off": True}, Override()),
        ({"off": True, "cap": 70}, Override()),
        (None, Override(off=True)),
    ],
)
def test_a_call_that_is_off_is_only_metered(
    engine: Engine, own: object, override: Override
) -> None:
    """Switched off, a call gets nothing of ours, even with a cap in the same breath."""
    trip = Trip(engine, {**CHAT, "budget": own}, Answer(), override=override).run()
    assert trip.bodies == [CHAT]
    (row,) = rows(engine)
    assert (row.mode, row.cap, row.output_tokens) == ("observe", None, 34)


def test_a_cap_further_in_stands_although_calls_are_off(engine: Engine) -> None:
    """A cap that is given for one call among others that are off is written, and metered."""
    off = Override(off=True)
    trip = Trip(engine, {**CHAT, "budget": {"cap": 70}}, Answer(), override=off).run()
    assert trip.bodies == [{**CHAT, CAP: 70}]
    assert [row.cap for row in rows(engine)] == [70]


def test_a_model_left_to_us_is_chosen_although_the_call_is_off() -> None:
    """No provider knows the name "auto": a call that says it is planned for its model's sake."""
    with Engine.open("memory:", tiers=[{"model": MODEL}]) as engine:
        trip = Trip(engine, {**CHAT, "model": "auto", "budget": {"off": True}}, Answer()).run()
        assert trip.bodies == [CHAT]
        assert len(rows(engine)) == 1


def test_body_beats_headers_beats_client(engine: Engine) -> None:
    """What is said closest to the call counts, each field for itself."""
    trip = Trip(
        engine, {**CHAT, "budget": {"agent": "body"}}, Answer(),
        headers=[("x-budget-agent", "header"), ("x-budget-run", "header")],
        scope=Scope(agent="client", run="client", task="client"),
    ).run()  # fmt: skip
    (row,) = rows(engine)
    assert (row.agent, row.run, row.task) == ("body", "header", "client")
    assert trip.sent[0].headers == []


@pytest.mark.parametrize(
    ("body", "headers", "said"),
    [
        ({**CHAT, "budget": "much"}, [], "budget must be a number of tokens"),
        ({**CHAT, "budget": {"caps": 1}}, [], "budget has no field 'caps'"),
        (CHAT, [("x-budget-cap", "many")], "x-budget-cap must be a whole number"),
    ],
)
def test_a_wrong_budget_is_answered_in_the_providers_shape(
    engine: Engine, body: Any, headers: Any, said: str
) -> None:
    """The caller's mistake is a 400 that says what is wrong; nothing is sent or retried."""
    trip = Trip(engine, body, headers=headers).run()
    assert trip.sent == []
    assert trip.result.status == 400
    assert said in json.loads(trip.result.content)["error"]["message"]
    assert ("x-should-retry", "false") in trip.result.headers


@pytest.mark.parametrize(
    ("body", "headers"),
    [({**CHAT, "budget": 100}, []), (CHAT, [("X-Budget-Agent", "a")])],
    ids=["key", "header"],
)
def test_a_signed_request_cannot_carry_anything_of_ours(
    engine: Engine, body: Any, headers: list[tuple[str, str]]
) -> None:
    """Taking it out again would break the signature, so it is a clear error."""
    signed = ("Authorization", "AWS4-HMAC-SHA256 Credential=x")
    trip = Trip(engine, body, headers=[signed, *headers]).run()
    assert trip.sent == []
    assert trip.result.status == 400
    assert "signed" in json.loads(trip.result.content)["error"]["message"]


def test_a_signed_body_is_observed_and_sent_as_it_is(engine: Engine) -> None:
    """No byte of a signed body changes, even where a cap would be due; it is metered."""
    learned(engine)
    headers = [("Authorization", "AWS4-HMAC-SHA256 Credential=x")]
    trip = Trip(engine, CHAT, Answer(), headers=headers).run()
    assert trip.bodies == [CHAT]
    assert rows(engine)[0].output_tokens == 34


def test_the_decision_is_told_in_headers(engine: Engine) -> None:
    """Mode, arm, numbers, strategy and reason of the last attempt come back."""
    learned(engine)
    trip = Trip(engine, CHAT, Answer()).run()
    told = ours(trip.result)
    assert told["x-budget-mode"] == "enforce"
    assert told["x-budget-arm"] == "treatment"
    assert told["x-budget-strategy"] == "learned"
    assert int(told["x-budget-cap"]) == trip.bodies[0][CAP]
    assert told["x-budget-attempt"] == "1"
    assert told["x-budget-call-id"] == rows(engine)[0].call_id
    assert told["x-budget-reason"]


def test_a_reason_that_no_header_could_carry_is_made_printable(engine: Engine) -> None:
    """Names from anywhere must not break the response."""
    model = "m\r\nx-evil: 1 ü"
    learned(engine, model=model)
    trip = Trip(engine, {**CHAT, "model": model}, Answer()).run()
    assert all(text.isascii() and text.isprintable() for text in ours(trip.result).values())


def test_a_cap_given_with_the_call_is_sent_and_stays(engine: Engine) -> None:
    """A caller's cap is the caller's own: it is sent, and no resend undoes it."""
    trip = Trip(engine, {**CHAT, "budget": 50}, LONG).run()
    assert [body[CAP] for body in trip.bodies] == [50]
    (row,) = rows(engine)
    assert (row.output_tokens, row.truncated, row.overridden) == (50, True, True)


def test_an_answer_cut_by_our_cap_is_asked_for_again(engine: Engine) -> None:
    """The second attempt carries no cap, its answer is returned, and both are in the history."""
    learned(engine)
    calls: list[CallReport] = []
    trip = Trip(engine, CHAT, LONG, LONG, calls=calls).run()
    assert trip.bodies[0][CAP] < 5_000
    assert trip.bodies[1] == {**CHAT, **_guided(trip.bodies[1])}
    assert CAP not in trip.bodies[1]
    answer = json.loads(trip.result.content)
    assert answer["usage"]["completion_tokens"] == 5_000
    assert ours(trip.result)["x-budget-attempt"] == "2"
    assert [(row.attempt, row.truncated) for row in rows(engine)] == [(1, True), (2, False)]
    assert [report.usage.output_tokens for report in calls] == [trip.bodies[0][CAP], 5_000]
    assert calls[0].call_id == calls[1].call_id


def test_a_parameter_of_ours_that_is_refused_is_left_out_then_and_later(engine: Engine) -> None:
    """A 400 that names it is not shown to the caller; the next call does not try it again."""
    learned(engine)
    complaint = say.openai_error(f"Unsupported parameter: '{CAP}'", CAP)
    refusal = Reply(400, JSON, json.dumps(complaint).encode())
    trip = Trip(engine, CHAT, refusal, Answer()).run()
    assert [CAP in body for body in trip.bodies] == [True, False]
    assert trip.result.status == 200
    after = Trip(engine, CHAT, Answer()).run()
    assert CAP not in after.bodies[0]


def test_a_refusal_in_the_form_of_fastapi_is_understood(engine: Engine) -> None:
    """A 422 with a list of what is wrong, as many hosts of open models answer."""
    learned(engine)
    detail = [{"type": "extra_forbidden", "loc": ["body", CAP], "msg": "Extra inputs"}]
    refusal = Reply(422, JSON, json.dumps({"detail": detail}).encode())
    trip = Trip(engine, CHAT, refusal, Answer()).run()
    assert [CAP in body for body in trip.bodies] == [True, False]
    assert trip.result.status == 200


def test_a_body_too_deep_to_be_written_again_passes_as_it_came(engine: Engine) -> None:
    """Ours in it, too: the provider says what it thinks of that."""
    deep = "[" * 1000 + "]" * 1000
    content = f'{{"model": "gpt-5.4", "budget": {{"cap": 5}}, "messages": {deep}}}'.encode()
    asked = Request("POST", "api.openai.com", "/v1/chat/completions", (), content)
    steps = exchange(engine, asked)
    sent = next(steps)
    assert isinstance(sent, Send)
    assert (sent.content, sent.metered) == (content, False)


def test_an_error_of_the_providers_passes_as_it_came(engine: Engine) -> None:
    """Status and body are the provider's, and the attempt is settled at nothing."""
    answer = Reply(429, [*JSON, ("retry-after", "7")], b'{"error": {"message": "slow down"}}')
    trip = Trip(engine, CHAT, answer).run()
    assert (trip.result.status, trip.result.content) == (429, answer.content)
    assert ("retry-after", "7") in trip.result.headers
    (row,) = rows(engine)
    assert (row.status, row.finish_reason, row.output_tokens) == (429, "error", 0)


@pytest.mark.parametrize(("timeout", "exact"), [(True, False), (False, True)])
def test_a_failure_is_handed_back_and_settled(engine: Engine, timeout: bool, exact: bool) -> None:
    """Without an answer nothing was used; after a timeout that is only an estimate."""
    trip = Trip(engine, CHAT, Failed(timeout=timeout)).run()
    assert trip.result == Failed(timeout=timeout)
    (row,) = rows(engine)
    assert (row.finish_reason, row.exact) == ("error", exact)


def test_what_is_not_sent_leaves_no_row_of_its_own(engine: Engine) -> None:
    """A driver may have no way to send again, or an answer at hand: no attempt was made."""
    assert Trip(engine, CHAT, Unsent()).run().result == Unsent()
    assert rows(engine) == []
    learned(engine)
    trip = Trip(engine, CHAT, LONG, Unsent()).run()
    assert (len(trip.sent), trip.result) == (2, Unsent())
    assert [(row.attempt, row.cut_by_us) for row in rows(engine)] == [(1, True)]


def test_a_driver_that_gives_up_settles_the_call_as_cancelled(engine: Engine) -> None:
    """Closing the generator while the call is on its way leaves one cancelled row."""
    trip = Trip(engine, CHAT)
    step: Any = next(trip.steps)
    while not isinstance(step, Send):
        step = trip.steps.send(None)
    trip.steps.close()
    assert [row.finish_reason for row in rows(engine)] == ["cancelled"]


def test_a_driver_that_gives_up_while_it_waits_for_room_leaves_the_line() -> None:
    """At once, also within a `budget` block, whose report refers back to the call."""
    store = MemoryStore()
    store.save_limit(Limit("output_tokens", 1_000, "flight"))
    with Engine(load(holdout=0.0, limit_wait=60.0), store) as engine:
        first = engine.plan(api="openai.chat", body={**CHAT, "max_tokens": 900})
        gc.disable()
        try:
            trip = Trip(engine, {**CHAT, "max_tokens": 500}, calls=[])
            step: Any = next(trip.steps)
            while not isinstance(step, Wait):
                step = trip.steps.send(engine.answer(step))
            trip.steps.close()
            engine.settle(first, Outcome(usage=Usage(10, 10)))
            behind = Trip(engine, {**CHAT, "max_tokens": 500}, Answer())
            step = next(behind.steps)
            while not isinstance(step, Send | Wait):
                step = behind.steps.send(engine.answer(step))
        finally:
            gc.enable()
        assert isinstance(step, Send)


def test_the_first_answer_of_a_session_waits_for_its_row(engine: Engine) -> None:
    """The ticket of what the session was given is waited for, once."""
    learned(engine)
    pending: Future[None] = Future()
    engine.core._journal = _Journal(pending)
    trip = Trip(engine, CHAT, Answer(), Answer()).run()
    assert [wait.ticket for wait in trip.waits] == [pending]
    assert trip.result.status == 200
    assert Trip(engine, CHAT, Answer()).run().waits == []


def test_a_ticket_that_is_done_is_not_waited_for(engine: Engine) -> None:
    """Nor does its failure reach the caller: the recorder has counted it."""
    learned(engine)
    failed: Future[None] = Future()
    failed.set_exception(StoreError("disk full"))
    engine.core._journal = _Journal(failed)
    trip = Trip(engine, CHAT, Answer()).run()
    assert trip.waits == []
    assert trip.result.status == 200


def test_a_session_that_is_not_held_is_looked_up_once(engine: Engine) -> None:
    """The core asks for what it does not know, and remembers the answer."""
    assert len(Trip(engine, CHAT, Answer()).run().lookups) == 1
    assert Trip(engine, CHAT, Answer()).run().lookups == []


# -- streams ------------------------------------------------------------------------------------


def streamed(engine: Engine, **request: Any) -> tuple[Relay, Trip]:
    """A streamed chat call whose answer is on its way."""
    trip = Trip(engine, {**CHAT, "stream": True}, Reply(200, EVENTS, None), **request).run()
    assert isinstance(trip.result, Relay)
    return trip.result, trip


def events(answer: Answer, body: Any) -> list[bytes]:
    """The provider's stream, event by event."""
    chunks = [json.dumps(event).encode() for event in say.chat_events(answer, body)]
    return [b"data: " + chunk + b"\n\n" for chunk in [*chunks, b"[DONE]"]]


def test_a_stream_passes_without_the_usage_that_only_we_asked_for(engine: Engine) -> None:
    """Every byte passes but the one event of usage; the row has that usage, exact."""
    relay, trip = streamed(engine)
    assert trip.bodies[0]["stream_options"] == {"include_usage": True}
    sent = events(Answer(), trip.bodies[0])
    got = b"".join(relay.feed(chunk) for chunk in sent) + relay.end()
    usage = next(chunk for chunk in sent if b'"prompt_tokens"' in chunk)
    assert got == b"".join(chunk for chunk in sent if chunk is not usage)
    (row,) = rows(engine)
    assert (row.output_tokens, row.exact, row.finish_reason) == (34, True, "stop")
    assert ours(relay)["x-budget-call-id"] == row.call_id


def test_a_stream_that_the_client_leaves_settles_once_as_cancelled(engine: Engine) -> None:
    """What was seen until then is the estimate's floor; leaving twice changes nothing."""
    relay, trip = streamed(engine)
    for chunk in events(Answer(), trip.bodies[0])[:3]:
        relay.feed(chunk)
    relay.abort()
    relay.abort()
    assert relay.end() == b""
    (row,) = rows(engine)
    assert (row.finish_reason, row.exact) == ("cancelled", False)


def test_a_stream_that_the_provider_breaks_off_settles_once_as_an_error(engine: Engine) -> None:
    """It was not the client who ended it; that it leaves afterwards changes nothing."""
    relay, trip = streamed(engine)
    for chunk in events(Answer(), trip.bodies[0])[:3]:
        relay.feed(chunk)
    with pytest.raises(OSError, match="lost"), relay:
        raise OSError("lost")
    relay.abort()
    assert [(row.finish_reason, row.exact) for row in rows(engine)] == [("error", False)]


def test_breaking_off_after_the_end_was_seen_is_no_error(engine: Engine) -> None:
    """Some servers cut the connection instead of ending it."""
    relay, trip = streamed(engine)
    for chunk in events(Answer(), trip.bodies[0]):
        relay.feed(chunk)
    relay.broke()
    assert [(row.finish_reason, row.exact) for row in rows(engine)] == [("stop", True)]


def test_leaving_after_the_end_was_seen_is_no_cancelling(engine: Engine) -> None:
    """OpenAI's SDK hangs up at [DONE], before the connection ends: the answer was whole."""
    relay, trip = streamed(engine)
    for chunk in events(Answer(), trip.bodies[0]):
        relay.feed(chunk)
    relay.abort()
    (row,) = rows(engine)
    assert (row.finish_reason, row.exact, row.output_tokens) == ("stop", True, 34)


def test_a_stream_is_settled_before_its_end_is_read(engine: Engine) -> None:
    """A client that has read the end may call again at once, before the connection is over."""
    relay, trip = streamed(engine)
    *before, end = events(Answer(), trip.bodies[0])
    for chunk in before:
        relay.feed(chunk)
    assert rows(engine) == []
    assert relay.feed(end) == end
    (row,) = rows(engine)
    assert (row.finish_reason, row.exact, row.output_tokens) == ("stop", True, 34)
    assert relay.feed(b": late\n\n") + relay.end() == b": late\n\n"
    assert len(rows(engine)) == 1


def test_a_stream_that_nobody_reads_settles_too(engine: Engine) -> None:
    """A relay that is dropped unread does not leave its call open."""
    relay, trip = streamed(engine)
    del relay, trip
    gc.collect()
    assert [row.finish_reason for row in rows(engine)] == ["cancelled"]


def test_a_broken_meter_does_not_break_the_stream(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From its fault on the bytes pass unmetered, and all of them."""
    relay, _ = streamed(engine)

    def broken(_: bytes) -> bytes:
        raise ValueError("odd stream")

    monkeypatch.setattr(relay._meter, "feed", broken)
    assert relay.feed(b"data: 1\n\n") == b"data: 1\n\n"
    assert relay.end() == b""
    assert engine.faults["relay"] == 1


# -- faults of ours -----------------------------------------------------------------------------


def _fail(*_: Any, **__: Any) -> Any:
    raise ArithmeticError("a fault of ours")


@pytest.mark.parametrize("broken", ["plan", "foresee", "settle", "learn", "_patch", "_view"])
def test_a_fault_in_the_core_leaves_the_providers_answer(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    """Whatever breaks, the body goes out without our key and the answer comes back."""
    monkeypatch.setattr(engine.core, broken, _fail)
    body = {**CHAT, "budget": {"agent": "a", "mode": "observe"}}
    trip = Trip(engine, body, Answer()).run()
    assert trip.bodies == [CHAT]
    assert json.loads(trip.result.content)["choices"][0]["message"]["content"] == Answer().text
    assert sum(engine.faults.values()) >= 1


def test_a_fault_in_planning_leaves_a_stream_untouched(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a plan nothing is asked for, nothing dropped, and the reply is the driver's."""
    monkeypatch.setattr(engine.core, "plan", _fail)
    reply = Reply(200, EVENTS, None)
    trip = Trip(engine, {**CHAT, "stream": True}, reply).run()
    assert trip.bodies == [{**CHAT, "stream": True}]
    assert trip.result is reply


def test_a_fault_while_giving_up_does_not_reach_the_driver(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closing an exchange is quiet even where settling is broken."""
    monkeypatch.setattr(engine.core, "settle", _fail)
    trip = Trip(engine, CHAT)
    step: Any = next(trip.steps)
    while not isinstance(step, Send):
        step = trip.steps.send(None)
    trip.steps.close()
    assert engine.faults["settle"] == 1


class _Journal:
    """Keeps nothing, and promises what it was told to."""

    def __init__(self, ticket: Future[None]) -> None:
        self.ticket = ticket

    def put(self, record: Any) -> None:
        """Drop a row."""

    def settle_late(self, response: str, complete: Any) -> None:
        """Drop a late answer."""

    def put_session(self, session: Any) -> Future[None]:
        """The same ticket for every session."""
        del session
        return self.ticket

    def put_run(self, budget: Any) -> Future[None]:
        """The same ticket for every run."""
        del budget
        return self.ticket


def _guided(body: Any) -> dict[str, Any]:
    """What guidance makes of the messages, if there is any."""
    return {"messages": body["messages"]}
