"""What a network sends while a real episode is planned: the traffic that a placement is timed and charged with.

One reported episode of the network's task is planned by the dense method; the network then predicts the same candidates.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spikeplan.core.counts.charges import book_iteration
from spikeplan.core.counts.operations import LayerCounts, OperationCounts
from spikeplan.core.errors import UserError
from spikeplan.core.ir import artifact as artifact_file
from spikeplan.core.ir.artifact import Artifact
from spikeplan.core.limits import LOIHI2, ChipLimits
from spikeplan.evaluation.bundle import header, load_bundle, load_lif
from spikeplan.evaluation.ranking import rerun
from spikeplan.evaluation.recorded_plans import Plans, record_plans
from spikeplan.evaluation.shard import EPISODE_SEED
from spikeplan.placement.groups import BITS_SET, INPUT_BITS, Network, contexts_of, lif_network, network_of
from spikeplan.snn.delta_predictor import DeltaPredictor
from spikeplan.snn.lif import LIFNetwork, LIFPredictor
from spikeplan.worldmodel.checkpoint import WorldModel
from spikeplan.worldmodel.planning.cem import CEMConfig
from spikeplan.worldmodel.predictor import DensePredictor, Predictor
from spikeplan.worldmodel.tasks import WORLDS


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """`sent`: messages of one prediction by layer. `network(replicas)`: the groups to place. `dense`: the same plans by the dense
    network, None where none were recorded."""

    path: str
    method: str
    task: str
    reference: str
    threshold: float
    planner: CEMConfig
    latent_dim: int
    action_dim: int
    sent: dict[str, float]
    network: Callable[[int], Network]
    spiking: OperationCounts
    dense: OperationCounts | None

    def contexts(self, replicas: int) -> int:
        return contexts_of(self.reference, self.planner, replicas)

    @property
    def own_passes(self) -> int:
        """The mean's, which every copy makes (on the reference previous_iteration in the first iteration only: counted
        in all)."""
        return int(self.reference in ("mean_candidate", "previous_iteration"))


def traffic_of(path: str, chip: ChipLimits) -> Traffic:
    """An artifact of sigma-delta layers, or a LIF network as `spikeplan train` writes it."""
    if header(Path(path)).get("kind") == "lif":
        return _lif(path, chip)
    task = _task(path, artifact_file.load(path).provenance.get("task"))
    bundle = load_bundle(task, artifact=path)
    scaled, planner, factor = bundle.artifact, bundle.model.planner, 1.0
    reference = scaled.reference
    op_counts = OperationCounts(
        method="delta", reference=reference, precision="int8", spiking=True, sequential_steps=len(scaled.layers)
    )

    def network(replicas: int) -> Network:
        return network_on(scaled, chip, contexts=contexts_of(reference, planner, replicas))

    return _record(path, bundle.model, DeltaPredictor(scaled), op_counts, reference, factor, network, 1.0)


def _lif(path: str, chip: ChipLimits) -> Traffic:
    net = load_lif(Path(path))
    task = _task(path, header(Path(path)).get("task"))
    model = load_bundle(task).model
    t = net.config.time_steps
    op_counts = OperationCounts(
        method="lif", reference="zero", precision="int8", spiking=True, sequential_steps=t + 3, interleaved_steps=t
    )
    sizes = sizes_of(net)
    dims = (model.predictor.latent_dim + model.predictor.action_dim, model.predictor.latent_dim)
    if (sizes[0], sizes[-1]) != dims:
        raise UserError(f"{path}: {sizes[0]} inputs and {sizes[-1]} outputs, task {task} has {dims[0]} and {dims[1]}")
    coded = 1.0 if chip.graded_messages else INPUT_BITS * BITS_SET
    return _record(path, model, LIFPredictor(net), op_counts, "zero", 1.0, lambda _: network_on(net, chip), coded)


def sizes_of(net: LIFNetwork) -> tuple[int, ...]:
    """Inputs, hidden layers, outputs."""
    return (net.w1.in_features, net.w1.out_features, net.w2.out_features, net.w3.out_features)


def network_on(net: Artifact | LIFNetwork, chip: ChipLimits, *, contexts: int = 0) -> Network:
    """What is placed on `chip`; a LIF network keeps no contexts."""
    if isinstance(net, LIFNetwork):
        return lif_network(sizes_of(net), net.config.time_steps, chip)
    return network_of(net, contexts=contexts)


def _task(path: str, task: Any) -> str:
    if task not in WORLDS:
        raise UserError(f"{path}: its header names task {task!r}, so its traffic cannot be recorded; convert it again")
    return str(task)


def _record(
    path: str,
    model: WorldModel,
    predictor: Predictor,
    op_counts: OperationCounts,
    reference: str,
    factor: float,
    network: Callable[[int], Network],
    coded: float,
) -> Traffic:
    """`coded`: messages that one graded input becomes."""
    plans = record_plans(model, episodes=1, seed=EPISODE_SEED, every=model.planner.horizon)
    rerun(predictor, plans, reference, op_counts)
    if coded != 1.0:
        op_counts = _bit_by_bit(op_counts, coded)
    dense = OperationCounts(method="int8", reference="zero", precision="int8", spiking=False)
    rerun(DensePredictor(model.predictor), plans, "zero", dense)
    for name, linear in zip(("h1", "h2", "h3"), model.predictor.linears(), strict=False):
        dense.set_memory(name, weight_bytes=linear.weight.numel(), state_bytes=0)
    for book in (op_counts, dense):
        _rest_of_the_loop(book, model, plans)
    return Traffic(
        path=path,
        method=op_counts.method,
        task=model.task,
        reference=reference,
        threshold=factor,
        planner=model.planner,
        spiking=op_counts,
        dense=dense,
        latent_dim=model.predictor.latent_dim,
        action_dim=model.predictor.action_dim,
        sent=sent_of(op_counts),
        network=network,
    )


def sent_of(op_counts: OperationCounts) -> dict[str, float]:
    """Messages of one prediction by layer."""
    sent: dict[str, float] = {}
    calls: dict[str, int] = {}
    for (_, layer, _, _), counts in op_counts.counts("predictor"):
        sent[layer] = sent.get(layer, 0) + counts.messages
        calls[layer] = calls.get(layer, 0) + counts.calls
    return {layer: sent[layer] / calls[layer] for layer in sent if sent[layer]}


def traffic_of_run(
    op_counts: OperationCounts, net: Artifact | LIFNetwork, planner: CEMConfig, *, task: str, threshold: float
) -> Traffic:
    """From the operation counts of a run that is done, for a chip of graded messages. `net`: as it planned, thresholds scaled."""
    if isinstance(net, LIFNetwork):
        inputs, *_, outputs = sizes_of(net)
    else:
        inputs, outputs = net.layers[0].n_in, net.layers[-1].n_out

    def network(replicas: int) -> Network:
        return network_on(net, LOIHI2, contexts=contexts_of(op_counts.reference, planner, replicas))

    return Traffic(
        path="",
        method=op_counts.method,
        task=task,
        reference=op_counts.reference,
        threshold=threshold,
        planner=planner,
        latent_dim=outputs,
        action_dim=inputs - outputs,
        sent=sent_of(op_counts),
        network=network,
        spiking=op_counts,
        dense=None,
    )


def _rest_of_the_loop(op_counts: OperationCounts, model: WorldModel, plans: Plans) -> None:
    """Encoder, distance, selection and refit of the recorded plans, as every run is charged; latents come from the host."""
    number, planner = len(plans.latent_ND), model.planner
    for iteration in range(planner.iterations):
        book_iteration(
            op_counts,
            planner,
            spiking=op_counts.spiking,
            batch=number,
            latent_dim=model.predictor.latent_dim,
            action_dim=model.predictor.action_dim,
            iteration=iteration,
            steps=planner.horizon if planner.reduce == "sum" else 1,
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
    )
    dumped = json.loads(json.dumps(op_counts.dump()))
    for _, layer, _, _, counts in dumped["counts"]:
        if layer == "code":
            counts["messages"] = counts["message_bits"] = round(counts["messages"] * coded)
            counts["synops"] = round(counts["synops"] * coded)
            counts["updates"] *= INPUT_BITS
    found.merge(dumped)
    return found
