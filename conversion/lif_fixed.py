"""A floating-point LIF network in the fixed point of a neurocore, with what that cost.

    du_int = round(4096 du) - 1 (Lava adds the one),  dv_int = round(4096 dv)
    W_int  = 2 round(S W / (2 vth)),  vth_int = S,  bias = round(64 S b / vth) = mant << exp

Every neuron's potential is measured in thresholds, so that one S serves a layer; an integrator, which has none, is measured in
its largest weight. S is the largest for which the weights fit into 8 bits and a sign (Lava keeps even ones), the threshold into
16 bits, the bias into 13 bits and an exponent and, for bounded inputs, the current into 24 bits.
All weights that feed a layer share its S: those of its own synapses and of a loop's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.errors import UserError
from spikeplan.core.fixed_point import STATE_BITS
from spikeplan.core.ir.graph import LIF, Concat, Conv, Graph, Input, Integrator, Linear, Node, Pool, Select, Sum

UNITY = 4096
WEIGHT_MAX = 254
VTH_MAX = (1 << 16) - 1  # one bit below Loihi's 17: the potential must be able to pass it
MANT_MAX, EXP_MAX = 4095, 7
ALIGN = 6
Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class LIFLayerReport:
    """vth_lsb: S. Errors are the largest of the layer: weights and bias as shares of the largest weight, du and dv as shares
    of themselves. lost_weights: weights that were not zero and are now."""

    vth_lsb: int
    weight_error: float
    lost_weights: int
    bias_error: float
    du_error: float
    dv_error: float


def quantise(graph: Graph) -> tuple[Graph, dict[str, LIFLayerReport]]:
    """A fixed-point network and a report a layer. Its spikes differ from the floating form's; how much, only a run tells.

    Raises UserError, with the node's name, for one that takes what no weights make, for weights that 8 bits cannot hold beside
    their threshold, and for nodes without a fixed form.

    >>> fixed, reports = quantise(read_nir("cells.nir"))
    >>> reports["cells"].lost_weights
    """
    if graph.fixed:
        raise UserError("quantise: expected a floating-point network; this one holds integers")
    made: dict[str, Node] = {}
    reports, scales = {}, dict(graph.scales)
    fixed_inputs = Graph(  # bounds of what feeds a layer: spikes are 1, sums of pools a window's size
        nodes=tuple(_plain(node) for node in graph.nodes), edges=graph.edges, outputs=graph.outputs
    ).bounds
    for node in graph.nodes:
        if isinstance(node, LIF | Integrator):
            layer = _Layer(graph, node, fixed_inputs)
            parts, reports[node.name] = layer.quantised()
            made |= {part.name: part for part in parts}
            if isinstance(node, Integrator):
                scales[node.name] = 1 / (layer.scale << ALIGN)
        elif isinstance(node, Input):
            made[node.name] = replace(node, bits=STATE_BITS)
        elif isinstance(node, Pool) and node.weight_exp < 0:
            raise node.refuse(
                "an average in integers loses its fraction; read it as a sum, or run it in floating point"
            )
        elif isinstance(node, Pool | Concat | Select | Sum):
            made[node.name] = node
    if left := [node for node in graph.nodes if node.name not in made]:
        raise left[0].refuse("feeds no neuron, so nothing says its scale; run it in floating point")
    nodes = tuple(made[node.name] for node in graph.nodes)
    return replace(graph, nodes=nodes, scales=scales), reports


def _plain(node: Node) -> Node:
    """A stand-in of integers, to ask how large the inputs of a layer get."""
    if isinstance(node, Linear | Conv):
        return replace(node, weight=np.sign(node.weight).astype(np.int64), weight_bits=8)
    if isinstance(node, LIF):
        return LIF(name=node.name, **{key: np.ones(1, np.int64) for key in ("du", "dv", "vth", "bias")})  # type: ignore[arg-type]
    if isinstance(node, Integrator):
        return Integrator(name=node.name, dv=np.ones(1, np.int64), bias=np.zeros(1, np.int64))
    return replace(node, weight_exp=0) if isinstance(node, Pool) else node


class _Layer:
    """A neuron node and the synapses that feed it. `scale`: S, once it is quantised."""

    scale: int

    def __init__(self, graph: Graph, node: LIF | Integrator, bounds: dict[str, int]) -> None:
        self.graph, self.node, self.bounds = graph, node, bounds
        self.shape = graph.shapes[node.name]
        self.synapses = self._synapses(node.name)
        self.unit = np.ones(self.shape)
        if isinstance(node, LIF):
            self.unit = np.broadcast_to(node.vth, self.shape)
            if (self.unit <= 0).any():
                raise node.refuse("a threshold of 0 or less has no fixed form; shift the potentials")

    def _synapses(self, name: str) -> list[Linear | Conv]:
        found: list[Linear | Conv] = []
        for edge in self.graph.into(name):
            before = self.graph.node(edge.src)
            if isinstance(before, Sum) and not any(before.exps):
                found += self._synapses(before.name)
            elif isinstance(before, Linear | Conv) and len(self.graph.out_of(before.name)) == 1:
                found.append(before)
            else:
                raise self.node.refuse(f"takes '{before.name}', which is no synapse of its own; put a Linear between")
        return found

    def _relative(self, synapse: Linear | Conv) -> Floats:
        """Weights in thresholds."""
        if isinstance(synapse, Linear):
            relative: Floats = synapse.weight / self.unit.reshape(-1, 1)
            return relative
        a_channel = self.unit.reshape(self.shape[0], -1)
        if (a_channel != a_channel[:, :1]).any():
            raise self.node.refuse("thresholds differ within a channel; a kernel in fixed point needs one a channel")
        return synapse.weight / a_channel[:, :1, None, None]

    def quantised(self) -> tuple[list[Node], LIFLayerReport]:
        node = self.node
        relative = [self._relative(synapse) for synapse in self.synapses]
        bias = np.broadcast_to(node.bias, self.shape) / self.unit
        current = np.zeros(1)
        du, du_error = np.full(1, UNITY - 1), 0.0
        if isinstance(node, LIF):
            current = np.broadcast_to(node.current_bias, self.shape) / self.unit
            du, du_error = _decay(node.du, 1)
        dv, dv_error = _decay(node.dv, 0)
        top = max((float(np.abs(part).max()) for part in relative), default=0.0)
        own = max(float(np.abs(bias).max()), float(np.abs(current).max()))
        self.scale = self._largest_scale(relative, top, own, du)
        weights = [(2 * np.rint(part * self.scale / 2)).astype(np.int64) for part in relative]
        if top and not any(part.any() for part in weights):
            raise node.refuse(
                f"its largest weight is {top:.2g} of its threshold and every one rounds to 0; check --dt and the weights, or "
                "run it with --precision floating_pt"
            )
        exp = _exponent(own * self.scale * (1 << ALIGN))
        mant, mant_u = (np.rint(b * self.scale * (1 << ALIGN) / 2**exp).astype(np.int64) for b in (bias, current))
        unit = max(top, own) or 1.0
        wrong = np.abs(mant * 2.0**exp / (self.scale << ALIGN) - bias).max()
        pairs = list(zip(weights, relative, strict=True))
        report = LIFLayerReport(
            vth_lsb=self.scale,
            weight_error=max((float(np.abs(w / self.scale - r).max()) for w, r in pairs), default=0.0) / unit,
            lost_weights=sum(int(np.count_nonzero((w == 0) & (r != 0))) for w, r in pairs),
            bias_error=float(wrong) / unit,
            du_error=du_error,
            dv_error=dv_error,
        )
        parts: list[Node] = [replace(s, weight=w) for s, w in zip(self.synapses, weights, strict=True)]
        small: dict[str, Any] = {"dv": dv, "bias": mant, "bias_exp": exp}
        if isinstance(node, Integrator):
            return [*parts, replace(node, **small)], report
        back = np.rint(np.broadcast_to(node.v_reset, self.shape) / self.unit * self.scale).astype(np.int64)
        small |= {"du": du, "vth": np.full(1, self.scale), "current_bias": mant_u, "v_reset": back}
        return [*parts, replace(node, **small)], report

    def _largest_scale(self, relative: list[Floats], top: float, own: float, du: NDArray[np.int64]) -> int:
        room = [float(VTH_MAX), WEIGHT_MAX / top if top else np.inf]
        if own:  # 13 bits and an exponent of 7 hold the bias
            room.append(MANT_MAX * 2**EXP_MAX / (own * (1 << ALIGN)))
        reach = 0.0  # all inputs at once, again and again; inputs of 24 bits are the user's to keep small
        for part, synapse in zip(relative, self.synapses, strict=True):
            largest = self.bounds[self.graph.into(synapse.name)[0].src]
            if largest < 1 << STATE_BITS - 2:
                reach += float(np.abs(part).reshape(len(part), -1).sum(1).max()) * largest
        if reach:
            held = reach * UNITY / (int(du.min()) + 1)
            room.append(((1 << STATE_BITS - 1) - 1) / (held * (1 << ALIGN)))
        if min(room) < 1:
            raise self.node.refuse(f"a weight is {top:g} times its threshold; 8 bits cannot hold both")
        return int(min(room))


def _decay(share: Floats, offset: int) -> tuple[NDArray[np.int64], float]:
    """Integers out of 4096 less `offset`, kept in their 12 bits, and the largest relative error."""
    found = np.clip(np.rint(share * UNITY).astype(np.int64) - offset, 0, UNITY - offset)
    wrong = np.abs((found + offset) / UNITY - share)
    return found, float((wrong / np.where(share > 0, share, 1)).max())


def _exponent(largest: float) -> int:
    """The smallest exponent whose mantissa fits; _largest_scale has seen to it that there is one."""
    return next((e for e in range(EXP_MAX + 1) if largest / 2**e <= MANT_MAX + 0.5), EXP_MAX)
