"""Progress: nothing for quick work, plain lines where there is no terminal, a bar where there is one."""

from __future__ import annotations

import contextlib
import io
import os
import re
import signal
import time
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import Task, TaskID

from spikeplan.experiments.cli.main import main
from spikeplan.experiments.runner import progress
from spikeplan.experiments.runner.interrupts import signals_wait
from spikeplan.experiments.runner.progress import clock, counted, plain_line, progress_bar, working
from spikeplan.worldmodel.checkpoint import shipped

ARTIFACT = str(shipped("two-room").with_suffix("").with_suffix(".delta.safetensors"))


def console(terminal: bool = False) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, force_jupyter=False, width=100)


def said(where: Console) -> str:
    assert isinstance(where.file, io.StringIO)
    return where.file.getvalue()


@pytest.mark.parametrize("terminal", [False, True])
def test_quick_work_shows_nothing(terminal: bool) -> None:
    where = console(terminal)
    with working("reading", console=where):
        pass
    assert said(where) == ""


def test_slow_work_says_plain_lines_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PATIENCE_S", 0.02)
    monkeypatch.setattr(progress, "EVERY_S", 0.1)
    where = console()
    with working("reading [a]", console=where), working("drawing", total=4, console=where) as step:
        step()
        time.sleep(0.35)
    lines = said(where).splitlines()
    assert 4 <= len(lines) <= 12 and "\r" not in said(where) and "\x1b" not in said(where)
    assert lines.count("reading [a] ...") >= 1 and any(line.startswith("drawing 25 % 0:0") for line in lines)


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PATIENCE_S", 0.02)
    where = console(terminal=True)
    with working("drawing", total=2, console=where) as step:
        step()
        time.sleep(0.3)
    assert "drawing" in said(where) and "50%" in said(where)


def test_a_quiet_console_stays_quiet(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(progress, "PATIENCE_S", 0.01)
    with progress_bar(Console(quiet=True)) as bar:
        bar.add_task("training", total=3)
        time.sleep(0.1)
    assert capsys.readouterr() == ("", "")


def test_progress_goes_to_stderr_so_that_results_can_be_piped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "PATIENCE_S", 0.01)
    with progress_bar(Console()) as bar:
        bar.add_task("training", total=3)
        time.sleep(0.1)
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("training 0 %")


@pytest.mark.parametrize(("seconds", "shown"), [(0, "0:00"), (80, "1:20"), (3601, "1:00:01")])
def test_clock(seconds: float, shown: str) -> None:
    assert clock(seconds) == shown


def test_a_line_says_how_long_is_left() -> None:
    now = [0.0]
    task = Task(TaskID(0), "following", 100.0, 25.0, _get_time=lambda: now[0])
    task.start_time = 0.0
    now[0] = 30.0
    assert plain_line(task) == "following 25 % 1:30 left"
    task.completed = 0.4
    assert plain_line(task).startswith("following 0.4 % "), "work that has begun never shows a bare 0 %"
    task.total = None
    assert plain_line(task) == "following ... 0:30"


def test_counted_work_shows_the_share_that_it_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PATIENCE_S", 0.02)
    monkeypatch.setattr(progress, "EVERY_S", 0.05)
    where = console()
    with counted("pricing [x]", console=where) as on_progress:
        time.sleep(0.1)
        on_progress(3, 12)
        time.sleep(0.2)
    lines = said(where).splitlines()
    assert lines[0] == "pricing [x] ..." and any(line.startswith("pricing [x] 25 %") for line in lines)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "label"),
    [
        (["place", ARTIFACT], "recording the traffic of an episode"),
        (["convert", str(shipped("two-room")), "--out", "a.safetensors"], "recording calibration rollouts, converting"),
    ],
)
def test_a_command_shows_a_share_of_its_work(
    words: list[str],
    label: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(progress, "PATIENCE_S", 0.01)
    monkeypatch.setattr(progress, "EVERY_S", 0.05)
    with contextlib.suppress(SystemExit):
        main(words)
    shares = [int(share) for share in re.findall(rf"^{label} (\d+) %", capsys.readouterr().err, re.M)]
    assert len(set(shares)) > 3 and shares == sorted(shares)


class Ended(Exception):
    pass


def test_a_signal_waits_until_the_work_can_be_left() -> None:
    def end(number: int, frame: object) -> None:
        raise Ended

    before = signal.signal(signal.SIGTERM, end)
    done = []
    try:
        with pytest.raises(Ended), signals_wait() as asked:
            assert not asked()
            os.kill(os.getpid(), signal.SIGTERM)
            done.append(asked())
        with pytest.raises(Ended), signals_wait():
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGTERM)
            done.append("the second takes effect at once")
        assert done == [True] and signal.getsignal(signal.SIGTERM) is end
    finally:
        signal.signal(signal.SIGTERM, before)
