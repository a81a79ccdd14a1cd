"""The process that fits lets calls go first."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Any

import pytest

from budget_proxy import Engine, Outcome, Usage
from budget_proxy.predict.learned import Learned
from budget_proxy.predict.strategies import fitting
from budget_proxy.training.arrays import packed, unpacked
from budget_proxy.training.trainer import Trainer
from budget_proxy.types import Observation
from tests.cases import features

_TOLD = """
import os, signal, sys
from budget_proxy.training import process
if sys.argv[1] == "forbidden":
    def sched_setscheduler(*_):
        raise OSError(38, "not implemented")
    os.sched_setscheduler = sched_setscheduler
with process._calls_first(last=sys.argv[1] != "late"):
    idle = os.sched_getscheduler(0) == os.SCHED_IDLE
    rests = signal.getitimer(signal.ITIMER_REAL)[0] > 0
print(idle, os.nice(0), rests)
"""

_ENDED = """
import signal
from time import perf_counter
from budget_proxy.training import process
process._WORK = process._REST = 0.00005
left = 0
for _ in range(3000):
    with process._calls_first(last=False):
        sum(range(300))
    left += signal.getitimer(signal.ITIMER_REAL)[0] > 0
print(left)
"""


def said(code: str, *words: str) -> list[str]:
    """What a program of its own prints."""
    command = [sys.executable, "-c", code, *words]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60, text=True)
    return done.stdout.split()


def test_a_snapshot_goes_in_and_a_fit_comes_out() -> None:
    """Its bytes alone: nothing is said beside it, and the process ends well."""
    how, predictor = fitting("learned"), Learned()
    for tokens in range(1, 60):
        predictor.learn_one(features(), Observation(tokens, censored=False, ts=float(tokens)))
    sent = packed(predictor.snapshot(), how.shapes, small=False)
    command = [sys.executable, "-m", "budget_proxy.training.process", "learned", "last"]
    done = subprocess.run(command, input=sent, capture_output=True, check=True, timeout=60)
    assert unpacked(done.stdout, how.shapes).position == 59
    assert done.stderr == b""


@pytest.mark.skipif(not hasattr(os, "SCHED_IDLE"), reason="only Linux has an idle class")
def test_it_computes_where_nothing_else_does_and_rests() -> None:
    """Where that is forbidden, or was too little before, it is only nice."""
    assert said(_TOLD, "last") == ["True", "10", "True"]
    assert said(_TOLD, "late") == ["False", "10", "True"]
    assert said(_TOLD, "forbidden") == ["False", "10", "True"]


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="Windows has no timers")
def test_no_alarm_comes_once_it_is_done() -> None:
    """It would kill the interpreter on its way out, with the fit in hand."""
    assert said(_ENDED) == ["0"]


@pytest.mark.skipif(not hasattr(os, "getpgid"), reason="Windows has no process groups")
def test_it_is_of_this_session_and_not_of_this_group(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in a terminal is not for it; and Linux shares its processors out by session."""
    seen: list[tuple[bool, bool]] = []
    start: Any = Trainer._start

    def noted(trainer: Trainer) -> subprocess.Popen[bytes]:
        child: subprocess.Popen[bytes] = start(trainer)
        own = os.getpgid(child.pid) == child.pid
        seen.append((own, os.getsid(child.pid) == os.getsid(0)))
        os.kill(child.pid, signal.SIGKILL)
        return child

    monkeypatch.setattr(Trainer, "_start", noted)
    with Engine.open("memory:", holdout=0.0) as engine:
        for number in range(41):
            body = {"model": "gpt-5.4", "messages": [{"role": "user", "content": f"say {number}"}]}
            plan = engine.plan(api="openai.chat", body=body)
            engine.settle(plan, Outcome(usage=Usage(input_tokens=5, output_tokens=9)))
        assert engine.fitted()
    assert seen == [(True, True)]
