"""How fast our own simulation is: seconds of a whole plan in spikes beside the dense network's in torch, in one run.

    delta_vs_dense_S, lif_vs_dense_S      CEM over 12 steps, 4 iterations, S candidates on TwoRoom; goals 2 and 3 times dense
    guided_vs_dense_S                     policy-guided planning with S copies over 4 steps
    *_vs_torch_S                          the same plan with machine code (numba) and without
    *_vs_product_S                        the same plan event-driven by the rule, and with products alone
    break_even_KxN_rowsR                  the density of spikes below which a layer's gather is faster than its product

Both sides take turns plan by plan, from the same starts and noise, on one thread: a ratio is the median over pairs. `ours` of a
break-even is measured here, `other` is the rule that every pass follows (core/delta_pass.py); 1: a gather is always faster.
Shapes: S candidates, R rows, K inputs, N neurons.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from statistics import median
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console

from spikeplan.core import delta_pass
from spikeplan.core.compiled import compiled
from spikeplan.core.delta_pass import break_even
from spikeplan.core.guided_planning import GuidedConfig, PlannerConfig
from spikeplan.core.planning import CEMConfig
from spikeplan.evaluation.bundle import load_bundle
from spikeplan.evaluation.methods import METHODS
from spikeplan.evaluation.shard import EPISODE_SEED, Job, make_op_counts, make_planner, make_predictor, one_thread
from spikeplan.experiments.bench.rows import BenchRow
from spikeplan.experiments.runner.progress import progress_bar
from spikeplan.snn import delta, lif
from spikeplan.worldmodel.planning.closed_loop import ImageLatent, step_generator
from spikeplan.worldmodel.tasks import make_world

TASK = "two-room"
HORIZON, ITERATIONS, ELITE_SHARE = 12, 4, 8
PAIRS, EPISODES = 15, 5
SHAPES = ((34, 256), (256, 256), (256, 32))  # of the predictor's layers
ROWS = (2, 16, 64, 256, 800)
DENSITIES = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0)
LAYER_PAIRS = 25
NO_NUMBA = "not measured: numba is not installed (pip install 'spikeplan[fast]')"


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A method's plan beside another method's, or (`other` None) beside its own without one thing."""

    name: str
    method: str
    planner: PlannerConfig
    other: str | None = None
    without: Without | None = None
    goal: float | None = None


class Without(NamedTuple):
    """What a plan can do without: a function of some modules, and what takes its place."""

    what: str
    function: str
    modules: tuple[Any, ...]
    instead: Callable[..., Any]


NUMBA = Without("without machine code", "compiled", (delta, lif), lambda: None)
GATHER = Without("products alone", "break_even", (delta_pass, lif), lambda rows, neurons: -1.0)


def cem(samples: int) -> CEMConfig:
    return CEMConfig(samples=samples, iterations=ITERATIONS, elites=samples // ELITE_SHARE, horizon=HORIZON)


DELTA, LIF, GUIDED = "sigma_delta", "lif", "guided-sigma_delta"
FEW = GuidedConfig(samples=3, horizon=4, to_go=0.3)
COMPARISONS = (
    *(
        Comparison(name=f"delta_vs_dense_{s}", method=DELTA, planner=cem(s), other="dense", goal=2.0)
        for s in (64, 256, 800)
    ),
    Comparison(name="lif_vs_dense_256", method=LIF, planner=cem(256), other="dense", goal=3.0),
    Comparison(name="guided_vs_dense_3", method=GUIDED, planner=FEW, other="guided"),
    Comparison(name="delta_vs_torch_256", method=DELTA, planner=cem(256), without=NUMBA),
    Comparison(name="lif_vs_torch_256", method=LIF, planner=cem(256), without=NUMBA),
    *(Comparison(name=f"delta_vs_product_{s}", method=DELTA, planner=cem(s), without=GATHER) for s in (64, 256, 800)),
    Comparison(name="lif_vs_product_256", method=LIF, planner=cem(256), without=GATHER),
    Comparison(name="guided_vs_product_3", method=GUIDED, planner=FEW, without=GATHER),
)


def simulation_speed(
    console: Console,
    *,
    comparisons: Sequence[Comparison] = COMPARISONS,
    pairs: int = PAIRS,
    shapes: Sequence[tuple[int, int]] = SHAPES,
    rows: Sequence[int] = ROWS,
    layer_pairs: int = LAYER_PAIRS,
) -> list[BenchRow]:
    """Every row of this part. `pairs`, `layer_pairs`: measurements behind a row, of plans and of layers at one density."""
    one_thread()
    loops = compiled()
    task = Task()
    found = []
    with progress_bar(console) as bar:
        ticks = bar.add_task("speed of the simulation", total=len(comparisons) + len(shapes) * len(rows))
        for comparison in comparisons:
            found.append(plan_row(task, comparison, pairs))
            bar.advance(ticks)
        for k, n in shapes:
            for r in rows:
                found.append(break_even_row(loops, (r, k, n), layer_pairs))
                bar.advance(ticks)
    return found


class Task:
    """Starts and goals of some episodes in latents, and plans from them."""

    def __init__(self) -> None:
        self.world = make_world(TASK)
        self.bundle = load_bundle(TASK)
        episodes = self.world.sample(EPISODES, np.random.default_rng(EPISODE_SEED))
        latent_of = ImageLatent(self.world, self.bundle.model.encoder)
        self.start_BD = latent_of(episodes.start_NP, episodes.layout_NL)
        self.goal_BD = latent_of(episodes.goal_NP, episodes.layout_NL)

    def plan(self, method: str, config: PlannerConfig) -> Callable[[int], float]:
        """A function of the number of a plan that plans it once, counted as a study does, and returns its seconds."""
        job = Job(
            task=TASK,
            method=method,
            role="bench",
            planner=config,
            episodes=1,
            count=1,
            threshold=1.0 if METHODS[method].spiking else None,
        )
        predictor = make_predictor(job)
        if self.bundle.artifact.reference in predictor.references:
            job = replace(job, reference=self.bundle.artifact.reference)
        planner = make_planner(job, predictor, self.world, make_op_counts(job, predictor))

        def seconds(number: int) -> float:
            one = slice(number % EPISODES, number % EPISODES + 1)
            noise = planner.noise(1, step_generator(number, 0))
            began = time.perf_counter()
            planner.plan(self.start_BD[one], self.goal_BD[one], noise)
            return time.perf_counter() - began

        return seconds


def plan_row(task: Task, comparison: Comparison, pairs: int) -> BenchRow:
    """Seconds of a plan, ours beside the other's."""
    without, unit = comparison.without, "s a plan"
    if without is not None and compiled() is None:
        return BenchRow(name=comparison.name, ours=None, unit=NO_NUMBA)
    ours = task.plan(comparison.method, comparison.planner)
    theirs = ours if comparison.other is None else task.plan(comparison.other, comparison.planner)

    def other(number: int) -> float:
        with nullcontext() if without is None else left_out(without):
            return theirs(number)

    for number in range(2):  # machine code is loaded, memory is there
        ours(number), other(number)
    mine, its = zip(*((ours(number), other(number)) for number in range(pairs)), strict=True)
    ratio = median(a / b for a, b in zip(mine, its, strict=True))
    goal = comparison.goal
    return BenchRow(
        name=comparison.name,
        ours=median(mine),
        other=median(its),
        ratio=ratio,
        unit=unit if without is None else f"{unit}; other: {without.what}",
        goal=None if goal is None else f"<= {goal:g} times dense",
        holds=None if goal is None else ratio <= goal,
    )


@contextmanager
def left_out(without: Without) -> Iterator[None]:
    kept = [(module, getattr(module, without.function)) for module in without.modules]
    try:
        for module, _ in kept:
            setattr(module, without.function, without.instead)
        yield
    finally:
        for module, function in kept:
            setattr(module, without.function, function)


def break_even_row(loops: ModuleType | None, shape: tuple[int, int, int], pairs: int) -> BenchRow:
    """Of an output layer, whose sweep is the shortest. R rows, K inputs, N neurons; fp32."""
    r, k, n = shape
    name = f"break_even_{k}x{n}_rows{r}"
    if loops is None:
        return BenchRow(name=name, ours=None, unit=NO_NUMBA)
    rng = np.random.default_rng(0)
    weight_KN = rng.integers(-127, 128, (k, n)).astype(np.float32)
    weight, zero_N = torch.from_numpy(weight_KN), np.zeros(n, np.float32)
    a_RN = np.empty((r, n), np.float32)
    top, inverse = np.float32(2**23 - 1), np.float32(1)

    def layer(s_RK: NDArray[np.float32], gathers: bool) -> float:
        began = time.perf_counter()
        if not gathers:
            torch.mm(torch.from_numpy(s_RK), weight, out=torch.from_numpy(a_RN))
        loops.readout(s_RK, weight_KN, gathers, a_RN, zero_N[None], zero_N, zero_N, r, False, top, inverse)
        return time.perf_counter() - began

    ratios = []
    for density in DENSITIES:
        s_RK = ((rng.random((r, k)) < density) * rng.integers(1, 20, (r, k))).astype(np.float32)
        ratios.append(median(layer(s_RK, True) / layer(s_RK, False) for _ in range(pairs)))
    ours, rule = crossing(DENSITIES, ratios), min(max(break_even(r, n), 0.0), 1.0)
    return BenchRow(name=name, ours=ours, other=rule, unit="density of spikes; other: the rule")


def crossing(densities: Sequence[float], ratios: Sequence[float]) -> float:
    """The first density at which a ratio reaches 1, linear between two; 0: at none is it below, 1: at none is it reached."""
    if ratios[0] >= 1:
        return 0.0
    for i in range(1, len(ratios)):
        if ratios[i] >= 1:
            share = (1 - ratios[i - 1]) / (ratios[i] - ratios[i - 1])
            return densities[i - 1] + share * (densities[i] - densities[i - 1])
    return 1.0
