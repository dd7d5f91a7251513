"""A session that goes wrong ends in an error, in time, and leaves no process and no shared memory behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from spikeplan.core.errors import UserError
from spikeplan.core.ir.artifact import Artifact, save
from spikeplan.core.planning import PlanParams
from spikeplan.lava_procs import LavaError
from spikeplan.lava_procs.child import group_members
from spikeplan.lava_procs.session import LavaSession

PLAN = PlanParams(
    samples=8,
    iterations=2,
    elites=4,
    horizon=4,
    chunk=2,
    limit=3000,
    action_shift=1,
    cost_shift=2,
    start_spread=3000,
    least_spread=200,
    deviation_factor=139,
    warm_factor=512,
    latent_dim=6,
    action_dim=2,
)
Z = np.zeros(6, np.int64)
START_S = 300  # no limit that a busy machine meets


@pytest.fixture
def net(artifact: Artifact, tmp_path: Path) -> Path:
    return save(artifact, tmp_path / "net.safetensors")


@pytest.fixture
def session(net: Path, tmp_path: Path) -> Iterator[LavaSession]:
    with LavaSession.open(net, PLAN, timeout_s=START_S, workdir=tmp_path / "run") as opened:
        yield opened


@pytest.fixture(scope="module")
def lasting(artifact: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LavaSession]:
    """One session for all bad input: what is refused leaves it able to plan."""
    folder = tmp_path_factory.mktemp("lasting")
    path = save(artifact, folder / "net.safetensors")
    with LavaSession.open(path, PLAN, timeout_s=START_S, workdir=folder / "run") as opened:
        yield opened


def gone(group: int) -> bool:
    until = time.monotonic() + 120
    while group_members(group) and time.monotonic() < until:
        time.sleep(0.05)
    return not group_members(group)


def test_it_stays_up_and_closes(session: LavaSession) -> None:
    group = session.worker.pid
    first, again = session.plan(Z, Z + 500, 7, fresh=True)[1], session.plan(Z, Z + 500, 7, fresh=True)[1]
    assert (first.cost_IS == again.cost_IS).all() and session.plans == 2
    warm = session.plan(Z, Z + 500, 7)[1]
    assert (warm.cost_IS[0] != first.cost_IS[0]).any(), "the old plan is the start of the next"
    assert len(group_members(group)) > 5
    session.close()
    assert gone(group) and session.close() == session.close()
    with pytest.raises(LavaError, match="closed"):
        session.plan(Z, Z, 1)


def victim_of(group: int, victim: str) -> int:
    members = sorted(group_members(group))
    trackers = [pid for pid in members if b"resource_tracker" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    others = [pid for pid in members if pid not in (group, *trackers)]
    return {
        "the worker": group,
        "Python's tracker": trackers[0],
        "shared memory": others[0],
        "a Lava process": others[-1],
        "the group": -group,
    }[victim]


@pytest.mark.parametrize("victim", ["the worker", "a Lava process", "Python's tracker", "shared memory", "the group"])
def test_kill_9(victim: str, session: LavaSession) -> None:
    group = session.worker.pid
    session.plan(Z, Z, 1)
    assert session.segments and all(Path(path).exists() for path in session.segments)
    os.kill(victim_of(group, victim), signal.SIGKILL)
    began = time.monotonic()
    with pytest.raises(LavaError, match="Lava session: (killed by signal 9|exit code 1)"):
        for _ in range(1000):
            session.plan(Z, Z, 1)
    assert time.monotonic() - began < START_S, "an error, no timeout"
    assert gone(group)
    assert not any(Path(path).exists() for path in session.segments)


def test_a_child_that_hangs_is_ended_at_the_timeout(session: LavaSession) -> None:
    group = session.worker.pid
    session.plan(Z, Z, 1)
    os.killpg(group, signal.SIGSTOP)
    session.timeout_s = 1.0
    began = time.monotonic()
    with pytest.raises(LavaError, match="no answer to plan 2 within 1 s"):
        session.plan(Z, Z, 1)
    assert time.monotonic() - began < 60, "nobody waits politely for what does not answer"
    assert gone(group)


def test_killed_in_the_middle_of_a_plan(session: LavaSession) -> None:
    session.plan(Z, Z, 1)
    group, victim = session.worker.pid, max(group_members(session.worker.pid))
    killer = threading.Timer(0.3, os.kill, (victim, signal.SIGKILL))
    killer.start()
    with pytest.raises(LavaError, match="Lava session: (killed by signal 9|exit code 1)"):
        for _ in range(100_000):
            session.plan(Z, Z, 1)
    killer.join()
    assert gone(group)


def test_two_sessions_do_not_share_a_directory(net: Path, session: LavaSession) -> None:
    with pytest.raises(UserError, match="another Lava session works there"):
        LavaSession.open(net, PLAN, timeout_s=START_S, workdir=session.log.parent)
    assert session.plan(Z, Z, 1)[1].cost_IS.shape == (2, 8)


def test_nothing_is_left_in_the_temporary_directory(net: Path, tmp_path: Path) -> None:
    with LavaSession.open(net, PLAN, timeout_s=START_S, workdir=tmp_path / "run") as session:
        scratch = session.worker.scratch
        session.plan(Z, Z, 1)
        assert any(scratch.iterdir()), "Python's shared memory keeps a socket there"
    assert not scratch.exists()


def test_a_long_temporary_directory_is_no_hindrance(net: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sockets of Python's shared memory would have paths of more than 107 bytes there."""
    (tmp_path / ("long" * 20)).mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / ("long" * 20)))
    with LavaSession.open(net, PLAN, timeout_s=START_S, workdir=tmp_path / "run") as session:
        session.plan(Z, Z + 500, 7, fresh=True)
        assert list((tmp_path / ("long" * 20)).iterdir()) == []


def test_a_parent_that_is_killed_leaves_nothing(net: Path, tmp_path: Path) -> None:
    script = (
        "import sys, time, numpy as np\n"
        "from spikeplan.lava_procs.session import LavaSession\n"
        "from spikeplan.core.planning import PlanParams\n"
        f"plan = PlanParams.of({PLAN.__dict__!r})\n"
        f"session = LavaSession.open({str(net)!r}, plan, timeout_s={START_S}, workdir={str(tmp_path / 'run')!r})\n"
        "print(session.worker.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    root = Path(__file__).resolve().parents[2]
    parent = subprocess.Popen(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(root / "src")},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    group = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert gone(group)


@pytest.mark.parametrize(
    ("latent", "seed", "match"),
    [
        (np.zeros(5, np.int64), 1, r"latent of shape \(5,\).*expected \(6,\)"),
        (np.zeros(6), 1, "float64"),
        (np.full(6, 1 << 23), 1, "24-bit integers"),
        (np.full(6, -(2**63)), 1, "24-bit integers"),
        (Z, 1.5, "seed 1.5 must be a 24-bit whole number"),
        (Z, 1 << 24, "seed 16777216"),
    ],
)
def test_bad_input_is_refused_and_the_session_goes_on(
    latent: np.ndarray, seed: int, match: str, lasting: LavaSession
) -> None:
    with pytest.raises(UserError, match=match):
        lasting.plan(latent, Z, seed)
    assert lasting.plan(Z, Z, 1)[1].cost_IS.shape == (2, 8)


def test_a_network_of_another_size_is_refused_before_anything_starts(net: Path, tmp_path: Path) -> None:
    wide = PlanParams.of(PLAN.__dict__ | {"latent_dim": 7})
    with pytest.raises(UserError, match="8 inputs and 6 outputs; a loop over 7 latents"):
        LavaSession.open(net, wide, timeout_s=START_S, workdir=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    with pytest.raises(UserError, match="elites 3 must be a power of two"):
        PlanParams.of(PLAN.__dict__ | {"elites": 3})
