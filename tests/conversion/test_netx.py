"""netx files: read as netx reads them, written so that it does, refused in one line when they are no good."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikeplan.conversion.netx import loihi_weights, read_netx, write_netx
from spikeplan.core.errors import UserError
from spikeplan.core.ir.graph import LIF, Delta, Graph, Input, Linear, Readout, SigmaDelta, chain
from spikeplan.core.ir.graph.reference import Running
from spikeplan.experiments.bench.peers import netx as bench_netx
from spikeplan.experiments.bench.peers.netx import netx_installed, netx_rows, random_network, run_netx, walk
from spikeplan.lava_procs.graph.run import run_graph

h5py = pytest.importorskip("h5py")


SENDING: dict[str, Any] = {"threshold_lsb": 2 << 12, "shift": 6, "target_bits": 24, "message_bits": 16}


def small() -> Graph:
    """Conv and dense layers of all signs, one of them with a weight that netx changes (-128 among negative ones)."""
    network = random_network((2, 8, 8), ((4, 2), 6), seed=0)
    rng = np.random.default_rng(1)
    excited, inhibited = rng.integers(0, 200, (5, 6)), rng.integers(-128, -20, (4, 5))
    inhibited[0, 0] = -128
    bias = np.array([9000, 7000, 8000, 6000]) << 12
    more = (
        Linear(name="plus.w", weight=excited),
        SigmaDelta(name="plus", bias=np.zeros(1, int), **SENDING),
        Linear(name="minus.w", weight=inhibited),
        SigmaDelta(name="minus", bias=bias, **SENDING),
        Linear(name="sum.w", weight=np.array([[7, -3, 5, 1], [1, 2, 3, 4]])),
        Readout(name="sum", bias=np.zeros(1, int)),
    )
    return chain([*network.nodes, *more], delay_steps=1)


def lif_layers(*, recurrent: bool = False) -> dict[str, Any]:
    """Fields of a file of two LIF layers on spikes, the second one with delays or a loop."""
    rng = np.random.default_rng(3)
    neuron = {"neuron/type": b"CUBA", "neuron/iDecay": 900, "neuron/vDecay": 200, "neuron/vThMant": 60}
    first = {"type": b"dense", "shape": [9], "weight": 2.0 * rng.integers(-20, 60, (9, 6)), **neuron}
    second = {
        "type": b"dense_rec" if recurrent else b"dense",
        "shape": [7],
        "bias": rng.integers(-9, 20, 7).astype(float),
    }
    second |= {"weight": 2.0 * rng.integers(-60, 90, (7, 9)), **neuron}
    if recurrent:
        second["weight_rec"] = 2.0 * rng.integers(-60, 60, (7, 7))
    return {"0": first, "1": second}


def write_file(path: Path, layers: dict[str, Any]) -> Path:
    with h5py.File(path, "w") as file:
        for number, fields in layers.items():
            for key, value in fields.items():
                file[f"layer/{number}/{key}"] = value
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_netx(small(), tmp_path / "small.net")


def outputs(graph: Graph, rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    running = Running(graph)
    return np.stack([running.step({graph.source.name: row})[graph.outputs[0]] for row in rows])


def test_what_is_written_is_read(file: Path, tmp_path: Path) -> None:
    network, report = read_netx(file, residue="lost")
    assert report.layers == ("0-input 2x8x8", "1-conv 4x4x3", "3-dense 6", "4-dense 5", "5-dense 4", "6-dense 2")
    assert len(report.notes) == 1 and "5-dense: 1 weights do not fit" in report.notes[0]
    exact = network_without_changes(network)
    again, _ = read_netx(write_netx(exact, tmp_path / "again.net"), residue="lost")
    rows = walk((2, 8, 8), 40, seed=0)
    ours, theirs = outputs(exact, rows), outputs(again, rows)
    assert (ours == theirs).all() and ours.any()


def network_without_changes(network: Graph) -> Graph:
    """Without the weight that has no integer in a file."""
    kept = [node for node in network.nodes if not node.name.startswith(("5-dense", "6-dense.w"))]
    last = Linear(name="6-dense.w", weight=np.arange(10).reshape(2, 5), wrap_bits=32)
    return chain([*kept[:-1], last, kept[-1]], delay_steps=1)


def test_lif_layers_with_delays_and_loops_are_read_as_netx_runs_them(tmp_path: Path) -> None:
    layers = lif_layers()
    layers["1"]["delay"] = np.arange(9) % 4  # one an input
    graph, report = read_netx(write_file(tmp_path / "delays.net", layers))
    assert graph.source.spikes and graph.source.shape == (6,) and not report.notes
    by_delay = {edge.delay_steps: edge.dst for edge in graph.edges if edge.src == "0-dense"}
    assert sorted(by_delay) == [1, 2, 3, 4]
    weight = layers["1"]["weight"]
    for steps, name in by_delay.items():
        synapse = graph.node(name)
        assert isinstance(synapse, Linear)
        kept = np.where(np.arange(9) % 4 == steps - 1, weight, 0)
        assert (synapse.weight * 2.0**synapse.weight_exp == kept).all()
    neuron = graph.node("1-dense")
    assert isinstance(neuron, LIF) and (neuron.du[0], neuron.dv[0], neuron.vth[0], neuron.bias_exp) == (899, 200, 60, 6)
    assert (neuron.bias == layers["1"]["bias"]).all()


@pytest.mark.slow
def test_lif_networks_fire_as_lavas_own_processes(tmp_path: Path) -> None:
    """netx builds Lava's Dense and LIF; `make peers` adds netx itself (bench convert)."""
    graph, _ = read_netx(write_file(tmp_path / "loop.net", lif_layers(recurrent=True)))
    train = (np.random.default_rng(0).random((120, 6)) < 0.4).astype(int)
    ours, stock = (
        run_graph(graph, {"input": train}, workdir=tmp_path / form, timeout_s=600, form=form)
        for form in ("fused", "stock")
    )
    fired = stock.out["1-dense_rec"]
    assert (ours.out["1-dense_rec"] == fired).all() and 0.02 < fired.mean() < 0.9
    assert (ours.sent["0-dense"] == stock.sent["0-dense"]).all()


def test_a_dense_layer_without_a_neuron_is_netxs_integrator(tmp_path: Path) -> None:
    layers = lif_layers()
    for key in ("neuron/type", "neuron/iDecay", "neuron/vDecay", "neuron/vThMant", "bias"):
        del layers["1"][key]
    graph, report = read_netx(write_file(tmp_path / "x.net", layers))
    neuron = graph.node("1-dense")
    assert isinstance(neuron, LIF) and (neuron.du[0], neuron.dv[0], neuron.vth[0]) == (-1, 4096, 1 << 17)
    assert "never fires" in report.notes[0]
    assert not outputs(graph, np.ones((30, 6), int)).any()


@pytest.mark.skipif(not netx_installed(), reason="lava-dl is not installed; `make peers` installs it")
def test_outputs_equal_netxs_own(file: Path, tmp_path: Path) -> None:
    network, _ = read_netx(file, residue="lost")
    inputs = walk(network.source.shape, 100, seed=2)
    theirs, _ = run_netx(file, inputs, tmp_path / "netx")
    ours = run_graph(network, {"input": inputs}, workdir=tmp_path / "ours", timeout_s=600).out[network.outputs[0]]
    assert (ours == theirs).all() and len(np.unique(theirs)) > 20
    owed, _ = read_netx(file)
    assert (outputs(owed, inputs) != theirs).mean() > 0.2, "the rule for the residue matters"


@pytest.mark.parametrize(
    ("weights", "effective"),
    [
        ([127, -127, 1], None),
        ([99, 3, 0], None),
        ([-127, -1, -50], None),
        ([254, -256, 2], None),
        ([-128, -1, -2], [-127, -1, -2]),  # scaled to -256, clipped to -255, its odd bit truncated
        ([0, -1, -127], None),
        ([0, 0, 0], None),
    ],
)
def test_weights_are_fitted_as_netx_and_dense_fit_them(weights: list[int], effective: list[float] | None) -> None:
    fitted, exp = loihi_weights(np.array([weights]))
    assert (fitted * 2.0**exp).tolist() == [effective or weights]


@pytest.mark.parametrize("weights", [[-257, 1], [255, -1], [256, 0], [-201, 0]])
def test_weights_that_fit_nowhere(weights: list[int]) -> None:
    with pytest.raises(UserError, match="do not fit into 8 bits|truncates all of them"):
        loihi_weights(np.array([weights]))


def put(key: str, value: Any) -> Callable[[Any], None]:
    def change(file: Any) -> None:
        if key in file:
            del file[key]
        if value is not None:
            file[key] = value

    return change


def absurd(file: Any) -> None:
    del file["layer/3/weight"]
    file["layer/3"].create_dataset("weight", shape=(10**6, 10**6), dtype="i8", chunks=(1000, 1000))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (put("layer", None), "no group 'layer'"),
        (put("layer/1", None), "'layer/1' is missing"),
        (put("layer/1/type", None), "'type' is missing"),
        (put("layer/1/type", b"wobble"), "layer type 'wobble' is unknown"),
        (put("layer/1/type", [b"concat"]), r"layer/1 \(concat\): layers of this type do not run"),
        (put("layer/1/type", [b"average"]), "do not divide into 48 groups"),
        (put("layer/1/type", np.array([3.5])), "type"),
        (put("layer/1/weight", None), "'weight' is missing"),
        (put("layer/1/weight", np.full((4, 2, 3, 3), 0.5)), "no 32-bit integers"),
        (put("layer/1/weight", np.full((4, 2, 3, 3), np.nan)), "no 32-bit integers"),
        (put("layer/1/weight", np.ones((4, 3, 3))), "expected \\(C_out, C_in, H, W\\)"),
        (put("layer/1/weight", np.full((4, 2, 3, 3), b"x")), "expected numbers"),
        (put("layer/1/stride", [1, 2, 3]), "'stride' has 3 values"),
        (put("layer/1/shape", np.inf), "truncated, or no netx HDF5 file"),
        (put("layer/1/groups", 0), "groups 0 must be"),
        (put("layer/1/shape", (4, 9, 9)), "bias of shape"),
        (put("layer/1/shape", (4, -1, 9)), r"expected \(n,\) or \(C, H, W\)"),
        (put("layer/1/bias", np.ones(3)), "bias of shape"),
        (put("layer/4/shape", (7,)), "weight of shape"),
        (put("layer/1/neuron", None), "no neuron given"),
        (put("layer/1/neuron/type", b"RF"), "neuron type 'RF' does not run here"),
        (put("layer/1/neuron/type", b"CUBA"), "'iDecay' is missing"),
        (put("layer/1/neuron/vThMant", [1, 2]), "'vThMant' has 2 values"),
        (put("layer/1/neuron/vThMant", 10**9), "vThMant 1000000000 .* beyond 32 bits"),
        (put("layer/2", None), "'layer/2' is missing"),
        (put("layer/2/type", [b"pool"]), "layers of this type do not run"),
        (put("layer/3/delay", -np.ones(6)), "a delay of -1 steps"),
        (put("layer/3/delay", np.ones(5)), "delay of shape"),
        (put("layer/1/delay", np.ones(4)), "delays of a convolution do not run"),
        (put("layer/3/weight", np.ones((6, 5))), "takes 5 inputs, but what feeds it"),
        (put("layer/6/bias", np.ones(2)), "bias beside sigma_output"),
        (absurd, "declares shape \\(1000000, 1000000\\)"),
    ],
)
def test_bad_files_end_in_one_line(change: Callable[[Any], None], expected: str, file: Path) -> None:
    with h5py.File(file, "r+") as handle:
        change(handle)
    with pytest.raises(UserError, match=expected) as caught:
        read_netx(file)
    assert str(file) in str(caught.value) and "\n" not in str(caught.value)


def test_files_that_are_no_hdf5(file: Path, tmp_path: Path) -> None:
    whole = file.read_bytes()
    for name, content in {"empty": b"", "text": b"hello", "cut": whole[: len(whole) // 2], "head": whole[:600]}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=rf"{name}: (truncated, or no netx|no group|layers must)"):
            read_netx(tmp_path / name)
    for missing in (tmp_path / "none.net", tmp_path):
        with pytest.raises(UserError, match="no such file"):
            read_netx(missing)


def test_zero_delays_and_an_input_without_neurons(file: Path, tmp_path: Path) -> None:
    with h5py.File(file, "r+") as handle:
        handle["layer/3/delay"] = np.zeros(6)
        del handle["layer/0/neuron"]
    spikes, _ = read_netx(file)
    values, _ = read_netx(file, input_message_bits=8)
    assert (spikes.source.spikes, values.source.spikes, len(spikes.layers)) == (True, False, 5)
    assert all(edge.delay_steps <= 1 for edge in spikes.edges)


def test_networks_that_have_no_netx_file(tmp_path: Path) -> None:
    odd = chain([Input(name="x", shape=(2,)), Delta(name="d", threshold_lsb=1)])
    with pytest.raises(UserError, match="node 'd' .Delta.: netx files know spike_exp 6"):
        write_netx(odd, tmp_path / "x.net")
    with pytest.raises(UserError, match="choose a writable directory"):
        write_netx(small(), tmp_path / "nowhere" / "x.net")
    assert not list(tmp_path.iterdir())


def test_rows_without_lava_dl_say_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(bench_netx, "netx_installed", lambda: False)
    rows = netx_rows(tmp_path)
    assert [row.name for row in rows] == ["netx_values_different", "vs_netx_step"]
    assert all("not installed" in row.unit and row.holds is None and row.ours is None for row in rows)
