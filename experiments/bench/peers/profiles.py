"""`spikeplan.profile` beside the counters of NeuroBench, sinabs and SpikingJelly: two convolutions and a readout.

Each library runs its own network with its own neurons; weights and spikes that come in are drawn alike. NeuroBench leaves out
weights of zero, of which these have some: that is what explains its difference.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import snntorch
import torch
from torch import Tensor, nn

from spikeplan.evaluation.profiles import profile
from spikeplan.experiments.bench.peers.neurobench import neurobench_counts
from spikeplan.experiments.bench.peers.rows import Row, need, row

STEPS, ROWS, CHANNELS, SIDE = 6, 3, 2, 12
RATE = 0.3


def weights(generator: torch.Generator) -> list[nn.Module]:
    """Layers whose neurons fire now and then; one weight in ten is zero."""
    layers: list[nn.Module] = [
        nn.Conv2d(CHANNELS, 8, 3, stride=2, padding=1, bias=False),
        nn.Conv2d(8, 12, 3, padding=1, groups=2, bias=False),
        nn.Linear(12 * 36, 10, bias=False),
    ]
    with torch.no_grad():
        for layer in layers:
            weight: Tensor = layer.weight  # type: ignore[assignment]
            weight.copy_(torch.randn(weight.shape, generator=generator) / weight[0].numel() ** 0.5)
            weight.mul_(torch.rand(weight.shape, generator=generator) > 0.1)
            weight.copy_((weight * 64).round() / 64)  # exact sums: a spike depends on no order of addition
    return layers


def spikes(generator: torch.Generator, *shape: int) -> Tensor:
    return (torch.rand(*shape, CHANNELS, SIDE, SIDE, generator=generator) < RATE).float()


class OverTime(nn.Module):
    """A network of one step, run over the first axis of its input. `forget`: drops the state of the last run."""

    def __init__(self, net: nn.Module, forget: Callable[[], object] = lambda: None) -> None:
        super().__init__()
        self.net, self.forget = net, forget

    def forward(self, x_TRCHW: Tensor) -> Tensor:
        self.forget()
        return torch.stack([self.net(x) for x in x_TRCHW])


def snntorch_network(generator: torch.Generator) -> nn.Module:
    first, second, readout = weights(generator)
    neurons = [snntorch.Leaky(beta=0.9, threshold=0.5, init_hidden=True) for _ in range(3)]
    parts = [first, neurons[0], second, neurons[1], nn.Flatten(), readout, neurons[2]]
    return OverTime(nn.Sequential(*parts), lambda: [one.reset_mem() for one in neurons])


def zero_weights(network: nn.Module, x: Tensor) -> int:
    """Synops of `network` that meet a weight of zero: those of the same network with a mask for weights."""
    kept: dict[str, int] = {}
    hooks = []
    for name, part in network.named_modules():
        if not isinstance(part, nn.Conv2d | nn.Linear):
            continue

        def hook(part: Any, given: tuple[Tensor, ...], _: Tensor, name: str = name) -> None:
            mask = (part.weight == 0).to(torch.float64)
            sent = (given[0] != 0).to(torch.float64)
            if isinstance(part, nn.Linear):
                met = nn.functional.linear(sent, mask)
            else:
                met = nn.functional.conv2d(sent, mask, None, part.stride, part.padding, part.dilation, part.groups)
            kept[name] = kept.get(name, 0) + int(met.sum())

        hooks.append(part.register_forward_hook(hook))
    try:
        with torch.no_grad():
            network(x)
    finally:
        for handle in hooks:
            handle.remove()
    return sum(kept.values())


def neurobench_profile(generator: torch.Generator) -> list[Row]:
    network, x = snntorch_network(generator), spikes(generator, STEPS, ROWS)
    ours = round(profile(network, x, calls=ROWS).synops * ROWS)
    zero = zero_weights(network, x)
    macs, acs = neurobench_counts(network, [x])
    return [
        row(
            "neurobench_profile_snntorch",
            ours,
            macs + acs,
            explained=zero,
            holds=ours - zero == macs + acs > 0,
            note=f"an snnTorch network; {macs} MACs there; explained: weights of zero",
        )
    ]


def sinabs_profile(generator: torch.Generator) -> list[Row]:
    layers, activation, hooks = need("sinabs.layers", "sinabs.activation", "sinabs.hooks")
    first, second, readout = weights(generator)

    def neurons() -> nn.Module:
        settings = {"spike_threshold": torch.tensor(0.5), "spike_fn": activation.SingleSpike}
        made: nn.Module = layers.IAFSqueeze(batch_size=ROWS, **settings)
        return made

    network = nn.Sequential(first, neurons(), second, neurons(), nn.Flatten(), readout, neurons())
    x = spikes(generator, ROWS * STEPS)
    ours = round(profile(network, x).synops * ROWS)
    for part in network:
        if callable(reset := getattr(part, "reset_states", None)):
            reset()
    hooks.register_synops_hooks(network)
    with torch.no_grad():
        network(x)
    other = float(network.hook_data["total_synops_per_timestep"]) * len(x)  # type: ignore[index]
    return [row("sinabs_profile", ours, other, holds=abs(ours - other) < 1 < ours, note="theirs is a mean in fp32")]


def spikingjelly_profile(generator: torch.Generator) -> list[Row]:
    neuron, functional, counters = need(
        "spikingjelly.activation_based.neuron",
        "spikingjelly.activation_based.functional",
        "spikingjelly.activation_based.op_counter",
    )
    first, second, readout = weights(generator)
    neurons = [neuron.LIFNode(tau=2.0, v_threshold=0.3) for _ in range(3)]
    network = OverTime(nn.Sequential(first, neurons[0], second, neurons[1], nn.Flatten(), readout, neurons[2]))
    x = spikes(generator, STEPS, ROWS)
    ours = round(profile(network, x, calls=ROWS).synops * ROWS)
    functional.reset_net(network)
    counter = counters.SynOpCounter()
    with torch.no_grad(), counters.DispatchCounterMode([counter]):
        network(x)
    other = int(counter.get_total())
    return [row("spikingjelly_profile", ours, other, holds=ours == other > 0, note="binary spikes")]
