"""Parent side of a Lava run: start the worker, watch it, and leave nothing behind (lava_procs/child.py)."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

from spikeplan.core.errors import UserError
from spikeplan.core.ir import artifact as artifact_format
from spikeplan.core.ir.trace import Passes, Trace
from spikeplan.lava_procs import child
from spikeplan.lava_procs.chain import PRECISIONS, validate


def replay(
    artifact_path: str | os.PathLike[str],
    passes: Passes,
    *,
    timeout_s: float,
    workdir: str | os.PathLike[str],
    precision: str = "fixed_pt",
    on_progress: Callable[[int, int], None] | None = None,
) -> Trace:
    """Run the passes through the Lava chain of a converted network. Blocks for about 1.5 s + 2 ms a pass.

    Args:
        artifact_path: file of the network, as `convert` writes it.
        passes: inputs (P, n_in) in state LSB, and where each pass takes its state from.
        timeout_s: seconds without an answer until the worker is ended.
        workdir: receives job.json, passes.npz, trace.npz, worker.pid and worker.log.
        precision: "fixed_pt" is bit-accurate for Loihi 2; "floating_pt" is for comparison.
        on_progress: called with (passes done, all passes), in this thread.

    Raises UserError for bad input, and LavaError for a crash or no answer in time. In every case the worker's process group
    has ended when this returns.

    >>> trace = replay("net.safetensors", passes, timeout_s=600, workdir="runs/replay")
    >>> trace.value.shape
    """
    if precision not in PRECISIONS:
        raise UserError(f"precision {precision!r} is unknown; use one of {', '.join(PRECISIONS)}")
    child.check_timeout(timeout_s)
    validate(artifact_format.load(artifact_path), passes)
    folder = Path(workdir).resolve()
    trace = folder / "trace.npz"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for stale in (trace, folder / "progress"):
            stale.unlink(missing_ok=True)
        passes.write(folder / "passes.npz")
        job = {
            "artifact": str(Path(artifact_path).resolve()),
            "passes": str(folder / "passes.npz"),
            "trace": str(trace),
            "workdir": str(folder),
            "precision": precision,
            "parent": os.getpid(),
        }
        (folder / "job.json").write_text(json.dumps(job, indent=1))
    except OSError as error:
        raise UserError(f"{folder}: cannot write there ({error}); choose a writable directory") from error

    seen = -1

    def poll() -> None:
        nonlocal seen
        done = _progress(folder)
        if on_progress is not None and done > seen:
            seen = done
            on_progress(done, len(passes))

    child.run(
        "spikeplan.lava_procs.worker",
        folder,
        timeout_s,
        poll=poll,
        where=lambda: f" at pass {_progress(folder)} of {len(passes)}",
    )
    if on_progress is not None:
        on_progress(len(passes), len(passes))
    result = Trace.read(trace)
    for scratch in folder.glob("rows_*.npy"):
        scratch.unlink()
    return result


def _progress(folder: Path) -> int:
    try:
        return int((folder / "progress").read_text())
    except (OSError, ValueError):
        return 0
