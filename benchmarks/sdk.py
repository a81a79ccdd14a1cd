"""What the wrapper costs an SDK's call: the process's CPU with it beside without it.

    python benchmarks/sdk.py [--rounds 25] [--calls 40] [--json]

Calls are real ones: an SDK's own client, TLS on loopback, a provider in a process of its own
that answers as providers do: after a while (a short one here: 5 ms), with all their headers,
packed where it may be, streams event by event. The same stands below bare, as a base that no
provider gives: no TLS, answers at once, in one piece. Plain and wrapped calls are made by turns,
and the CPU of all threads counts, the recorder's included, until every row is on disk. A round's
own CPU is wrapped - plain, its ratio that by plain; the median of the ratios is held against the
limit, but for the bare ones:

* without planning (the request read, our keys removed, what was asked of it read, no plan): 5 %;
* everything on: 30 %. 10,000 rows of history in SQLite, mode enforce, with evidence, so that
  caps, notes and efforts are written; a prompt never seen before in every call.

It ends with status 1 if a ratio is above its limit.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, cast

import anthropic
import openai
from answers import CHAT, MESSAGES
from decided import Decided
from history import AGENT, experienced
from loopback import certified, provide, running
from prompts import Turns, chat, messages, opening, turn
from rich.console import Console
from rich.table import Table
from rounds import Case, Run, by_turns

from budget_proxy import Engine, budget, wrap

SEAM_LIMIT, ON_LIMIT = 0.05, 0.30
THINK, GAP = "0.005", "0.002"
"""Seconds until a provider's first byte, and from one event of its streams to the next."""


@dataclass(frozen=True)
class Ratio:
    """One line of the result: microseconds of CPU a call, and the wrapper's own by plain.

    ``ratio`` is the median of paired rounds, ``best`` that of the best round of either.
    """

    what: str
    plain: float
    own: float
    ratio: float
    best: float
    limit: float | None

    @property
    def within(self) -> bool:
        """Whether it is within its limit, if it has one."""
        return self.limit is None or self.ratio <= self.limit


@dataclass(frozen=True)
class Door:
    """An SDK's client: its name, the client as it is and wrapped, and the path it calls.

    ``unplanned`` is wrapped with planning left out; ``bare`` says that its provider answers at
    once and in the clear.
    """

    name: str
    plain: Any
    wrapped: Any
    unplanned: Any
    path: str
    bare: bool


def called(door: Door, client: Any, turns: Callable[[], Turns], **more: Any) -> Run:
    """How calls are made through one client, streams to their end."""
    anthropics = door.path == MESSAGES
    create = client.messages.create if anthropics else client.chat.completions.create
    body = messages if anthropics else chat

    async def waited(calls: int) -> None:
        for _ in range(calls):
            answer = await create(**body(turns()), **more)
            if "stream" in more:
                async for _ in answer:
                    pass

    def run(calls: int) -> None:
        for _ in range(calls):
            answer = create(**body(turns()), **more)
            if "stream" in more:
                for _ in answer:
                    pass

    if "async" in door.name:
        loop = asyncio.get_event_loop_policy().get_event_loop()
        return lambda calls: loop.run_until_complete(waited(calls))
    return run


def pairs(door: Door, engine: Engine) -> dict[str, tuple[Run, Run, float]]:
    """What is compared: calls as they are, the same through us, and what that may cost."""

    def recorded(run: Run) -> Run:
        def recording(count: int) -> None:
            run(count)
            assert engine.flush()

        return recording

    def both(turns: Callable[[], Turns], **more: Any) -> tuple[Run, Run]:
        return called(door, door.plain, turns, **more), called(door, door.wrapped, turns, **more)

    as_it_is, ours = both(opening)
    with_a_key = called(door, door.plain, opening, extra_body={"metadata": {"agent": "a"}})
    unplanned = called(door, door.unplanned, opening)
    stripped = called(door, door.unplanned, opening, extra_body={"budget": {"agent": "a"}})
    later, ours_later = both(turn)
    stream, our_stream = both(turn, stream=True)
    return {
        "without planning": (as_it_is, unplanned, SEAM_LIMIT),
        "without planning, a key removed": (with_a_key, stripped, SEAM_LIMIT),
        "on, a new conversation": (as_it_is, recorded(ours), ON_LIMIT),
        "on, a later turn": (later, recorded(ours_later), ON_LIMIT),
        "on, a stream of 50 chunks": (stream, recorded(our_stream), ON_LIMIT),
    }


def measured(door: Door, engine: Engine, rounds: int, calls: int) -> list[Ratio]:
    """The ratios of one door. Only those of real exchanges are held against a limit."""
    ratios = []
    for name, (plain, wrapped, limit) in pairs(door, engine).items():
        each = calls // 4 if "stream" in name else calls
        cases = [Case(name, run, each, clock=time.process_time) for run in (plain, wrapped)]
        as_it_is, ours = by_turns(cases, rounds)
        counts = None if door.bare else limit
        ratios.append(ratio(f"{door.name}: {name}", as_it_is, ours, counts))
    return ratios


def ratio(what: str, plain: list[float], wrapped: list[float], limit: float | None) -> Ratio:
    """Sum paired rounds up."""
    own = [its - base for its, base in zip(wrapped, plain, strict=True)]
    shares = [its / base for its, base in zip(own, plain, strict=True)]
    return Ratio(
        what, statistics.median(plain), statistics.median(own),
        statistics.median(shares), min(wrapped) / min(plain) - 1.0, limit,
    )  # fmt: skip


def doors(engine: Engine, real: int, bare: int) -> Iterator[Door]:
    """Each SDK, sync and async, before the provider at either port."""
    kinds: list[tuple[type, str, str]] = [
        (openai.OpenAI, CHAT, "/v1"), (openai.AsyncOpenAI, CHAT, "/v1"),
        (anthropic.Anthropic, MESSAGES, ""), (anthropic.AsyncAnthropic, MESSAGES, ""),
    ]  # fmt: skip
    for url, is_bare in ((f"https://127.0.0.1:{real}", False), (f"http://127.0.0.1:{bare}", True)):
        for kind, path, suffix in kinds:
            plain = kind(api_key="k", base_url=url + suffix)
            name = kind.__module__.partition(".")[0]
            name += " async" if "Async" in kind.__name__ else ""
            name += ", bare" if is_bare else ""
            wrapped = wrap(plain, engine=engine, agent=AGENT)
            unplanned = wrap(plain, engine=cast("Engine", Decided()))
            yield Door(name, plain, wrapped, unplanned, path, is_bare)


def begin(door: Door) -> None:
    """Make a first call, see that all is on, and wait for what loads beside it."""
    with budget() as asked:
        called(door, door.wrapped, opening)(1)
    (made,) = asked.calls
    written = made.plan.patch
    assert written.cap is not None, made.plan.allocation.reason
    assert written.guidance is not None, made.plan.allocation.reason
    for thread in threading.enumerate():
        if thread.name == "budget-proxy-preload":
            thread.join()


def show(ratios: list[Ratio]) -> None:
    """Print the ratios as a table."""
    table = Table(title="CPU of an SDK's call, in microseconds (medians of paired rounds)")
    for column in ("what", "plain", "own", "own / plain", "best rounds", "limit", ""):
        table.add_column(column, justify="left" if column == "what" else "right")
    for line in ratios:
        limit = "" if line.limit is None else f"{line.limit:.0%}"
        verdict = "" if line.limit is None else "within" if line.within else "ABOVE"
        table.add_row(
            line.what, f"{line.plain:,.0f}", f"{line.own:,.0f}", f"{line.ratio:.1%}",
            f"{line.best:.1%}", limit, verdict,
        )  # fmt: skip
    Console(width=110).print(table)


def main() -> int:
    """Measure, print, and say whether all limits hold."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=25, help="rounds (25)")
    parser.add_argument("--calls", type=int, default=40, help="calls a round (40)")
    parser.add_argument("--only", default="", help="part of the name of what is measured")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    ratios = []
    with (
        certified() as cert,
        running(provide, THINK, GAP, GAP, cert) as (real, _),
        running(provide) as (bare, _),
        experienced() as engine,
    ):
        for door in doors(engine, real, bare):
            if options.only in door.name:
                begin(door)
                ratios += measured(door, engine, options.rounds, options.calls)
        faults = dict(engine.faults)
    if options.json:
        lines = [{**asdict(line), "within": line.within} for line in ratios]
        print(json.dumps({"ratios": lines, "faults": faults}, indent=2))
    else:
        show(ratios)
    return 0 if not faults and all(line.within for line in ratios) else 1


if __name__ == "__main__":
    sys.exit(main())
