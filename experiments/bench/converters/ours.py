"""Our recipes on a trained network: a point a recipe and setting, and their fronts. lif_latency_graded: with graded inputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch

from spikeplan.conversion import SigmaDelta, convert
from spikeplan.conversion.recipes.base import Recipe
from spikeplan.conversion.recipes.lif_latency import LIFLatency
from spikeplan.conversion.recipes.lif_rate import LIFRate
from spikeplan.conversion.tracing import CODE, AffineNet
from spikeplan.experiments.bench.converters.counting import Point, error_of, graded_inputs, operations
from spikeplan.experiments.bench.converters.networks import Case
from spikeplan.snn.delta import DeltaNetwork

THRESHOLDS = (0.01, 0.03, 0.1, 0.2, 0.4, 0.8)  # of a layer's standard deviation
RATE_STEPS = (2, 4, 8, 16, 32)
LATENCY_STEPS = (1, 2, 4, 8, 16, 32, 64, 128)
TIMED_STEPS = (1, 4, 16)  # of windows after inputs that are spikes in time
TUNING = 200  # steps of fine-tuning, as both recipes have it


def delta_point(case: Case, net: AffineNet, threshold: float) -> Point:
    """From the zero state: no prediction is given anything of another."""
    artifact = convert(case.module, case.calibration[:2], SigmaDelta(thresholds=threshold)).artifact
    z, a, _ = case.held_out
    latent, action = artifact.scales["latent"], artifact.scales["action"]
    network = DeltaNetwork(artifact)
    x = torch.cat([(z / latent).round(), (a / action).round()], -1).to(network.dtype)
    done, _ = network.run(x, None)
    sent = {layer.name: m for layer, m in zip(artifact.layers, done.messages, strict=True) if layer.name != "out"}
    spikes = {name: message.ne(0).double().mean(0) for name, message in sent.items()}
    return Point(
        recipe="sigma_delta",
        label=f"sigma_delta at {threshold:g}",
        time_steps=1,
        error=error_of(done.value_RD * latent, case.output(case.held_out)),
        operations=operations(net, spikes, 1),
        binary=False,
    )


def rate_point(case: Case, net: AffineNet, recipe: LIFRate) -> Point:
    _, run = _run(case, recipe)
    spikes = graded_inputs(net) | {name: count.mean(0) for name, count in run.counts.items()}
    steps = recipe.time_steps
    return Point(
        recipe="lif_rate",
        label=f"lif_rate, {steps} steps",
        time_steps=steps,
        error=error_of(run.out, case.output(case.held_out)),
        operations=operations(net, spikes, steps),
        binary=True,
    )


def latency_point(case: Case, net: AffineNet, recipe: LIFLatency) -> Point:
    found, run = _run(case, recipe)
    inputs = graded_inputs(net) if recipe.graded_inputs else {CODE: run.inputs.ne(0).double().mean(0)}
    spikes = inputs | {name: left.ne(0).double().mean(0) for name, left in run.counts.items()}
    steps = recipe.time_steps
    name = "lif_latency_graded" if recipe.graded_inputs else "lif_latency"
    return Point(
        recipe=name,
        label=f"{name}, windows of {steps}",
        time_steps=steps,
        error=error_of(run.out, case.output(case.held_out)),
        operations=operations(net, spikes, steps * found.windows),
        binary=True,
    )


@torch.no_grad()
def _run(case: Case, recipe: Recipe[Any]) -> tuple[Any, Any]:
    """The network, and what it did on the rows that are held out."""
    artifact: Any = convert(case.module, case.calibration[:2], recipe).artifact
    found = artifact.net
    return found, found(torch.cat(case.held_out[:2], -1))


def conversions(
    thresholds: Sequence[float] = THRESHOLDS,
    rate: Sequence[int] = RATE_STEPS,
    latency: Sequence[int] = LATENCY_STEPS,
    timed: Sequence[int] = TIMED_STEPS,
    tuning: int = TUNING,
) -> list[Callable[[Case, AffineNet], Point]]:
    """Each makes one point of a case. `tuning`: steps of fine-tuning."""
    rates = [LIFRate(time_steps=steps, steps=tuning, rate_weight=0.0) for steps in rate]
    latencies = [
        LIFLatency(time_steps=steps, steps=tuning, graded_inputs=graded)
        for graded, windows in ((True, latency), (False, timed))
        for steps in windows
    ]
    return [
        *(partial(delta_point, threshold=threshold) for threshold in thresholds),
        *(partial(rate_point, recipe=recipe) for recipe in rates),
        *(partial(latency_point, recipe=recipe) for recipe in latencies),
    ]


def front(points: Sequence[Point]) -> list[Point]:
    """Those that no point of at most their operations equals in error, from cheap to dear."""
    found: list[Point] = []
    for point in sorted(points, key=lambda p: (p.operations, p.error)):
        if not found or point.error < found[-1].error:
            found.append(point)
    return found


def best_at(points: Sequence[Point], operations: float) -> tuple[float | None, str]:
    """Least error at so many operations that any recipe reaches by itself: nothing lies between two recipes. None: none does."""
    of_recipes = [front([p for p in points if p.recipe == recipe]) for recipe in {p.recipe for p in points}]
    reached = [(error, what) for error, what in (at(of_one, operations) for of_one in of_recipes) if error is not None]
    if reached:
        return min(reached)
    cheapest = min(points, key=lambda p: p.operations)
    return None, f"our cheapest, {cheapest.label}, takes {cheapest.operations:,.0f}"


def at(points: Sequence[Point], operations: float) -> tuple[float | None, str]:
    """Error of a recipe's front at so many operations, and of what: between two points on a line through their logarithms.

    Beyond its dearest point, that one's error, which costs less; None before its cheapest.
    """
    before = [point for point in points if point.operations <= operations]
    after = points[len(before) :]
    if not before:
        return None, ""
    left = before[-1]
    if not after or left.operations == operations or not left.error:
        return left.error, f"{left.label}, at {left.operations:,.0f}"
    right = after[0]
    share = math.log(operations / left.operations) / math.log(right.operations / left.operations)
    error = left.error * (max(right.error, 1e-30) / left.error) ** share
    return error, f"{left.label} to {right.label}"
