"""One run of a network in Lava, in a fresh, torch-free interpreter: `python -m spikeplan.lava_procs.network_worker JOB.json`.

JOB.json: {network, inputs, form, residue, watch, counts, record, parent}: paths of the network (core/ir/network.py) and of
the inputs .npy (T, *input_shape), what to build (lava_procs/network_graph.py), the .npz to write and the process id of
whoever waits.
The first steps are left out of the time: Lava's processes allocate and fill their caches there.
"""

from __future__ import annotations

import json
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import numpy as np

from spikeplan.core.errors import UserError
from spikeplan.core.ir import network as description
from spikeplan.lava_procs.network_graph import build
from spikeplan.lava_procs.python311 import import_lava
from spikeplan.lava_procs.worker import end_all, guard

WARM, PARTS = 5, 5


def main(job_path: str) -> int:
    job = json.loads(Path(job_path).read_text())
    try:
        network = description.load(job["network"])
        inputs = np.load(job["inputs"])
        import_lava()
        graph = build(
            network,
            inputs,
            form=job["form"],
            folder=Path(job_path).parent,
            residue=job["residue"],
            watch=job["watch"],
            counts=job["counts"],
        )
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    step_s = run_timed(graph.start, graph.tag, len(inputs), job["parent"])
    rows = {name: np.load(path) for name, path in graph.files.items()}
    np.savez(job["record"], step_s=step_s, **rows)
    return 0


def run_timed(process: Any, tag: str, steps: int, parent: int | None, *, run_cfg: Any = None) -> float:
    """Seconds a step, without the first ones: of the fastest fifth, so that a slow moment of the machine does not count. Ends
    this interpreter when one of Lava's processes does."""
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg

    warm = min(WARM, steps - 1)
    try:
        process.create_runtime(run_cfg=run_cfg or Loihi2SimCfg(select_tag=tag))
        with guard(process.runtime._messaging_infrastructure.actors, parent):
            if warm:
                process.run(condition=RunSteps(num_steps=warm))
            best = float("inf")
            for part in np.array_split(np.arange(steps - warm), min(PARTS, steps - warm)):
                began = time.perf_counter()
                process.run(condition=RunSteps(num_steps=len(part)))
                best = min(best, (time.perf_counter() - began) / len(part))
    except Exception:
        traceback.print_exc()
        end_all()
    process.stop()
    return best


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
