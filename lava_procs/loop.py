"""Builds the whole planning loop of Lava processes.

    host_in --seed--> candidates --action--> predictor --value--> latent --moved--> distance --cost--> selection
       |  \\                ^  \\                  ^                 |  ^                 ^                    |
       |   +----z----------|---|-----------------|-----------------|--+                 |                  elite
       +--------goal-------|---|-----------------|-----------------|--------------------+                    v
                           |   +---variables-----|-----------------|------------------------------------> refit
                           |                     +--------z--------+                                         |
                           +---------------------------------fit---------------------------------------------+--> host_out

That is layout `stepwise`: a process a part, a Lava step a rollout step. In layout `fused` one process, rollout, stands for
predictor, latent and distance and takes the variables whole. Both compute the same, value by value.
Nothing here imports Lava before `build` is called.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spikeplan.core.errors import UserError
from spikeplan.core.ir.artifact import Artifact
from spikeplan.core.planning import PlanParams
from spikeplan.lava_procs.planning import lava_steps, rollout_steps

CHANNEL_SIZE = 4


def record_shapes(plan: PlanParams, layers: int) -> dict[str, tuple[int, ...]]:
    """Files that a plan fills, a row an iteration."""
    i, s = plan.iterations, plan.samples
    return {
        "cost": (i, s),
        "elite": (i, s),
        "fit": (i, 2, plan.variables, plan.action_dim),
        "path": (i, plan.horizon, s, plan.latent_dim),
        "counts": (i, layers + 1),
        "done": (1,),
    }


def make_files(plan: PlanParams, layers: int, folder: Path, *, fixed: bool) -> dict[str, str]:
    """Zeroed files for both sides to map; `in` is the host's."""
    shapes = {"in": (2 + 2 * plan.latent_dim,), **record_shapes(plan, layers)}
    whole = {"in", "elite", "counts", "done"}
    paths = {}
    for name, shape in shapes.items():
        paths[name] = str(folder / f"{name}.npy")
        np.save(paths[name], np.zeros(shape, np.int64 if fixed or name in whole else np.float64))
    return paths


def validate(artifact: Artifact, plan: PlanParams) -> None:
    artifact.need("the planning loop in Lava", residual=True)
    first, last = artifact.layers[0], artifact.layers[-1]
    if (first.n_in, last.n_out) != (plan.latent_dim + plan.action_dim, plan.latent_dim):
        raise UserError(
            f"artifact: {first.n_in} inputs and {last.n_out} outputs; a loop over {plan.latent_dim} latents and "
            f"{plan.action_dim} actions needs {plan.latent_dim + plan.action_dim} and {plan.latent_dim}"
        )


@dataclass(frozen=True, kw_only=True)
class Loop:
    """`any_process` starts and stops all of it; a plan takes `steps` Lava steps."""

    any_process: Any
    config: Any
    compile_config: dict[str, Any]
    steps: int


def build(
    artifact: Artifact, plan: PlanParams, paths: dict[str, str], *, reference: str, precision: str, layout: str
) -> Loop:
    """Create and connect the processes. Lava must be importable (import_lava)."""
    from lava.magma.core.run_configs import Loihi2SimCfg

    from spikeplan.lava_procs.processes.candidates import Candidates
    from spikeplan.lava_procs.processes.host_in import HostIn
    from spikeplan.lava_procs.processes.host_out import HostOut
    from spikeplan.lava_procs.processes.refit import Refit
    from spikeplan.lava_procs.processes.selection import Selection

    validate(artifact, plan)
    same: dict[str, Any] = {"plan": plan, "rollout_steps": rollout_steps(plan, layout)}
    host, candidates = HostIn(path=paths["in"], **same), Candidates(**same)
    selection, refit = Selection(**same), Refit(**same)
    records = {name: path for name, path in paths.items() if name != "in"}
    out = HostOut(layers=len(artifact.layers), paths=records, **same)
    host.start_out.connect(candidates.start_in)
    candidates.variables_out.connect(refit.variables_in)
    rollouts = _stepwise if layout == "stepwise" else _fused
    cost_out = rollouts(artifact, reference, same, host, candidates, out)
    cost_out.connect([selection.cost_in, out.cost_in])
    selection.elite_out.connect([refit.elite_in, out.elite_in])
    refit.fit_out.connect([candidates.fit_in, out.fit_in])
    return Loop(
        any_process=candidates,
        config=Loihi2SimCfg(select_tag=precision),
        compile_config={"pypy_channel_size": CHANNEL_SIZE},
        steps=lava_steps(plan, same["rollout_steps"]),
    )


def _stepwise(artifact: Artifact, reference: str, same: dict[str, Any], host: Any, candidates: Any, out: Any) -> Any:
    from spikeplan.lava_procs.processes.distance import Distance
    from spikeplan.lava_procs.processes.latent import Latent
    from spikeplan.lava_procs.processes.predictor import Predictor

    predictor, latent, distance = (
        Predictor(artifact=artifact, reference=reference, **same),
        Latent(**same),
        Distance(**same),
    )
    host.z_out.connect(latent.start_in)
    host.goal_out.connect(distance.goal_in)
    candidates.action_out.connect(predictor.action_in)
    latent.z_out.connect(predictor.z_in)
    predictor.value_out.connect(latent.value_in)
    latent.moved_out.connect([distance.moved_in, out.moved_in])
    predictor.counts_out.connect(out.counts_in)
    for clipping in (latent, distance):  # an InPort adds up what arrives from several senders
        clipping.saturated_out.connect(out.saturated_in)
    return distance.cost_out


def _fused(artifact: Artifact, reference: str, same: dict[str, Any], host: Any, candidates: Any, out: Any) -> Any:
    from spikeplan.lava_procs.processes.rollout import Rollout

    rollout = Rollout(artifact=artifact, reference=reference, **same)
    host.z_out.connect(rollout.start_in)
    host.goal_out.connect(rollout.goal_in)
    candidates.variables_out.connect(rollout.variables_in)
    rollout.path_out.connect(out.path_in)
    rollout.counts_out.connect(out.counts_in)
    return rollout.cost_out
