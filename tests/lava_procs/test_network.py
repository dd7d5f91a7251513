"""Whole sigma-delta networks in one process: equal to Lava's own processes, and what the two residue rules differ in."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikeplan.core.errors import UserError
from spikeplan.core.ir.network import Conv, Dense, Layer, LIFNeuron, Network, SDNeuron, load, save
from spikeplan.lava_procs import LavaError
from spikeplan.lava_procs.child import group_members
from spikeplan.lava_procs.network import SigmaDeltaNetwork, wrap
from spikeplan.lava_procs.network_run import Record, run_network

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 600.0


def network() -> Network:
    """Every option of a conv, a flattening dense layer with odd weights, and a summing output."""
    rng = np.random.default_rng(0)

    def layer(name: str, before: tuple[int, ...], synapse: Dense | Conv, vth: int) -> Layer:
        shape = synapse.shape_after(before)
        bias = rng.integers(-9, 90, shape)
        return Layer(name=name, shape=shape, synapse=synapse, neuron=SDNeuron(kind="sigma_delta", vth=vth, bias=bias))

    one = layer("c1", (2, 9, 7), Conv(weight=rng.integers(-99, 99, (8, 2, 3, 2)), padding=(1, 0), stride=(1, 2)), 20)
    conv = Conv(weight=rng.integers(-99, 99, (6, 4, 3, 2)), stride=(2, 1), groups=2, padding=(0, 1), dilation=(1, 2))
    two = layer("c2", one.shape, conv, 300)
    three = layer("d1", two.shape, Dense(weight=rng.integers(-127, 128, (12, two.n))), 900)
    last = Layer(
        name="out", shape=(3,), synapse=Dense(weight=rng.integers(-60, 60, (3, 12))), neuron=SDNeuron(kind="sigma")
    )
    first = Layer(name="in", shape=(2, 9, 7), neuron=SDNeuron(kind="delta", vth=1))
    return Network(input_shape=(2, 9, 7), layers=(first, one, two, three, last))


def walk(steps: int = 60) -> np.ndarray[Any, Any]:
    x = np.cumsum(np.random.default_rng(1).integers(-6, 7, (steps, 2, 9, 7)), 0)
    x[50:52] += 3000  # sums of a convolution beyond 24 bits
    return x


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Record]:
    folder = tmp_path_factory.mktemp("network")
    return {
        form: run_network(
            network(), walk(), workdir=folder / form, timeout_s=TIMEOUT_S, form=form, residue="lost", watch=True
        )
        for form in ("fused", "stock")
    }


@pytest.mark.slow
def test_one_process_equals_the_chain_of_lavas_own(records: dict[str, Record]) -> None:
    ours, stock = records["fused"], records["stock"]
    assert (ours.out == stock.out).all() and (ours.out != 0).mean() > 0.5
    for name, sent in stock.counts.items():
        assert (ours.counts[name] == sent).all() and sent.sum() > 20, name
    for name, rows in stock.states.items():
        assert (ours.states[name] == rows).all() and len(np.unique(rows)) > 50, name
    assert set(stock.states) == {"c1.sigma", "c2.sigma", "d1.sigma", "out.sigma"}


def test_an_output_of_three_dimensions_keeps_lavas_order(tmp_path: Path) -> None:
    cut = replace(network(), layers=network().layers[:3])
    ours, stock = (
        run_network(cut, walk(30), workdir=tmp_path / form, timeout_s=TIMEOUT_S, form=form, residue="lost")
        for form in ("fused", "stock")
    )
    assert ours.out.shape == (30, *cut.output_shape) and (ours.out == stock.out).all() and ours.out.any()


def test_sums_of_a_convolution_wrap_at_24_bits_and_are_counted(records: dict[str, Record]) -> None:
    assert records["fused"].overflows is not None and records["fused"].overflows > 50


def test_values_beyond_32_bits_wrap_as_lavas_do_and_are_counted(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    dense = Layer(
        name="d",
        shape=(6,),
        synapse=Dense(weight=rng.integers(-99, 99, (6, 20))),
        neuron=SDNeuron(kind="sigma_delta", vth=1),
    )
    first = Layer(name="in", shape=(20,), neuron=SDNeuron(kind="delta", vth=1))
    huge = rng.integers(-9, 10, (30, 20)) + (1 << 19) * rng.integers(-1, 2, (30, 20))  # 2^31 after the shift by 12
    ours, stock = (
        run_network(
            Network(input_shape=(20,), layers=(first, dense)),
            huge,
            workdir=tmp_path / form,
            timeout_s=TIMEOUT_S,
            form=form,
            residue="lost",
            watch=True,
        )
        for form in ("fused", "stock")
    )
    assert (ours.out == stock.out).all() and (ours.states["d.sigma"] == stock.states["d.sigma"]).all()
    assert (ours.counts["in"] == stock.counts["in"]).all() and ours.overflows is not None and ours.overflows > 100
    assert wrap(np.array([5, 1 << 31, -(1 << 31) - 1]), 32)[0].tolist() == [5, -(1 << 31), (1 << 31) - 1]


def test_the_rules_for_the_residue_differ(records: dict[str, Record]) -> None:
    """What the runner computes is what the process computed, and `owed` is not the same arithmetic."""
    outs = {}
    for residue in ("lost", "owed"):
        running = SigmaDeltaNetwork(network(), residue=residue)
        outs[residue] = np.stack([running.step(x) for x in walk()])
    assert (outs["lost"] == records["fused"].out).all()
    assert (outs["owed"][10:50] != outs["lost"][10:50]).mean() > 0.5


@pytest.mark.parametrize(("residue", "drifts"), [("owed", False), ("lost", True)])
def test_a_receiver_drifts_only_where_residues_are_lost(residue: str, drifts: bool) -> None:
    """One neuron of weight 1: what the receiver sums up against what the sender's target is, in state LSB."""
    one = np.ones((1, 1), np.int64)
    layers = (
        Layer(name="a", shape=(1,), synapse=Dense(weight=one), neuron=SDNeuron(kind="sigma_delta", spike_exp=0)),
        Layer(name="b", shape=(1,), synapse=Dense(weight=one), neuron=SDNeuron(kind="sigma")),
    )
    running = SigmaDeltaNetwork(Network(input_shape=(1,), layers=layers), residue=residue)
    moves = np.random.default_rng(0).integers(-99, 100, 400)
    for move in (5000, *moves, 0, 0, 0):
        running.step(np.array([move]))
    target, told = int(running.sigma[0][0]), int(running.sigma[1][0]) << 6
    assert (abs(target - told) > 1000) == drifts and (abs(target - told) < 64) != drifts


def test_silence_costs_nothing_and_owes_nothing() -> None:
    """Without bias nothing moves; states saturate at 24 bits and messages at their width, and both are counted."""
    quiet = replace(network().layers[0], name="in")
    dense = Layer(
        name="d",
        shape=(2,),
        synapse=Dense(weight=np.array([[9] * 126, [-9] * 126])),
        neuron=SDNeuron(kind="sigma_delta", vth=1),
    )
    running = SigmaDeltaNetwork(Network(input_shape=(2, 9, 7), layers=(quiet, dense)))
    assert not running.step(np.zeros((2, 9, 7), int)).any() and not running.messages.any()
    for _ in range(3):
        out = running.step(np.full((2, 9, 7), 2047))
    assert np.abs(running.all_sigma).max() == (1 << 23) - 1 and out.tolist() == [(1 << 15) - 1, 0]
    assert running.overflows > 100


def test_a_network_survives_its_file(tmp_path: Path) -> None:
    save(network(), tmp_path / "n.npz")
    again = load(tmp_path / "n.npz")
    ours, theirs = SigmaDeltaNetwork(network()), SigmaDeltaNetwork(again)
    assert all((ours.step(x) == theirs.step(x)).all() for x in walk(8))
    for damaged in (b"", b"PK\x03\x04", (tmp_path / "n.npz").read_bytes()[:500]):
        (tmp_path / "bad.npz").write_bytes(damaged)
        with pytest.raises(UserError, match=r"bad\.npz: missing or no network file"):
            load(tmp_path / "bad.npz")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"synapse": Dense(weight=np.ones((3, 5), int))}, "5 inputs, but the layer before has shape"),
        ({"synapse": None}, "a delta coder is the first layer"),
        ({"shape": (4,)}, r"shape \(4,\), but its synapses make \(3,\)"),
        ({"synapse": Dense(weight=np.ones((3, 12)))}, "sigma-delta layers need integers"),
        ({"neuron": SDNeuron(kind="sigma_delta", bias=np.zeros(4, int))}, "bias of shape"),
    ],
)
def test_descriptions_that_fit_nothing(change: dict[str, Any], expected: str) -> None:
    whole = network()
    with pytest.raises(UserError, match=expected):
        replace(whole, layers=(*whole.layers[:-1], replace(whole.layers[-1], **change)))


def test_numbers_that_fit_nothing(tmp_path: Path) -> None:
    for make in (
        lambda: SDNeuron(kind="alpha"),
        lambda: SDNeuron(kind="delta", vth=-1),
        lambda: Conv(weight=np.ones((2, 1, 3, 3), int), stride=(0, 1)),
        lambda: Conv(weight=np.ones((2, 1, 3, 3), int)).shape_after((1, 2, 2)),
        lambda: LIFNeuron(du=np.zeros(2), dv=np.zeros(3), vth=np.ones(2), bias=np.zeros(2)),
        lambda: SigmaDeltaNetwork(network(), residue="kept"),
        lambda: run_network(heavy(), np.zeros((3, 9), int), workdir=tmp_path, timeout_s=9),
        lambda: run_network(network(), np.zeros((3, 5)), workdir=tmp_path, timeout_s=1),
        lambda: run_network(network(), np.zeros((3, 2, 9, 7)), workdir=tmp_path, timeout_s=1),
        lambda: run_network(network(), walk(3), workdir=tmp_path / "x", timeout_s=9, form="lif"),
    ):
        with pytest.raises(UserError):
            make()


def heavy() -> Network:
    """Sums of these weights with 32-bit messages would not be exact in float64."""
    layer = Layer(name="d", shape=(1,), synapse=Dense(weight=np.full((1, 9), 1 << 20)), neuron=SDNeuron(kind="sigma"))
    return Network(input_shape=(9,), layers=(layer,))


def test_a_worker_without_an_answer_is_ended(tmp_path: Path) -> None:
    with pytest.raises(LavaError, match=r"no result within 0\.2 s"):
        run_network(network(), walk(), workdir=tmp_path, timeout_s=0.2)
    assert group_members(int((tmp_path / "worker.pid").read_text())) == []


WATCHED = """
import numpy as np
from spikeplan.lava_procs.python311 import import_lava
import_lava()
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.io.source import RingBuffer
from lava.proc.monitor.process import Monitor
from spikeplan.lava_procs.lif import LIFParams, LIFState, lif_fixed
from spikeplan.lava_procs.processes.lif import LIF
from spikeplan.lava_procs.processes.log import Log
from spikeplan.lava_procs.processes.watch import Watch
a = np.random.default_rng(0).integers(-20, 60, (4, 30))
p = LIFParams(du=900, dv=300, vth=np.array([90, 200, 300, 10**5]))
source, lif, monitor = RingBuffer(data=a), LIF(shape=(4,), params=p), Monitor()
log, watch = Log(path="s.npy", steps=30, shape=(4,)), Watch(path="v.npy", steps=30, shape=(4,))
source.s_out.connect(lif.a_in); lif.s_out.connect(log.a_in); watch.var_ref.connect_var(lif.v)
monitor.probe(lif.v, 30)
source.run(condition=RunSteps(num_steps=30), run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
seen = list(monitor.get_data().values())[0]["v"]
source.stop()
state, fired = LIFState(np.zeros(4, np.int64), np.zeros(4, np.int64)), []
v = []
for t in range(30):
    s, state = lif_fixed(a[:, t], state, p)
    fired.append(s); v.append(state.v)
v, fired = np.array(v), np.array(fired)
equal = (seen == v).all(), (np.load("v.npy") == v).all(), (np.load("s.npy") == fired).all()
print(*equal, fired.any(0).tolist(), len(np.unique(v)))
"""


def test_states_and_messages_are_watched_as_lavas_monitor_sees_them(tmp_path: Path) -> None:
    """A population whose thresholds differ from neuron to neuron; the last one never fires."""
    done = subprocess.run(
        [sys.executable, "-c", WATCHED],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT / "src")},
        text=True,
        capture_output=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-1500:]
    *equal, unique = done.stdout.replace("[", "").replace("]", "").replace(",", "").split()
    assert equal == ["True", "True", "True", "True", "True", "True", "False"] and int(unique) > 50
