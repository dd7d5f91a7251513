"""Child side of a graph session: runs one plan for every byte that the parent sends.

Bytes on the socket: b"r" ready (child), b"p" plan (parent), b"d" done (child). The end of the stream ends the child. Exit code
2: bad input, the last line of stderr says what.
"""

from __future__ import annotations

import json
import socket
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from spikeplan.core.errors import UserError
from spikeplan.lava_procs.loop import Loop
from spikeplan.lava_procs.worker import end_all, guard

READY, PLAN, DONE = b"r", b"p", b"d"


def serve(job_path: str, build: Callable[[dict[str, Any]], Loop]) -> int:
    """Build what the job says, once, then answer. The job holds `socket` and `parent` besides what `build` reads."""
    job = json.loads(Path(job_path).read_text())
    try:
        loop = build(job)
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
