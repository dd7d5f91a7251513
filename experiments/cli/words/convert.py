"""`spikeplan convert | check | export`: a checkpoint's predictor as a spiking artifact, whether it fits a chip, and the dense
networks for other runtimes."""

from __future__ import annotations

import sys
from typing import Annotated

import tyro

from spikeplan.experiments.cli import names
from spikeplan.experiments.cli.words.common import Chip, Command, Json, text
from spikeplan.experiments.runner.output import check_outputs, result_console


def convert(
    checkpoint: Annotated[
        tyro.conf.Positional[str], text("world model, .safetensors; or an artifact of version 0.1, to upgrade", "FILE")
    ],
    out: Annotated[str, text("the artifact that is written, .safetensors", "FILE")],
    recipe: Annotated[str, text("how neurons code: {recipes}", "NAME")] = "sigma_delta",
    threshold: Annotated[
        float | None,
        text(
            "thresholds, in standard deviations of each layer, 0 or more", "FACTOR", "the recipe's; 0.1 of sigma_delta"
        ),
    ] = None,
    bits: Annotated[
        int | None,
        text("bits of a graded spike, its sign included, 2 to 8", "N", "the recipe's; 8 of sigma_delta"),
    ] = None,
    json: Json = None,
) -> None:
    """Convert a checkpoint's predictor to a spiking artifact, without fine-tuning; prints the layer report."""
    names.check("recipes", recipe)
    check_outputs({"--json": json}, inputs=(checkpoint, out))
    from spikeplan.experiments.cli.convert import convert_command

    given = {"bits": bits, "thresholds": threshold}
    convert_command(
        checkpoint,
        out,
        recipe=recipe,
        settings={name: value for name, value in given.items() if value is not None},
        json=json,
        console=result_console(json),
    )


def check(
    artifact: Annotated[tyro.conf.Positional[str], text("sigma-delta network, .safetensors", "FILE")],
    chip: Chip = "loihi2",
    json: Json = None,
) -> None:
    """Check an artifact against a chip's limits; exit code 1 when it does not fit."""
    names.check("chips", chip)
    check_outputs({"--json": json}, inputs=(artifact,))
    from spikeplan.experiments.cli.convert import check_command

    sys.exit(check_command(artifact, chip, json=json, console=result_console(json)))


def export(
    checkpoint: Annotated[tyro.conf.Positional[str], text("world model, .safetensors", "FILE")],
    out: Annotated[str, text("directory for encoder.onnx and predictor.onnx", "DIR")],
    json: Json = None,
) -> None:
    """Export a checkpoint's dense encoder and predictor as ONNX files.

    Each is run by onnxruntime and compared with torch before it is written.
    """
    check_outputs({"--json": json}, inputs=(checkpoint,))
    from spikeplan.experiments.cli.convert import export_command

    export_command(checkpoint, out, json=json, console=result_console(json))


COMMANDS = {"convert": Command(convert), "check": Command(check), "export": Command(export)}
