"""A plug-in that cannot be used ends in one line that says what, where and the remedy, and leaves nothing behind."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from spikeplan.core import registry
from spikeplan.core.errors import UserError
from spikeplan.core.registry import load_plugins
from spikeplan.worldmodel.tasks import TASKS

TASK = "from spikeplan.worldmodel.tasks.base import Task\nTASK = Task(name={name!r}, world=None)\n"


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        (
            "import no_such_module_anywhere\n",
            r"mine\.py: cannot be imported \(ModuleNotFoundError.*mend it, or leave it out",
        ),
        ("1 / 0\n", r"mine\.py: cannot be imported \(ZeroDivisionError"),
        ("def f(:\n", r"mine\.py: cannot be imported \(SyntaxError"),
        ("raise SystemExit(3)\n", r"mine\.py: cannot be imported \(SystemExit"),
        ("x = 1\n", r"mine\.py: exports nothing; give it one of TASK, PREDICTOR"),
        (TASK.format(name="two-room"), r"mine\.py: there is a task 'two-room' already; give yours another name"),
        ("TASK = 3\n", r"mine\.py: TASK holds a int; export a Task"),
    ],
)
def test_is_refused_in_one_line(source: str, complaint: str, plug: Any) -> None:
    path = plug(source, load=False)
    before = os.environ[registry.VARIABLE]
    with pytest.raises(UserError, match=complaint) as caught:
        load_plugins([str(path)])
    assert "\n" not in str(caught.value)
    assert os.environ[registry.VARIABLE] == before and "two-room" in TASKS


def test_a_name_twice_in_two_plugins(plug: Any) -> None:
    plug(TASK.format(name="same"), "one.py")
    with pytest.raises(UserError, match=r"two\.py: there is a task 'same' already"):
        plug(TASK.format(name="same"), "two.py")
    assert "same" in TASKS


def test_a_missing_file_and_a_missing_module(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"absent\.py: no such file"):
        load_plugins([str(tmp_path / "absent.py")])
    with pytest.raises(UserError, match=r"no_such_module_anywhere: cannot be imported"):
        load_plugins(["no_such_module_anywhere"])
