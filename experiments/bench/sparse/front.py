"""`spikeplan bench sparse_front`: weights, neurons and spikes that are sparse together, against dense hardware.

Predictor, policy and cost-to-go of KeepOut are fine-tuned together for the chip's bill, each point for its reference, share of
weights, share of neurons and weight of the bill. One set of episodes chooses, another is reported; neither was trained on. A row
compares the cheapest of ours with the cheapest opponent, both among those whose paired lower bound against the best dense
network is at least -0.03 on the choosing episodes. The chosen point is trained with two more seeds of this training. One world
model; synop-equivalents an action of the whole loop, encoder aside.

Every side is judged by squared distances, and does once what candidates share (a reference but zero shares nothing).

    dense     narrow networks of 64, 96 and 128 at every budget; such networks with neurons removed, fine-tuned together with
              their policy; ours run densely, weights of zero computed
    2:4       narrow networks so pruned together with their policy, every product of a weight of zero left out
    skipping  ours on hardware that pays neither for a weight nor an activation of zero, and no update
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from rich.console import Console

from spikeplan.core.errors import UserError
from spikeplan.core.guided_planning import GuidedConfig
from spikeplan.evaluation.bundle import Bundle, load_bundle
from spikeplan.evaluation.fine_tuned import Tuned, fine_tuned
from spikeplan.evaluation.recorded_plans import Recorded
from spikeplan.evaluation.shard import one_thread
from spikeplan.evaluation.training.predictors import recorded_for
from spikeplan.experiments.bench.rows import BenchRow
from spikeplan.experiments.bench.sparse.compared import chosen_of, compared, fronts, of_seeds
from spikeplan.experiments.bench.sparse.measured import Measured, dense, float_form, measured, spiking
from spikeplan.experiments.runner.progress import progress_bar
from spikeplan.snn.finetune_acting import ActingTraining
from spikeplan.snn.finetune_delta import DeltaTraining
from spikeplan.snn.sparse_training import SparseTraining
from spikeplan.worldmodel.policies.base import Report
from spikeplan.worldmodel.policies.pair import Pair
from spikeplan.worldmodel.tasks import task_of

TASK = "keep-out"
COST = "squared"
EPISODES, RECORDED, WIDTHS = 300, 256, (64, 96, 128)


@dataclass(frozen=True, kw_only=True)
class Point:
    """One training: of a predictor of this width with policy and cost-to-go."""

    width: int = 96
    reference: str = "zero"
    sparse: SparseTraining = field(default_factory=lambda: SparseTraining(pruned=0.0))
    rate_weight: float = 0.4
    steps: int = 4000
    rate: float = 1e-3
    seed: int = 0

    @property
    def label(self) -> str:
        s = self.sparse
        return f"{self.width} {self.reference} {s.how} {s.pruned:g} removed {s.removed:g} rate {self.rate_weight:g}"


def _points(shares: Sequence[tuple[float, float, float]], **shared: Any) -> tuple[Point, ...]:
    """Of (pruned, removed, rate weight)."""
    how = shared.pop("how", "magnitude")
    return tuple(
        Point(sparse=SparseTraining(pruned=p, removed=r, how=how), rate_weight=rate, **shared) for p, r, rate in shares
    )


OURS = (
    *_points([(0.3, 0.2, 0.2), (0.3, 0.2, 0.1), (0.0, 0.2, 0.2), (0.5, 0.2, 0.2)], width=64),
    *_points([(0.3, 0.2, 0.2)]),
    *_points([(0.3, 0.2, 0.2)], width=64, reference="previous_candidate"),
    *_points([(0.3, 0.2, 0.2)], width=64, reference="previous_step"),
)
TWO_OF_FOUR = (*_points([(0.5, 0.0, 0.0)], how="n_of_m", width=64), *_points([(0.5, 0.0, 0.0)], how="n_of_m"))
FEWER = _points([(0.0, 0.3, 0.0)], width=64)  # dense, with neurons removed
SEEDS = 3  # of the chosen point's training


def tuned(bundle: Bundle, records: Recorded, point: Point, report: Report) -> Tuned:
    """The networks of a point."""
    copies = budgets_of(TASK)[0]
    shared = DeltaTraining(steps=point.steps, rate=point.rate, rate_weight=point.rate_weight)
    training = ActingTraining(
        copies=copies,
        shared=shared,
        reference=point.reference,
        sparse=point.sparse,
        once=shares(point.reference),
    )
    source, seed = bundle.guided_narrow(point.width), bundle.model.seed + point.seed
    return fine_tuned(bundle, source, records, training, report=report, name=point.label, searches=False, seed=seed)


def shares(reference: str) -> bool:
    """Whether candidates compared so share work."""
    return reference == "zero"


def budgets_of(task: str) -> list[GuidedConfig]:
    """The task's cheapest, and fewer copies than that, which squared distances allow; two copies are too few, and farther ahead
    these distances mislead."""
    known = [one for one in (task_of(task).planner, *task_of(task).budgets) if isinstance(one, GuidedConfig)]
    least = min(known, key=lambda one: one.evaluations)
    changes: list[dict[str, Any]] = [{}, {"spread": 0.4}, {"samples": 4}, {"samples": 3}, {"samples": 3, "spread": 0.8}]
    return [least.at(**change) for change in changes]


def bench_sparse_front(
    console: Console,
    *,
    ours: Sequence[Point] = OURS,
    two_of_four: Sequence[Point] = TWO_OF_FOUR,
    fewer: Sequence[Point] = FEWER,
    widths: Sequence[int] = WIDTHS,
    budgets: Sequence[GuidedConfig] | None = None,
    episodes: int = EPISODES,
    recorded: int = RECORDED,
    seeds: int = SEEDS,
    keep: Callable[[Measured], None] | None = None,
) -> list[BenchRow]:
    """A row each measured network, those that compare ours with opponents, and those of further seeds.

    Args:
        ours, two_of_four, fewer: what is trained: for spikes, for hardware that leaves out two weights of four, and dense with
            neurons removed.
        widths: of the dense networks, which are there.
        budgets: of every network; None: `budgets_of` the task.
        episodes: of either set; `recorded`: that training starts from.
        seeds: of the training of the point that is chosen.
        keep: gets each measured network at once, with all episodes.
    """
    one_thread()
    bundle, budgets = load_bundle(TASK), budgets or budgets_of(TASK)
    found: list[Measured] = []
    dead: list[BenchRow] = []
    points = (*two_of_four, *fewer, *ours)

    def add(pair: Pair, config: GuidedConfig, point: Point, label: str, but: str = "") -> None:
        for one in measured(
            bundle, pair, config, point.reference, label, episodes, cost=COST, origin=f"{point.width}", seed=point.seed
        ):
            if one.side != but:
                found.append(one)
                if keep is not None:
                    keep(one)

    with progress_bar(console) as bar:
        steps = sum(point.steps for point in points) + (seeds - 1) * max(point.steps for point in ours)
        shown = bar.add_task("bench sparse_front", total=steps + len(widths) + 1)
        for width in widths:
            pair = dense((bundle.guided_narrow(width), bundle.policy(), bundle.cost_to_go()), shared=True)
            for config in budgets:
                add(pair, config, Point(width=width), f"{width}", but="2:4")  # none of their weights is zero
            bar.advance(shown)
        records = recorded_for(bundle, recorded, judged_by=COST)
        bar.advance(shown)

        def train(point: Point) -> None:
            try:
                nets = tuned(bundle, records, point, lambda name, row: bar.advance(shown))
            except UserError as error:  # a network that lost a whole layer
                dead.append(BenchRow(name=f"dead: {point.label}", ours=None, unit=f"{error}"))
                return
            plain = point in two_of_four or point in fewer
            pair = float_form(nets, True) if plain else spiking(nets, shares(point.reference))
            but = "" if not plain else "dense" if point in two_of_four else "2:4"
            for config in budgets:
                add(pair, config, point, point.label, but=but)

        for point in points:
            train(point)
        chosen = chosen_of(found)
        again = [point for point in ours if point.label == chosen.point]
        for point in again:
            for seed in range(1, seeds):
                train(replace(point, seed=seed))
    return [*fronts(found), *dead, *compared(found), *of_seeds(found)]
