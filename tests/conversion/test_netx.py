"""netx files: read as netx reads them, written so that it does, refused in one line when they are no good."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikeplan.conversion.netx import loihi_weights, read_netx
from spikeplan.conversion.netx_write import write_netx
from spikeplan.core.errors import UserError
from spikeplan.core.ir.network import Dense, Layer, Network, SDNeuron
from spikeplan.experiments.bench.peers import netx as bench_netx
from spikeplan.experiments.bench.peers.netx import netx_installed, netx_rows, random_network, run_netx, walk
from spikeplan.lava_procs.network import SigmaDeltaNetwork
from spikeplan.lava_procs.network_run import run_network

h5py = pytest.importorskip("h5py")


def small() -> Network:
    """Conv and dense layers of all signs, one of them with a weight that netx changes (-128 among negative ones)."""
    network = random_network((2, 8, 8), ((4, 2), 6), seed=0)
    rng = np.random.default_rng(1)
    excited, inhibited = rng.integers(0, 200, (5, 6)), rng.integers(-128, -20, (4, 5))
    inhibited[0, 0] = -128
    bias = np.array([9000, 7000, 8000, 6000])
    more = (
        Layer(name="plus", shape=(5,), synapse=Dense(weight=excited), neuron=SDNeuron(kind="sigma_delta", vth=2)),
        Layer(
            name="minus",
            shape=(4,),
            synapse=Dense(weight=inhibited),
            neuron=SDNeuron(kind="sigma_delta", vth=2, bias=bias),
        ),
        Layer(
            name="sum",
            shape=(2,),
            synapse=Dense(weight=np.array([[7, -3, 5, 1], [1, 2, 3, 4]])),
            neuron=SDNeuron(kind="sigma"),
        ),
    )
    return replace(network, layers=(*network.layers, *more))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_netx(small(), tmp_path / "small.net")


def test_what_is_written_is_read(file: Path, tmp_path: Path) -> None:
    network, report = read_netx(file)
    assert report.layers == ("0-input 2x8x8", "1-conv 4x4x3", "3-dense 6", "4-dense 5", "5-dense 4", "6-dense 2")
    assert len(report.notes) == 1 and "5-dense: 1 weights do not fit" in report.notes[0]
    again, _ = read_netx(write_netx(network_without_changes(network), tmp_path / "again.net"))
    ours, theirs = (SigmaDeltaNetwork(n, residue="lost") for n in (network_without_changes(network), again))
    for x in walk((2, 8, 8), 40, seed=0):
        assert (ours.step(x) == theirs.step(x)).all()
    assert ours.messages.all()


def network_without_changes(network: Network) -> Network:
    """Without the weight that has no integer in a file."""
    layers = [layer for layer in network.layers if layer.name != "5-dense"]
    last = replace(layers[-1], synapse=Dense(weight=np.arange(10).reshape(2, 5)))
    return replace(network, layers=(*layers[:-1], last))


@pytest.mark.skipif(not netx_installed(), reason="lava-dl is not installed; `make peers` installs it")
def test_outputs_equal_netxs_own(file: Path, tmp_path: Path) -> None:
    network, _ = read_netx(file)
    inputs = walk(network.input_shape, 100, seed=2)
    theirs, _ = run_netx(file, inputs, tmp_path / "netx")
    ours = run_network(network, inputs, workdir=tmp_path / "ours", timeout_s=600, residue="lost")
    assert (ours.out == theirs).all() and len(np.unique(theirs)) > 20
    owed = SigmaDeltaNetwork(network)
    assert (np.stack([owed.step(x) for x in inputs]) != theirs).mean() > 0.2, "the rule for the residue matters"


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
        (put("layer/1/type", [b"average"]), r"layer/1 \(average\): layers of this type do not run"),
        (put("layer/1/type", np.array([3.5])), "type"),
        (put("layer/1/weight", None), "'weight' is missing"),
        (put("layer/1/weight", np.full((4, 2, 3, 3), 0.5)), "no 32-bit integers"),
        (put("layer/1/weight", np.full((4, 2, 3, 3), np.nan)), "no 32-bit integers"),
        (put("layer/1/weight", np.ones((4, 3, 3))), "expected \\(C_out, C_in, H, W\\)"),
        (put("layer/1/weight", np.full((4, 2, 3, 3), b"x")), "expected numbers"),
        (put("layer/1/stride", [1, 2, 3]), "'stride' has 3 values"),
        (put("layer/1/groups", 0), "groups 0"),
        (put("layer/1/shape", (4, 9, 9)), "bias of shape"),
        (put("layer/1/shape", (4, -1, 9)), r"expected \(n,\) or \(C, H, W\)"),
        (put("layer/1/bias", np.ones(3)), "bias of shape"),
        (put("layer/4/shape", (7,)), "weight of shape"),
        (put("layer/1/neuron", None), "no neuron given"),
        (put("layer/1/neuron/type", b"CUBA"), "neuron type 'CUBA' does not run here"),
        (put("layer/1/neuron/vThMant", [1, 2]), "'vThMant' has 2 values"),
        (put("layer/1/neuron/vThMant", 10**9), "vth 1000000000"),
        (put("layer/2", None), "'layer/2' is missing"),
        (put("layer/2/type", [b"pool"]), "layers of this type do not run"),
        (put("layer/3/delay", np.ones(6)), "delays are not supported"),
        (put("layer/3/weight", np.ones((6, 5))), "5 inputs, but the layer before"),
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
    assert (spikes.graded_input, values.graded_input, len(spikes.layers)) == (False, True, 5)
    x = np.full((2, 8, 8), 3)
    assert all((SigmaDeltaNetwork(n).step(x) == 0).all() for n in (spikes, values))


def test_networks_that_have_no_netx_file(tmp_path: Path) -> None:
    network = small()
    odd = replace(network.layers[0], neuron=SDNeuron(kind="delta", spike_exp=2))
    with pytest.raises(UserError, match="know spike_exp 6"):
        write_netx(replace(network, layers=(odd, *network.layers[1:])), tmp_path / "x.net")
    with pytest.raises(UserError, match="choose a writable directory"):
        write_netx(network, tmp_path / "nowhere" / "x.net")
    assert not list(tmp_path.iterdir())


def test_rows_without_lava_dl_say_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(bench_netx, "netx_installed", lambda: False)
    rows = netx_rows(tmp_path)
    assert [row.name for row in rows] == ["netx_values_different", "vs_netx_step"]
    assert all("not installed" in row.unit and row.holds is None and row.ours is None for row in rows)
