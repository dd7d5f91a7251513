"""A user's own network: run like Lava runs it, counted, timed and priced; figures by hand."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.networks import Layer, cells, convolution, layered, linear, sd

from spikeplan import energy
from spikeplan.conversion.lif_fixed import quantise
from spikeplan.conversion.netx import read_netx, write_netx
from spikeplan.core.chips import LOIHI1, LOIHI2
from spikeplan.core.counts.exchange import dump_rows, load_rows
from spikeplan.core.counts.operations import total
from spikeplan.core.errors import UserError
from spikeplan.core.ir.artifact import Artifact
from spikeplan.core.ir.graph import Conv
from spikeplan.core.ir.graph import Graph as Network
from spikeplan.evaluation.own_network.counts import dense_rows, outside_words, spiking_rows
from spikeplan.evaluation.own_network.placed import Asked, dense_machines, place_network
from spikeplan.evaluation.own_network.run import record_inputs, run_artifact, run_network
from spikeplan.evaluation.own_network.search import joules_of, time_of, tried
from spikeplan.experiments.bench.peers.netx import random_network
from spikeplan.lava_procs.graph.run import run_graph
from spikeplan.placement.graph import Graph, graph_of_artifact, graph_of_network
from spikeplan.placement.objective import choose
from spikeplan.placement.recording import of_rates


def lif(sizes: tuple[int, ...], seed: int = 0) -> Network:
    rng = np.random.default_rng(seed)
    layers = []
    for number, (n_in, n_out) in enumerate(itertools.pairwise(sizes)):
        neuron = cells(
            du=rng.uniform(0.3, 1, n_out), dv=rng.uniform(0.1, 0.5, n_out), vth=np.ones(n_out), bias=np.zeros(n_out)
        )
        synapse = linear(rng.normal(0.2, 0.5, (n_out, n_in)))
        layers.append(Layer(name=f"l{number}", neuron=neuron, synapse=synapse))
    return layered(sizes[:1], *layers, spikes=True)


def asked(graph: Graph, **settings: Any) -> Asked:
    settings = {"recording": of_rates(graph, 0.2), "steps": 1, "method": "lif"} | settings
    return Asked(path="mine", graph=graph, **settings)


@pytest.mark.parametrize("fixed", [True, False])
def test_lif_layers_send_what_their_lava_processes_send(fixed: bool, tmp_path: Path) -> None:
    network = lif((6, 12, 5))
    if fixed:
        network, _ = quantise(network)
    spikes = (np.random.default_rng(1).random((40, 6)) < 0.4).astype(np.int64)
    ours = run_network(network, spikes)
    theirs = run_graph(network, {"input": spikes}, workdir=tmp_path, timeout_s=120, form="readable")
    for layer in network.layers:
        assert np.array_equal(ours[layer.name].sum(1), theirs.sent[layer.name]) and ours[layer.name].any()
    assert np.array_equal(ours["input"], spikes != 0)


def test_sigma_delta_layers_send_what_their_lava_process_sends(tmp_path: Path) -> None:
    file = write_netx(random_network((2, 8, 8), ((4, 2), 5), seed=0), tmp_path / "n.net")
    inputs = np.random.default_rng(2).integers(-90, 90, (20, 2, 8, 8))
    for residue in ("owed", "lost"):
        network, _ = read_netx(file, residue=residue)
        ours = run_network(network, inputs)
        theirs = run_graph(network, {"input": inputs}, workdir=tmp_path, timeout_s=120, form="readable")
        for layer in network.layers:
            sent = ours[layer.name].reshape(20, -1).sum(1)
            assert np.array_equal(sent, theirs.sent[layer.name]) and sent.any()


def test_artifacts_run_on_their_own_reference(make_chain: Any) -> None:
    """A still input sends once against the pass before, and every time against zero."""
    net: Artifact = make_chain(
        np.random.default_rng(0), (8, 24, 20, 6), shifts=(2, 3, 3, 0), thresholds=(4, 8, 8), weight_exps=(0, 0, 0)
    )
    x = np.repeat(np.random.default_rng(3).integers(-4000, 4000, (1, 8)), 5, 0)
    zero = run_artifact(net, x, "x")
    before = run_artifact(replace(net, reference="previous_step"), x, "x")
    first, second = net.layers[:2]
    assert (zero[first.name] == zero[first.name][0]).all() and zero[second.name].any()
    assert np.array_equal(before[first.name][0], zero[first.name][0])
    assert before[first.name][1:].sum() < zero[first.name][1:].sum()
    assert zero[net.layers[-1].name].all(), "values are read in every pass"
    with pytest.raises(UserError, match="expected \\(steps, 8\\)"):
        run_artifact(net, x[:, :3], "x")
    with pytest.raises(UserError, match="takes integers, quantise them"):
        record_inputs(net, graph_of_artifact(net), x / 2, "x")


def test_counts_by_hand() -> None:
    """3 inputs into 4 cells, 10 steps: 6 spikes set off 24 synops; 40 updates, of which 5 sent."""
    graph = graph_of_network(lif((3, 4)))
    recording = replace(of_rates(graph, 0.0), messages={"input": np.full(10, 0.6), "l0": np.full(10, 0.5)}, repeats=1)
    outside, cells, host = spiking_rows(graph, recording, method="lif")
    assert (outside.synops, outside.messages, outside.chip_steps, outside.updates) == (24, 6, 10, 0)
    assert (cells.synops, cells.updates_active, cells.updates_idle, cells.messages) == (0, 5, 35, 5)
    assert (cells.weight_bytes, cells.state_bytes, cells.chip_steps) == (12, 4 * 2 * 3, 0)
    assert host.host_words == 6 + 5 == outside_words(graph, recording)
    rows, actions = load_rows(dump_rows([outside, cells, host], 1))
    assert rows == [outside, cells, host] and actions == 1
    assert energy.estimate("loihi2", rows, 1, scope="system", extent="loop").nominal > 0


@pytest.mark.parametrize(
    ("layers", "macs", "weights"),
    [
        ((linear(np.ones((5, 8), int)),), 40, 40),
        ((linear(np.ones((300, 8), int)), linear(np.ones((7, 300), int))), 2400 + 2100, 4500),
        # 3 channels of 3 x 3 out of 2 x 2 x 4 inputs padded by 1; then 4 neurons on 27
        (
            (
                convolution(np.ones((3, 2, 2, 2), int), stride=(1, 2), padding=(1, 1)),
                linear(np.ones((4, 27), int)),
            ),
            27 * 8 + 4 * 27,
            24 + 108,
        ),
    ],
)
def test_dense_macs_are_the_networks_own(layers: tuple[Any, ...], macs: int, weights: int) -> None:
    shape: tuple[int, ...] = (2, 2, 4) if isinstance(layers[0], Conv) else (8,)
    before, found = shape, []
    for number, synapse in enumerate(layers):
        before = synapse.shape_after((before,))
        found.append(Layer(name=f"l{number}", neuron=sd("sigma_delta"), synapse=synapse))
    graph = graph_of_network(layered(shape, *found))
    rows = dense_rows(graph, passes=3, batch=2)
    assert total(rows, "macs") == 3 * 2 * macs and graph.macs == macs
    assert total(rows[: len(layers)], "weight_bytes") == weights == graph.weights
    one, three = (dense_machines(asked(graph, passes=p), energy.default())[0] for p in (1, 3))
    for name in ("orin_nano", "h100", "gap9"):
        assert 1 < three[name]["nominal"] / one[name]["nominal"] <= 3.001
    nominal = [e["nominal"] for e in one.values()]
    assert nominal == sorted(nominal)


def test_time_and_energy_of_a_placement() -> None:
    """A small LIF network: the barrier is the step. Energy is the package's for the same rows, time and chips."""
    graph = graph_of_network(lif((3, 4)))
    one = place_network(asked(graph, steps=50), LOIHI2, energy.default())
    device = energy.default().device("loihi2")
    barrier = device.figure("t_barrier").band
    assert (one.step_s.low, one.step_s.nominal, one.step_s.high) == barrier.bounds()
    assert one.set_by["barrier"] == 1.0
    assert one.inference_s.nominal == pytest.approx(50 * barrier.nominal)
    assert one.latency_s.nominal == pytest.approx(51 * barrier.nominal)
    rows, number = one.rows
    assert total(rows, "updates") == 4 * 50 * number and total(rows, "chip_steps") == 50 * number
    assert total(rows, "synops") / number == pytest.approx(0.6 * 4 * 50)
    setup = energy.Setup(chips=1, time_s=one.inference_s)
    again = energy.estimate("loihi2", rows, number, scope="system", extent="loop", setup=setup)
    assert (again.low, again.nominal, again.high) == (one.joules.low, one.joules.nominal, one.joules.high)
    static = device.figure("p_static").band.nominal * one.inference_s.nominal
    assert one.joules.nominal - one.without_static.nominal >= 0.999 * static
    assert one.step_joules.nominal == pytest.approx(one.joules.nominal / 50)


@pytest.mark.parametrize("steps", [1, 7, 20, 45])
def test_an_inference_of_any_length_has_its_share_of_the_recording(steps: int) -> None:
    graph = graph_of_network(lif((3, 4)))
    recording = replace(of_rates(graph, 0.0), messages={"input": np.full(20, 2.0), "l0": np.full(20, 1.0)}, repeats=1)
    one = place_network(asked(graph, recording=recording, steps=steps), LOIHI2, energy.default())
    rows, number = one.rows
    assert total(rows, "synops") == number * steps * 2 * 4
    assert total(rows, "chip_steps") == number * steps and total(rows, "updates") == number * steps * 4


def test_replicas_share_a_batch_and_idle_ones_are_charged() -> None:
    """5 inferences on 2 replicas take 3 turns, so one replica updates a turn for nothing."""
    graph = graph_of_network(lif((3, 4)))
    question = asked(graph, steps=10, batch=5)
    one, two, five = (place_network(question, LOIHI2, energy.default(), replicas=r) for r in (1, 2, 5))
    assert (one.turns, two.turns, five.turns) == (5, 3, 1)
    assert two.batch_s.nominal == pytest.approx(3 / 5 * one.batch_s.nominal)
    assert two.inference_s.nominal == pytest.approx(two.batch_s.nominal / 5)
    rows, number = two.rows
    assert number % 5 == 0 and total(rows, "updates") / number == pytest.approx(6 / 5 * 10 * 4)
    assert rows[-1].layer == "waiting" and rows[-1].updates_idle / number == pytest.approx(10 * 4 / 5)
    assert total(rows, "chip_steps") / number == pytest.approx(3 * 10 / 5)
    assert five.joules.nominal < one.joules.nominal, "static power is shared"
    with pytest.raises(UserError, match="6 replicas for a batch of 5; give --batch"):
        place_network(question, LOIHI2, energy.default(), replicas=6)


def test_a_search_finds_the_least_of_what_is_asked_for() -> None:
    graph = graph_of_network(lif((400, 600, 300)))
    question = asked(graph, recording=of_rates(graph, 0.5), steps=4, batch=4)
    found = tried(question, LOIHI2, energy.default())
    assert {one.found.replicas for one in found} == {1, 2, 4} and {one.found.spread for one in found} > {1, 4}
    best = {name: choose(found, name, time_s=time_of, energy_j=joules_of).best for name in ("time", "energy", "chips")}
    assert time_of(best["time"]) == min(map(time_of, found)) < time_of(found[0])
    assert joules_of(best["energy"]) == min(map(joules_of, found)) < joules_of(found[0])
    assert best["chips"].found.cores == min(one.found.cores for one in found)
    late = choose(found, "chips", time_s=time_of, energy_j=joules_of, within_s=1e-9, what="x")
    assert late.missed is not None and late.missed.startswith("no placement x in 1e-06 ms; the fastest takes")
    assert late.best.found.cores == best["time"].found.cores and late.next_best is None
    quick = choose(found, "chips", time_s=time_of, energy_j=joules_of, within_s=time_of(best["time"]))
    assert time_of(quick.best) == time_of(best["time"])
    with pytest.raises(UserError, match="objective 'cores' is unknown"):
        choose(found, "cores", time_s=time_of, energy_j=joules_of)


def test_figures_of_another_catalogue_change_time_and_energy(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    figure = '{ value = 40, unit = "us", source = "a bench of mine", evidence = "R" }'
    power = '{ value = 5, unit = "W", source = "a bench of mine", evidence = "R" }'
    own.write_text(f"[devices.loihi2.figures]\nt_barrier = {figure}\np_static = {power}\n")
    graph = graph_of_network(lif((3, 4)))
    mine = place_network(asked(graph), LOIHI2, energy.load(own=own))
    assert mine.step_s.bounds() == pytest.approx((40e-6, 40e-6, 40e-6))
    assert mine.joules.nominal > 5 * 40e-6 > place_network(asked(graph), LOIHI2, energy.default()).joules.nominal


def test_limits_that_a_chip_is_known_to_have_are_refused() -> None:
    graded = graph_of_network(random_network((2, 8, 8), ((4, 2), 5), seed=0))
    one = place_network(asked(graded), LOIHI1, energy.default())
    assert {violation.limit for violation in one.refused} == {"message_bits"}
    assert tried(asked(graded), LOIHI1, energy.default())[0].refused
    with pytest.raises(UserError, match="--steps 0 must be from 1"):
        asked(graded, steps=0)


def test_every_chip_of_a_large_network_draws_its_static_power() -> None:
    """Chips and the time of the busiest core come from the placement, not from the sum of all work."""
    synapse = linear(np.ones((3000, 3000), np.int8))
    layers = [Layer(name="in", neuron=sd("delta"))]
    for number in range(6):
        layers.append(Layer(name=f"l{number}", neuron=sd("sigma_delta"), synapse=synapse))
    graph = graph_of_network(layered((3000,), *layers))
    one = place_network(asked(graph, steps=2), LOIHI2, energy.default())
    device = energy.default().device("loihi2")
    static = device.figure("p_static_chips").band.nominal * one.found.chips * one.inference_s.nominal
    assert one.found.chips > 2
    assert static < one.joules.nominal - one.without_static.nominal < 1.2 * static
    assert one.step_s.low >= device.figure("t_barrier_chips").band.low
