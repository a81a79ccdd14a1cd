"""Forecasts of output tokens: from history where there is one, from the task where not."""
