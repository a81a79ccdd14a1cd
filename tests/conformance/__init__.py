"""Named behaviours, run directly and through both doors (docs/compatibility.md)."""

from tests.conformance import chat, clients, failures, messages, passing, responses
from tests.conformance.behaviour import BEHAVIOURS

__all__ = ["BEHAVIOURS", "chat", "clients", "failures", "messages", "passing", "responses"]
