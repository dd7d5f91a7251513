"""A planning loop in Lava that stays up for many plans (contract LavaSession).

    with LavaSession.open(artifact, plan, timeout_s=60, workdir=folder) as session:
        action, trace = session.plan(latent_int, goal_int, seed)

The loop runs in a fresh, torch-free interpreter with a process group of its own. A child that crashes, hangs or is killed
makes `plan` raise a LavaError within the timeout; after that, and after `close`, no process of it is left.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import socket
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.errors import UserError
from spikeplan.core.fixed_point import STATE_BITS, limit
from spikeplan.core.ir import artifact as artifact_format
from spikeplan.core.noise import MASK
from spikeplan.core.planning import PlanParams
from spikeplan.lava_procs import child
from spikeplan.lava_procs.chain import PRECISIONS
from spikeplan.lava_procs.child import LavaError
from spikeplan.lava_procs.fused import FusedNetwork
from spikeplan.lava_procs.loop import make_files, validate
from spikeplan.lava_procs.plan_worker import DONE, PLAN, READY
from spikeplan.lava_procs.planning import LAYOUTS


@dataclass(frozen=True)
class PlanRecord:
    """Everything one plan computed: cost_IS, elite_IS (bool), mean_IVA, spread_IVA, path_IHSD (latents after each
    step), messages_IL (sent by each layer), saturated_I; `seconds` of the plan without compilation."""

    cost_IS: NDArray[Any]
    elite_IS: NDArray[np.bool_]
    mean_IVA: NDArray[Any]
    spread_IVA: NDArray[Any]
    path_IHSD: NDArray[Any]
    messages_IL: NDArray[np.int64]
    saturated_I: NDArray[np.int64]
    seconds: float


def take(folder: Path) -> IO[str]:
    """An open lock file: two sessions would write through each other's files. It goes with the process that holds it."""
    lock = (folder / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise UserError(f"{folder}: another Lava session works there; choose another directory") from None
    return lock


class LavaSession:
    """The whole planning loop as Lava processes, in a child process that stays open for many plans.

    Latents and actions are integers: a latent LSB is `artifact.scales["latent"]`. Use `open`, not the constructor.

    >>> session = LavaSession.open("net.safetensors", plan_params(...), timeout_s=60, workdir="runs/lava")
    >>> action, record = session.plan(latent, goal, seed=7, fresh=True)
    >>> session.close()
    """

    def __init__(
        self,
        worker: child.Worker,
        line: socket.socket,
        plan: PlanParams,
        paths: dict[str, str],
        log: Path,
        timeout_s: float,
        lock: IO[str],
    ) -> None:
        self.worker, self.line, self.params, self.log, self.timeout_s = worker, line, plan, log, timeout_s
        self.lock = lock
        self.words = np.load(paths["in"], mmap_mode="r+")
        self.files = {name: np.load(path, mmap_mode="r") for name, path in paths.items() if name != "in"}
        self.segments: set[str] = set()
        self.plans = 0
        self.closed = False

    @classmethod
    def open(
        cls,
        artifact_path: str | os.PathLike[str],
        plan: PlanParams,
        *,
        timeout_s: float,
        workdir: str | os.PathLike[str],
        reference: str = "zero",
        precision: str = "fixed_pt",
        layout: str = "fused",
    ) -> Self:
        """Start and compile the loop; blocks until it is ready, about two seconds.

        Args:
            artifact_path: file of a sigma-delta network.
            plan: settings of the integer planner, from `plan_params`.
            timeout_s: seconds for the start, and for every plan.
            workdir: receives the files that both sides map, and worker.log; one session at a time.
            reference: what a graded spike is a change of, "zero" or "previous_step".
            precision: "fixed_pt" is bit-accurate for Loihi 2; "floating_pt" is for comparison.
            layout: "fused" or "stepwise", see lava_procs/loop.py.

        Raises UserError for bad input, and LavaError where the child crashes or does not answer in time.
        """
        if precision not in PRECISIONS:
            raise UserError(f"precision {precision!r} is unknown; use one of {', '.join(PRECISIONS)}")
        if layout not in LAYOUTS:
            raise UserError(f"layout {layout!r} is unknown; use one of {', '.join(LAYOUTS)}")
        child.check_timeout(timeout_s)
        artifact = artifact_format.load(artifact_path)
        validate(artifact, plan)
        FusedNetwork(
            artifact, samples=1, reference=reference, fixed=precision == "fixed_pt"
        )  # refuses here what would not be exact there
        folder = Path(workdir).resolve()
        ours, theirs = socket.socketpair()
        log, lock = folder / "worker.log", None
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = take(folder)
            paths = make_files(plan, len(artifact.layers), folder, fixed=precision == "fixed_pt")
            job = {
                "artifact": str(Path(artifact_path).resolve()),
                "plan": asdict(plan),
                "reference": reference,
                "precision": precision,
                "layout": layout,
                "paths": paths,
                "socket": theirs.fileno(),
                "parent": os.getpid(),
            }
            (folder / "job.json").write_text(json.dumps(job, indent=1))
            worker = child.start(
                "spikeplan.lava_procs.plan_worker", folder / "job.json", log, pass_fds=(theirs.fileno(),)
            )
        except BaseException as error:
            ours.close()
            if lock is not None:
                lock.close()
            if not isinstance(error, OSError):
                raise
            raise UserError(f"{folder}: cannot write there ({error}); choose a writable directory") from error
        finally:
            theirs.close()
        session = cls(worker, ours, plan, paths, log, timeout_s, lock)
        try:
            session._expect(READY, "start")
            session.segments = child.shared_segments(worker.pid)
        except BaseException:  # Ctrl-C, too: nobody holds the session yet
            session.close(at_once=True)
            raise
        return session

    def plan(
        self, latent_int: NDArray[np.int64], goal_int: NDArray[np.int64], seed: int, *, fresh: bool = False
    ) -> tuple[NDArray[Any], PlanRecord]:
        """One plan, from latent and goal (D,) in latent LSB to an action (A,) in plan LSB, 2^action_shift action LSB.

        Args:
            seed: a 24-bit whole number, from which the noise of all candidates is made.
            fresh: an episode begins, so there is no warm start.

        Raises UserError for bad input, and LavaError for a crash, no answer in time, or a closed session.
        """
        if self.closed:
            raise LavaError("the Lava session is closed; open another")
        d = self.params.latent_dim
        for name, vector in (("latent", latent_int), ("goal", goal_int)):
            found = np.asarray(vector)
            whole = found.shape == (d,) and found.dtype.kind in "iu"
            if not whole or max(int(found.max()), -int(found.min())) > limit(STATE_BITS):
                raise UserError(
                    f"plan: {name} of shape {found.shape} and type {found.dtype}; expected ({d},) {STATE_BITS}-bit integers"
                )
        if not isinstance(seed, int | np.integer) or not 0 <= seed <= MASK:
            raise UserError(f"plan: seed {seed!r} must be a 24-bit whole number")
        began = time.monotonic()
        self.words[:] = np.concatenate([[seed, int(fresh)], latent_int, goal_int])
        with suppress(OSError):  # the child is gone: reading says so, too
            self.line.sendall(PLAN)
        self._expect(DONE, f"plan {self.plans + 1}")
        self.plans += 1
        if int(self.files["done"][0]) != self.plans:
            self.close()
            raise LavaError(f"Lava session: plan {self.plans} left no record; its log is {self.log}")
        record = self._record(time.monotonic() - began)
        return record.mean_IVA[-1, 0], record

    def _record(self, seconds: float) -> PlanRecord:
        found = {name: np.array(file) for name, file in self.files.items()}
        return PlanRecord(
            cost_IS=found["cost"],
            elite_IS=found["elite"] > 0,
            mean_IVA=found["fit"][:, 0],
            spread_IVA=found["fit"][:, 1],
            path_IHSD=found["path"],
            messages_IL=found["counts"][:, :-1],
            saturated_I=found["counts"][:, -1],
            seconds=seconds,
        )

    def _expect(self, answer: bytes, what: str) -> None:
        """Wait for one byte, or end the child and say why. Lava's processes inherit the socket, so that a killed worker does
        not end the stream: it is watched, too."""
        until = time.monotonic() + self.timeout_s
        while not select.select([self.line], [], [], child.POLL_S)[0] and not child.ended(self.worker.pid):
            if time.monotonic() > until:
                self.close(at_once=True)
                raise LavaError(
                    f"Lava session: no answer to {what} within {self.timeout_s:g} s\n{child.tail(self.log)}"
                )
        self.line.setblocking(False)
        try:
            got = self.line.recv(1)
        except OSError:
            got = b""
        self.line.setblocking(True)
        if got != answer:
            code = self.close()
            said = child.tail(self.log)
            if code == 2:
                raise UserError(said.splitlines()[-1] if said else "Lava session: bad input")
            raise LavaError(f"Lava session: {child.how(code)} at {what}; its log {self.log} ends with\n{said}")

    def close(self, *, at_once: bool = False) -> int:
        """End the child and all it forked, politely unless `at_once`; its exit code. Harmless when closed already."""
        if not self.closed:
            self.closed = True
            self.line.close()
            until = time.monotonic() + child.GRACE_S
            while not at_once and not child.ended(self.worker.pid) and time.monotonic() < until:
                time.sleep(child.POLL_S)
            self.code = child.end(self.worker, self.segments, at_once=at_once)
            self.lock.close()
        return self.code

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
