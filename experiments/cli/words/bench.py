"""`spikeplan bench`: ours and others' tools, measured in one run."""

from __future__ import annotations

from typing import Annotated

import tyro

from spikeplan.experiments.cli import names
from spikeplan.experiments.cli.words.common import Command, Json, text
from spikeplan.experiments.runner.output import check_outputs, result_console


def bench(
    name: Annotated[tyro.conf.Positional[str], text("what is compared: {benches}", "NAME")],
    json: Json = None,
    parts: Annotated[
        str | None, text("keeps finished shards of bench planner and goes on from them", "DIR", "none kept")
    ] = None,
    trained: Annotated[
        str | None,
        text("folders of `train`, one a further training seed, for bench planner", "DIR,DIR", "the shipped seed alone"),
    ] = None,
    files: Annotated[
        str | None, text("folder of NIR and netx files of other tools, for bench convert", "DIR", "lava-dl's own alone")
    ] = None,
) -> None:
    """Time ours beside others' in one run, as rows {name, ours, other, ratio, unit, goal, holds}."""
    names.check("benches", name)
    check_outputs({"--json": json})
    from spikeplan.experiments.bench.plan import bench_command

    bench_command(
        name,
        json,
        parts=parts,
        trained=tuple(trained.split(",")) if trained else (),
        files=files,
        console=result_console(json),
    )


COMMANDS = {"bench": Command(bench)}
