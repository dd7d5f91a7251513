"""Writes a sigma-delta network as a netx file, which lava-dl's hdf5.Network and conversion/netx.py read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from spikeplan.conversion.netx import MESSAGE_BITS, need_h5py
from spikeplan.core.errors import UserError
from spikeplan.core.files import write_whole
from spikeplan.core.ir.network import Conv, Dense, Network, SDNeuron


def write_netx(network: Network, path: str | os.PathLike[str]) -> Path:
    """A file that lava-dl's hdf5.Network reads. Dense weights go out as what they multiply by; where that is no integer (a
    weight that netx changed on the way in), the network has no exact file and is refused."""
    h5py, target = need_h5py(), Path(path)
    if not network.sigma_delta:
        raise UserError("netx: only sigma-delta networks are written; LIF networks go to NIR")

    def fill(temporary: Path) -> None:
        with h5py.File(temporary, "w") as file:
            entries = _entries(network)
            for number, entry in enumerate(entries):
                group = file.create_group(f"layer/{number}")
                for key, value in entry.items():
                    group[key] = value

    try:
        write_whole(target, fill)
    except OSError as error:
        raise UserError(f"{target}: cannot write there ({error}); choose a writable directory") from error
    return target


def _entries(network: Network) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = []
    before = network.input_shape
    if network.layers[0].synapse is not None:
        entries.append({"type": [b"input"], "shape": before})
    for layer in network.layers:
        neuron, synapse = layer.neuron, layer.synapse
        assert isinstance(neuron, SDNeuron)
        if (neuron.spike_exp, neuron.state_exp) != (6, 6) or neuron.message_bits != MESSAGE_BITS:
            raise UserError(f"layer '{layer.name}': netx files know spike_exp 6, state_exp 6 and 16 bits only")
        entry: dict[str, Any] = {"shape": layer.shape, "neuron/type": b"SDNN", "neuron/vThMant": neuron.vth}
        if neuron.kind == "sigma":
            entry["neuron/sigma_output"] = True
        if neuron.bias is not None:
            entry["bias"] = neuron.bias.transpose()  # a value a neuron, which netx reads in Lava's order
        if isinstance(synapse, Dense):
            if len(before) == 3:
                entries.append({"type": [b"flatten"], "shape": (int(np.prod(before)), 1, 1)})
            weight = synapse.weight * 2.0**synapse.weight_exp
            if (weight != np.trunc(weight)).any():
                raise UserError(f"layer '{layer.name}': weights of fractions (weight_exp {synapse.weight_exp})")
            entry |= {"type": [b"dense"], "weight": weight}
        elif isinstance(synapse, Conv):
            entry |= {"type": [b"conv"], "weight": synapse.weight.astype(float), "groups": synapse.groups}
            entry |= {"stride": synapse.stride, "padding": synapse.padding, "dilation": synapse.dilation}
        else:
            entry["type"] = [b"input"]
        entries.append(entry)
        before = layer.shape
    return entries
