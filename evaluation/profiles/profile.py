"""`profile`: operation counts of one call of a network that somebody brings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from spikeplan.core.counts.operations import BYTES, OperationCounts
from spikeplan.core.errors import UserError
from spikeplan.core.format import several
from spikeplan.evaluation.profiles.dense import count_dense
from spikeplan.evaluation.profiles.spiking import count_spiking, neurons_of


@dataclass(frozen=True)
class Profile:
    """Operation counts of `op_counts.actions` calls of one network. `density`: of a layer's MACs, the share that an activation
    sets off that is not zero. `parameters`, and how many of them are zero."""

    op_counts: OperationCounts
    density: dict[str, float] = field(default_factory=dict)
    parameters: int = 0
    zeros: int = 0

    @property
    def schedules(self) -> tuple[str, ...]:
        return ("sequential", "interleaved") if self.op_counts.spiking else ("batched",)

    @property
    def macs(self) -> float:
        """MACs a call; for a spiking network those that the dense one would take."""
        return sum(c.dense_macs or c.macs for _, c in self.op_counts.counts()) / self.op_counts.actions

    @property
    def synops(self) -> float:
        """Synaptic operations a call; 0 for a dense network."""
        return sum(c.synops for _, c in self.op_counts.counts()) / self.op_counts.actions

    def __str__(self) -> str:
        made = f"{self.synops:,.0f} synops of " if self.op_counts.spiking else ""
        calls = several(self.op_counts.actions, "call")
        return f"{made}{self.macs:,.0f} MACs a call, {self.op_counts.precision}, {calls} counted"

    def neurobench(self) -> dict[str, Any]:
        """The same under NeuroBench's result names. Its effective operations leave out weights of zero; these do not, since a
        chip processes every stored synapse.

        >>> profile(net, inputs).neurobench()["SynapticOperations"]["Dense"]
        """
        counts, calls = self.op_counts, self.op_counts.actions
        rows = [c for _, c in counts.counts("predictor")]
        dense = sum(c.dense_macs or c.macs for c in rows)
        set_off = sum(share * (c.dense_macs or c.macs) for c in rows for share in [self.density.get(c.layer, 1.0)])
        graded = any(c.message_bits > c.messages for c in rows)
        effective = (sum(c.synops for c in rows) if counts.spiking else set_off) / calls
        found: dict[str, Any] = {
            "Footprint": sum(weights + states for weights, states in counts.memory.values()),
            "ParameterCount": self.parameters,
            "ConnectionSparsity": self.zeros / self.parameters if self.parameters else 0.0,
            "SynapticOperations": {
                "Effective_MACs": 0.0 if counts.spiking and not graded else effective,
                "Effective_ACs": effective if counts.spiking and not graded else 0.0,
                "Dense": dense / calls,
            },
        }
        updates = sum(c.updates for c in rows)
        if updates:
            found["ActivationSparsity"] = 1 - sum(c.updates_active for c in rows) / updates
            found["MembraneUpdates"] = updates / calls
        return found


def profile(
    network: Any, inputs: Tensor | Sequence[Tensor], *, precision: str = "int8", calls: int | None = None
) -> Profile:
    """Operation counts of a network on these inputs.

    Args:
        network: a torch module called as `network(*inputs)`, one with spiking neurons of snnTorch, Norse, SpikingJelly or sinabs
            among them, a predictor with `begin` and `step`, or what `convert` returned.
        inputs: one tensor or several. A dense module takes a row a call; a predictor takes (latent (N, D), action (N, A)). A
            spiking module takes them in its own order and runs all its time steps in one call of `network`.
        precision: of a torch module's weights and activations, one of int8, fp16, bf16, fp32; a predictor has its own.
        calls: how many the inputs hold; by default their leading axis, or the batch that a spiking module's neurons see.

    Returns the counts; raises UserError for inputs that do not fit and for modules whose products cannot be counted.

    >>> profile(torch.nn.Linear(100, 10), torch.rand(1, 100)).macs
    1000.0
    """
    tensors = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs) if isinstance(inputs, tuple | list) else ()
    if not tensors or any(not isinstance(t, Tensor) or t.dim() < 1 for t in tensors):
        raise UserError("profile: inputs are one tensor or several, each with a leading axis of calls")
    if calls is not None and (isinstance(calls, bool) or not isinstance(calls, int) or calls < 1):
        raise UserError(f"profile: calls is {calls!r}; say how many the inputs hold, at least 1")
    if any(t.is_floating_point() and t.device.type != "meta" and not t.isfinite().all() for t in tensors):
        raise UserError("profile: inputs hold values that are not finite; what they set off cannot be counted")
    if any(t.numel() == 0 for t in tensors):
        raise UserError("profile: inputs without a value; give at least one call")
    if any(t.layout != torch.strided for t in tensors):
        raise UserError("profile: sparse inputs; give dense ones")
    spiking = isinstance(network, nn.Module) and bool(neurons_of(network))
    rows = calls if calls is not None else len(tensors[0])
    if not spiking and (rows < 1 or (calls is None and any(len(t) != rows for t in tensors))):
        raise UserError(f"profile: inputs of {[len(t) for t in tensors]} calls; give each the same number, at least 1")
    from spikeplan.conversion.convert import Converted

    if isinstance(network, Converted):
        network = network.predictor()
    if hasattr(network, "step") and hasattr(network, "begin"):
        return _predictor(network, tensors, rows)
    if not isinstance(network, nn.Module):
        raise UserError(f"profile: a {type(network).__name__} is no torch module and no predictor; wrap it in one")
    if not isinstance(precision, str) or precision not in BYTES:
        raise UserError(f"profile: precision {precision!r} is unknown; use one of {', '.join(BYTES)}")
    if calls is None and not spiking:
        _refuse_other_axis(network)
    if spiking:
        op_counts, density = count_spiking(network, tensors, calls, precision)
    else:
        op_counts, density = count_dense(network, tensors, rows, precision)
    weights = list(network.parameters())
    return Profile(
        op_counts,
        density,
        parameters=sum(p.numel() for p in weights),
        zeros=sum(p.numel() - int(torch.count_nonzero(p)) for p in weights if p.device.type != "meta"),
    )


def _refuse_other_axis(network: nn.Module) -> None:
    """A recurrent module that takes time first would have its steps taken for calls."""
    for name, part in network.named_modules():
        if isinstance(part, nn.RNNBase) and not part.batch_first:
            raise UserError(
                f"profile: module '{name or type(part).__name__}' takes time first, so the leading axis is not of calls; say how "
                "many there are: calls=1"
            )


def _predictor(network: Any, inputs: tuple[Tensor, ...], calls: int) -> Profile:
    if len(inputs) != 2:
        raise UserError(f"profile: a predictor takes (latent, action), {len(inputs)} inputs were given")
    latent, action = inputs
    sequential, interleaved = network.pipeline_steps
    op_counts = OperationCounts(
        method=type(network).__name__,
        reference="zero",
        precision=network.precision,
        spiking=network.spiking,
        sequential_steps=sequential,
        interleaved_steps=interleaved,
    )
    with torch.no_grad():
        state = network.begin(latent, action[:, None, None], "zero")
        _, _, counts = network.step(latent[:, None], action[:, None], state)
    for layer in counts:
        op_counts.add("predictor", layer)
    for name, (weights, states) in network.memory().items():
        op_counts.set_memory(name, weight_bytes=weights, state_bytes=states)
    op_counts.actions = calls
    return Profile(op_counts)
