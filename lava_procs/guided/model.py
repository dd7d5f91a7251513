"""What the processes of the guided graph have in common: phases.

Layout stepwise: a plan takes 2 H + 1 Lava steps, two for each imagined step t and one to end.
    2 t        the latents z[t] leave; the policy proposes; what step t - 1 led to is charged
    2 t + 1    the proposal is perturbed, and the predictor says what the action changes
    2 H        the last charge; the least cost wins
Layout fused: all of it in one Lava step. A message waits in its port until the receiver's step, so nobody sends what is not due:
proposals, values, and what predictor, cost and winner need besides cross to a later Lava step, all others arrive in the step in
which they are sent. Every process derives its phase from Lava's own step count.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from lava.magma.core.model.py.model import PyLoihiProcessModel

from spikeplan.core.guided_params import GuidedParams
from spikeplan.lava_procs.guided.graph import lava_steps


class Phase(NamedTuple):
    """`step`: Lava step of the plan; `steps`: how many a plan takes; `plan` counts from 0."""

    plan: int
    step: int
    steps: int

    @property
    def first(self) -> bool:
        return self.step == 0

    @property
    def last(self) -> bool:
        return self.step == self.steps - 1

    @property
    def imagined(self) -> int:
        """Imagined step t, H in the last Lava step; of layout stepwise, as the two below."""
        return self.step // 2

    @property
    def proposes(self) -> bool:
        """The policy's turn, H times."""
        return self.step % 2 == 0 and not self.last

    @property
    def predicts(self) -> bool:
        return self.step % 2 == 1


class GuidedModel(PyLoihiProcessModel):
    """Fixed point only: the planner has no floating form in Lava (worldmodel/planning/guided.py is one)."""

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.params: GuidedParams = proc_params["params"]
        self.steps = lava_steps(self.params, proc_params["layout"])

    @property
    def phase(self) -> Phase:
        plan, step = divmod(self.time_step - 1, self.steps)  # Lava counts from 1
        return Phase(plan, step, self.steps)
