"""Machine code against torch, to the bit: messages, states, values, counts; gathered, multiplied; states shared in every way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spikeplan.core import delta_pass
from spikeplan.core.ir.artifact import Artifact
from spikeplan.snn import delta, lif
from spikeplan.snn.delta import DeltaNetwork, DeltaState, Pass
from spikeplan.snn.lif import LIFConfig, LIFNetwork, LIFRun, infer

pytest.importorskip("numba")
HYPOTHESIS = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
CHAINS: dict[str, dict[str, Any]] = {
    "narrow": dict(),
    "identity": dict(hidden_act="identity"),
    "wide": dict(sizes=(40, 70, 64, 4), shifts=(0, 14, 13, 5), thresholds=(3, 20000, 9000), weight_exps=(3, 2, 1)),
    "saturating": dict(sizes=(6, 16, 12, 4), shifts=(0, 10, 10, 3), thresholds=(3, 1100, 1100), weight_exps=(9, 5, 4)),
    "two layers": dict(sizes=(5, 3), shifts=(2, 1), thresholds=(6,), weight_exps=(2,)),
}
ALWAYS, NEVER = 2.0, -1.0  # densities below which a layer gathers


@pytest.fixture(params=[ALWAYS, NEVER, None], ids=["gathered", "multiplied", "by density"])
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param is not None:
        for module in (delta_pass, lif):
            monkeypatch.setattr(module, "break_even", lambda rows, neurons: request.param)


def in_torch(function: Callable[[], Any], module: Any = delta) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "compiled", lambda: None)
        return function()


def equal(ours: Pass, theirs: Pass) -> None:
    assert ours.sent == theirs.sent and ours.saturated == theirs.saturated
    assert ours.sigma_saturated == theirs.sigma_saturated
    assert torch.equal(ours.value_RD, theirs.value_RD) and ours.value_RD.dtype == theirs.value_RD.dtype
    assert all(torch.equal(a, b) for a, b in zip(ours.messages, theirs.messages, strict=True))


def states_equal(ours: list[DeltaState], theirs: list[DeltaState]) -> None:
    for mine, other in zip(ours, theirs, strict=True):
        for a, b in zip(mine, other, strict=True):
            assert (a is None) == (b is None)
            assert a is None or b is None or torch.equal(a, b)


def inputs(rng: np.random.Generator, artifact: Artifact, shape: tuple[int, ...], size: int) -> torch.Tensor:
    x = rng.integers(-size, size + 1, (*shape, artifact.layers[0].n_in))
    x[rng.random(x.shape) < 0.3] = 0
    return torch.from_numpy(x).to(DeltaNetwork(artifact).dtype)


@pytest.mark.parametrize("chain", CHAINS)
@HYPOTHESIS
@given(
    seed=st.integers(0, 2**32),
    batch=st.integers(1, 3),
    samples=st.integers(1, 6),
    size=st.sampled_from([20, 250, 9000]),
    shared=st.sampled_from(["no state", "one row", "a row an episode", "own"]),
)
def test_passes_are_those_of_torch_to_the_bit(
    make_chain: Any, path: None, chain: str, seed: int, batch: int, samples: int, size: int, shared: str
) -> None:
    rng = np.random.default_rng(seed)
    network = DeltaNetwork(artifact := make_chain(rng, **CHAINS[chain]))
    lead = {"one row": (1,), "a row an episode": (batch, 1), "own": (batch, samples)}.get(shared, ())
    start = network.run(inputs(rng, artifact, lead, size), None)[1] if lead else None
    kept = [None if t is None else t.clone() for pair in start or [] for t in pair]
    for overwrite in (False, True):
        state, plain = start, start
        if overwrite and start is not None:
            state = [DeltaState(*(None if t is None else t.clone() for t in pair)) for pair in start]
        for _ in range(3):
            x = inputs(rng, artifact, (batch, samples), size)
            before = x.clone()
            alone, nothing = network.run(x, state, keep=False)
            theirs, plain = in_torch(lambda x=x, plain=plain: network.run(x, plain))
            ours, state = network.run(x, state, overwrite=overwrite)
            equal(ours, theirs)
            equal(alone, theirs)
            states_equal(state, plain)
            assert nothing == [] and torch.equal(x, before), "inputs are not written to"
    now = [t for pair in start or [] for t in pair]
    assert all(a is b is None or torch.equal(a, b) for a, b in zip(kept, now, strict=True)), "nor are states"


@pytest.mark.parametrize("chain", CHAINS)
@HYPOTHESIS
@given(seed=st.integers(0, 2**32), batch=st.integers(1, 3), samples=st.integers(1, 7))
def test_passes_in_turn_are_those_of_one_after_the_other(
    make_chain: Any, path: None, chain: str, seed: int, batch: int, samples: int
) -> None:
    rng = np.random.default_rng(seed)
    network = DeltaNetwork(artifact := make_chain(rng, **CHAINS[chain]))
    x = inputs(rng, artifact, (batch, samples), 250)
    ours, theirs = network.run_in_turn(x), in_torch(lambda: network.run_in_turn(x))
    equal(ours, theirs)
    state = None
    for s in range(samples):
        done, state = in_torch(lambda s=s, state=state: network.run(x[:, s], state))
        assert torch.equal(ours.value_RD[:, s], done.value_RD)


def test_a_state_with_more_rows_than_the_input_is_left_to_torch(make_chain: Any) -> None:
    rng = np.random.default_rng(0)
    network = DeltaNetwork(artifact := make_chain(rng, sizes=(6, 4), shifts=(1, 3), thresholds=(5,), weight_exps=(0,)))
    state = [DeltaState(None, torch.ones(3, 6)), DeltaState(None, None)]
    done, _ = network.run(inputs(rng, artifact, (1,), 50), state)
    assert done.value_RD.shape == (3, 4)


def test_no_rows_is_no_pass(make_chain: Any) -> None:
    network = DeltaNetwork(make_chain(np.random.default_rng(0)))
    done, state = network.run(torch.zeros(0, 6), None)
    assert done.value_RD.shape == (0, 4) and done.sent == (0, 0, 0, 0) and len(state) == 4


def dyadic(hidden: tuple[int, int], time_steps: int, beta: float, seed: int) -> LIFNetwork:
    """Weights in 1/32: currents, and for beta 1/2 membranes of a few steps, are exact in any order."""
    generator = torch.Generator().manual_seed(seed)
    net = LIFNetwork(5, hidden, 3, LIFConfig(time_steps=time_steps, beta=beta))
    with torch.no_grad():
        for p in (p for linear in (net.w1, net.w2, net.w3) for p in linear.parameters()):
            p.copy_(torch.randint(-16, 24, p.shape, generator=generator) / 32)
    return net


@HYPOTHESIS
@given(
    seed=st.integers(0, 2**31),
    time_steps=st.integers(1, 6),
    lead=st.sampled_from([(1,), (7,), (2, 3)]),
    doubled=st.booleans(),
    loud=st.sampled_from([0.25, 2.0]),
)
def test_lif_fires_what_torch_fires(
    path: None, seed: int, time_steps: int, lead: tuple[int, ...], doubled: bool, loud: float
) -> None:
    net = dyadic((20, 9), time_steps, 0.5, seed)
    net = net.double() if doubled else net
    x = (torch.randn(*lead, 5, generator=torch.Generator().manual_seed(seed)) * loud * 8).round().div(8)
    x = x.to(net.w1.weight.dtype)
    ours: LIFRun = infer(net, x)
    theirs: LIFRun = in_torch(lambda: infer(net, x), lif)
    assert all(torch.equal(a, b) for a, b in zip(ours.spikes, theirs.spikes, strict=True))
    assert torch.equal(ours.change_RD, theirs.change_RD) and ours.change_RD.dtype == theirs.change_RD.dtype
    assert ours.sent == tuple(int(spikes.sum()) for spikes in theirs.spikes)
    again = infer(net, x, weight2_t=net.w2.weight.detach().T.contiguous())
    assert torch.equal(again.change_RD, ours.change_RD)


def test_membranes_of_real_numbers_round_as_torch_rounds(path: None) -> None:
    """Layer 1 sees the same currents in the same order: its spikes are equal whatever the weights. Sums of layer 2 may round
    otherwise; at most one of 10,000 neurons fires in another step for that."""
    with torch.random.fork_rng():
        torch.manual_seed(2)
        net = LIFNetwork(12, (160, 96), 4, LIFConfig(time_steps=5))
    x = 3 * torch.randn(400, 12, generator=torch.Generator().manual_seed(3))
    ours, theirs = infer(net, x), in_torch(lambda: infer(net, x), lif)
    assert torch.equal(ours.spikes[0], theirs.spikes[0]) and 0.02 < float(ours.spikes[1].mean()) / 5 < 0.9
    assert float((ours.spikes[1] != theirs.spikes[1]).float().mean()) < 1e-4


def test_gathering_stops_at_the_break_even() -> None:
    """By rows and neurons: always with few rows, rarely where a layer is narrow, below a third where it is wide."""
    assert delta_pass.break_even(2, 256) > 1
    assert 0 < delta_pass.break_even(256, 32) < 0.15
    assert 0.3 < delta_pass.break_even(256, 256) < delta_pass.break_even(16, 256) < 0.6


def test_a_layer_beyond_every_float_is_refused_as_before(make_chain: Any) -> None:
    artifact = make_chain(np.random.default_rng(0))
    assert delta_pass.number_type(artifact.layers) is np.float32
    code, h1, h2, out = artifact.layers
    assert delta_pass.number_type((code, replace(h1, weight_exp=8), h2, out)) is np.float64
