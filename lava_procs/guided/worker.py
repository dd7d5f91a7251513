"""Child side of a GuidedSession: the guided graph, served plan by plan (lava_procs/serve.py).

`python -m spikeplan.lava_procs.guided.worker JOB.json`, JOB: {policy, predictor, value, params, reference, layout,
paths, socket, parent}; value: null where there is no cost-to-go. A user's prices come by the variable
SPIKEPLAN_PLUGINS, which the worker inherits.
"""

from __future__ import annotations

import sys
from typing import Any

from spikeplan.core.guided_params import GuidedParams
from spikeplan.core.ir import artifact as artifact_format
from spikeplan.lava_procs.guided.graph import build
from spikeplan.lava_procs.loop import Loop
from spikeplan.lava_procs.python311 import import_lava
from spikeplan.lava_procs.serve import serve


def graph_of(job: dict[str, Any]) -> Loop:
    policy, predictor, value = (
        None if job[name] is None else artifact_format.load(job[name]) for name in ("policy", "predictor", "value")
    )
    assert policy is not None and predictor is not None
    params = GuidedParams.of(job["params"])
    import_lava()
    return build(policy, predictor, params, job["paths"], value=value, reference=job["reference"], layout=job["layout"])


if __name__ == "__main__":
    sys.exit(serve(sys.argv[1], graph_of))
