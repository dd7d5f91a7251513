"""Whole networks in machine code against their numpy form, to the bit, whatever wraps, saturates or is lost."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeplan.core.ir.network import Conv, Dense, Layer, Network, SDNeuron
from spikeplan.lava_procs import network as networks
from spikeplan.lava_procs.network import RESIDUES, SigmaDeltaNetwork

pytest.importorskip("numba")


def network(rng: np.random.Generator, *, vth: int, message_bits: int, weight_exp: int, shift: int) -> Network:
    def neuron(shape: tuple[int, ...], bits: int = message_bits) -> SDNeuron:
        bias = rng.integers(-90, 200, shape)
        return SDNeuron(kind="sigma_delta", vth=vth, bias=bias, state_exp=shift, message_bits=bits)

    conv = Conv(weight=rng.integers(-99, 99, (4, 2, 3, 2)), padding=(1, 0), stride=(1, 2))
    first = Layer(name="in", shape=(2, 5, 7), neuron=SDNeuron(kind="delta", vth=vth, state_exp=shift))
    one = Layer(
        name="c", shape=conv.shape_after(first.shape), synapse=conv, neuron=neuron(conv.shape_after(first.shape))
    )
    dense = Dense(weight=rng.integers(-127, 128, (9, one.n)), weight_exp=weight_exp)
    two = Layer(name="d", shape=(9,), synapse=dense, neuron=neuron((9,), 16))
    last = Layer(
        name="out", shape=(3,), synapse=Dense(weight=rng.integers(-60, 60, (3, 9))), neuron=SDNeuron(kind="sigma")
    )
    return Network(input_shape=first.shape, layers=(first, one, two, last))


@pytest.mark.parametrize("residue", RESIDUES)
@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32),
    vth=st.sampled_from([0, 1, 40]),
    message_bits=st.sampled_from([0, 6, 16, 32]),
    weight_exp=st.sampled_from([-3, 0, 4]),
    shift=st.sampled_from([0, 6]),
    size=st.sampled_from([3, 2000, 1 << 19]),
)
def test_outputs_states_and_counts_are_those_of_numpy(
    residue: str, seed: int, vth: int, message_bits: int, weight_exp: int, shift: int, size: int
) -> None:
    rng = np.random.default_rng(seed)
    made = network(rng, vth=vth, message_bits=message_bits, weight_exp=weight_exp, shift=shift)
    ours = SigmaDeltaNetwork(made, residue=residue)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(networks, "compiled", lambda: None)
        theirs = SigmaDeltaNetwork(made, residue=residue)
    assert ours.loops is not None and theirs.loops is None
    for _ in range(8):
        x = rng.integers(-size, size + 1, made.input_shape) * (rng.random(made.input_shape) < 0.4)
        assert (ours.step(x) == theirs.step(x)).all()
        assert (ours.messages == theirs.messages).all() and ours.overflows == theirs.overflows
        assert (ours.all_sigma == theirs.all_sigma).all() and (ours.all_ref == theirs.all_ref).all()
