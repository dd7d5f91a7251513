"""From words to the command that they name, and one clear line where they name none.

Commands, flags and values are checked here, before the parser and before anything heavy is imported: a slip is answered
within a second. What is left goes to tyro, which also prints the help of a single command.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass, replace
from functools import cache
from inspect import Parameter as Slot
from inspect import signature
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

import tyro

from spikeplan.core.errors import UserError
from spikeplan.experiments.cli import names, old_words
from spikeplan.experiments.cli.words import (
    bench,
    convert,
    doctor,
    energy,
    events,
    fusion,
    lava,
    listing,
    place,
    plan,
    study,
    train,
)
from spikeplan.experiments.cli.words.common import Command, Group

COMMANDS: dict[str, Command] = {
    name: command
    for module in (study, train, plan, convert, place, fusion, bench, listing, doctor)
    for name, command in module.COMMANDS.items()
}
GROUPS: dict[str, Group] = {"events": events.GROUP, "lava": lava.GROUP, "energy": energy.GROUP}
ABOUT = "Convert the planner of a JEPA world model to spiking networks, simulate it, and count what that buys."
HELP = ("-h", "--help")


class Chosen(NamedTuple):
    command: Command
    run: Callable[[], Any]


@dataclass(frozen=True)
class Argument:
    """One argument of a command, read from the signature of its function."""

    name: str
    positional: bool
    many: bool
    kind: type  # of a value: str, int, float, bool
    choices: tuple[Any, ...]
    required: bool
    help: str
    metavar: str

    @property
    def flag(self) -> str:
        return f"--{self.name.replace('_', '-')}"

    @property
    def shown(self) -> str:
        """As the usage line and docs/cli.md have it."""
        return self.metavar if self.positional else self.flag


@cache
def arguments(function: Callable[..., Any]) -> tuple[Argument, ...]:
    hints = get_type_hints(function, include_extras=True)
    return tuple(_argument(name, hints[name], slot) for name, slot in signature(function).parameters.items())


def _argument(name: str, hint: Any, slot: Slot) -> Argument:
    extras: tuple[Any, ...] = ()
    if get_origin(hint) is Annotated:
        hint, *rest = get_args(hint)
        extras = tuple(rest)
    parts = [part for part in get_args(hint) if part is not NoneType]
    inner = parts[0] if get_origin(hint) in (UnionType, Union) else hint
    many = get_origin(inner) is tuple
    choices = get_args(inner) if get_origin(inner) is Literal else ()
    kind = get_args(inner)[0] if many else type(choices[0]) if choices else inner
    metavar = next((extra.metavar for extra in extras if getattr(extra, "metavar", None)), "")
    return Argument(
        name=name,
        positional=any(extra in get_args(tyro.conf.Positional[str]) for extra in extras),
        many=many,
        kind=kind,
        choices=choices,
        required=slot.default is Slot.empty,
        help=next((extra.help for extra in extras if getattr(extra, "help", None)), ""),
        metavar=metavar or (f"{{{','.join(map(str, choices))}}}" if choices else ""),
    )


def parse(words: Sequence[str]) -> Chosen | None:
    """The command that `words` name; None where help was printed. Raises UserError with one line."""
    if not words:
        raise UserError(f"no command; use one of {', '.join(top())}, or --help")
    path, rest = [words[0]], list(words[1:])
    if words[0] in HELP:
        print(overview())
        return None
    command: Command | Group | None = COMMANDS.get(words[0]) or GROUPS.get(words[0])
    if command is None:
        raise UserError(unknown(words[0], top(), ""))
    if isinstance(command, Group):
        if not rest:
            raise UserError(f"{words[0]}: no command; use one of {', '.join(command.commands)}, or --help")
        if rest[0] in HELP:
            print(overview(words[0]))
            return None
        found = command.commands.get(rest[0])
        if found is None:
            raise UserError(unknown(rest[0], tuple(command.commands), f"{words[0]} "))
        command = found
        path.append(rest.pop(0))
    if any(word in HELP for word in rest):
        tyro.cli(with_names(command.run), args=["--help"], prog=" ".join(["spikeplan", *path]))
    rest = open_json(command, rest)
    given = check_words(" ".join(path), arguments(command.run), rest)
    idle = command.unused(given)
    if idle is not None:
        raise UserError(f"{' '.join(path)}: {idle}")
    return Chosen(command, _parsed(command.run, rest, " ".join(path)))


def top() -> tuple[str, ...]:
    return (*COMMANDS, *GROUPS)


def unknown(word: str, known: tuple[str, ...], group: str) -> str:
    new = old_words.COMMANDS.get(f"{group}{word}")
    if new is not None:
        return f"`spikeplan {group}{word}` is called `spikeplan {new}` now"
    if word.startswith("-"):
        return f"unknown option {word} before the command; --version, --plugin and --help go there"
    where = f"{group.strip()}: " if group else ""
    return f"{where}unknown command {word!r}; {names.did_you_mean(word, known)}expected one of {', '.join(known)}"


def open_json(command: Command, words: list[str]) -> list[str]:
    """`--json` without a file means stdout; the parser wants a value."""
    if not any(argument.name == "json" for argument in arguments(command.run)):
        return words
    opened: list[str] = []
    for word, after in zip(words, [*words, "--"][1:], strict=True):
        opened.append(word)
        if word == "--json" and after.startswith("--"):
            opened.append("-")
    return opened


def check_words(path: str, known: Sequence[Argument], words: Sequence[str]) -> dict[str, str]:
    """What was given, by argument name. Refuses an unknown or old flag, a value that cannot be read, a word too many, and what
    is missing."""
    flags = {argument.flag: argument for argument in known if not argument.positional}
    given: dict[str, str] = {}
    places: list[str] = []
    rest = iter(words)
    for word in rest:
        if not word.startswith("--"):
            places.append(word)
            continue
        name, equals, value = word.partition("=")
        name = name.replace("_", "-")
        argument = flags.get(name)
        if argument is None and name.startswith("--no-"):
            argument = flags.get(name.replace("--no-", "--", 1))
            argument = argument if argument is not None and argument.kind is bool else None
        if argument is None:
            raise UserError(old_words.flag(path, name) or _no_flag(path, name, known))
        if argument.kind is bool:
            given[argument.name] = "no" if name.startswith("--no-") else "yes"
            continue
        if not equals:
            value = next(rest, "--")
            if value.startswith("--"):
                raise UserError(f"{path}: {name} needs a value ({filled(argument.help)})")
        check_value(path, argument, value)
        given[argument.name] = value
    slots = [argument for argument in known if argument.positional]
    if len(places) > len(slots) and not any(slot.many for slot in slots):
        extra = places[len(slots)]
        raise UserError(
            old_words.place(path, extra) or f"{path}: one word too many, {extra!r}; see spikeplan {path} --help"
        )
    for argument, value in zip(slots, places, strict=False):
        given[argument.name] = value
        check_value(path, argument, value)
    for argument in known:
        if argument.required and argument.name not in given:
            raise UserError(f"{path}: {argument.shown} is missing ({filled(argument.help)})")
    return given


def _no_flag(path: str, name: str, known: Sequence[Argument]) -> str:
    there = tuple(argument.flag for argument in known if not argument.positional)
    return f"{path}: unknown option {name}; {names.did_you_mean(name, there)}it has {', '.join(there) or 'none'}"


def check_value(path: str, argument: Argument, value: str) -> None:
    if argument.choices and value not in map(str, argument.choices):
        listed = ", ".join(map(str, argument.choices))
        raise UserError(f"{path}: {argument.shown} {value!r} is unknown; use one of {listed}")
    if argument.name == "out" and not value:  # as a path it would be the working directory
        raise UserError(f"{path}: {argument.shown} '' names nothing; give a name ({filled(argument.help)})")
    if argument.kind in (int, float):
        try:
            argument.kind(value)
        except ValueError:
            what = "a whole number" if argument.kind is int else "a number"
            raise UserError(f"{path}: {argument.shown} {value!r} is not {what} ({filled(argument.help)})") from None


def _parsed(function: Callable[..., Any], words: list[str], path: str) -> Callable[[], Any]:
    found: list[Callable[[], Any]] = []

    def note(*args: Any, **settings: Any) -> None:
        found.append(lambda: function(*args, **settings))

    note.__signature__ = signature(function)  # type: ignore[attr-defined]
    note.__annotations__ = get_type_hints(function, include_extras=True)
    note.__doc__ = function.__doc__
    said = io.StringIO()
    try:
        with redirect_stderr(said):
            tyro.cli(note, args=words, prog=f"spikeplan {path}")
    except SystemExit as stop:
        if not stop.code:
            raise
        text = "".join(" " if letter in "╭╮╰╯│─•┃" else letter for letter in said.getvalue())
        raise UserError(f"{path}: {' '.join(text.split())}") from None
    return found[0]


def with_names(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with `{tasks}` and the like in its help texts filled in."""

    def shown() -> None: ...

    shown.__signature__ = signature(function)  # type: ignore[attr-defined]
    shown.__doc__ = function.__doc__
    shown.__annotations__ = {
        name: _filled_hint(hint) for name, hint in get_type_hints(function, include_extras=True).items()
    }
    return shown


def _filled_hint(hint: Any) -> Any:
    if get_origin(hint) is not Annotated:
        return hint
    inner, *extras = get_args(hint)
    new = [replace(e, help=filled(e.help)) if getattr(e, "help", None) else e for e in extras]
    return Annotated[(inner, *new)]


def filled(text: str) -> str:
    """A help text with the names of each kind in place of `{kind}`."""
    for kind, known in names.SHIPPED.items():
        text = text.replace("{" + kind + "}", ", ".join(known))
    return text


def overview(group: str | None = None) -> str:
    """Every command with one line; of one group only where it is named."""
    if group is not None:
        about, prefix = GROUPS[group].about, f"{group} "
        rows = [(name, command.line) for name, command in GROUPS[group].commands.items()]
        end = [f"spikeplan {group} COMMAND --help says what a command takes."]
    else:
        about, prefix = ABOUT, ""
        rows = [(name, command.line) for name, command in COMMANDS.items()]
        for name, found in GROUPS.items():
            rows.append((name, found.about))
            rows += [(f"{name} {each}", command.line) for each, command in found.commands.items()]
        end = [
            "Before the command:",
            "  --plugin MODULE_OR_FILE   load tasks, methods, ... of your own (repeatable)",
            "  --version                 print the version",
            "",
            "spikeplan COMMAND --help says what a command takes; spikeplan list, what can be named.",
        ]
    width = max(len(name) for name, _ in rows) + 2
    listed = [f"  {name:<{width}}{line}" for name, line in rows]
    usage = f"usage: spikeplan {prefix}COMMAND ..." if group else "usage: spikeplan [--plugin MODULE] COMMAND ..."
    return "\n".join([usage, "", about, "", *listed, "", *end])
