"""Builds the guided planner of Lava processes, which closes the loop of policy and predictor H times without the host.

    host_in --z--> latent --z--> policy --b--> perturbation --a--> predictor --value--> latent
       |             |             ^                ^  |  `----------a---------------+---------+
       |             +---moved-----|----------------|--|-------> cost <--------------+         |
       +---goal--------------------+                |  |          | |                          |
       +---seed-------------------------------------+  |          J |                          v
       +---goal and places-----------------------------|----------^ +------> winner --action--> host_out

Where the plan has a cost-to-go, process to_go hears goal and moved and tells the cost.

That is layout `stepwise`: a process a part, two Lava steps an imagined step (guided/model.py). In layout `fused` one process,
rollout, stands for all between host_in and winner, and a plan takes one Lava step. Both compute the same, value by value.
Nothing here imports Lava before `build` is called.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from spikeplan.core.errors import UserError
from spikeplan.core.guided_params import GuidedParams
from spikeplan.core.ir.artifact import Artifact
from spikeplan.lava_procs.fused import FusedNetwork, check_reference
from spikeplan.lava_procs.loop import CHANNEL_SIZE, Loop
from spikeplan.lava_procs.planning import LAYOUTS


def lava_steps(p: GuidedParams, layout: str) -> int:
    """Lava steps of a plan: the simulation's, never a chip's."""
    return 2 * p.horizon + 1 if layout == "stepwise" else 1


def make_files(p: GuidedParams, layers: int, folder: Path) -> dict[str, str]:
    """Zeroed files for both sides to map; `in` is the host's. `layers` of all networks together."""
    shapes = {
        "in": (1 + (1 + p.told + p.places) * p.latent_dim,),
        "cost": (p.samples,),
        "winner": (1,),
        "action": (p.action_dim,),
        "actions": (p.horizon, p.samples, p.action_dim),
        "path": (p.horizon, p.samples, p.latent_dim),
        "counts": (layers + 1,),
        "done": (1,),
    }
    paths = {name: str(folder / f"{name}.npy") for name in shapes}
    for name, shape in shapes.items():
        np.save(paths[name], np.zeros(shape, np.int64))
    return paths


def validate(
    policy: Artifact,
    predictor: Artifact,
    p: GuidedParams,
    *,
    value: Artifact | None = None,
    reference: str,
    layout: str,
) -> None:
    """Raises UserError for networks that do not fit the settings or would not be exact, for a price without its places, and for a
    cost-to-go without its network or the other way round."""
    if layout not in LAYOUTS:
        raise UserError(f"layout {layout!r} is unknown; use one of {', '.join(LAYOUTS)}")
    check_reference(reference)
    d, a = p.latent_dim, p.action_dim
    if (value is None) != (p.to_go_weight == 0):
        raise UserError(
            "guided plan: "
            + (
                "a cost-to-go of no weight; leave out its network"
                if value is not None
                else "no network of the cost-to-go"
            )
        )
    networks = [("policy", policy, ((1 + p.told) * d, a)), ("predictor", predictor, (d + a, d))]
    if value is not None:
        networks.append(("cost-to-go", value, (2 * d, 1)))
    for name, artifact, needs in networks:
        found = artifact.layers[0].n_in, artifact.layers[-1].n_out
        if found != needs:
            raise UserError(
                f"{name}: {found[0]} inputs and {found[1]} outputs; a guided plan over {d} latents and {a} actions needs "
                f"{needs[0]} and {needs[1]}"
            )
        try:
            FusedNetwork(artifact, samples=1, reference=reference, fixed=True)
            artifact.need("a guided plan in Lava", residual=name == "predictor")
        except UserError as error:
            raise UserError(f"{name}: {error}") from error
    if p.places == 0 and any(priced.name == "avoid" for priced in p.prices):
        raise UserError(
            "guided plan: price avoid without a place to keep out of; set places, or plan without this price"
        )


def build(
    policy: Artifact,
    predictor: Artifact,
    p: GuidedParams,
    paths: dict[str, str],
    *,
    value: Artifact | None = None,
    reference: str,
    layout: str,
) -> Loop:
    """Create and connect the processes. Lava must be importable (import_lava)."""
    from lava.magma.core.run_configs import Loihi2SimCfg

    from spikeplan.lava_procs.guided.processes.host_in import HostIn
    from spikeplan.lava_procs.guided.processes.host_out import HostOut
    from spikeplan.lava_procs.guided.processes.winner import Winner

    validate(policy, predictor, p, value=value, reference=reference, layout=layout)
    same: dict[str, Any] = {"params": p, "layout": layout}
    networks = {"policy": policy, "predictor": predictor, "value": value, "reference": reference}
    host, winner = HostIn(path=paths["in"], **same), Winner(**same)
    records = {name: path for name, path in paths.items() if name != "in"}
    out = HostOut(counted=counted(policy, predictor, value), paths=records, **same)
    parts = _stepwise if layout == "stepwise" else _fused
    parts(networks, same, host, winner, out)
    winner.winner_out.connect(out.winner_in)
    winner.action_out.connect(out.action_in)
    return Loop(
        any_process=host,
        config=Loihi2SimCfg(select_tag="fixed_pt"),
        compile_config={"pypy_channel_size": CHANNEL_SIZE},
        steps=lava_steps(p, layout),
    )


def counted(policy: Artifact, predictor: Artifact, value: Artifact | None = None) -> int:
    """Length of the counts: messages of the policy's layers, the predictor's and the cost-to-go's, then everything clipped."""
    return sum(len(network.layers) for network in (policy, predictor, value) if network is not None) + 1


def _fused(networks: dict[str, Any], same: dict[str, Any], host: Any, winner: Any, out: Any) -> None:
    from spikeplan.lava_procs.guided.processes.rollout import Rollout

    rollout = Rollout(**networks, **same)
    host.seed_out.connect(rollout.seed_in)
    host.z_out.connect(rollout.start_in)
    host.goal_out.connect(rollout.goal_in)
    rollout.cost_out.connect([winner.cost_in, out.cost_in])
    rollout.first_out.connect(winner.action_in)
    rollout.actions_out.connect(out.actions_in)
    rollout.path_out.connect(out.path_in)
    rollout.counts_out.connect(out.counts_in)


def _stepwise(networks: dict[str, Any], same: dict[str, Any], host: Any, winner: Any, out: Any) -> None:
    from spikeplan.lava_procs.guided.processes.cost import Cost
    from spikeplan.lava_procs.guided.processes.latent import Latent
    from spikeplan.lava_procs.guided.processes.perturbation import Perturbation
    from spikeplan.lava_procs.guided.processes.policy import Policy
    from spikeplan.lava_procs.guided.processes.predictor import Predictor
    from spikeplan.lava_procs.guided.processes.to_go import ToGo

    reference, value = networks["reference"], networks["value"]
    before = len(networks["policy"].layers)
    length = counted(networks["policy"], networks["predictor"], value)
    latent, cost, perturbation = Latent(counted=length, **same), Cost(counted=length, **same), Perturbation(**same)
    policy = Policy(artifact=networks["policy"], reference=reference, offset=0, counted=length, **same)
    predictor = Predictor(artifact=networks["predictor"], reference=reference, offset=before, counted=length, **same)
    host.seed_out.connect(perturbation.seed_in)
    host.z_out.connect(latent.start_in)
    host.goal_out.connect([policy.goal_in, cost.goal_in])
    latent.z_out.connect([policy.z_in, predictor.z_in])
    latent.moved_out.connect([cost.moved_in, out.moved_in])
    policy.proposal_out.connect(perturbation.proposal_in)
    perturbation.action_out.connect([predictor.action_in, cost.action_in, out.taken_in])
    perturbation.first_out.connect(winner.action_in)
    predictor.value_out.connect(latent.value_in)
    cost.cost_out.connect([winner.cost_in, out.cost_in])
    senders: list[Any] = [policy, predictor, latent, cost]
    if value is not None:
        offset = before + len(networks["predictor"].layers)
        to_go = ToGo(artifact=value, reference=reference, offset=offset, counted=length, **same)
        host.goal_out.connect(to_go.goal_in)
        latent.moved_out.connect(to_go.moved_in)
        to_go.told_out.connect(cost.to_go_in)
        senders.append(to_go)
    for counting in senders:  # an InPort adds up what arrives from several senders
        counting.counts_out.connect(out.counts_in)
