"""LIF: snnTorch, Norse and plain numpy fire the same spikes; the counts follow them; fine-tuning helps."""

from __future__ import annotations

import numpy as np
import pytest
import snntorch
import torch

from spikeplan.core.errors import UserError
from spikeplan.snn.lif import LIFConfig, LIFNetwork, LIFTraining, finetune_lif, infer
from spikeplan.snn.lif_predictor import LIFPredictor

STEPS, N = 1000, 64


def make(hidden: tuple[int, int] = (40, 32), *, time_steps: int = 4, beta: float = 0.9) -> LIFNetwork:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return LIFNetwork(6, hidden, 4, LIFConfig(time_steps=time_steps, beta=beta))


def currents() -> torch.Tensor:
    return torch.randn(STEPS, N, generator=torch.Generator().manual_seed(3), dtype=torch.float64) * 0.6 + 0.1


def spikes_of(neuron: snntorch.Leaky, current: torch.Tensor) -> torch.Tensor:
    membrane, spikes = torch.zeros(N, dtype=torch.float64), []
    with torch.no_grad():
        for x in current:
            s, membrane = neuron(x, membrane)
            spikes.append(s)
    return torch.stack(spikes)


def plain_spikes(current: np.ndarray, beta: float) -> np.ndarray:
    """u <- beta u + x; s = 1[u > 1]; u <- 0 where it fired."""
    u, spikes = np.zeros(current.shape[1]), []
    for x in current:
        u = beta * u + x
        s = u > 1
        u = np.where(s, 0.0, u)
        spikes.append(s)
    return np.array(spikes)


@pytest.mark.parametrize("reset_delay", [True, False])
@pytest.mark.parametrize("beta", [0.9, 0.5, 0.99])
def test_our_neuron_and_norse_fire_the_same_spikes(beta, reset_delay):
    """0 of 64,000 differ. With reset to zero the delay only moves the reset to the start of the next step."""
    from norse.torch.functional.lif_box import LIFBoxFeedForwardState, LIFBoxParameters, lif_box_feed_forward_step

    neuron = make(beta=beta).lif1.double()
    assert neuron.reset_mechanism == "zero"
    neuron.reset_delay = reset_delay
    exact = float(neuron.beta)  # the float32 that snnTorch keeps
    current = currents()
    ours = spikes_of(neuron, current)

    params = LIFBoxParameters(
        tau_mem_inv=torch.tensor(1 - exact, dtype=torch.float64), v_leak=torch.tensor(0.0, dtype=torch.float64)
    )
    state, norse = LIFBoxFeedForwardState(v=torch.zeros(N, dtype=torch.float64)), []
    for x in current:
        s, state = lif_box_feed_forward_step(x / (1 - exact), state, params, dt=1.0)
        norse.append(s)
    assert int((ours != torch.stack(norse)).sum()) == 0
    assert int((ours.numpy() != plain_spikes(current.numpy(), exact)).sum()) == 0
    assert 0.03 < float(ours.mean()) < 0.6


def test_the_reset_matters():
    """A neuron that only subtracts its threshold fires other spikes: the comparison above can fail."""
    neuron = make().lif1.double()
    other = snntorch.Leaky(beta=neuron.beta, threshold=1.0, reset_mechanism="subtract").double()
    assert int((spikes_of(neuron, currents()) != spikes_of(other, currents())).sum()) > 1000


def plain_network(net: LIFNetwork, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    w = [(m.weight.detach().double().numpy(), m.bias.detach().double().numpy()) for m in (net.w1, net.w2, net.w3)]
    current = x @ w[0][0].T + w[0][1]
    u1, u2 = np.zeros_like(current), np.zeros((len(x), len(w[1][1])))
    n1, n2 = np.zeros_like(u1), np.zeros_like(u2)
    beta = float(net.lif1.beta)
    for _ in range(net.config.time_steps):
        u1 = beta * u1 + current
        s1 = u1 > 1
        u1[s1] = 0
        u2 = beta * u2 + s1 @ w[1][0].T + w[1][1]
        s2 = u2 > 1
        u2[s2] = 0
        n1, n2 = n1 + s1, n2 + s2
    return n2 / net.config.time_steps @ w[2][0].T + w[2][1], n1, n2


@pytest.mark.parametrize("time_steps", [1, 4, 8])
def test_network_follows_its_equations_and_is_counted(time_steps):
    """Weights are n/64 with |n| <= 127, inputs multiples of 1/64, beta 1/2: int8 holds the weights and float32 every sum,
    so spikes and outputs are equal."""
    net = make(time_steps=time_steps, beta=0.5)
    with torch.no_grad():
        for linear, gain in ((net.w1, 4), (net.w2, 6), (net.w3, 1)):
            linear.weight.mul_(gain * 64).round_().clamp_(-127, 127)
            linear.weight[0, 0] = 127
            linear.weight.div_(64)
            linear.bias.mul_(64).round_().div_(64)
    generator = torch.Generator().manual_seed(1)
    z, a = ((torch.randn(3, 5, n, generator=generator) * 64).round() / 64 for n in (4, 2))
    predictor = LIFPredictor(net)
    state = predictor.begin(z[:, 0], a[:, :, None])
    after, state, counts = predictor.step(z, a, state)
    change, n1, n2 = plain_network(net, torch.cat([z, a], -1).reshape(15, 6).double().numpy())
    assert state is None
    assert (after.reshape(15, 4).numpy() == (z.reshape(15, 4).numpy() + change).astype(np.float32)).all()
    assert np.abs(change).max() > 0.1
    run = net(torch.cat([z, a], -1))
    assert (run.spikes[0].reshape(15, -1).detach().numpy() == n1).all()
    assert (run.spikes[1].reshape(15, -1).detach().numpy() == n2).all()
    *counts, rest, context = counts
    assert (rest.layer, rest.state_restores) == ("rest", 15 * (40 + 32)), "membranes start every prediction at 0"
    assert (context.layer, context.state_restores) == ("z", 15 * 4)
    code, h1, h2, out = counts
    assert [c.layer for c in counts] == ["code", "h1", "h2", "out"]
    assert code.synops == 15 * 6 * 40, "currents are injected once a prediction"
    assert (h1.synops, h2.synops, out.synops) == (n1.sum() * 32, n2.sum() * 4, 0)
    assert 0 < n1.sum() < 15 * 40 * time_steps
    assert 0 < n2.sum() < 15 * 32 * time_steps
    assert (h1.messages, h1.message_bits, h1.updates_active) == (n1.sum(),) * 3
    assert [c.updates for c in counts] == [15 * time_steps * n for n in (6, 40, 32, 4)]
    assert [c.dense_macs for c in counts] == [0, 15 * 6 * 40, 15 * 40 * 32, 15 * 32 * 4]
    assert [c.calls for c in counts] == [15] * 4


def test_the_predictor_holds_int8_weights():
    net = make()
    before = net.w1.weight.detach().clone()
    held = LIFPredictor(net).network
    assert (net.w1.weight == before).all(), "the network given is not changed"
    for ours, theirs in ((held.w1, net.w1), (held.w2, net.w2), (held.w3, net.w3)):
        unit = theirs.weight.detach().abs().max() / 127
        steps = ours.weight.detach() / unit
        assert (steps - steps.round()).abs().max() < 1e-4
        assert len(steps.round().unique()) > 50
        assert (ours.weight - theirs.weight).abs().max() <= 0.5001 * unit


def test_from_dense_balances_thresholds():
    """At T = 40 the rate code of a chain whose activations stay in their ranges comes near the dense output."""
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        linears = [torch.nn.Linear(6, 40), torch.nn.Linear(40, 32), torch.nn.Linear(32, 4)]
    x = torch.randn(500, 6, generator=generator)
    with torch.no_grad():
        h1 = linears[0](x).relu()
        h2 = linears[1](h1).relu()
        dense = linears[2](h2)
    tops = [float(h1.max()), float(h2.max())]
    net = LIFNetwork.from_dense(linears, tops, LIFConfig(time_steps=40, beta=1.0))
    spiking = net(x).change_RD
    correlation = np.corrcoef(spiking.detach().flatten(), dense.detach().flatten())[0, 1]
    assert correlation > 0.9
    with pytest.raises(UserError, match="2 linear layers; the LIF predictor has exactly 3"):
        LIFNetwork.from_dense(linears[:2], tops, LIFConfig())


def test_finetuning_lowers_the_error(make_predictor):
    dense, latent, action = make_predictor(latent=4, hidden=(40, 32))
    z, path = latent[:512], [latent[:512]]
    actions = action[:1536].view(512, 3, 2)
    with torch.no_grad():
        for k in range(3):
            z = dense(z, actions[:, k])
            path.append(z)
    rows = []
    config = LIFTraining(steps=40, rows=64, rollout=2, rate=5e-3)
    net = make()
    before = [p.clone() for p in net.parameters()]
    finetune_lif(
        net, torch.stack(path, 1), actions, config, generator=torch.Generator().manual_seed(0), report=rows.append
    )
    error = [row["error"] for row in rows]
    assert np.mean(error[-5:]) < 0.7 * np.mean(error[:5])
    assert all((a != b).any() for a, b in zip(before, net.parameters(), strict=True)), "gradients pass the spikes"
    assert all(0 < row["rate"] < 1 for row in rows)
    again, twin = [], make()
    finetune_lif(
        twin, torch.stack(path, 1), actions, config, generator=torch.Generator().manual_seed(0), report=again.append
    )
    assert again == rows, "all randomness is passed in"


def test_impossible_settings_are_refused():
    for bad in ({"time_steps": 0}, {"beta": 0.0}, {"beta": 1.1}):
        with pytest.raises(UserError, match="lif: time_steps"):
            LIFConfig(**bad)
    with pytest.raises(UserError, match="reference 'mean_candidate' is not offered"):
        LIFPredictor(make()).begin(torch.zeros(1, 4), torch.zeros(1, 1, 1, 2), "mean_candidate")


def test_inference_is_the_training_network_spike_by_spike(form: str) -> None:
    generator = torch.Generator().manual_seed(5)
    net = LIFNetwork(6, (32, 32), 4, LIFConfig(time_steps=5))
    x = 3 * torch.randn(200, 6, generator=generator)
    with torch.no_grad():
        slow = net(x)
    fast = infer(net, x)
    for mine, theirs in zip(fast.spikes, slow.spikes, strict=True):
        assert torch.equal(mine, theirs) and 0.02 < float(mine.mean()) / 5 < 0.98
    torch.testing.assert_close(fast.change_RD, slow.change_RD)
