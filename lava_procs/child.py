"""A child interpreter that can be ended with everything it forked: session and process group of its own, log file.

The log is a file, so that no forgotten grandchild can hold our pipes open.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

POLL_S = 0.02
GRACE_S = 2.0  # between SIGTERM and SIGKILL: time to remove shared memory
LOG_LINES = 12
SEGMENT = "/dev/shm/psm_"


class LavaError(RuntimeError):
    """The worker crashed or ran out of time; the message ends with the tail of its log."""


def start(module: str, job: Path, log: Path, *, pass_fds: tuple[int, ...] = ()) -> subprocess.Popen[bytes]:
    """`python -m module job`, torch-free, one thread for BLAS; writes its process id beside the log."""
    root = str(Path(__file__).resolve().parent.parent)
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")])),
        "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1",
    }  # fmt: skip
    # -P: the directory we happen to be in must not shadow modules
    command = [sys.executable, "-P", "-m", module, str(job)]
    with log.open("wb") as output:
        worker = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment,
            start_new_session=True, pass_fds=pass_fds,
        )  # fmt: skip
    log.with_name("worker.pid").write_text(str(worker.pid))
    return worker


def ended(pid: int) -> bool:
    """Without reaping: while the leader is a zombie, its number, and so the group's, cannot be given away."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def end(worker: subprocess.Popen[bytes], segments: Iterable[str] = ()) -> int:
    """End all processes of the child's group, politely first; its exit code, when none is alive. Shared memory that they
    held, or that `segments` names, is gone then: whoever was killed cannot have removed it."""
    held = {*segments, *shared_segments(worker.pid)}
    try:
        return _end(worker)
    finally:
        for path in held:
            Path(path).unlink(missing_ok=True)


def _end(worker: subprocess.Popen[bytes]) -> int:
    for number in (signal.SIGTERM, signal.SIGKILL):
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
