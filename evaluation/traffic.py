"""What a network sends while a real episode is planned: the traffic that a placement is timed and charged with.

One reported episode of the network's task is planned by the dense method; the network then predicts the same candidates.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from spikeplan.core.chips import LOIHI2, ChipLimits
from spikeplan.core.counts.charges import Judged, book_iteration
from spikeplan.core.counts.operations import LayerCounts, OperationCounts
from spikeplan.core.errors import UserError
from spikeplan.core.groups import BITS_SET, INPUT_BITS, NeuronGroups
from spikeplan.core.guided_planning import GuidedConfig, PlannerConfig
from spikeplan.core.ir import artifact as artifact_file
from spikeplan.core.ir.artifact import Artifact
from spikeplan.core.planning import CEMConfig
from spikeplan.core.progress import OnProgress, no_progress
from spikeplan.evaluation.bundle import load_bundle
from spikeplan.evaluation.job import EPISODE_SEED, Job
from spikeplan.evaluation.network_files import header, load_lif
from spikeplan.evaluation.recorded_plans import Plans, record_plans, rerun
from spikeplan.placement.groups import contexts_of
from spikeplan.snn.delta_predictor import DeltaPredictor
from spikeplan.snn.lif import LIFNetwork
from spikeplan.snn.lif_predictor import LIFPredictor
from spikeplan.worldmodel.checkpoint import WorldModel
from spikeplan.worldmodel.policies.pair import Pair
from spikeplan.worldmodel.predictor import Predictor, ResidualPredictor
from spikeplan.worldmodel.tasks import TASKS, make_world
from spikeplan.worldmodel.tasks.world import KeepOut


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """`sent`: messages of one prediction by layer. `network(replicas)`: the groups to place. `dense`: the same plans by its
    own layers, computed densely; None where none were recorded."""

    path: str
    method: str
    task: str
    reference: str
    threshold: float
    planner: CEMConfig | GuidedConfig
    latent_dim: int
    action_dim: int
    sent: dict[str, float]
    network: Callable[[int], NeuronGroups]
    spiking: OperationCounts
    dense: OperationCounts | None
    places: int = 0

    def contexts(self, replicas: int) -> int:
        return contexts_of(self.reference, self.planner, replicas)

    @property
    def own_passes(self) -> int:
        """The mean's, which every replica makes (on the reference previous_iteration in the first iteration only: counted
        in all)."""
        return int(self.reference in ("mean_candidate", "previous_iteration"))


def traffic_of(path: str, chip: ChipLimits, *, on_progress: OnProgress = no_progress) -> Traffic:
    """An artifact of sigma-delta layers, or a LIF network as `spikeplan train` writes it, on recorded plans of its task."""
    lif = header(Path(path))
    is_lif = lif.get("kind") == "lif"
    net = load_lif(Path(path)) if is_lif else artifact_file.load(path)
    task = _task(path, (lif if isinstance(net, LIFNetwork) else net.provenance).get("task"))
    model = load_bundle(task, artifact=None if is_lif else path).model
    predictor: Predictor = LIFPredictor(net) if isinstance(net, LIFNetwork) else DeltaPredictor(net)
    groups = predictor.neuron_groups(LOIHI2)
    assert groups is not None
    dims = (model.predictor.latent_dim + model.predictor.action_dim, model.predictor.latent_dim)
    found = (groups.groups[0].neurons, groups.groups[-1].neurons)
    if found != dims:
        raise UserError(f"{path}: {found[0]} inputs and {found[1]} outputs, task {task} has {dims[0]} and {dims[1]}")
    reference = "zero" if isinstance(net, LIFNetwork) else net.reference
    sequential, interleaved = predictor.pipeline_steps
    op_counts = OperationCounts(
        method="lif" if is_lif else "sigma_delta",
        reference=reference,
        precision=predictor.precision,
        spiking=True,
        sequential_steps=sequential,
        interleaved_steps=interleaved,
    )
    coded = INPUT_BITS * BITS_SET if is_lif and not chip.graded_messages else 1.0
    return _record(path, model, predictor, chip, op_counts, coded, _widths(net), on_progress)


def _task(path: str, task: Any) -> str:
    if task not in TASKS:
        named = "no task" if task is None else f"task {task!r}, which is none of ours"
        raise UserError(f"{path}: its header names {named}; say what it sends: give --recording, --inputs or --rates")
    return str(task)


def _widths(net: LIFNetwork | Artifact) -> list[tuple[str, int, int]]:
    """Name, inputs and outputs of every layer of synapses."""
    if isinstance(net, Artifact):
        return [(layer.name, layer.n_in, layer.n_out) for layer in net.layers if layer.weight is not None]
    linears = {"h1": net.w1, "h2": net.w2, "out": net.w3}
    return [(name, linear.in_features, linear.out_features) for name, linear in linears.items()]


def dense_counts(layers: Sequence[tuple[str, int, int]], plans: Plans) -> OperationCounts:
    """The placed network's own layers in int8, computed densely for every candidate of the recorded plans."""
    dense = OperationCounts(method="int8", reference="zero", precision="int8", spiking=False)
    number, iterations, samples, horizon, _ = plans.candidates_NISHA.shape
    calls = number * samples
    for iteration in range(iterations):
        for step in range(horizon):
            for name, inputs, outputs in layers:
                macs = inputs * outputs * calls
                counts = LayerCounts(
                    layer=name,
                    macs=macs,
                    dense_macs=macs,
                    calls=calls,
                    state_reads=inputs * calls,
                    state_writes=outputs * calls,
                )
                dense.add("predictor", counts, iteration=iteration, step=step)
    for name, inputs, outputs in layers:
        dense.set_memory(name, weight_bytes=inputs * outputs, state_bytes=0)
    dense.actions = number
    return dense


def _record(
    path: str,
    model: WorldModel,
    predictor: Predictor,
    chip: ChipLimits,
    op_counts: OperationCounts,
    coded: float,
    layers: Sequence[tuple[str, int, int]],
    on_progress: OnProgress,
) -> Traffic:
    """`coded`: messages that one graded input becomes. `layers`: name, inputs and outputs of each. The rerun takes a quarter as
    long as the recording."""
    plans = record_plans(
        model,
        episodes=1,
        seed=EPISODE_SEED,
        every=model.planner.horizon,
        on_progress=lambda done, total: on_progress(4 * done, 5 * total),
    )
    rerun(predictor, plans, op_counts.reference, op_counts)
    for name, (weights, states) in predictor.memory().items():
        op_counts.set_memory(name, weight_bytes=weights, state_bytes=states)
    if coded != 1.0:
        op_counts = _bit_by_bit(op_counts, coded)
    dense = dense_counts(layers, plans)
    for book in (op_counts, dense):
        _rest_of_the_loop(book, model, plans)
    return Traffic(
        path=path,
        method=op_counts.method,
        task=model.task,
        reference=op_counts.reference,
        threshold=1.0,
        planner=model.planner,
        spiking=op_counts,
        dense=dense,
        latent_dim=model.predictor.latent_dim,
        action_dim=model.predictor.action_dim,
        sent=sent_of(op_counts),
        network=_groups(predictor, chip, op_counts.reference, model.planner),
    )


def _groups(
    predictor: Predictor, chip: ChipLimits, reference: str, planner: CEMConfig | GuidedConfig
) -> Callable[[int], NeuronGroups]:
    """Replicas -> what is placed."""

    def network(replicas: int) -> NeuronGroups:
        part = placed_part(predictor, planner)
        groups = part.neuron_groups(chip, contexts=contexts_of(reference, planner, replicas))
        if groups is None:
            raise UserError(f"a {predictor.precision} predictor runs on no {chip.name}; place a spiking network")
        return groups

    return network


def sent_of(op_counts: OperationCounts) -> dict[str, float]:
    """Messages of one prediction by layer."""
    sent: dict[str, float] = {}
    calls: dict[str, int] = {}
    for (_, layer, _, _), counts in op_counts.counts("predictor"):
        sent[layer] = sent.get(layer, 0) + counts.messages
        calls[layer] = calls.get(layer, 0) + counts.calls
    return {layer: sent[layer] / calls[layer] for layer in sent if sent[layer]}


def traffic_of_run(op_counts: OperationCounts, predictor: Predictor, job: Job, model: ResidualPredictor) -> Traffic:
    """From the operation counts of a run that is done, for a chip of graded messages. `predictor`: as it planned.

    Raises ValueError for a planner whose parts are not placed.
    """
    if not is_placed(job.planner):
        raise ValueError(f"{job.planner.label}: its parts are not placed")
    return Traffic(
        path="",
        method=op_counts.method,
        task=job.task,
        reference=op_counts.reference,
        threshold=1.0 if job.threshold is None else job.threshold,
        planner=job.planner,
        latent_dim=model.latent_dim,
        action_dim=model.action_dim,
        sent=sent_of(op_counts),
        network=_groups(predictor, LOIHI2, op_counts.reference, job.planner),
        spiking=op_counts,
        dense=None,
        places=places_of(job.task),
    )


def is_placed(planner: PlannerConfig) -> TypeGuard[CEMConfig | GuidedConfig]:
    """Whether a planner imagines anything: then its passes say what is placed."""
    return bool(planner.passes)


def placed_part(predictor: Predictor, planner: PlannerConfig) -> Predictor:
    """What a plan of this planner runs: a policy and a cost-to-go that it leaves aside are not placed."""
    if not isinstance(predictor, Pair):
        return predictor
    if not any(one.policy for one in planner.passes):
        return predictor.predictor
    return predictor if any(one.to_go for one in planner.passes) else replace(predictor, value=None)


@lru_cache(maxsize=16)
def places_of(task: str) -> int:
    """How many places to keep out of a planner of this task is shown."""
    world = make_world(task)
    if not isinstance(world, KeepOut):
        return 0
    layout = world.sample(1, np.random.default_rng(0)).layout_NL
    return int(world.keep_out_poses(layout).shape[1])


def _rest_of_the_loop(op_counts: OperationCounts, model: WorldModel, plans: Plans) -> None:
    """Encoder, distance, selection and refit of the recorded plans, as every run is charged; latents come from the host."""
    number, planner = len(plans.latent_ND), model.planner
    for iteration in range(planner.iterations):
        book_iteration(
            op_counts,
            planner,
            spiking=op_counts.spiking,
            batch=number,
            action_dim=model.predictor.action_dim,
            iteration=iteration,
            judged=Judged(2 * model.predictor.latent_dim * (planner.horizon if planner.reduce == "sum" else 1)),
        )
    op_counts.add("encoder", LayerCounts(layer="encoder", macs=model.encoder.macs() * number))
    op_counts.set_memory("encoder", weight_bytes=sum(p.numel() for p in model.encoder.parameters()), state_bytes=0)
    op_counts.add_host_words("latents", 2 * plans.latent_ND.numel())


def _bit_by_bit(op_counts: OperationCounts, coded: float) -> OperationCounts:
    """The graded input of a LIF network as bits: so many messages and synops more; as many neurons as bits."""
    found = OperationCounts(
        method=op_counts.method,
        reference=op_counts.reference,
        precision=op_counts.precision,
        spiking=True,
        sequential_steps=op_counts.sequential_steps,
        interleaved_steps=op_counts.interleaved_steps,
        policy_steps=op_counts.policy_steps,
        value_steps=op_counts.value_steps,
    )
    dumped = json.loads(json.dumps(op_counts.dump()))
    for _, layer, _, _, counts in dumped["counts"]:
        if layer == "code":
            counts["messages"] = counts["message_bits"] = round(counts["messages"] * coded)
            counts["synops"] = round(counts["synops"] * coded)
            counts["updates"] *= INPUT_BITS
    found.merge(dumped)
    return found
