"""The policy in LIF spikes: what snnTorch fires, counted by hand, near the dense policy after fine-tuning."""

from __future__ import annotations

from typing import Any

import pytest
import snntorch
import torch
from torch import Tensor, nn

from spikeplan.core.chips import LOIHI1, LOIHI2
from spikeplan.core.errors import UserError
from spikeplan.snn.lif import LIFConfig, LIFNetwork
from spikeplan.snn.lif_policy import LIFPolicy, LIFPolicyTraining, finetune_lif_policy

LIMIT = 0.5
D, HIDDEN, A = 4, (24, 20), 2
ROWS = 5 * 3  # episodes, copies


def network(*, time_steps: int = 3) -> LIFNetwork:
    """Weights are n/64 with |n| <= 127 and beta 1/2: 8 bits hold the weights and float32 every sum."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = LIFNetwork(2 * D, HIDDEN, A, LIFConfig(time_steps=time_steps, beta=0.5))
    with torch.no_grad():
        for linear, gain in ((net.w1, 4), (net.w2, 6), (net.w3, 8)):
            linear.weight.mul_(gain * 64).round_().clamp_(-127, 127)
            linear.weight[0, 0] = 127
            linear.weight.div_(64)
            linear.bias.mul_(64).round_().div_(64)
    return net


def states() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return tuple((torch.randn(*shape, D, generator=generator) * 64).round() / 64 for shape in ((5, 3), (5,)))  # type: ignore[return-value]


def by_snntorch(net: LIFNetwork, x_RI: Tensor) -> tuple[Tensor, list[list[Tensor]]]:
    """The raw output, and the spikes of both layers step by step: snnTorch's own neurons and nothing of ours."""
    lif = [snntorch.Leaky(beta=0.5, threshold=1.0, reset_mechanism="zero") for _ in HIDDEN]
    u1, u2 = (torch.zeros(len(x_RI), n) for n in HIDDEN)
    spikes: list[list[Tensor]] = [[], []]
    with torch.no_grad():
        for _ in range(net.config.time_steps):
            s1, u1 = lif[0](nn.functional.linear(x_RI, net.w1.weight, net.w1.bias), u1)
            s2, u2 = lif[1](nn.functional.linear(s1, net.w2.weight, net.w2.bias), u2)
            spikes[0].append(s1)
            spikes[1].append(s2)
        rate = torch.stack(spikes[1]).mean(0)
        return nn.functional.linear(rate, net.w3.weight, net.w3.bias), spikes


@pytest.mark.parametrize("time_steps", [1, 2, 4])  # powers of two: a mean of spikes is exact
def test_it_acts_as_snntorch_fires_and_every_operation_is_counted(time_steps: int) -> None:
    net, (latent, goal) = network(time_steps=time_steps), states()
    policy = LIFPolicy(net, action_limit=LIMIT)
    x = torch.cat([latent, goal[:, None].expand(5, 3, D)], -1).flatten(0, 1)
    raw, spikes = by_snntorch(net, x)
    run, _ = policy.infer(x[None])
    for ours, theirs in zip(run.spikes, spikes, strict=True):
        assert torch.equal(ours[0], torch.stack(theirs).sum(0)), "spike for spike"
    action, counts = policy.act(latent, goal)
    assert torch.equal(action.flatten(0, 1), LIMIT * raw.clamp(-1, 1))
    assert raw.min() < -1 and raw.max() > 1 and action.abs().min() < LIMIT, "some actions are clipped, some are not"

    first, second = (int(torch.stack(s).sum()) for s in spikes)
    assert 0 < first < ROWS * 24 * time_steps and 0 < second < ROWS * 20 * time_steps
    code, h1, h2, out, rest = counts
    assert [c.layer for c in counts] == [f"policy.{name}" for name in ("code", "h1", "h2", "out", "rest")]
    assert (code.synops, h1.synops, h2.synops, out.synops) == (ROWS * 8 * 24, first * 20, second * 2, 0)
    assert [c.updates for c in counts] == [ROWS * time_steps * n for n in (8, 24, 20, 2)] + [0]
    assert [c.messages for c in counts] == [ROWS * 8, first, second, 0, 0]
    assert [c.dense_macs for c in counts] == [0, ROWS * 8 * 24, ROWS * 24 * 20, ROWS * 20 * 2, 0]
    assert rest.state_restores == ROWS * (24 + 20) and [c.calls for c in counts[:4]] == [ROWS] * 4


def test_its_parts_are_named_apart_from_a_predictors() -> None:
    policy = LIFPolicy(network(), action_limit=LIMIT)
    assert policy.memory() == {"policy.h1": (192, 72), "policy.h2": (480, 60), "policy.out": (40, 6)}
    assert policy.weights_left().keys() == policy.memory().keys() and policy.weights_left()["policy.h2"] <= 480
    assert policy.pipeline_steps == (3 + 3, 3) and policy.spiking
    groups = policy.neuron_groups(LOIHI2)
    assert groups.path == ("policy.code", "policy.h1", "policy.h2", "policy.out") and groups.time_steps == 3
    assert [group.neurons for group in groups.groups] == [8, 24, 20, 2]
    assert policy.neuron_groups(LOIHI1).groups[0].neurons == 8 * 8, "inputs bit by bit"


def test_fine_tuning_brings_it_near_the_dense_policy_and_is_the_same_twice() -> None:
    generator = torch.Generator().manual_seed(2)
    latent, goal = (torch.randn(512, D, generator=generator) for _ in range(2))
    target = (goal - latent)[:, :A].clamp(-1, 1)
    config = LIFPolicyTraining(steps=80, rows=128, rate=1e-2)

    def tuned() -> tuple[list[float], LIFPolicy]:
        rows = list[Any]()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            net = LIFNetwork(2 * D, (64, 48), A, LIFConfig())
        seed = torch.Generator().manual_seed(0)
        finetune_lif_policy(net, latent, goal, target, config, generator=seed, report=rows.append)
        assert all(0 < row["rate"] < 1 for row in rows) and [row["step"] for row in rows] == list(range(1, 81))
        return [row["error"] for row in rows], LIFPolicy(net, action_limit=LIMIT)

    errors, policy = tuned()
    nothing = float(target.abs().mean())
    assert sum(errors[-10:]) / 10 < 0.5 * nothing < errors[0], "a network that puts out zero is twice as far away"
    action, _ = policy.act(latent[:, None], goal)
    assert (action[:, 0] / LIMIT - target).abs().mean() < 0.5 * nothing, "with 8-bit weights, too"
    assert tuned()[0] == errors, "all randomness is passed in"


def test_what_is_no_policy_is_refused() -> None:
    for limit in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(UserError, match="policy: action limit"):
            LIFPolicy(network(), action_limit=limit)
    with pytest.raises(UserError, match="policy: 7 inputs are no latent and goal"):
        LIFPolicy(LIFNetwork(7, HIDDEN, A, LIFConfig()), action_limit=LIMIT)
    for wrong in ({"steps": 0}, {"rows": 0}, {"rate": 0.0}, {"rate_weight": float("nan")}):
        with pytest.raises(UserError, match="lif policy: steps"):
            LIFPolicyTraining(**wrong)
