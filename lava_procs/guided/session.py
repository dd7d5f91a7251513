"""The policy-guided planner in Lava, in a child process that stays up for many plans.

    with GuidedSession.open(policy, predictor, params, timeout_s=60, workdir=folder) as session:
        action, record = session.plan(latent_int, told_int, places_int, seed)

The child process is lava_procs/graph_session.py's; all is fixed point.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

import numpy as np

from spikeplan.core.guided_params import GuidedParams
from spikeplan.core.ir import artifact as artifact_format
from spikeplan.lava_procs import child
from spikeplan.lava_procs.graph_session import GraphSession, Started, check_seed, check_words, start
from spikeplan.lava_procs.guided.arithmetic import Ints
from spikeplan.lava_procs.guided.graph import counted, make_files, validate


@dataclass(frozen=True, kw_only=True)
class GuidedRecord:
    """Everything one plan computed: cost_S; winner, the number of the copy that acts; actions_HSA in action LSB; path_HSD,
    latents after each imagined step; messages sent by each layer of policy, predictor and cost-to-go; `saturated`, how many
    states, messages, latents, prices and costs were clipped; `seconds` of the plan without compilation."""

    cost_S: Ints
    winner: int
    actions_HSA: Ints
    path_HSD: Ints
    policy_messages_L: Ints
    predictor_messages_L: Ints
    value_messages_L: Ints
    saturated: int
    seconds: float


class GuidedSession(GraphSession):
    """Policy, predictor and prices as Lava processes, in a child process that stays open for many plans.

    Latents and actions are integers, in the LSB of the artifacts' scales. Use `open`, not the constructor.

    >>> session = GuidedSession.open("policy.safetensors", "net.safetensors", params, timeout_s=60, workdir="runs/lava")
    >>> action, record = session.plan(latent, told, places, seed=7)
    >>> session.close()
    """

    def __init__(self, started: Started, timeout_s: float, params: GuidedParams, layers: tuple[int, int]) -> None:
        """`layers`: of policy and predictor."""
        super().__init__(started, timeout_s)
        self.params, self.layers = params, layers

    @classmethod
    def open(
        cls,
        policy_path: str | os.PathLike[str],
        predictor_path: str | os.PathLike[str],
        params: GuidedParams,
        *,
        value_path: str | os.PathLike[str] | None = None,
        timeout_s: float,
        workdir: str | os.PathLike[str],
        reference: str = "zero",
        layout: str = "fused",
    ) -> Self:
        """Start and compile the graph; blocks until it is ready, about two seconds.

        Args:
            policy_path: file of a sigma-delta network from [latent, told] to an action.
            predictor_path: file of a sigma-delta network from [latent, action] to the latent's change.
            params: settings of the integer guided planner.
            value_path: file of a sigma-delta network from [latent, goal] to a cost-to-go, where `params` weighs one.
            timeout_s: seconds for the start, and for every plan.
            workdir: receives the files that both sides map, and worker.log; one session at a time.
            reference: what a graded spike is a change of, "zero" or "previous_step", in both networks.
            layout: "fused" or "stepwise", see lava_procs/guided/graph.py.

        Raises UserError for bad input, and LavaError where the child crashes or does not answer in time.
        """
        child.check_timeout(timeout_s)
        policy, predictor = artifact_format.load(policy_path), artifact_format.load(predictor_path)
        value = None if value_path is None else artifact_format.load(value_path)
        validate(policy, predictor, params, value=value, reference=reference, layout=layout)
        job = {
            "policy": str(Path(policy_path).resolve()),
            "predictor": str(Path(predictor_path).resolve()),
            "value": None if value_path is None else str(Path(value_path).resolve()),
            "params": params.as_json(),
            "reference": reference,
            "layout": layout,
        }
        files = partial(make_files, params, counted(policy, predictor, value) - 1)
        started = start("spikeplan.lava_procs.guided.worker", job, workdir, files)
        return cls(started, timeout_s, params, (len(policy.layers), len(predictor.layers)))

    def plan(self, latent_int: Ints, told_int: Ints, places_int: Ints, seed: int) -> tuple[Ints, GuidedRecord]:
        """One plan, from latent (D,), what the policy is told (M D,), its goal first, and places to keep out of (K, D), all in
        latent LSB, to an action (A,) in action LSB.

        Args:
            places_int: as many as `params.places` says; (0, D) for none.
            seed: a 24-bit whole number, from which the noise of all copies is made.

        Raises UserError for bad input, and LavaError for a crash, no answer in time, or a closed session.
        """
        self._check_open()
        d, k = self.params.latent_dim, self.params.places
        check_words("latent", latent_int, (d,))
        check_words("told", told_int, (self.params.told * d,))
        check_words("places", places_int, (k, d))
        check_seed(seed)
        words = np.concatenate([[seed], latent_int, told_int, np.reshape(places_int, -1)])
        found, seconds = self._run(words)
        policy, predictor, value = np.split(found["counts"][:-1], np.cumsum(self.layers))
        record = GuidedRecord(
            cost_S=found["cost"],
            winner=int(found["winner"][0]),
            actions_HSA=found["actions"],
            path_HSD=found["path"],
            policy_messages_L=policy,
            predictor_messages_L=predictor,
            value_messages_L=value,
            saturated=int(found["counts"][-1]),
            seconds=seconds,
        )
        return found["action"], record
