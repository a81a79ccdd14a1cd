"""The policy's settings as plain values, so that the core needs no settings library."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from budget_proxy.types import NOTHING, CapPolicy, GuidanceForm, Mode

if TYPE_CHECKING:
    from budget_proxy.settings import Settings

VERSION = "1"
"""Part of every guidance's identity: raise it when the wording or the numbers change."""


@dataclass(frozen=True, slots=True)
class AgentPolicy:
    """What one agent's calls get in place of the general policy; ``None`` leaves that."""

    mode: Mode | None = None
    caps: CapPolicy | None = None
    thinking: str | None = None
    effort: str | None = None
    guidance: GuidanceForm | None = None
    run_tokens: int | None = None
    run_usd: float | None = None


@dataclass(frozen=True, slots=True)
class RunPolicy:
    """What runs are given: a soft budget at the quantile ``soft`` of their agent's own history.

    ``told`` says whether models are told what is left. ``extend`` says who may ask for more, and
    ``extend_tokens`` and ``extend_usd`` how much one run may get in all. ``runaway`` says what
    becomes of calls of a run that raised an alarm.
    """

    soft: float = 0.75
    told: bool = True
    extend: Literal["admin", "header"] = "admin"
    extend_tokens: int = 1_000_000
    extend_usd: float = 10.0
    runaway: Literal["alert", "stop"] = "alert"


@dataclass(frozen=True, slots=True)
class Tier:
    """A model that the router may choose, for tasks of up to ``max_complexity`` (0-100)."""

    model: str
    max_complexity: float = 100.0
    thinking: bool = False


@dataclass(frozen=True, slots=True)
class Policy:
    """Everything that decides a call, besides its forecast.

    ``floor`` and ``reasoning_floor`` are in tokens; ``evidence`` is the number of outcomes a
    group needs before its forecast is acted on; ``holdout`` a share of sessions;
    ``silence`` the seconds after which a call without assistant turns starts a new session;
    ``patience`` the seconds that a call waits for room in a limit before it is refused.
    """

    mode: Mode = "enforce"
    caps: CapPolicy = "quota"
    floor: int = 1024
    reasoning_floor: int = 25_000
    evidence: int = 20
    holdout: float = 0.10
    guidance: GuidanceForm = "compact"
    thinking: str | None = None
    effort: str | None = None
    silence: float = 3600.0
    patience: float = 0.0
    include_usage: bool = True
    agents: Mapping[str, AgentPolicy] = field(default_factory=lambda: NOTHING)
    runs: RunPolicy = RunPolicy()
    tiers: tuple[Tier, ...] = ()
    alias: str = "auto"

    def of(self, agent: str) -> AgentPolicy:
        """The agent's own policy, or an empty one."""
        return self.agents.get(agent, NO_AGENT_POLICY)


NO_AGENT_POLICY = AgentPolicy()


def policy_of(settings: Settings) -> Policy:
    """The settings' policy, as plain values."""
    return Policy(
        mode=settings.mode,
        caps=settings.caps,
        floor=settings.floor,
        reasoning_floor=settings.reasoning_floor,
        evidence=settings.evidence,
        holdout=settings.holdout,
        guidance=settings.guidance,
        patience=settings.limit_wait,
        thinking=settings.thinking,
        effort=settings.effort,
        include_usage=settings.include_usage,
        agents={name: AgentPolicy(**agent.model_dump()) for name, agent in settings.agents.items()},
        runs=RunPolicy(**settings.runs.model_dump()),
        tiers=tuple(Tier(**tier.model_dump()) for tier in settings.tiers),
        alias=settings.alias,
    )
