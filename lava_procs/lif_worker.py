"""Two layers of Dense and LIF on a train of input spikes, with our LIF or with Lava's own: `python -m lava_procs.lif_worker JOB`.

JOB.json: {spikes, weights, params, precision, stock, out}: input (T, n) .npy, weights .npz (w0, w1), LIF parameters,
Lava's tag, whether lava.proc.lif runs, and the .npy of output spikes (T, n_out) to write.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from lava_procs.lif import LIFParams
from lava_procs.python311 import import_lava


def main(job_path: str) -> int:
    job = json.loads(Path(job_path).read_text())
    import_lava()
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg
    from lava.proc.dense.process import Dense
    from lava.proc.io.sink import RingBuffer as Sink
    from lava.proc.io.source import RingBuffer as Source

    spikes = np.load(job["spikes"])
    fixed = job["precision"] == "fixed_pt"
    source = Source(data=spikes.T.astype(np.int32 if fixed else float))
    out = source.s_out
    weights = np.load(job["weights"])
    params = LIFParams(**job["params"])
    for name in ("w0", "w1"):
        dense = Dense(weights=weights[name])
        neurons = _lif(weights[name].shape[0], params, stock=job["stock"], fixed=fixed)
        out.connect(dense.s_in)
        dense.a_out.connect(neurons.a_in)
        out = neurons.s_out
    sink = Sink(shape=(weights["w1"].shape[0],), buffer=len(spikes))
    out.connect(sink.a_in)
    sink.run(condition=RunSteps(num_steps=len(spikes)), run_cfg=Loihi2SimCfg(select_tag=job["precision"]))
    np.save(job["out"], sink.data.get().T > 0)
    sink.stop()
    return 0


def _lif(n: int, params: LIFParams, *, stock: bool, fixed: bool) -> Any:
    if not stock:
        from lava_procs.processes.lif import LIF as Ours

        return Ours(shape=(n,), params=params)
    from lava.proc.lif.process import LIF as Stock

    bias = {"bias_mant": params.bias_mant, "bias_exp": params.bias_exp} if fixed else {"bias_mant": params.bias_mant}
    return Stock(shape=(n,), du=params.du, dv=params.dv, vth=params.vth, **bias)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
