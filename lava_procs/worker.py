"""One Lava run in a fresh, torch-free interpreter: `python -m spikeplan.lava_procs.worker JOB.json`.

Lava forks a process per Lava process and insists on the fork start method, so it must not share an interpreter with
torch or with anybody's process pool. JOB.json: {artifact, passes, trace, workdir, precision, parent}: paths of the
artifact, the passes .npz and the trace .npz to write, a directory for scratch files, the precision's tag, and the
process id of whoever waits (null: nobody). Exit code 2: bad input, the last line of stderr says what.

When one of Lava's processes dies the others wait for ever, and when the parent dies nobody is left to stop them. A
guard thread watches for both, and for Python's own helpers that look after shared memory, and ends all of them.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import Pipe, active_children, resource_tracker
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, NoReturn

from spikeplan.core.errors import UserError
from spikeplan.core.ir import artifact as artifact_format
from spikeplan.core.ir.trace import Passes
from spikeplan.lava_procs.chain import Chain, build, collect
from spikeplan.lava_procs.python311 import import_lava

STEPS_PER_RUN = 50  # progress is written between runs; continuing one costs 0.6 ms
PARENT_POLL_S = 0.5


def main(job_path: str) -> int:
    started = time.monotonic()
    job = json.loads(Path(job_path).read_text())
    workdir = Path(job["workdir"])
    try:
        artifact = artifact_format.load(job["artifact"])
        passes = Passes.read(job["passes"])
        import_lava()
        chain = build(artifact, passes, workdir=workdir, precision=job["precision"])
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    built = time.monotonic()
    _run(chain, len(passes), workdir / "progress", parent=job["parent"])
    ran = time.monotonic()
    collect(artifact, chain.rows, len(passes)).write(job["trace"])
    print(f"import and build {built - started:.2f} s, {chain.steps} steps {ran - built:.2f} s", file=sys.stderr)
    return 0


def _run(chain: Chain, passes: int, progress: Path, *, parent: int | None) -> None:
    from lava.magma.core.run_conditions import RunSteps

    try:
        chain.source.create_runtime(run_cfg=chain.config, compile_config=chain.compile_config)
        # Lava keeps a failed process's traceback to itself; its list of actors is the only way to get at it.
        with guard(chain.source.runtime._messaging_infrastructure.actors, parent):
            for done in range(0, chain.steps, STEPS_PER_RUN):
                steps = min(STEPS_PER_RUN, chain.steps - done)
                chain.source.run(condition=RunSteps(num_steps=steps))
                progress.write_text(str(min(passes, done + steps)))
    except Exception:
        traceback.print_exc()
        end_all()  # Lava's stop() would wait for processes that no longer answer
    chain.source.stop()


@contextmanager
def guard(actors: list[Any], parent: int | None) -> Iterator[None]:
    """End the process group when any process of it ends before the block does, or when the parent is gone."""
    done, finish = Pipe(duplex=False)
    by_sentinel: dict[Any, Any] = {actor.sentinel: actor for actor in actors}
    helpers: dict[Any, str] = {
        child.sentinel: child.name for child in active_children() if child.sentinel not in by_sentinel
    }
    tracker = os.pidfd_open(resource_tracker._resource_tracker._pid)  # type: ignore[attr-defined]  # no child object
    helpers[tracker] = "resource tracker"

    def watch() -> None:
        while True:
            ready = wait([done, *by_sentinel, *helpers], timeout=PARENT_POLL_S)
            if done in ready:
                return
            for sentinel in ready:
                actor = by_sentinel.get(sentinel)
                failure = actor.exception if actor else None
                what = helpers.get(sentinel, "a Lava process")
                print(failure[1] if failure else "", what, "ended early", file=sys.stderr, flush=True)
            if ready or (parent is not None and os.getppid() != parent):
                end_all()

    thread = threading.Thread(target=watch, name="guard", daemon=True)
    thread.start()
    try:
        yield
    finally:
        finish.close()
        thread.join()
        done.close()
        os.close(tracker)


def end_all(code: int = 1) -> NoReturn:
    """End Lava's processes and this one; multiprocessing's resource tracker then frees their shared memory."""
    sys.stderr.flush()
    for child in active_children():
        child.terminate()
    os._exit(code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
