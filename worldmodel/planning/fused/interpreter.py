"""Plans of the fused kernel in Triton's interpreter, in a process of its own: what a machine without a GPU can check.

Triton reads TRITON_INTERPRET when its decorators run, its own library's among them, so a process is compiled or interpreted
for good. So this one stays as it is, a worker plans, and tensors pass through files.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor

from spikeplan.core.errors import UserError, short
from spikeplan.core.planning import CEMConfig
from spikeplan.worldmodel.planning.fused.planner import FusedTrace, Tile, kernel_module
from spikeplan.worldmodel.planning.fused.weights import kernel_weights
from spikeplan.worldmodel.predictor import ResidualPredictor

SWITCH = "TRITON_INTERPRET"
WORKER = "spikeplan.worldmodel.planning.fused.interpreter_worker"
TIMEOUT_S = 600.0


def interpreted_plans(
    module: ResidualPredictor,
    config: CEMConfig,
    latent_BD: Tensor,
    goal_BD: Tensor,
    noise_BSVA: Tensor,
    warm: Tensor | None = None,
    *,
    action_limit: float,
    spread: str = "std",
    precision: str = "fp32",
    tile: Tile | None = None,
) -> tuple[Tensor, FusedTrace]:
    """Actions (B, A) and the trace of B plans, as FusedPlanner.plan gives them on a GPU; on one core.

    `tile`: of the work inside a program; None: all at once, which is fastest in the interpreter.

    Raises UserError where Triton is missing, for a network that the kernel does not run, and where the process fails.

    >>> action_BA, trace = interpreted_plans(model.predictor, model.planner, latent_BD, goal_BD, noise_BSVA, action_limit=0.1)
    """
    kernel_weights(module, precision)  # refused here, in one line, not in the other process
    kernel_module()
    given = {"latent": latent_BD, "goal": goal_BD, "noise": noise_BSVA, **({} if warm is None else {"warm": warm})}
    given |= {f"net.{name}": value for name, value in module.state_dict().items()}
    settings = {
        "config": asdict(config),
        "sizes": [module.latent_dim, module.action_dim, list(module.hidden)],
        "planner": {"action_limit": action_limit, "spread": spread, "precision": precision, "tile": tile},
    }
    with tempfile.TemporaryDirectory() as folder:
        asked, answered = Path(folder) / "in.safetensors", Path(folder) / "out.safetensors"
        save_file(
            {name: value.contiguous() for name, value in given.items()}, asked, {"settings": json.dumps(settings)}
        )
        environment = os.environ | {SWITCH: "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        command = [sys.executable, "-m", WORKER, str(asked), str(answered)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S)
        if done.returncode:
            raise UserError(
                f"fused plan: the interpreter failed ({short(done.stderr[-400:])}); report it with the network"
            )
        trace = FusedTrace(**load_file(answered))
    return trace.mean_IBVA[-1, :, 0], trace
