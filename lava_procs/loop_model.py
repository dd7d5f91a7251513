"""What the processes of the planning loop have in common: phases.

A plan takes I (H + 1) time steps. In step t of an iteration, 0 <= t < H, the candidates' action t and their latents go
through the predictor; in step H, costs become an elite set and that the next mean and spread. A message waits in its port
until the receiver's step, so nobody sends what is not due. Every process derives its phase from Lava's own step count.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from lava.magma.core.model.py.model import PyLoihiProcessModel

from lava_procs.planning import Arithmetic
from spec.plan_params import PlanParams


class Phase(NamedTuple):
    """`step` of the rollout (H: selection), `iteration` of the plan; `plan` counts from 0."""

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

    @property
    def phase(self) -> Phase:
        plan, within = divmod(self.time_step - 1, self.plan.steps)  # Lava counts time steps from 1
        return Phase(plan, *divmod(within, self.plan.steps_per_iteration))

    @property
    def selecting(self) -> bool:
        return self.phase.step == self.plan.horizon
