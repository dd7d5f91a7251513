"""Writes the list of commands in docs/cli.md from the commands' own signatures and texts.

python -m spikeplan.experiments.report.readme_cli
"""

from __future__ import annotations

import re
from collections.abc import Callable
from inspect import signature
from pathlib import Path
from typing import Any, get_type_hints

from spikeplan.experiments.cli.parse import COMMANDS, GROUPS, arguments
from spikeplan.experiments.cli.words.common import Command

PAGE = Path("docs/cli.md")
BEGIN, END = "<!-- commands: written by experiments/report/readme_cli.py -->", "<!-- end of commands -->"


def commands_text() -> str:
    parts = [_command(name, command) for name, command in COMMANDS.items()]
    for group, of in GROUPS.items():
        parts.append(f"## spikeplan {group}\n\n{of.about}")
        parts += [_command(f"{group} {name}", command) for name, command in of.commands.items()]
    return "\n\n".join(parts)


def _command(name: str, command: Command) -> str:
    paragraphs = (command.run.__doc__ or "").strip().split("\n\n")
    about = "\n\n".join(" ".join(text.split()) for text in paragraphs)
    lines = [f"### spikeplan {name}", "", about, "", "| argument | meaning | default |", "|---|---|---|"]
    return "\n".join([*lines, *_rows(command.run)])


def _rows(function: Callable[..., Any]) -> list[str]:
    hints = get_type_hints(function, include_extras=True)
    slots = signature(function).parameters
    rows = []
    for argument in arguments(function):
        extras = getattr(hints[argument.name], "__metadata__", ())
        hint = next((e.help_behavior_hint for e in extras if getattr(e, "help_behavior_hint", None)), None)
        default = "required" if argument.required else str(slots[argument.name].default)
        if hint is not None:
            default = re.sub(r"^\(default: (.*)\)$", r"\1", str(hint))
        shown = (
            argument.shown if argument.positional or argument.kind is bool else f"{argument.flag} {argument.metavar}"
        )
        rows.append(f"| `{shown.strip()}` | {_named(argument.help)} | {default or 'none'} |")
    return rows


def _named(text: str) -> str:
    """`{tasks}` stands for names that grow: the page says which command lists them."""
    text = re.sub(r"\{(\w+)\}", r"see `spikeplan list \1`", text)
    return text.replace("|", "\\|")


def rewrite(text: str) -> str:
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n\n{commands_text()}\n\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    PAGE.write_text(rewrite(PAGE.read_text()))
