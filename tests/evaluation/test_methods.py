"""What each method is charged, how well it ranks, and which jobs a run plans."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from spikeplan.core.errors import UserError
from spikeplan.evaluation.aggregate import group, method_row
from spikeplan.evaluation.bundle import load_bundle
from spikeplan.evaluation.iso_success import family_of
from spikeplan.evaluation.methods.smaller import PRUNED
from spikeplan.evaluation.ranking import agreement
from spikeplan.evaluation.recorded_plans import record_plans
from spikeplan.evaluation.run_energy import front_rows
from spikeplan.evaluation.shard import job_key, make_op_counts, make_predictor, run_job
from spikeplan.experiments.main_study.grid import DEMO, RESULTS, jobs_of, only, reduced_budgets
from spikeplan.worldmodel.int8 import Int8Predictor
from spikeplan.worldmodel.tasks import make_world, task_of

TASK = "planar-reach"


def test_op_counts_of_the_loop_is_exact(job: Any) -> None:
    run = group([run_job(job("int8"))], [job("int8")])[0]
    row = method_row(run, None)
    model = load_bundle(TASK).model
    synapses = sum(linear.weight.numel() for linear in model.predictor.linears())
    predictor_macs = job("int8").planner.evaluations * synapses
    world = make_world(TASK)
    images = 1 + 1 / world.max_steps  # the goal is encoded once an episode
    assert (row.per_action or {})["macs"] == pytest.approx(predictor_macs + images * model.encoder.macs())
    assert run.op_counts is not None and run.op_counts.actions == 8 * world.max_steps
    assert (row.equivalents or {})["batched"] > (row.per_action or {})["macs"]


def test_agreement_separates_good_from_broken(job: Any) -> None:
    """int8 ranks like dense; a sigma-delta network with absurd thresholds does not."""
    plans = record_plans(load_bundle(TASK).model, episodes=2, seed=11, every=10)
    good = job("int8")
    found = agreement(make_predictor(good), plans, "zero", make_op_counts(good, make_predictor(good)), elites=8)
    assert found.spearman > 0.95 and found.topk_overlap > 0.8 and found.latent_nmse < 0.05
    broken = job("sigma_delta", threshold=200.0)
    lost = agreement(make_predictor(broken), plans, "zero", make_op_counts(broken, make_predictor(broken)), elites=8)
    assert lost.spearman < 0.7 and lost.latent_nmse > 0.5
    assert lost.density is not None and lost.density.total < 0.2


def test_a_spiking_networks_own_function_on_dense_hardware(job: Any) -> None:
    """Same actions, same success; every MAC on one reading, only those of non-zero inputs on the other, no updates."""
    network = job("sigma_delta", reference="zero", threshold=0.5)
    run = group([run_job(network)], [network])[0]
    full, skip = run.method.readings(run)
    assert (full.job.method, skip.job.method) == ("sigma_delta/dense", "sigma_delta/skip")
    assert (full.success_KN == run.success_KN).all() and full.op_counts is not None and run.op_counts is not None
    rates = {r.job.method: method_row(r, None) for r in (run, full, skip)}
    of = {method: rate.per_action or {} for method, rate in rates.items()}
    encoder = of["sigma_delta"]["macs"]
    spiking = sum(row.synops for row in run.op_counts.rows("interleaved") if row.phase == "predictor")
    assert of["sigma_delta/skip"]["macs"] == pytest.approx(encoder + spiking / run.op_counts.actions)
    planned = network.planner.evaluations * sum(m.weight.numel() for m in load_bundle(TASK).model.predictor.linears())
    assert of["sigma_delta/dense"]["macs"] == pytest.approx(encoder + planned)
    assert of["sigma_delta/skip"]["updates"] == of["sigma_delta/skip"]["state_restores"] == 0
    costs = {method: max((rate.equivalents or {}).values()) for method, rate in rates.items()}
    assert costs["sigma_delta/skip"] < min(
        costs["sigma_delta/dense"], (rates["sigma_delta"].equivalents or {})["interleaved"]
    )
    dense_job = job("dense")
    dense = group([run_job(dense_job)], [dense_job])[0]
    found = {read.job.method: front_rows(read, dense, None)[0] for read in (full, skip)}
    assert "h100" in found["sigma_delta/dense"].joules and found["sigma_delta/skip"].joules == {}
    assert run.method.readings(replace(run, job=replace(network, reference="mean_candidate"))) == []


@pytest.mark.parametrize("method", PRUNED)
def test_a_pruned_network_is_charged_as_dense_and_without_its_zeros(job: Any, method: str) -> None:
    """The same episodes twice: every MAC, and those of weights that int8 leaves above zero."""
    run = group([run_job(job(method))], [job(method)])[0]
    (skip,) = run.method.readings(run)
    assert (skip.job.method, family_of(method), family_of(skip.job.method)) == (
        f"{method}/skip",
        "dense",
        "zero_skipping",
    )
    assert (skip.success_KN == run.success_KN).all() and skip.op_counts is not None and run.op_counts is not None
    weights = [m.weight for m in load_bundle(TASK).narrow(method).linears()]
    percent = int(method.removeprefix("pruned-"))
    assert sum(int((w == 0).sum()) for w in weights) == round(percent / 100 * sum(w.numel() for w in weights))
    shapes = [m.weight.shape for m in load_bundle(TASK).model.predictor.linears()]
    assert [w.shape for w in weights] == shapes, "the full network's shape"
    predictor = make_predictor(job(method))
    assert isinstance(predictor, Int8Predictor)
    left = [int((w != 0).sum()) for w in predictor.weight]
    predictions = job(method).planner.evaluations * run.op_counts.actions
    full, few = (
        [row for row in op_counts.rows("batched") if row.phase == "predictor"]
        for op_counts in (run.op_counts, skip.op_counts)
    )
    assert sum(row.macs for row in full) == predictions * sum(w.numel() for w in weights)
    assert sum(row.macs for row in few) == predictions * sum(left)
    assert sum(left) <= (1 - percent / 100) * sum(w.numel() for w in weights) + 1
    assert {row.layer: row.weight_bytes for row in few} == dict(zip(("h1", "h2", "h3"), left, strict=True))
    others = [
        [row for row in op_counts.rows("batched") if row.phase != "predictor"]
        for op_counts in (run.op_counts, skip.op_counts)
    ]
    assert [replace(row, method="") for row in others[0]] == [replace(row, method="") for row in others[1]]
    (row,) = front_rows(skip, run, None)
    assert row.joules == {} and "h100" in front_rows(run, run, None)[0].joules


def test_pruned_methods_are_in_the_full_run_alone() -> None:
    planned = {(j.method, j.planner.label) for j in jobs_of(TASK, RESULTS) if j.method in PRUNED}
    assert len(planned) == 4 * len(PRUNED) and not any(j.method in PRUNED for j in jobs_of(TASK, DEMO))
    assert {j.role for j in jobs_of(TASK, RESULTS) if j.method in PRUNED} == {"front"}


def test_every_role_is_planned() -> None:
    jobs = jobs_of(TASK, RESULTS)
    assert {j.method for j in jobs if j.role == "headline"} == {
        "random",
        "oracle",
        "dense",
        "int8",
        "sigma_delta",
        "lif",
    }
    headline = [j for j in jobs if j.role == "headline" and j.method == "dense"]
    assert sum(j.count for j in headline) == 900 and {j.seed for j in headline} == {0, 1, 2}
    full = load_bundle(TASK).model.planner
    assert all(b.evaluations <= 0.05 * full.evaluations * 1.05 for b in reduced_budgets(full))


def test_thresholds_scale_but_never_below_a_message() -> None:
    artifact = load_bundle(TASK).artifact
    tiny = artifact.scaled(1e-6)
    assert all(layer.threshold_lsb == 1 << layer.shift for layer in tiny.layers[:-1])
    for factor in (0.0, -1.0, float("nan"), 1e9):
        with pytest.raises(UserError, match="threshold factor"):
            artifact.scaled(factor)


def test_random_doors_are_reported_beside() -> None:
    """Every headline method but LIF, no front; the shipped files are there."""
    jobs = jobs_of("two-room-random", RESULTS)
    assert {j.role for j in jobs} == {"headline", "admission"}
    assert {j.method for j in jobs if j.role == "headline"} == {"random", "oracle", "dense", "int8", "sigma_delta"}
    assert make_world("two-room-random").sample(4, np.random.default_rng(0)).layout_NL.std() > 0


def test_every_method_that_runs_the_encoder_pays_its_weights(job: Any) -> None:
    """The same encoder costs the same bytes in the counts of a dense and of a sigma-delta method."""
    bytes_of = {}
    for method in ("int8", "sigma_delta", "sigma_delta-64"):
        op_counts = group([run_job(job(method))], [job(method)])[0].op_counts
        assert op_counts is not None
        rows = op_counts.rows("interleaved" if op_counts.spiking else "batched")
        bytes_of[method] = sum(row.weight_bytes for row in rows if row.phase == "encoder")
    assert bytes_of["int8"] > 0 and len(set(bytes_of.values())) == 1


def test_a_study_of_one_task_plans_what_the_whole_study_plans_for_it() -> None:
    for task in (*RESULTS.tasks, *RESULTS.extra_tasks):
        alone = only(RESULTS, task)
        assert (*alone.tasks, *alone.extra_tasks) == (task,)
        assert jobs_of(task, alone) == jobs_of(task, RESULTS)
    with pytest.raises(UserError, match="task 'moon' is not in the study; use one of keep-out, two-room, planar-reach"):
        only(RESULTS, "moon")


def test_a_task_that_needs_its_planner_is_planned_with_it() -> None:
    jobs = jobs_of("keep-out", DEMO)
    headline = {j.method for j in jobs if j.role == "headline"}
    assert headline == {"random", "oracle", "guided", "guided-int8", "guided-sigma_delta"}
    own, searches = task_of("keep-out").planner, load_bundle("keep-out").model.planner
    for size in (DEMO, RESULTS):
        planners = {(j.method, j.planner) for j in jobs_of("keep-out", size) if j.role == "headline"}
        assert planners == {(method, searches if method == "oracle" else own) for method in headline}
    assert {j.method for j in jobs if j.role == "admission"} == {"dense", "policy"}
    lesser = [j.planner.evaluations for j in jobs if j.role == "admission"]
    assert max(lesser) <= 0.1 * load_bundle("keep-out").model.planner.evaluations


def test_a_shard_may_be_shared_by_studies_whatever_it_is_for() -> None:
    job = jobs_of(TASK, DEMO)[-1]
    assert job_key(replace(job, role="other")) == job_key(job) != job_key(replace(job, seed=7))
