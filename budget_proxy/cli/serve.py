"""``budget-proxy serve``: run the proxy until it is told to stop, then write what is queued."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import typer

from budget_proxy.errors import ConfigError

if TYPE_CHECKING:
    from budget_proxy.proxy.target import Target, Targets
    from budget_proxy.settings import Settings
    from budget_proxy.store.base import Store

_KEEP_ALIVE: Final = 75
"""Seconds: longer than clients keep a connection, so that it is they who close it."""
_GRACE: Final = 5
"""Seconds that calls have to end after SIGTERM, before they are cut off and settled: less
than the ten that Docker leaves a container."""
_WORKER: Final = "budget_proxy.proxy.app:from_settings"
_PROTOCOL: Final = "budget_proxy.proxy.protocol:Protocol"


@dataclass(frozen=True, slots=True)
class _History:
    """What the banner says of a history: how many keys there are, and how many are in force."""

    url: str
    keys: int
    in_force: int

    @classmethod
    def of(cls, store: Store) -> _History:
        keys, now = [kept.key for kept in store.keys_since()], time.time()
        return cls(store.url, len(keys), sum(key.state(now) == "active" for key in keys))


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(name="serve")(serve)


def serve(
    host: Annotated[str, typer.Option(help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0: any free port.", min=0, max=65_535)] = 4141,
    workers: Annotated[int, typer.Option(help="Processes on one history.", min=1)] = 1,
) -> None:
    """Run the OpenAI- and Anthropic-compatible proxy; settings: budget_proxy.toml."""
    from budget_proxy.proxy.hosts import check_bind
    from budget_proxy.proxy.target import Targets
    from budget_proxy.settings import load

    settings = load()
    targets = Targets(settings)
    _check_loop(_address(host, port), targets)
    check_bind(host, keys=lambda: _history(settings).in_force)
    listener = _listen(host, port)
    banner = partial(
        _banner,
        mode=settings.mode,
        targets=targets,
        others=settings.litellm_models,
        address=_address(host, listener.getsockname()[1]),
    )
    if workers == 1:
        _serve(listener, banner)
    else:
        typer.echo(banner(_history(settings)))
        _serve_all(listener, workers)


def _history(settings: Settings) -> _History:
    """The history that the server will open. Raises StoreError."""
    from budget_proxy.settings import default_store
    from budget_proxy.store import open_store

    store = open_store(settings.store or default_store(), fallback=settings.store is None)
    try:
        return _History.of(store)
    finally:
        store.close()


def _serve(listener: socket.socket, banner: Callable[..., str]) -> None:
    import uvicorn

    from budget_proxy.assemble import Engine
    from budget_proxy.proxy.app import App, take_turns

    take_turns()
    with listener, Engine.open() as engine, suppress(KeyboardInterrupt):
        app = App(engine, owns_process=True)
        server = uvicorn.Server(uvicorn.Config(app, **_options()))
        typer.echo(banner(_History.of(engine.store)))
        # The server hands SIGTERM on when it is done: to this, which lets the history close.
        signal.signal(signal.SIGTERM, _stop)
        server.run(sockets=[listener])


def _serve_all(listener: socket.socket, workers: int) -> None:
    import uvicorn

    with listener:
        uvicorn.run(_WORKER, factory=True, workers=workers, fd=listener.fileno(), **_options())


def _options() -> dict[str, Any]:
    return {
        "access_log": False,
        "date_header": False,  # the upstream's own is relayed
        "server_header": False,
        "proxy_headers": False,  # nobody is believed to be somebody else
        "lifespan": "on",
        "log_level": "warning",
        "timeout_graceful_shutdown": _GRACE,
        "timeout_keep_alive": _KEEP_ALIVE,
        "ws": "none",
        "http": _PROTOCOL,
    }


def _stop(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(0)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host.strip("[]"), port), family=family, backlog=2048)
    except OSError as error:
        typer.echo(
            f"budget-proxy: cannot listen on {_address(host, port)}: {error.strerror or error}. "
            "Is another one running? Choose another port with --port.",
            err=True,
        )
        raise typer.Exit(1) from None
    # Connections inherit it. asyncio sets it on sockets that it made itself only, and without
    # it an answer's last bytes may wait 40 ms for the caller's acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _address(host: str, port: int) -> str:
    name = host.strip("[]")
    return f"[{name}]:{port}" if ":" in name else f"{name}:{port}"


def _check_loop(address: str, targets: Targets) -> None:
    for target in (targets.openai, targets.anthropic):
        if target.host == address:
            raise ConfigError(f"{target.setting} is this proxy's own address, {address}")


def _banner(
    history: _History, *, mode: str, targets: Targets, others: Sequence[str], address: str
) -> str:
    from budget_proxy.proxy.health import shown

    keyed = history.keys > 0
    reach = "" if keyed else " (no keys: loopback only)"

    return "\n".join(
        (
            f"budget-proxy {version('budget-proxy')} on http://{address}{reach}",
            f"  mode       {mode}",
            f"  history    {shown(history.url)}",
            f"  keys       {_keys(history)}",
            f"  OpenAI     {_upstream(targets.openai, keyed=keyed)}",
            f"  Anthropic  {_upstream(targets.anthropic, keyed=keyed)}",
            *([f"  LiteLLM    {', '.join(others)}, with the keys it finds"] if others else ()),
            "Point a client at it:",
            f"  OPENAI_BASE_URL=http://{address}/v1",
            f"  ANTHROPIC_BASE_URL=http://{address}",
            "It stores no prompts and no answers, and sends nothing home.",
        )
    )


def _keys(history: _History) -> str:
    if not history.keys:
        return "none: callers do not say who they are (budget-proxy keys create)"
    return f"{history.in_force} in force: every caller needs one"


def _upstream(target: Target, *, keyed: bool) -> str:
    if target.key:
        return f"{target.origin}, with the key in {target.key_name}"
    if keyed:
        return f"{target.origin}, but no key for it: set {target.key_name}"
    return f"{target.origin}, with the caller's key"
