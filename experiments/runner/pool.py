"""Run jobs on all cores, one thread each, with a progress bar; finished shards are kept and reused (resume)."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from spikeplan.core.errors import UserError
from spikeplan.evaluation.shard import KEY_LENGTH, Job, job_key, one_thread, run_job
from spikeplan.experiments.runner.output import write_json
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


def run_jobs(jobs: Sequence[Job], parts: Path, *, console: Console, workers: int | None = None) -> list[dict[str, Any]]:
    """Results in the order of `jobs`. Heavy jobs start first, so that no core waits at the end."""
    try:
        parts.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{parts}: cannot keep results there ({error}); choose another --out") from error
    paths = [parts / f"{job_key(job)}.json" for job in jobs]
    waiting = sorted((i for i in range(len(jobs)) if _finished(paths[i]) is None), key=lambda i: -jobs[i].weight)
    workers = workers or os.cpu_count() or 1
    with progress_bar(console) as bar:
        total = sum(jobs[i].weight for i in waiting) or 1.0
        task = bar.add_task("starting processes", total=None)  # torch is imported, which takes seconds
        shares = dict.fromkeys(waiting, 0.0)  # of each shard, how much is done

        def show(i: int, done: int, actions: int) -> None:
            if shares[i] == 1.0:  # its last words arrived after its result
                return
            shares[i] = min(done / actions, 0.999)
            name = f"{jobs[i].task} {jobs[i].method} {jobs[i].role}"
            said = name if done else f"{name}: loading, calibrating"
            bar.update(task, completed=of_all(), total=total, description=said)

        def of_all() -> float:
            return sum(share * jobs[i].weight for i, share in shares.items())

        for i, result in _results({i: jobs[i] for i in waiting}, workers, show):
            write_json(paths[i], result)
            shares[i] = 1.0
            bar.update(task, completed=of_all(), total=total)
        bar.update(task, completed=total, total=total)
    return [json.loads(path.read_text()) for path in paths]


def _results(
    jobs: dict[int, Job], workers: int, show: Callable[[int, int, int], None]
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Number and result of each job as it ends. One worker is this process: a new one would import torch again.
    `show(number, done, total)` is called in this process, with the actions of a running job."""
    if workers == 1:
        one_thread()
        for number, job in jobs.items():
            yield number, run_job(job, partial(show, number))
        return
    queue = multiprocessing.get_context("spawn").Queue()
    with worker_pool(workers, queue) as pool:
        running = {pool.submit(_run_job, number, job): number for number, job in jobs.items()}
        while running:
            done, _ = wait(running, timeout=LISTEN_S, return_when=FIRST_COMPLETED)
            while not queue.empty():
                show(*queue.get())
            for future in done:
                yield running.pop(future), future.result()


def _run_job(number: int, job: Job) -> dict[str, Any]:
    """In a worker: what the job says of its progress travels to the parent."""
    return run_job(job, lambda done, total: _reports.put((number, done, total)))


def remove_parts(parts: Path) -> None:
    """The shards of a whole run; whatever else lies there stays."""
    if not parts.is_dir():
        return
    for shard in parts.glob("*.json"):
        if len(shard.stem) == KEY_LENGTH:
            shard.unlink()
    if not any(parts.iterdir()):
        parts.rmdir()


def _finished(path: Path) -> dict[str, Any] | None:
    """A shard's result, or None where it has to be run: there is none, or it is damaged."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    whole = isinstance(found, dict) and {"job", "success", "op_counts", "weights_left", "seconds"} <= found.keys()
    return found if whole else None


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
    Of a stage's steps only every 50th and those with a success travel."""
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
    def report(stage: str, row: dict[str, Any]) -> None:
        if row["step"] % 50 == 0 or "success" in row:
            _reports.put((stage, row))

    function(*args, report)
