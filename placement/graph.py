"""Any feed-forward network as a placement sees it: layers of neurons, and the synapses between them.

Neurons of a layer (C, H, W) are numbered as they lie on cores: position after position, the channels of a position side by
side. A core so holds a band of rows, and a message goes only to the bands that its synapses reach. `INPUT` names what comes
from outside the chip, where the first layer has synapses; a delta coder is a layer of its own.

    kind                    state words    sends
    delta, sigma            1              graded messages
    sigma_delta             2              graded messages
    lif                     2  (u, v)      spikes of one bit
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.errors import UserError
from spikeplan.core.fit import STATE_WORDS
from spikeplan.core.fixed_point import MESSAGE_BITS, STATE_BITS
from spikeplan.core.ir import graph as ir
from spikeplan.core.ir.artifact import Artifact
from spikeplan.core.ir.graph import Conv, Linear, Shape

INPUT = "input"
WORDS = STATE_WORDS | {"lif": 2}
LIMIT_BITS = 16  # of a value that a readout sends


@dataclass(frozen=True, kw_only=True)
class Nodes:
    """One layer of neurons. `message_bits` 1: spikes."""

    name: str
    shape: Shape
    kind: str
    message_bits: int
    state_bits: int = STATE_BITS

    @property
    def neurons(self) -> int:
        return int(np.prod(self.shape))

    @property
    def words(self) -> int:
        return WORDS[self.kind]

    @property
    def state_bytes(self) -> int:
        return -(-self.neurons * self.words * self.state_bits // 8)


@dataclass(frozen=True, kw_only=True)
class Link:
    """Synapses from layer `src`, of shape `before`, to layer `dst`."""

    src: str
    dst: str
    synapse: Linear | Conv
    before: Shape

    @property
    def after(self) -> Shape:
        return self.synapse.shape_after((self.before,))

    @property
    def stored(self) -> int:
        """Weights, the kernel of a convolution once."""
        return int(self.synapse.weight.size)

    @property
    def fan_in(self) -> int:
        """Synapses of a neuron away from the border."""
        return self.stored // len(self.synapse.weight)

    @property
    def macs(self) -> int:
        """Multiplications of one dense pass; a convolution multiplies its zero padding, too, as dense libraries do."""
        return self.fan_in * int(np.prod(self.after))


@dataclass(frozen=True, kw_only=True)
class Graph:
    """`layers` in order of computation. `input_bits` 0: nothing comes from outside but to a coder."""

    layers: tuple[Nodes, ...]
    links: tuple[Link, ...]
    input_shape: Shape
    input_bits: int

    def __post_init__(self) -> None:
        if self.input_bits and any(layer.name == INPUT for layer in self.layers):
            raise UserError(f"a layer is called {INPUT!r}, the name of what comes from outside; rename it")

    @property
    def sources(self) -> dict[str, Shape]:
        """Whatever sends messages: the input, where synapses take it, and every layer."""
        outside = {INPUT: self.input_shape} if self.input_bits else {}
        return outside | {layer.name: layer.shape for layer in self.layers}

    @property
    def neurons(self) -> int:
        return sum(layer.neurons for layer in self.layers)

    @property
    def macs(self) -> int:
        return sum(link.macs for link in self.links)

    @property
    def weights(self) -> int:
        return sum(link.stored for link in self.links)

    @property
    def delay(self) -> int:
        """Steps from an input to its effect on the output: the longest chain of synapses."""
        depth = dict.fromkeys(self.sources, 0)
        for layer in self.layers:
            into = [depth[link.src] + 1 for link in self.into(layer.name)]
            depth[layer.name] = max(into, default=0)
        return depth[self.layers[-1].name]

    def layer(self, name: str) -> Nodes:
        return next(layer for layer in self.layers if layer.name == name)

    def into(self, name: str) -> list[Link]:
        return [link for link in self.links if link.dst == name]

    def out_of(self, name: str) -> list[Link]:
        return [link for link in self.links if link.src == name]


def graph_of_network(network: ir.Graph) -> Graph:
    """Of a network graph, as netx and NIR files have it. A pool is a layer of its own that adds up what it receives.

    Raises UserError that names a node for which a placement has no rule.

    >>> graph = graph_of_network(read_nir("cells.nir"))
    >>> graph.macs, graph.weights
    """
    source = network.source
    layers: list[Nodes] = []
    links: list[Link] = []
    for node in network.nodes:
        kind = KIND_OF.get(type(node))
        if kind is not None:
            shape = network.shapes[node.name]
            layers.append(Nodes(name=node.name, shape=shape, kind=kind, message_bits=_message_bits(node)))
            feeding = [link for edge in network.into(node.name) for link in _links(network, edge.src, node.name)]
            if isinstance(node, ir.Pool):
                before = network.shapes[network.into(node.name)[0].src]
                src = _sender(network, network.into(node.name)[0].src)
                feeding = [Link(src=src, dst=node.name, synapse=_as_conv(node, before), before=before)]
            links += feeding
        elif not isinstance(node, ir.Input | Linear | Conv | ir.Sum | ir.Concat):
            raise UserError(
                f"node '{node.name}' ({type(node).__name__}): a placement has no rule for it; place the rest"
            )
    outside = any(link.src == INPUT for link in links)
    return Graph(
        layers=tuple(layers),
        links=tuple(links),
        input_shape=source.shape,
        input_bits=0 if not outside else 1 if source.spikes else MESSAGE_BITS,
    )


KIND_OF: dict[type[ir.Node], str] = {
    ir.Delta: "delta",
    ir.SigmaDelta: "sigma_delta",
    ir.Readout: "sigma",
    ir.LIF: "lif",
    ir.Integrator: "sigma",
    ir.Pool: "delta",
}


def _message_bits(node: ir.Node) -> int:
    if isinstance(node, ir.LIF):
        return 1
    return node.message_bits or STATE_BITS if isinstance(node, ir.Delta | ir.SigmaDelta) else LIMIT_BITS


def _links(network: ir.Graph, src: str, dst: str) -> list[Link]:
    """Synapses that end in a layer: those whose sum it takes."""
    node = network.node(src)
    if isinstance(node, ir.Sum):
        return [link for edge in network.into(src) for link in _links(network, edge.src, dst)]
    if not isinstance(node, Linear | Conv):
        return []  # a coder takes its input without synapses
    (edge,) = network.into(src)
    sender = _sender(network, edge.src)
    return [Link(src=sender, dst=dst, synapse=node, before=network.shapes[edge.src])]


def _sender(network: ir.Graph, name: str) -> str:
    """The layer whose messages arrive: a flattening sends none of its own."""
    node = network.node(name)
    if isinstance(node, ir.Input):
        return INPUT
    if isinstance(node, ir.Concat) and len(network.into(name)) == 1:
        return _sender(network, network.into(name)[0].src)
    if type(node) not in KIND_OF:
        raise UserError(f"node '{name}' ({type(node).__name__}) feeds synapses; a placement has no rule for it")
    return name


def _as_conv(pool: ir.Pool, before: Shape) -> Conv:
    """A sum over windows as the convolution that it is."""
    weight = np.ones((before[0], 1, *pool.kernel), np.int64)
    return Conv(name=pool.name, weight=weight, stride=pool.stride, padding=pool.padding, groups=before[0])


def graph_of_artifact(artifact: Artifact) -> Graph:
    """Of a sigma-delta artifact. A residual edge adds a value once a prediction and is no synapse."""
    by_name = {layer.name: layer for layer in artifact.layers}
    if any(len(artifact.feeds(name)) > 1 or edge.weight_exp for name in by_name for edge in artifact.feeds(name)):
        artifact.need("a placement")
    links, fed = [], set()
    for edge in artifact.edges:
        weight = by_name[edge.dst].weight
        if edge.role == "feed" and weight is not None:
            before = (by_name[edge.src].n_out,)
            links.append(Link(src=edge.src, dst=edge.dst, synapse=Linear(name=edge.dst, weight=weight), before=before))
            fed.add(edge.dst)
    first = artifact.layers[0]
    unfed = [layer for layer in artifact.layers if layer.weight is not None and layer.name not in fed]
    for layer in unfed:
        if layer is not first or layer.weight is None:
            raise UserError(f"layer '{layer.name}': no edge feeds it; convert the network again")
        links.insert(
            0,
            Link(src=INPUT, dst=layer.name, synapse=Linear(name=layer.name, weight=layer.weight), before=(layer.n_in,)),
        )
    return Graph(
        layers=tuple(
            Nodes(
                name=layer.name,
                shape=(layer.n_out,),
                kind=layer.kind,
                message_bits=layer.message_bits,
                state_bits=layer.state_bits,
            )
            for layer in artifact.layers
        ),
        links=tuple(links),
        input_shape=(first.n_in,),
        input_bits=MESSAGE_BITS if unfed else 0,
    )


def as_placed(values: NDArray[Any], shape: Shape) -> NDArray[Any]:
    """Values of a layer's neurons, in PyTorch's order, as flat numbers in the order in which cores take them."""
    found = values.reshape(shape)
    return (found.transpose(1, 2, 0) if len(shape) == 3 else found).reshape(-1)


def reach(link: Link, first: int, neurons: int) -> NDArray[np.int64]:
    """Synapses of each sending neuron into receiving neurons first .. first + neurons, both in the order of cores."""
    synapse = link.synapse
    if isinstance(synapse, Linear):
        return np.full(int(np.prod(link.before)), neurons, dtype=np.int64)
    channels, height, width = link.before
    groups, each = synapse.groups, len(synapse.weight) // synapse.groups
    _, rows, columns = link.after
    position, channel = np.divmod(np.arange(first, first + neurons), len(synapse.weight))
    held = np.zeros((groups, rows * columns), dtype=np.int64)
    np.add.at(held, (channel // each, position), 1)
    grid = held.reshape(groups, rows, columns)
    (ph, pw), (sh, sw), (dh, dw) = synapse.padding, synapse.stride, synapse.dilation
    tall, wide = synapse.weight.shape[2:]
    padded = np.zeros((groups, height + 2 * ph, width + 2 * pw), dtype=np.int64)
    for i in range(tall):
        for j in range(wide):
            padded[:, i * dh : i * dh + sh * rows : sh, j * dw : j * dw + sw * columns : sw] += grid
    inside = padded[:, ph : ph + height, pw : pw + width]
    return np.repeat(inside, channels // groups, axis=0).transpose(1, 2, 0).reshape(-1)
