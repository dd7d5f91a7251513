"""NIR's LIF networks in our LIF process: the floating form against snnTorch, the fixed one against plain arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikeplan.conversion.lif_fixed import quantise
from spikeplan.conversion.nir import read_nir, write_nir
from spikeplan.core.errors import UserError
from spikeplan.core.ir.graph import LIF, Graph, depths, pipelined
from spikeplan.core.ir.graph.reference import Running
from spikeplan.lava_procs.graph.run import run_graph

nir = pytest.importorskip("nir")
DT_S = 1e-4  # fixed in snnTorch's import


def lif(n: int, **changes: Any) -> Any:
    values = {"tau": 1e-3, "r": 10.0, "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0} | changes
    return nir.LIF(**{name: np.full(n, value) for name, value in values.items()})


def cuba(n: int, **changes: Any) -> Any:
    values = {
        "tau_syn": 4e-4,
        "tau_mem": 2e-3,
        "r": 20.0,
        "v_leak": 0.0,
        "v_threshold": 1.0,
        "v_reset": 0.0,
        "w_in": 4.0,
    }
    return nir.CubaLIF(**{name: np.full(n, value) for name, value in (values | changes).items()})


def graph_of(*nodes: Any, edges: Any = None) -> Any:
    first, last = nodes[0], nodes[-1]
    named = {"input": nir.Input(np.array([first.weight.shape[1]]))}
    named |= {f"n{i}": node for i, node in enumerate(nodes)}
    named["output"] = nir.Output(np.array(last.v_threshold.shape))
    return nir.NIRGraph(nodes=named, edges=list(pairwise(named)) + (edges or []))


def two_layers() -> Any:
    rng = np.random.default_rng(0)
    one, two = rng.normal(0.05, 0.5, (12, 8)), rng.normal(0.1, 0.5, (5, 12))
    return graph_of(nir.Linear(one), cuba(12), nir.Affine(two, np.zeros(5)), lif(5))


def snntorch_spikes(graph: Any, x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    torch = pytest.importorskip("torch")
    from snntorch.import_nir import _nir_to_snntorch_module

    modules = [_nir_to_snntorch_module(graph.nodes[f"n{i}"]).double() for i in range(4)]
    states: dict[int, Any] = {
        1: [torch.zeros(1, 12, dtype=torch.double)] * 2,
        3: [torch.zeros(1, 5, dtype=torch.double)],
    }
    out = []
    with torch.no_grad():
        for row in x:
            h = torch.from_numpy(row[None].astype(float))
            for i, module in enumerate(modules):
                if i % 2 == 0:
                    h = module(h.double())
                else:
                    h, *states[i] = module(h.double(), *states[i])
            out.append(h[0].numpy())
    return np.array(out)


def fired(network: Graph, x: np.ndarray[Any, Any], name: str | None = None) -> np.ndarray[Any, Any]:
    """What a node sends for each row, without Lava."""
    running, rows = Running(network), []
    for row in x:
        running.step({network.source.name: row})
        rows.append(running.sent[name or network.outputs[0]])
    return np.array(rows)


def test_the_floating_form_fires_as_snntorch_does_and_the_fixed_one_nearly(tmp_path: Path) -> None:
    graph = two_layers()
    nir.write(tmp_path / "two.nir", graph)
    x = (np.random.default_rng(1).random((200, 8)) < 0.4).astype(int)
    network = read_nir(tmp_path / "two.nir", dt_s=DT_S)
    chip = pipelined(network)
    record = run_graph(chip, {"input": x}, workdir=tmp_path / "float", timeout_s=600, watch=True)
    theirs, delay = snntorch_spikes(graph, x), depths(chip)["n3"]
    ours = record.out["n3"]
    assert delay == 2 and (ours[delay:] == theirs[:-delay]).all() and (fired(network, x) == theirs).all()
    assert 0.05 < ours.mean() < 0.95 and record.states["n1.v"].max() <= 1.0
    fixed, reports = quantise(network)
    assert max(r.weight_error for r in reports.values()) < 1 / 254 + 1e-9
    chip = pipelined(fixed)
    again = run_graph(chip, {"input": x}, workdir=tmp_path / "fixed", timeout_s=600)
    expected = fired(chip, x)
    assert (again.out["n3"] == expected).all() and (again.sent["n1"] == fired(chip, x, "n1").sum(1)).all()
    assert (again.out["n3"] != ours).mean() < 0.1


def test_a_trace_by_hand(tmp_path: Path) -> None:
    """tau = 4 dt, r = 2, W = 3, b = 1: gain r dt/tau = 1/2; v' = 3/4 v + 1.5 s + 0.5, a spike beyond 2.25, then 0.
    s = 1 0 1 1: 2 | 2 (1.5 + .5) | 3.5 spike | 2."""
    affine = nir.Affine(np.array([[3.0]]), np.array([1.0]))
    nir.write(tmp_path / "x.nir", graph_of(affine, lif(1, tau=4e-4, r=2.0, v_threshold=2.25)))
    network = read_nir(tmp_path / "x.nir", dt_s=1e-4)
    neuron = network.node("n1")
    assert isinstance(neuron, LIF)
    np.testing.assert_allclose((neuron.dv[0], neuron.bias[0], neuron.du[0]), (0.25, 0.5, 1.0))
    assert fired(network, np.array([[1], [0], [1], [1]])).ravel().tolist() == [0, 0, 1, 0]


def test_a_bias_waits_for_the_first_input_on_a_chip(tmp_path: Path) -> None:
    """Four layers whose biases alone would make them fire: what a framework without delays fires, some steps later."""
    rng = np.random.default_rng(2)
    nodes: list[Any] = []
    for n_in in (8, 6, 6, 6):
        nodes += [nir.Affine(rng.normal(0.2, 0.6, (6, n_in)), rng.uniform(0, 0.4, 6)), lif(6, tau=2e-3, r=20.0)]
    nir.write(tmp_path / "x.nir", graph_of(*nodes))
    network = read_nir(tmp_path / "x.nir")
    x = (rng.random((80, 8)) < 0.4).astype(int)
    source, chip = fired(network, x), fired(pipelined(network), x)
    assert (chip[4:] == source[:-4]).all() and 0.05 < source.mean() < 0.95


def test_leaks_resets_and_biases_of_a_current_follow_nirs_equations(tmp_path: Path) -> None:
    """Against a plain loop over NIR's equations, step by step."""
    rng = np.random.default_rng(4)
    weight, bias = rng.normal(0.4, 0.8, (3, 2)), np.array([0.2, -0.1, 0.4])
    node = cuba(3, v_leak=0.3, v_reset=-0.2, r=1.5)
    nir.write(tmp_path / "x.nir", graph_of(nir.Affine(weight, bias), node))
    x = (rng.random((100, 2)) < 0.5).astype(int)
    u, v, rows = np.zeros(3), np.zeros(3), []
    for row in x:
        u = u + DT_S / 4e-4 * (-u + 4.0 * (weight @ row + bias))
        v = v + DT_S / 2e-3 * (0.3 - v + 1.5 * u)
        spike = v > 1.0
        v = np.where(spike, -0.2, v)
        rows.append(spike)
    ours = fired(read_nir(tmp_path / "x.nir", dt_s=DT_S), x)
    assert (ours == np.array(rows)).all() and 0.05 < ours.mean() < 0.95


def test_a_convolutional_graph_with_pools_and_integrators(tmp_path: Path) -> None:
    """Conv2d with a bias, IF, SumPool2d, AvgPool2d, Flatten, Affine, LI: against the same written out in torch."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(5)
    k, b = rng.normal(0.1, 0.4, (3, 2, 3, 3)), rng.uniform(-0.1, 0.2, 3)
    w = rng.normal(0, 0.5, (4, 3 * 2 * 2))
    nodes = {
        "input": nir.Input(np.array([2, 8, 8])),
        "c": nir.Conv2d((8, 8), k, 1, 1, 1, 1, b),
        "if": nir.IF(r=np.full((3, 8, 8), 1 / DT_S), v_threshold=np.ones((3, 8, 8))),
        "sum": nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])),
        "avg": nir.AvgPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])),
        "flat": nir.Flatten({"input": np.array([3, 2, 2])}, 0, -1),
        "w": nir.Affine(w, np.full(4, 0.3)),
        "li": nir.LI(tau=np.full(4, 5e-4), r=np.ones(4), v_leak=np.zeros(4)),
        "output": nir.Output(np.array([4])),
    }
    nir.write(tmp_path / "x.nir", nir.NIRGraph(nodes, list(pairwise(nodes))))
    x = (rng.random((40, 2, 8, 8)) < 0.3).astype(int)
    v, li, rows = torch.zeros(3, 8, 8, dtype=torch.double), torch.zeros(4, dtype=torch.double), []
    for row in x:
        a = torch.nn.functional.conv2d(
            torch.from_numpy(row).double(), torch.from_numpy(k), torch.from_numpy(b), padding=1
        )
        v = v + a
        s = (v > 1).double()
        v = v * (1 - s)
        pooled = torch.nn.functional.avg_pool2d(4 * torch.nn.functional.avg_pool2d(s, 2), 2).reshape(-1)
        li = li + DT_S / 5e-4 * (-li + torch.from_numpy(w) @ pooled + 0.3)
        rows.append(li.numpy().copy())
    network = read_nir(tmp_path / "x.nir", dt_s=DT_S)
    np.testing.assert_allclose(fired(network, x), np.array(rows), atol=1e-9)
    assert (fired(network, x, "if").mean() > 0.05) and np.array(rows).std() > 0.05
    fixed, _ = quantise(network)
    ours = fired(fixed, x) * fixed.scales["li"]
    assert np.corrcoef(ours.ravel(), np.array(rows).ravel())[0, 1] > 0.9


def recurrent() -> Any:
    """A neuron whose spikes come back through weights, as snnTorch exports RLeaky, and a subgraph, as nirtorch does."""
    rng = np.random.default_rng(6)
    inner = nir.NIRGraph(
        nodes={
            "input": nir.Input(np.array([5])),
            "lif": lif(5),
            "w_rec": nir.Linear(rng.normal(-0.2, 0.6, (5, 5))),
            "output": nir.Output(np.array([5])),
        },
        edges=[("input", "lif"), ("lif", "w_rec"), ("w_rec", "lif"), ("lif", "output")],
    )
    nodes = {
        "input": nir.Input(np.array([3])),
        "fc": nir.Linear(rng.normal(0.3, 0.8, (5, 3))),
        "cell": inner,
        "output": nir.Output(np.array([5])),
    }
    return nir.NIRGraph(nodes, list(pairwise(nodes)))


def test_spikes_of_a_loop_come_back_one_step_later(tmp_path: Path) -> None:
    graph = recurrent()
    nir.write(tmp_path / "x.nir", graph)
    network = read_nir(tmp_path / "x.nir", dt_s=DT_S)
    x = (np.random.default_rng(7).random((100, 3)) < 0.5).astype(int)
    fc, w_rec = graph.nodes["fc"].weight, graph.nodes["cell"].nodes["w_rec"].weight
    v, s, rows = np.zeros(5), np.zeros(5), []
    for row in x:
        v = v + DT_S / 1e-3 * (-v + 10.0 * (fc @ row + w_rec @ s))
        s = (v > 1.0).astype(float)
        v = v * (1 - s)
        rows.append(s)
    ours = fired(network, x)
    assert (ours == np.array(rows)).all() and 0.05 < ours.mean() < 0.95
    chip = pipelined(network)
    assert (fired(chip, x)[1:] == ours[:-1]).all()
    fixed, _ = quantise(network)
    assert fixed.fixed and fired(pipelined(fixed), x).any()


def test_a_network_survives_its_file(tmp_path: Path) -> None:
    for name, graph in (("two", two_layers()), ("loop", recurrent())):
        nir.write(tmp_path / f"{name}.nir", graph)
        network = read_nir(tmp_path / f"{name}.nir")
        again = read_nir(write_nir(network, tmp_path / "b.nir"))
        x = (np.random.default_rng(8).random((80, *network.source.shape)) < 0.4).astype(int)
        assert (fired(network, x) == fired(again, x)).all() and fired(network, x).any()
    with pytest.raises(UserError, match="a network of integers; floating-point networks"):
        write_nir(quantise(network)[0], tmp_path / "c.nir")


def test_sizes_of_one_are_read_though_nirs_own_check_refuses_them(tmp_path: Path) -> None:
    nodes = {"input": nir.Input(np.array([2])), "a": nir.Affine(np.ones((3, 2)), np.zeros(3)), "l": lif(1)}
    nodes["output"] = nir.Output(np.array([3]))
    nir.write(tmp_path / "x.nir", nir.NIRGraph(nodes, list(pairwise(nodes)), type_check=False))
    assert fired(read_nir(tmp_path / "x.nir"), np.ones((30, 2), int)).any(0).all()


W = np.ones((3, 2))


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: graph_of(nir.Linear(W), lif(3, v_threshold=0.0)), "node 'n1'.*v_threshold must be above v_reset"),
        (lambda: graph_of(nir.Linear(W), lif(3, tau=1e-5)), "below the time step"),
        (lambda: graph_of(nir.Linear(W), lif(3, tau=-1e-5)), "must be > 0"),
        (lambda: graph_of(nir.Linear(np.full((3, 2), np.nan)), lif(3)), "finite numbers"),
        (
            lambda: graph_of(nir.Linear(W), nir.Linear(np.ones((2, 3))), lif(2), edges=[("n1", "n0")]),
            "loop without a neuron",
        ),
    ],
)
def test_what_does_not_run_is_refused(make: Callable[[], Any], expected: str, tmp_path: Path) -> None:
    nir.write(tmp_path / "x.nir", make())
    with pytest.raises(UserError, match=expected) as caught:
        read_nir(tmp_path / "x.nir")
    assert "x.nir" in str(caught.value) and "\n" not in str(caught.value)


def test_sizes_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    nir.write(tmp_path / "x.nir", two_layers())
    with h5py.File(tmp_path / "x.nir", "r+") as file:
        del file["node/nodes/input/shape"]
        file["node/nodes/input/shape"] = np.inf
    with pytest.raises(UserError, match="do not fit each other|truncated"):
        read_nir(tmp_path / "x.nir")


def test_files_that_are_no_nir(tmp_path: Path) -> None:
    nir.write(tmp_path / "x.nir", two_layers())
    whole = (tmp_path / "x.nir").read_bytes()
    for content in (b"", b"hello", whole[: len(whole) // 2]):
        (tmp_path / "bad.nir").write_bytes(content)
        with pytest.raises(UserError, match=r"bad\.nir: truncated, or no NIR file"):
            read_nir(tmp_path / "bad.nir")
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "big.nir", "w") as file:
        file.create_dataset("node/nodes/a/weight", shape=(10**6, 10**6), dtype="f4", chunks=(1000, 1000))
    with h5py.File(tmp_path / "other.nir", "w") as file:
        file["layer"] = 1
    for name, expected in (("big", "declares shape"), ("other", "no group 'node'"), ("none", "no such file")):
        with pytest.raises(UserError, match=expected):
            read_nir(tmp_path / f"{name}.nir")
