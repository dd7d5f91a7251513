"""A Lava graph that stays up for many plans, in a child process: what LavaSession and GuidedSession have in common.

The graph runs in a fresh, torch-free interpreter with a process group of its own. A child that crashes, hangs or is killed
makes a plan raise a LavaError within the timeout; after that, and after `close`, no process of it is left. Both sides map the
files of a directory: `in` is the host's, whole numbers; all others are the graph's, and `done` counts its plans.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.errors import UserError
from spikeplan.core.fixed_point import STATE_BITS, limit
from spikeplan.core.noise import MASK
from spikeplan.lava_procs import child
from spikeplan.lava_procs.child import LavaError
from spikeplan.lava_procs.serve import DONE, PLAN, READY


def take(folder: Path) -> IO[str]:
    """An open lock file: two sessions would write through each other's files. It goes with the process that holds it."""
    lock = (folder / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise UserError(f"{folder}: another Lava session works there; choose another directory") from None
    return lock


def check_words(name: str, values: NDArray[np.int64], shape: tuple[int, ...]) -> None:
    """Refuse what is not of this shape, not whole, or beyond the width of a state."""
    found = np.asarray(values)
    whole = found.shape == shape and found.dtype.kind in "iu"
    if not whole or (found.size and max(int(found.max()), -int(found.min())) > limit(STATE_BITS)):
        raise UserError(
            f"plan: {name} of shape {found.shape} and type {found.dtype}; expected {shape} {STATE_BITS}-bit integers"
        )


def check_seed(seed: int) -> None:
    if not isinstance(seed, int | np.integer) or not 0 <= seed <= MASK:
        raise UserError(f"plan: seed {seed!r} must be a 24-bit whole number")


@dataclass(frozen=True, kw_only=True)
class Started:
    """A child that is starting: its process, our end of the socket, the files both map, its log, and our lock."""

    worker: child.Worker
    line: socket.socket
    paths: dict[str, str]
    log: Path
    lock: IO[str]


def start(
    module: str,
    job: dict[str, Any],
    workdir: str | os.PathLike[str],
    make_files: Callable[[Path], dict[str, str]],
) -> Started:
    """Start `python -m module` on the job in workdir. Raises UserError for a directory that is taken or not writable."""
    folder = Path(workdir).resolve()
    ours, theirs = socket.socketpair()
    log, lock = folder / "worker.log", None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = take(folder)
        paths = make_files(folder)
        whole = {**job, "paths": paths, "socket": theirs.fileno(), "parent": os.getpid()}
        (folder / "job.json").write_text(json.dumps(whole, indent=1))
        worker = child.start(module, folder / "job.json", log, pass_fds=(theirs.fileno(),))
    except BaseException as error:
        ours.close()
        if lock is not None:
            lock.close()
        if not isinstance(error, OSError):
            raise
        raise UserError(f"{folder}: cannot write there ({error}); choose a writable directory") from error
    finally:
        theirs.close()
    return Started(worker=worker, line=ours, paths=paths, log=log, lock=lock)


class GraphSession:
    """A started child and the files that it shares. Subclasses have `open` and `plan`."""

    def __init__(self, started: Started, timeout_s: float) -> None:
        """Returns when the graph is compiled and ready; ends the child if that fails."""
        self.worker, self.line, self.log, self.lock = started.worker, started.line, started.log, started.lock
        self.timeout_s = timeout_s
        self.segments: set[str] = set()
        self.plans = 0
        self.closed = False
        try:
            self.words = np.load(started.paths["in"], mmap_mode="r+")
            self.files = {name: np.load(path, mmap_mode="r") for name, path in started.paths.items() if name != "in"}
            self._expect(READY, "start")
            self.segments = child.shared_segments(self.worker.pid)
        except BaseException:  # Ctrl-C, too: nobody holds the session yet
            self.close(at_once=True)
            raise

    def _check_open(self) -> None:
        if self.closed:
            raise LavaError("the Lava session is closed; open another")

    def _run(self, words: NDArray[np.int64]) -> tuple[dict[str, NDArray[Any]], float]:
        """One plan on the host's words: copies of all that it recorded, and its seconds."""
        began = time.monotonic()
        self.words[:] = words
        with suppress(OSError):  # the child is gone: reading says so, too
            self.line.sendall(PLAN)
        self._expect(DONE, f"plan {self.plans + 1}")
        self.plans += 1
        if int(self.files["done"][0]) != self.plans:
            self.close()
            raise LavaError(f"Lava session: plan {self.plans} left no record; its log is {self.log}")
        seconds = time.monotonic() - began
        return {name: np.array(file) for name, file in self.files.items()}, seconds

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
