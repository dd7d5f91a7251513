"""`spikeplan bench references`: which earlier pass a spike should be a change of, where copies of a policy plan together.

Copies start from one latent and drift apart, so there is a neighbour to be compared with. For each reference KeepOut's predictor
of width 128, its policy and its cost-to-go are fine-tuned together for it, from the same dense networks and on the copies alone,
which every reference can be trained on; then episodes that no training saw are planned. One training seed.

    REFERENCE_BUDGET    synop-equivalents an action beside those on `zero`, encoder aside and the pipe full; success in the unit
"""

from __future__ import annotations

from typing import Any

from rich.console import Console

from spikeplan.core.counts.operations import ACTING_REFERENCES, per_action
from spikeplan.core.guided_planning import GuidedConfig
from spikeplan.evaluation.bundle import Bundle, load_bundle
from spikeplan.evaluation.fine_tuned import Tuned, fine_tuned
from spikeplan.evaluation.recorded_plans import Recorded
from spikeplan.evaluation.shard import one_thread
from spikeplan.evaluation.training.predictors import recorded_for
from spikeplan.experiments.bench.planned import run
from spikeplan.experiments.bench.rows import BenchRow
from spikeplan.experiments.runner.progress import progress_bar
from spikeplan.snn.delta_policy import DeltaPolicy
from spikeplan.snn.delta_predictor import DeltaPredictor
from spikeplan.snn.finetune_acting import ActingTraining
from spikeplan.snn.finetune_delta import DeltaTraining
from spikeplan.worldmodel.policies.base import Report
from spikeplan.worldmodel.policies.pair import Pair
from spikeplan.worldmodel.tasks import make_world, task_of

TASK, WIDTH = "keep-out", 128
TRAINING = DeltaTraining(steps=2000, rate_weight=0.4)
EPISODES, RECORDED, SEED = 300, 256, 6_000_000  # the seed is of episodes that no training and no other report uses


def bench_references(
    console: Console, *, training: DeltaTraining = TRAINING, episodes: int = EPISODES, recorded: int = RECORDED
) -> list[BenchRow]:
    """One row a reference and budget of the task.

    Args:
        training: of each reference.
        episodes: that are planned; `recorded`: that training starts from.
    """
    one_thread()
    bundle, task = load_bundle(TASK), task_of(TASK)
    budgets = [one for one in (task.planner, *task.budgets) if isinstance(one, GuidedConfig)]
    with progress_bar(console) as bar:
        shown = bar.add_task("bench references", total=len(ACTING_REFERENCES) * (training.steps + len(budgets)) + 1)
        records = recorded_for(bundle, recorded)
        bar.advance(shown)
        found: dict[tuple[str, str], tuple[float, float, float]] = {}
        for reference in ACTING_REFERENCES:

            def step(name: str, row: dict[str, Any]) -> None:
                bar.advance(shown)

            nets = _tuned(bundle, records, training, reference, step)
            for config in budgets:
                found[reference, config.label] = planned(bundle, nets, reference, config, episodes)
                bar.advance(shown)
    rows = []
    for (reference, label), (success, full, alone) in found.items():
        on_zero = found["zero", label]
        rows.append(
            BenchRow(
                name=f"{reference}_{'_'.join(label.split()[1:3])}",
                ours=full,
                other=on_zero[1],
                ratio=full / on_zero[1],
                unit=f"synop-equivalents, beside zero; success {success:.3f} beside {on_zero[0]:.3f}; with one candidate in the "
                f"pipe at a time {alone / on_zero[2]:.2f} of zero's",
            )
        )
    return rows


def _tuned(bundle: Bundle, records: Recorded, training: DeltaTraining, reference: str, report: Report) -> Tuned:
    copies = task_of(TASK).dearest
    assert isinstance(copies, GuidedConfig)
    return fine_tuned(
        bundle,
        bundle.guided_narrow(WIDTH),
        records,
        ActingTraining(copies=copies, shared=training, reference=reference),
        report=report,
        name=reference,
        searches=False,
    )


def planned(
    bundle: Bundle, nets: Tuned, reference: str, config: GuidedConfig, episodes: int
) -> tuple[float, float, float]:
    """Success, and synop-equivalents an action: the pipe full, and one candidate in it at a time; the encoder aside."""
    world, value = make_world(TASK), bundle.cost_to_go()
    pair = Pair(
        DeltaPredictor(nets.predictor),
        DeltaPolicy(nets.policy, action_limit=world.action_limit),
        DeltaPolicy(nets.value, action_limit=value.action_limit, output="value"),
    )
    done = run(bundle, pair, config, reference, episodes, SEED)
    counts = done.op_counts
    assert counts is not None
    full, alone = (
        per_action([row for row in counts.rows(schedule) if row.phase != "encoder"], counts.actions)
        for schedule in ("interleaved", "sequential")
    )
    return float(done.success_KN.mean()), full, alone
