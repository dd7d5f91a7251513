"""Parent side of a Lava run: start the worker, watch it, and leave nothing behind.

The worker gets a session and process group of its own, so that all of Lava's forks can be ended together, and writes
to a log file, so that no forgotten child can hold our pipes open.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from lava_procs.chain import PRECISIONS, validate
from lava_procs.trace import Passes, Trace
from spec import artifact as artifact_format
from spec.errors import UserError

POLL_S = 0.02
GRACE_S = 2.0  # between SIGTERM and SIGKILL: time to remove shared memory
LOG_LINES = 12


class LavaError(RuntimeError):
    """The worker crashed or ran out of time; the message ends with the tail of its log."""


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
    root = str(Path(__file__).resolve().parent.parent)
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")])),
        "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1",
    }  # fmt: skip
    # -P: the directory we happen to be in must not shadow modules
    command = [sys.executable, "-P", "-m", "lava_procs.worker", str(folder / "job.json")]
    log = folder / "worker.log"
    deadline = time.monotonic() + timeout_s
    with log.open("wb") as output:
        worker = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment,
            start_new_session=True,
        )  # fmt: skip
    timed_out = False
    try:
        (folder / "worker.pid").write_text(str(worker.pid))
        seen = -1
        while not _ended(worker.pid):
            if time.monotonic() > deadline:
                timed_out = True
                break
            done = _progress(folder)
            if done > seen:
                seen = done
                report(done, passes)
            time.sleep(POLL_S)
    finally:
        _end_group(worker.pid)
        code = worker.wait()
    if timed_out:
        raise LavaError(
            f"Lava worker: no result within {timeout_s:g} s, stopped at pass {_progress(folder)} of {passes}; "
            f"allow more time\n{_tail(log)}"
        )
    if code == 2:
        raise UserError(_tail(log).splitlines()[-1] if _tail(log) else "Lava worker: bad input")
    if code != 0:
        how = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
        raise LavaError(
            f"Lava worker: {how} at pass {_progress(folder)} of {passes}; its log {log} ends with\n{_tail(log)}"
        )
    report(passes, passes)


def _ended(pid: int) -> bool:
    """Without reaping: while the leader is a zombie, its number, and so the group's, cannot be given away."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _end_group(group: int) -> None:
    """End all processes of the group, politely first; returns when none is alive."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        until = time.monotonic() + GRACE_S
        while group_members(group):
            try:
                os.killpg(group, number)
            except ProcessLookupError:
                return
            if time.monotonic() > until:
                break
            time.sleep(POLL_S)


def group_members(group: int) -> list[int]:
    """Live processes of a process group, zombies left out. From /proc: Lava's processes need Linux or close to it."""
    members = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state, _, found = (entry / "stat").read_text().rpartition(")")[2].split()[:3]
            except (OSError, ValueError):
                continue
            if int(found) == group and state != "Z":
                members.append(int(entry.name))
    return members


def _progress(folder: Path) -> int:
    try:
        return int((folder / "progress").read_text())
    except (OSError, ValueError):
        return 0


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-LOG_LINES:])
