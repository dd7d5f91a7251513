"""Points of other packages' converters, which run in processes of their own (worker.py)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from safetensors.torch import load_file, save_file

from spikeplan.conversion.tracing import AffineNet
from spikeplan.core.errors import UserError
from spikeplan.experiments.bench.converters.counting import Point, error_of, graded_inputs, operations
from spikeplan.experiments.bench.converters.networks import Case, Rows
from spikeplan.experiments.bench.converters.worker import NOT_INSTALLED
from spikeplan.experiments.bench.peers.rows import NotInstalledError

PEERS = {"spikingjelly": True, "sinabs": False}  # whether it sends 0 or 1 a step
TIMES = (4, 8, 16, 32, 64)
TIMEOUT_S = 600.0


def points_of(peer: str, case: Case, net: AffineNet, folder: Path, times: tuple[int, ...] = TIMES) -> list[Point]:
    """One point a setting, width of the weights and number of steps. Raises NotInstalledError where the package is missing."""
    folder.mkdir(parents=True, exist_ok=True)

    def laid_out(rows: Rows) -> object:
        return case.module.laid_out(rows.latent_ND, rows.action_NA).contiguous()

    given = {f"chain.{name}": value.detach().contiguous() for name, value in case.module.chain.state_dict().items()}
    given |= {"x": laid_out(case.calibration), "fresh": laid_out(case.held_out)}
    save_file(given, folder / "given.safetensors")
    (folder / "job.json").write_text(json.dumps({"case": case.name, "times": times}))
    done = subprocess.run(
        [sys.executable, "-m", "spikeplan.experiments.bench.converters.worker", peer, str(folder)],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    if done.returncode == NOT_INSTALLED:
        raise NotInstalledError(f"not measured: {peer} does not import; `make peers` installs it")
    if done.returncode:
        raise UserError(f"{peer} ended with {done.returncode}: {' '.join(done.stderr.split())[-300:]}")
    found, wanted = load_file(folder / f"{peer}.safetensors"), case.output(case.held_out)
    points = []
    for run in sorted({key.rpartition("|")[0] for key in found}):
        name, bits, t = run.split("|")
        spikes = {group.name: found[f"{run}|{group.name}"] for group in net.groups}
        points.append(
            Point(
                recipe=peer,
                label=name,
                time_steps=int(t),
                error=error_of(found[f"{run}|out"], wanted),
                operations=operations(net, graded_inputs(net) | spikes, int(t)),
                binary=PEERS[peer],
                weight_bits=int(bits),
            )
        )
    return points
