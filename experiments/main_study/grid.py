"""What the main job runs: methods, budgets, shards. `demo` and `results` differ in size only."""

from __future__ import annotations

from dataclasses import dataclass

from spikeplan.core.counts.operations import REFERENCES
from spikeplan.core.guided_planning import DirectConfig, GuidedConfig, PlannerConfig
from spikeplan.core.planning import CEMConfig
from spikeplan.evaluation.admission import greedy, reduced_budgets
from spikeplan.evaluation.bundle import load_bundle
from spikeplan.evaluation.methods import METHODS, smaller
from spikeplan.evaluation.methods.sigma_delta import NARROW as NARROW_SIGMA_DELTA
from spikeplan.evaluation.shard import Job, shards

TASKS = ("two-room", "planar-reach")


@dataclass(frozen=True, kw_only=True)
class Size:
    """`episodes` and planner `seeds` of the headline methods; the front runs `front_episodes` with one seed."""

    episodes: int
    seeds: int
    front_episodes: int
    front: bool
    reference_episodes: int = 100  # of the front's, for the references
    extra_tasks: tuple[str, ...] = ()
    shard: int = 50
    control_episodes: int = 16  # of each control of the world model
    control_steps: int = 60  # of training the one that collapses
    samples: int | None = None  # of the full budget; the checkpoint says how many
    lif_episodes: int | None = None  # the first of them, on which LIF plans: it takes six times the dense time
    left_out: str = ""  # what this size does without, for a reader


DEMO = Size(
    episodes=50,
    seeds=1,
    front_episodes=50,
    front=False,
    shard=25,
    lif_episodes=20,
    control_episodes=8,
    left_out="LIF plans 20 of the episodes; no random doors, threshold sweeps, pruned networks or other planner seeds: "
    "`spikeplan results` has them",
)
RESULTS = Size(episodes=300, seeds=3, front_episodes=300, front=True, extra_tasks=("two-room-random",))


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
    methods = ("guided-int8", "guided-narrow-64", "guided-sigma_delta")
    return [("policy-int8", DirectConfig()), *((method, budget) for method in methods for budget in budgets)]


def reference_of(task: str, method: str) -> str:
    """The reference that the method's file runs at."""
    artifact = METHODS[method].artifact
    return "zero" if artifact is None else artifact(load_bundle(task)).reference


def jobs_of(task: str, size: Size) -> list[Job]:
    """Every episode-running job of one task."""
    full = load_bundle(task).model.planner
    if size.samples is not None:
        full = full.at(samples=size.samples)
    reference, factor = load_bundle(task).artifact.reference, 1.0
    jobs: list[Job] = []

    def add(
        method: str,
        role: str,
        planner: PlannerConfig,
        *,
        episodes: int,
        seeds: int = 1,
        reference: str = "zero",
        threshold: float | None = None,
        first_of_them: int | None = None,
    ) -> None:
        for seed in range(seeds):
            for first, count in shards(first_of_them or episodes, size.shard):
                jobs.append(
                    Job(
                        task=task,
                        method=method,
                        role=role,
                        planner=planner,
                        episodes=episodes,
                        first=first,
                        count=count,
                        seed=seed,
                        reference=reference,
                        threshold=threshold,
                        keep_poses=role == "headline" and seed == first == 0,
                    )
                )

    beside = task in size.extra_tasks  # reported beside the headline tasks: no LIF method, no front
    for method in ("random", "oracle", "dense", "int8"):
        add(method, "headline", full, episodes=size.episodes, seeds=size.seeds)
    if not beside:
        add("lif", "headline", full, episodes=size.episodes, seeds=size.seeds, first_of_them=size.lif_episodes)
    add(
        "sigma_delta", "headline", full, episodes=size.episodes, seeds=size.seeds, reference=reference, threshold=factor
    )
    n = size.front_episodes
    for planner in [*reduced_budgets(full), greedy(full)]:
        add("dense", "admission", planner, episodes=n)
    if load_bundle(task).beside("policy").is_file():
        add("policy", "admission", DirectConfig(), episodes=n)
        for method, settings in [] if beside else guided_front(full):
            add(method, "front", settings, episodes=n, threshold=factor if METHODS[method].spiking else None)
    if beside:
        return jobs
    if size.front:
        for planner in dense_front(full):
            add("int8", "front", planner, episodes=n)
        for method in (*smaller.NARROW, *smaller.PRUNED):
            for planner in [full, *spiking_front(full)]:
                add(method, "front", planner, episodes=n)
        for method in NARROW_SIGMA_DELTA:
            on, narrow_factor = reference_of(task, method), 1.0
            for planner in [full, *spiking_front(full)]:
                add(method, "front", planner, episodes=n, reference=on, threshold=narrow_factor)
            add(method, "sweep", full, episodes=n, reference=on, threshold=narrow_factor * 2.0)
        add("zero_skipping", "front", full, episodes=n)
        for planner in spiking_front(full):
            add("sigma_delta", "front", planner, episodes=n, reference=reference, threshold=factor)
        for other in (2.0, 4.0):
            add("sigma_delta", "sweep", full, episodes=n, reference=reference, threshold=factor * other)
        add("lif", "front", full.at(samples=32, iterations=2), episodes=n)
        for on in REFERENCES:  # what every reference costs and keeps, from the headline's thresholds down to a quarter
            for finer in (
                (0.25,) if on == "previous_candidate" else (1.0, 0.5, 0.25)
            ):  # order is ten times slower to simulate
                add(
                    "sigma_delta",
                    "sweep",
                    full,
                    episodes=n,
                    reference=on,
                    threshold=factor * finer,
                    first_of_them=size.reference_episodes,
                )
    else:
        for planner in (full.at(samples=32, iterations=2), full.at(samples=16, iterations=2)):
            add("int8", "front", planner, episodes=n)
        for method in smaller.NARROW:
            add(method, "front", full, episodes=n)
        for method in NARROW_SIGMA_DELTA:
            on, narrow_factor = reference_of(task, method), 1.0
            add(method, "front", full, episodes=n, reference=on, threshold=narrow_factor)
        add(
            "sigma_delta", "front", full.at(samples=16, iterations=2), episodes=n, reference=reference, threshold=factor
        )
    return jobs
