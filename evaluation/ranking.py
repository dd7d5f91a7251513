"""How a method ranks the same candidates as the dense planner, and where its messages are spent, on recorded plans.

spearman      rank correlation of costs with the dense method's, mean over plans and iterations
topk_overlap  share of the dense method's k elites among the method's own
latent_nmse   |z_method - z_dense|^2 / |z_dense - z_start|^2, all steps
density       synops / dense MACs, the mean's own pass included, per reference; also per iteration and rollout step
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from spikeplan.core.counts.operations import OperationCounts
from spikeplan.evaluation.recorded_plans import Plans
from spikeplan.worldmodel.gates import spearman
from spikeplan.worldmodel.planning.cem import LatentDistance
from spikeplan.worldmodel.planning.rollout import counting, rollout
from spikeplan.worldmodel.predictor import Predictor


@torch.no_grad()
def rerun(predictor: Predictor, plans: Plans, reference: str, op_counts: OperationCounts, *, block: int = 16) -> Tensor:
    """The method's latents (N, I, S, H, D) for the recorded candidates."""
    n, iterations, _, _, _ = plans.candidates_NISHA.shape
    latents = torch.empty_like(plans.latents_NISHD)
    for first in range(0, n, block):
        part = slice(first, first + block)
        state: Any = None
        for i in range(iterations):
            candidates = plans.candidates_NISHA[part, i]
            latents[part, i], state = rollout(
                predictor,
                plans.latent_ND[part],
                candidates,
                reference=reference,
                previous=state,
                on_step=counting(op_counts, i),
            )
        op_counts.actions += len(plans.latent_ND[part])
    return latents


def density_of(op_counts: OperationCounts) -> dict[str, Any]:
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
    return {
        "total": float(synops.sum() / dense.sum()),
        "by_iteration_step": (synops / dense).round(5).tolist(),
        "messages_per_update": {
            name: row["messages"] / max(1, row["neurons"]) for name, row in layers.items() if row["neurons"]
        },
        "saturated": {name: row["saturated"] for name, row in layers.items()},
    }


def agreement(
    predictor: Predictor, plans: Plans, reference: str, op_counts: OperationCounts, *, elites: int
) -> dict[str, Any]:
    latents = rerun(predictor, plans, reference, op_counts)
    cost = torch.stack(
        [LatentDistance().cost(latents[:, i], plans.goal_ND) for i in range(latents.shape[1])], 1
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
    return {
        "spearman": float(np.mean(ranks)),
        "topk_overlap": float(np.mean(overlaps)),
        "latent_nmse": float(error.mean() / moved),
        "nmse_by_step": (error.mean((0, 1, 2, 4)) / moved).tolist(),
        "density": density_of(op_counts) if predictor.spiking else None,
    }
