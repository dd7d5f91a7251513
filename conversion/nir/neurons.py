"""NIR's neurons as ours; their equations are in read.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from spikeplan.conversion.nir.parameters import Floats, Value, narrow, per_neuron
from spikeplan.core.errors import UserError
from spikeplan.core.ir.graph import LIF, Conv, Integrator, Linear, Shape, Sum

if TYPE_CHECKING:
    from spikeplan.conversion.nir.lowering import Lowering


def share(low: Lowering, node: Any, key: str, shape: Shape) -> Floats:
    tau = per_neuron(node, key, shape)
    if (tau <= 0).any():
        raise UserError(f"{key} {tau.min():g} s must be > 0")
    if low.exact:
        return -np.expm1(-low.dt_s / tau)
    if (tau < low.dt_s * (1 - 1e-9)).any():
        raise UserError(f"{key} {tau.min():g} s is below the time step of {low.dt_s:g} s; choose a smaller dt")
    return np.minimum(low.dt_s / tau, 1.0)


def synapse_before(low: Lowering, name: str, value: Value, factor: Any) -> Value:
    """`value` times a factor, made by weights: a neuron takes what synapses send."""
    if isinstance(low.nodes[value.name], Linear | Conv | Sum):
        return weighted_sum(low, name, value, factor)
    made = low.scaled_to(value, f"{name}.weights", factor)
    if made.name == value.name:
        low.add(low.diagonal(f"{name}.weights", value.shape, np.ones(1)), value.name)
        made = replace(made, name=f"{name}.weights")
    return made


def weighted_sum(low: Lowering, name: str, value: Value, factor: Any) -> Value:
    """A sum of synapses: the factor goes into each of them."""
    if not isinstance(low.nodes[value.name], Sum):
        return low.scaled_to(value, f"{name}.weights", factor)
    if (np.asarray(factor) == 1).all():
        return value
    into = [i for i, edge in enumerate(low.edges) if edge.dst == value.name]
    for i in into:
        edge = low.edges[i]
        part = Value(edge.src, value.shape)
        del low.edges[i]
        scaled = low.scaled_to(part, f"{edge.src}.to.{name}", factor)
        low.edges.insert(i, replace(edge, src=scaled.name))
    offset = None if value.offset is None else value.offset * np.asarray(factor, np.float64)
    return replace(value, offset=offset)


def lif(low: Lowering, name: str, node: Any) -> Value:
    value, nir = low.taken(name), low.nir
    shape = value.shape
    vth, v_reset = (per_neuron(node, key, shape) for key in ("v_threshold", "v_reset"))
    if (vth <= v_reset).any():
        raise UserError("v_threshold must be above v_reset; else a neuron fires for ever")
    gain = per_neuron(node, "r", shape)
    du, dv, leak = np.ones(1), np.zeros(1), np.zeros(1)
    if isinstance(node, nir.IF):
        gain = gain * low.dt_s
    else:
        dv = share(low, node, "tau_mem" if isinstance(node, nir.CubaLIF) else "tau", shape)
        gain, leak = gain * dv, per_neuron(node, "v_leak", shape) * dv
    current = np.zeros(1)
    if isinstance(node, nir.CubaLIF):
        du = share(low, node, "tau_syn", shape)
        gain = gain * per_neuron(node, "w_in", shape) * du
    value = synapse_before(low, name, value, gain)
    bias = leak
    if value.offset is not None:
        if isinstance(node, nir.CubaLIF):
            current = value.offset
        else:
            bias = bias + value.offset
    if low.reset == "subtract" and v_reset.any():
        raise UserError("v_reset beside a reset by subtraction; read it with reset='zero'")
    small = {"du": du, "dv": dv, "vth": vth, "bias": bias, "current_bias": current, "v_reset": v_reset}
    arrays: dict[str, Any] = {key: narrow(array, shape) for key, array in small.items()}
    low.add(LIF(name=name, reset=low.reset, **arrays), value.name)
    return Value(name, shape)


def threshold(low: Lowering, name: str, node: Any) -> Value:
    value = synapse_before(low, name, low.taken(name), 1.0)
    vth = per_neuron(node, "threshold", value.shape)
    bias = np.zeros(1) if value.offset is None else value.offset
    small = {"du": np.ones(1), "dv": np.ones(1), "vth": vth, "bias": bias}
    arrays: dict[str, Any] = {key: narrow(array, value.shape) for key, array in small.items()}
    low.add(LIF(name=name, **arrays), value.name)
    return Value(name, value.shape)


def integrator(low: Lowering, name: str, node: Any) -> Value:
    value, nir = low.taken(name), low.nir
    shape, gain = value.shape, per_neuron(node, "r", value.shape)
    dv, leak = np.zeros(1), np.zeros(1)
    if isinstance(node, nir.I):
        gain = gain * low.dt_s
    else:
        dv = share(low, node, "tau_mem" if isinstance(node, nir.CubaLI) else "tau", shape)
        gain, leak = gain * dv, per_neuron(node, "v_leak", shape) * dv
    if isinstance(node, nir.CubaLI):
        du = share(low, node, "tau_syn", shape)
        value = synapse_before(low, name, value, gain * per_neuron(node, "w_in", shape) * du)
        own = np.zeros(1) if value.offset is None else value.offset
        filtered = Integrator(name=f"{name}.u", dv=narrow(du, shape), bias=narrow(own, shape))
        low.add(filtered, value.name)
        value = Value(filtered.name, shape)
    else:
        value = synapse_before(low, name, value, gain)
    bias = leak if value.offset is None else leak + value.offset
    low.add(Integrator(name=name, dv=narrow(dv, shape), bias=narrow(bias, shape)), value.name)
    return Value(name, shape)


def makers(nir: Any) -> dict[type, Callable[..., Value]]:
    return {
        nir.Threshold: threshold,
        nir.LIF: lif,
        nir.IF: lif,
        nir.CubaLIF: lif,
        nir.LI: integrator,
        nir.I: integrator,
        nir.CubaLI: integrator,
    }
