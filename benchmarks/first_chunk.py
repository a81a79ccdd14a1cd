"""How much later a stream's first chunk comes: through the wrapper and the proxy, and without.

    python benchmarks/first_chunk.py [--calls 150] [--think 0.01] [--pause 0.02] [--json]

The provider, in a process of its own on loopback, thinks for a while, sends its first event,
and the others after a pause. No real one thinks as short as that. What counts is the time from
an SDK's call to the first chunk in the caller's hand. All ways are taken by turns with one and
the same client: directly, through the wrapper, through a bare pass-through of uvicorn and
pyreqwest (the floor of any proxy in Python), and through our proxy. A delay is the median of
the differences in a turn:

* wrapper: to the direct way; 1 ms at most;
* proxy: to the floor, which is the hop itself; 1 ms at most.

Either learned from 10,000 rows of history. A call that begins a conversation is looked up in
it, and its answer waits until what the conversation was given is on disk; a later turn of one
is not. It ends with status 1 above a limit.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any

import anthropic
import openai
from answers import CHAT, MESSAGES
from history import AGENT, experienced, filled
from loopback import provide, running, serve_floor, serve_ours
from prompts import Turns, chat, messages, opening, turn
from rich.console import Console
from rich.table import Table

from budget_proxy import wrap

LIMIT = 1.0
"""Milliseconds."""


@dataclass(frozen=True)
class Delay:
    """Milliseconds to the first chunk on one way, and how much later than on another."""

    what: str
    median: float
    later: float
    than: str
    limit: float | None

    @property
    def within(self) -> bool:
        """Whether it is within its limit, if it has one."""
        return self.limit is None or self.later <= self.limit


def first_chunk(start: Callable[[], Any]) -> float:
    """Milliseconds from a call to its first chunk; the rest is read so that the way stays open."""
    begun = time.perf_counter()
    stream = start()
    next(iter(stream))
    taken = time.perf_counter() - begun
    for _ in stream:
        pass
    return taken * 1e3


def ways(engine: Any, direct: str, floor: str, proxy: str) -> dict[str, dict[str, Any]]:
    """By SDK: a function for each way that starts one streamed call."""
    both: dict[str, dict[str, Any]] = {}
    for name, kind, suffix, path in (
        ("openai", openai.OpenAI, "/v1", CHAT), ("anthropic", anthropic.Anthropic, "", MESSAGES),
    ):  # fmt: skip
        plain: Any = {
            way: kind(api_key="k", base_url=url + suffix)
            for way, url in (("direct", direct), ("floor", floor), ("proxy", proxy))
        }
        wrapped = wrap(plain["direct"], engine=engine, agent=AGENT)
        both[name] = {
            "direct": starter(plain["direct"], path, opening),
            "wrapper, a new conversation": starter(wrapped, path, opening),
            "wrapper, a later turn": starter(wrapped, path, turn),
            "floor": starter(plain["floor"], path, opening),
            "proxy, a new conversation": starter(plain["proxy"], path, opening),
            "proxy, a later turn": starter(plain["proxy"], path, turn),
        }
    return both


def starter(client: Any, path: str, turns: Callable[[], Turns]) -> Callable[[], Any]:
    """How a streamed call is started, with a prompt that no call had before."""
    ours = {"x-budget-agent": AGENT}
    if path == MESSAGES:
        create = client.messages.create
        return lambda: create(**messages(turns()), stream=True, extra_headers=ours)
    create = client.chat.completions.create
    return lambda: create(**chat(turns()), stream=True, extra_headers=ours)


def by_turns(starts: dict[str, Any], calls: int) -> dict[str, list[float]]:
    """Milliseconds of each way, taken by turns; the first ten turns warm up."""
    taken: dict[str, list[float]] = {way: [] for way in starts}
    for number in range(calls + 10):
        for way, start in starts.items():
            milliseconds = first_chunk(start)
            if number >= 10:
                taken[way].append(milliseconds)
    return taken


def delays(name: str, taken: dict[str, list[float]]) -> list[Delay]:
    """The delays of one SDK's calls."""

    def delay(way: str, than: str, limit: float | None = None) -> Delay:
        pairs = zip(taken[way], taken[than], strict=True)
        later = statistics.median(its - others for its, others in pairs)
        return Delay(f"{name}: {way}", statistics.median(taken[way]), later, than, limit)

    return [
        delay(way, "floor" if way.startswith("proxy") else "direct", LIMIT if "," in way else None)
        for way in taken
    ]


def measure(calls: int, think: float, pause: float) -> tuple[list[Delay], dict[str, int]]:
    """All delays, and the wrapper's faults, of which there must be none."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        filled(folder)
        port, _ = stack.enter_context(running(provide, str(think), str(pause)))
        direct = f"http://127.0.0.1:{port}"
        floor, _ = stack.enter_context(running(serve_floor, direct))
        proxy, _ = stack.enter_context(running(serve_ours, direct, folder))
        engine = stack.enter_context(experienced())
        lines = []
        doors = ways(engine, direct, f"http://127.0.0.1:{floor}", f"http://127.0.0.1:{proxy}")
        for name, starts in doors.items():
            lines += delays(name, by_turns(starts, calls))
        return lines, dict(engine.faults)


def show(lines: list[Delay]) -> None:
    """Print the delays as a table."""
    table = Table(title="Milliseconds to a stream's first chunk (medians)")
    for column in ("what", "median", "later by", "than", "limit", ""):
        table.add_column(column, justify="left" if column in {"what", "than"} else "right")
    for line in lines:
        limit = "" if line.limit is None else f"{line.limit:.1f}"
        verdict = "" if line.limit is None else "within" if line.within else "ABOVE"
        table.add_row(
            line.what, f"{line.median:.2f}", f"{line.later:+.2f}", line.than, limit, verdict
        )
    Console().print(table)


def main() -> int:
    """Measure, print, and say whether all limits hold."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--calls", type=int, default=150, help="turns measured (150)")
    parser.add_argument("--think", type=float, default=0.01, help="seconds until the first event")
    parser.add_argument("--pause", type=float, default=0.02, help="seconds after the first event")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    lines, faults = measure(options.calls, options.think, options.pause)
    if options.json:
        shown = [{**asdict(line), "within": line.within} for line in lines]
        print(json.dumps({"milliseconds": shown, "faults": faults}, indent=2))
    else:
        show(lines)
    return 0 if not faults and all(line.within for line in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
