"""``budget-proxy explain``: what would be decided for a call, and why, without sending it.

Nothing is recorded, and the text is not repeated: what it was taken for is told by cue names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from budget_proxy.cli.options import Agent, AsJson, Model, StoreUrl
from budget_proxy.errors import InvalidInput

if TYPE_CHECKING:
    from budget_proxy.assemble import Engine
    from budget_proxy.cli.diff import Change
    from budget_proxy.types import Plan

_RECENT: Final = 1000


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(name="explain")(explain)


def explain(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The user message of the call.")],
    *,
    api: Annotated[
        str,
        typer.Option(
            "--api",
            metavar="NAME",
            help="openai.chat, openai.responses or anthropic.messages.",
        ),
    ] = "openai.chat",
    model: Model = None,
    agent: Agent = None,
    stream: Annotated[bool, typer.Option("--stream", help="As a streamed call.")] = False,
    max_tokens: Annotated[
        int | None,
        typer.Option("--max-tokens", metavar="N", min=1, help="The caller's own cap."),
    ] = None,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """Show what would be decided for a call, and why, without sending or recording it."""
    from budget_proxy.assemble import Engine
    from budget_proxy.cli.diff import changes
    from budget_proxy.cli.options import store_url
    from budget_proxy.cli.output import print_json
    from budget_proxy.types import Scope
    from budget_proxy.wire import DIALECTS
    from budget_proxy.wire.single import single_message

    if api not in DIALECTS:
        raise InvalidInput(f"--api must be one of {', '.join(DIALECTS)}, not {api!r}")
    with Engine.open(store_url(store)) as engine:
        named = model or _newest_model(engine, api, agent)
        body = single_message(api, text, model=named, stream=stream, cap=max_tokens)
        plan = engine.plan(api=api, body=body, scope=Scope(agent=agent), dry_run=True)
    diff = changes(body, plan)
    if as_json:
        print_json(_as_json(plan, diff))
    else:
        _show(plan, diff)


def _newest_model(engine: Engine, api: str, agent: str | None) -> str:
    """The model of the newest row that could be this call's; else a current one."""
    from budget_proxy.cli.imported import API as IMPORTED
    from budget_proxy.wire.single import default_model

    for row in reversed(engine.store.recent(_RECENT)):
        if row.api in {api, IMPORTED} and agent in {None, row.agent}:
            return row.model
    return default_model(api)


def _as_json(plan: Plan, diff: list[Change]) -> dict[str, Any]:
    from budget_proxy.types import LEVELS

    forecast, call = plan.forecast, plan.call
    return {
        "api": call.api,
        "model": call.model,
        "agent": plan.features.agent,
        "input_tokens": plan.input_tokens,
        "characteristics": plan.characteristics,
        "forecast": {
            "strategy": forecast.strategy,
            "source": forecast.source,
            "group": forecast.group,
            "support": forecast.support,
            "confidence": forecast.confidence,
            "recommended": forecast.recommended,
            "quantiles": {f"q{level * 100:.0f}": forecast.quantile(level) for level in LEVELS},
            "levels": forecast.levels,
            "values": forecast.values,
            "reasons": forecast.reasons,
        },
        "allocation": plan.allocation,
        "diff": diff,
    }


def _show(plan: Plan, diff: list[Change]) -> None:
    from budget_proxy.cli.output import console, facts, table

    out = console()
    out.print(f"{plan.call.api}, {plan.call.model}, agent {plan.features.agent}\n")
    out.print(facts(_decided(plan)))
    out.print()
    evidence = [(name, ", ".join(found)) for name, found in plan.characteristics.evidence.items()]
    out.print("Evidence")
    out.print(facts(dict(evidence) if evidence else {"none": "no cue was found"}))
    out.print()
    if not diff:
        out.print("Nothing would be written into the body.")
        return
    rows = [
        (one.path, one.change, f"{one.size_before} > {one.size_after}", _brief(one.value))
        for one in diff
    ]
    out.print(table("Written into the body", ("path", "", "bytes", "value"), rows, left=4))
    for one in diff:
        if isinstance(one.value, str) and len(one.value) > len(_brief(one.value)):
            out.print(f"\n{one.path} carries our text:\n{one.value}", soft_wrap=True)


def _decided(plan: Plan) -> dict[str, str]:
    from budget_proxy.cli.output import percent, whole
    from budget_proxy.types import LEVELS

    kind, forecast, given = plan.characteristics, plan.forecast, plan.allocation
    quantiles = (f"q{level * 100:.0f} {whole(forecast.quantile(level))}" for level in LEVELS)
    group = " / ".join(forecast.group) or forecast.source
    steer = given.thinking.kind if given.thinking else "none"
    return {
        "Task": f"{kind.task_type}, complexity {kind.complexity:.0f}, "
        f"domains {', '.join(sorted(kind.domains)) or 'none'}",
        "": f"novelty {kind.novelty:.2f}, uncertainty {kind.uncertainty:.2f}, "
        f"criticality {kind.criticality:.2f}",
        "Input": f"about {whole(plan.input_tokens)} tokens",
        "Forecast": ", ".join(quantiles),
        "Rests on": f"{whole(forecast.support)} outcomes of {group} ({forecast.strategy})",
        "Known": "; ".join(forecast.reasons) or "nothing",
        "Recommended": f"{whole(given.recommended)} tokens, confidence {percent(given.confidence)}",
        "Target": f"{whole(given.target)}, reserve {whole(given.reserve)}, cap {whole(given.cap)}",
        "Steer": f"thinking {steer}, effort {given.effort or 'none'}, "
        f"{'written' if given.steered else 'not handed over'}",
        "Mode, arm": f"{given.mode}, {given.arm}",
        "Reason": given.reason,
    }


def _brief(value: Any) -> str:
    if value is None:
        return ""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= 24 else "our text, below"  # noqa: PLR2004 (what a column holds)
