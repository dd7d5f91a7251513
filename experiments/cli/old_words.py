"""Words of version 0.1 and what each is called now: every one gets a line that names the new one."""

from __future__ import annotations

COMMANDS = {"fuse": "fusion"}
FLAGS = {
    "--arm": "--method",
    "--axis": "--reference",
    "--target": "--chip",
    "--copies": "--replicas",
    "--ledgers": "--counts-files",
}
PLACES = {
    "train": "--task",
    "events convert": "--out",
    "events slice": "--out",
    "events view": "--out",
    "events represent": "--out",
    "events simulate": "--out",
}


def flag(path: str, name: str) -> str | None:
    """The line for a flag that has another name now."""
    new = FLAGS.get(name)
    return None if new is None else f"{path}: {name} is called {new} now"


def place(path: str, word: str) -> str | None:
    """The line for a word that had a place of its own and has a flag now."""
    new = PLACES.get(path)
    return None if new is None else f"{path}: {word!r} goes by {new} now; write {new} {word}"
