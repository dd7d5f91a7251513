"""The latency code: spikes of a plain simulation, step by step, are those that the network counts, and its outputs follow."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from spikeplan.core.chips import LOIHI2
from spikeplan.core.errors import UserError
from spikeplan.snn.latency import LatencyNet, LatencyPredictor, LatencySettings
from spikeplan.snn.rate_net import CODE, OUT, Wire

ROWS, INPUTS, OUTPUTS = 40, 5, 4
Array = NDArray[np.float64]


def make(time_steps: int = 8, *, skips: bool = False, graded: bool = False) -> LatencyNet:
    """Weights of n / 64 and biases of n / 64 windows + 1 / 128 step: every sum is exact, and no membrane ends on a half step."""
    generator = torch.Generator().manual_seed(2)

    def drawn(n: int, k: int) -> Tensor:
        return (torch.randn(n, k, generator=generator) * 40).round() / 64

    wires = {Wire(CODE, "h1"): drawn(7, INPUTS), Wire("h1", "h2"): drawn(6, 7), Wire("h2", OUT): drawn(OUTPUTS, 6)}
    if skips:
        wires |= {Wire(CODE, "h2"): drawn(6, INPUTS), Wire("h1", OUT): drawn(OUTPUTS, 7)}
    sizes = {"h1": 7, "h2": 6, OUT: OUTPUTS}
    biases = {name: drawn(n, 1).flatten() + 1 / (128 * time_steps) for name, n in sizes.items()}
    settings = LatencySettings(time_steps=time_steps, graded_inputs=graded)
    return LatencyNet(["h1", "h2"], wires, biases, torch.full((INPUTS,), 2.0), settings)


def inputs() -> Tensor:
    return torch.randn(ROWS, INPUTS, generator=torch.Generator().manual_seed(1))


class Simulated(NamedTuple):
    """Output (OUTPUTS,), spikes of each layer, additions to registers, and each neuron's step of spiking, -1 for none."""

    out: Array
    spikes: dict[str, int]
    additions: int
    moment: dict[str, Array]


def simulate(net: LatencyNet, x: Array) -> Simulated:
    """One row by registers alone: in every step of the prediction spikes arrive a step late, currents add up, neurons compare."""
    steps, depths = net.settings.time_steps, net.depths
    weights = {wire: net.weights[wire.key].detach().double().numpy() for wire in net.wires}
    names = (*net.groups, OUT)
    unit = {name: steps if name == OUT else 1 for name in names}  # the output's weights are of whole windows
    current = {name: np.zeros(net.sizes[name]) for name in names}
    membrane = {name: net.biases[name].detach().double().numpy() * (1 if name == OUT else steps) for name in names}
    moment = {name: np.full(n, -1.0) for name, n in net.sizes.items()}
    arriving: dict[str, Array] = {}
    if net.settings.graded_inputs:
        arriving = {CODE: np.rint(np.clip(x / net.tops_I.double().numpy(), -1, 1) * 127) * steps / 127}
    spikes, additions = dict.fromkeys((CODE, *net.groups), 0), 0
    drive = np.abs(x) * (steps / net.tops_I.double().numpy())
    for t in range(steps * depths[OUT] + 1):
        for wire, weight in weights.items():
            for j in np.flatnonzero(arriving.get(wire.src, np.zeros(0))):
                current[wire.dst] = current[wire.dst] + arriving[wire.src][j] * weight[:, j] / unit[wire.dst]
                additions += weight.shape[0]
        sent: dict[str, Array] = {}
        for name in names:
            membrane[name] = membrane[name] + current[name]
            if t % steps == 0:
                current[name] = np.zeros_like(current[name])
        for name in (CODE, *net.groups):
            k = t - steps * depths[name]
            if not 0 <= k < steps:
                continue
            level = drive if name == CODE else membrane[name]
            fires = (level + k >= steps - 0.5) & (moment[name] < 0)
            moment[name][fires] = k
            sent[name] = fires * (np.sign(x) if name == CODE else 1.0)
            spikes[name] += int(fires.sum())
        arriving = sent
    return Simulated(membrane[OUT], spikes, additions, moment)


@pytest.mark.parametrize("graded", [False, True])
@pytest.mark.parametrize("skips", [False, True])
@pytest.mark.parametrize("time_steps", [1, 4, 16])
def test_a_simulation_of_registers_fires_the_same_spikes(time_steps: int, skips: bool, graded: bool) -> None:
    net = make(time_steps, skips=skips, graded=graded)
    x = inputs()
    with torch.no_grad():
        run = net(x)
    found = [simulate(net, row) for row in x.double().numpy()]
    np.testing.assert_allclose(np.stack([one.out for one in found]), run.out.numpy(), rtol=0, atol=1e-5)
    assert float(run.out.std()) > 0.2
    timed = {**({} if graded else {CODE: run.inputs.abs()}), **run.counts}
    for name, left in timed.items():
        moments = np.stack([one.moment[name] for one in found])
        assert (np.where(moments < 0, 0, time_steps - moments) == left.numpy()).all()
        assert 0 < (moments >= 0).mean() < 1, "some fire and some do not"
    predictor = LatencyPredictor(net, latent_dim=OUTPUTS, residual=False)
    after, state, counts = predictor.step(x[:, None, :OUTPUTS], x[:, None, OUTPUTS:], None)
    assert state is None and torch.equal(after[:, 0], run.out)
    by = {row.layer: row for row in counts}
    for name in timed:
        sent = sum(one.spikes[name] for one in found)
        assert by[name].messages == by[name].message_bits == by[name].updates_active == sent <= ROWS * net.sizes[name]
    assert sum(row.synops for row in counts) == sum(one.additions for one in found)
    assert (
        sum(row.synops for row in counts) <= ROWS * sum(predictor.weights_left().values()) * 1.05
    )  # some weights are 0


def test_a_value_is_the_moment_of_its_spike() -> None:
    """Values of 1/4, 1/2 and 1 window, and of 3 windows, leave 4, 8, 16 and 16 of 16 steps; a negative one never fires."""
    net = make(16)
    with torch.no_grad():
        net.weights["code__h1"].zero_()
        net.biases["h1"].copy_(torch.tensor([0.25, 0.5, 1.0, 3.0, -1.0, 0.02, 0.04]))
        left = net(torch.zeros(1, INPUTS)).counts["h1"][0]
    assert left.tolist() == [4, 8, 16, 16, 0, 0, 1]


def test_inputs_are_spikes_of_either_sign() -> None:
    coded = make(8).coded(torch.tensor([[2.0, -2.0, 0.1, 0.5, -9.0]]))
    assert coded.tolist() == [[8, -8, 0, 2, -8]]


def test_windows_and_depths() -> None:
    chain, skips = make(8), make(8, skips=True)
    assert chain.depths == skips.depths == {CODE: 0, "h1": 1, "h2": 2, OUT: 3}
    assert (chain.windows, skips.windows) == (2, 3), "h2 keeps what the inputs sent while h1 takes its turn"


def test_graded_inputs_come_before_the_first_window() -> None:
    net = make(8, graded=True)
    assert net.depths == {CODE: -1, "h1": 0, "h2": 1, OUT: 2} and (
        net.windows,
        make(8, skips=True, graded=True).windows,
    ) == (2, 2)
    predictor = LatencyPredictor(net, latent_dim=OUTPUTS, residual=False)
    assert predictor.pipeline_steps == (8 * 2 + 2, 16)
    x = inputs()
    _, _, (code, *_) = predictor.step(x[:, None, :4], x[:, None, 4:], None)
    sent = int((x.abs() > 1 / 127).sum())
    assert (code.messages, code.message_bits, code.synops) == (sent, 8 * sent, 7 * sent) and 0.9 < sent / (ROWS * 5) < 1
    with pytest.raises(UserError, match="graded_inputs 1 must be True or False"):
        LatencySettings(graded_inputs=1)  # type: ignore[arg-type]


def test_it_counts_every_step() -> None:
    net = make(8)
    predictor = LatencyPredictor(net, latent_dim=OUTPUTS, residual=True)
    x = inputs().view(2, 20, INPUTS)
    assert predictor.begin(x[:, 0, :4], x[:, :, None, 4:]) is None
    _, _, counts = predictor.step(x[..., :4], x[..., 4:], None)
    by = {row.layer: row for row in counts}
    assert [by[name].updates for name in (CODE, "h1", "h2", OUT)] == [ROWS * 16 * n for n in (5, 7, 6, 4)]
    assert predictor.pipeline_steps == (8 * 3 + 1, 16)
    assert (by["rest"].state_restores, by["z"].state_restores) == (ROWS * 13, ROWS * 4)
    assert [by[name].dense_macs for name in (CODE, "h1", "h2", OUT)] == [0, ROWS * 35, ROWS * 42, ROWS * 24]
    assert predictor.memory() == {"h1": (35, 42), "h2": (42, 36), OUT: (24, 24)}
    assert predictor.neuron_groups(LOIHI2) is None
    with pytest.raises(UserError, match="not offered by a latency code; use zero"):
        predictor.begin(x[:, 0, :4], x[:, :, None, 4:], "previous_step")


def test_gradients_pass_the_spikes() -> None:
    net = make(8)
    net(inputs()).out.square().mean().backward()
    for parameter in net.parameters():
        assert parameter.grad is not None and float(parameter.grad.abs().sum()) > 0


@pytest.mark.parametrize("steps", [0, 1025, True, 2.5, float("nan"), "x" * 100])
def test_settings_out_of_range_are_refused(steps: object) -> None:
    with pytest.raises(UserError, match="latency code: time_steps .* must be an integer from 1 to 1024$"):
        LatencySettings(time_steps=steps)  # type: ignore[arg-type]
