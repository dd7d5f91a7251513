"""The integer reference against plain int64 numpy, and the promise that a receiver never drifts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from spikeplan.core.errors import UserError
from spikeplan.core.ir.artifact import Layer
from spikeplan.snn.delta import DeltaNetwork, DeltaState, delta_step

PASSES, ROWS = 30, 4
K, THETA = 3, 21

SHAPES = {
    "narrow": dict(),
    "identity": dict(hidden_act="identity"),
    "wide": dict(sizes=(40, 300, 64, 4), shifts=(0, 14, 13, 5), thresholds=(3, 20000, 9000), weight_exps=(3, 2, 1)),
    "saturating": dict(sizes=(6, 16, 12, 4), shifts=(0, 10, 10, 3), thresholds=(3, 1100, 1100), weight_exps=(9, 5, 4)),
    "two layers": dict(sizes=(5, 3), shifts=(2, 1), thresholds=(6,), weight_exps=(2,)),
}


def walks(rng: np.random.Generator, n_in: int) -> np.ndarray:
    """Walks with pauses and jumps, (PASSES, ROWS, n_in)."""
    step = rng.integers(-25, 26, (PASSES, ROWS, n_in))
    step[rng.random((PASSES, ROWS, n_in)) < 0.4] = 0
    step[::9] *= 40
    return step.cumsum(0)


@pytest.mark.parametrize("shape", SHAPES)
def test_equals_plain_integers_over_chained_passes(make_chain, plain_pass, shape, form):
    rng = np.random.default_rng(5)
    artifact = make_chain(rng, **SHAPES[shape])
    network = DeltaNetwork(artifact)
    assert network.dtype == (torch.float32 if shape in ("narrow", "two layers") else torch.float64)
    x = walks(rng, artifact.layers[0].n_in)
    state, plain = None, [None] * ROWS
    seen = {layer.name: [] for layer in artifact.layers[:-1]}
    clips = saturations = 0
    for t in range(PASSES):
        done, state = network.run(torch.from_numpy(x[t]).to(network.dtype), state)
        expected = [plain_pass(artifact, x[t, r], plain[r]) for r in range(ROWS)]
        plain = [e.state for e in expected]
        assert done.value_RD.tolist() == [e.value.tolist() for e in expected]
        assert (done.messages[-1] == done.value_RD).all()
        for i, layer in enumerate(artifact.layers):
            clipped, saturated = (sum(e[part][layer.name] for e in expected) for part in (3, 4))
            assert done.saturated[i] == clipped + saturated
            assert done.sigma_saturated[i] == saturated
            clips, saturations = clips + clipped, saturations + saturated
            if layer.kind != "delta":
                assert state[i].sigma.tolist() == [e.state[layer.name][0].tolist() for e in expected]
            if layer.kind != "sigma":
                assert state[i].ref.tolist() == [e.state[layer.name][1].tolist() for e in expected]
                assert done.messages[i].tolist() == [e.messages[layer.name].tolist() for e in expected]
                seen[layer.name].append(done.messages[i].numpy())
    for name, messages in seen.items():
        s = np.array(messages)
        assert (s > 0).mean() > 0.02, name
        assert (s < 0).mean() > 0.02, name
        assert (s == 0).mean() > 0.02, name
        assert np.abs(s).max() > 1, name
    assert clips > 0
    assert (saturations > 0) == (shape in ("wide", "saturating"))


def test_a_zero_state_is_no_state(make_chain, form):
    """And a state of one row serves many: it broadcasts."""
    rng = np.random.default_rng(0)
    network = DeltaNetwork(make_chain(rng))
    x = torch.from_numpy(rng.integers(-250, 251, (ROWS, 6))).to(network.dtype)  # fits into one message
    zero = [DeltaState(torch.zeros(1, layer.n_out), torch.zeros(1, layer.n_out)) for layer in network.layers]
    (none, after_none), (zeros, after_zeros) = network.run(x, None), network.run(x, zero)
    assert all((a == b).all() for a, b in zip(none.messages, zeros.messages, strict=True))
    assert all((a.ref == b.ref).all() for a, b in zip(after_none[:-1], after_zeros[:-1], strict=True))
    before = [None if t is None else t.clone() for pair in after_none for t in pair]
    again = network.run(x, after_none)[0]
    assert all(not s.any() for s in again.messages[:1]), "an unchanged input sends nothing"
    kept = [t for pair in after_none for t in pair]
    assert all(a is b is None or (a == b).all() for a, b in zip(before, kept, strict=True)), "states are not written to"


@given(steps=arrays(np.int32, (64, 8), elements=st.integers(-200, 200)))
def test_receiver_never_drifts(steps):
    """The receiver's sum of messages stays within the threshold of the sender's value, however long it runs."""
    layer = Layer(name="code", kind="delta", n_in=8, n_out=8, threshold_lsb=THETA, shift=K)
    truth = steps.astype(np.int64).cumsum(0)
    ref, sent = None, []
    for x in truth:
        s, ref, clipped = delta_step(torch.from_numpy(x).float(), ref, layer)
        assert clipped == 0
        sent.append(s.numpy().astype(np.int64))
    told = np.array(sent).cumsum(0) << K
    assert np.abs(told - truth).max() < max(THETA, 1 << K)
    assert (told[-1] == ref.numpy()).all()


def test_what_does_not_fit_stays_owed():
    """A jump of 5000 with messages up to 127 << 3 = 1016 takes five steps; by hand."""
    layer = Layer(name="code", kind="delta", n_in=1, n_out=1, threshold_lsb=8, shift=3)
    ref, sent, clipped = None, [], []
    for _ in range(6):
        s, ref, over = delta_step(torch.tensor([5000.0]), ref, layer)
        sent.append(int(s))
        clipped.append(over)
    assert sent == [127, 127, 127, 127, 117, 0]
    assert clipped == [1, 1, 1, 1, 0, 0]
    assert int(ref) == 5000


@pytest.mark.parametrize(("d", "expected"), [(20, 0), (21, 2), (-20, 0), (-21, -2), (23, 2), (-23, -2), (24, 3)])
def test_gate_and_rounding_at_the_edge(d, expected):
    layer = Layer(name="code", kind="delta", n_in=1, n_out=1, threshold_lsb=THETA, shift=K)
    s, ref, _ = delta_step(torch.tensor([float(d)]), None, layer)
    assert (int(s), int(ref)) == (expected, expected << K)


def test_counts_follow_the_messages(make_chain, plain_pass, form):
    rng = np.random.default_rng(2)
    artifact = make_chain(rng)
    network = DeltaNetwork(artifact)
    x = walks(rng, 6)[0]
    done, _ = network.run(torch.from_numpy(x).to(network.dtype), None)
    expected = [plain_pass(artifact, row, None) for row in x]
    counts = network.counts(done, rows=ROWS, restored_rows=3, dense_rows=2)
    fan_out = {"code": 16, "h1": 12, "h2": 4, "out": 0}
    for count, layer in zip(counts, artifact.layers, strict=True):
        sent = ROWS * 4 if layer.name == "out" else sum(int((e.messages[layer.name] != 0).sum()) for e in expected)
        assert count.layer == layer.name
        assert (count.messages, count.updates_active, count.synops) == (sent, sent, sent * fan_out[layer.name])
        assert count.message_bits == sent * (24 if layer.name == "out" else 8)
        assert (count.updates, count.state_restores) == (ROWS * layer.n_out, 3 * layer.n_out)
        assert (count.dense_macs, count.calls) == (2 * (0 if layer.weight is None else layer.weight.size), ROWS)
        assert count.saturated == sum(e.clipped[layer.name] + e.saturated[layer.name] for e in expected)
    assert sum(count.saturated for count in counts) > 0


def test_a_chip_of_sparse_weights_pays_for_those_that_are_there(make_chain, form):
    rng = np.random.default_rng(2)
    artifact = make_chain(rng)
    for layer in artifact.layers[1:]:
        layer.weight[rng.random(layer.weight.shape) < 0.5] = 0
    network = DeltaNetwork(artifact, sparse=True)
    done, _ = network.run(torch.from_numpy(walks(rng, 6)[0]).to(network.dtype), None)
    counts = network.counts(done, rows=ROWS, restored_rows=0, dense_rows=ROWS)
    for i, after in enumerate(artifact.layers[1:]):
        sent = (done.messages[i].numpy() != 0).astype(int)
        assert (
            counts[i].synops == int((sent @ (after.weight != 0).T.astype(int)).sum()) < counts[i].messages * after.n_out
        )
    assert counts[-1].synops == 0


def big_bias(layer: Layer, value: int) -> Layer:
    return replace(layer, bias=np.full(layer.n_out, value, np.int32))


def test_the_number_type_follows_what_can_be_reached(make_chain):
    """float32 holds integers up to 2^24. A large bias or weight_exp alone must lead to float64, or to a refusal."""
    artifact = make_chain(np.random.default_rng(0))
    code, h1, h2, out = artifact.layers
    assert DeltaNetwork(artifact).dtype == torch.float32
    assert DeltaNetwork(replace(artifact, layers=(code, big_bias(h1, 2**23 + 5), h2, out))).dtype == torch.float64
    assert DeltaNetwork(replace(artifact, layers=(code, replace(h1, weight_exp=8), h2, out))).dtype == torch.float64
    with pytest.raises(UserError, match="layer 'h2': a bias reaches"):
        DeltaNetwork(replace(artifact, layers=(code, h1, big_bias(h2, 2**31 - 1), out)))
    with pytest.raises(UserError, match="not exact in float64"):
        DeltaNetwork(replace(artifact, layers=(code, replace(h1, weight_exp=40), h2, out)))


def test_a_large_bias_is_exact(make_chain, plain_pass, form):
    artifact = make_chain(np.random.default_rng(0))
    code, h1, h2, out = artifact.layers
    artifact = replace(artifact, layers=(code, h1, big_bias(h2, 2**25 + 1), big_bias(out, 2**24 + 1)))
    artifact = replace(artifact, layers=(*artifact.layers[:3], replace(artifact.layers[3], shift=0)))
    network = DeltaNetwork(artifact)
    x = walks(np.random.default_rng(1), 6)[0]
    value = network.run(torch.from_numpy(x).to(network.dtype), None)[0].value_RD
    assert value.tolist() == [plain_pass(artifact, row, None).value.tolist() for row in x]


def test_other_chains_are_refused(make_chain):
    artifact = make_chain(np.random.default_rng(0))
    with pytest.raises(UserError, match="layer kinds"):
        DeltaNetwork(replace(artifact, layers=artifact.layers[:-1], edges=()))
    with pytest.raises(UserError, match="layer kinds"):
        DeltaNetwork(replace(artifact, layers=artifact.layers[1:], edges=()))
