"""Shell completion: what tyro writes for the commands, with the names that each argument takes."""

from __future__ import annotations

import re
from collections.abc import Callable
from inspect import Parameter as Slot
from inspect import signature
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import tyro

from spikeplan.experiments.cli import names
from spikeplan.experiments.cli.parse import COMMANDS, GROUPS, Argument, arguments, with_names
from spikeplan.experiments.cli.words.common import Command


def completion_type() -> Any:
    """All commands as one nested union."""
    parts = {name: (command.line, shape(command)) for name, command in COMMANDS.items()}
    for name, group in GROUPS.items():
        of_group = {each: (command.line, shape(command)) for each, command in group.commands.items()}
        parts[name] = (group.about, union(of_group))
    return union(parts)


def union(parts: dict[str, tuple[str, Any]]) -> Any:
    """Name -> its line and what it takes."""
    each = [
        Annotated[Any, tyro.conf.subcommand(name=name, description=line, constructor=found)]
        for name, (line, found) in parts.items()
    ]
    return Union[tuple(each)] if len(each) > 1 else Union[each[0], Annotated[None, tyro.conf.Suppress]]  # noqa: UP007


def shape(command: Command) -> Any:
    """What follows the command: its arguments, or, where the first one is a word of a fixed set, that word."""
    first = arguments(command.run)[0] if arguments(command.run) else None
    words = () if first is None or not first.positional else choices(first)
    rest = completed(command.run, without=first.name if first is not None and words else "")
    return union({word: (names.ABOUT.get(word, command.line), rest) for word in words}) if words else rest


def choices(argument: Argument) -> tuple[Any, ...]:
    """Words that the argument takes; none where it takes a file, a folder or a number. A text like `the task: {tasks}` says
    which names they are."""
    if argument.choices:
        return argument.choices
    if argument.metavar == "KIND":
        return tuple(names.KINDS)
    kind = re.search(r"\{(\w+)\}", argument.help)
    return () if kind is None else names.known_names(kind[1])


def completed(function: Callable[..., Any], *, without: str) -> Callable[..., Any]:
    """The function with a Literal for each argument that has choices, so that None is not one of them."""
    known = {argument.name: argument for argument in arguments(function)}
    hints = get_type_hints(with_names(function), include_extras=True)

    def shown() -> None: ...

    slots: list[Slot] = []
    for name, slot in signature(function).parameters.items():
        words = choices(known[name])
        if words and get_origin(hints[name]) is Annotated:
            _, *extras = get_args(hints[name])
            hints[name] = Annotated[(Literal[words], *extras)]
            if slot.default not in (*words, Slot.empty):
                slot = slot.replace(default=words[0])  # the text says the real one
        if name != without:
            slots.append(slot)
    shown.__signature__ = signature(function).replace(parameters=slots)  # type: ignore[attr-defined]
    shown.__doc__ = function.__doc__
    shown.__annotations__ = {name: hint for name, hint in hints.items() if name != without}
    return shown
