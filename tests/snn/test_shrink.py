"""Neurons that are taken out change nothing; settings that make no sense are refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from spikeplan.core.errors import UserError
from spikeplan.snn.shrink import shrunk
from spikeplan.snn.sparse_training import Evidence, SparseTraining, n_of_m


@pytest.fixture
def chain() -> list[nn.Linear]:
    torch.manual_seed(3)
    return [nn.Linear(5, 8).double(), nn.Linear(8, 7).double(), nn.Linear(7, 3).double()]


def forward(linears: Any, x: Tensor) -> Tensor:
    for linear in linears[:-1]:
        x = linear(x).relu()
    out: Tensor = linears[-1](x)
    return out


def test_neurons_without_weights_go_and_the_function_stays(chain: list[nn.Linear]) -> None:
    """Neuron 2 is read by none; 4 and 5 read nothing and say relu(b), of which one is zero; 6 of the next reads 2 alone."""
    x = torch.randn(100, 5, dtype=torch.float64)
    with torch.no_grad():
        chain[1].weight[:, 2] = 0.0
        chain[0].weight[[4, 5]] = 0.0
        chain[0].bias[[4, 5]] = torch.tensor([1.5, -1.0], dtype=torch.float64)
        chain[1].weight[6] = 0.0
        chain[1].bias[6] = 0.75
        before = forward(chain, x)
        smaller = shrunk(chain)
        assert [(one.in_features, one.out_features) for one in smaller] == [(5, 5), (5, 6), (6, 3)]
        assert torch.allclose(forward(smaller, x), before, rtol=0, atol=1e-12)
        assert torch.equal(forward(chain, x), before), "the chain itself is left alone"
        chain[1].weight.zero_()
        assert not torch.allclose(forward(chain, x), before), "the constants mattered"


def test_what_leaves_can_leave_another_without_use(chain: list[nn.Linear]) -> None:
    x = torch.randn(100, 5, dtype=torch.float64)
    with torch.no_grad():
        chain[2].weight[:, [0, 1]] = 0.0
        chain[1].weight[2:, 3] = 0.0  # neuron 3 is read by those two alone
        before, smaller = forward(chain, x), shrunk(chain)
        assert [one.out_features for one in smaller] == [7, 5, 3]
        assert torch.allclose(forward(smaller, x), before, rtol=0, atol=1e-12)


def test_what_never_sent_goes_as_if_it_were_zero(chain: list[nn.Linear]) -> None:
    awake = [torch.ones(8, dtype=torch.bool), torch.ones(7, dtype=torch.bool)]
    awake[0][1] = awake[1][[2, 3]] = False
    x = torch.randn(100, 5, dtype=torch.float64)
    with torch.no_grad():
        smaller = shrunk(chain, awake)
        chain[1].weight[:, 1] = 0.0
        chain[2].weight[:, [2, 3]] = 0.0
        assert [one.out_features for one in smaller] == [7, 5, 3]
        assert torch.allclose(forward(smaller, x), forward(chain, x), rtol=0, atol=1e-12)
    with pytest.raises(
        UserError, match=r"what sent is told of layers of \[8\] neurons, the chain has \[8, 7\] hidden ones"
    ):
        shrunk(chain, awake[:1])


def test_a_layer_keeps_a_neuron(chain: list[nn.Linear]) -> None:
    x = torch.randn(10, 5, dtype=torch.float64)
    with torch.no_grad():
        chain[1].weight.zero_()
        before, smaller = forward(chain, x), shrunk(chain)
        assert [one.out_features for one in smaller] == [1, 1, 3]
        assert torch.allclose(forward(smaller, x), before, rtol=0, atol=1e-12)


def test_two_of_four_are_never_taken_out() -> None:
    nothing = torch.zeros(1, 6)
    score = n_of_m(Evidence(torch.tensor([[4.0, -1.0, 3.0, 2.0, 0.5, 0.1]]), nothing, nothing))
    assert score.isinf().tolist() == [[True, False, True, False, True, True]]
    assert float(score[0, 3] / score[0, 1]) == pytest.approx(2.0)


def test_shares_grow_to_what_is_asked() -> None:
    sparse = SparseTraining(pruned=0.8, finished=0.5)
    shares = [sparse.share(step, 100) for step in (0, 10, 25, 50, 100)]
    assert shares[0] == 0 and shares[1] == pytest.approx(1 - 0.8**3) and shares[3:] == [1.0, 1.0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pruned": 1.0}, "pruned 1 is a share that must be at least 0 and below 1"),
        ({"removed": -0.1}, "removed -0.1 is a share"),
        ({"finished": 0.0}, "finished 0 must be above 0 and at most 1"),
        ({"how": "luck"}, "'luck' is unknown; use one of magnitude, movement, saliency, n_of_m"),
        ({"how": "n_of_m", "pruned": 0.7}, "pruned 0.7 is more than 2 of 4 leave out; use 0.5 at most"),
        ({"pruned": float("nan")}, "pruned nan is a share"),
    ],
)
def test_nonsense_is_refused_in_one_line(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        SparseTraining(**settings)
    assert "\n" not in str(caught.value)
