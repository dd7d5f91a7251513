"""`spikeplan bench sparse_front`: weights, neurons and spikes that are sparse together, against dense hardware.

Predictor, policy and cost-to-go of KeepOut are fine-tuned together for the chip's bill, each point for its reference, share of
weights, share of neurons and weight of the bill. One set of episodes chooses, another is reported; neither was trained on. A row
compares the cheapest of ours with the cheapest opponent, both among those whose paired lower bound against the best dense
network is at least -0.03 on the choosing episodes. One training seed; synop-equivalents an action of the whole loop, encoder
aside.

    dense     narrow networks of 64, 96 and 128 at every budget of the task; ours run densely, weights of zero computed
    2:4       narrow networks so pruned together with their policy, every product of a weight of zero left out
    skipping  ours on hardware that pays neither for a weight nor an activation of zero, and no update
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console

from spikeplan.core.errors import UserError
from spikeplan.core.guided_planning import GuidedConfig
from spikeplan.evaluation.bundle import Bundle, load_bundle
from spikeplan.evaluation.fine_tuned import Tuned, fine_tuned
from spikeplan.evaluation.recorded_plans import Recorded
from spikeplan.evaluation.shard import one_thread
from spikeplan.experiments.bench.references import records_of
from spikeplan.experiments.bench.rows import BenchRow
from spikeplan.experiments.bench.sparse_measured import Measured, compared, dense, float_form, measured, row_of, spiking
from spikeplan.experiments.runner.progress import progress_bar
from spikeplan.snn.finetune_acting import ActingTraining
from spikeplan.snn.finetune_delta import DeltaTraining
from spikeplan.snn.sparse_training import SparseTraining
from spikeplan.worldmodel.policies.base import Report
from spikeplan.worldmodel.policies.pair import Pair
from spikeplan.worldmodel.tasks import task_of

TASK = "keep-out"
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
    *_points([(0.5, 0.2, 0.2), (0.3, 0.2, 0.2)]),
    *_points([(0.5, 0.2, 0.2)], width=128),
    *_points([(0.5, 0.2, 0.2), (0.3, 0.2, 0.2)], reference="previous_step"),
    *_points([(0.0, 0.0, 0.4), (0.5, 0.0, 0.4)]),
    *_points([(0.3, 0.2, 0.2), (0.0, 0.0, 0.4)], width=64),
    *_points([(0.5, 0.3, 0.4), (0.7, 0.3, 0.4)], width=128),
    *_points([(0.5, 0.2, 0.2)], how="saliency"),
    *_points([(0.5, 0.2, 0.2)], how="movement"),
    *_points([(0.5, 0.2, 0.2)], reference="mean_candidate"),
)
TWO_OF_FOUR = (*_points([(0.5, 0.0, 0.0)], how="n_of_m", width=64), *_points([(0.5, 0.0, 0.0)], how="n_of_m"))


def tuned(bundle: Bundle, records: Recorded, point: Point, report: Report) -> Tuned:
    """The networks of a point."""
    copies = task_of(TASK).dearest  # as the shipped networks are trained
    assert isinstance(copies, GuidedConfig)
    shared = DeltaTraining(steps=point.steps, rate=point.rate, rate_weight=point.rate_weight)
    training = ActingTraining(copies=copies, shared=shared, reference=point.reference, sparse=point.sparse)
    return fine_tuned(
        bundle, bundle.guided_narrow(point.width), records, training, report=report, name=point.label, searches=False
    )


def bench_sparse_front(
    console: Console,
    *,
    ours: Sequence[Point] = OURS,
    two_of_four: Sequence[Point] = TWO_OF_FOUR,
    widths: Sequence[int] = WIDTHS,
    episodes: int = EPISODES,
    recorded: int = RECORDED,
    keep: Callable[[Measured], None] | None = None,
) -> list[BenchRow]:
    """A row each measured network, and the three that compare ours with opponents.

    Args:
        ours, two_of_four: what is trained, for spikes and for hardware that leaves out two weights of four.
        widths: of the dense networks, which are there.
        episodes: of either set; `recorded`: that training starts from.
        keep: gets each measured network at once, with all episodes.
    """
    one_thread()
    bundle, task = load_bundle(TASK), task_of(TASK)
    budgets = [one for one in (task.planner, *task.budgets) if isinstance(one, GuidedConfig)]
    found: list[Measured] = []
    dead: list[BenchRow] = []

    def add(pair: Pair, config: GuidedConfig, reference: str, label: str, but: str = "") -> None:
        for one in measured(bundle, pair, config, reference, label, episodes):
            if one.side != but:
                found.append(one)
                if keep is not None:
                    keep(one)

    with progress_bar(console) as bar:
        steps = sum(point.steps for point in (*ours, *two_of_four))
        shown = bar.add_task("bench sparse_front", total=steps + len(widths) + 1)
        for width in widths:
            pair = dense((bundle.guided_narrow(width), bundle.policy(), bundle.cost_to_go()))
            for config in budgets:
                add(pair, config, "zero", f"{width}", but="2:4")  # none of their weights is zero
            bar.advance(shown)
        records = records_of(bundle, recorded)
        bar.advance(shown)
        forms: list[tuple[Point, Callable[[Tuned], Pair], str]] = [
            (point, float_form, "dense") for point in two_of_four
        ]
        forms += [(point, spiking, "") for point in ours]
        for point, form, but in forms:
            try:
                nets = tuned(bundle, records, point, lambda name, row: bar.advance(shown))
            except UserError as error:  # a network that lost a whole layer
                dead.append(BenchRow(name=f"dead: {point.label}", ours=None, unit=f"{error}"))
                continue
            for config in budgets:
                if config.evaluations <= budgets[0].evaluations:
                    add(form(nets), config, point.reference, point.label, but=but)
    return [*(row_of(one) for one in found), *dead, *compared(found)]
