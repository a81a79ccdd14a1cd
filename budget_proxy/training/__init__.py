"""Fitting in the background: in a process of its own, so that no call waits for it."""
