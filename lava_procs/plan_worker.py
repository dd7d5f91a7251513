"""Child side of a session: builds the loop once, then runs one plan for every byte that the parent sends.

`python -m spikeplan.lava_procs.plan_worker JOB.json`, JOB: {artifact, plan, reference, precision, layout, paths, socket,
parent}. Bytes on the
socket: b"r" ready (child), b"p" plan (parent), b"d" done (child). The end of the stream ends the child. Exit code 2: bad
input, the last line of stderr says what.
"""

from __future__ import annotations

import json
import socket
import sys
import traceback
from pathlib import Path

from spikeplan.core.errors import UserError
from spikeplan.core.ir import artifact as artifact_format
from spikeplan.core.planning import PlanParams
from spikeplan.lava_procs.loop import build
from spikeplan.lava_procs.python311 import import_lava
from spikeplan.lava_procs.worker import end_all, guard

READY, PLAN, DONE = b"r", b"p", b"d"


def main(job_path: str) -> int:
    job = json.loads(Path(job_path).read_text())
    try:
        artifact = artifact_format.load(job["artifact"])
        plan = PlanParams.of(job["plan"])
        import_lava()
        loop = build(
            artifact, plan, job["paths"], reference=job["reference"], precision=job["precision"], layout=job["layout"]
        )
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    from lava.magma.core.run_conditions import RunSteps

    process = loop.any_process
    line = socket.socket(fileno=job["socket"])
    try:
        process.create_runtime(run_cfg=loop.config, compile_config=loop.compile_config)
        with guard(process.runtime._messaging_infrastructure.actors, job["parent"]):
            line.sendall(READY)
            while line.recv(1) == PLAN:
                process.run(condition=RunSteps(num_steps=loop.steps))
                line.sendall(DONE)
    except Exception:
        traceback.print_exc()
        end_all()  # Lava's stop() would wait for processes that no longer answer
    end_all(0)  # stop() takes longer than anybody waits, and nobody may be there any more


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
