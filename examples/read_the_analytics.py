"""Read what the history tells: how well budgets fit, by whom, and how that goes day by day."""

import time
from random import Random
from zoneinfo import ZoneInfo

from budget_proxy import Engine
from budget_proxy.analytics.periods import latest
from budget_proxy.analytics.trends import trends

DAY = 86_400.0

chance = Random(1)  # noqa: S311 (a made-up history, so that there is something to read)
with Engine.open("memory:") as engine:
    for agent, typical in (("coder", 4000), ("reviewer", 900)):
        for _ in range(60):
            task = {"description": f"A task of the {agent}", "story_points": chance.randint(1, 8)}
            prediction = engine.predict(task, agent=agent)
            engine.record(prediction, used=round(typical * chance.lognormvariate(0, 0.3)))

    report = engine.efficiency_report()
    for figures in (report.overall, *report.by_agent):
        print(
            f"{' '.join(figures.group) or 'all'}: {figures.calls} calls, "
            f"{figures.accuracy or 0:.0%} used 50-95 % of their budget, "
            f"{figures.over_allocated or 0:.0%} less, {figures.under_allocated or 0:.0%} more"
        )
    for item in report.overall.calibration:
        if item.realised is not None:
            print(f"  {item.realised:.0%} of {item.n} answers were within their q{item.level:.0%}")

    now = time.time()
    week = latest("day", ZoneInfo("UTC"), now, 7)
    for group in trends(engine.store, week, now=now, by="agent"):
        calls = group.of("calls")
        print(f"{group.group[0]}: calls by day {calls.values}, {calls.direction}")
