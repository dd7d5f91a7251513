"""A converter of another package in a process of its own: `python -m spikeplan.experiments.bench.converters.worker PEER FOLDER`.

FOLDER/given.safetensors   chain.* (the trained weights), x (calibration), fresh (inputs that are held out)
FOLDER/PEER.safetensors    is written: SETTING|BITS|T|out (N, D), and with h1 or h2 for out: spikes of each neuron per prediction
FOLDER/job.json            case, times: at how many steps the mean output is read

SpikingJelly  RateCodingRecipe by maximum, by percentile and by channel with half a threshold at the start; its local threshold
              balancing (Bu et al. 2024)
sinabs        from_model, which sends several spikes a step. Its normalize_weights leaves the range of the layer before out of a
              bias, so a network with biases becomes another one. We scale as the paper that it cites does (Rueckauer et al.
              2017: b by its own layer's whole range), to 1 and to 4 spikes a step, and run its own function's result, too.
Each runs with the float32 weights that it makes (BITS 32), and with these rounded to 8 bits, a scale an output channel, as ours.
Exit code 3: the package does not import.
"""

from __future__ import annotations

import copy
import json
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from spikeplan.conversion.recipes.surrogate import round_weights
from spikeplan.experiments.bench.converters.networks import Flat, Image

NOT_INSTALLED = 3
BATCH = 256
PERCENTILES = (99.0, 99.9, 100.0)
SPIKES_A_STEP = (1, 4)
Setting = tuple[str, nn.Module, type[nn.Module], Callable[[nn.Module], object]]


def spikingjelly(chain: nn.Sequential, x: Tensor) -> Iterator[Setting]:
    from spikingjelly.activation_based import ann2snn, functional, neuron

    batches = [(part, part) for part in x.split(BATCH)]
    recipes = {f"rate, {mode}": ann2snn.RateCodingRecipe(batches, mode=mode) for mode in ("Max", "99.9%", "99%")}
    recipes["rate by channel, half threshold"] = ann2snn.RateCodingRecipe(
        batches, mode="99.9%", channel_wise=True, half_threshold=True
    )
    recipes["local threshold balancing"] = ann2snn.LocalThresholdBalancingRecipe(batches * 4)
    for name, recipe in recipes.items():
        yield name, ann2snn.Converter(recipe).convert(copy.deepcopy(chain)), neuron.BaseNode, functional.reset_net


def sinabs(chain: nn.Sequential, x: Tensor) -> Iterator[Setting]:
    from sinabs.from_torch import from_model
    from sinabs.layers import IAFSqueeze
    from sinabs.utils import normalize_weights, reset_states

    def made(scaled: nn.Module) -> nn.Module:
        found: nn.Module = from_model(scaled, num_timesteps=1, batch_size=None).spiking_model
        return found

    for percentile in PERCENTILES:
        for spikes in SPIKES_A_STEP:
            name = f"{percentile:g} % at {spikes} a step"
            yield name, made(scaled(chain, x, percentile, spikes)), IAFSqueeze, reset_states
    own = copy.deepcopy(chain)
    before = [float(p.detach().abs().max()) for p in own.parameters()]
    relus, layers = (
        [n for n, m in own.named_children() if isinstance(m, k)] for k in (nn.ReLU, (nn.Linear, nn.Conv2d))
    )
    normalize_weights(own, x, relus, layers[: len(relus)], percentile=99.0)
    after = [float(p.detach().abs().max()) for p in own.parameters()]
    with torch.no_grad():  # what it divided by, given back at the output
        gain = 1.0
        for i in range(len(relus)):
            gain *= before[2 * i] / after[2 * i]
        own.get_submodule(layers[-1]).weight.mul_(gain)  # type: ignore[operator]
    yield "its own normalize_weights", made(own), IAFSqueeze, reset_states


@torch.no_grad()
def scaled(chain: nn.Sequential, x: Tensor, percentile: float, spikes: int) -> nn.Sequential:
    """The same function, with ReLUs that reach `spikes` at a percentile of their calibration."""
    found, before, value = copy.deepcopy(chain), 1.0, x
    pending: Any = None
    for mine, theirs in zip(found, chain, strict=True):
        value = theirs(value)
        if isinstance(mine, nn.Linear | nn.Conv2d):
            mine.weight.mul_(before)
            pending = mine
        elif isinstance(mine, nn.ReLU):
            rank = max(1, round(percentile / 100 * value.numel()))
            top = float(value.flatten().kthvalue(rank).values) / spikes
            pending.weight.div_(top)
            pending.bias.div_(top)
            before = top
    return found


@torch.no_grad()
def round_all(network: nn.Module) -> None:
    for part in network.modules():
        if isinstance(part, nn.Linear | nn.Conv2d):
            rows = part.weight.flatten(1)
            round_weights([rows])
            part.weight.copy_(rows.view_as(part.weight))


@torch.no_grad()
def run(setting: Setting, fresh: Tensor, times: list[int]) -> dict[str, Tensor]:
    """Outputs averaged over the first T steps, and spikes until then, for every T of `times`; then with rounded weights."""
    name, network, neurons, reset = setting
    counts: dict[str, Any] = {}
    for number, part in enumerate([m for m in network.modules() if isinstance(m, neurons)], 1):

        def hook(_: nn.Module, given: object, sent: Tensor, key: str = f"h{number}") -> None:
            counts[key] = counts.get(key, 0) + sent.flatten(1).sum(0).double()

        part.register_forward_hook(hook)
    found: dict[str, Tensor] = {}
    for bits in (32, 8):
        if bits == 8:
            round_all(network)
        reset(network)
        counts.clear()
        total = torch.zeros(())
        for t in range(1, max(times) + 1):
            total = total + network(fresh)
            if t in times:
                found[f"{name}|{bits}|{t}|out"] = total / t
                found |= {f"{name}|{bits}|{t}|{key}": count / len(fresh) for key, count in counts.items()}
    return {key: value.contiguous().clone() for key, value in found.items()}


PEERS = {"spikingjelly": spikingjelly, "sinabs": sinabs}
CHAINS: dict[str, Callable[[Tensor], nn.Sequential]] = {
    "mlp": lambda x: Flat(x.shape[1] - 2, 2).chain,
    "conv": lambda x: Image().chain,
}


def main(peer: str, folder: str) -> int:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # they are not ours to mend
    at = Path(folder)
    job, given = json.loads((at / "job.json").read_text()), load_file(at / "given.safetensors")
    chain = CHAINS[job["case"]](given["x"])
    chain.load_state_dict({k.removeprefix("chain."): v for k, v in given.items() if k.startswith("chain.")})
    found: dict[str, Tensor] = {}
    try:
        for setting in PEERS[peer](chain.eval(), given["x"]):
            found |= run(setting, given["fresh"], job["times"])
    except ImportError as error:
        print(f"{peer}: {error}", file=sys.stderr)
        return NOT_INSTALLED
    save_file(found, at / f"{peer}.safetensors")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
