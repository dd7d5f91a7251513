"""Child side of a LavaSession: the planning loop, served plan by plan (lava_procs/serve.py).

`python -m spikeplan.lava_procs.plan_worker JOB.json`, JOB: {artifact, plan, reference, precision, layout, paths, socket,
parent}.
"""

from __future__ import annotations

import sys
from typing import Any

from spikeplan.core.ir import artifact as artifact_format
from spikeplan.core.planning import PlanParams
from spikeplan.lava_procs.loop import Loop, build
from spikeplan.lava_procs.python311 import import_lava
from spikeplan.lava_procs.serve import serve


def loop_of(job: dict[str, Any]) -> Loop:
    artifact = artifact_format.load(job["artifact"])
    plan = PlanParams.of(job["plan"])
    import_lava()
    return build(
        artifact, plan, job["paths"], reference=job["reference"], precision=job["precision"], layout=job["layout"]
    )


if __name__ == "__main__":
    sys.exit(serve(sys.argv[1], loop_of))
