"""A Lava run that goes wrong ends in an error, in time, and leaves no process behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spikeplan.core.errors import UserError
from spikeplan.core.ir.artifact import Artifact, Edge, Layer, save
from spikeplan.core.ir.contexts import KEEP
from spikeplan.lava_procs import LavaError, Passes, replay
from spikeplan.lava_procs.child import group_members

ENDLESS = 100_000  # passes; minutes of work


@pytest.fixture
def net(tmp_path: Path) -> Path:
    code = Layer(name="code", kind="delta", n_in=2, n_out=2)
    out = Layer(name="out", kind="sigma", n_in=2, n_out=1, weight=np.ones((1, 2), np.int8), bias=np.zeros(1, np.int32))
    artifact = Artifact(layers=(code, out), edges=(Edge(src="code", dst="out"),), scales={"latent": 1.0})
    return save(artifact, tmp_path / "net.safetensors")


def passes(count: int) -> Passes:
    return Passes(x=np.ones((count, 2), np.int64), load=np.full(count, KEEP), save=np.full(count, KEEP))


def wait_until_running(folder: Path) -> int:
    """The worker's process group, once Lava's processes are at work."""
    until = time.monotonic() + 300
    while time.monotonic() < until:
        if (folder / "progress").exists():
            return int((folder / "worker.pid").read_text())
        time.sleep(0.02)
    raise AssertionError(f"Lava did not start: {(folder / 'worker.log').read_text()}")


def shared_memory(group: int) -> set[str]:
    """Segments that a group has mapped. Other people's Lava runs come and go in /dev/shm at the same time."""
    maps = "".join(Path(f"/proc/{pid}/maps").read_text() for pid in group_members(group))
    return set(re.findall(r"/dev/shm/psm_\w+", maps))


def test_timeout(net: Path, tmp_path: Path) -> None:
    """On a busy machine Lava may take longer to start than the first limits allow."""
    for timeout_s in (2, 8, 32, 128):
        with pytest.raises(LavaError, match=rf"no result within {timeout_s} s") as error:
            replay(net, passes(ENDLESS), timeout_s=timeout_s, workdir=tmp_path / "run")
        if started := re.search(r"at pass \d+ of 100000", str(error.value)):
            break
    assert started
    assert group_members(int((tmp_path / "run" / "worker.pid").read_text())) == []


@pytest.mark.parametrize("victim", ["the worker", "one of Lava's processes"])
def test_killed_by_a_signal(net: Path, tmp_path: Path, victim: str) -> None:
    folder = tmp_path / "run"
    killed: list[float] = []
    segments: set[str] = set()

    def kill() -> None:
        group = wait_until_running(folder)
        segments.update(shared_memory(group))
        target = group if victim == "the worker" else max(group_members(group))
        os.kill(target, signal.SIGKILL)
        killed.append(time.monotonic())

    killer = threading.Thread(target=kill)
    killer.start()
    expected = "killed by signal 9" if victim == "the worker" else "a Lava process ended early"
    with pytest.raises(LavaError, match=expected):
        replay(net, passes(ENDLESS), timeout_s=600, workdir=folder)
    killer.join()
    assert time.monotonic() - killed[0] < 300, "noticed, not timed out"
    assert group_members(int((folder / "worker.pid").read_text())) == []
    assert segments
    assert not [segment for segment in segments if Path(segment).exists()]


def test_parent_killed(net: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    passes(ENDLESS).write(tmp_path / "endless.npz")
    script = (
        "import sys; from spikeplan.lava_procs import Passes, replay; net, passes, run = sys.argv[1:]; "
        "replay(net, Passes.read(passes), timeout_s=600, workdir=run)"
    )
    command = [sys.executable, "-c", script, str(net), str(tmp_path / "endless.npz"), str(folder)]
    with subprocess.Popen(command, cwd=Path(__file__).resolve().parents[2]) as parent:
        group = wait_until_running(folder)
        assert len(group_members(group)) > 5
        parent.kill()
    until = time.monotonic() + 120
    while group_members(group) and time.monotonic() < until:
        time.sleep(0.05)
    assert group_members(group) == []


def test_failure_while_lava_builds_its_processes(net: Path, tmp_path: Path) -> None:
    """A slot number that no memory can hold: the error arises in a child process."""
    job = replace(passes(3), save=np.array([KEEP, 2**40, KEEP]))
    with pytest.raises(LavaError, match="Unable to allocate"):
        replay(net, job, timeout_s=600, workdir=tmp_path / "run")


def test_failure_of_a_running_process_keeps_its_traceback(net: Path, tmp_path: Path) -> None:
    """The worker once more, with an arithmetic that fails; Lava itself would say nothing and wait for ever."""
    replay(net, passes(3), timeout_s=600, workdir=tmp_path)  # leaves job.json and passes.npz
    script = (
        "import sys, spikeplan.lava_procs.neurons as neurons\n"
        "def fail(*_): raise ZeroDivisionError('on purpose')\n"
        "neurons.send_fixed = fail\n"
        "from spikeplan.lava_procs.worker import main\n"
        "import json, os, pathlib\n"
        "job = pathlib.Path(sys.argv[1]); job.write_text(json.dumps(json.loads(job.read_text()) | {'parent': None}))\n"
        "sys.exit(main(str(job)))\n"
    )
    with (tmp_path / "log").open("wb") as log:
        done = subprocess.run(
            [sys.executable, "-c", script, str(tmp_path / "job.json")],
            cwd=Path(__file__).resolve().parents[2],
            timeout=300,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    assert done.returncode == 1
    assert "ZeroDivisionError: on purpose" in (tmp_path / "log").read_text()


def test_bad_input_is_one_line(net: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such artifact"):
        replay(tmp_path / "absent", passes(1), timeout_s=5, workdir=tmp_path)
    with pytest.raises(UserError, match="precision 'fp32' is unknown"):
        replay(net, passes(1), timeout_s=5, workdir=tmp_path, precision="fp32")
    with pytest.raises(UserError, match="cannot write there"):
        replay(net, passes(1), timeout_s=5, workdir=net / "run")
