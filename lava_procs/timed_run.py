"""Runs a graph of Lava processes and takes its time. Ends this interpreter when one of Lava's processes does."""

from __future__ import annotations

import time
import traceback
from typing import Any

import numpy as np

from spikeplan.lava_procs.worker import end_all, guard

WARM, PARTS = 5, 5


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
