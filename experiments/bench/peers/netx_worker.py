"""One run of lava-dl's netx in a fresh interpreter: `python -m spikeplan.experiments.bench.peers.netx_worker JOB.json`, JOB as in
lava_procs/graph/worker.py, with the HDF5 file under "netx" instead of a network. Exit code 3: lava-dl does not import.

netx imports lava-dl's training package as a whole; its object detection would need torchvision and OpenCV and is left out.
Source and recorder are those our own process runs between, so that a step's time is comparable.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from spikeplan.lava_procs.python311 import import_lava
from spikeplan.lava_procs.timed_run import run_timed

LEFT_OUT = "lava.lib.dl.slayer.object_detection"
NOT_INSTALLED = 3


def import_netx() -> Any:
    import_lava()
    sys.modules[LEFT_OUT] = ModuleType(LEFT_OUT)
    from lava.lib.dl.netx import hdf5

    return hdf5


def main(job_path: str) -> int:
    job = json.loads(Path(job_path).read_text())
    try:
        hdf5 = import_netx()
    except ImportError as error:
        print(f"lava-dl does not import ({error}); `make peers` installs it", file=sys.stderr)
        return NOT_INSTALLED
    from lava.proc.io.source import RingBuffer

    from spikeplan.lava_procs.processes.log import Log

    inputs = np.load(job["inputs"])
    order = tuple(reversed(range(1, inputs.ndim)))
    source = RingBuffer(data=np.ascontiguousarray(inputs.transpose(*order, 0).astype(np.int32)))
    net = hdf5.Network(net_config=job["netx"])
    rows = Path(job_path).with_name("rows_0.npy")
    log = Log(path=str(rows), steps=len(inputs), shape=tuple(map(int, net.out.shape)))  # netx has numpy's numbers there
    # netx leaves the port of an input block unconnected; its own tests go to the neurons, too
    source.s_out.connect(net.in_layer.neuron.a_in if net.in_layer.block == "Input" else net.inp)
    net.out.connect(log.a_in)
    step_s = run_timed(net, "fixed_pt", len(inputs), job["parent"])
    out = np.load(rows)
    np.savez(job["record"], step_s=step_s, out=out.transpose(0, *reversed(range(1, out.ndim))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
