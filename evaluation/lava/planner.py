"""The Lava session behind the Planner contract: `run_episodes` closes the loop through it, one episode at a time.

Its noise is one seed a plan, and its warm start lives in the loop: `warm` only says whether an episode goes on.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spikeplan.core.counts.operations import OperationCounts
from spikeplan.core.errors import UserError
from spikeplan.core.ir import artifact as artifact_file
from spikeplan.core.ir.artifact import Artifact
from spikeplan.core.noise import candidate_noise
from spikeplan.core.planning import CEMConfig
from spikeplan.lava_procs.session import LavaSession, PlanRecord
from spikeplan.snn.delta_predictor import DeltaPredictor
from spikeplan.worldmodel.planning.integer_cem import IntegerCEM, IntegerTrace


class ReferencePlan(NamedTuple):
    """`saturated`: states, messages, latents, distances and costs that were clipped."""

    trace: IntegerTrace
    messages_IL: NDArray[np.int64]
    saturated: int


class LavaPlanner:
    """plan(latent (1, D), goal (1, D), seed (1,), warm) -> action (1, A), mean (1, V, A), PlanRecord."""

    def __init__(
        self,
        artifact: Artifact,
        config: CEMConfig,
        *,
        action_dim: int,
        action_limit: float,
        reference: str,
        workdir: Path,
        timeout_s: float,
        layout: str = "fused",
    ) -> None:
        self.artifact, self.predictor = artifact, DeltaPredictor(artifact)
        self.config, self.reference = config, reference
        self.op_counts: OperationCounts | None = None  # the reference counts; it computes the same
        self.action_dim, self.action_limit = action_dim, action_limit
        self.golden = IntegerCEM(
            self.predictor, config, action_dim=action_dim, action_limit=action_limit, reference=reference
        )
        workdir.mkdir(parents=True, exist_ok=True)
        path = artifact_file.save(artifact, workdir / "network.safetensors")
        self.session = LavaSession.open(
            path, self.golden.params, timeout_s=timeout_s, workdir=workdir, reference=reference, layout=layout
        )

    def noise(self, episodes: int, generator: torch.Generator) -> Tensor:
        return self.golden.seeds(episodes, generator)

    def shift(self, mean_BVA: Tensor) -> Tensor:
        return mean_BVA

    @torch.no_grad()
    def plan(
        self, latent_BD: Tensor, goal_BD: Tensor, noise_B: Tensor, warm: Tensor | None = None, *, record: bool = False
    ) -> tuple[Tensor, Tensor, PlanRecord]:
        if len(latent_BD) != 1:
            raise UserError(f"Lava: {len(latent_BD)} episodes at once; one loop plans one episode")
        z, goal = (self.predictor.encode(v)[0].numpy().astype(np.int64) for v in (latent_BD, goal_BD))
        action, found = self.session.plan(z, goal, int(noise_B[0]), fresh=warm is None)
        shift = self.golden.params.action_shift
        real = torch.from_numpy(action.astype(np.int64) << shift).float() * self.predictor.action_scale
        return real[None], torch.from_numpy(found.mean_IVA[-1])[None], found

    def reference_plan(
        self, latent_BD: Tensor, goal_BD: Tensor, seed: int, mean: Tensor | None = None
    ) -> tuple[Tensor, ReferencePlan]:
        """The same plan by the integer reference, counted: mean (1, V, A) and everything it computed. `mean`: of the plan
        before, None at the start of an episode."""
        r = self.golden.params
        op_counts = OperationCounts(method="integer", reference=self.reference, precision="int8", spiking=True)
        self.golden.op_counts = op_counts
        drawn = torch.from_numpy(candidate_noise(np.array([seed]), r.samples, r.variables, r.action_dim)).long()
        warm = None if mean is None else self.golden.shift(mean)
        z, goal = self.predictor.encode(latent_BD), self.predictor.encode(goal_BD)
        mean, trace = self.golden.plan_integers(z, goal, drawn, warm, record=True)
        self.golden.op_counts = None
        messages = np.zeros((r.iterations, len(self.artifact.layers)), np.int64)
        rows = {layer.name: number for number, layer in enumerate(self.artifact.layers)}
        saturated = trace.saturated
        for (_, layer, iteration, _), counts in op_counts.counts("predictor"):
            saturated += counts.saturated
            if layer in rows:
                messages[iteration, rows[layer]] += counts.messages
        return mean, ReferencePlan(trace, messages, saturated)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.session.close()


def differences(found: PlanRecord, plan: ReferencePlan) -> tuple[int, int]:
    """(values compared, values different) between a Lava plan and the reference's: costs, elites, means, spreads, every
    candidate's latent after every step, messages of every layer and iteration, and how much was clipped in all."""
    trace = plan.trace
    assert trace.latents_IBSHD is not None
    pairs = [
        (found.cost_IS, trace.cost_IBS[:, 0]),
        (found.elite_IS, trace.elite_IBS[:, 0]),
        (found.mean_IVA, trace.mean_IBVA[:, 0]),
        (found.spread_IVA, trace.spread_IBVA[:, 0]),
        (found.path_IHSD, trace.latents_IBSHD[:, 0].transpose(1, 2)),
    ]
    checks = [(ours, theirs.numpy()) for ours, theirs in pairs]
    checks.append((found.messages_IL, plan.messages_IL))
    checks.append((found.saturated_I.sum(keepdims=True), np.array([plan.saturated])))
    return sum(ours.size for ours, _ in checks), sum(int((ours != theirs).sum()) for ours, theirs in checks)
