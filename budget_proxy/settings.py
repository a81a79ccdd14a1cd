"""Settings: ``budget_proxy.toml`` in the working directory, overridden by ``BUDGET_PROXY_*``.

Read once, validated, and handed on as plain values; unknown keys are errors, so that a typo
cannot silently leave a default in force.
"""

from __future__ import annotations

import difflib
import os
import sys
import tomllib
from datetime import time
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
)
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from budget_proxy.errors import ConfigError
from budget_proxy.scope import MOST_TOKENS
from budget_proxy.types import CapPolicy, GuidanceForm, Mode

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

FILE = "budget_proxy.toml"
_PREFIX = "BUDGET_PROXY_"
_NOT_SETTINGS = {"DATA"}
"""Variables that tests and benchmarks read."""
Strategy = str


def _listed(value: Any) -> Any:
    """Take names separated by commas, as variables hold them."""
    if isinstance(value, str):
        return tuple(name.strip() for name in value.split(",") if name.strip())
    return value


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)]


def _zone(name: str) -> str:
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # OSError: the name of a directory
        raise ValueError(
            f"no time zone {name!r} is known; names are those of the IANA, such as Europe/Berlin"
        ) from None
    return name


TimeZone = Annotated[str, AfterValidator(_zone)]
"""A time zone by its name."""


def _of_wall(moment: time) -> time:
    if moment.tzinfo is not None:
        raise ValueError("write it without a zone, such as 07:00: the zone is time_zone")
    return moment


WallTime = Annotated[time, AfterValidator(_of_wall)]
"""A time of day, such as 07:00."""


def _number(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("write US dollars a million tokens, such as 0.25")  # noqa: TRY004 (pydantic's)
    return value


Price = Annotated[Decimal, BeforeValidator(_number), Field(ge=0, le=1_000_000, allow_inf_nan=False)]
"""US dollars a million tokens."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class AgentSettings(_Section):
    """``[agents.NAME]``: what one agent's calls get in place of the general settings."""

    mode: Mode | None = None
    caps: CapPolicy | None = None
    thinking: Literal["auto"] | None = None
    effort: Literal["auto"] | None = None
    guidance: GuidanceForm | None = None
    run_tokens: int | None = Field(None, ge=1, le=MOST_TOKENS)
    run_usd: float | None = Field(None, gt=0, le=1_000_000)


class RunSettings(_Section):
    """``[runs]``: budgets of whole runs (docs/runs.md)."""

    soft: float = Field(default=0.75, ge=0.10, le=0.90)
    told: bool = True
    extend: Literal["admin", "header"] = "admin"
    extend_tokens: int = Field(default=1_000_000, ge=0, le=MOST_TOKENS)
    extend_usd: float = Field(default=10.0, ge=0, le=1_000_000)
    runaway: Literal["alert", "stop"] = "alert"


class TierSettings(_Section):
    """``[[tiers]]``: a model that the router may choose, cheapest first."""

    model: str
    max_complexity: float = Field(100.0, ge=0, le=100)
    thinking: bool = False


class AlertSettings(_Section):
    """``[alerts]``: where alerts are sent. The URL counts as a secret, as Slack's is one."""

    webhook: SecretStr | None = None
    format: Literal["generic", "slack"] = "generic"


class ModelSettings(_Section):
    """``[models."NAME"]``: what you know better of a model than the built-in table."""

    max_output: int | None = Field(None, gt=0)
    reasoning: bool | None = None
    efforts: tuple[str, ...] | None = None
    thinking: frozenset[str] | None = None
    counts_cap: bool | None = None


class PriceSettings(_Section):
    """``[prices."NAME"]``: what a million tokens of a model cost you, in US dollars; 0 is free."""

    input: Price
    output: Price
    cached_input: Price | None = None
    cache_write: Price | None = None


class Settings(BaseSettings):
    """All settings, with defaults that are safe on the first day."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX,
        env_nested_delimiter="__",
        toml_file=FILE,
        extra="forbid",
        frozen=True,
    )

    store: str | None = None
    mode: Mode = "enforce"
    caps: CapPolicy = "quota"
    floor: int = Field(1024, ge=16)
    reasoning_floor: int = Field(25_000, ge=16)
    evidence: int = Field(20, ge=1)
    holdout: float = Field(0.10, ge=0, le=1)
    guidance: GuidanceForm = "compact"
    thinking: Literal["auto"] | None = None
    effort: Literal["auto"] | None = None
    include_usage: bool = True
    strategy: Strategy = "auto"
    window: int = Field(10_000, ge=100)
    limit_wait: float = Field(0.0, ge=0, le=3600)
    time_zone: TimeZone = "UTC"
    report_daily: WallTime | None = None
    report_directory: Path | None = None
    keep_days: int | None = Field(None, ge=1)
    keep_calls: int | None = Field(None, ge=1)
    quota_hosts: Names = ()
    allowed_hosts: Names = ()
    litellm_models: Names = ()
    openai_base_url: str = "https://api.openai.com"
    anthropic_base_url: str = "https://api.anthropic.com"
    openai_api_key: SecretStr | None = Field(None, validation_alias="OPENAI_API_KEY")
    anthropic_api_key: SecretStr | None = Field(None, validation_alias="ANTHROPIC_API_KEY")
    alerts: AlertSettings = AlertSettings()
    alerts_secret: SecretStr | None = Field(None, validation_alias="BUDGET_PROXY_ALERTS_SECRET")
    agents: dict[str, AgentSettings] = {}
    runs: RunSettings = RunSettings()
    tiers: tuple[TierSettings, ...] = ()
    alias: str = "auto"
    models: dict[str, ModelSettings] = {}
    prices: dict[str, PriceSettings] = {}

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 (the library's signature)
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments first, then the environment, then the file."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


def load(**values: Any) -> Settings:
    """Read the settings, ``values`` first. Raises ConfigError naming every wrong one."""
    _check_names()
    try:
        return Settings(**values)
    except ValidationError as error:
        wrong = "; ".join(map(_said, error.errors()))
        raise ConfigError(f"settings ({FILE} or BUDGET_PROXY_*): {wrong}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{FILE} is no valid TOML: {error}") from None
    except SettingsError as error:  # a variable that should hold JSON and does not
        raise ConfigError(f"BUDGET_PROXY_*: {error}; write lists and tables as JSON") from None


def _check_names() -> None:
    """Refuse a variable that sets nothing. Raises ConfigError naming it."""
    known = {*(name.upper() for name in Settings.model_fields), *_NOT_SETTINGS}
    for variable in os.environ:
        name = variable.upper().removeprefix(_PREFIX)
        if variable.upper().startswith(_PREFIX) and name.partition("__")[0] not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"; did you mean {_PREFIX}{near[0]}?" if near else ""
            raise ConfigError(f"the variable {variable} sets nothing{hint}")


def _said(wrong: ErrorDetails) -> str:
    place = ".".join(map(str, wrong["loc"]))
    if wrong["type"] != "extra_forbidden":
        return f"{place}: {wrong['msg']}"
    section, *names = map(str, wrong["loc"])
    table = names and isinstance(wrong["input"], dict)
    hint = f'; a name with dots is quoted: [{section}."{".".join(names)}"]' if table else ""
    return f"{place}: there is no such setting{hint}"


def data_directory() -> Path:
    """Where the history lives by default: the user's data directory of this platform."""
    if sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    elif sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return base / "budget_proxy"


def default_store() -> str:
    """The URL of the default history."""
    return f"sqlite:///{data_directory() / 'history.db'}"
