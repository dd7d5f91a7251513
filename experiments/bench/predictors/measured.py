"""What one predictor does in the planning loop of KeepOut: whose episodes succeed, and what its layers take an action.

Policy and cost-to-go are the shipped dense ones on every side, and only the predictor's own layers are counted.
Units: synop-equivalents an action (core/counts/operations.py), the pipe full.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.counts.operations import VALUE_PREFIX, CountRow, part_of, per_action, total
from spikeplan.core.guided_planning import GuidedConfig
from spikeplan.evaluation.bundle import Bundle
from spikeplan.experiments.bench.planned import run
from spikeplan.worldmodel.policies.networks import DensePolicy
from spikeplan.worldmodel.policies.pair import Pair
from spikeplan.worldmodel.tasks import task_of

FIELDS = ("synops", "macs", "acs", "updates", "state_restores")


@dataclass(frozen=True, kw_only=True)
class Planned:
    """One predictor over N episodes. `success_N`: 0 or 1. `rows`: counts of its own layers, over all actions."""

    success_N: NDArray[np.float64]
    rows: tuple[CountRow, ...]
    actions: int

    @property
    def success(self) -> float:
        return float(self.success_N.mean())

    def taken(self, field: str = "synop_equivalents") -> float:
        """An action."""
        return per_action(self.rows, self.actions, field)

    @property
    def split(self) -> str:
        """Its operations in words."""
        return ", ".join(f"{name} {self.taken(name):.0f}" for name in FIELDS)

    @property
    def densities(self) -> dict[str, float]:
        """By kind of layer: synops beside what the same synapses take densely."""
        found = {}
        for kind, rows in self._kinds().items():
            dense = total((row for row in rows if row.synops), "dense_macs")
            if dense:
                found[kind] = total(rows, "synops") / dense
        return found

    @property
    def anew(self) -> dict[str, float]:
        """By kind: what is computed in full at every pass, MACs and accumulates an action."""
        found = {
            kind: per_action(rows, self.actions, "macs") + per_action(rows, self.actions, "acs")
            for kind, rows in self._kinds().items()
        }
        return {kind: value for kind, value in found.items() if value}

    def _kinds(self) -> dict[str, list[CountRow]]:
        found: dict[str, list[CountRow]] = {}
        for row in self.rows:
            found.setdefault(kind_of(row.layer), []).append(row)
        return found


def kind_of(layer: str) -> str:
    """A layer's path without the numbers of its blocks, and an operation without its place in the graph.

    >>> kind_of("blocks.1.attn.qkv"), kind_of("add (add_895)")
    ('blocks.attn.qkv', 'add')
    """
    return re.sub(r"\.\d+", "", layer.partition(" (")[0])


def planned(bundle: Bundle, predictor: Any, reference: str, *, episodes: int, seed: int) -> Planned:
    """Plans `episodes` of the bundle's task, drawn with `seed`, by its own planner."""
    pair = Pair(predictor, DensePolicy(bundle.policy()), DensePolicy(bundle.cost_to_go(), VALUE_PREFIX))
    config = task_of(bundle.task).planner
    assert isinstance(config, GuidedConfig)
    done = run(bundle, pair, config, reference, episodes, seed)
    assert done.op_counts is not None
    rows = done.op_counts.rows("interleaved" if predictor.spiking else "batched")
    own = tuple(row for row in rows if row.phase == "predictor" and not part_of(row.layer))
    return Planned(success_N=done.success_KN[0], rows=own, actions=done.op_counts.actions)


def mean_of(found: Iterable[Planned], field: str = "synop_equivalents") -> float:
    return float(np.mean([one.taken(field) for one in found]))
