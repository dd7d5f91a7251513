"""What is measured per task beside the episodes: ranking agreement and density per axis, the Lava replay, gates."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from spikeplan.core.counts.ledger import AXES
from spikeplan.evaluation.bundle import NARROW_ARMS, chosen_of, load_bundle
from spikeplan.evaluation.lava_replay import run_lava_arm
from spikeplan.evaluation.ranking import agreement
from spikeplan.evaluation.recorded_plans import record_plans
from spikeplan.evaluation.shard import EPISODE_SEED, Job, make_ledger, make_predictor, scale_thresholds
from spikeplan.experiments.main_study.controls import gates_row
from spikeplan.experiments.main_study.grid import TASKS, Size


def agreement_rows(task: str, *, episodes: int = 6, every: int = 5) -> list[dict[str, Any]]:
    """Every arm and axis on the same plans, recorded by the dense planner on reported episodes."""
    bundle = load_bundle(task)
    plans = record_plans(bundle.model, episodes=episodes, seed=EPISODE_SEED, every=every)
    axis, factor = chosen_of(task)
    rows = []
    others = ["int8"] if task not in TASKS else ["int8", "lif", *NARROW_ARMS]
    arms = [*[(arm, "none") for arm in others], *[("delta", a) for a in AXES]]
    for arm, on in arms:
        job = Job(task=task, arm=arm, role="agreement", planner=bundle.model.planner, episodes=1, count=1, axis=on,
                  threshold=factor if arm == "delta" else None)  # fmt: skip
        predictor = make_predictor(job)
        found = agreement(predictor, plans, on, make_ledger(job, predictor), elites=bundle.model.planner.elites)
        rows.append({"kind": "agreement", "task": task, "arm": arm, "axis": on, "headline": on == axis, **found})
    return rows


def lava_rows(
    task: str, out: Path, *, checkpoint: str | None = None, artifact_path: str | None = None, seed: int = EPISODE_SEED
) -> list[dict[str, Any]]:
    """Recorded plans of the headline network, replayed in Lava: as it runs, and once more on the rollout axis with a
    quarter of its thresholds, where every layer is busy and activations fall as well as rise, so that the comparison
    sees messages of both signs from all of them."""
    bundle = load_bundle(task, checkpoint=checkpoint, artifact=artifact_path)
    axis, factor = chosen_of(task, checkpoint=checkpoint, artifact=artifact_path)
    plans = record_plans(bundle.model, episodes=1, seed=seed, every=bundle.model.planner.horizon)
    rows = []
    for on, threshold in ((axis, factor), ("rollout", factor / 4)):
        began = time.monotonic()
        artifact = scale_thresholds(bundle.artifact, threshold)
        found = run_lava_arm(artifact, plans, axis=on, workdir=out / "lava" / f"{task}-{on}-{threshold:g}")
        rows.append(
            {"kind": "lava", "task": task, "threshold": threshold, "seconds": time.monotonic() - began, **found}
        )
    return rows


def thresholds_row(task: str) -> dict[str, Any]:
    return {"kind": "thresholds", "task": task, **load_bundle(task).artifact.provenance["thresholds"]}


def layers_row(task: str) -> dict[str, Any]:
    return {"kind": "layers", "task": task, "layers": load_bundle(task).artifact.provenance["layers"]["layers"]}


CHECKS: dict[str, Callable[[str, Path, Size], list[dict[str, Any]]]] = {
    "agreement": lambda task, out, size: agreement_rows(task, episodes=min(6, size.episodes)),
    "lava": lambda task, out, size: lava_rows(task, out),
    "conversion": lambda task, out, size: [thresholds_row(task), layers_row(task)],
    "gates": lambda task, out, size: [gates_row(task, episodes=size.control_episodes)],
}


def run_check(kind: str, task: str, out: str, size: Size) -> list[dict[str, Any]]:
    """One check by name: the form that travels to a worker process."""
    return CHECKS[kind](task, Path(out), size)
