"""Pairing, resume, agreement, the Lava method on the shipped networks."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from spikeplan.core.errors import UserError
from spikeplan.core.ir import artifact as artifact_file
from spikeplan.evaluation.aggregate import group, method_row
from spikeplan.evaluation.bundle import load_bundle
from spikeplan.evaluation.intervals import paired, success_interval, wilson
from spikeplan.evaluation.iso_success import family_of
from spikeplan.evaluation.lava_replay import program_of, run_lava_method
from spikeplan.evaluation.methods.smaller import PRUNED
from spikeplan.evaluation.ranking import agreement
from spikeplan.evaluation.recorded_plans import record_plans
from spikeplan.evaluation.run_energy import front_rows
from spikeplan.evaluation.shard import EPISODE_SEED, Job, make_op_counts, make_predictor, run_job
from spikeplan.experiments.main_study.grid import DEMO, RESULTS, jobs_of, reduced_budgets
from spikeplan.experiments.runner import pool
from spikeplan.experiments.runner.output import write_json
from spikeplan.lava_procs import compare, replay
from spikeplan.worldmodel.int8 import Int8Predictor
from spikeplan.worldmodel.planning.get_cost import CostModel
from spikeplan.worldmodel.predictor import DensePredictor
from spikeplan.worldmodel.tasks import make_world

TASK = "planar-reach"


def job(method: str, **changes: object) -> Job:
    planner = load_bundle(TASK).model.planner.at(samples=16, iterations=2, horizon=4)
    base = Job(task=TASK, method=method, role="headline", planner=planner, episodes=8, count=8)
    return replace(base, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("method", ["int8", "random"])
def test_shards_are_the_whole(method: str) -> None:
    whole = run_job(job(method))
    parts = [run_job(job(method, first=f, count=4)) for f in (0, 4)]
    assert whole["distance"] == parts[0]["distance"] + parts[1]["distance"]
    if method == "random":
        return
    jobs = [job(method, first=f, count=4) for f in (0, 4)]
    merged = group(parts, jobs)[0].op_counts
    alone = group([whole], [job(method)])[0].op_counts
    assert merged is not None and alone is not None and merged.rows("batched") == alone.rows("batched")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    """The folder of one finished shard, and its result."""
    folder = tmp_path_factory.mktemp("finished")
    return folder, pool.run_jobs([job("random")], folder, console=Console(quiet=True), workers=1)


def test_finished_shards_are_not_run_again(
    finished: tuple[Path, list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, first = finished

    def explode(*_: object) -> None:
        raise AssertionError("a finished shard was run again")

    monkeypatch.setattr(pool, "run_job", explode)
    assert pool.run_jobs([job("random")], folder, console=Console(quiet=True), workers=1) == first


@pytest.mark.parametrize("damage", ["", "[]", '{"job": 1', '{"job": {}}'])
def test_a_damaged_shard_is_run_again(damage: str, finished: tuple[Path, list[dict[str, Any]]], tmp_path: Path) -> None:
    folder, whole = finished
    shard = next(folder.glob("*.json"))
    (tmp_path / shard.name).write_text(damage)
    again = pool.run_jobs([job("random")], tmp_path, console=Console(quiet=True), workers=1)
    assert json.loads((tmp_path / shard.name).read_text()) == again[0]
    assert again[0]["success"] == whole[0]["success"]


def test_op_counts_of_the_loop_is_exact() -> None:
    run = group([run_job(job("int8"))], [job("int8")])[0]
    row = method_row(run, None)
    model = load_bundle(TASK).model
    synapses = sum(linear.weight.numel() for linear in model.predictor.linears())
    predictor_macs = job("int8").planner.evaluations * synapses
    world = make_world(TASK)
    images = 1 + 1 / world.max_steps  # the goal is encoded once an episode
    assert row["per_action"]["macs"] == pytest.approx(predictor_macs + images * model.encoder.macs())
    assert run.op_counts is not None and run.op_counts.actions == 8 * world.max_steps
    assert row["equivalents"]["batched"] > row["per_action"]["macs"]


def test_agreement_separates_good_from_broken() -> None:
    """int8 ranks like dense; a sigma-delta network with absurd thresholds does not."""
    plans = record_plans(load_bundle(TASK).model, episodes=2, seed=11, every=10)
    good = job("int8")
    found = agreement(make_predictor(good), plans, "zero", make_op_counts(good, make_predictor(good)), elites=8)
    assert found["spearman"] > 0.95 and found["topk_overlap"] > 0.8 and found["latent_nmse"] < 0.05
    broken = job("sigma_delta", threshold=200.0)
    lost = agreement(make_predictor(broken), plans, "zero", make_op_counts(broken, make_predictor(broken)), elites=8)
    assert lost["spearman"] < 0.7 and lost["latent_nmse"] > 0.5
    assert lost["density"]["total"] < 0.2


@pytest.fixture(scope="module")
def short_plan():
    """One recorded plan, thinned to 6 candidates."""
    plans = record_plans(load_bundle(TASK).model, episodes=1, seed=EPISODE_SEED, every=20)
    thin = {"candidates_NISHA": plans.candidates_NISHA[:, :, :6], "latents_NISHD": plans.latents_NISHD[:, :, :6]}
    return replace(plans, **thin, cost_NIS=plans.cost_NIS[:, :, :6])


@pytest.mark.parametrize(
    "reference", ["zero", "previous_step", "previous_candidate", "mean_candidate", "previous_iteration"]
)
def test_lava_repeats_the_reference_on_every_reference(reference: str, short_plan, tmp_path: Path) -> None:
    found = run_lava_method(
        load_bundle(TASK).artifact, short_plan, reference=reference, workdir=tmp_path, timeout_s=600
    )
    assert found["values_compared"] > 50_000 and found["values_different"] == 0


def test_one_weight_bit_is_noticed(short_plan, tmp_path: Path) -> None:
    """The comparison fails when a single weight differs in its lowest bit."""
    artifact = load_bundle(TASK).artifact
    passes, golden = program_of(artifact, short_plan, reference="previous_step", iterations=1)
    hidden = artifact.layers[1]
    column = int(np.abs(golden.messages["code"]).sum(0).argmax())
    weight = hidden.weight.copy()  # type: ignore[union-attr]
    weight[0, column] ^= 1
    flipped = replace(artifact, layers=(artifact.layers[0], replace(hidden, weight=weight), *artifact.layers[2:]))
    path = artifact_file.save(flipped, tmp_path / "flipped.safetensors")
    assert compare(golden, replay(path, passes, timeout_s=600, workdir=tmp_path)).values_different > 0


def test_program_follows_the_batched_predictor(short_plan) -> None:
    """Passes one by one on a single instance give the latents of the batched predictor, on every reference."""
    artifact = load_bundle(TASK).artifact
    from spikeplan.evaluation.ranking import rerun
    from spikeplan.snn.delta_predictor import DeltaPredictor

    for reference in ("zero", "previous_step", "mean_candidate", "previous_iteration", "previous_candidate"):
        op_counts = make_op_counts(
            job("sigma_delta", reference=reference), make_predictor(job("sigma_delta", reference=reference))
        )
        batched = (
            rerun(DeltaPredictor(artifact), short_plan, reference, op_counts)[0, :2, :, -1] / artifact.scales["latent"]
        )
        _, trace = program_of(artifact, short_plan, reference=reference)
        start = (short_plan.latent_ND[0] / artifact.scales["latent"]).round().numpy()
        changes = trace.value.shape[0]
        horizon, samples = short_plan.candidates_NISHA.shape[3], 6
        means = {"mean_candidate": (1, 1), "previous_iteration": (1, 0)}.get(reference, (0, 0))
        row = 0
        for i in range(2):
            total = np.tile(start, (samples, 1))
            order = (
                short_plan.candidates_NISHA[0, i, :, 0, 0].argsort().tolist()
                if reference == "previous_candidate"
                else range(samples)
            )
            for _ in range(horizon):
                row += means[i]
                for s in order:
                    total[s] += trace.value[row]
                    row += 1
            np.testing.assert_array_equal(total, batched[i].double().round().numpy())
        assert row == changes


def test_get_cost_follows_the_planner_contract(short_plan) -> None:
    model = load_bundle(TASK).model
    world = make_world(TASK)
    episodes = world.sample(1, np.random.default_rng(EPISODE_SEED))
    info = {
        "image": world.render(episodes.start_NP, episodes.layout_NL),
        "goal": world.render(episodes.goal_NP, episodes.layout_NL),
    }
    candidates = short_plan.candidates_NISHA[:1, 0]
    cost_model = CostModel(model.encoder, DensePredictor(model.predictor))
    cost = cost_model.get_cost(info, candidates)
    np.testing.assert_allclose(cost.numpy(), short_plan.cost_NIS[:1, 0].numpy(), rtol=1e-3)
    # What the upstream solver sends: "pixels", every entry repeated over the samples, with and without a time axis.
    assert next(cost_model.parameters()).dtype == torch.float32
    s = candidates.shape[1]
    for time_axis in (False, True):
        images = {"pixels": torch.from_numpy(info["image"]), "goal": torch.from_numpy(info["goal"])}
        if time_axis:
            images = {k: torch.stack([torch.zeros_like(v), v], 1) for k, v in images.items()}
        sent = {k: v[:, None].expand(-1, s, *v.shape[1:]) for k, v in images.items()}
        assert torch.equal(cost_model.get_cost(sent, candidates), cost)
    with pytest.raises(UserError, match="no 'pixels' or 'image'"):
        cost_model.get_cost({"goal": info["goal"]}, candidates)


def test_a_spiking_networks_own_function_on_dense_hardware() -> None:
    """Same actions, same success; every MAC on one reading, only those of non-zero inputs on the other, no updates."""
    network = job("sigma_delta", reference="zero", threshold=0.5)
    run = group([run_job(network)], [network])[0]
    full, skip = run.method.readings(run)
    assert (full.job.method, skip.job.method) == ("sigma_delta/dense", "sigma_delta/skip")
    assert (full.success_KN == run.success_KN).all() and full.op_counts is not None and run.op_counts is not None
    rates = {r.job.method: method_row(r, None) for r in (run, full, skip)}
    of = {method: rate["per_action"] for method, rate in rates.items()}
    encoder = of["sigma_delta"]["macs"]
    spiking = sum(row.synops for row in run.op_counts.rows("interleaved") if row.phase == "predictor")
    assert of["sigma_delta/skip"]["macs"] == pytest.approx(encoder + spiking / run.op_counts.actions)
    planned = network.planner.evaluations * sum(m.weight.numel() for m in load_bundle(TASK).model.predictor.linears())
    assert of["sigma_delta/dense"]["macs"] == pytest.approx(encoder + planned)
    assert of["sigma_delta/skip"]["updates"] == of["sigma_delta/skip"]["state_restores"] == 0
    costs = {method: max(rate["equivalents"].values()) for method, rate in rates.items()}
    assert costs["sigma_delta/skip"] < min(
        costs["sigma_delta/dense"], rates["sigma_delta"]["equivalents"]["interleaved"]
    )
    dense_job = job("dense")
    dense = group([run_job(dense_job)], [dense_job])[0]
    found = {read.job.method: front_rows(read, dense, None)[0] for read in (full, skip)}
    assert "h100" in found["sigma_delta/dense"]["joules"] and found["sigma_delta/skip"]["joules"] == {}
    assert run.method.readings(replace(run, job=replace(network, reference="mean_candidate"))) == []


@pytest.mark.parametrize("method", PRUNED)
def test_a_pruned_network_is_charged_as_dense_and_without_its_zeros(method: str) -> None:
    """The same episodes twice: every MAC, and those of weights that int8 leaves above zero."""
    run = group([run_job(job(method))], [job(method)])[0]
    (skip,) = run.method.readings(run)
    assert (skip.job.method, family_of({"method": method}), family_of({"method": skip.job.method})) == (
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
    assert row["joules"] == {} and "h100" in front_rows(run, run, None)[0]["joules"]


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


@given(st.integers(0, 50), st.integers(1, 50))
@settings(max_examples=30)
def test_wilson_holds_the_share(successes: int, more: int) -> None:
    low, high = wilson(successes, successes + more)
    assert 0 <= low <= successes / (successes + more) <= high <= 1


def test_paired_interval_by_hand() -> None:
    """Differences 0, 1, 0, 1 over four episodes. Agresti and Min: b = 2.5, c = .5, N = 6: mean 2/6, variance
    3/6 - (2/6)^2 = .3889, half width 1.96 sqrt(.3889 / 6) = .4990."""
    low, high = paired(np.array([[0.0, 1, 1, 1]]), np.array([[0.0, 0, 1, 0]]))
    assert low == pytest.approx(1 / 3 - 0.4990, abs=1e-3) and high == pytest.approx(1 / 3 + 0.4990, abs=1e-3)


def test_no_discordant_pair_is_no_proof() -> None:
    """One loss in 100: Agresti-Min gives -.0373; a plain normal interval would stop at -.0296."""
    same, worse = np.ones((1, 100)), np.ones((1, 100))
    worse[0, 3] = 0.0
    assert paired(same, same)[0] == pytest.approx(-0.0192, abs=1e-3)
    assert paired(worse, same)[0] == pytest.approx(-0.0373, abs=1e-3)


def test_seeds_that_agree_do_not_narrow_the_interval() -> None:
    one = (np.random.default_rng(0).random((1, 200)) < 0.8).astype(float)
    alone, thrice = success_interval(one), success_interval(np.repeat(one, 3, 0))
    assert thrice == pytest.approx(alone, abs=2e-3)
    apart = (np.random.default_rng(1).random((3, 200)) < 0.8).astype(float)
    width = np.diff(success_interval(apart))[0]
    assert width < 0.7 * np.diff(alone)[0]


def test_results_are_strict_json(tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        write_json(tmp_path / "x.json", {"a": float("nan")})
    assert json.loads(json.dumps(run_job(job("random"))))["success"]


def running(pid: int | None) -> bool:
    """From /proc: two threads that wait for the same child leave `is_alive` wrong."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_failure_ends_the_other_jobs_at_once() -> None:
    began = time.monotonic()
    with pytest.raises(RuntimeError, match="stop"), pool.worker_pool(1) as workers:
        workers.submit(os.getpid).result()
        children = multiprocessing.active_children()
        waiting = [workers.submit(time.sleep, 600) for _ in range(3)]
        raise RuntimeError("stop")
    until = time.monotonic() + 120
    while any(running(child.pid) for child in children) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(running(child.pid) for child in children)
    assert all(future.done() for future in waiting), "none is still to run"
    assert time.monotonic() - began < 500, "600 s of sleep are not slept"


@pytest.mark.slow
def test_workers_die_with_their_parent(tmp_path: Path) -> None:
    """kill -9 of a run in the middle of its jobs: its worker processes are gone within seconds."""
    script = tmp_path / "run.py"
    script.write_text(
        "import time\nfrom concurrent.futures import ProcessPoolExecutor\nimport multiprocessing, os\n"
        "from spikeplan.experiments.runner.pool import start_worker\n"
        "if __name__ == '__main__':\n"
        "    context = multiprocessing.get_context('spawn')\n"
        "    pool = ProcessPoolExecutor(1, mp_context=context, initializer=start_worker)\n"
        "    print(pool.submit(os.getpid).result(), flush=True)\n"
        "    pool.submit(time.sleep, 600).result()\n"
    )
    root = Path(__file__).resolve().parents[2]
    run = subprocess.Popen(
        [sys.executable, str(script)],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root / "src")},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert run.stdout is not None
    worker = int(run.stdout.readline())
    run.kill()
    run.wait()
    run.stdout.close()
    deadline = time.monotonic() + 120
    while Path(f"/proc/{worker}").exists() and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not Path(f"/proc/{worker}").exists()


def test_random_doors_are_reported_beside() -> None:
    """Every headline method but LIF, no front; the shipped files are there."""
    jobs = jobs_of("two-room-random", RESULTS)
    assert {j.role for j in jobs} == {"headline", "admission"}
    assert {j.method for j in jobs if j.role == "headline"} == {"random", "oracle", "dense", "int8", "sigma_delta"}
    assert make_world("two-room-random").sample(4, np.random.default_rng(0)).layout_NL.std() > 0


def test_every_method_that_runs_the_encoder_pays_its_weights() -> None:
    """The same encoder costs the same bytes in a dense and in a sigma-delta op_counts."""
    bytes_of = {}
    for method in ("int8", "sigma_delta", "sigma_delta-64"):
        op_counts = group([run_job(job(method))], [job(method)])[0].op_counts
        assert op_counts is not None
        rows = op_counts.rows("interleaved" if op_counts.spiking else "batched")
        bytes_of[method] = sum(row.weight_bytes for row in rows if row.phase == "encoder")
    assert bytes_of["int8"] > 0 and len(set(bytes_of.values())) == 1


def test_a_later_seed_counts_alone() -> None:
    run = group([run_job(job("oracle", seed=3))], [job("oracle", seed=3)])[0]
    assert run.success_KN.shape == (1, 8)
