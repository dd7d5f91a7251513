"""The `lava` method: whole episodes planned by the Lava loop, every plan compared with the integer reference.

Beside success it logs what the latent does over a rollout: z takes the predictor's change once per prediction, so rounding
and lost messages add up. Drift at step t, of the first iteration's candidates of every plan:

    drift[t] = sqrt(sum (z_lava[t] - z_other[t])^2 / sum (z_other[t] - z[0])^2)

`other`: the same network in floating point without widths (what rounding does), and the dense network that it was made from
(what the conversion does as well). 0.1 is an error of a tenth of the way that the latent went.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from spikeplan.core.ir.artifact import Artifact
from spikeplan.core.planning import CEMConfig
from spikeplan.evaluation.bundle import Bundle, load_bundle
from spikeplan.evaluation.lava.planner import LavaPlanner, differences
from spikeplan.evaluation.lava.row import loop_row
from spikeplan.evaluation.rows import LavaLoopRow
from spikeplan.evaluation.shard import EPISODE_SEED
from spikeplan.lava_procs.fused import FusedNetwork
from spikeplan.lava_procs.session import PlanRecord
from spikeplan.worldmodel.planning.closed_loop import ImageLatent, run_episodes
from spikeplan.worldmodel.tasks import make_world

TIMEOUT_S = 600.0


class CheckedPlanner:
    """A LavaPlanner whose every plan the reference repeats."""

    def __init__(self, planner: LavaPlanner, dense: torch.nn.Module) -> None:
        self.planner, self.dense = planner, dense
        self.config, self.op_counts, self.predictor = planner.config, planner.op_counts, planner.predictor
        self.floating = FusedNetwork(
            planner.artifact, samples=self.config.samples, reference=planner.reference, fixed=False
        )
        self.compared = self.different = 0
        self.seconds: list[float] = []
        self.messages: list[np.ndarray] = []
        self.saturated = 0
        self.drifts: dict[str, list[np.ndarray]] = {"floating": [], "dense": []}

    def noise(self, episodes: int, generator: torch.Generator) -> Tensor:
        return self.planner.noise(episodes, generator)

    def shift(self, mean_BVA: Tensor) -> Tensor:
        return self.planner.shift(mean_BVA)

    def plan(
        self, latent_BD: Tensor, goal_BD: Tensor, noise: Tensor, warm: Tensor | None = None, *, record: bool = False
    ) -> tuple[Tensor, Tensor, PlanRecord]:
        action, mean, found = self.planner.plan(latent_BD, goal_BD, noise, warm)
        _, plan = self.planner.reference_plan(latent_BD, goal_BD, int(noise[0]), warm)
        seen, wrong = differences(found, plan)
        self.compared, self.different = self.compared + seen, self.different + wrong
        self.seconds.append(found.seconds)
        self.messages.append(found.messages_IL.sum(0))
        self.saturated += int(found.saturated_I.sum())
        z = self.predictor.encode(latent_BD)[0].double().numpy()
        self._drift(z, plan.trace.candidates_IBSVA[0, 0].numpy(), found.path_IHSD[0])
        return action, mean, found

    def _drift(self, z_D: np.ndarray, variables_SVA: np.ndarray, path_HSD: np.ndarray) -> None:
        """Squared errors and squared ways, (2, H), summed over candidates and latent."""
        r, predictor = self.planner.golden.params, self.predictor
        actions_SHA = (variables_SVA << r.action_shift).repeat(r.chunk, 1)[:, : r.horizon]
        z = {"floating": np.tile(z_D, (r.samples, 1)), "dense": np.tile(z_D, (r.samples, 1))}
        sums: dict[str, list[tuple[float, float]]] = {name: [] for name in z}
        self.floating.reset()
        for t in range(r.horizon):
            action = actions_SHA[:, t]
            z["floating"] = z["floating"] + self.floating.run(np.concatenate([z["floating"], action], 1))
            real = (
                torch.from_numpy(a * s).float()[None]
                for a, s in ((z["dense"], predictor.latent_scale), (action, predictor.action_scale))
            )
            with torch.no_grad():
                z["dense"] = self.dense(*real)[0].double().numpy() / predictor.latent_scale
            for name, other in z.items():
                sums[name].append((np.square(path_HSD[t] - other).sum(), np.square(other - z_D).sum()))
        for name, pairs in sums.items():
            self.drifts[name].append(np.array(pairs).T)

    def drift(self, name: str) -> list[float]:
        error_H, way_H = np.sum(self.drifts[name], 0)
        return [round(float(value), 6) for value in np.sqrt(error_H / np.maximum(way_H, 1e-300))]


def lava_episodes(
    *,
    bundle: Bundle,
    planner: CEMConfig,
    reference: str,
    threshold: float,
    episodes: int,
    seed: int,
    folder: Path,
    progress: Callable[[int], None] | None = None,
) -> LavaLoopRow:
    """Success with interval, values compared and different, seconds and messages a plan, drift by step."""
    world = make_world(bundle.task)
    drawn = world.sample(episodes, np.random.default_rng(EPISODE_SEED))
    artifact: Artifact = bundle.artifact.scaled(threshold)
    with LavaPlanner(
        artifact,
        planner,
        action_dim=world.action_dim,
        action_limit=world.action_limit,
        reference=reference,
        workdir=folder,
        timeout_s=TIMEOUT_S,
    ) as in_lava:
        checked = CheckedPlanner(in_lava, load_bundle(bundle.task, checkpoint=str(bundle.model_path)).model.predictor)
        outcome = run_episodes(
            world, ImageLatent(world, bundle.model.encoder), checked, drawn, seed=seed, block=1, progress=progress
        )
    return loop_row(
        checked,
        outcome,
        task=bundle.task,
        reference=reference,
        threshold=threshold,
        layers=[layer.name for layer in artifact.layers],
        evaluations=planner.evaluations,
        drift_from_floating=checked.drift("floating"),
        drift_from_dense=checked.drift("dense"),
    )
