"""Run jobs on all cores, one thread each, with a progress bar; finished shards are kept and reused (resume)."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from spikeplan.core.errors import UserError
from spikeplan.core.json_file import read_json
from spikeplan.evaluation.rows.shard_result import ShardResult
from spikeplan.evaluation.shard import KEY_LENGTH, Job, damage, job_key, one_thread, run_job
from spikeplan.experiments.runner.output import no_empty_folder, write_json
from spikeplan.experiments.runner.progress import progress_bar

LISTEN_S = 0.2  # between two looks at what workers report
_reports: Any = None  # in a worker: where its job reports to


def start_worker(queue: Any = None) -> None:
    """One thread, and gone when the parent is: a killed run leaves nothing behind that eats the cores. Ctrl-C is the
    parent's to answer. `queue`: where the parent listens."""
    global _reports
    _reports = queue
    one_thread()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def worker_pool(workers: int | None = None, queue: Any = None) -> Iterator[ProcessPoolExecutor]:
    """Spawned workers, one a core. A failed job or Ctrl-C ends the waiting and the running ones at once."""
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(
        workers or os.cpu_count() or 1,
        mp_context=context,
        initializer=start_worker,
        initargs=(queue,),
    )
    try:
        yield pool
    except BaseException:
        for child in multiprocessing.active_children():
            child.terminate()
        pool.shutdown(cancel_futures=True)
        raise
    pool.shutdown()


def run_jobs(jobs: Sequence[Job], parts: Path, *, console: Console, workers: int | None = None) -> list[ShardResult]:
    """Results in the order of `jobs`. Heavy jobs start first, so that no core waits at the end.

    Raises UserError where `parts` cannot be written, and where a plug-in ends the process that runs it.
    """
    try:
        parts.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{parts}: cannot keep results there ({error}); choose another --out") from error
    paths = [parts / f"{job_key(job)}.json" for job in jobs]
    known = {i: _finished(path, job) for i, (path, job) in enumerate(zip(paths, jobs, strict=True))}
    results = {i: result for i, result in known.items() if result is not None}
    waiting = sorted((i for i in range(len(jobs)) if i not in results), key=lambda i: -jobs[i].weight)
    workers = workers or os.cpu_count() or 1
    with no_empty_folder(parts), progress_bar(console) as bar:
        total = sum(jobs[i].weight for i in waiting) or 1.0
        task = bar.add_task("starting processes", total=None)  # torch is imported, which takes seconds
        shares = dict.fromkeys(waiting, 0.0)  # of each shard, how much is done

        def show(i: int, done: int, actions: int) -> None:
            if shares[i] == 1.0:  # a report that arrived after the result
                return
            shares[i] = min(done / actions, 0.999)
            name = f"{jobs[i].task} {jobs[i].method} {jobs[i].role}"
            label = name if done else f"{name}: loading, calibrating"
            bar.update(task, completed=of_all(), total=total, description=label)

        def of_all() -> float:
            return sum(share * jobs[i].weight for i, share in shares.items())

        for i, result in _results({i: jobs[i] for i in waiting}, workers, show):
            write_json(paths[i], result.to_json())
            results[i] = result
            shares[i] = 1.0
            bar.update(task, completed=of_all(), total=total)
        bar.update(task, completed=total, total=total)
    return [results[i] for i in range(len(jobs))]


def _results(
    jobs: dict[int, Job], workers: int, show: Callable[[int, int, int], None]
) -> Iterator[tuple[int, ShardResult]]:
    """Number and result of each job as it ends. One worker is this process: a new one would import torch again.
    `show(number, done, total)` is called in this process, with the actions of a running job."""
    if workers == 1:
        one_thread()
        for number, job in jobs.items():
            with _no_exit(job):
                result = run_job(job, partial(show, number))
            yield number, result
        return
    queue = multiprocessing.get_context("spawn").Queue()
    with worker_pool(workers, queue) as pool:
        running = {pool.submit(_run_job, number, job): number for number, job in jobs.items()}
        while running:
            done, _ = wait(running, timeout=LISTEN_S, return_when=FIRST_COMPLETED)
            while not queue.empty():
                show(*queue.get())
            for future in done:
                number = running[future]
                with _no_exit(jobs[number]):
                    result = _result_of(future, [jobs[n] for n in running.values()])
                del running[future]
                yield number, result


def _run_job(number: int, job: Job) -> ShardResult:
    """In a worker: the job's progress is sent to the parent."""
    return run_job(job, lambda done, total: _reports.put((number, done, total)))


def _result_of(future: Future[ShardResult], running: Sequence[Job]) -> ShardResult:
    """Raises UserError where a worker was ended from within or from outside, which breaks the whole pool."""
    try:
        return future.result()
    except BrokenProcessPool as error:
        names = ", ".join(dict.fromkeys(map(_name, running)))
        raise UserError(
            f"a worker process ended without a result while there was to plan: {names}; a plug-in must not end its process, "
            "and memory must suffice for one process a core"
        ) from error


@contextmanager
def _no_exit(job: Job) -> Iterator[None]:
    """A job that calls sys.exit must not end the run as if all were well. Signals, a class of their own, still do."""
    try:
        yield
    except SystemExit as error:
        if type(error) is not SystemExit:
            raise
        raise UserError(
            f"{_name(job)}: called sys.exit({error.code!r}) instead of planning; raise an error or return an action there"
        ) from error


def _name(job: Job) -> str:
    planner = "" if job.planner_name is None else f", planner {job.planner_name!r}"
    return f"task {job.task!r}, method {job.method!r}{planner}"


def remove_parts(parts: Path) -> None:
    """The shards of a whole run; whatever else lies there stays."""
    if not parts.is_dir():
        return
    for shard in parts.glob("*.json"):
        if len(shard.stem) == KEY_LENGTH:
            shard.unlink()
    if not any(parts.iterdir()):
        parts.rmdir()


def _finished(path: Path, job: Job) -> ShardResult | None:
    """A shard's result, or None where it has to be run: there is none, or it is damaged."""
    try:
        found = ShardResult.from_json(read_json(path))
    except (OSError, ValueError):
        return None
    return found if damage(found, job) is None else None


def run_each(
    function: Callable[..., Any], arguments: Sequence[tuple[Any, ...]], *, console: Console, label: str
) -> list[Any]:
    """`function(*args)` for each args in processes of their own, one thread each; results in order."""
    with progress_bar(console) as bar:
        task = bar.add_task(label, total=len(arguments))
        if (os.cpu_count() or 1) == 1:
            one_thread()
            found = []
            for args in arguments:
                found.append(function(*args))
                bar.advance(task)
            return found
        with worker_pool() as pool:
            futures = [pool.submit(function, *args) for args in arguments]
            for future in futures:
                future.add_done_callback(lambda _: bar.advance(task))
            return [future.result() for future in futures]


def run_reporting(
    function: Callable[..., None],
    arguments: Sequence[tuple[Any, ...]],
    report: Callable[[str, dict[str, Any]], None],
    *,
    workers: int | None = None,
) -> None:
    """`function(*args, report)` for each args in processes of their own; what they report (stage, row) arrives here.
    Of a stage's steps only every 50th and those with a success travel. One worker is this process."""
    if (workers or os.cpu_count() or 1) == 1:
        one_thread()
        for args in arguments:
            function(*args, partial(_told, report))
        return
    queue = multiprocessing.get_context("spawn").Queue()
    with worker_pool(workers, queue) as pool:
        running = {pool.submit(_reporting, function, args) for args in arguments}
        while running:
            done, running = wait(running, timeout=LISTEN_S)
            while not queue.empty():
                report(*queue.get())
            for future in done:
                future.result()


def _reporting(function: Callable[..., None], args: tuple[Any, ...]) -> None:
    function(*args, partial(_told, lambda stage, row: _reports.put((stage, row))))


def _told(report: Callable[[str, dict[str, Any]], None], stage: str, row: dict[str, Any]) -> None:
    if row["step"] % 50 == 0 or "success" in row:
        report(stage, row)
