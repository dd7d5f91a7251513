"""Axis and threshold factor of a sigma-delta network, decided on validation episodes that are never reported.

Candidates (reference x factor) are walked from the cheapest, by operations on recorded plans, to the dearest. Each plans the
validation episodes block by block, paired with the dense predictor it was made from, on the same episodes and noise. It
falls as soon as its 95 % interval lies below -allowed_loss; the first that ends all episodes with a mean difference of at
least -allowed_loss is taken. If none does, the one that came nearest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.counts.operations import REFERENCES, OperationCounts
from spikeplan.core.errors import UserError
from spikeplan.core.ir.artifact import Artifact
from spikeplan.evaluation.intervals import paired
from spikeplan.evaluation.recorded_plans import Plans, rerun
from spikeplan.snn.delta_predictor import DeltaPredictor
from spikeplan.worldmodel.checkpoint import WorldModel
from spikeplan.worldmodel.planning.cem import CEMPlanner
from spikeplan.worldmodel.planning.closed_loop import ImageLatent, Progress, run_episodes
from spikeplan.worldmodel.predictor import Predictor
from spikeplan.worldmodel.tasks import make_world
from spikeplan.worldmodel.train import VALIDATION_SEED

CHOICE_SEED = VALIDATION_SEED + 1


@dataclass(frozen=True, kw_only=True)
class Choice:
    factors: tuple[float, ...] = (0.35, 0.5, 0.7, 1.0, 1.4, 2.0)
    references: tuple[str, ...] = ("zero", "mean_candidate")
    episodes: int = 300
    block: int = 50
    allowed_loss: float = 0.005

    def __post_init__(self) -> None:
        unknown = set(self.references) - set(REFERENCES)
        if unknown or not self.references or not self.factors or min(self.factors) <= 0:
            raise UserError(
                f"choice: references {self.references} must be of {', '.join(REFERENCES)}, factors {self.factors} > 0"
            )
        if min(self.episodes, self.block) < 1:
            raise UserError(f"choice: episodes {self.episodes} and block {self.block} must be >= 1")


def validation_success(
    model: WorldModel,
    predictor: Predictor,
    *,
    reference: str,
    part: slice,
    episodes: int,
    progress: Progress | None = None,
) -> NDArray[np.float64]:
    """Success of the episodes of `part`, out of `episodes` that are drawn."""
    world = make_world(model.task)
    planner = CEMPlanner(
        predictor, model.planner, action_dim=world.action_dim, action_limit=world.action_limit, reference=reference
    )
    drawn = world.sample(episodes, np.random.default_rng(CHOICE_SEED)).take(part)
    outcome = run_episodes(
        world,
        ImageLatent(world, model.encoder),
        planner,
        drawn,
        seed=CHOICE_SEED,
        noise_rows=(part.start, episodes),
        progress=progress,
    )
    return outcome.success_N.astype(np.float64)


def cost_on_plans(artifact: Artifact, plans: Plans, reference: str) -> dict[str, float]:
    """Synops and synop-equivalents (interleaved) of the predictor, in units of the dense MACs."""
    network = DeltaPredictor(artifact)
    op_counts = OperationCounts(
        method="sigma_delta",
        reference=reference,
        precision="int8",
        spiking=True,
        sequential_steps=network.pipeline_steps[0],
    )
    rerun(network, plans, reference, op_counts)
    rows = op_counts.rows("interleaved")
    dense = sum(c.dense_macs for _, c in op_counts.counts("predictor"))
    return {
        "density": sum(row.synops for row in rows) / dense,
        "equivalents": sum(row.synop_equivalents for row in rows) / dense,
    }


def walk(
    success_of: Callable[[dict[str, Any], slice], NDArray[np.float64]],
    candidates: list[dict[str, Any]],
    dense_N: NDArray[np.float64],
    choice: Choice,
    report: Callable[[dict[str, Any]], None],
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The rule itself: candidates in order of `equivalents`; returns the rows that were tried and the chosen one."""
    tried: list[dict[str, Any]] = []
    for number, candidate in enumerate(sorted(candidates, key=lambda c: c["equivalents"])):
        success = np.zeros(0)
        for first in range(0, choice.episodes, choice.block):
            part = slice(first, min(first + choice.block, choice.episodes))
            success = np.concatenate([success, success_of(candidate, part)])
            dense = dense_N[: len(success)]
            low, high = paired(success[None], dense[None])
            report({"step": number * choice.episodes + len(success), **candidate, "success": float(success.mean())})
            if high < -choice.allowed_loss:
                break
        row = {**candidate, "success": float(success.mean()), "episodes": len(success), "against_dense": [low, high]}
        tried.append(row)
        if len(success) == choice.episodes and success.mean() - dense.mean() >= -choice.allowed_loss:
            return tried, row
    return tried, max(tried, key=lambda row: sum(row["against_dense"]))


def choose_thresholds(
    model: WorldModel,
    artifact: Artifact,
    plans: Plans,
    dense_N: NDArray[np.float64],
    choice: Choice,
    report: Callable[[dict[str, Any]], None],
) -> dict[str, Any]:
    """What goes into the artifact's provenance: the settings, the rows that were tried, the chosen one."""
    candidates: list[dict[str, Any]] = []
    for reference in choice.references:
        for factor in choice.factors:
            cost = cost_on_plans(artifact.scaled(factor), plans, reference)
            candidates.append({"reference": reference, "factor": factor, **cost})

    def success_of(candidate: dict[str, Any], part: slice) -> NDArray[np.float64]:
        predictor = DeltaPredictor(artifact.scaled(candidate["factor"]))
        return validation_success(
            model, predictor, reference=candidate["reference"], part=part, episodes=choice.episodes
        )

    total = len(candidates) * choice.episodes
    table, chosen = walk(success_of, candidates, dense_N, choice, lambda row: report({**row, "total_steps": total}))
    return {
        "settings": f"{choice}",
        "dense_success": float(dense_N.mean()),
        "table": table,
        "chosen": chosen,
    }
