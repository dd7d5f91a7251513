"""Which methods are compared on a task, by the planner that solves it best."""

from __future__ import annotations

from dataclasses import dataclass

from spikeplan.core.errors import UserError
from spikeplan.core.guided_planning import GuidedConfig, PlannerConfig, RefinedConfig
from spikeplan.core.planning import CEMConfig
from spikeplan.evaluation.bundle import load_bundle
from spikeplan.evaluation.methods.policy import SPIKING_WIDTHS
from spikeplan.worldmodel.tasks import task_of


@dataclass(frozen=True, kw_only=True)
class Contenders:
    """Names in METHODS. `dense`: what every other method is paired with. `lif`: None where it is not compared.

    `in_lava`: of the planner that runs in Lava; of refined planning that is the copies alone. `narrow`: a dense
    and a spiking method for each width of a narrow predictor.
    """

    dense: str
    int8: str
    spiking: str
    lif: str | None
    in_lava: str
    narrow: tuple[str, ...] = ()

    @property
    def headline(self) -> tuple[str, ...]:
        """In the order of tables; random actions and the simulator as predictor come first."""
        known = ("random", "oracle", self.dense, self.int8, self.spiking, self.lif)
        return tuple(name for name in known if name is not None)


def _with_policy(planner: str) -> Contenders:
    return Contenders(
        dense=planner,
        int8=f"{planner}-int8",
        spiking=f"{planner}-sigma_delta",
        lif=None,
        in_lava="guided-lava",
        narrow=tuple(
            f"{planner}-{kind}-{width}" for width in SPIKING_WIDTHS[planner] for kind in ("narrow", "sigma_delta")
        ),
    )


BY_PLANNER: dict[type[PlannerConfig], Contenders] = {
    CEMConfig: Contenders(dense="dense", int8="int8", spiking="sigma_delta", lif="lif", in_lava="lava"),
    RefinedConfig: _with_policy("refined"),
    GuidedConfig: _with_policy("guided"),
}


def full_planner(task: str) -> PlannerConfig:
    """Of the headline: the task's own, or what its world model was validated with. UserError where nothing is imagined."""
    planner = task_of(task).planner or load_bundle(task).model.planner
    if type(planner) not in BY_PLANNER:
        raise UserError(f"task {task}: no study compares planners as {planner.label}; set another planner of the task")
    return planner


def contenders(task: str) -> Contenders:
    return BY_PLANNER[type(full_planner(task))]
