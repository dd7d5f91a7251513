"""What the main job runs: methods, budgets, shards. `demo` and `results` differ in size only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from spikeplan.core.counts.operations import REFERENCES
from spikeplan.core.errors import UserError
from spikeplan.core.guided_planning import DirectConfig, GuidedConfig, PlannerConfig
from spikeplan.core.planning import CEMConfig
from spikeplan.evaluation.admission import greedy, reduced_budgets
from spikeplan.evaluation.bundle import load_bundle
from spikeplan.evaluation.methods import METHODS, smaller
from spikeplan.evaluation.methods.sigma_delta import NARROW as NARROW_SIGMA_DELTA
from spikeplan.evaluation.shard import Job, shards
from spikeplan.experiments.main_study.contenders import contenders, full_planner
from spikeplan.worldmodel.tasks import task_of
from spikeplan.worldmodel.tasks.keep_out import DESCENTS

ALONE = ("policy-int8", "policy-sigma_delta", "policy-lif")  # beside the dense one, which is a level of admission
TASKS = ("keep-out", "two-room", "planar-reach")


@dataclass(frozen=True, kw_only=True)
class Size:
    """`episodes` and planner `seeds` of the headline methods; the front runs `front_episodes` with one seed."""

    episodes: int
    seeds: int
    front_episodes: int
    front: bool
    reference_episodes: int = 100  # of the front's, for the references
    extra_tasks: tuple[str, ...] = ()  # beside them: headline methods and admission only
    shard: int = 50
    control_episodes: int = 16  # of each control of the world model
    control_steps: int = 60  # of training the one that collapses
    samples: int | None = None  # of the full budget; the task says how many
    tasks: tuple[str, ...] = TASKS  # the admitted one first
    lif_episodes: int | None = None  # the first of them, on which LIF plans: it takes six times the dense time
    lif_seeds: int | None = None  # with which LIF plans; None: all of them
    lava_plans: int = 3  # replayed in Lava
    lava_episodes: int = 2  # of the policy's copies in Lava
    left_out: str = ""  # what this size does without, for a reader


DEMO = Size(
    episodes=50,
    seeds=1,
    front_episodes=50,
    front=False,
    shard=25,
    lif_episodes=20,
    control_episodes=8,
    lava_plans=1,
    tasks=("keep-out", "two-room"),
    left_out="LIF plans 20 episodes; `spikeplan results` also has PlanarReach, random doors, sweeps, searches, pruned networks "
    "and more seeds",
)
RESULTS = Size(
    episodes=300,
    seeds=3,
    front_episodes=300,
    front=True,
    lif_seeds=1,
    extra_tasks=("two-room-random",),
    left_out="LIF plans with one planner seed",
)


def only(size: Size, task: str) -> Size:
    """The study of one of its tasks. Raises UserError for another."""
    if task in size.tasks:
        return replace(size, tasks=(task,), extra_tasks=())
    if task in size.extra_tasks:
        return replace(size, tasks=(), extra_tasks=(task,))
    raise UserError(f"task {task!r} is not in the study; use one of {', '.join((*size.tasks, *size.extra_tasks))}")


def dense_front(full: CEMConfig) -> list[CEMConfig]:
    """Budgets between the admission test's 5 % and the full one: fewer samples, iterations, steps."""
    grid = [(32, 4), (64, 2), (16, 4), (32, 2), (16, 2), (32, 1), (8, 2)]
    points = [full.at(samples=s, iterations=i) for s, i in grid]
    points += [full.at(horizon=max(1, round(full.horizon * share))) for share in (0.75, 0.5)]
    return points


def spiking_front(full: CEMConfig) -> list[CEMConfig]:
    return [full.at(samples=s, iterations=i) for s, i in ((32, 4), (32, 2), (16, 2))]


def guided_front(full: CEMConfig) -> list[tuple[str, PlannerConfig]]:
    """A policy alone, and guided by the model at two budgets: the cheapest that plan at all, dense and spiking."""
    budgets = [GuidedConfig(samples=s, horizon=min(h, full.horizon)) for s, h in ((2, 8), (4, full.horizon))]
    ahead = [GuidedConfig(samples=s, horizon=min(h, full.horizon), to_go=0.3) for s, h in ((2, 3), (3, 4))]
    methods = ("guided-int8", "guided-narrow-64", "guided-sigma_delta")
    narrow = ("guided-sigma_delta-64", "guided-sigma_delta-96")
    return [
        *((method, DirectConfig()) for method in ALONE),
        *((method, budget) for method in (*methods, "guided-lif") for budget in budgets),
        *((method, budget) for method in (*methods, *narrow) for budget in ahead),
    ]


@lru_cache(maxsize=256)
def reference_of(task: str, method: str) -> str:
    """The reference that the method's file runs at."""
    artifact = METHODS[method].artifact
    return "zero" if artifact is None else artifact(load_bundle(task)).reference


@dataclass
class Plan:
    """Jobs of one task, as they are added."""

    task: str
    size: Size
    jobs: list[Job] = field(default_factory=list)

    def add(
        self,
        method: str,
        role: str,
        planner: PlannerConfig,
        *,
        episodes: int | None = None,
        seeds: int = 1,
        reference: str | None = None,
        threshold: float | None = None,
        first_of_them: int | None = None,
    ) -> None:
        """`reference`: that of the method's file, unless another is given. `threshold`: factor on a spiking method's."""
        total = episodes or self.size.front_episodes
        spiking = METHODS[method].artifact is not None
        for seed in range(seeds):
            for first, count in shards(first_of_them or total, self.size.shard):
                self.jobs.append(
                    Job(
                        task=self.task,
                        method=method,
                        role=role,
                        planner=planner,
                        episodes=total,
                        first=first,
                        count=count,
                        seed=seed,
                        reference=reference or reference_of(self.task, method),
                        threshold=1.0 if spiking and threshold is None else threshold,
                        keep_poses=role == "headline" and seed == first == 0,
                    )
                )


def jobs_of(task: str, size: Size) -> list[Job]:
    """Every episode-running job of one task."""
    plan, full, named = Plan(task, size), full_planner(task), contenders(task)
    model, own = load_bundle(task), task_of(task)
    searched = model.model.planner
    if size.samples is not None:
        full, searched = full.at(samples=size.samples), searched.at(samples=size.samples)
    for method in named.headline:
        if method == named.lif and task in size.extra_tasks:
            continue
        few, seeds = (size.lif_episodes, size.lif_seeds or size.seeds) if method == named.lif else (None, size.seeds)
        # The simulator searches, where the others have a policy to follow.
        planner = searched if METHODS[method].family == "oracle" else full
        plan.add(method, "headline", planner, episodes=size.episodes, seeds=seeds, first_of_them=few)
    for planner in [*reduced_budgets(searched), greedy(searched)]:
        plan.add("dense", "admission", planner)
    if model.policy_path.is_file():
        plan.add("policy", "admission", DirectConfig())
    if task in size.extra_tasks:
        return plan.jobs
    if type(full) is CEMConfig:
        for method, settings in guided_front(full):
            plan.add(method, "front", settings)
        _cem_fronts(plan, full)
    else:
        _policy_fronts(plan, (full, *own.budgets), searched)
    return plan.jobs


def _cem_fronts(plan: Plan, full: CEMConfig) -> None:
    """Cheaper networks and budgets of both sides; sweeps over thresholds and references where the size has them."""
    if not plan.size.front:
        for planner in (full.at(samples=32, iterations=2), full.at(samples=16, iterations=2)):
            plan.add("int8", "front", planner)
        for method in (*smaller.NARROW, *NARROW_SIGMA_DELTA):
            plan.add(method, "front", full)
        plan.add("sigma_delta", "front", full.at(samples=16, iterations=2))
        return
    for planner in dense_front(full):
        plan.add("int8", "front", planner)
    for method in (*smaller.NARROW, *smaller.PRUNED, *NARROW_SIGMA_DELTA):
        for planner in [full, *spiking_front(full)]:
            plan.add(method, "front", planner)
    for method in NARROW_SIGMA_DELTA:
        plan.add(method, "sweep", full, threshold=2.0)
    plan.add("zero_skipping", "front", full)
    for planner in spiking_front(full):
        plan.add("sigma_delta", "front", planner)
    for other in (2.0, 4.0):
        plan.add("sigma_delta", "sweep", full, threshold=other)
    plan.add("lif", "front", full.at(samples=32, iterations=2))
    few = plan.size.reference_episodes
    for on in REFERENCES:  # what every reference costs and keeps, from the headline's thresholds down to a quarter
        # previous_candidate's order is ten times slower to simulate
        for finer in (0.25,) if on == "previous_candidate" else (1.0, 0.5, 0.25):
            plan.add("sigma_delta", "sweep", full, reference=on, threshold=finer, first_of_them=few)


def _policy_fronts(plan: Plan, budgets: Sequence[PlannerConfig], searched: CEMConfig) -> None:
    """A policy alone and planning with it at several budgets, dense, spiking and in integers; and, where the size has fronts,
    searches and gradients."""
    named, teacher = contenders(plan.task), task_of(plan.task).teacher
    points: list[tuple[str, PlannerConfig]] = [(method, DirectConfig()) for method in ALONE]
    guided = [planner for planner in budgets if isinstance(planner, GuidedConfig)]
    points += [(method, planner) for method in ("guided-integer", "guided-lif") for planner in guided]
    points += [(method, planner) for method in named.narrow for planner in budgets]
    if plan.size.front:
        whole = (named.int8, named.spiking)
        points += [(method, planner) for method in whole for planner in budgets[1:]]
        points += [("int8", searched), ("sigma_delta", searched)]
        points += [("gradient-narrow-96", planner) for planner in DESCENTS]
        if teacher is not None:
            points += [
                (method, teacher) for method in ("refined-int8", "refined-narrow-128", "refined-sigma_delta-128")
            ]
    for method, planner in points:
        plan.add(method, "front", planner)
