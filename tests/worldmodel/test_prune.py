"""Magnitude pruning by hand, and zeros that stay zero through training."""

from __future__ import annotations

import pytest
import torch

from spikeplan.core.errors import UserError
from spikeplan.snn.finetune_delta import Rollouts
from spikeplan.worldmodel.distil import Distillation, distil
from spikeplan.worldmodel.predictor import ResidualPredictor
from spikeplan.worldmodel.prune import prune, zero_share, zeros_kept


def net_of(hidden: tuple[int, ...] = (4,)) -> ResidualPredictor:
    torch.manual_seed(0)
    return ResidualPredictor(3, 1, hidden)


def test_the_smallest_of_all_layers_go() -> None:
    """4 x 4 weights 1..16 and 3 x 4 weights 0.5 + 0..11: of the 28 the 14 smallest are 1..7 and 0.5..6.5."""
    net = net_of()
    first, second = net.linears()
    with torch.no_grad():
        first.weight.copy_(torch.arange(1.0, 17.0).view(4, 4) * torch.tensor([1.0, -1, 1, -1]))
        second.weight.copy_(torch.arange(12.0).view(3, 4) + 0.5)
    before = [linear.weight.detach().clone() for linear in net.linears()]
    found = prune(net, 0.5)
    for weight, left in zip(before, found.linears(), strict=True):
        assert torch.equal(left.weight, torch.where(weight.abs() < 7.25, torch.zeros(()), weight))
    assert zero_share(found) == 0.5 and zero_share(net) == 0.0, "the full network is left alone"
    assert all(torch.equal(a.bias, b.bias) for a, b in zip(net.linears(), found.linears(), strict=True))


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, float("nan")])
def test_a_share_outside_is_refused(share: float) -> None:
    with pytest.raises(UserError, match="above 0 and below 1"):
        prune(net_of(), share)


def test_distillation_moves_what_is_left_and_nothing_else() -> None:
    teacher = net_of((16, 16))
    net = prune(teacher, 0.8)
    zeros = [linear.weight.detach() == 0 for linear in net.linears()]
    before = [linear.weight.detach().clone() for linear in net.linears()]
    draw = torch.Generator().manual_seed(1)
    latent, goal = (torch.randn(4, 3, generator=draw) for _ in range(2))
    actions = torch.randn(4, 6, 5, 1, generator=draw)
    z, path = latent[:, None].expand(-1, 6, -1), []
    with torch.no_grad():
        for t in range(5):
            z = teacher(z, actions[:, :, t])
            path.append(z)
    config = Distillation(short_steps=20, short_rows=8, steps=5, records=2, candidates=4)
    errors: list[float] = []
    with zeros_kept(net):
        distil(
            net,
            [Rollouts(latent, goal, actions, torch.stack(path, 2))],
            config,
            generator=draw,
            report=lambda row: errors.append(row["prediction"]),
        )
    for zero, old, linear in zip(zeros, before, net.linears(), strict=True):
        assert torch.equal(linear.weight == 0, zero) and not torch.equal(linear.weight, old)
    assert len(errors) == 25
    net(latent, actions[:, 0, 0]).sum().backward()
    assert any(
        bool((linear.weight.grad[zero] != 0).any()) for zero, linear in zip(zeros, net.linears(), strict=True)
    ), "the zeros are kept inside the block only"
