"""The fused network in machine code against its numpy form, to the bit; what proves both is tests/conformance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeplan.lava_procs import fused
from spikeplan.lava_procs.fused import REFERENCES, FusedNetwork

pytest.importorskip("numba")
CHAINS: dict[str, dict[str, Any]] = {
    "narrow": dict(),
    "saturating": dict(sizes=(6, 16, 12, 4), shifts=(0, 10, 10, 3), thresholds=(3, 1100, 1100), weight_exps=(9, 5, 4)),
}


@pytest.mark.parametrize("reference", REFERENCES)
@pytest.mark.parametrize("chain", CHAINS)
@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32), samples=st.integers(1, 40), size=st.sampled_from([20, 4000]))
def test_values_states_and_counts_are_those_of_numpy(
    make_chain: Any, chain: str, reference: str, seed: int, samples: int, size: int
) -> None:
    rng = np.random.default_rng(seed)
    artifact = make_chain(rng, **CHAINS[chain])
    ours = FusedNetwork(artifact, samples=samples, reference=reference, fixed=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fused, "compiled", lambda: None)
        theirs = FusedNetwork(artifact, samples=samples, reference=reference, fixed=True)
    assert ours.loops is not None and theirs.loops is None
    for step in range(6):
        if step == 4:
            for network in (ours, theirs):
                network.reset()
                network.count_anew()
        x = rng.integers(-size, size, (samples, 6))
        value = ours.run(x)
        assert value.dtype == np.int64 and (value == theirs.run(x)).all()
        assert (ours.messages() == theirs.messages()).all()
        assert (ours.saturated == theirs.saturated).all() and ours.clipped == theirs.clipped
        pairs = [*zip(ours.sent, theirs.sent, strict=True)]
        if reference == "previous_step":
            pairs += [*zip(ours.ref, theirs.ref, strict=True), *zip(ours.sigma, theirs.sigma, strict=True)]
        assert all((a == b).all() for a, b in pairs)


def test_sums_that_floats_do_not_hold_run_in_integers(make_chain: Any) -> None:
    """A bias of 2^30 is none of the integer reference's, and the fused form takes it in int64 as before."""
    from dataclasses import replace

    artifact = make_chain(np.random.default_rng(0))
    code, h1, *rest = artifact.layers
    big = replace(h1, bias=np.full(h1.n_out, 2**30, np.int32))
    network = FusedNetwork(replace(artifact, layers=(code, big, *rest)), samples=2, reference="zero", fixed=True)
    assert network.loops is None and network.run(np.ones((2, 6), np.int64)).shape == (2, 4)
