from __future__ import annotations

from pathlib import Path

import pytest

from budget_proxy.errors import ConfigError
from budget_proxy.settings import FILE, data_directory, default_store, load


@pytest.fixture(autouse=True)
def _empty_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings file, no variables."""
    monkeypatch.chdir(tmp_path)
    for name in ("BUDGET_PROXY_MODE", "BUDGET_PROXY_STORE", "OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def test_the_defaults_are_safe_on_the_first_day() -> None:
    """Enforce behind an evidence gate, caps only for quota, a holdout, loopback data."""
    settings = load()
    assert (settings.mode, settings.caps, settings.holdout) == ("enforce", "quota", 0.10)
    assert (settings.floor, settings.reasoning_floor, settings.evidence) == (1024, 25_000, 20)


def test_the_file_is_read_and_the_environment_goes_before_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And arguments go before both."""
    Path(FILE).write_text('mode = "guide"\nfloor = 64\n[agents.reviewer]\ncaps = "never"\n')
    assert load().mode == "guide"
    assert load().agents["reviewer"].caps == "never"
    monkeypatch.setenv("BUDGET_PROXY_MODE", "observe")
    assert load().mode == "observe"
    assert load(mode="enforce").mode == "enforce"
    assert load().floor == 64


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('moed = "observe"', "moed"),
        ('mode = "strict"', "mode"),
        ("holdout = 2", "holdout"),
        ("[agents.a]\ncapps = 1", "capps"),
        ("mode = ", FILE),
        ("[prices.gpt-5.4]\ninput = 1\noutput = 1", r'quoted: \[prices."gpt-5.4"\]'),
        ("[models.gpt-5.4-mini]\nreasoning = true", r'quoted: \[models."gpt-5.4-mini"\]'),
    ],
)
def test_a_wrong_file_names_what_is_wrong(text: str, says: str) -> None:
    """A typo never leaves a default in force."""
    Path(FILE).write_text(text)
    with pytest.raises(ConfigError, match=says):
        load()


def test_a_variable_that_sets_nothing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A typo never leaves a default in force."""
    monkeypatch.setenv("BUDGET_PROXY_MOD", "observe")
    with pytest.raises(ConfigError, match="_MOD sets nothing; did you mean BUDGET_PROXY_MODE"):
        load()


def test_hosts_in_a_variable_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    """As people write them."""
    monkeypatch.setenv("BUDGET_PROXY_ALLOWED_HOSTS", "proxy.internal, 10.0.0.7:4141,")
    assert load().allowed_hosts == ("proxy.internal", "10.0.0.7:4141")


def test_a_variable_that_should_hold_json_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables by variable are possible, but not in TOML."""
    monkeypatch.setenv("BUDGET_PROXY_TIERS", "[[tiers]]")
    with pytest.raises(ConfigError, match="JSON"):
        load()


def test_provider_keys_come_from_their_usual_variables_and_are_never_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not in a repr, not in an error."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    settings = load()
    assert settings.openai_api_key is not None
    assert settings.openai_api_key.get_secret_value() == "sk-very-secret"
    assert "very-secret" not in repr(settings)


def test_the_history_lives_in_the_users_data_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    """XDG on Linux."""
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert data_directory() == Path("/data/budget_proxy")
    assert default_store() == "sqlite:////data/budget_proxy/history.db"
