"""What the processes of the planning loop have in common: phases.

An iteration takes R + 1 time steps, and a plan I times as many. Stepwise layout, R = H: in step t < H the candidates' action t
and their latents go through the predictor; in step H costs become an elite set and that the next mean and spread. Fused layout,
R = 0: a whole iteration happens in one step. A message waits in its port until the receiver's step, so nobody sends what is
not due. Every process derives its phase from Lava's own step count.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from lava.magma.core.model.py.model import PyLoihiProcessModel

from spikeplan.core.planning import PlanParams
from spikeplan.lava_procs.planning import Arithmetic, lava_steps


class Phase(NamedTuple):
    """`step` of the iteration (the last one: selection), `iteration` of the plan; `plan` counts from 0."""

    plan: int
    iteration: int
    step: int

    @property
    def first(self) -> bool:
        return self.iteration == 0 and self.step == 0


class LoopModel(PyLoihiProcessModel):
    """`maths`: a model's precision, FIXED or FLOAT; a process whose models differ in it names it in both."""

    maths: Arithmetic

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.plan: PlanParams = proc_params["plan"]
        self.rollout_steps: int = proc_params["rollout_steps"]

    @property
    def phase(self) -> Phase:
        plan, within = divmod(self.time_step - 1, lava_steps(self.plan, self.rollout_steps))  # Lava counts from 1
        return Phase(plan, *divmod(within, self.rollout_steps + 1))

    @property
    def selecting(self) -> bool:
        return self.phase.step == self.rollout_steps
