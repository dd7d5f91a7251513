"""One suite for every backend that runs sigma-delta chains: the same passes in, the same trace out, with `==`.

A backend is a function (artifact, passes, folder) -> Trace. The measure is `plain_pass` (tests/conftest.py), int64
numpy written from the artifact's definition; one case is also derived by hand. A new backend is one more entry in
BACKENDS.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from spikeplan.conversion import Calibration, SigmaDelta, convert
from spikeplan.core.ir.artifact import Artifact, Edge, Layer, save
from spikeplan.core.ir.contexts import KEEP, RESET
from spikeplan.lava_procs import Passes, Trace, compare, fused, replay
from spikeplan.lava_procs.fused import FusedNetwork
from spikeplan.snn import delta
from spikeplan.snn.delta import DeltaNetwork, DeltaState

Backend = Callable[[Artifact, Passes, Path], Trace]
TIMEOUT_S = 600.0


def torch_reference(artifact: Artifact, passes: Passes, folder: Path) -> Trace:
    """The integer reference of snn/delta.py, one row a pass, its states kept as contexts."""
    network = DeltaNetwork(artifact)
    zero = [DeltaState(*(torch.zeros(1, la.n_out, dtype=network.dtype) for _ in range(2))) for la in artifact.layers]
    state, slots = zero, [zero] * passes.contexts
    done_of, state_of = [], []
    for x, load, store in zip(passes.x, passes.load.tolist(), passes.save.tolist(), strict=True):
        state = state if load == KEEP else zero if load == RESET else slots[load]
        done, state = network.run(torch.from_numpy(x)[None].to(network.dtype), state)
        if store != KEEP:
            slots[store] = state
        done_of.append(done)
        state_of.append(state)

    def stack(rows: list[torch.Tensor]) -> Any:
        return torch.cat(rows).to(torch.int64).numpy()

    names = list(enumerate(layer.name for layer in artifact.layers))
    return Trace(
        messages={name: stack([done.messages[i] for done in done_of]) for i, name in names[:-1]},
        sigma={name: stack([state[i].sigma for state in state_of]) for i, name in names[1:]},
        ref={name: stack([state[i].ref for state in state_of]) for i, name in names[:-1]},
        value=stack([done.value_RD for done in done_of]),
        saturated={name: sum(done.sigma_saturated[i] for done in done_of) for i, name in names},
    )


def lava_chain(artifact: Artifact, passes: Passes, folder: Path) -> Trace:
    path = save(artifact, folder / "net.safetensors")
    return replay(path, passes, timeout_s=TIMEOUT_S, workdir=folder / "run")


def lava_fused(artifact: Artifact, passes: Passes, folder: Path) -> Trace:
    """The arithmetic of the loop's predictor: alone, and as row 1 of a batch whose other rows see other inputs."""
    alone, batch = (FusedNetwork(artifact, samples=n, reference="previous_step", fixed=True) for n in (1, 3))
    slots = {id(network): [(network.ref[:], network.sigma[:])] * (1 + passes.contexts) for network in (alone, batch)}
    roles: list[list[list[Any]]] = [[], [], []]
    values = []

    def one(network: FusedNetwork, x: Any, load: int, store: int) -> Any:
        kept = slots[id(network)]  # the last slot stays zero
        if load != KEEP:
            ref, sigma = kept[-1 if load == RESET else load]
            network.ref, network.sigma = ref[:], sigma[:]
        value = network.run(x)
        if store != KEEP:
            kept[store] = (network.ref[:], network.sigma[:])
        return value

    for x, load, store in zip(passes.x, passes.load.tolist(), passes.save.tolist(), strict=True):
        values.append(one(alone, x[None], load, store)[0])
        assert (one(batch, np.stack([-x, x, x[::-1]]), load, store)[1] == values[-1]).all()
        for rows, ours, theirs in zip(
            roles, (alone.sent, alone.sigma, alone.ref), (batch.sent, batch.sigma, batch.ref), strict=True
        ):
            rows.append([array[0] for array in ours])
            assert all((a[0] == b[1]).all() for a, b in zip(ours, theirs, strict=True))
    names = [layer.name for layer in artifact.layers]
    messages, sigma, ref = (
        {name: np.array([row[i] for row in rows]) for i, name in enumerate(of)}
        for rows, of in zip(roles, (names[:-1], names[1:], names[:-1]), strict=True)
    )
    saturated = dict(zip(names, alone.saturated.tolist(), strict=True))
    return Trace(messages=messages, sigma=sigma, ref=ref, value=np.array(values), saturated=saturated)


def plainly(backend: Backend) -> Backend:
    """As where numba is not installed."""

    def run(artifact: Artifact, passes: Passes, folder: Path) -> Trace:
        with pytest.MonkeyPatch.context() as patch:
            for module in (delta, fused):
                patch.setattr(module, "compiled", lambda: None)
            return backend(artifact, passes, folder)

    return run


BACKENDS: dict[str, Backend] = {
    "torch": torch_reference,
    "torch without numba": plainly(torch_reference),
    "lava": lava_chain,
    "fused": lava_fused,
    "fused without numba": plainly(lava_fused),
}


def plain_trace(plain_pass: Callable[..., Any], artifact: Artifact, passes: Passes) -> tuple[Trace, int]:
    """The measure, and how many messages were clipped."""
    done_of, clipped = [], 0
    state, slots = None, [None] * passes.contexts
    for x, load, store in zip(passes.x, passes.load.tolist(), passes.save.tolist(), strict=True):
        state = state if load == KEEP else None if load == RESET else slots[load]
        done = plain_pass(artifact, x, state)
        state = done.state
        if store != KEEP:
            slots[store] = state
        done_of.append(done)
        clipped += sum(done.clipped.values())
    names = [layer.name for layer in artifact.layers]
    trace = Trace(
        messages={n: np.array([d.messages[n] for d in done_of]) for n in names[:-1]},
        sigma={n: np.array([d.state[n][0] for d in done_of]) for n in names[1:]},
        ref={n: np.array([d.state[n][1] for d in done_of]) for n in names[:-1]},
        value=np.array([d.value for d in done_of]),
        saturated={n: sum(d.saturated[n] for d in done_of) for n in names},
    )
    return trace, clipped


def walk(rng: np.random.Generator, count: int, n_in: int) -> Passes:
    """Small steps, pauses, jumps, resets, and contexts stored and taken up again in no order."""
    step = rng.integers(-25, 26, (count, n_in)) * (rng.random((count, n_in)) < 0.6)
    step[::17] *= 40
    load = rng.choice([KEEP, KEEP, KEEP, RESET, 0, 1, 2], count)
    store = rng.choice([KEEP, KEEP, 0, 1, 2], count)
    return Passes(x=step.cumsum(0), load=load, save=store)


def converted(make_predictor: Callable[..., Any], rng: np.random.Generator, count: int) -> tuple[Artifact, Passes]:
    """What a recipe makes, on inputs as they come along a rollout."""
    predictor, latent, action = make_predictor(hidden=(24, 24))
    artifact, _ = convert(predictor, Calibration(latent, action), SigmaDelta(thresholds=0.1))
    real = np.concatenate(
        [0.8 * np.sin(np.arange(count)[:, None] * 0.2 + np.arange(6)), rng.uniform(-0.5, 0.5, (count, 2))], 1
    )
    scale = np.array([artifact.scales["latent"]] * 6 + [artifact.scales["action"]] * 2)
    return artifact, Passes(
        x=np.round(real / scale).astype(np.int64),
        load=np.array([RESET] + [KEEP] * (count - 1)),
        save=np.full(count, KEEP),
    )


CHAINS: dict[str, dict[str, Any]] = {
    "narrow": {},
    "identity": dict(hidden_act="identity"),
    "wide": dict(sizes=(20, 96, 48, 4), shifts=(0, 13, 13, 5), thresholds=(3, 9000, 9000), weight_exps=(3, 2, 1)),
    "saturating": dict(shifts=(0, 10, 10, 3), thresholds=(3, 1100, 1100), weight_exps=(9, 5, 4)),
    "converted": {},
}


@pytest.mark.parametrize("chain", CHAINS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_every_message_and_state_is_equal(backend, chain, make_chain, plain_pass, make_predictor, tmp_path):
    rng = np.random.default_rng(11)
    if chain == "converted":
        artifact, passes = converted(make_predictor, rng, 120)
    else:
        artifact = make_chain(rng, **CHAINS[chain])
        passes = walk(rng, 120, artifact.layers[0].n_in)
    expected, clipped = plain_trace(plain_pass, artifact, passes)
    result = compare(expected, BACKENDS[backend](artifact, passes, tmp_path))
    assert result.values_different == 0, result.first_difference
    neurons = [layer.n_out for layer in artifact.layers]
    assert result.values_compared == 120 * (2 * neurons[0] + 3 * sum(neurons[1:-1]) + 2 * neurons[-1]) + len(neurons)
    for layer in artifact.layers[:-1]:  # the agreement means something: both signs and zeros crossed every layer
        assert 0.02 < result.nonzero_share[layer.name] < 0.98
        assert result.positive_crossed[layer.name] > 50
        assert result.negative_crossed[layer.name] > 50
    assert np.abs(expected.value).max() > 10
    assert (sum(expected.saturated.values()) > 0) == (chain == "saturating")
    if chain != "converted":
        assert clipped > 0


@pytest.mark.parametrize("backend", BACKENDS)
def test_golden_trace(backend, tmp_path):
    """One neuron a layer, by hand. code: theta 3, k 1. h1: w 2, bias 1, ReLU, theta 2, k 0. out: w 3, bias 0, k 2.

    pass load  save |  x   d   s ref | sigma act(sigma+1)  d   s ref | sigma value = sigma / 4 to zero
      1  RESET  0   |  5   5   2   4 |   4        5        5   5   5 |  15    3
      2  KEEP       |  6   2   0   4 |   4        5        0   0   5 |  15    3    2 is below theta
      3  KEEP       | -3  -7  -3  -2 |  -2        0       -5  -5   0 |   0    0    -3.5 to zero; ReLU
      4  slot 0     | -1  -5  -2   0 |   0        1       -4  -4   1 |   3    0    continues pass 1
      5  RESET      | -9  -9  -4  -8 |  -8        0        0   0   0 |   0    0
    """
    w = [np.array([[2]], np.int8), np.array([[3]], np.int8)]
    bias = [np.array([1], np.int32), np.array([0], np.int32)]
    layers = (
        Layer(name="code", kind="delta", n_in=1, n_out=1, threshold_lsb=3, shift=1),
        Layer(name="h1", kind="sigma_delta", n_in=1, n_out=1, weight=w[0], bias=bias[0], act="relu", threshold_lsb=2),
        Layer(name="out", kind="sigma", n_in=1, n_out=1, weight=w[1], bias=bias[1], shift=2, message_bits=24),
    )
    edges = tuple(Edge(src=a.name, dst=b.name) for a, b in pairwise(layers))
    artifact = Artifact(layers=layers, edges=edges, scales={"latent": 1.0, "action": 1.0})
    passes = Passes(
        x=np.array([[5], [6], [-3], [-1], [-9]]),
        load=np.array([RESET, KEEP, KEEP, 0, RESET]),
        save=np.array([0, KEEP, KEEP, KEEP, KEEP]),
    )
    trace = BACKENDS[backend](artifact, passes, tmp_path)
    assert trace.messages["code"][:, 0].tolist() == [2, 0, -3, -2, -4]
    assert trace.ref["code"][:, 0].tolist() == [4, 4, -2, 0, -8]
    assert trace.sigma["h1"][:, 0].tolist() == [4, 4, -2, 0, -8]
    assert trace.messages["h1"][:, 0].tolist() == [5, 0, -5, -4, 0]
    assert trace.ref["h1"][:, 0].tolist() == [5, 5, 0, 1, 0]
    assert trace.sigma["out"][:, 0].tolist() == [15, 15, 0, 3, 0]
    assert trace.value[:, 0].tolist() == [3, 3, 0, 0, 0]
    assert trace.saturated == {"code": 0, "h1": 0, "out": 0}
