"""What `spikeplan energy compare` reads: operation counts, Python files that make a network, artifacts, netx and NIR files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from spikeplan.core.errors import UserError
from spikeplan.evaluation.own_network.counts import dense_rows, spiking_rows
from spikeplan.evaluation.profiles.counted import Counted
from spikeplan.evaluation.profiles.files import named, read_networks
from spikeplan.experiments.cli.lava_run import NETX, NIR
from spikeplan.experiments.cli.place_own import Sent, asked_of

NETWORKS = (".safetensors", *NETX, *NIR)


def read_files(paths: Sequence[str], sent: Sent, steps: int | None) -> dict[str, Counted]:
    """Name -> counts. A network file gives two: what its neurons send, and its layers computed densely in int8.

    Raises UserError by the file's name; also where `sent` is given and no file runs.
    """
    files = [path for path in paths if Path(path).suffix.lower() in NETWORKS]
    if not files and (sent.given or steps is not None):
        raise UserError(
            "--recording, --inputs, --rates and --steps are for artifacts, netx and NIR files; leave them out"
        )
    if (sent.dt is not None or sent.graded) and not any(Path(path).suffix.lower() in NIR for path in files):
        raise UserError("--dt and --graded are for NIR files; leave them out")
    found = list(read_networks([path for path in paths if path not in files]).values())
    for path in files:
        found += _network(path, sent, steps)
    return named(found)


def _network(path: str, sent: Sent, steps: int | None) -> list[Counted]:
    asked, notes = asked_of(path, sent, steps=steps, batch=1, passes=None)
    recorded = asked.recording.steps * asked.recording.repeats
    if recorded % asked.steps:
        raise UserError(
            f"--steps {asked.steps}: {recorded} recorded steps are no whole number of actions; give a divisor"
        )
    dense = dense_rows(asked.graph, passes=asked.passes)
    if asked.passes == 1:  # one call, around which a loop may go
        dense = [replace(row, rollout_step=None) for row in dense]
    stem = Path(path).stem
    return [
        Counted(
            name=stem,
            actions=recorded // asked.steps,
            rows={"interleaved": spiking_rows(asked.graph, asked.recording, method=asked.method)},
            where=path,
            notes=tuple(notes),
        ),
        Counted(
            name=f"{stem}, dense int8",
            actions=1,
            rows={"batched": dense},
            where=path,
        ),
    ]
