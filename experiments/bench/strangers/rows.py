"""`bench convert`: every stranger by every recipe, and a transformer of 300 million weights on two cores."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import NamedTuple

import torch
from torch import Tensor, nn

from spikeplan.conversion import convert
from spikeplan.conversion.recipes import RECIPES
from spikeplan.core.errors import UserError
from spikeplan.experiments.bench.rows import BenchRow, quotient
from spikeplan.experiments.bench.strangers.networks import networks

D, A, ROWS = 24, 3, 512
MAX_NMSE = 0.05  # of a conversion's output, over the variance of its change; a network that puts out nothing has 1
THRESHOLDS = 0.02
MAX_SECONDS, MAX_GIB = 600.0, 24.0
FRESH_ROWS = 256  # that calibration has not seen


class Outcome(NamedTuple):
    """One network by one recipe. `error`: of its output on fresh inputs; None where it was refused, for `refused`."""

    network: str
    recipe: str
    error: float | None
    refused: str | None

    @property
    def wrong(self) -> bool:
        """Converted to something else, or refused without naming what and the remedy in one line."""
        if self.error is not None:
            return not self.error <= MAX_NMSE
        said = self.refused or ""
        return "\n" in said or "has no exact sigma-delta form; use " not in said


@torch.no_grad()
def outcomes(seed: int = 0) -> list[Outcome]:
    """Every stranger by every recipe of ours, each on inputs that its calibration has not seen."""
    found = []
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for name, make in networks(D, A).items():
            module, data, fresh = make().eval(), _inputs(ROWS), _inputs(FRESH_ROWS)
            for recipe in ("sigma_delta", "delta_transformer"):
                try:
                    spiking = convert(module, data, RECIPES[recipe].made(thresholds=THRESHOLDS))
                except UserError as error:
                    found.append(Outcome(name, recipe, None, str(error)))
                    continue
                found.append(Outcome(name, recipe, _error(module, spiking.predictor(), *fresh), None))
    return found


def _inputs(rows: int) -> tuple[Tensor, Tensor]:
    return torch.randn(rows, D), torch.rand(rows, A) - 0.5


def _error(module: nn.Module, predictor: object, z: Tensor, a: Tensor) -> float:
    """Over the variance, from row to row, of the output or of its change, the smaller one; by the planner's own contract."""
    state = predictor.begin(z, a[:, None, None], "zero")  # type: ignore[attr-defined]
    after, _, _ = predictor.step(z[:, None], a[:, None], state)  # type: ignore[attr-defined]
    wanted = module(z, a)
    least = min((wanted - z).var(0).mean(), wanted.var(0).mean())
    return float((after[:, 0] - wanted).square().mean() / least)


def strangers_rows() -> list[BenchRow]:
    """Row `strangers_wrong`."""
    found = outcomes()
    wrong, refused = sum(outcome.wrong for outcome in found), sum(outcome.error is None for outcome in found)
    return [
        BenchRow(
            name="strangers_wrong",
            ours=float(wrong),
            unit=f"of {len(found)} conversions of networks that are not ours; {refused} refused by name",
            goal="0",
            holds=wrong == 0,
        )
    ]


def large_rows() -> list[BenchRow]:
    """Rows `convert_300m_seconds` and `convert_300m_gib`, of a process of its own, so that its memory is its own."""
    command = [sys.executable, "-m", "spikeplan.experiments.bench.strangers.large"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=4 * MAX_SECONDS)
    if done.returncode:
        why = done.stderr.strip().splitlines()[-1:] or ["no output"]
        return [
            BenchRow(
                name="convert_300m_seconds", ours=None, unit=f"not measured: {why[0]}", goal="at most 600", holds=False
            )
        ]
    seen = json.loads(done.stdout.splitlines()[-1])
    unit = f"s, {seen['weights'] / 1e6:.0f} M weights on {seen['threads']} cores; error {seen['output_nmse']:.2g} of the variance"
    return [
        BenchRow(
            name="convert_300m_seconds",
            ours=seen["seconds"],
            other=MAX_SECONDS,
            ratio=quotient(seen["seconds"], MAX_SECONDS),
            unit=unit,
            goal="at most 600",
            holds=seen["seconds"] <= MAX_SECONDS,
        ),
        BenchRow(
            name="convert_300m_gib",
            ours=seen["peak_gib"],
            other=MAX_GIB,
            ratio=quotient(seen["peak_gib"], MAX_GIB),
            unit="GiB at the peak, the network itself included",
            goal="at most 24",
            holds=seen["peak_gib"] <= MAX_GIB,
        ),
    ]


def convert_rows() -> list[BenchRow]:
    """All rows of `bench convert`."""
    return [*strangers_rows(), *large_rows()]
