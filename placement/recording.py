"""What a network's neurons sent: messages a step of each layer, and how they lie over its neurons.

Within a step, the messages of a layer are spread over its neurons as they are over the whole recording. So sums over the
recording are exact, and the busiest core of a step is one of means. Where only totals of a layer are known, every neuron sends
alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.errors import UserError, short
from spikeplan.core.ir.graph import Shape
from spikeplan.placement.graph import INPUT, Graph, as_placed, reach

Reals = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Recording:
    """`messages`: source -> (T,), messages of a step. `shares`: source -> (n,), part of them that each neuron sends, in the order
    of cores; sources without one send evenly. `repeats`: how often the T steps are meant, for rates."""

    messages: Mapping[str, Reals]
    shares: Mapping[str, Reals] = field(default_factory=dict)
    source: str
    repeats: int = 1

    @property
    def steps(self) -> int:
        return len(next(iter(self.messages.values())))

    def total(self, name: str) -> float:
        return float(self.messages[name].sum())

    def share(self, name: str, neurons: int) -> Reals:
        return self.shares.get(name, np.full(neurons, 1 / neurons))

    def synops_a_message(self, graph: Graph, name: str) -> float:
        """Synapses that a message of this source sets off, over all layers that take it."""
        found = 0.0
        for link in graph.out_of(name):
            neurons = int(np.prod(link.after))
            synapses = reach(link, 0, neurons)
            found += float(self.share(name, len(synapses)) @ synapses)
        return found


RATE_REPEATS = 1000  # of the one step that rates stand for, so that rounding to whole messages is small


def of_rates(graph: Graph, rates: float | Mapping[str, float], source: str = "rates") -> Recording:
    """A recording of one step from messages per neuron and step: one number for all, or one for each source.

    Raises UserError for a rate out of [0, 1], an unknown layer, and a layer without a rate.

    >>> of_rates(graph, {"input": 0.3, "cells": 0.05}).messages["cells"]
    """
    sources = graph.sources
    each = dict.fromkeys(sources, rates) if isinstance(rates, int | float) else dict(rates)
    _check_names(sources, each, source, "rate")
    for name, rate in each.items():
        if not 0 <= rate <= 1:
            raise UserError(f"{source}: {rate:g} messages a neuron and step of '{name}'; a rate is from 0 to 1")
    messages = {name: np.array([each[name] * np.prod(shape)]) for name, shape in sources.items()}
    return Recording(messages=messages, source=source, repeats=RATE_REPEATS)


def of_arrays(graph: Graph, arrays: Mapping[str, NDArray[Any]], source: str) -> Recording:
    """From one array a source: (T,) messages of a step, or (T, *shape) what every neuron sent, where 0 is no message.

    Values that are read rather than sent (a last layer of kind sigma) count as one message a neuron and step where they are left
    out. Raises UserError, with `source` in front, for other names, shapes and numbers of steps, for counts that are negative, not
    finite or above the number of neurons.
    """
    found = dict(arrays)
    last = graph.layers[-1]
    if last.kind == "sigma" and last.name not in found and found:
        found[last.name] = np.full(len(next(iter(found.values()))), last.neurons)
    _check_names(graph.sources, found, source, "messages")
    messages: dict[str, Reals] = {}
    shares: dict[str, Reals] = {}
    for name, shape in graph.sources.items():
        one = _column(found[name], shape, f"{source}: layer '{name}'")
        if one.ndim > 1:
            sent = (one != 0).reshape(len(one), -1)
            messages[name] = sent.sum(1).astype(np.float64)
            if messages[name].any():
                shares[name] = as_placed(sent.sum(0) / sent.sum(), shape)
        else:
            messages[name] = one.astype(np.float64)
    steps = {name: len(sent) for name, sent in messages.items()}
    if len(set(steps.values())) > 1:
        raise UserError(f"{source}: {short(steps)} steps; every layer needs as many")
    return Recording(messages=messages, shares=shares, source=source)


def _check_names(sources: Mapping[str, Shape], found: Mapping[str, Any], source: str, what: str) -> None:
    if extra := sorted(set(found) - set(sources)):
        raise UserError(f"{source}: layer '{extra[0]}' is not in the network; it has {', '.join(sources)}")
    if missing := [name for name in sources if name not in found]:
        outside = ", which is what comes from outside" if missing[0] == INPUT else ""
        raise UserError(f"{source}: no {what} of '{missing[0]}'{outside}; give {what} of {', '.join(sources)}")


def _column(found: NDArray[Any], shape: Shape, where: str) -> NDArray[Any]:
    neurons = int(np.prod(shape))
    if found.dtype.kind not in "biuf" or found.ndim < 1 or not len(found):
        raise UserError(f"{where}: {found.dtype} of shape {found.shape}; expected numbers, one row a step")
    if found.ndim > 1 and found.shape[1:] not in (shape, (neurons,)):
        rest = ", ".join(map(str, shape))
        raise UserError(f"{where}: shape {found.shape}; expected (steps,) or (steps, {rest})")
    if not np.isfinite(found).all():
        raise UserError(f"{where}: a value is not finite; record it again")
    if found.ndim == 1 and (found.min() < 0 or found.max() > neurons):
        worst = found.min() if found.min() < 0 else found.max()
        raise UserError(f"{where}: {worst:g} messages in a step of {neurons:,} neurons; a neuron sends at most one")
    return found
