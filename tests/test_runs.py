"""Budgets of runs through the SDKs: notes, extensions, stops, headers; in every dialect."""
