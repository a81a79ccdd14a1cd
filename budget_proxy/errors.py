"""Every error we raise on purpose, split by whose fault it is.

BudgetProxyError
  InvalidInput (also a ValueError): the caller's; the message says what to write instead
  ConfigError: settings, command line or environment
  StoreError: the history cannot be opened, read or written
  BudgetExceeded: a hard limit refuses the call
"""

from __future__ import annotations


class BudgetProxyError(Exception):
    """Base of everything this package raises on purpose."""


class InvalidInput(BudgetProxyError, ValueError):
    """A value handed to us is of the wrong type or range."""


class ConfigError(BudgetProxyError):
    """A setting is missing, unknown or contradictory."""


class StoreError(BudgetProxyError):
    """The history cannot be opened, read or written."""


class BudgetExceeded(BudgetProxyError):
    """A hard limit refuses the call."""
