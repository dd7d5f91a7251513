"""Runs of graphs in Lava, in a fresh, torch-free interpreter: `python -m spikeplan.lava_procs.graph.worker JOB.json`.

JOB.json: {runs: [{folder, form, watch}], parent}. A folder holds graph.safetensors and inputs.npz and receives record.npz.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from spikeplan.core.errors import UserError
from spikeplan.core.ir.graph.file import load
from spikeplan.lava_procs.graph.build import build
from spikeplan.lava_procs.python311 import import_lava
from spikeplan.lava_procs.timed_run import run_timed


def main(job_path: str) -> int:
    job = json.loads(Path(job_path).read_text())
    import_lava()
    for run in job["runs"]:
        folder = Path(run["folder"])
        try:
            graph = load(folder / "graph.safetensors")
            with np.load(folder / "inputs.npz") as found:
                inputs = {node.name: found[f"in{i}"] for i, node in enumerate(graph.inputs)}
            built = build(graph, inputs, form=run["form"], folder=folder, watch=run["watch"])
        except UserError as error:
            print(error, file=sys.stderr)
            return 2
        step_s = run_timed(built.start, built.tag, len(next(iter(inputs.values()))), job["parent"])
        rows = {name: np.load(path) for name, path in built.files.items()}
        np.savez(folder / "record.npz", step_s=step_s, **rows)
        for path in (*built.files.values(), *folder.glob("given_*.npy")):
            path.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
