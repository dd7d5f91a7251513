"""Converted predictors beside their dense selves, over training seeds.

A predictor of each kind is distilled by `spikeplan train --task keep-out --predictors KIND`; every training seed is converted
from what planning asked of its teacher, at each setting that a case lists. On one set of episodes the first training seed chooses
the cheapest setting that loses no more points than are allowed; another set is reported, for all seeds. No training saw either.

    CASE_points              success, converted less its dense self: mean of the training seeds; the goal is the lower end of the
                             paired interval. CASE_points_worst: the worst seed
    CASE_density_KIND        synops beside those of a dense pass, layers of one kind
    CASE_equivalents         of the converted predictor beside its dense self's MACs, an action
    CASE_equivalents_vs_mlp  the same beside the shipped MLP predictor's MACs
    CASE_anew                MACs and accumulates of what no synapse does
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from spikeplan.conversion import Calibration, convert
from spikeplan.conversion.recipes.base import Recipe
from spikeplan.conversion.recipes.delta_transformer import DeltaTransformer
from spikeplan.conversion.recipes.matmul_free import MatMulFree
from spikeplan.core.errors import UserError
from spikeplan.evaluation.bundle import Bundle, load_bundle
from spikeplan.evaluation.intervals import paired
from spikeplan.evaluation.recorded_plans import calibration_of
from spikeplan.evaluation.shard import one_thread
from spikeplan.evaluation.training.predictors import predictor_path, recorded_for
from spikeplan.experiments.bench.predictors.measured import Planned, mean_of, planned
from spikeplan.experiments.bench.rows import BenchRow, quotient
from spikeplan.experiments.runner.progress import progress_bar
from spikeplan.worldmodel.predictor import DensePredictor
from spikeplan.worldmodel.predictor_file import load_predictor

TASK, EPISODES, SEEDS = "keep-out", 300, 3
CHOOSING, REPORTED = 7_200_000, 6_300_000  # seeds of episodes; no training and no other report uses them


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A recipe, and the reference that its network plans on."""

    recipe: Recipe[Any]
    reference: str = "zero"


@dataclass(frozen=True, kw_only=True)
class Case:
    """`points`: what it may lose, below 0. `settings`: from cheap to dear, as far as one can tell; measuring chooses."""

    name: str
    kind: str
    points: float
    settings: tuple[Setting, ...]


def _thresholds(*values: float) -> tuple[Setting, ...]:
    return tuple(
        Setting(recipe=DeltaTransformer(thresholds=value), reference=reference)
        for reference in ("zero", "previous_step")
        for value in values
    )


CASES = (
    Case(name="transformer", kind="transformer", points=-0.03, settings=_thresholds(0.05, 0.1, 0.2, 0.4)),
    Case(
        name="matmul_free",
        kind="gated",
        points=-0.05,
        settings=(Setting(recipe=MatMulFree()), Setting(recipe=MatMulFree(), reference="previous_step")),
    ),
)


def bench_predictors(
    console: Console,
    trained: Sequence[str] = (),
    *,
    cases: Sequence[Case] = CASES,
    episodes: int = EPISODES,
    recorded: int | None = None,
) -> list[BenchRow]:
    """The rows of every case.

    Args:
        trained: folders of `train --predictors`, one a further training seed beside the shipped one.
        episodes: of either set; `recorded`: whose plans calibrate, None for as many as training has.

    Raises UserError for a folder without a predictor of a case's kind.
    """
    one_thread()
    bundle = load_bundle(TASK)
    files = {case.kind: _files(bundle, case.kind, trained) for case in cases}
    with progress_bar(console) as bar:
        shown = bar.add_task(
            "bench predictors", total=2 + sum(len(case.settings) + 2 * len(files[case.kind]) for case in cases)
        )

        def advance() -> None:
            bar.advance(shown)

        records = recorded_for(bundle) if recorded is None else recorded_for(bundle, recorded)
        data = calibration_of(records.rollouts)
        advance()
        mlp = planned(bundle, DensePredictor(bundle.model.predictor), "zero", episodes=episodes, seed=REPORTED)
        advance()
        return [row for case in cases for row in _case(bundle, case, files[case.kind], data, mlp, episodes, advance)]


def _files(bundle: Bundle, kind: str, trained: Sequence[str]) -> list[Path]:
    shipped = predictor_path(bundle, kind)
    files = [shipped, *(Path(folder) / shipped.name for folder in trained)]
    for file in files:
        if not file.is_file():
            raise UserError(f"{file}: no such file; make it with `spikeplan train --task {TASK} --predictors {kind}`")
    return files


def _case(
    bundle: Bundle,
    case: Case,
    files: Sequence[Path],
    data: Calibration,
    mlp: Planned,
    episodes: int,
    advance: Callable[[], None],
) -> list[BenchRow]:
    nets = [load_predictor(file) for file in files]
    chosen = choose(bundle, case, nets[0], data, episodes, advance)
    dense, ours = [], []
    for net in nets:
        dense.append(planned(bundle, DensePredictor(net), "zero", episodes=episodes, seed=REPORTED))
        advance()
        predictor = convert(net, data, chosen.recipe).predictor()
        ours.append(planned(bundle, predictor, chosen.reference, episodes=episodes, seed=REPORTED))
        advance()
    return rows_of(case, chosen, ours, dense, mlp)


def choose(
    bundle: Bundle, case: Case, net: Any, data: Calibration, episodes: int, advance: Callable[[], None]
) -> Setting:
    """The cheapest setting that loses no more than allowed on the choosing episodes; where none is, the best one."""
    own = planned(bundle, DensePredictor(net), "zero", episodes=episodes, seed=CHOOSING)
    found: list[tuple[Setting, float, float]] = []
    made: tuple[Recipe[Any], Any] | None = None
    for setting in case.settings:
        if made is None or made[0] != setting.recipe:
            made = setting.recipe, convert(net, data, setting.recipe)
        got = planned(bundle, made[1].predictor(), setting.reference, episodes=episodes, seed=CHOOSING)
        found.append((setting, got.success - own.success, got.taken()))
        advance()
    good = [one for one in found if one[1] >= case.points]
    return min(good, key=lambda one: one[2])[0] if good else max(found, key=lambda one: one[1])[0]


def rows_of(
    case: Case, chosen: Setting, ours: Sequence[Planned], dense: Sequence[Planned], mlp: Planned
) -> list[BenchRow]:
    mine, theirs = (np.stack([one.success_N for one in side]) for side in (ours, dense))
    points = (mine - theirs).mean(1)
    low, high = paired(mine, theirs)
    each = ", ".join(f"{one.success:.3f} beside {other.success:.3f}" for one, other in zip(ours, dense, strict=True))
    enough, goal = len(ours) >= SEEDS, f">= {case.points:g}, {SEEDS} training seeds"
    what = f"points of success, converted less dense; {chosen.recipe} on {chosen.reference}"
    mean, own = mean_of(ours), mean_of(dense)
    anew = float(np.mean([sum(one.anew.values()) for one in ours]))
    rows = [
        BenchRow(
            name=f"{case.name}_points",
            ours=float(points.mean()),
            unit=f"{what}; {len(ours)} training seeds of {mine.shape[1]} episodes: {each}; "
            f"paired interval {low:+.3f} to {high:+.3f}",
            goal=f"lower end {goal}",
            holds=low >= case.points if enough else None,
        ),
        BenchRow(
            name=f"{case.name}_points_worst",
            ours=float(points.min()),
            unit="points of success, the worst training seed",
            goal=goal,
            holds=bool(points.min() >= case.points) if enough else None,
        ),
        BenchRow(
            name=f"{case.name}_equivalents",
            ours=mean,
            other=own,
            ratio=quotient(mean, own),
            unit=f"synop-equivalents an action of the predictor, beside its dense self's; {ours[0].split} on the first seed",
        ),
        BenchRow(
            name=f"{case.name}_equivalents_vs_mlp",
            ours=mean,
            other=mlp.taken(),
            ratio=quotient(mean, mlp.taken()),
            unit=f"the same, beside the shipped MLP predictor's MACs, which plans {mlp.success:.3f}",
        ),
        BenchRow(
            name=f"{case.name}_anew",
            ours=anew,
            other=mean,
            ratio=quotient(anew, mean),
            unit="MACs and accumulates of what no synapse does, beside all synop-equivalents: "
            + ", ".join(f"{kind} {value:.0f}" for kind, value in ours[0].anew.items()),
        ),
    ]
    densities = [one.densities for one in ours]
    return rows + [
        BenchRow(
            name=f"{case.name}_density_{kind}",
            ours=float(np.mean([one[kind] for one in densities])),
            unit="synops beside a dense pass's, layers of this kind",
        )
        for kind in densities[0]
    ]
