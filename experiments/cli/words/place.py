"""`spikeplan place`: where a network lies on a chip."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Annotated

import tyro

from spikeplan.experiments.cli import names
from spikeplan.experiments.cli.words.common import Chip, Command, Json, flags, text
from spikeplan.experiments.runner.output import result_console


def place(
    artifact: Annotated[tyro.conf.Positional[str], text("sigma-delta or LIF network, .safetensors", "FILE")],
    chip: Chip = "loihi2",
    replicas: Annotated[int, text("replicas that share the candidates, 1 to 4096", "N")] = 1,
    spread: Annotated[int, text("cores a layer, as a multiple of its least, 1 to 4096", "N")] = 1,
    for_latency: Annotated[
        float | None,
        text("milliseconds an action: search --replicas and --spread for the fewest chips in time", "MS", "no search"),
    ] = None,
    max_chips: Annotated[int, text("chips that the search may use", "N")] = 8,
    sweep: Annotated[bool, text("also print the trade-off of replicas, spread, time and energy")] = False,
    json: Json = None,
    svg: Annotated[str | None, text("draw the cores", "FILE", "no drawing")] = None,
    sweep_svg: Annotated[str | None, text("draw the trade-off", "FILE", "no drawing")] = None,
) -> None:
    """Place a network on a chip: cores, time of a plan, energy; exit code 1 when a limit is broken."""
    names.check("chips", chip)
    from spikeplan.experiments.cli.place import place_command

    sys.exit(
        place_command(
            artifact,
            chip=chip,
            replicas=replicas,
            spread=spread,
            for_latency=for_latency,
            max_chips=max_chips,
            sweep=sweep,
            json=json,
            svg=svg,
            sweep_svg=sweep_svg,
            console=result_console(json),
        )
    )


def unused(given: Mapping[str, str]) -> str | None:
    if "for_latency" not in given:
        return "--max-chips bounds a search; give --for-latency too" if "max_chips" in given else None
    fixed = flags(given, "replicas", "spread")
    return f"--for-latency searches replicas and spread; leave out {fixed}" if fixed else None


COMMANDS = {"place": Command(place, unused=unused)}
