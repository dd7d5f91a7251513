"""NIR's LIF networks in our LIF process: the floating form against snnTorch, the fixed one against plain arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikeplan.conversion.lif_fixed import quantise
from spikeplan.conversion.nir_file import read_nir, write_nir
from spikeplan.core.errors import UserError
from spikeplan.core.ir.network import LIFNeuron, Network
from spikeplan.lava_procs.lif import LIFParams, LIFState, lif_fixed, lif_float
from spikeplan.lava_procs.network_run import run_network

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


def plain(network: Network, x: np.ndarray[Any, Any]) -> dict[str, np.ndarray[Any, Any]]:
    """Spikes of every layer, without Lava; every layer sees its input a step late."""
    fixed, spikes = network.fixed, {}
    s = x.astype(np.int64 if fixed else float)
    for layer in network.layers:
        neuron, synapse = layer.neuron, layer.synapse
        assert isinstance(neuron, LIFNeuron) and synapse is not None
        p = LIFParams(du=neuron.du, dv=neuron.dv, vth=neuron.vth, bias_mant=neuron.bias, bias_exp=neuron.bias_exp)
        state, rows = LIFState(*(np.zeros(layer.n, s.dtype) for _ in range(2))), []
        for row in np.vstack([np.zeros_like(s[:1]), s[:-1]]):
            fired, state = (lif_fixed if fixed else lif_float)(synapse.weight @ row, state, p)
            rows.append(fired)
        s = np.array(rows).astype(s.dtype)
        spikes[layer.name] = s
    return spikes


def test_the_floating_form_fires_as_snntorch_does_and_the_fixed_one_nearly(tmp_path: Path) -> None:
    graph = two_layers()
    nir.write(tmp_path / "two.nir", graph)
    x = np.random.default_rng(1).random((200, 8)) < 0.4
    network = read_nir(tmp_path / "two.nir", dt_s=DT_S)
    record = run_network(network, x.astype(int), workdir=tmp_path / "float", timeout_s=600, watch=True)
    theirs = snntorch_spikes(graph, x)
    assert (record.out[network.delay :] == theirs[: -network.delay]).all()
    assert 0.05 < record.out.mean() < 0.95 and record.states["n1.v"].max() <= 1.0
    fixed, reports = quantise(network)
    assert max(r.weight_error for r in reports.values()) < 1 / 254 + 1e-9
    again = run_network(fixed, x.astype(int), workdir=tmp_path / "fixed", timeout_s=600)
    expected = plain(fixed, x)
    assert (again.out == expected["n3"]).all() and (again.counts["n1"] == expected["n1"].sum(1)).all()
    assert (again.out != record.out).mean() < 0.1


def test_a_trace_by_hand(tmp_path: Path) -> None:
    """tau = 4 dt, r = 2, W = 3, b = 1: gain r dt/tau = 1/2; v' = 3/4 v + 1.5 s + 0.5, a spike beyond 2.25, then 0.
    s = 1 1 0 1 (seen a step late): .5 | 2.375 spike | 2 | 2 (= 1.5 + .5) | 3.5 spike."""
    nir.write(
        tmp_path / "x.nir",
        graph_of(nir.Affine(np.array([[3.0]]), np.array([1.0])), lif(1, tau=4e-4, r=2.0, v_threshold=2.25)),
    )
    network = read_nir(tmp_path / "x.nir", dt_s=1e-4)
    neuron = network.layers[0].neuron
    assert isinstance(neuron, LIFNeuron)
    np.testing.assert_allclose((neuron.dv[0], neuron.bias[0], neuron.du[0]), (0.25, 0.5, 1.0))
    assert plain(network, np.array([[1], [1], [0], [1], [0]]))["n1"].ravel().tolist() == [0, 1, 0, 0, 1]


def test_a_network_survives_its_file(tmp_path: Path) -> None:
    nir.write(tmp_path / "a.nir", two_layers())
    network = read_nir(tmp_path / "a.nir")
    again = read_nir(write_nir(network, tmp_path / "b.nir"))
    for one, other in zip(network.layers, again.layers, strict=True):
        assert one.name == other.name and one.synapse is not None and other.synapse is not None
        np.testing.assert_allclose(one.synapse.weight, other.synapse.weight, rtol=1e-12)
        for name in ("du", "dv", "vth", "bias"):
            np.testing.assert_allclose(getattr(one.neuron, name), getattr(other.neuron, name), rtol=1e-12)
    with pytest.raises(UserError, match="only floating-point LIF networks"):
        write_nir(quantise(network)[0], tmp_path / "c.nir")


def test_quantisation_reports_what_it_costs() -> None:
    """A weight of 1/1000 of the largest is lost, a decay of 1/10000 becomes none, and the report says so."""
    network = make_network(weight=np.array([[1.0, 0.001]]), dv=1e-4)
    fixed, reports = quantise(network)
    r = reports["n1"]
    assert (r.lost_weights, r.dv_error, r.vth_lsb) == (1, 1.0, 254)
    synapse = fixed.layers[0].synapse
    assert synapse is not None and synapse.weight.tolist() == [[254, 0]]
    with pytest.raises(UserError, match="8 bits cannot hold both"):
        quantise(make_network(weight=np.array([[300.0, 0.0]])))
    with pytest.raises(UserError, match="every one rounds to 0; check --dt"):
        quantise(make_network(weight=np.array([[1e-6, 0.0]])))


def make_network(*, weight: np.ndarray[Any, Any], dv: float = 0.1) -> Network:
    from spikeplan.core.ir.network import Dense, Layer

    neuron = LIFNeuron(du=np.ones(1), dv=np.full(1, dv), vth=np.ones(1), bias=np.zeros(1))
    return Network(
        input_shape=(2,),
        graded_input=False,
        layers=(Layer(name="n1", shape=(1,), synapse=Dense(weight=weight), neuron=neuron),),
    )


W = np.ones((3, 2))


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: graph_of(nir.Linear(W), lif(3, v_leak=0.5)), r"n1.*LIF.*v_leak other than 0"),
        (lambda: graph_of(nir.Linear(W), lif(3, v_reset=-1.0)), "v_reset other than 0"),
        (lambda: graph_of(nir.Linear(W), lif(3, v_threshold=0.0)), "v_threshold must be > 0"),
        (lambda: graph_of(nir.Linear(W), lif(3, tau=1e-5)), "below the time step"),
        (lambda: graph_of(nir.Affine(W, np.ones(3)), cuba(3)), "bias before it would pass its synaptic filter"),
        (
            lambda: graph_of(nir.Linear(W), lif(3), nir.Linear(np.ones((3, 3))), lif(3), edges=[("n3", "n2")]),
            "recurrent",
        ),
        (lambda: graph_of(nir.Linear(W), nir.IF(r=np.ones(3), v_threshold=np.ones(3))), "expected LIF or CubaLIF"),
        (lambda: graph_of(nir.Linear(np.full((3, 2), np.nan)), lif(3)), "finite numbers"),
    ],
)
def test_what_does_not_run_is_refused(make: Callable[[], Any], expected: str, tmp_path: Path) -> None:
    nir.write(tmp_path / "x.nir", make())
    with pytest.raises(UserError, match=expected) as caught:
        read_nir(tmp_path / "x.nir")
    assert "x.nir" in str(caught.value) and "\n" not in str(caught.value)


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
