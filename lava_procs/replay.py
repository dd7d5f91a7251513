"""Parent side of a Lava run: start the worker, watch it, and leave nothing behind (lava_procs/child.py)."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

from lava_procs import child
from lava_procs.chain import PRECISIONS, validate
from lava_procs.child import LavaError
from lava_procs.trace import Passes, Trace
from spec import artifact as artifact_format
from spec.errors import UserError


def replay(
    artifact_path: str | os.PathLike[str],
    passes: Passes,
    *,
    timeout_s: float,
    workdir: str | os.PathLike[str],
    precision: str = "fixed_pt",
    on_progress: Callable[[int, int], None] | None = None,
) -> Trace:
    """Run the passes through the Lava chain of an artifact. Blocks for about 1.5 s + 2 ms a pass.

    `workdir` receives job.json, passes.npz, trace.npz, worker.pid and worker.log; `on_progress(done, all)` is called
    in this thread. Bad input is a UserError, a crash or `timeout_s` without an answer a LavaError; in every case the
    worker's process group has ended when this returns.
    """
    if precision not in PRECISIONS:
        raise UserError(f"precision {precision!r} is unknown; use one of {', '.join(PRECISIONS)}")
    if timeout_s <= 0:
        raise UserError(f"timeout_s {timeout_s} must be > 0")
    validate(artifact_format.load(artifact_path), passes)
    folder = Path(workdir).resolve()
    trace = folder / "trace.npz"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for stale in (trace, folder / "progress"):
            stale.unlink(missing_ok=True)
        passes.write(folder / "passes.npz")
        job = {
            "artifact": str(Path(artifact_path).resolve()), "passes": str(folder / "passes.npz"), "trace": str(trace),
            "workdir": str(folder), "precision": precision, "parent": os.getpid(),
        }  # fmt: skip
        (folder / "job.json").write_text(json.dumps(job, indent=1))
    except OSError as error:
        raise UserError(f"{folder}: cannot write there ({error}); choose a writable directory") from error

    report = on_progress or (lambda done, total: None)
    _run_worker(folder, len(passes), timeout_s, report)
    result = Trace.read(trace)
    for scratch in folder.glob("rows_*.npy"):
        scratch.unlink()
    return result


def _run_worker(folder: Path, passes: int, timeout_s: float, report: Callable[[int, int], None]) -> None:
    log = folder / "worker.log"
    deadline = time.monotonic() + timeout_s
    worker = child.start("lava_procs.worker", folder / "job.json", log)
    timed_out = False
    try:
        seen = -1
        while not child.ended(worker.pid):
            if time.monotonic() > deadline:
                timed_out = True
                break
            done = _progress(folder)
            if done > seen:
                seen = done
                report(done, passes)
            time.sleep(child.POLL_S)
    finally:
        code = child.end(worker)
    said = child.tail(log)
    if timed_out:
        raise LavaError(
            f"Lava worker: no result within {timeout_s:g} s, stopped at pass {_progress(folder)} of {passes}; "
            f"allow more time\n{said}"
        )
    if code == 2:
        raise UserError(said.splitlines()[-1] if said else "Lava worker: bad input")
    if code != 0:
        raise LavaError(
            f"Lava worker: {child.how(code)} at pass {_progress(folder)} of {passes}; its log {log} ends with\n{said}"
        )
    report(passes, passes)


def _progress(folder: Path) -> int:
    try:
        return int((folder / "progress").read_text())
    except (OSError, ValueError):
        return 0
