"""A planning loop in Lava that stays up for many plans (contract LavaSession).

    with LavaSession.open(artifact, plan, timeout_s=60, workdir=folder) as session:
        action, trace = session.plan(latent_int, goal_int, seed)

The child process is lava_procs/graph_session.py's.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.errors import UserError
from spikeplan.core.ir import artifact as artifact_format
from spikeplan.core.planning import PlanParams
from spikeplan.lava_procs import child
from spikeplan.lava_procs.chain import PRECISIONS
from spikeplan.lava_procs.fused import FusedNetwork
from spikeplan.lava_procs.graph_session import GraphSession, Started, check_seed, check_words, start
from spikeplan.lava_procs.loop import make_files, validate
from spikeplan.lava_procs.planning import LAYOUTS


@dataclass(frozen=True)
class PlanRecord:
    """Everything one plan computed: cost_IS, elite_IS (bool), mean_IVA, spread_IVA, path_IHSD (latents after each
    step), messages_IL (sent by each layer), saturated_I; `seconds` of the plan without compilation."""

    cost_IS: NDArray[Any]
    elite_IS: NDArray[np.bool_]
    mean_IVA: NDArray[Any]
    spread_IVA: NDArray[Any]
    path_IHSD: NDArray[Any]
    messages_IL: NDArray[np.int64]
    saturated_I: NDArray[np.int64]
    seconds: float


class LavaSession(GraphSession):
    """The whole planning loop as Lava processes, in a child process that stays open for many plans.

    Latents and actions are integers: a latent LSB is `artifact.scales["latent"]`. Use `open`, not the constructor.

    >>> session = LavaSession.open("net.safetensors", plan_params(...), timeout_s=60, workdir="runs/lava")
    >>> action, record = session.plan(latent, goal, seed=7, fresh=True)
    >>> session.close()
    """

    def __init__(self, started: Started, timeout_s: float, plan: PlanParams) -> None:
        super().__init__(started, timeout_s)
        self.params = plan

    @classmethod
    def open(
        cls,
        artifact_path: str | os.PathLike[str],
        plan: PlanParams,
        *,
        timeout_s: float,
        workdir: str | os.PathLike[str],
        reference: str = "zero",
        precision: str = "fixed_pt",
        layout: str = "fused",
    ) -> Self:
        """Start and compile the loop; blocks until it is ready, about two seconds.

        Args:
            artifact_path: file of a sigma-delta network.
            plan: settings of the integer planner, from `plan_params`.
            timeout_s: seconds for the start, and for every plan.
            workdir: receives the files that both sides map, and worker.log; one session at a time.
            reference: what a graded spike is a change of, "zero" or "previous_step".
            precision: "fixed_pt" is bit-accurate for Loihi 2; "floating_pt" is for comparison.
            layout: "fused" or "stepwise", see lava_procs/loop.py.

        Raises UserError for bad input, and LavaError where the child crashes or does not answer in time.
        """
        if precision not in PRECISIONS:
            raise UserError(f"precision {precision!r} is unknown; use one of {', '.join(PRECISIONS)}")
        if layout not in LAYOUTS:
            raise UserError(f"layout {layout!r} is unknown; use one of {', '.join(LAYOUTS)}")
        child.check_timeout(timeout_s)
        artifact = artifact_format.load(artifact_path)
        validate(artifact, plan)
        fixed = precision == "fixed_pt"
        FusedNetwork(
            artifact, samples=1, reference=reference, fixed=fixed
        )  # refuses here what would not be exact there
        job = {
            "artifact": str(Path(artifact_path).resolve()),
            "plan": asdict(plan),
            "reference": reference,
            "precision": precision,
            "layout": layout,
        }
        files = partial(make_files, plan, len(artifact.layers), fixed=fixed)
        return cls(start("spikeplan.lava_procs.plan_worker", job, workdir, files), timeout_s, plan)

    def plan(
        self, latent_int: NDArray[np.int64], goal_int: NDArray[np.int64], seed: int, *, fresh: bool = False
    ) -> tuple[NDArray[Any], PlanRecord]:
        """One plan, from latent and goal (D,) in latent LSB to an action (A,) in plan LSB, 2^action_shift action LSB.

        Args:
            seed: a 24-bit whole number, from which the noise of all candidates is made.
            fresh: an episode begins, so there is no warm start.

        Raises UserError for bad input, and LavaError for a crash, no answer in time, or a closed session.
        """
        self._check_open()
        for name, vector in (("latent", latent_int), ("goal", goal_int)):
            check_words(name, vector, (self.params.latent_dim,))
        check_seed(seed)
        found, seconds = self._run(np.concatenate([[seed, int(fresh)], latent_int, goal_int]))
        record = PlanRecord(
            cost_IS=found["cost"],
            elite_IS=found["elite"] > 0,
            mean_IVA=found["fit"][:, 0],
            spread_IVA=found["fit"][:, 1],
            path_IHSD=found["path"],
            messages_IL=found["counts"][:, :-1],
            saturated_I=found["counts"][:, -1],
            seconds=seconds,
        )
        return record.mean_IVA[-1, 0], record
