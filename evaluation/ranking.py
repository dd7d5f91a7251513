"""How a method ranks the same candidates as the dense planner, and where its messages are spent, on recorded plans.

spearman      rank correlation of costs with the dense method's, mean over plans and iterations
topk_overlap  share of the dense method's k elites among the method's own
latent_nmse   |z_method - z_dense|^2 / |z_dense - z_start|^2, all steps
density       synops / dense MACs, the mean's own pass included, per reference; also per iteration and rollout step
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from spikeplan.core.counts.operations import OperationCounts
from spikeplan.evaluation.recorded_plans import Plans, rerun
from spikeplan.evaluation.rows import Density
from spikeplan.worldmodel.gates import spearman
from spikeplan.worldmodel.planning.costs import LatentDistance
from spikeplan.worldmodel.predictor import Predictor


def density_of(op_counts: OperationCounts) -> Density:
    """Share of the dense synaptic operations, in total, by iteration x rollout step, and by layer."""
    counts = op_counts.counts("predictor")
    iterations = 1 + max(key[2] or 0 for key, _ in counts)
    steps = 1 + max(key[3] or 0 for key, _ in counts)
    synops, dense = np.zeros((iterations, steps)), np.zeros((iterations, steps))
    layers: dict[str, dict[str, int]] = {}
    for (_, name, i, t), c in counts:
        synops[i or 0, t or 0] += c.synops
        dense[i or 0, t or 0] += c.dense_macs
        row = layers.setdefault(name, {"messages": 0, "neurons": 0, "saturated": 0})
        row["messages"] += c.messages
        row["neurons"] += c.updates
        row["saturated"] += c.saturated
    return Density(
        total=float(synops.sum() / dense.sum()),
        by_iteration_step=(synops / dense).round(5).tolist(),
        messages_per_update={
            name: row["messages"] / max(1, row["neurons"]) for name, row in layers.items() if row["neurons"]
        },
        saturated={name: row["saturated"] for name, row in layers.items()},
    )


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """`latent_nmse`: squared error of the imagined latents over their squared way from the start; also by rollout step."""

    spearman: float
    topk_overlap: float
    latent_nmse: float
    nmse_by_step: list[float]
    density: Density | None


def agreement(
    predictor: Predictor, plans: Plans, reference: str, op_counts: OperationCounts, *, elites: int
) -> Agreement:
    """How a predictor ranks the recorded candidates, beside the dense planner that recorded them."""
    latents = rerun(predictor, plans, reference, op_counts)
    cost = torch.stack(
        [LatentDistance().cost(latents[:, i], None, plans.goal_ND) for i in range(latents.shape[1])], 1
    ).double()
    truth = plans.cost_NIS.double()
    ranks, overlaps = [], []
    for mine, dense in zip(cost.flatten(0, 1), truth.flatten(0, 1), strict=True):
        ranks.append(spearman(mine.numpy(), dense.numpy()))
        best = set(dense.topk(elites, largest=False).indices.tolist())
        overlaps.append(len(best & set(mine.topk(elites, largest=False).indices.tolist())) / elites)
    start = plans.latent_ND[:, None, None, None]
    moved = (plans.latents_NISHD - start).square().mean()
    error = (latents - plans.latents_NISHD).square()
    return Agreement(
        spearman=float(np.mean(ranks)),
        topk_overlap=float(np.mean(overlaps)),
        latent_nmse=float(error.mean() / moved),
        nmse_by_step=(error.mean((0, 1, 2, 4)) / moved).tolist(),
        density=density_of(op_counts) if predictor.spiking else None,
    )
