"""A child interpreter that can be ended with everything it forked: session and process group of its own, log file.

The log is a file, so that no forgotten grandchild can hold our pipes open. Its temporary directory is its own, too, and goes
with it: Python's shared-memory manager leaves one behind whenever it is not ended politely.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from spikeplan.core.errors import UserError

POLL_S = 0.02
GRACE_S = 2.0  # between SIGTERM and SIGKILL: time to remove shared memory
LOG_LINES = 12
LONGEST_SCRATCH = 107 - len("/pymp-12345678/listener-12345678")  # bytes; a Unix socket's path holds 107
SEGMENT = "/dev/shm/psm_"


class LavaError(RuntimeError):
    """The worker crashed or ran out of time; the message ends with the tail of its log.

    >>> with contextlib.suppress(LavaError):
    ...     session.plan(latent, goal, seed=0)
    """


class Worker(subprocess.Popen[bytes]):
    """`scratch`: its temporary directory."""

    scratch: Path


def scratch_directory() -> Path:
    """In the user's own temporary directory, but in /tmp where the sockets that Python puts in it would get too long a path."""
    scratch = Path(tempfile.mkdtemp(prefix="spikeplan-"))
    if len(os.fsencode(scratch)) > LONGEST_SCRATCH:
        scratch.rmdir()
        scratch = Path(tempfile.mkdtemp(prefix="spikeplan-", dir="/tmp"))
    return scratch


def start(module: str, job: Path, log: Path, *, pass_fds: tuple[int, ...] = ()) -> Worker:
    """`python -m module job`, torch-free, one thread for BLAS; writes its process id beside the log."""
    root = str(Path(__file__).parents[2])  # where the package `spikeplan` lies: src/ of a checkout, or site-packages
    scratch = scratch_directory()
    environment = os.environ | {
        "TMPDIR": str(scratch),
        "PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")])),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    # -P: the directory we happen to be in must not shadow modules
    command = [sys.executable, "-P", "-m", module, str(job)]
    try:
        with log.open("wb") as output:
            worker = Worker(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
                pass_fds=pass_fds,
            )
    except OSError:
        scratch.rmdir()
        raise
    worker.scratch = scratch
    try:
        log.with_name("worker.pid").write_text(str(worker.pid))
    except BaseException:
        end(worker)
        raise
    return worker


def run(
    module: str,
    folder: Path,
    timeout_s: float,
    *,
    poll: Callable[[], None] = lambda: None,
    where: Callable[[], str] = lambda: "",
) -> None:
    """Run `module` on folder/job.json to its end; its log is folder/worker.log. `poll` is called while it runs, `where` says
    how far it came when it failed."""
    log, until = folder / "worker.log", time.monotonic() + timeout_s
    worker = start(module, folder / "job.json", log)
    late = False
    try:
        while not ended(worker.pid) and not late:
            late = time.monotonic() > until
            poll()
            time.sleep(POLL_S)
    finally:
        code = end(worker, at_once=late)
    said = tail(log)
    if late:
        raise LavaError(f"Lava worker: no result within {timeout_s:g} s{where()}; allow more time\n{said}")
    if code == 2:
        raise UserError(said.splitlines()[-1] if said else "Lava worker: bad input")
    if code != 0:
        raise LavaError(f"Lava worker: {how(code)}{where()}; its log {log} ends with\n{said}")


def check_timeout(timeout_s: float) -> None:
    if not 0 < timeout_s < float("inf"):
        raise UserError(f"timeout_s {timeout_s} must be > 0 and finite")


def ended(pid: int) -> bool:
    """Without reaping: while the leader is a zombie, its number, and so the group's, cannot be given away."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def end(worker: Worker, segments: Iterable[str] = (), *, at_once: bool = False) -> int:
    """End all processes of the child's group, politely first unless `at_once`; its exit code, when none is alive. Shared
    memory that they held, or that `segments` names, and their temporary directory are gone then: whoever was killed cannot
    have removed them."""
    held = {*segments, *shared_segments(worker.pid)}
    try:
        return _end(worker, (signal.SIGKILL,) if at_once else (signal.SIGTERM, signal.SIGKILL))
    finally:
        for path in held:
            Path(path).unlink(missing_ok=True)
        shutil.rmtree(worker.scratch, ignore_errors=True)


def _end(worker: Worker, signals: Iterable[signal.Signals]) -> int:
    for number in signals:
        until = time.monotonic() + GRACE_S
        while group_members(worker.pid):
            try:
                os.killpg(worker.pid, number)
            except ProcessLookupError:
                return worker.wait()
            if time.monotonic() > until:
                break
            time.sleep(POLL_S)
    return worker.wait()


def shared_segments(group: int) -> set[str]:
    """Files of Python's shared memory that a process group has mapped."""
    found = set()
    for pid in group_members(group):
        try:
            maps = Path(f"/proc/{pid}/maps").read_text()
        except OSError:
            continue
        found |= {line.split()[-1] for line in maps.splitlines() if SEGMENT in line and not line.endswith("(deleted)")}
    return found


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


def how(code: int) -> str:
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"


def tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-LOG_LINES:])
