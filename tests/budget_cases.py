"""Budgets that many callers use up at once: the cases that other gateways were measured by.

48 callers of the real SDK make calls as long as there is budget: who is refused tries again
until nothing is under way any more and all are refused. The history has 200 calls of the same
kind. Prices are those of gpt-5: $1.25 and $10 a million tokens.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import openai

from budget_proxy import wrap
from budget_proxy.assemble import Engine
from budget_proxy.ledger.accounts import Balance
from budget_proxy.ledger.limits import NANO, Limit
from budget_proxy.proxy.app import create_app
from budget_proxy.store.base import Store
from budget_proxy.store.recorded import read_recorded
from budget_proxy.types import Outcome, Scope, Usage
from tests.ledger_load import watch
from tests.proxied import Upstream, served
from tests.scripted_calls import answer, header

CALLERS = 48
HISTORY = 200
MODEL = "gpt-5"
AGENT = "reviewer"
SECONDS = 0.3
"""How long an answer takes."""
QUIET = 2.5
"""Seconds without an answer after which one who is refused gives up: idle leases are back then."""
SOME = 10
_TAG = "budget"
"""What the limit concerns, so that the history is not counted."""
_DROPPED = 3
"""Events of a stream after which its caller goes away."""

Door = Literal["wrapper", "proxy"]


@dataclass(frozen=True)
class Ask:
    """A call, and how it will be answered: tokens of the prompt, and of each choice."""

    prompt: str
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True)
class Case:
    """Calls of one kind against a budget of ``dollars``.

    ``times`` is 10 where fewer than ten calls of this price would fit into the ``dollars`` of
    the table it comes from. ``peer`` is what was used there of the budget. ``dropped``: every
    so manieth call is a stream whose caller goes away amid it; 0 for none.
    """

    name: str
    dollars: float
    asks: Sequence[Ask] = field(repr=False)
    most: int | None = None
    n: int = 1
    times: int = 1
    peer: float | None = None
    dropped: int = 0

    @property
    def amount(self) -> int:
        """The budget in nano-dollars."""
        return round(self.dollars * self.times * NANO)

    @property
    def limit(self) -> Limit:
        """The budget as a limit."""
        return Limit("usd", self.amount, "lifetime", (("tag", _TAG),), created=time.time())

    def body(self, ask: Ask) -> dict[str, Any]:
        """The call's body."""
        body = {"model": MODEL, "messages": [{"role": "user", "content": ask.prompt}]}
        given = {"max_completion_tokens": self.most, "n": self.n if self.n > 1 else None}
        return body | {name: value for name, value in given.items() if value is not None}


@dataclass(frozen=True)
class Spent:
    """What became of a budget. Amounts are nano-dollars.

    ``bound`` is by how much it might have been passed, as it was known while calls were under
    way; ``held`` what is still held some seconds after all were over.
    """

    case: Case
    door: Door
    admitted: int
    used: int
    bound: int
    held: int
    faults: dict[str, int]

    @property
    def share(self) -> float:
        """What was used of the budget."""
        return self.used / self.case.amount


def short(number: int, tokens: int) -> Ask:
    """A short question, answered by so many tokens."""
    prompt = f"What does part {number} of the report say about the results of this year?"
    return Ask(prompt, len(prompt) // 4, tokens)


def dense(number: int) -> Ask:
    """2,000 characters, each of them a token."""
    draw = random.Random(number)  # noqa: S311 (a repeatable prompt)
    return Ask("".join(chr(draw.randrange(0x4E00, 0x9FA0)) for _ in range(2_000)), 2_000, 16)


def spread(number: int, middle: float, width: float) -> Ask:
    """A question whose answer is longer the longer it is, and not by that alone."""
    draw = random.Random(number)  # noqa: S311 (a repeatable length)
    lines = draw.randrange(1, 40)
    prompt = "\n".join(f"Step {line} of {number}: explain it." for line in range(lines))
    length = middle * (lines / 20) ** 0.3 * draw.lognormvariate(0.0, width)
    return Ask(prompt, len(prompt) // 4, min(max(round(length), 1), 30_000))


def recorded(file: Path) -> list[Ask]:
    """The calls of a recording, in an order of chance."""
    found = [
        Ask("".join(str(one["content"]) for one in call.messages), call.input_tokens,
            call.output_tokens)
        for _, call in read_recorded(file, on_bad=lambda _line, _reason: None)
        if call.input_tokens and call.output_tokens
    ]  # fmt: skip
    random.Random(1).shuffle(found)  # noqa: S311 (a repeatable order)
    return found


def made_up(count: int = 600) -> list[Case]:
    """The cases whose calls are made up, at the table's budgets or ten times them."""
    brief = [short(number, 84) for number in range(count)]
    long = [short(number, 5_000) for number in range(count)]
    full = [short(number, 256) for number in range(count)]
    return [
        Case("no cap, 84 tokens", 0.01, brief, peer=0.0),
        Case("no cap, 84 tokens", 0.05, brief, peer=0.07),
        Case("no cap, 5,000 tokens", 0.05, long, times=10, peer=4.0),
        Case("cap 4,096, 84 tokens", 0.05, brief, most=4_096, peer=0.02),
        Case("cap 256, n = 8, all of it", 0.05, full, most=256, n=8, times=10, peer=7.79),
        Case(
            "2,000 characters of Chinese, cap 16", 0.02, [dense(n) for n in range(count)],
            most=16, times=10, peer=3.13,
        ),
        Case("84 tokens, every 3rd stream dropped", 0.05, brief, dropped=3),
    ]  # fmt: skip


def like_recorded(count: int = 600) -> list[Case]:
    """Made-up calls whose lengths are spread as those of the recordings are."""
    return [
        Case("lengths as of reasoning", 0.25, [spread(n, 2_200, 1.1) for n in range(count)],
             times=10, peer=4.15),
        Case("lengths as of chat", 0.15, [spread(n, 400, 0.7) for n in range(count)], peer=0.57),
    ]  # fmt: skip


def of_recordings(folder: Path) -> list[Case]:
    """Recorded calls, with their lengths."""
    reasoning, chat = (recorded(folder / f"{name}.jsonl.gz") for name in ("reasoning", "chat"))
    return [
        Case("recorded reasoning", 0.25, reasoning, times=10, peer=4.15),
        Case("recorded chat", 0.15, chat, peer=0.57),
    ]


def spent(case: Case, door: Door, folder: Path) -> Spent:
    """Learn the history, put the limit into force, and let all callers use it up."""
    most: dict[str, int] = {}
    with ExitStack() as stack:
        upstream = stack.enter_context(Upstream(answer))
        engine = stack.enter_context(
            Engine.open(
                f"sqlite:///{folder / 'history.db'}", holdout=0.0,
                openai_base_url=upstream.url, anthropic_base_url=upstream.url,
            )
        )  # fmt: skip
        learn(engine, case)
        number = engine.store.save_limit(case.limit)
        _wait_for_limits(engine)
        watch(engine, most.update)
        url = stack.enter_context(served(create_app(engine))) if door == "proxy" else upstream.url
        crowd = Crowd(case, upstream)
        asyncio.run(crowd.run(engine if door == "wrapper" else None, f"{url}/v1"))
        assert engine.flush(30.0)
        balance = left(engine.store, number)
        return Spent(
            case, door, crowd.admitted, balance.used, max(most.values(), default=0),
            balance.held, dict(engine.faults),
        )  # fmt: skip


def learn(engine: Engine, case: Case) -> None:
    """Have an engine learn the last HISTORY calls of a case; callers begin with the first."""
    for ask in case.asks[-HISTORY:]:
        plan = engine.plan(api="openai.chat", body=case.body(ask), scope=Scope(agent=AGENT))
        given = min(ask.output_tokens, case.most or ask.output_tokens)
        usage = Usage(ask.input_tokens, given * case.n)
        cut = case.most is not None and given == case.most
        engine.settle(plan, Outcome(usage=usage, finish_reason="length" if cut else "stop"))
    assert engine.flush(60.0)
    assert engine.fitted()


def left(store: Store, number: int) -> Balance:
    """What is used of a limit, and still held when idle leases had time to be given back."""
    deadline = time.monotonic() + 10.0
    while True:
        now = time.time()
        (balance,) = [one for one in store.balances(now) if one.account.limit == number]
        if not balance.held or time.monotonic() > deadline:
            assert store.miscounted(now) == {}
            return balance
        time.sleep(0.1)


class Crowd:
    """Callers who share what there is to ask.

    One who is refused goes away when nothing is under way and nobody was answered for ``quiet``
    seconds. ``broken`` counts calls that got no answer; they are made again. ``some`` is set as
    soon as SOME were answered.
    """

    def __init__(self, case: Case, upstream: Upstream, quiet: float = QUIET) -> None:
        self._case = case
        self._upstream = upstream
        self._quiet = quiet
        self.broken = 0
        self.some = asyncio.Event()
        self._asks: Iterator[Ask] = itertools.cycle(case.asks[:-HISTORY])
        self._numbers = itertools.count(1)
        self._answered = time.monotonic()
        self.admitted = 0

    async def run(self, engine: Engine | None, base: str) -> None:
        """Call through the wrapper, or through the proxy at ``base`` where there is no engine."""
        plain = openai.AsyncOpenAI(base_url=base, api_key="sk-test", max_retries=0)
        client = plain if engine is None else wrap(plain, engine=engine)
        self._answered = time.monotonic()
        await asyncio.gather(*(self._caller(client) for _ in range(CALLERS)))
        await client.close()

    async def _caller(self, client: openai.AsyncOpenAI) -> None:
        for ask in self._asks:
            number = next(self._numbers)
            while True:
                try:
                    await self._call(client, ask, number)
                except openai.RateLimitError as refused:
                    assert refused.type == "insufficient_quota"  # noqa: PT017
                    if self._over():
                        return
                    await asyncio.sleep(0.3)
                except openai.APIConnectionError:
                    self.broken += 1
                    await asyncio.sleep(0.3)
                else:
                    break

    async def _call(self, client: openai.AsyncOpenAI, ask: Ask, number: int) -> None:
        said = header(ask.input_tokens, ask.output_tokens, SECONDS)
        facts = dict([said, ("x-budget-agent", AGENT), ("x-budget-tags", _TAG)])
        dropped = self._case.dropped and number % self._case.dropped == 0
        body: Any = self._case.body(ask)
        if not dropped:
            await client.chat.completions.create(**body, extra_headers=facts)
        else:
            stream: Any = await client.chat.completions.create(
                **body, stream=True, extra_headers=facts
            )
            for _ in range(_DROPPED):
                await anext(stream)
            await stream.close()
        self.admitted += 1
        if self.admitted >= SOME:
            self.some.set()
        self._answered = time.monotonic()

    def _over(self) -> bool:
        """Whether nothing is under way, and nobody was answered for a while."""
        quiet = time.monotonic() - self._answered > self._quiet
        return quiet and self._upstream.under_way == 0


def _wait_for_limits(engine: Engine) -> None:
    """Wait until limits are in force: a process looks for new ones every second."""
    deadline = time.monotonic() + 30.0
    while not engine.limited:
        assert time.monotonic() < deadline
        time.sleep(0.02)
