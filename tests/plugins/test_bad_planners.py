"""A planner that breaks its contract ends in one line that names it and what was expected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console

from spikeplan.core.errors import UserError
from spikeplan.core.planning import CEMConfig
from spikeplan.evaluation.shard import Job, run_job
from spikeplan.experiments.cli.main import main
from spikeplan.experiments.runner import pool
from spikeplan.worldmodel.planning.cem import CEMPlanner
from spikeplan.worldmodel.planning.closed_loop import TrueLatent, run_episodes
from spikeplan.worldmodel.predictor import TrueStatePredictor
from spikeplan.worldmodel.tasks import make_world

PLUGIN = """
import os
import sys

from spikeplan.worldmodel.planning.base import PlannerKind
from spikeplan.worldmodel.planning.cem import CEMPlanner


class Odd(CEMPlanner):
    def noise(self, episodes, generator):
        noise = super().noise(episodes, generator)
        {noise}

    def plan(self, latent, goal, noise, warm=None, /, *, record=False):
        action, mean, trace = super().plan(latent, goal, noise, warm, record=record)
        {plan}


def make(*args, **kwargs):
    {make}


PLANNER = PlannerKind(name="odd", make=make)
"""
GOOD = {"noise": "return noise", "plan": "return action, mean, trace", "make": "return Odd(*args, **kwargs)"}


def job(**more: Any) -> Job:
    settings = {"planner": CEMConfig(samples=4, iterations=1, elites=2, horizon=2), "episodes": 3, "count": 3}
    return Job(task="two-room", method="oracle", role="", with_planner="odd", **(settings | more))


SHAPES = r"plan must return \(action \(B, A\), mean \(B, V, A\), trace\)"


@pytest.mark.parametrize(
    ("part", "line", "said"),
    [
        ("plan", "return None", rf"plan returned a NoneType; {SHAPES}"),
        ("plan", "return action, mean", rf"plan returned a tuple of 2; {SHAPES}"),
        ("plan", "return action.numpy(), mean, trace", r"action is a ndarray of shape \(3, 2\), not \(3, 2\)"),
        ("plan", "return action[:1], mean, trace", r"action is a tensor of shape \(1, 2\), not \(3, 2\)"),
        ("plan", "return action[0], mean, trace", r"action is a tensor of shape \(2,\), not \(3, 2\)"),
        ("plan", "return action, mean[0], trace", r"mean is a tensor of shape \(.*\), not \(3, V, 2\)"),
        ("plan", "return action, None, trace", r"mean is a NoneType, not \(3, V, 2\)"),
        ("plan", "return action / 0, mean, trace", "an action is not finite"),
        ("plan", "return action @ action, mean, trace", r"failed \(RuntimeError: .*\); plan must return"),
        ("plan", "sys.exit(0)", r"failed \(SystemExit: 0\); plan must return"),
        ("noise", "return noise[:1]", r"noise is a tensor of shape \(1, .*\); .* must return a tensor with 3 rows"),
        ("noise", "return None", "noise is a NoneType"),
        ("make", "return None", r"make returned a NoneType without config, op_counts, predictor, noise, shift, plan;"),
        ("make", "return Odd", r"make returned a type without config, op_counts, predictor;"),
        (
            "make",
            "raise KeyError('gain')",
            r"make: failed \(KeyError: 'gain'\); it is called as make\(predictor, config",
        ),
        ("make", "return Odd()", r"make: failed \(TypeError: .*\); it is called as make\("),
        ("make", "sys.exit(0)", r"make: failed \(SystemExit: 0\)"),
    ],
)
def test_what_a_planner_returns_is_checked(part: str, line: str, said: str, plug: Any) -> None:
    plug(PLUGIN.format(**(GOOD | {part: line})))
    with pytest.raises(UserError, match=rf"^planner 'odd':? ?.*{said}") as caught:
        run_job(job())
    assert "\n" not in str(caught.value)


def test_the_same_planner_without_a_fault_plans(plug: Any) -> None:
    plug(PLUGIN.format(**GOOD))
    assert len(run_job(job()).success) == 3


def test_a_make_that_is_no_function(plug: Any) -> None:
    with pytest.raises(UserError, match="planner 'odd': make is None; give it a function"):
        plug("from spikeplan.worldmodel.planning.base import PlannerKind\nPLANNER = PlannerKind(name='odd', make=None)")


def test_a_mistake_of_ours_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    world = make_world("two-room")
    planner = CEMPlanner(
        TrueStatePredictor(world), CEMConfig(samples=4, elites=2), action_dim=2, action_limit=world.action_limit
    )
    monkeypatch.setattr(CEMPlanner, "plan", lambda *_, **__: torch.zeros(1) @ torch.zeros(2))
    with pytest.raises(RuntimeError, match="size"):
        run_episodes(world, TrueLatent(), planner, world.sample(2, np.random.default_rng(0)), seed=0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("sys.exit(0)", r"planner 'odd': failed \(SystemExit: 0\)"),
        (
            "os._exit(0)",
            r"a worker process ended without a result .*method 'oracle', planner 'odd'; a plug-in must not",
        ),
        ("return None", "planner 'odd': plan returned a NoneType"),
    ],
)
def test_a_worker_that_ends_is_one_line(line: str, said: str, plug: Any, tmp_path: Path) -> None:
    plug(PLUGIN.format(**(GOOD | {"plan": line})))
    with pytest.raises(UserError, match=said) as caught:
        pool.run_jobs([job(), job(seed=1)], tmp_path / "parts", console=Console(quiet=True), workers=2)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "parts").exists()


def test_a_job_that_exits_does_not_end_the_run_well(monkeypatch: pytest.MonkeyPatch, plug: Any, tmp_path: Path) -> None:
    plug(PLUGIN.format(**GOOD))

    def leave(*_: object) -> None:
        raise SystemExit(0)

    monkeypatch.setattr(pool, "run_job", leave)
    with pytest.raises(UserError, match=r"method 'oracle', planner 'odd': called sys.exit\(0\) instead of planning"):
        pool.run_jobs([job()], tmp_path / "parts", console=Console(quiet=True), workers=1)


def test_a_plan_that_fails_leaves_no_folder(plug: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plug(PLUGIN.format(**(GOOD | {"plan": "return None"})))
    command = ["plan", "--task", "two-room", "--method", "oracle", "--planner", "odd", "--episodes", "2"]
    with pytest.raises(SystemExit) as stop:
        main([*command, "--samples", "4", "--elites", "2", "--out", str(tmp_path / "out")])
    assert stop.value.code == 2 and "plan returned a NoneType" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
