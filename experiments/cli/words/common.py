"""What several commands share: how an argument gets its text, `--json`, `--out`, `--chip`, `--task`.

Every argument has a text (a test walks over all of them). `{tasks}`, `{methods}`, ... in a text become the names there are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import tyro


@dataclass(frozen=True)
class Command:
    """`kept`: what an interrupted run leaves behind, said when it is interrupted. `unused(given)`: one line where a flag that
    was given would do nothing, from the words that were given by argument name."""

    run: Callable[..., Any]
    kept: str = "nothing of it was kept"
    unused: Callable[[Mapping[str, str]], str | None] = lambda given: None

    @property
    def line(self) -> str:
        """The first sentence of the docstring."""
        text = " ".join((self.run.__doc__ or "").split("\n\n")[0].split())
        return text.split(". ")[0].removesuffix(".")


@dataclass(frozen=True)
class Group:
    about: str
    commands: dict[str, Command]


def text(help: str, metavar: str | None = None, default: str | None = None) -> Any:
    """An argument's help; `default` says in words what None does."""
    hint = None if default is None else f"(default: {default})"
    return tyro.conf.arg(help=help, metavar=metavar, help_behavior_hint=hint)


def flags(given: Mapping[str, str], *names: str) -> str:
    """Those of `names` that were given, as flags in words; empty where none was."""
    return " and ".join(f"--{name.replace('_', '-')}" for name in names if name in given)


SHARDS_KEPT = "finished shards are kept; the same command goes on from there"

Json = Annotated[
    str | None,
    text("the result as JSON: into FILE, or on stdout (and no table) without FILE or with -", "[FILE]", "tables only"),
]
Seed = Annotated[int, text("seed of everything that is drawn, 0 to 2^63 - 1", "N")]
Chip = Annotated[str, text("the chip: {chips}", "CHIP")]
Overwrite = Annotated[bool, text("replace the results of a run with other settings in --out")]
Task = Annotated[str, text("the task: {tasks}", "TASK")]
Devices = Annotated[
    str | None,
    text("a TOML file with devices or figures of your own (docs/energy.md)", "FILE", "the shipped catalogue"),
]
