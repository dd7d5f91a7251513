"""A job in parts is the job as a whole: resume, damage, failures, and workers that end with their parent."""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from spikeplan.core.errors import UserError
from spikeplan.evaluation.aggregate import group, method_row
from spikeplan.evaluation.methods import base
from spikeplan.evaluation.rows.shard_result import ShardResult
from spikeplan.evaluation.shard import job_key, run_job
from spikeplan.experiments.runner import pool, progress
from spikeplan.experiments.runner.output import write_json
from spikeplan.worldmodel.tasks import make_world


@pytest.mark.parametrize("method", ["int8", "random"])
def test_shards_are_the_whole(job: Any, method: str) -> None:
    whole = run_job(job(method))
    parts = [run_job(job(method, first=f, count=4)) for f in (0, 4)]
    assert whole.distance == parts[0].distance + parts[1].distance
    if method == "random":
        return
    jobs = [job(method, first=f, count=4) for f in (0, 4)]
    merged = group(parts, jobs)[0].op_counts
    alone = group([whole], [job(method)])[0].op_counts
    assert merged is not None and alone is not None and merged.rows("batched") == alone.rows("batched")


def test_another_planner_is_that_planner(job: Any) -> None:
    """`integer` is the sigma-delta network under integer_cem, so the two are one, but for the name; cem plans otherwise."""
    asked, own, plain = (
        run_job(job(method, with_planner=name))
        for method, name in (("sigma_delta", "integer_cem"), ("integer", None), ("sigma_delta", None))
    )
    assert asked.distance == own.distance != plain.distance
    counts = [one.op_counts.counts() for one in (asked, own, plain) if one.op_counts is not None]
    assert counts[0] == counts[1] != counts[2]
    jobs = [job("sigma_delta", with_planner="integer_cem"), job("sigma_delta")]
    runs = group([asked, plain], jobs)
    assert [method_row(run, None).planner_name for run in runs] == ["integer_cem", "cem"], "they are not merged"
    assert job_key(jobs[0]) != job_key(jobs[1])


@pytest.mark.parametrize(
    ("method", "planner", "said"),
    [
        ("dense", "integer_cem", "DensePredictor predicts in floating point"),
        ("oracle", "integer_cem", "TrueStatePredictor predicts in floating point"),
        (
            "dense",
            "annealing",
            "planner 'annealing' is unknown; use one of cem, cem_mad, direct, gradient, guided, integer_cem",
        ),
    ],
)
def test_a_planner_that_cannot_work_is_refused(job: Any, method: str, planner: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        run_job(job(method, with_planner=planner))


@pytest.fixture(scope="module")
def finished(job: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[ShardResult]]:
    """The folder of one finished shard, and its result."""
    folder = tmp_path_factory.mktemp("finished")
    return folder, pool.run_jobs([job("int8")], folder, console=Console(quiet=True), workers=1)


def test_finished_shards_are_not_run_again(
    job: Any, finished: tuple[Path, list[ShardResult]], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, first = finished

    def explode(*_: object) -> None:
        raise AssertionError("a finished shard was run again")

    monkeypatch.setattr(pool, "run_job", explode)
    assert [one.to_json() for one in pool.run_jobs([job("int8")], folder, console=Console(quiet=True), workers=1)] == [
        one.to_json() for one in first
    ]


def test_a_shard_says_how_far_it_is(job: Any) -> None:
    seen: list[tuple[int, int]] = []
    run_job(job("oracle"), lambda done, total: seen.append((done, total)))
    total = 8 * make_world("planar-reach").max_steps
    assert seen[0] == (0, total) and seen[-1] == (total, total) and seen == sorted(set(seen))
    assert seen[1][0] <= 8, "from its first action on"


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_study_shows_progress_before_its_first_shard_is_done(
    job: Any, workers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two shards: without reports from within, only 50 and 100 % could be told."""
    told: list[float] = []
    labels: list[str] = []
    update = progress.Bar.update

    def heard(bar: progress.Bar, *args: Any, **given: Any) -> None:
        told.extend([given["completed"] / given["total"]] if "completed" in given else [])
        labels.extend([given["description"]] if "description" in given else [])
        update(bar, *args, **given)

    monkeypatch.setattr(progress.Bar, "update", heard)
    monkeypatch.setattr(progress, "PATIENCE_S", 0.01)
    monkeypatch.setattr(progress, "EVERY_S", 0.02)
    base._calibration.cache_clear()  # of an earlier test in this process: then nothing is left to wait for
    where = Console(file=io.StringIO(), force_terminal=False, width=100)
    jobs = [job("int8", seed=seed) for seed in range(2)]
    found = pool.run_jobs(jobs, tmp_path, console=where, workers=workers)
    assert isinstance(where.file, io.StringIO)
    lines = where.file.getvalue().splitlines()
    assert lines and labels[0] == "planar-reach int8 headline: loading, calibrating"
    assert any(0 < share < 0.45 for share in told) and told == sorted(told) and told[-1] == 1
    assert [one.distance for one in found] == [run_job(one).distance for one in jobs]


def forget(**changed: object) -> Callable[[dict[str, Any]], None]:
    return lambda shard: shard.update(changed)


def of_counts(**changed: object) -> Callable[[dict[str, Any]], None]:
    return lambda shard: shard["op_counts"].update(changed)


@pytest.mark.parametrize(
    "change",
    [
        "",
        "[]",
        '{"job": 1',
        '{"job": {}}',
        "[" * 100_000,
        '{"job": ' + "[" * 400 + "]" * 400 + "}",
        b"\xff\xfe{}",
        forget(op_counts=None),
        forget(job={}),
        forget(success=[True] * 8),
        forget(success=7),
        forget(success=[7] * 8),
        forget(success=[1] * 7),
        forget(distance=[0.1]),
        forget(distance=[float("inf")] * 8),
        forget(seconds=float("nan")),
        forget(seconds=-1.0),
        forget(poses=[[[0.0]]]),
        forget(weights_left={"h1": "many"}),
        forget(weights_left={"h9": 3}),
        of_counts(actions=0),
        of_counts(actions=10**30),
        of_counts(method="lif"),
        of_counts(sequential_steps=0),
        of_counts(version=1),
        of_counts(counts=[["predictor", "h1", 0, 0, {"macs": -1}]]),
        of_counts(counts=[["predictor", "h1", 0, 0, {"imagined": 1}]]),
    ],
)
def test_a_damaged_shard_is_run_again(job: Any, change: Any, finished: tuple[Path, list[ShardResult]]) -> None:
    folder, (whole,) = finished
    shard = next(folder.glob("*.json"))
    text = shard.read_text()
    if callable(change):
        held = json.loads(text)
        change(held)
        change = json.dumps(held)
    shard.write_bytes(change if isinstance(change, bytes) else change.encode())
    (again,) = pool.run_jobs([job("int8")], folder, console=Console(quiet=True), workers=1)
    assert json.loads(shard.read_text()) == again.to_json()
    assert (again.success, again.distance) == (whole.success, whole.distance)


def test_a_folder_in_place_of_a_shard_is_named(job: Any, tmp_path: Path) -> None:
    (tmp_path / f"{job_key(job('random'))}.json").mkdir()
    with pytest.raises(OSError, match="is no regular file"):
        pool.run_jobs([job("random")], tmp_path, console=Console(quiet=True), workers=1)


def test_results_are_strict_json(job: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        write_json(tmp_path / "x.json", {"a": float("nan")})
    result = run_job(job("random"))
    assert ShardResult.from_json(json.loads(json.dumps(result.to_json(), allow_nan=False))) == result


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


def test_a_later_seed_counts_alone(job: Any) -> None:
    run = group([run_job(job("oracle", seed=3))], [job("oracle", seed=3)])[0]
    assert run.success_KN.shape == (1, 8)
