"""`spikeplan place`: where a network lies on a chip."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import tyro

from spikeplan.experiments.cli import names
from spikeplan.experiments.cli.words.common import Chip, Command, Devices, Json, flags, text
from spikeplan.experiments.runner.output import result_console

FILES = (".net", ".h5", ".hdf5", ".nir")  # of other tools
SENT = ("recording", "rates", "inputs")


def place(
    network: Annotated[
        tyro.conf.Positional[str],
        text("sigma-delta or LIF network (.safetensors), netx (.net, .h5) or NIR (.nir)", "FILE"),
    ],
    chip: Chip = "loihi2",
    recording: Annotated[
        str | None,
        text(
            "what its neurons sent (docs/placement.md): .json of `lava run`, .npz or .npy", "FILE", "plans of its task"
        ),
    ] = None,
    inputs: Annotated[
        str | None, text("run the network on a .npy of shape (steps, ...) and record it", "FILE", "plans of its task")
    ] = None,
    rates: Annotated[
        str | None,
        text("messages per neuron and step: one number, or layer=rate,layer=rate", "RATE", "plans of its task"),
    ] = None,
    steps: Annotated[int | None, text("chip steps of an inference", "N", "all of the recording")] = None,
    batch: Annotated[int, text("inferences that are there at once, for replicas to share", "N")] = 1,
    passes: Annotated[
        int | None,
        text("passes of the dense network in place of an inference", "N", "sigma-delta: one a step, LIF: 1"),
    ] = None,
    replicas: Annotated[int, text("replicas that share the candidates or the batch, 1 to 4096", "N")] = 1,
    spread: Annotated[int, text("cores a layer, as a multiple of its least, 1 to 4096", "N")] = 1,
    objective: Annotated[
        Literal["time", "energy", "chips"] | None, text("search replicas and spread for the least", None, "no search")
    ] = None,
    for_latency: Annotated[
        float | None,
        text("milliseconds an action or a batch: search for what is in time", "MS", "no search"),
    ] = None,
    max_chips: Annotated[int | None, text("chips that the search may use", "N", "8, or what the network needs")] = None,
    sweep: Annotated[bool, text("also print the trade-off of replicas, spread, time and energy")] = False,
    dt: Annotated[float | None, text("seconds a step, for NIR", "S", "the file's reader")] = None,
    graded: Annotated[bool, text("inputs are values, not spikes, for NIR")] = False,
    select_on: Annotated[
        Literal["chip", "host"],
        text("who looks for the best candidates of an iteration, for a network of a task", None),
    ] = "chip",
    devices: Devices = None,
    json: Json = None,
    svg: Annotated[str | None, text("draw the cores", "FILE", "no drawing")] = None,
    sweep_svg: Annotated[str | None, text("draw the trade-off, for a network of a task", "FILE", "no drawing")] = None,
) -> None:
    """Place a network on a chip: cores, time, energy, dense machines beside it; exit code 1 when a limit is broken."""
    names.check("chips", chip)
    from spikeplan.experiments.cli.place import place_command
    from spikeplan.experiments.cli.place_own import Sent, is_own, own_command

    sent = Sent(recording=recording, rates=rates, inputs=inputs, dt=dt, graded=graded)
    console = result_console(json)
    if is_own(network, sent):
        code = own_command(
            network,
            sent,
            chip=chip,
            replicas=replicas,
            spread=spread,
            steps=steps,
            batch=batch,
            passes=passes,
            objective=objective,
            for_latency=for_latency,
            max_chips=max_chips,
            sweep=sweep,
            devices=devices,
            json=json,
            svg=svg,
            console=console,
        )
    else:
        code = place_command(
            network,
            chip=chip,
            replicas=replicas,
            spread=spread,
            objective=objective,
            for_latency=for_latency,
            max_chips=max_chips,
            sweep=sweep,
            select_on=select_on,
            devices=devices,
            json=json,
            svg=svg,
            sweep_svg=sweep_svg,
            console=console,
        )
    sys.exit(code)


def unused(given: Mapping[str, str]) -> str | None:
    own = Path(given["network"]).suffix.lower() in FILES or any(name in given for name in SENT)
    if (several := [name for name in SENT if name in given])[1:]:
        return f"{flags(given, *several)} say the same in several ways; give one of them"
    if not own and (only := flags(given, "steps", "batch", "passes")):
        return f"{only}: for a network of your own; give --recording, --inputs or --rates too"
    if own and "select_on" in given:
        return "--select-on is of plans of a task; a network of your own selects nothing"
    if own and "sweep_svg" in given:
        return "--sweep-svg draws plans of a task; --sweep prints the trade-off of any network"
    if Path(given["network"]).suffix.lower() != ".nir" and (only := flags(given, "dt", "graded")):
        return f"{only}: for NIR files; leave it out"
    fixed = flags(given, "replicas", "spread")
    for name in ("objective", "for_latency"):
        if fixed and name in given:
            return f"{flags(given, name)} searches replicas and spread; leave out {fixed}"
    searched = "objective" in given or "for_latency" in given or (own and "sweep" in given)
    if "max_chips" in given and not searched:
        return "--max-chips bounds a search; give --for-latency too, or --objective"
    return None


COMMANDS = {"place": Command(place, unused=unused)}
