"""What bench sparse_front measures of a network: its success on two sets of episodes and what its loop takes.

Two sets of episodes: one chooses, the other is reported (front.py). Units: synop-equivalents an action, encoder aside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from spikeplan.core.chips import LOIHI2
from spikeplan.core.counts.operations import UPDATE_WEIGHT, VALUE_PREFIX, OperationCounts, per_action
from spikeplan.core.guided_planning import GuidedConfig
from spikeplan.evaluation.aggregate import Run
from spikeplan.evaluation.bundle import Bundle
from spikeplan.evaluation.dense_readings import own_function, without_zeros
from spikeplan.evaluation.fine_tuned import Tuned
from spikeplan.evaluation.placed_energy import placed
from spikeplan.evaluation.traffic import traffic_of_run
from spikeplan.experiments.bench.planned import run
from spikeplan.experiments.bench.rows import BenchRow
from spikeplan.snn.delta_policy import DeltaPolicy
from spikeplan.snn.delta_predictor import DeltaPredictor
from spikeplan.worldmodel.policies.networks import DensePolicy
from spikeplan.worldmodel.policies.pair import Pair
from spikeplan.worldmodel.predictor import DensePredictor

CHOOSING, REPORTED = 7_000_000, 6_500_000  # seeds of episodes; no training and no other report uses them
FIELDS = ("macs", "acs", "synops", "updates", "state_restores")


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A network at a budget on one machine: what its loop takes an action, and whose episodes succeeded.

    `full`, `alone`: synop-equivalents with the pipe full and with one candidate in it at a time; the same where there is no pipe.
    `placed`: the first and what neurons update while they wait, one loop on one Loihi 2; more copies or robots would fill it.
    `split`: operations of the first. `judging`: what evaluation and selection take of it. `point`: how it was made, with which
    `seed` of training; `budget`: of its plans. `origin`: point of the dense network that it was made from.
    `chosen_N`, `reported_N`: success on either set of episodes, 0 or 1.
    """

    side: str
    point: str
    budget: str
    full: float
    alone: float
    placed: float
    split: dict[str, float]
    judging: float
    origin: str
    chosen_N: tuple[int, ...]
    reported_N: tuple[int, ...]
    seed: int = 0

    @property
    def label(self) -> str:
        return " ".join([self.point, *([f"seed {self.seed}"] if self.seed else []), self.budget])

    @property
    def success(self) -> float:
        return float(np.mean(self.reported_N))

    def to_json(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "label": self.label,
            "success": self.success,
            "chosen_success": float(np.mean(self.chosen_N)),
        }


def spiking(nets: Tuned, shared: bool = False) -> Pair:
    """On a chip that stores no weight of zero. `shared`: work that candidates have in common is done once."""
    limit, most = (net.action_limit for net in nets.dense[1:])
    return Pair(
        DeltaPredictor(nets.predictor, sparse=True, shared=shared),
        DeltaPolicy(nets.policy, action_limit=limit, sparse=True, shared=shared),
        DeltaPolicy(nets.value, action_limit=most, output="value", sparse=True, shared=shared),
    )


def float_form(nets: Tuned, shared: bool = False) -> Pair:
    """The dense networks that were fine-tuned."""
    return dense(nets.dense, shared)


def dense(nets: Sequence[Any], shared: bool = False) -> Pair:
    """Of predictor, policy and cost-to-go."""
    return Pair(
        DensePredictor(nets[0], shared=shared),
        DensePolicy(nets[1], shared=shared),
        DensePolicy(nets[2], VALUE_PREFIX, shared=shared),
    )


def budget_of(config: GuidedConfig) -> str:
    return f"{config.label} spread {config.spread:g}"


def measured(
    bundle: Bundle,
    pair: Pair,
    config: GuidedConfig,
    reference: str,
    point: str,
    episodes: int,
    *,
    cost: str | None = None,
    origin: str = "",
    seed: int = 0,
) -> list[Measured]:
    """What a spiking network costs as it is, run densely, and with zeros skipped; a dense one as it is and without its zeros."""
    chosen, reported = (run(bundle, pair, config, reference, episodes, drawn, cost) for drawn in (CHOOSING, REPORTED))
    if pair.spiking:
        readings = {"spiking": reported}
        readings |= dict(zip(("own dense", "skipping"), own_function(reported), strict=False))
    else:
        readings = {"dense": reported, "2:4": without_zeros(reported)[0]}
    return [
        Measured(
            side=side,
            point=point,
            budget=budget_of(config),
            seed=seed,
            full=taken(one.op_counts, 0),
            alone=taken(one.op_counts, -1),
            placed=taken(one.op_counts, 0) + (waited(bundle, pair, one) if side == "spiking" else 0.0),
            split={field: taken(one.op_counts, 0, field) for field in FIELDS},
            origin=origin,
            judging=taken(one.op_counts, 0, phases=("evaluation", "selection")),
            chosen_N=tuple(chosen.success_KN[0].astype(int).tolist()),
            reported_N=tuple(reported.success_KN[0].astype(int).tolist()),
        )
        for side, one in readings.items()
    ]


def waited(bundle: Bundle, pair: Pair, run: Run, *, host_selects: bool = False) -> float:
    """Synop-equivalents of an action for neurons that wait, where the whole loop lies on one Loihi 2.

    Inner products need a neuron a place; they are placed as the differences of the goal, 32 in place of 3. `host_selects`: a host
    finds the winner.
    """
    assert run.op_counts is not None
    traffic = replace(traffic_of_run(run.op_counts, pair, run.job, bundle.model.predictor), places=0)
    lying = placed(traffic, LOIHI2, replicas=1, spread=1, extent="loop", host_selects=host_selects)
    return UPDATE_WEIGHT * lying.waiting(lying.rows("interleaved"), "interleaved") / run.op_counts.actions


def taken(
    counts: OperationCounts | None,
    schedule: int,
    field: str = "synop_equivalents",
    phases: Sequence[str] = ("predictor", "evaluation", "selection", "host"),
) -> float:
    """An action; `schedule`: 0 the pipe full, -1 one candidate in it at a time."""
    assert counts is not None
    schedules = ("interleaved", "sequential") if counts.spiking else ("batched",)
    rows = [row for row in counts.rows(schedules[schedule]) if row.phase in phases]
    return per_action(rows, counts.actions, field)


def row_of(one: Measured) -> BenchRow:
    """What it costs."""
    what = ", ".join(f"{name} {value:.0f}" for name, value in one.split.items())
    return BenchRow(
        name=f"{one.side}: {one.label}",
        ours=one.full,
        unit=f"synop-equivalents an action; success {one.success:.3f}; {what}; evaluation and selection "
        f"{one.judging:.0f} of it; one candidate at a time {one.alone:.0f}; placed, waiting charged {one.placed:.0f}",
    )
