"""The Lava chain against a trace derived by hand, against a plain loop, against itself in floating point."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikeplan.core.errors import UserError
from spikeplan.core.ir.artifact import Artifact, Edge, Layer, save
from spikeplan.core.ir.contexts import KEEP, RESET
from spikeplan.lava_procs import Passes, Trace, compare, replay
from spikeplan.lava_procs.chain import split_exp, validate

TIMEOUT_S = 600.0


def network(*layers: Layer) -> Artifact:
    names = [layer.name for layer in layers]
    edges = tuple(Edge(src=a, dst=b) for a, b in pairwise(names))
    return Artifact(layers=layers, edges=edges, scales={"latent": 1.0, "action": 1.0})


def weighted(name: str, kind: str, weight: list[list[int]], bias: list[int], **options: Any) -> Layer:
    w = np.array(weight, np.int8)
    act = "relu" if kind == "sigma_delta" else "identity"
    return Layer(
        name=name,
        kind=kind,
        n_in=w.shape[1],
        n_out=w.shape[0],
        weight=w,
        bias=np.array(bias, np.int32),
        act=act,
        **options,
    )


def run(artifact: Artifact, passes: Passes, folder: Path, **options: Any) -> Trace:
    path = save(artifact, folder / "net.safetensors")
    return replay(path, passes, timeout_s=TIMEOUT_S, workdir=folder / "run", **options)


def test_golden_trace(tmp_path: Path) -> None:
    """One neuron a layer, by hand.

    code: theta 4, k 1.   h1: w 3, weight_exp 1 (a message weighs 6), bias -10, ReLU, theta 8, k 2.
    out: w -5, bias 7, k 1.

    pass load  save |  x    d    s  ref | sigma act(sigma-10)   d    s  ref | sigma  (sigma+7)/2
      1  RESET  0   |  9    9    4    8 |   24       14        14    3   12 |  -15   -8/2 = -4
      2  KEEP       | 11    3    0    8 |   24       14         2    0   12 |  -15   -4           below both thresholds
      3  KEEP       | -3  -11   -5   -2 |   -6        0       -12   -3    0 |    0    7/2 = 3     -5.5 and 3.5 to zero
      4  slot 0     |  1   -7   -3    2 |    6        0       -12   -3    0 |    0    3           continues pass 1
      5  RESET      | 1000 1000 127  254 |  762      752      752  127  508 | -635   -628/2 = -314   500, 188 clipped
      6  KEEP       | 1000  746 127  508 | 1524     1514     1006  127 1016 | -1270 -1263/2 = -631   the clip is owed
    """
    artifact = network(
        Layer(name="code", kind="delta", n_in=1, n_out=1, threshold_lsb=4, shift=1),
        weighted("h1", "sigma_delta", [[3]], [-10], weight_exp=1, threshold_lsb=8, shift=2),
        weighted("out", "sigma", [[-5]], [7], shift=1),
    )
    passes = Passes(
        x=np.array([[9], [11], [-3], [1], [1000], [1000]]),
        load=np.array([RESET, KEEP, KEEP, 0, RESET, KEEP]),
        save=np.array([0, KEEP, KEEP, KEEP, KEEP, KEEP]),
    )
    trace = run(artifact, passes, tmp_path)
    assert trace.messages["code"].ravel().tolist() == [4, 0, -5, -3, 127, 127]
    assert trace.ref["code"].ravel().tolist() == [8, 8, -2, 2, 254, 508]
    assert trace.sigma["h1"].ravel().tolist() == [24, 24, -6, 6, 762, 1524]
    assert trace.messages["h1"].ravel().tolist() == [3, 0, -3, -3, 127, 127]
    assert trace.ref["h1"].ravel().tolist() == [12, 12, 0, 0, 508, 1016]
    assert trace.sigma["out"].ravel().tolist() == [-15, -15, 0, 0, -635, -1270]
    assert trace.value.ravel().tolist() == [-4, -4, 3, 3, -314, -631]
    assert trace.saturated == {"code": 0, "h1": 0, "out": 0}
    assert trace.messages["h1"].dtype.name == trace.value.dtype.name == "int64"


def test_saturation_is_symmetric_and_counted(tmp_path: Path) -> None:
    """weight_exp 20: one message of 127 weighs 64 * 127 << 20 = 2**33 - 2**26, beyond int32 and beyond 24 bits.

    h1 (identity weights 64, -64, no ReLU) goes to +-(2**23 - 1) in pass 1 and to the other end in pass 2, where the
    coder sends -254 clipped to -127: sigma = 2**23 - 1 - (2**33 - 2**26), again saturated. 2 neurons x 2 passes.
    """
    artifact = network(
        Layer(name="code", kind="delta", n_in=1, n_out=1),
        replace(
            weighted("h1", "sigma_delta", [[64], [-64]], [0, 0], weight_exp=20, threshold_lsb=1 << 16, shift=16),
            act="identity",
        ),
        weighted("out", "sigma", [[1, 0]], [0]),
    )
    assert split_exp(artifact.layer("h1"), 8) == (18, 2)  # 64 * 127 << 18 < 2**31 <= 64 * 127 << 19
    passes = Passes(x=np.array([[127], [-127]]), load=np.array([RESET, KEEP]), save=np.array([KEEP, KEEP]))
    trace = run(artifact, passes, tmp_path)
    top = 2**23 - 1
    assert trace.sigma["h1"].tolist() == [[top, -top], [-top, top]]
    assert trace.saturated == {"code": 0, "h1": 4, "out": 0}
    assert trace.messages["h1"].tolist() == [[127, -127], [-127, 127]]  # (2**23 - 1) >> 16; then -254 clipped


def random_network(generator: np.random.Generator) -> Artifact:
    def weights(n_out: int, n_in: int) -> Any:
        return generator.integers(-128, 128, (n_out, n_in)).tolist()

    def bias(n: int) -> Any:
        return generator.integers(-3000, 3000, n).tolist()

    return network(
        Layer(name="code", kind="delta", n_in=10, n_out=10, threshold_lsb=11, shift=3),
        weighted("h1", "sigma_delta", weights(24, 10), bias(24), weight_exp=2, threshold_lsb=1100, shift=10),
        weighted("h2", "sigma_delta", weights(24, 24), bias(24), weight_exp=1, threshold_lsb=512, shift=9),
        weighted("out", "sigma", weights(8, 24), bias(8), shift=4),
    )


def random_passes(generator: np.random.Generator, count: int) -> Passes:
    """A walk of the input, with resets, and with contexts stored and taken up again in no order."""
    load = generator.choice([KEEP, KEEP, KEEP, RESET, 0, 1, 2, 3], count)
    save = generator.choice([KEEP, KEEP, 0, 1, 2, 3], count)
    return Passes(x=generator.integers(-60, 61, (count, 10)).cumsum(0), load=load, save=save)


def plain_loop(artifact: Artifact, passes: Passes) -> Trace:
    """The semantics once more, in Python integers: no numpy arithmetic, nothing shared with lava_procs."""

    def divide(value: int, k: int) -> int:
        return (value >> k) if value >= 0 else -(-value >> k)

    zero = {layer.name: ([0] * layer.n_out, [0] * layer.n_out) for layer in artifact.layers}
    state, slots = dict(zero), dict[int, dict[str, tuple[list[int], list[int]]]]()
    seen: dict[str, dict[str, list[list[int]]]] = {role: {} for role in ("messages", "sigma", "ref", "value")}
    saturated = {layer.name: 0 for layer in artifact.layers}
    for x, load, save_to in zip(passes.x.tolist(), passes.load.tolist(), passes.save.tolist(), strict=True):
        if load == -2:
            state = dict(zero)
        elif load >= 0:
            state = dict(slots.get(load, zero))
        s_in = x
        for layer in artifact.layers:
            sigma, ref = (list(part) for part in state[layer.name])
            targets, sent = [], []
            for i in range(layer.n_out):
                if layer.kind == "delta":
                    targets.append(s_in[i])
                    continue
                weights, bias = layer.weight[i].tolist(), int(layer.bias[i])  # type: ignore[index]
                total = sigma[i] + sum(w * s for w, s in zip(weights, s_in, strict=True)) * 2**layer.weight_exp
                sigma[i] = max(-8388607, min(8388607, total))
                saturated[layer.name] += total != sigma[i]
                targets.append(max(0, sigma[i] + bias) if layer.act == "relu" else sigma[i] + bias)
            for i, target in enumerate(targets):
                if layer.kind == "sigma":
                    sent.append(divide(target, layer.shift))
                    continue
                owed = target - ref[i]
                message = divide(owed, layer.shift) if abs(owed) >= layer.threshold_lsb else 0
                sent.append(max(-127, min(127, message)))
                ref[i] += sent[i] * 2**layer.shift
            state[layer.name] = (sigma, ref)
            record = {"value": sent, "sigma": sigma} if layer.kind == "sigma" else {"messages": sent, "ref": ref}
            if layer.kind == "sigma_delta":
                record["sigma"] = sigma
            for role, row in record.items():
                seen[role].setdefault(layer.name, []).append(row)
            s_in = sent
        if save_to >= 0:
            slots[save_to] = dict(state)
    arrays = {role: {name: np.array(rows) for name, rows in by_layer.items()} for role, by_layer in seen.items()}
    value = arrays.pop("value")["out"]
    return Trace(**arrays, value=value, saturated=saturated)


@pytest.mark.slow
def test_agrees_with_a_plain_loop_and_notices_one_flipped_bit(tmp_path: Path) -> None:
    generator = np.random.default_rng(7)
    artifact, passes = random_network(generator), random_passes(generator, 300)
    calls: list[tuple[int, int]] = []
    trace = run(artifact, passes, tmp_path, on_progress=lambda done, total: calls.append((done, total)))
    result = compare(trace, plain_loop(artifact, passes))
    assert result.values_different == 0, result.first_difference
    assert result.values_compared == 300 * (2 * 10 + 3 * 24 + 3 * 24 + 2 * 8) + 4
    assert result.equal
    for layer in ("code", "h1", "h2"):
        assert 0.1 <= result.nonzero_share[layer] < 1
        assert result.positive_crossed[layer] > 100
        assert result.negative_crossed[layer] > 100
    assert calls[-1] == (300, 300)
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)

    flipped = artifact.layer("h2").weight.copy()  # type: ignore[union-attr]
    flipped[3, 5] ^= 1
    layers = tuple(replace(layer, weight=flipped) if layer.name == "h2" else layer for layer in artifact.layers)
    other = compare(trace, run(replace(artifact, layers=layers), passes, tmp_path))
    assert other.values_different > 0
    assert not other.equal
    assert str(other.first_difference).startswith("h2.")


def test_float_model_stays_within_the_quantisation_bound(tmp_path: Path) -> None:
    """While no message is clipped and no state saturates, the two precisions cannot drift apart.

    A fixed or float neuron owes less than theta (theta >= 2**k) after a pass, so equal targets give refs that differ
    by less than 2 theta, and targets that differ by e give e + 2 theta. sigma is W ref / 2**k << weight_exp summed:
    an error e of ref becomes at most max_i sum_j |W_ij| e 2**(weight_exp - k); ReLU does not enlarge it. The output
    truncates: + 1. The bound is far below the signal, so a chain of zeros would not pass.
    """
    generator = np.random.default_rng(3)

    def weights(n_out: int, n_in: int) -> Any:
        return generator.integers(-99, 99, (n_out, n_in)).tolist()

    artifact = network(
        Layer(name="code", kind="delta", n_in=6, n_out=6, threshold_lsb=2, shift=1),
        weighted("h1", "sigma_delta", weights(12, 6), [500] * 12, threshold_lsb=300, shift=8),
        weighted("out", "sigma", weights(4, 12), [900] * 4, shift=2),
    )
    x = np.linspace(0, 1, 100)[:, None] * generator.integers(-9000, 9000, 6)
    passes = Passes(x=x.astype(np.int64), load=np.array([RESET] + [KEEP] * 99), save=np.full(100, KEEP))
    fixed = run(artifact, passes, tmp_path / "fixed")
    floating = run(artifact, passes, tmp_path / "float", precision="floating_pt")
    assert floating.value.dtype == np.float64
    assert all(np.abs(s).max() < 127 for s in fixed.messages.values())
    assert not any(fixed.saturated.values())

    error, k = 0.0, 0
    for layer in artifact.layers:
        if layer.weight is not None:
            error *= np.abs(layer.weight.astype(int)).sum(1).max() * 2.0 ** (layer.weight_exp - k)
        if layer.kind != "sigma":
            error, k = error + 2 * layer.threshold_lsb, layer.shift
            assert np.abs(fixed.ref[layer.name] - floating.ref[layer.name]).max() <= error
    bound = error / 2.0 ** artifact.layer("out").shift + 1
    assert np.abs(fixed.value - floating.value).max() <= bound
    assert np.abs(fixed.value - floating.value).max() > 0
    assert np.abs(fixed.value).max() > 3 * bound


def test_refuses_what_the_chain_cannot_do() -> None:
    artifact = random_network(np.random.default_rng(0))
    passes = random_passes(np.random.default_rng(0), 3)
    validate(artifact, passes)
    code, h1, h2, out = artifact.layers
    with pytest.raises(UserError, match="no chain"):
        validate(network(code, h1, h2), passes)
    with pytest.raises(UserError, match="feed edges"):
        validate(replace(artifact, edges=artifact.edges[:2]), passes)
    with pytest.raises(UserError, match="delay_steps 2"):
        validate(replace(artifact, edges=(replace(artifact.edges[0], delay_steps=2), *artifact.edges[1:])), passes)
    with pytest.raises(UserError, match=r"layer 'h2'.*accumulator"):
        validate(network(code, h1, replace(h2, weight_exp=50), out), passes)
    with pytest.raises(UserError, match=r"3 inputs.*has 10"):
        validate(artifact, replace(passes, x=passes.x[:, :3]))
