"""``budget-proxy demo``: a real local model, the proxy before it, and what history buys.

Nothing is canned: every number that is printed is read back from the history that the demo's
own calls wrote.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import orjson
import typer
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from budget_proxy.cli.demo_traffic import AGENTS, CEILING, SURPRISES, Agent, Door, doors
from budget_proxy.errors import ConfigError
from budget_proxy.local import LocalModel, free_port
from budget_proxy.store import open_store
from budget_proxy.types import CallRecord

_WARM_UP: Final = "warm-up"
_BUDGETED: Final = "budgeted"
_SURPRISE: Final = "surprise"
_SLOTS: Final = 4
_START_SECONDS: Final = 60.0
_SETTINGS: Final = {"CAPS": "always", "HOLDOUT": "0", "FLOOR": "64", "MODE": "enforce"}
_OVER: Final = 0.50
_UNDER: Final = 0.95


@dataclass(frozen=True, slots=True)
class GroupSummary:
    """One agent's budgeted calls, from the history; tokens are means a call."""

    agent: str
    learned_from: int
    calls: int
    predicted: float | None
    recommended: float | None
    cap: float | None
    used: float | None
    in_band: float | None
    attainable: float | None
    truncated: int
    resent: int


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(name="demo")(demo)


def demo(
    *,
    calls: Annotated[
        int, typer.Option(help="Warm-up calls a group (at least 20).", min=20, max=26)
    ] = 22,
    store: Annotated[
        str | None, typer.Option(help="Where to keep the demo's history (a URL).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the tables as JSON.")] = False,
) -> None:
    """Run a real local model behind the proxy: learn, budget, cut, send again (minutes)."""
    console = Console(stderr=as_json)
    url = store or f"sqlite:///{Path(tempfile.mkdtemp(prefix='budget-proxy-demo-')) / 'history.db'}"
    console.print(
        "A real model (SmolLM2-135M on llama.cpp) behind the proxy, on this machine alone.\n"
        f"Settings of this demo: caps = always, holdout = 0, floor = 64 tokens "
        "(the defaults are gentler: caps = quota, holdout = 10 %, floor = 1024).\n"
        f"Every caller sets max_tokens = {CEILING} on everything, as people do today."
    )
    started = time.monotonic()
    with (
        LocalModel(slots=_SLOTS) as model,
        _proxy(model.base_url, url) as base_url,
        doors(base_url) as ways,
    ):
        _warm_up(console, ways[0], calls)
        _budgeted(console, ways, calls)
        _surprise(console, ways[0])
    rows = list(open_store(url).calls())
    _show(console, rows, url, as_json=as_json)
    console.print(f"Took {time.monotonic() - started:.0f} s, {len(rows)} attempts in the history.")


@contextmanager
def _proxy(upstream: str, url: str) -> Iterator[str]:
    """Our own proxy in a process of its own, as a user would start it."""
    port = free_port()
    environment = {
        **os.environ,
        **{f"BUDGET_PROXY_{name}": value for name, value in _SETTINGS.items()},
        "BUDGET_PROXY_STORE": url,
        "BUDGET_PROXY_OPENAI_BASE_URL": upstream,
        "BUDGET_PROXY_ANTHROPIC_BASE_URL": upstream,
    }
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        environment.pop(name, None)  # a local model needs no real key
    command = [sys.executable, "-m", "budget_proxy", "serve", "--port", str(port)]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)  # noqa: S603 (our own module)
        try:
            _wait_for(f"http://127.0.0.1:{port}/healthz", process, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=30)


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Any) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=1).close()  # noqa: S310 (our own loopback URL)
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
        else:
            return
    log.seek(0)
    raise ConfigError(f"the proxy did not start: {log.read().decode(errors='replace')[-800:]}")


def _warm_up(console: Console, door: Door, calls: int) -> None:
    jobs = [(agent, prompt) for agent in AGENTS for prompt in agent.prompts[:calls]]
    _send_all(
        console,
        f"Warm-up: {calls} observed calls a group",
        jobs,
        lambda agent, prompt, _: door.send(
            prompt, {**_tag(agent, _WARM_UP), "x-budget-mode": "observe"}
        ),
    )


def _budgeted(console: Console, ways: Sequence[Door], calls: int) -> None:
    jobs = [
        (agent, prompt)
        for index in range(len(ways))
        for agent in AGENTS
        for prompt in (agent.prompts[calls + index],)
    ]
    _send_all(
        console,
        "Budgeted: both SDKs, plain and streamed",
        jobs,
        lambda agent, prompt, index: ways[index // len(AGENTS)].send(
            prompt, _tag(agent, _BUDGETED)
        ),
    )


def _surprise(console: Console, door: Door) -> None:
    """Ask the short-answer agent for long answers, until one was cut and sent again."""
    agent = AGENTS[0]
    with _progress(console) as progress:
        task = progress.add_task("Surprise: a long answer where all were short", total=1)
        for prompt in SURPRISES:
            if door.send(prompt, _tag(agent, _SURPRISE)) > 1:
                break
        progress.advance(task)


def _tag(agent: Agent, phase: str) -> dict[str, str]:
    return {"x-budget-agent": agent.name, "x-budget-tags": phase}


def _send_all(
    console: Console,
    title: str,
    jobs: Sequence[tuple[Agent, str]],
    send: Callable[[Agent, str, int], object],
) -> None:
    with _progress(console) as progress, ThreadPoolExecutor(_SLOTS) as pool:
        task = progress.add_task(title, total=len(jobs))
        futures = [
            pool.submit(send, agent, prompt, index) for index, (agent, prompt) in enumerate(jobs)
        ]
        for future in futures:
            future.result()
            progress.advance(task)


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )


def _show(console: Console, rows: Sequence[CallRecord], url: str, *, as_json: bool) -> None:
    budgeted = [row for row in rows if _WARM_UP not in row.tags]
    groups = [_summary(agent.name, rows, budgeted) for agent in AGENTS]
    if as_json:
        facts = {
            "store": url,
            "groups": [asdict(g) for g in groups],
            "calls": [_facts(r) for r in budgeted],
        }
        sys.stdout.write(orjson.dumps(facts, option=orjson.OPT_INDENT_2).decode() + "\n")
        return
    console.print(_call_table(budgeted))
    console.print(_group_table(groups))
    used = sum(row.output_tokens or 0 for row in budgeted)
    reserved = sum(row.reserve or 0 for row in budgeted)
    fixed = CEILING * len(budgeted)
    console.print(
        f"Used: {used} tokens. Reserved for them: {reserved} by prediction (q95);\n"
        f"it would be {fixed} with the max_tokens of {CEILING} that every call asks for.\n"
        "In band: 50 to 95 % of the recommended budget were used (over: less, under: more).\n"
        "Attainable: the share in band that the forecasts promised.\n"
        f"No cap (-): 1.5 x q99 would not be below the caller's own {CEILING}."
    )
    console.print(
        "Where to look next:\n"
        f"  {_command()} report --store {url}\n"
        f'  {_command()} explain "What is the capital of Malta?" --agent facts '
        f"--model {rows[0].model} --store {url}\n"
        f"  {_command()} serve    # then set base_url to http://127.0.0.1:4141/v1",
        soft_wrap=True,
    )


def _command() -> str:
    """How to call us from here: by name where that is found, else by path."""
    if shutil.which("budget-proxy"):
        return "budget-proxy"
    return os.path.relpath(Path(sys.executable).with_name("budget-proxy"))


def _summary(
    agent: str, rows: Sequence[CallRecord], budgeted: Sequence[CallRecord]
) -> GroupSummary:
    own = [row for row in budgeted if row.agent == agent]
    steady = [row for row in own if _BUDGETED in row.tags]
    return GroupSummary(
        agent=agent,
        learned_from=sum(row.agent == agent and _WARM_UP in row.tags for row in rows),
        calls=len({row.call_id for row in own}),
        predicted=_mean([row.q50 for row in own]),
        recommended=_mean([row.recommended for row in own]),
        cap=_mean([row.cap for row in own]),
        used=_mean([row.output_tokens for row in own]),
        in_band=_mean([float(_verdict(row) == "in band") for row in steady]),
        attainable=_mean([row.confidence for row in steady]),
        truncated=sum(row.truncated for row in own),
        resent=sum(row.attempt > 1 for row in own),
    )


def _verdict(row: CallRecord) -> str:
    """Accurate means that 50 to 95 % of the recommended budget were used."""
    if row.truncated:
        return "cut"
    share = (row.output_tokens or 0) / (row.recommended or 1)
    if share < _OVER:
        return "over"
    return "under" if share > _UNDER else "in band"


def _facts(row: CallRecord) -> dict[str, Any]:
    return {
        "agent": row.agent, "api": row.api, "stream": row.stream, "attempt": row.attempt,
        "predicted": row.q50, "recommended": row.recommended, "cap": row.cap,
        "reserve": row.reserve, "used": row.output_tokens, "verdict": _verdict(row),
        "truncated": row.truncated, "reason": row.reason,
    }  # fmt: skip


def _call_table(rows: Sequence[CallRecord]) -> Table:
    columns = ("agent", "api", "predicted", "recommended", "cap", "used", "verdict")
    table = _table("Every budgeted call, from the history (tokens)", columns, left=2)
    for row in rows:
        api = row.api.rpartition(".")[2] + (", streamed" if row.stream else "")
        table.add_row(
            row.agent, api, _number(row.q50), _number(row.recommended), _number(row.cap),
            _number(row.output_tokens), "sent again" if row.attempt > 1 else _verdict(row),
        )  # fmt: skip
    return table


def _group_table(groups: Sequence[GroupSummary]) -> Table:
    columns = (
        "agent", "learned", "q50", "recomm.", "cap", "used", "in band", "attain.", "cut", "resent",
    )  # fmt: skip
    title = "By group (means a call, the surprise included)"
    table = _table(title, columns, left=1)
    for group in groups:
        table.add_row(
            group.agent, str(group.learned_from), _number(group.predicted),
            _number(group.recommended), _number(group.cap), _number(group.used),
            _share(group.in_band), _share(group.attainable), str(group.truncated),
            str(group.resent),
        )  # fmt: skip
    return table


def _table(title: str, columns: Sequence[str], *, left: int) -> Table:
    table = Table(title=title, box=box.SIMPLE, pad_edge=False, padding=(0, 1, 0, 0))
    for index, name in enumerate(columns):
        text = index < left or name == "verdict"
        table.add_column(name, justify="left" if text else "right", no_wrap=True)
    return table


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"
