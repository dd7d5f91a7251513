"""The one training loop: what it calls, in which order, and three steps of it by hand."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch

from spikeplan.core.descent import descend

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Recorder:
    """Loss, optimizer, schedule, clip and progress at once: notes who was called."""

    name: str
    calls: list[str] = field(default_factory=list)

    def note(self, what: str) -> None:
        self.calls.append(f"{self.name} {what}")

    def backward(self) -> None:
        self.note("backward")

    def item(self) -> float:
        return 2.5

    def zero_grad(self, set_to_none: bool = False) -> None:
        self.note(f"zero_grad {set_to_none}")

    def step(self) -> None:
        self.note("step")


def run(steps: range, calls: list[str], *, clipped: bool = True) -> None:
    def losses(step: int) -> dict[str, Recorder]:
        calls.append(f"losses {step}")
        return {"total": Recorder("loss", calls), "part": Recorder("part", calls)}

    descend(
        steps,
        losses,
        optimizer=Recorder("optimizer", calls),
        schedule=Recorder("schedule", calls),
        clip=(lambda: calls.append("clip")) if clipped else None,
        progress=lambda step, row: calls.append(f"progress {step} {row}"),
    )


def test_a_step_is_whole_and_in_order() -> None:
    calls: list[str] = []
    run(range(7, 9), calls)
    once = [
        "losses 7",
        "optimizer zero_grad True",
        "loss backward",
        "clip",
        "optimizer step",
        "schedule step",
        "progress 7 {'total': 2.5, 'part': 2.5}",
    ]
    assert calls == once + [call.replace("7", "8") for call in once], "`part` is reported, never descended"


def test_without_clip_the_gradients_are_used_as_they_are() -> None:
    calls: list[str] = []
    run(range(1, 2), calls, clipped=False)
    assert "clip" not in calls
    assert calls[-3:-1] == ["optimizer step", "schedule step"]


def test_three_steps_by_hand() -> None:
    """Loss 5 w^2 at w = 1. The gradients 10, 5 and 2.5 are clipped to 1, the rates are .5, .25 and .125, so w is .5, .25 and
    .125. Without the clip w jumps to -4; without the schedule it is 0 after two steps."""
    w = torch.nn.Parameter(torch.tensor(1.0))
    optimizer = torch.optim.SGD([w], 0.5)
    seen: list[tuple[int, float]] = []
    descend(
        range(1, 4),
        lambda step: {"total": 5 * w.square()},
        optimizer=optimizer,
        schedule=torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5),
        clip=lambda: torch.nn.utils.clip_grad_value_([w], 1.0),
        progress=lambda step, row: seen.append((step, row["total"])),
    )
    assert float(w.detach()) == 0.125
    assert seen == [(1, 5.0), (2, 1.25), (3, 0.3125)]


def test_an_exception_from_progress_leaves_a_whole_step_behind_it() -> None:
    w = torch.nn.Parameter(torch.tensor(1.0))
    optimizer = torch.optim.SGD([w], 0.5)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)

    def stop(step: int, row: dict[str, float]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        descend(
            range(9), lambda step: {"total": w * 1.0}, optimizer=optimizer, schedule=schedule, clip=None, progress=stop
        )
    assert (float(w.detach()), schedule.get_last_lr()) == (0.5, [0.25])


def test_nobody_writes_the_loop_again() -> None:
    packages = sorted(path for path in ROOT.iterdir() if (ROOT / "src/spikeplan" / path.name).exists())
    assert packages, "the test looks in the wrong place"
    writers = {
        path.relative_to(ROOT).as_posix()
        for package in packages
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "backward"
    }
    assert writers == {"core/descent.py"}
