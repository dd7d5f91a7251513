"""Network graphs in Lava: equal to Lava's own processes, what the two residue rules differ in, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.networks import Layer, convolution, layered, linear, sd

from spikeplan.core.errors import UserError
from spikeplan.core.ir.graph import Delta, Graph, Input, chain
from spikeplan.core.ir.graph.reference import Running, wrap
from spikeplan.lava_procs import LavaError
from spikeplan.lava_procs.child import group_members
from spikeplan.lava_procs.graph.run import GraphRecord, run_graph

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 600.0


def network(residue: str = "lost", layers: int = 5) -> Graph:
    """Every option of a conv, a flattening dense layer with odd weights, and a summing output."""
    rng = np.random.default_rng(0)

    def grown(name: str, before: tuple[int, ...], synapse: Any, vth: int) -> tuple[Layer, tuple[int, ...]]:
        shape = synapse.shape_after((before,))
        neuron = sd("sigma_delta", vth=vth, bias=rng.integers(-9, 90, shape))
        return Layer(name=name, synapse=synapse, neuron=neuron), shape

    kernels = convolution(rng.integers(-99, 99, (8, 2, 3, 2)), padding=(1, 0), stride=(1, 2))
    one, shape = grown("c1", (2, 9, 7), kernels, 20)
    kernels = convolution(rng.integers(-99, 99, (6, 4, 3, 2)), stride=(2, 1), groups=2, padding=(0, 1), dilation=(1, 2))
    two, shape = grown("c2", shape, kernels, 300)
    three, _ = grown("d1", shape, linear(rng.integers(-127, 128, (12, int(np.prod(shape))))), 900)
    last = Layer(name="out", synapse=linear(rng.integers(-60, 60, (3, 12))), neuron=sd("sigma"))
    first = Layer(name="in", neuron=sd("delta", vth=1))
    return layered((2, 9, 7), *(first, one, two, three, last)[:layers], residue=residue)


def walk(steps: int = 60) -> np.ndarray[Any, Any]:
    x = np.cumsum(np.random.default_rng(1).integers(-6, 7, (steps, 2, 9, 7)), 0)
    x[50:52] += 3000  # sums of a convolution beyond 24 bits
    return x


def in_lava(graph: Graph, x: np.ndarray[Any, Any], folder: Path, *, form: str, watch: bool = False) -> GraphRecord:
    return run_graph(graph, {"input": x}, workdir=folder, timeout_s=TIMEOUT_S, form=form, watch=watch)


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> dict[str, GraphRecord]:
    folder = tmp_path_factory.mktemp("network")
    return {form: in_lava(network(), walk(), folder / form, form=form, watch=True) for form in ("fused", "stock")}


@pytest.mark.slow
def test_one_process_equals_the_chain_of_lavas_own(records: dict[str, GraphRecord]) -> None:
    ours, stock = records["fused"], records["stock"]
    assert (ours.out["out"] == stock.out["out"]).all() and (ours.out["out"] != 0).mean() > 0.5
    for name, sent in stock.sent.items():
        assert (ours.sent[name] == sent).all() and sent.sum() > 20, name
        assert (ours.nodes[name] == stock.nodes[name]).all() and len(np.unique(stock.nodes[name])) > 20, name


def test_an_output_of_three_dimensions_keeps_its_order(tmp_path: Path) -> None:
    cut = network(layers=3)
    ours, stock = (in_lava(cut, walk(30), tmp_path / form, form=form).out["c2"] for form in ("fused", "stock"))
    assert ours.shape == (30, *cut.shapes["c2"]) and (ours == stock).all() and ours.any()


def test_sums_of_a_convolution_wrap_at_24_bits_and_are_counted(records: dict[str, GraphRecord]) -> None:
    assert records["fused"].overflows is not None and records["fused"].overflows > 50


def test_values_beyond_32_bits_wrap_as_lavas_do_and_are_counted(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    dense = Layer(name="d", synapse=linear(rng.integers(-99, 99, (6, 20))), neuron=sd("sigma_delta", vth=1))
    graph = layered((20,), Layer(name="in", neuron=sd("delta", vth=1)), dense, residue="lost")
    huge = rng.integers(-9, 10, (30, 20)) + (1 << 19) * rng.integers(-1, 2, (30, 20))  # 2^31 after the shift by 12
    ours, stock = (in_lava(graph, huge, tmp_path / form, form=form) for form in ("fused", "stock"))
    assert (ours.out["d"] == stock.out["d"]).all() and (ours.sent["in"] == stock.sent["in"]).all()
    assert ours.overflows is not None and ours.overflows > 100
    assert wrap(np.array([5, 1 << 31, -(1 << 31) - 1]), 32)[0].tolist() == [5, -(1 << 31), (1 << 31) - 1]


def test_the_rules_for_the_residue_differ(records: dict[str, GraphRecord]) -> None:
    """What the reference computes is what the process computed, and `owed` is not the same arithmetic."""
    outs = {}
    for residue in ("lost", "owed"):
        running = Running(network(residue))
        outs[residue] = np.stack([running.step({"input": x})["out"] for x in walk()])
    assert (outs["lost"] == records["fused"].out["out"]).all()
    assert (outs["owed"][10:50] != outs["lost"][10:50]).mean() > 0.5


@pytest.mark.parametrize(("residue", "drifts"), [("owed", False), ("lost", True)])
def test_a_receiver_drifts_only_where_residues_are_lost(residue: str, drifts: bool) -> None:
    """One neuron of weight 1: what the receiver sums up against what the sender's target is, in state LSB."""
    one = np.ones((1, 1), np.int64)
    sender = Layer(name="a", synapse=linear(one), neuron=sd("sigma_delta", spike_exp=0))
    running = Running(layered((1,), sender, Layer(name="b", synapse=linear(one), neuron=sd("sigma")), residue=residue))
    moves = np.random.default_rng(0).integers(-99, 100, 400)
    for move in (5000, *moves, 0, 0, 0):
        running.step({"input": np.array([move])})
    target, told = int(running.state["a"]["sigma"][0]), int(running.state["b"]["sigma"][0]) << 6
    assert (abs(target - told) > 1000) == drifts and (abs(target - told) < 64) != drifts


def test_silence_costs_nothing_and_owes_nothing() -> None:
    """Without bias nothing moves; states saturate at 24 bits and messages at their width, and both are counted."""
    weight = np.array([[9] * 126, [-9] * 126])
    dense = Layer(name="d", synapse=linear(weight), neuron=sd("sigma_delta", vth=1))
    running = Running(layered((2, 9, 7), Layer(name="in", neuron=sd("delta", vth=1)), dense))
    assert not running.step({"input": np.zeros((2, 9, 7), int)})["d"].any() and not running.sent["in"].any()
    for _ in range(3):
        out = running.step({"input": np.full((2, 9, 7), 2047)})["d"]
    assert np.abs(running.state["d"]["sigma"]).max() == (1 << 23) - 1 and out.tolist() == [(1 << 15) - 1, 0]
    assert sum(running.overflows.values()) > 100


def test_what_does_not_fit_is_refused_before_lava_starts(tmp_path: Path) -> None:
    graph = network("owed")
    for given, form, said in (
        ({"input": np.zeros((3, 5))}, "fused", r"shape \(5,\); expected \(2, 9, 7\)"),
        ({"input": np.zeros((3, 2, 9, 7))}, "fused", "takes integers"),
        ({"input": np.zeros((0, 2, 9, 7), int)}, "fused", "give one length, of at least 1"),
        ({"x": np.zeros((3, 2, 9, 7), int)}, "fused", "input 'x' is none of this network's"),
        ({"input": walk(3)}, "lif", "form 'lif' is unknown"),
        ({"input": walk(3)}, "stock", "residue 'lost'"),
    ):
        with pytest.raises(UserError, match=said):
            run_graph(graph, given, workdir=tmp_path, timeout_s=60, form=form)
    with pytest.raises(UserError, match="input 'x' holds a value that is not finite or beyond 8 bits"):
        narrow = chain([Input(name="x", shape=(2,), bits=8), Delta(name="d", threshold_lsb=3, residue="lost")])
        run_graph(narrow, {"x": np.array([[1, 2], [128, 0]])}, workdir=tmp_path, timeout_s=60)
    with pytest.raises(UserError, match="shifts its input by as many bits"):
        odd = chain([Input(name="input", shape=(2,)), Delta(name="d", threshold_lsb=3, shift=1, residue="lost")])
        run_graph(odd, {"input": np.zeros((3, 2), int)}, workdir=tmp_path, timeout_s=60, form="stock")


def test_a_worker_without_an_answer_is_ended(tmp_path: Path) -> None:
    with pytest.raises(LavaError, match=r"no result within 0\.2 s"):
        run_graph(network(), {"input": walk()}, workdir=tmp_path, timeout_s=0.2)
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
