"""NIR files of leaky integrate-and-fire networks, in and out: a chain of Affine | Linear -> LIF | CubaLIF.

NIR's equations are in continuous time. A step of `dt_s` seconds, forward Euler, makes them (snnTorch's reading, too)

    LIF      v' = v (1 - dt/tau) + (r dt/tau) (W s + b)
    CubaLIF  u' = u (1 - dt/tau_syn) + (w_in dt/tau_syn) (W s);   v' = v (1 - dt/tau_mem) + (r dt/tau_mem) u'
    both     a spike if v' > v_threshold, then v' = v_reset = 0

which is the LIF of lava_procs/lif.py once the factors of the input are multiplied into the weights:

    du = 1 or dt/tau_syn;  dv = dt/tau;  W_ours = W r dt/tau (w_in dt/tau_syn);  bias = b r dt/tau;  vth = v_threshold

A spike stands for an input of 1 during one step. Units: tau, dt in seconds; r, v_leak, v_threshold, v_reset, w_in in the
file's own, which only their products leave. Every layer adds Lava's step of delay.

Refused with one line: v_leak or v_reset other than 0, recurrent or branching graphs, dt beyond a time constant, a bias into
a CubaLIF (it would pass the synaptic filter, ours does not), every other node type.
"""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.errors import UserError
from spikeplan.core.files import write_whole
from spikeplan.core.ir.network import MOST_VALUES, Dense, Layer, LIFNeuron, Network

DT_S = 1e-4  # snnTorch's
MOST_NODES = 1000
Floats = NDArray[np.float64]


def _nir() -> Any:
    try:
        import nir
    except ModuleNotFoundError as error:
        raise UserError("NIR files need nir; install it with `pip install spikeplan[norse]`") from error
    return nir


def read_nir(path: str | os.PathLike[str], *, dt_s: float = DT_S, graded_input: bool = False) -> Network:
    """The floating-point network. `graded_input`: inputs are values and not spikes."""
    nir = _nir()
    if not dt_s > 0:
        raise UserError(f"dt {dt_s} must be > 0 seconds")
    if not Path(path).is_file():
        raise UserError(f"{path}: no such file; give a NIR network (.nir)")
    try:
        _check_sizes(path)
        graph = nir.read(path)
        return _network(nir, _chain(nir, graph), dt_s, graded_input)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except Exception as error:  # nir documents that reading raises anything
        said = " ".join(str(error).split())[:120]
        raise UserError(f"{path}: truncated, or no NIR file ({said}); export it again") from error


def _check_sizes(path: str | os.PathLike[str]) -> None:
    import h5py

    found: list[str] = []

    def look(name: str, item: Any) -> str | None:
        found.append(name)
        if isinstance(item, h5py.Dataset) and (item.size or 0) * item.dtype.itemsize > 8 * MOST_VALUES:
            raise UserError(f"{name!r} declares shape {item.shape} of {item.dtype}; at most 1 GB is read")
        if len(found) > 20 * MOST_NODES:
            raise UserError(f"more than {MOST_NODES} nodes; split the network")
        return None

    with h5py.File(path, "r") as file:
        if "node" not in file:
            raise UserError("no group 'node'; it is HDF5 but no NIR network")
        file.visititems(look)


def _chain(nir: Any, graph: Any) -> list[tuple[str, Any]]:
    """Nodes in order, without Input and Output."""
    after: dict[str, str] = {}
    for source, target in dict.fromkeys(graph.edges):
        if source in after or target in after.values():
            raise UserError(
                f"edge {source} -> {target}: branches and recurrent connections do not run here, only chains"
            )
        after[source] = target
    starts = [name for name, node in graph.nodes.items() if isinstance(node, nir.Input)]
    if len(starts) != 1:
        raise UserError(f"{len(starts)} Input nodes, expected one")
    chain, name = [], after.get(starts[0])
    while name is not None and not isinstance(graph.nodes[name], nir.Output):
        chain.append((name, graph.nodes[name]))
        name = after.get(name)
    reached = {starts[0], *(n for n, _ in chain)}
    left = [n for n, node in graph.nodes.items() if n not in reached and not isinstance(node, nir.Output)]
    if name is None or left:
        where = f"{left[0]!r} is not reached" if left else "it has no Output"
        raise UserError(f"the graph is no chain from Input to Output: {where}")
    return chain


def _network(nir: Any, chain: list[tuple[str, Any]], dt_s: float, graded_input: bool) -> Network:
    layers = []
    weight, bias, inputs = np.zeros((0, 0)), np.zeros(0), 0
    for number, (name, node) in enumerate(chain):
        here = f"node '{name}' ({type(node).__name__})"
        wanted, kinds = (
            ((nir.Affine, nir.Linear), "Affine or Linear")
            if number % 2 == 0
            else ((nir.LIF, nir.CubaLIF), "LIF or CubaLIF")
        )
        if not isinstance(node, wanted):
            raise UserError(f"{here} cannot stand here; expected {kinds}, in turn")
        if number % 2 == 0:
            weight = _numbers(node.weight, f"{here}: weight")
            if weight.ndim != 2:
                raise UserError(f"{here}: weight of shape {weight.shape}; expected (n_out, n_in)")
            inputs = inputs or weight.shape[1]
            bias = _numbers(getattr(node, "bias", np.zeros(len(weight))), f"{here}: bias").reshape(-1)
            if bias.shape != (len(weight),):
                raise UserError(f"{here}: bias of shape {bias.shape}; expected ({len(weight)},)")
        else:
            layers.append(_layer(nir, name, node, here, weight, bias, dt_s))
    if not layers or len(chain) % 2:
        raise UserError("the chain must end in LIF neurons")
    return Network(input_shape=(inputs,), layers=tuple(layers), graded_input=graded_input)


def _layer(nir: Any, name: str, node: Any, here: str, weight: Floats, bias: Floats, dt_s: float) -> Layer:
    n = len(weight)

    def get(key: str) -> Floats:
        found = _numbers(getattr(node, key), f"{here}: {key}").reshape(-1)
        if found.size not in (1, n):
            raise UserError(f"{here}: {found.size} values of {key} for {n} neurons")
        return np.broadcast_to(found, (n,)).copy()

    for key in ("v_leak", "v_reset"):
        if get(key).any():
            raise UserError(f"{here}: {key} other than 0 does not run here; shift the potentials so that it is 0")
    if (get("v_threshold") <= 0).any():
        raise UserError(f"{here}: v_threshold must be > 0")

    def share(key: str) -> Floats:
        tau = get(key)
        if (tau < dt_s).any():
            raise UserError(f"{here}: {key} {tau.min():g} s is below the time step of {dt_s:g} s; choose a smaller dt")
        return dt_s / tau

    cuba = isinstance(node, nir.CubaLIF)
    dv = share("tau_mem" if cuba else "tau")
    gain, du = get("r") * dv, np.ones(n)
    if cuba:
        du = share("tau_syn")
        gain = gain * get("w_in") * du
        if bias.any():
            raise UserError(
                f"{here}: a bias before it would pass its synaptic filter; fold it into the threshold or drop it"
            )
    neuron = LIFNeuron(du=du, dv=dv, vth=get("v_threshold"), bias=gain * bias)
    return Layer(name=name, shape=(n,), neuron=neuron, synapse=Dense(weight=weight * gain[:, None]))


def _numbers(value: Any, what: str) -> Floats:
    found = np.asarray(value)
    if found.dtype.kind not in "iuf" or not np.isfinite(found).all():
        raise UserError(f"{what} is {found.dtype} and must be finite numbers")
    return found.astype(np.float64)


def write_nir(network: Network, path: str | os.PathLike[str], *, dt_s: float = DT_S) -> Path:
    """A floating-point LIF network as NIR. Weights go out as they are: r and w_in are chosen so that their factors are 1."""
    nir, target = _nir(), Path(path)
    if network.sigma_delta or network.fixed or any(not isinstance(layer.synapse, Dense) for layer in network.layers):
        raise UserError("NIR: only floating-point LIF networks of Dense layers are written")
    nodes: dict[str, Any] = {"input": nir.Input(input_type=np.array(network.input_shape))}
    for layer in network.layers:
        neuron, synapse = layer.neuron, layer.synapse
        assert isinstance(neuron, LIFNeuron) and isinstance(synapse, Dense)
        if (neuron.dv <= 0).any() or (neuron.du <= 0).any():
            raise UserError(f"layer '{layer.name}': neurons without a leak have no time constant in NIR's LIF")
        weights = f"{layer.name}_weights"
        same = {
            "v_threshold": neuron.vth,
            "v_reset": np.zeros(layer.n),
            "v_leak": np.zeros(layer.n),
            "r": 1 / neuron.dv,
        }
        if (neuron.du == 1).all():
            nodes[weights] = nir.Affine(weight=synapse.weight, bias=neuron.bias)
            nodes[layer.name] = nir.LIF(tau=dt_s / neuron.dv, **same)
        elif neuron.bias.any():
            raise UserError(f"layer '{layer.name}': NIR's CubaLIF has no bias behind its synaptic filter")
        else:
            nodes[weights] = nir.Linear(weight=synapse.weight)
            nodes[layer.name] = nir.CubaLIF(
                tau_mem=dt_s / neuron.dv, tau_syn=dt_s / neuron.du, w_in=1 / neuron.du, **same
            )
    nodes["output"] = nir.Output(output_type=np.array(network.output_shape))
    names = list(nodes)
    graph = nir.NIRGraph(nodes=nodes, edges=list(pairwise(names)))
    try:
        write_whole(target, lambda temporary: nir.write(temporary, graph))
    except OSError as error:
        raise UserError(f"{target}: cannot write there ({error}); choose a writable directory") from error
    return target
