"""What is measured per task beside the episodes: ranking agreement and density per reference, the Lava replay, gates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from spikeplan.core.counts.operations import REFERENCES
from spikeplan.core.guided_planning import GuidedConfig
from spikeplan.evaluation.bundle import load_bundle
from spikeplan.evaluation.imagined import imagined_episode
from spikeplan.evaluation.lava.guided import guided_episodes
from spikeplan.evaluation.lava.replay import run_lava_method
from spikeplan.evaluation.methods.smaller import NARROW
from spikeplan.evaluation.ranking import agreement
from spikeplan.evaluation.recorded_plans import record_plans
from spikeplan.evaluation.rows import AgreementRow, LavaLoopRow, LavaReplayRow, LayersRow, Row, ThresholdsRow
from spikeplan.evaluation.shard import EPISODE_SEED, Job, make_op_counts, make_predictor
from spikeplan.experiments.main_study.contenders import contenders, full_planner
from spikeplan.experiments.main_study.controls import gates_row
from spikeplan.experiments.main_study.grid import TASKS, Size
from spikeplan.worldmodel.tasks import make_world, task_of


def agreement_rows(task: str, *, episodes: int = 6, every: int = 5) -> list[AgreementRow]:
    """Every method and reference on the same plans, recorded by the dense planner on reported episodes."""
    bundle = load_bundle(task)
    plans = record_plans(bundle.model, episodes=episodes, seed=EPISODE_SEED, every=every)
    reference, factor = load_bundle(task).artifact.reference, 1.0
    rows = []
    others = ["int8"] if task not in TASKS else ["int8", "lif", *NARROW]
    methods = [*[(method, "zero") for method in others], *[("sigma_delta", a) for a in REFERENCES]]
    for method, on in methods:
        job = Job(
            task=task,
            method=method,
            role="agreement",
            planner=bundle.model.planner,
            episodes=1,
            count=1,
            reference=on,
            threshold=factor if method == "sigma_delta" else None,
        )
        predictor = make_predictor(job)
        ranked = agreement(predictor, plans, on, make_op_counts(job, predictor), elites=bundle.model.planner.elites)
        rows.append(AgreementRow(task=task, method=method, reference=on, headline=on == reference, **vars(ranked)))
    return rows


def lava_rows(
    task: str,
    out: Path,
    *,
    checkpoint: str | None = None,
    artifact_path: str | None = None,
    seed: int = EPISODE_SEED,
    recorded: int = 3,
) -> list[LavaReplayRow]:
    """`recorded` plans of one episode, replayed by the headline network in Lava: as it runs, and once more on the previous_step
    reference with a quarter of its thresholds, where every layer is busy and activations fall as well as rise, so that the
    comparison sees messages of both signs from all of them."""
    bundle = load_bundle(task, checkpoint=checkpoint, artifact=artifact_path)
    reference, factor = bundle.artifact.reference, 1.0
    plans = record_plans(bundle.model, episodes=1, seed=seed, every=-(-make_world(task).max_steps // recorded))
    rows = []
    for on, threshold in ((reference, factor), ("previous_step", factor / 4)):
        rows.append(
            run_lava_method(
                bundle.artifact.scaled(threshold),
                plans,
                task=task,
                threshold=threshold,
                reference=on,
                workdir=out / "lava" / f"{task}-{on}-{threshold:g}",
            )
        )
    return rows


def thresholds_row(task: str) -> ThresholdsRow:
    """The search that is written in the shipped artifact."""
    return ThresholdsRow.from_json({"task": task, **load_bundle(task).artifact.provenance["thresholds"]})


def layers_row(task: str) -> LayersRow:
    """The conversion's report that is written in the shipped artifact."""
    layers = load_bundle(task).artifact.provenance["layers"]["layers"]
    return LayersRow.from_json({"task": task, "layers": layers})


def guided_lava_rows(task: str, out: Path, *, episodes: int) -> list[LavaLoopRow]:
    """The policy's copies in Lava for whole episodes: the task's own planner where that is all that it does."""
    own = task_of(task).planner
    planner = own if isinstance(own, GuidedConfig) else GuidedConfig()
    folder = out / "lava" / task
    return [guided_episodes(bundle=load_bundle(task), planner=planner, episodes=episodes, folder=folder, progress=None)]


def film_job(task: str) -> Job:
    """The spiking method of the headline, on the first reported episode."""
    method = contenders(task).spiking
    return Job(task=task, method=method, role="film", planner=full_planner(task), episodes=1, count=1, threshold=1.0)


CHECKS: dict[str, Callable[[str, Path, Size], Sequence[Row]]] = {
    "agreement": lambda task, out, size: agreement_rows(task, episodes=min(6, size.episodes)),
    "lava": lambda task, out, size: lava_rows(task, out, recorded=size.lava_plans),
    "conversion": lambda task, out, size: [thresholds_row(task), layers_row(task)],
    "gates": lambda task, out, size: [gates_row(task, episodes=size.control_episodes, steps=size.control_steps)],
    "film": lambda task, out, size: [imagined_episode(film_job(task))],
    "guided-lava": lambda task, out, size: guided_lava_rows(task, out, episodes=size.lava_episodes),
}


def checks_of(task: str, size: Size) -> list[str]:
    """Names in CHECKS. A task that is planned with another's world model needs no second look at it."""
    if task_of(task).trained_on is not None:
        return ["guided-lava", "film"]
    return ["agreement", "lava", "conversion", *(["gates"] if task in TASKS else [])]


def run_check(kind: str, task: str, out: str, size: Size) -> Sequence[Row]:
    """One check by name: the form that travels to a worker process."""
    return CHECKS[kind](task, Path(out), size)
