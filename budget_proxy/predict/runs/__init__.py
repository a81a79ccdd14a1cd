"""Forecasts of whole runs: what an agent's loop comes to, and whether it has run away.

A run is one piece of an agent's work (an issue, a ticket), made of many calls. Nothing here knows
of limits or budgets: who has those asks RunForecaster.
"""

from budget_proxy.predict.runs.base import (
    ALARMS,
    Quantiles,
    RunAlarm,
    RunForecast,
    RunStep,
    RunTokens,
    Used,
)
from budget_proxy.predict.runs.forecaster import RunForecaster

__all__ = [
    "ALARMS",
    "Quantiles",
    "RunAlarm",
    "RunForecast",
    "RunForecaster",
    "RunStep",
    "RunTokens",
    "Used",
]
