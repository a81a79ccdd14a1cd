"""What ``doctor`` looks at: each check yields findings, with what to do about them.

They look at this machine alone: nothing is sent over the network, and no key is shown.
"""

from __future__ import annotations

import platform
import secrets
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from budget_proxy.errors import BudgetProxyError, StoreError

if TYPE_CHECKING:
    from budget_proxy.settings import Settings
    from budget_proxy.store.base import Store
    from budget_proxy.types import CallRecord

State = Literal["ok", "warn", "fail"]

_OLDEST: Final = (3, 11)
_SKEW: Final = 60.0  # seconds that another machine's clock may be ahead
_PATIENCE: Final = 5.0  # seconds to wait for another process to finish writing
_RECENT: Final = 1000
_NO_STORE: Final = (
    "Mend it, or name another (--store, BUDGET_PROXY_STORE): clients and serve do not start on it."
)
_LISTED: Final = 5
_MANY: Final = 1_000_000
_SDKS: Final = (("openai", 2, 4), ("anthropic", 1, 3))  # from the first version to below the second


@dataclass(frozen=True, slots=True)
class Check:
    """One finding; ``advice`` says what to do where it is not ok."""

    name: str
    state: State
    message: str
    advice: str = ""


@dataclass(slots=True)
class Bench:
    """What the checks look at, as far as it could be opened."""

    store_url: str | None
    settings: Settings | None = None
    store: Store | None = None
    path: Path | None = None
    usable: bool = True
    keyed: bool = False
    recent: list[CallRecord] = field(default_factory=list)


def check_python(_bench: Bench) -> Iterator[Check]:
    """Tell whether this Python is new enough."""
    version = platform.python_version()
    if sys.version_info >= _OLDEST:
        yield Check("python", "ok", version)
    else:
        yield Check("python", "fail", version, "Python 3.11 or newer is needed.")


def check_settings(bench: Bench) -> Iterator[Check]:
    """Tell whether the settings file and the environment hold."""
    from budget_proxy.settings import FILE, load

    where = f"{FILE} found" if Path(FILE).exists() else f"no {FILE} here, so defaults"
    try:
        bench.settings = load()
    except BudgetProxyError as error:
        yield Check("settings", "fail", str(error), "Correct or remove what is named there.")
        return
    yield Check("settings", "ok", f"{where}; mode {bench.settings.mode}")


def check_store(bench: Bench) -> Iterator[Check]:
    """Open the history; tell whether it is whole and can be written."""
    from budget_proxy.settings import default_store
    from budget_proxy.store import open_store

    url = bench.store_url or (bench.settings.store if bench.settings else None) or default_store()
    try:
        bench.store = open_store(url)
        bench.path = getattr(bench.store, "path", None)
        bench.recent = bench.store.recent(_RECENT)
    except StoreError as error:
        _close(bench)
        yield Check("store", "fail", str(error), _NO_STORE)
        return
    path = bench.path
    fault = fault_of(path) if path is not None else None
    if fault is not None:
        bench.usable = False
        advice = f"Rescue what is in it with `sqlite3 {path} .recover`, or move it away."
        yield Check("store", "fail", f"{bench.store.url}: {fault}", advice)
        return
    yield Check("store", "ok", f"{bench.store.url} opens, is whole and can be written")


def check_schema(bench: Bench) -> Iterator[Check]:
    """Tell whether the file has the tables and columns that this version makes, and no others."""
    from budget_proxy.store.shape import difference

    if bench.path is None:
        return
    try:
        found = difference(bench.path)
    except StoreError:
        return  # of which the check of the store tells
    if found.missing:
        _close(bench)
        advice = (
            "Somebody took that away. Put back a copy of the file from before, or move it away: a "
            "new one is made at the next start."
        )
        yield Check("schema", "fail", f"lacks {_listed(found.missing)}", advice)
    elif found.unknown:
        advice = (
            "Nothing here reads them. If a newer version made them, use that version here, too; "
            "what you made yourself may stay."
        )
        yield Check("schema", "warn", f"does not know {_listed(found.unknown)}", advice)
    else:
        yield Check("schema", "ok", "every table and column is there, and no other")


def check_rows(bench: Bench) -> Iterator[Check]:
    """Tell whether there is history, and whether it is from the past."""
    if bench.store is None:
        return
    counts = bench.store.counts()
    if counts["calls"]:
        yield Check("rows", "ok", f"{counts['calls']:,} calls, {counts['sessions']:,} sessions")
    else:
        advice = "Make calls, or `budget-proxy import FILE.jsonl.gz`."
        yield Check("rows", "warn", "the history is empty", advice)
    ahead = sum(1 for _ in bench.store.calls(start=time.time() + _SKEW))
    if ahead:
        advice = "Set this machine's clock, and those that share the history."
        yield Check("clock", "warn", f"{ahead:,} rows lie in the future", advice)
    else:
        yield Check("clock", "ok", "no row lies in the future")


def check_retention(bench: Bench) -> Iterator[Check]:
    """Tell whether the history holds more than the settings keep, or grows without bound."""
    from budget_proxy.cli.retention import DAY, foldable, shares_of

    if bench.store is None or bench.settings is None:
        return
    days = bench.settings.keep_days
    before = None if days is None else time.time() - days * DAY
    shares = shares_of(bench.store, bench.settings, before)
    beyond = foldable(bench.store, shares)
    if beyond:
        advice = "Run `budget-proxy history compact`, best once a day from cron or a timer."
        yield Check("retention", "warn", f"{beyond:,} calls more than the settings keep", advice)
    elif not shares and bench.store.counts()["calls"] > _MANY:
        advice = "Set keep_days or keep_calls, and run `budget-proxy history compact` once a day."
        yield Check("retention", "warn", "every call is kept, and there are many", advice)
    else:
        kept = "as the settings say" if shares else "every call"
        yield Check("retention", "ok", f"kept is {kept}")


def check_salt(bench: Bench) -> Iterator[Check]:
    """Tell whether there is a salt for pseudonyms and draws; a new history gets one."""
    if bench.store is None:
        return
    if _is_key(bench.store.meta("salt", secrets.token_hex(32))):
        yield Check("salt", "ok", "present")
    else:
        bench.usable = False
        advice = "Delete the row 'salt' of the table meta: a new one is made, sessions start anew."
        yield Check("salt", "fail", "is no hexadecimal key", advice)


def check_prices(bench: Bench) -> Iterator[Check]:
    """Name the recent models whose price is unknown."""
    from budget_proxy.types import NO_PROVIDER

    paid = [row for row in bench.recent if row.api != NO_PROVIDER and row.output_tokens]
    unpriced = sorted({row.model for row in paid if row.cost is None})
    if not paid:
        yield Check("prices", "ok", "no recent call to price")
    elif not unpriced:
        yield Check("prices", "ok", f"known for all of {len({row.model for row in paid})} models")
    else:
        names = _listed(unpriced)
        advice = (
            'Their cost shows as unknown. Set it ([prices."NAME"], docs/prices.md), or see '
            "whether a newer genai-prices lists them."
        )
        yield Check("prices", "warn", f"unknown for {names}", advice)


def check_virtual_keys(bench: Bench) -> Iterator[Check]:
    """Tell who may call the proxy."""
    if bench.store is None or not bench.usable:
        return
    now, keys = time.time(), [kept.key for kept in bench.store.keys_since()]
    bench.keyed = bool(keys)
    held = sum(key.state(now) == "active" for key in keys)
    if held:
        yield Check("virtual keys", "ok", f"{held} in force, of {len(keys)} ever made")
    elif keys:
        advice = "Make one: budget-proxy keys create --name NAME."
        yield Check("virtual keys", "warn", "none in force, so that nobody may call", advice)
    else:
        yield Check("virtual keys", "ok", "none: whoever is on this machine may call")


def check_upstreams(bench: Bench) -> Iterator[Check]:
    """Tell whether upstream addresses are well-formed, and whether there are keys."""
    if bench.settings is None:
        return
    for name in ("openai", "anthropic"):
        url = str(getattr(bench.settings, f"{name}_base_url"))
        yield _address(f"{name} upstream", url, f"BUDGET_PROXY_{name.upper()}_BASE_URL")
        if getattr(bench.settings, f"{name}_api_key") is not None:
            yield Check(f"{name} key", "ok", "yes")
        elif bench.keyed:
            advice = f"Set {name.upper()}_API_KEY where the proxy runs."
            said = "no, and a virtual key goes no further: calls are answered by a 503"
            yield Check(f"{name} key", "warn", said, advice)
        else:
            yield Check(f"{name} key", "ok", "no, so the caller's own is forwarded")


def check_webhook(bench: Bench) -> Iterator[Check]:
    """Tell whether alerts are sent anywhere, by a URL that is one."""
    from budget_proxy.analytics.webhook import webhook_of

    if bench.settings is None:
        return
    try:
        webhook = webhook_of(bench.settings.alerts.webhook, bench.settings.alerts_secret)
    except BudgetProxyError as error:
        yield Check("webhook", "fail", str(error), "Correct it: serve does not start with it.")
        return
    yield Check("webhook", "ok", "none: alerts are told by the log" if webhook is None else "yes")


def check_sdks(_bench: Bench) -> Iterator[Check]:
    """Tell whether the providers' libraries are there, in versions that can be wrapped."""
    for name, first, beyond in _SDKS:
        label, found = f"{name} SDK", installed(name)
        if found is None:
            advice = f"For the wrapped client: pip install {name}."
            yield Check(label, "warn", "not installed", advice)
        elif first <= _major(found) < beyond:
            yield Check(label, "ok", found)
        else:
            advice = f"Wrapped are versions >= {first} and < {beyond}; the proxy serves any."
            yield Check(label, "warn", found, advice)


def check_engine(bench: Bench) -> Iterator[Check]:
    """Start an engine on the history and plan a call of each API; tell of faults."""
    from budget_proxy.assemble import Engine
    from budget_proxy.wire import DIALECTS
    from budget_proxy.wire.single import default_model, single_message

    if bench.settings is None or bench.store is None or not bench.usable:
        return
    began = time.perf_counter()
    try:
        engine = Engine(bench.settings, bench.store)
        started = time.perf_counter() - began
        for api in DIALECTS:
            body = single_message(api, "Is this well?", model=default_model(api))
            engine.plan(api=api, body=body, dry_run=True)
        faults = dict(engine.faults)
        engine.close()
    except BudgetProxyError as error:
        yield Check("engine", "fail", str(error), "Calls pass without a budget until then.")
        return
    bench.store = None  # the engine has closed it
    if faults:
        listed = ", ".join(f"{stage} {count}" for stage, count in faults.items())
        yield Check("engine", "warn", f"faults: {listed}", "The log says what failed.")
    else:
        yield Check("engine", "ok", f"starts in {started:.2f} s and plans every API; no faults")


CHECKS: Final[tuple[Callable[[Bench], Iterator[Check]], ...]] = (
    check_python,
    check_settings,
    check_store,
    check_schema,
    check_rows,
    check_retention,
    check_salt,
    check_prices,
    check_virtual_keys,
    check_upstreams,
    check_webhook,
    check_sdks,
    check_engine,
)
"""In order: later ones look at what earlier ones opened."""


def installed(name: str) -> str | None:
    """The version of a library, if it is there; the library is not loaded."""
    from importlib.metadata import PackageNotFoundError, version
    from importlib.util import find_spec

    try:
        return version(name) if find_spec(name) else None
    except PackageNotFoundError:
        return None


def fault_of(path: Path) -> str | None:
    """What is wrong with a SQLite file, if anything: its pages, or that it cannot be written."""
    try:
        connection = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None)
        try:
            found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
        finally:
            connection.close()
    except sqlite3.Error as error:
        return str(error)
    return None if found == "ok" else f"damaged: {found}"


def _close(bench: Bench) -> None:
    """Leave a history alone that later checks could not use."""
    if bench.store is not None:
        bench.store.close()
    bench.store, bench.usable = None, False


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more


def _is_key(text: str) -> bool:
    try:
        return bool(bytes.fromhex(text))
    except ValueError:
        return False


def _address(name: str, url: str, variable: str) -> Check:
    from urllib.parse import urlsplit

    advice = f"Set {variable} to an address such as https://host/v1."
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        return Check(name, "fail", f"no http address ({error})", advice)
    if parts.scheme not in {"http", "https"} or not host:
        return Check(name, "fail", "no http address", advice)
    shown = f"{parts.scheme}://{host}{f':{port}' if port else ''}{parts.path}"  # no password
    local = host in {"localhost", "::1"} or host.startswith("127.")
    if parts.scheme == "http" and not local:
        return Check(name, "warn", shown, "Keys would travel in the clear: use https.")
    return Check(name, "ok", shown)


def _major(version: str) -> int:
    head = version.partition(".")[0]
    return int(head) if head.isdigit() else 0
