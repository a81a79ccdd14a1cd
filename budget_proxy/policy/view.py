"""What is known of a call before anything is decided."""

from __future__ import annotations

from budget_proxy.policy.breakdown import breakdown
from budget_proxy.policy.effort import effort_for, thinking_for
from budget_proxy.policy.evidence import Gate
from budget_proxy.policy.router import Choice
from budget_proxy.types import (
    Call,
    Capabilities,
    Characteristics,
    Features,
    Forecast,
    Thinking,
    frozen,
)


@frozen
class View:
    """A call with everything that is known of it before anything is decided."""

    call: Call
    agent: str
    characteristics: Characteristics
    features: Features
    forecast: Forecast
    capabilities: Capabilities
    gate: Gate
    input_tokens: int
    choice: Choice | None

    @property
    def model(self) -> str | None:
        """The model that the router chose, where it was asked to."""
        return self.choice.model if self.choice else None

    def steer(self) -> tuple[Thinking | None, str | None]:
        """Thinking and effort as the policy, or the router with the model, would set them."""
        if self.choice is not None:
            return self.choice.thinking, self.choice.effort
        kind, can, budget = self.characteristics, self.capabilities, self.forecast.recommended
        thinking = thinking_for(budget, breakdown(budget, kind), kind, can)
        return thinking, effort_for(kind, can, thinking=thinking)
