"""`spikeplan doctor`: whether this installation works, part by part."""

from __future__ import annotations

import sys

from spikeplan.experiments.cli.words.common import Command, Json
from spikeplan.experiments.runner.output import check_outputs, result_console


def doctor(json: Json = None) -> None:
    """Check this installation: versions, memory, a real Lava worker, GPU, energy meters; says what to install.

    Exit code 0 when the core works: a shipped network loads and plans. Lava, meters and other parts are optional.
    """
    check_outputs({"--json": json})
    from spikeplan.experiments.cli.doctor import doctor_command

    sys.exit(doctor_command(json=json, console=result_console(json)))


COMMANDS = {"doctor": Command(doctor)}
