"""Compiled neurons of the fused executor (fused.py). States are changed in place."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.fixed_point import STATE_BITS
from spikeplan.core.ir.graph.base import Node, Shape
from spikeplan.core.ir.graph.neurons import LIF, LIF_ALIGN, STOCK_BITS, Delta, Integrator, Readout, SigmaDelta
from spikeplan.lava_procs.graph.fused_functions import toward_zero

if TYPE_CHECKING:
    from spikeplan.lava_procs.graph.fused import Compiled

Array = NDArray[Any]
Reads = list[Callable[[], Array]]
DECAY_BITS = 12


def _sender(run: Compiled, node: Delta | SigmaDelta, ref: Array) -> Callable[[Array], Array]:
    """target -> message; ref is what the receivers have been told."""
    theta, shift, name = node.threshold_lsb, node.shift, node.name

    def lost(target: Array) -> Array:
        d = run.turn(name, target - ref, STOCK_BITS)
        fires = (d >= theta) | ((d <= -theta) & (d != -(1 << STOCK_BITS - 1)))
        if theta == 0:
            fires = d != -(1 << STOCK_BITS - 1)
        np.copyto(ref, target, where=fires)
        s: Array = (d >> shift) * fires
        return s

    def owed(target: Array) -> Array:
        d = target - ref
        s = toward_zero(d, shift) * ((d >= theta) | (d <= -theta))
        if node.message_bits:
            s = run.clip(name, s, node.message_bits)
        np.add(ref, s << shift, out=ref)
        return s

    return lost if node.residue == "lost" else owed


def _fitter(run: Compiled, name: str, *, wraps: bool, bits: int) -> Callable[[Array], Array]:
    return (lambda x: run.turn(name, x, STOCK_BITS)) if wraps else (lambda x: run.clip(name, x, bits))


def _delta(run: Compiled, node: Delta, reads: Reads, shapes: list[Shape], reach: list[int]) -> Callable[[], Array]:
    (read,) = reads
    (ref,) = run.keep(node, "ref")
    send = _sender(run, node, ref)
    fit = _fitter(run, node.name, wraps=node.residue == "lost", bits=node.state_bits)
    return lambda: send(fit(read() << node.input_exp))


def _sigma_delta(
    run: Compiled, node: SigmaDelta, reads: Reads, shapes: list[Shape], reach: list[int]
) -> Callable[[], Array]:
    (read,) = reads
    sigma, ref = run.keep(node, "sigma", "ref")
    send = _sender(run, node, ref)
    wraps = node.residue == "lost"
    fit = _fitter(run, node.name, wraps=wraps, bits=node.state_bits)
    aim = None if node.target_bits is None else _fitter(run, node.name, wraps=wraps, bits=node.target_bits)
    bias = node.bias.astype(np.int64)

    def compute() -> Array:
        sigma[:] = fit(sigma + read())
        target = sigma + bias if run.t >= node.bias_start else sigma
        if aim is not None:
            target = aim(target)
        return send(np.maximum(target, 0) if node.act == "relu" else target)

    return compute


def _readout(run: Compiled, node: Readout, reads: Reads, shapes: list[Shape], reach: list[int]) -> Callable[[], Array]:
    (read,) = reads
    (sigma,) = run.keep(node, "sigma")
    fit = _fitter(run, node.name, wraps=node.wrap, bits=node.state_bits)
    bias = node.bias.astype(np.int64)

    def compute() -> Array:
        sigma[:] = fit(sigma + read())
        return toward_zero(sigma + bias, node.shift)

    return compute


def _leak(x: Array, kept: Array) -> Array:
    """x kept / 4096 toward zero."""
    return toward_zero(x * kept, DECAY_BITS)


def _biases(node: LIF | Integrator, bias: Any) -> tuple[Any, Any]:
    """Before and from the step on in which it begins to act."""
    if node.fixed:
        mant = bias.astype(np.int64)
        bias = mant << node.bias_exp if node.bias_exp >= 0 else mant >> -node.bias_exp
    return np.zeros_like(bias), bias


def _lif(run: Compiled, node: LIF, reads: Reads, shapes: list[Shape], reach: list[int]) -> Callable[[], Array]:
    (read,) = reads
    u, v = run.keep(node, "u", "v")
    (before, bias), (before_u, bias_u) = _biases(node, node.bias), _biases(node, node.current_bias)
    subtract = node.reset == "subtract"
    if not node.fixed:
        keep_u, keep_v, vth, back = 1 - node.du, 1 - node.dv, node.vth, node.v_reset
    else:
        keep_u = (1 << DECAY_BITS) - (node.du.astype(np.int64) + 1)
        keep_v = (1 << DECAY_BITS) - node.dv.astype(np.int64)
        vth, back = node.vth.astype(np.int64) << LIF_ALIGN, node.v_reset.astype(np.int64) << LIF_ALIGN
    half = 1 << STATE_BITS - 1

    def compute() -> Array:
        acts = run.t >= node.bias_start
        a, now, into_u = read(), bias if acts else before, bias_u if acts else before_u
        if node.fixed:
            current = _leak(u, keep_u) + (a << LIF_ALIGN) + into_u
            turned = current + 2 * half * ((current <= -half).astype(np.int64) - (current > half))
            run.count(node.name, turned != current)
            u[:] = turned
            v[:] = run.clip(node.name, _leak(v, keep_v) + u + now, STATE_BITS)
        else:
            u[:] = u * keep_u + a + into_u
            v[:] = v * keep_v + u + now
        fired = v > vth
        if subtract:
            v[:] = np.where(fired, v - vth, v)
        else:
            v[:] = np.where(fired, back, v)
        return fired.astype(run.dtype)

    return compute


def _integrator(
    run: Compiled, node: Integrator, reads: Reads, shapes: list[Shape], reach: list[int]
) -> Callable[[], Array]:
    (read,) = reads
    (v,) = run.keep(node, "v")
    before, bias = _biases(node, node.bias)
    keep: Any = (1 << DECAY_BITS) - node.dv.astype(np.int64) if node.fixed else 1 - node.dv

    def compute() -> Array:
        now = bias if run.t >= node.bias_start else before
        if not node.fixed:
            v[:] = v * keep + read() + now
            return v.copy()
        v[:] = run.clip(node.name, _leak(v, keep) + (read() << LIF_ALIGN) + now, STATE_BITS)
        return toward_zero(v, node.shift)

    return compute


COMPILERS: dict[type[Node], Callable[..., Callable[[], Array]]] = {
    Delta: _delta,
    SigmaDelta: _sigma_delta,
    Readout: _readout,
    LIF: _lif,
    Integrator: _integrator,
}
