"""Which methods are compared on a task, by the planner that solves it best."""

from __future__ import annotations

from dataclasses import dataclass

from spikeplan.core.errors import UserError
from spikeplan.core.guided_planning import RefinedConfig
from spikeplan.core.planning import CEMConfig
from spikeplan.evaluation.bundle import load_bundle
from spikeplan.worldmodel.tasks import task_of


@dataclass(frozen=True, kw_only=True)
class Contenders:
    """Names in METHODS. `dense`: what every other method is paired with. `lif`: None where it is not compared.

    `in_lava`: of the planner that runs in Lava; on a task of refined planning that is its guided half alone.
    """

    dense: str
    int8: str
    spiking: str
    lif: str | None
    in_lava: str

    @property
    def headline(self) -> tuple[str, ...]:
        """In the order of tables; random actions and the simulator as predictor come first."""
        known = ("random", "oracle", self.dense, self.int8, self.spiking, self.lif)
        return tuple(name for name in known if name is not None)


CEM = Contenders(dense="dense", int8="int8", spiking="sigma_delta", lif="lif", in_lava="lava")
REFINED = Contenders(
    dense="refined", int8="refined-int8", spiking="refined-sigma_delta", lif=None, in_lava="guided-lava"
)


def full_planner(task: str) -> CEMConfig:
    """Of the headline: the task's own, or what its world model was validated with. UserError where that searches nothing."""
    planner = task_of(task).planner or load_bundle(task).model.planner
    if not isinstance(planner, CEMConfig):
        raise UserError(f"task {task}: its planner {planner.label} searches nothing; the study compares searches")
    return planner


def contenders(task: str) -> Contenders:
    return REFINED if isinstance(task_of(task).planner, RefinedConfig) else CEM
