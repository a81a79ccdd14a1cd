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
with process._calls_first():
    here = os.sched_getscheduler(0) == os.SCHED_IDLE
    timer = signal.getitimer(signal.ITIMER_REAL)[0] > 0
print(here, timer, signal.getitimer(signal.ITIMER_REAL)[0])
"""


def test_a_snapshot_goes_in_and_a_fit_comes_out() -> None:
    """Its bytes alone: nothing is said beside it, and the process ends well."""
    how, predictor = fitting("learned"), Learned()
    for tokens in range(1, 60):
        predictor.learn_one(features(), Observation(tokens, censored=False, ts=float(tokens)))
    sent = packed(predictor.snapshot(), how.shapes, small=False)
    command = [sys.executable, "-m", "budget_proxy.training.process", "learned"]
    done = subprocess.run(command, input=sent, capture_output=True, check=True, timeout=60)
    assert unpacked(done.stdout, how.shapes).position == 59
    assert done.stderr == b""


@pytest.mark.skipif(not hasattr(os, "SCHED_IDLE"), reason="only Linux has an idle class")
def test_it_computes_where_nothing_else_does_and_rests() -> None:
    """Until it is done: then no alarm disturbs the end of the interpreter."""
    command = [sys.executable, "-c", _TOLD]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60, text=True)
    assert done.stdout.split() == ["True", "True", "0.0"]


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
