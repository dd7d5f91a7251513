"""NIR files in: any network of Affine, Linear, Scale, Conv, pools, Flatten and NIR's neurons, with branches and loops.

NIR's equations are in continuous time. A step of `dt_s` seconds makes shares of them, `euler` (snnTorch's and Norse's reading)
or `exact` (sinabs's: an exponential between spikes):

    share(tau) = dt / tau                                euler
               = 1 - exp(-dt / tau)                      exact

    LIF      v' = v (1 - k) + k (v_leak + r (W s + b)),  k = share(tau)
    CubaLIF  u' = u (1 - j) + j w_in (W s + b);          v' = v (1 - k) + k (v_leak + r u'),  j = share(tau_syn)
    IF, I    v' = v + dt r (W s + b)                     a file whose unit of time is its step takes dt = 1 (sinabs)
    LI, CubaLI: LIF and CubaLIF that never fire and send v;  Threshold: s = x > threshold
    a spike if v > v_threshold, then v = v_reset, or v - v_threshold with reset="subtract", which NIR cannot say

Factors are multiplied into the weights in front of a neuron, offsets of Affine and Conv pass through whatever is linear and end
as the neuron's bias. A spike stands for an input of 1 during one step. Units: tau, dt in seconds; the others in the file's own.
The graph has the source's timing: no delay but a loop's. `core.ir.graph.pipelined` gives it a chip's.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from spikeplan.conversion.nir import sigma_delta
from spikeplan.conversion.nir.lowering import Lowering
from spikeplan.conversion.nir.wiring import wiring_of
from spikeplan.core.errors import UserError
from spikeplan.core.ir.graph import Graph
from spikeplan.core.ir.graph.base import MAX_VALUES
from spikeplan.core.ir.graph.graph import MAX_NODES
from spikeplan.core.ir.graph.neurons import RESETS

DT_S = 1e-4  # snnTorch's
DECAYS = ("euler", "exact")


def need_nir() -> Any:
    try:
        import nir
    except ModuleNotFoundError as error:
        raise UserError("NIR files need nir; install it with `pip install spikeplan[norse]`") from error
    return nir


def read_nir(
    path: str | os.PathLike[str],
    *,
    dt_s: float = DT_S,
    graded_input: bool = False,
    decay: str = "euler",
    reset: str = "zero",
) -> Graph:
    """The floating-point network of a NIR file.

    Args:
        dt_s: seconds of a step.
        graded_input: inputs are values and not spikes.
        decay: "euler" or "exact", as the framework that wrote the file computes a step.
        reset: "zero" for what NIR says, "subtract" for frameworks whose reset NIR loses.

    Raises UserError, in one line with the file's name, for a damaged file and for nodes that do not run.

    >>> graph = read_nir("cells.nir", dt_s=1e-3)
    >>> graph.shapes[graph.outputs[0]]
    (10,)
    """
    nir = need_nir()
    if not (isinstance(dt_s, int | float) and 0 < dt_s < float("inf")):
        raise UserError(f"dt {dt_s} must be > 0 seconds")
    if decay not in DECAYS or reset not in RESETS:
        raise UserError(
            f"decay {decay!r:.40} and reset {reset!r:.40}: use {' or '.join(DECAYS)}, and {' or '.join(RESETS)}"
        )
    if not Path(path).is_file():
        raise UserError(f"{path}: no such file; give a NIR network (.nir)")
    source = {"source": Path(path).name}
    try:
        if sigma_delta.has_own(_checked(path)):
            return sigma_delta.read_graph(Path(path), source)
        # Frameworks write shapes that nir's own check refuses; the graph is checked when it is made.
        found = nir.read(path, type_check=False)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except Exception as error:  # nir documents that reading raises anything
        said = " ".join(str(error).split())[:120]
        raise UserError(f"{path}: truncated, or no NIR file ({said}); export it again") from error
    try:
        return Lowering(nir, wiring_of(nir, found), dt_s=dt_s, exact=decay == "exact", reset=reset).graph(
            spikes=not graded_input,
            provenance={**source, "dt_s": dt_s, "decay": decay, "reset": reset},
        )
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except (ValueError, TypeError, AttributeError, LookupError, ArithmeticError) as error:
        said = " ".join(str(error).split())[:120]
        raise UserError(f"{path}: a node's parameters do not fit each other ({said}); export it again") from error


def _checked(path: str | os.PathLike[str]) -> dict[str, str]:
    """The types of a file's nodes, by name. Raises UserError for arrays that are too large and for another file."""
    import h5py

    found: list[str] = []

    def look(name: str, item: Any) -> str | None:
        found.append(name)
        if isinstance(item, h5py.Dataset):
            size = int(np.prod(np.array(item.shape, float))) if item.shape else 1
            if size * item.dtype.itemsize > 8 * MAX_VALUES:
                raise UserError(f"{name!r} declares shape {item.shape} of {item.dtype}; at most 1 GB is read")
        if len(found) > 20 * MAX_NODES:
            raise UserError(f"more than {MAX_NODES} nodes; split the network")
        return None

    with h5py.File(path, "r") as file:
        if "node" not in file:
            raise UserError("no group 'node'; it is HDF5 but no NIR network")
        file.visititems(look)
        nodes = file["node"].get("nodes", {})
        return {name: node["type"][()].decode() for name, node in nodes.items() if "type" in node}
