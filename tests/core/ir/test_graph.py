"""The network graph: what it refuses, what it computes by hand, what its file keeps, what a chip's delays do to it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from spikeplan.core.errors import UserError
from spikeplan.core.ir.graph import (
    LIF,
    Conv,
    Delta,
    Edge,
    GatedRecurrence,
    Graph,
    Input,
    Integrator,
    Linear,
    Node,
    Pool,
    Product,
    RMSNorm,
    SigmaDelta,
    Sum,
    Table,
    chain,
    depths,
    from_first_input,
    pipelined,
)
from spikeplan.core.ir.graph.file import FILE, load, save
from spikeplan.core.ir.graph.reference import Running
from spikeplan.experiments.bench.drawn_graphs import drawn, inputs_of

Array = np.ndarray[Any, Any]


def ints(*values: Any) -> Array:
    return np.array(values, np.int64)


def run(graph: Graph, *rows: Any, name: str = "x") -> list[list[int]]:
    running = Running(graph)
    return [next(iter(running.step({name: np.array(row)}).values())).reshape(-1).tolist() for row in rows]


def after(*nodes: Node, shape: tuple[int, ...] = (2,)) -> Graph:
    return chain([Input(name="x", shape=shape), *nodes])


def test_bits_that_a_delta_coder_cannot_send_stay_owed_or_are_lost() -> None:
    owed = after(Delta(name="d", threshold_lsb=4, shift=2), shape=(1,))
    assert run(owed, [7], [7], [9], [9]) == [[1], [0], [1], [0]]  # 7 = 4 + 3 owed; 9 - 4 = 5 -> 1
    lost = after(Delta(name="d", threshold_lsb=4, shift=2, residue="lost"), shape=(1,))
    assert run(lost, [7], [7], [9], [-9]) == [[1], [0], [0], [-4]]  # told 7; -16 >> 2


def test_sigma_delta_sends_the_change_of_its_rectified_sum() -> None:
    net = after(Linear(name="w", weight=ints([2, -1])), SigmaDelta(name="h", bias=ints(1), threshold_lsb=1))
    assert run(net, [3, 0], [0, 0], [0, 9], [-1, 0]) == [[7], [0], [-7], [0]]


def test_lif_resets_to_zero_or_by_subtraction() -> None:
    """vth 10: 64 states an activation LSB. du 4095 keeps no current, dv 0 no leak: v = 0, 7, 14 -> spike."""
    common = {"du": ints(4095), "dv": ints(0), "vth": ints(10), "bias": ints(0)}
    zero, subtract = (after(LIF(name="s", reset=reset, **common), shape=(1,)) for reset in ("zero", "subtract"))
    assert run(zero, *[[7]] * 6) == [[0], [1], [0], [1], [0], [1]]
    assert run(subtract, *[[7]] * 6) == [[0], [1], [1], [0], [1], [1]]  # 7, 14-10=4, 11-10=1, 8, 15-10=5, 12


def test_a_bias_waits_for_its_step() -> None:
    net = after(Integrator(name="v", dv=ints(0), bias=ints(640), bias_start=2, shift=6), shape=(1,))
    assert run(net, [1], [1], [1], [0]) == [[1], [2], [13], [23]]


def test_a_gate_mixes_state_and_candidate_toward_zero() -> None:
    nodes: list[Node] = [
        Input(name="f", shape=(1,)),
        Input(name="c", shape=(1,)),
        GatedRecurrence(name="h", frac_bits=2),
    ]
    net = Graph(nodes=tuple(nodes), edges=(Edge(src="f", dst="h"), Edge(src="c", dst="h", port=1)), outputs=("h",))
    running = Running(net)
    rows = [(0, 9), (2, -4), (99, 5), (-5, -3), (1, 4)]
    found = [int(running.step({"f": ints(f), "c": ints(c)})["h"][0]) for f, c in rows]
    assert found == [9, 2, 2, -3, 2]  # (2*9 - 2*4) / 4 = 2.5; kept; replaced; (-3 + 12) / 4


def test_a_norm_divides_by_the_root_of_the_mean_square() -> None:
    net = after(RMSNorm(name="n", gain=ints(1, 3), frac_bits=4))
    assert run(net, [3, 4], [0, 0], [-30, -40]) == [[16, 64], [0, 0], [-13, -54]]  # floor(sqrt(12 + 1)) = 3; 35


def test_a_table_holds_its_ends_and_a_product_rounds_toward_zero() -> None:
    assert run(after(Table(name="t", values=ints(5, 6, 7), offset=1, shift=1)), [-9, -1], [0, 9]) == [[5, 5], [6, 7]]
    net = Graph(
        nodes=(Input(name="x", shape=(2,)), Product(name="p", shift=1)),
        edges=(Edge(src="x", dst="p"), Edge(src="x", dst="p", port=1, delay_steps=1)),
        outputs=("p",),
    )
    assert run(net, [3, 3], [1, -1], [5, 5]) == [[0, 0], [1, -1], [2, -2]]


def test_pools_sum_average_and_take_the_largest() -> None:
    image = np.array([[[1, -2, 3], [4, 5, -7]]])

    def pooled(**how: Any) -> list[int]:
        return run(after(Pool(name="p", kernel=(2, 2), stride=(1, 1), **how), shape=(1, 2, 3)), image)[0]

    assert pooled() == [8, -1] and pooled(weight_exp=-2) == [2, -1] and pooled(kind="max") == [5, 5]
    assert pooled(kind="max", padding=(1, 1))[0] == 1 and run(
        after(Pool(name="p", kernel=(2, 2), stride=(2, 2), padding=(1, 1), kind="max"), shape=(1, 2, 3)), -image - 9
    )[0] == [-10, -7, -13, -2]  # a border never wins over negative numbers


def test_ternary_and_sparse_weights_take_the_memory_they_need() -> None:
    weight = ints([1, 0, -1, 0], [0, 0, 0, 1])
    assert Linear(name="w", weight=weight, weight_bits=2).stored_bits == 16
    assert Linear(name="w", weight=weight, weight_bits=2, sparse=True, index_bits=6).stored_bits == 24


def recurrent(weight: int = -8, delay: int = 1) -> Graph:
    """Two layers of LIF; the second one's spikes come back to it."""
    lif = {"du": ints(4095), "dv": ints(300), "vth": ints(20)}
    nodes = (
        Input(name="x", shape=(2,)),
        Linear(name="w1", weight=ints([9, 4], [3, 8])),
        LIF(name="s1", bias=ints(600), **lif),
        Linear(name="w2", weight=ints([15, 6], [7, 12])),
        Sum(name="in2"),
        LIF(name="s2", bias=ints(90), reset="subtract", **lif),
        Linear(name="back", weight=ints([0, weight], [-weight, 0])),
    )
    ahead = [Edge(src=a.name, dst=b.name) for a, b in pairwise(nodes[:6])]
    loop = (Edge(src="s2", dst="back", delay_steps=delay), Edge(src="back", dst="in2", port=1))
    return Graph(nodes=nodes, edges=(*ahead, *loop), outputs=("s2",))


def test_a_chips_delays_put_outputs_off_and_change_none() -> None:
    source, chip = recurrent(), pipelined(recurrent())
    assert depths(chip)["s2"] == 2 and {e.delay_steps for e in chip.edges if e.dst in ("w1", "w2", "back")} == {1}
    rows = np.random.default_rng(0).integers(0, 4, (60, 2))
    ours, theirs = np.array(run(source, *rows)), np.array(run(chip, *rows))
    assert (theirs[2:] == ours[:-2]).all() and 0.1 < ours.mean() < 0.9 and not theirs[:2].any()
    few = np.random.default_rng(1).integers(0, 2, (60, 2))
    early = chain(
        [node for node in source.nodes if node.name in ("x", "w1", "s1")], delay_steps=1
    )  # bias from step 0 on
    assert (np.array(run(early, *few))[1:] != np.array(run(chain(early.nodes), *few))[:-1]).any()


def test_a_loop_with_too_few_delays_does_not_pipeline() -> None:
    nodes = (
        Input(name="x", shape=(1,)),
        Sum(name="in"),
        LIF(name="a", du=ints(4095), dv=ints(0), vth=ints(3), bias=ints(0)),
        Linear(name="w", weight=ints([4])),
        LIF(name="b", du=ints(4095), dv=ints(0), vth=ints(3), bias=ints(0)),
        Linear(name="back", weight=ints([-1])),
    )
    ahead = [Edge(src=a.name, dst=b.name) for a, b in pairwise(nodes)]

    def graph(delay: int) -> Graph:
        edges = (*ahead[:4], Edge(src="b", dst="back", delay_steps=delay), Edge(src="back", dst="in", port=1))
        return Graph(nodes=nodes, edges=edges, outputs=("b",))

    with pytest.raises(UserError, match="fewer steps of delay than synapses"):
        pipelined(graph(1))
    assert depths(pipelined(graph(2)))["b"] == 1


@pytest.mark.parametrize("seed", range(12))
def test_a_file_keeps_everything(seed: int, tmp_path: Path) -> None:
    graph = drawn(seed)
    again = load(save(graph, tmp_path / "net.safetensors"))
    assert [type(node) for node in again.nodes] == [type(node) for node in graph.nodes]
    assert (again.edges, again.outputs) == (graph.edges, graph.outputs)
    rows = inputs_of(graph, 4, 0)
    ours, theirs = Running(graph), Running(again)
    for t in range(4):
        now = {name: values[t] for name, values in rows.items()}
        assert all((a == b).all() for a, b in zip(ours.step(now).values(), theirs.step(now).values(), strict=True))


X = Input(name="x", shape=(2,))
W = Linear(name="w", weight=ints([1, 2], [3, 4]))
REFUSED: list[tuple[Any, str]] = [
    (lambda: Linear(name="w", weight=ints([2, 0]), weight_bits=2), "do not fit 2 bits, -1 to 1"),
    (lambda: Linear(name="w", weight=ints([1]), weight_bits=5), "weight_bits 5; use one of 2, 4, 6, 8, 9"),
    (lambda: Linear(name="w", weight=ints(1, 2)), "expected .n_out, n_in."),
    (lambda: Linear(name="w", weight=np.array([[np.nan]])), "not finite"),
    (lambda: Linear(name="w", weight=np.array([["a"]])), "expected numbers"),
    (lambda: Conv(name="c", weight=np.ones((3, 1, 2, 2), int), groups=2), "do not divide into 2 groups"),
    (lambda: Conv(name="c", weight=np.ones((1, 1, 2, 2), int), stride=(0, 1)), "stride .0, 1.; expected two integers"),
    (lambda: Delta(name="d", threshold_lsb=-1), "threshold_lsb -1 must be an integer"),
    (lambda: SigmaDelta(name="d", threshold_lsb=1, bias=ints(0), act="gelu"), "activation 'gelu' is unknown"),
    (lambda: LIF(name="s", du=ints(0), dv=np.array([0.1]), vth=ints(1), bias=ints(0)), "all be integers, or all real"),
    (lambda: LIF(name="s", du=ints(4096), dv=ints(0), vth=ints(1), bias=ints(0)), "du must be from -1 to 4095"),
    (lambda: RMSNorm(name="n", gain=ints(1 << 17)), "beyond 16 bits"),
    (lambda: Edge(src="a", dst="b", delay_steps=-1), "delay_steps -1 must be an integer"),
    (lambda: Input(name="x", shape=(2, 3)), "expected .n,. or .C, H, W."),
    (lambda: chain([X, W, Linear(name="v", weight=ints([1, 2, 3]))]), "node 'v' .Linear.: takes 3 inputs"),
    (lambda: chain([X, W, W]), "node 'w' is there twice"),
    (lambda: Graph(nodes=(X, W), edges=(), outputs=("w",)), r"edges reach ports \[\]; expected 1"),
    (lambda: Graph(nodes=(X, W), edges=(Edge(src="x", dst="y"),), outputs=("w",)), "node 'y' does not exist"),
    (lambda: Graph(nodes=(X, W), edges=(Edge(src="x", dst="w"),), outputs=("z",)), "output 'z' does not exist"),
    (
        lambda: Graph(nodes=(X, Sum(name="s"), W), edges=(
            Edge(src="x", dst="s"), Edge(src="s", dst="w"), Edge(src="w", dst="s", port=1)), outputs=("w",)),
        "lies on a cycle whose edges have no delay",
    ),
    (
        lambda: Graph(nodes=(X, Sum(name="s", bits=None), W), edges=(
            Edge(src="x", dst="s"), Edge(src="s", dst="w"), Edge(src="w", dst="s", port=1, delay_steps=1)), outputs=("w",)),
        "lies on a cycle in which nothing saturates",
    ),
    (
        lambda: chain([X, W, *(Linear(name=f"w{i}", weight=ints([200, 200], [1, 1]), weight_exp=8) for i in range(3))]),
        "leave 64 bits; lower weights",
    ),
    (
        lambda: chain([X, W, LIF(name="s", du=np.ones(1), dv=np.ones(1), vth=np.ones(1), bias=np.ones(1))]),
        "integers among nodes of real numbers",
    ),
    (lambda: run(chain([X, W]), [1, 2, 3]), "input 'x' has shape .3,.; expected .2,."),
    (lambda: run(chain([X, W]), [0.5, 1.0]), "a fixed-point network takes integers"),
    (lambda: run(chain([X, W]), [2**31, 1]), "beyond 24 bits"),
    (lambda: run(chain([X, W]), [1, 2], name="y"), "input 'x' is missing"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "said"), REFUSED)
def test_nonsense_is_refused_in_one_line_that_names_it(make: Any, said: str) -> None:
    with pytest.raises(UserError, match=said) as error:
        make()
    assert "\n" not in str(error.value)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = save(chain([X, W]), tmp_path / "net.safetensors")
    for harm, said in (
        (lambda h: h["nodes"][1].update(type="Hopfield"), "type 'Hopfield' is unknown"),
        (lambda h: h["nodes"][1].pop("name"), "damaged spikeplan-graph header"),
        (lambda h: h["nodes"][1].update(colour=1), "unexpected keyword argument 'colour'"),
        (lambda h: h.update(version=7), "version 7, this build reads"),
    ):
        header, tensors = FILE.read(path)
        harm(header)
        broken = tmp_path / "broken.safetensors"
        save_file(tensors, broken, metadata=FILE.metadata(header))
        with pytest.raises(UserError, match=said):
            load(broken)
    tensors = load_file(path)
    save_file({}, broken, metadata=FILE.metadata(FILE.read(path)[0]))
    with pytest.raises(UserError, match="weight"):
        load(broken)


def test_biases_may_begin_with_the_first_input() -> None:
    chip = pipelined(recurrent())
    early = Graph(nodes=tuple(recurrent().nodes), edges=chip.edges, outputs=chip.outputs)
    assert [getattr(from_first_input(early).node(name), "bias_start") for name in ("s1", "s2")] == [1, 2]  # noqa: B009
    rows = np.random.default_rng(0).integers(0, 4, (40, 2))
    assert run(from_first_input(early), *rows) == run(chip, *rows) != run(early, *rows)
