"""`spikeplan list | completion`: what can be named, and shell completion of it."""

from __future__ import annotations

from typing import Annotated, Literal

import tyro

from spikeplan.core.errors import UserError
from spikeplan.experiments.cli import names
from spikeplan.experiments.cli.words.common import Command, Json, text
from spikeplan.experiments.runner.output import check_outputs, result_console, write_report


def list_names(
    kind: Annotated[
        tyro.conf.Positional[str | None],
        text(f"one of {', '.join(names.KINDS)}", "KIND", "all of them"),
    ] = None,
    json: Json = None,
) -> None:
    """List what can be named: tasks, methods, planners, predictors, recipes, chips, machines, formats and more."""
    check_outputs({"--json": json})
    if kind is not None and kind not in names.KINDS:
        close = names.did_you_mean(kind, tuple(names.KINDS))
        raise UserError(f"list: {kind!r} is unknown; {close}use one of {', '.join(names.KINDS)}")
    found = {name: list(names.KINDS[name]()) for name in ([kind] if kind else names.KINDS)}
    if json is not None:
        write_report(json, found)
    console = result_console(json)
    for name, each in found.items():
        console.print(f"[bold]{name}[/]: {names.ABOUT[name]}\n  {', '.join(each)}", highlight=False, soft_wrap=True)


def completion(
    shell: Annotated[tyro.conf.Positional[Literal["bash", "zsh"]], text("the shell that reads the script", "SHELL")],
) -> None:
    """Print a shell's completion script: `source <(spikeplan completion bash)`.

    For zsh: `spikeplan completion zsh > ~/.zfunc/_spikeplan`, with ~/.zfunc on fpath before compinit.
    """
    from spikeplan.experiments.cli.completion import completion_type

    tyro.cli(completion_type(), args=["--tyro-print-completion", shell], prog="spikeplan")


COMMANDS = {"list": Command(list_names), "completion": Command(completion)}
