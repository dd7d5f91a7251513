"""Bad input ends in one line that says what, where and the remedy, exit code 2, and nothing half-written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from spikeplan.experiments.cli.main import main
from spikeplan.lava_procs.child import group_members
from spikeplan.worldmodel.checkpoint import shipped
from spikeplan.worldmodel.tasks import make_world

PLAN = ["plan", "--task", "two-room", "--method", "dense", "--episodes", "4"]


def refused(args: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()  # what ran before may have shown progress
    with pytest.raises(SystemExit) as stop:
        main(args)
    assert stop.value.code == 2
    line = capsys.readouterr().err.strip()
    assert line.startswith("spikeplan: ") and "\n" not in line and "Traceback" not in line
    return line


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["plan", "--task", "three-room", "--method", "dense"], "use one of planar-reach"),
        (["plan", "--task", "two-room", "--method", "quantum"], "use one of dense, int8"),
        (
            ["plan", "--task", "two-room", "--method", "sigma_delta", "--reference", "time"],
            "use one of zero, previous_step",
        ),
        (
            ["plan", "--task", "two-room", "--method", "dense", "--reference", "mean_candidate"],
            "--reference goes with one of sigma_delta",
        ),
        (["plan", "--task", "two-room", "--method", "dense", "--elites", "65"], "elites 65 exceed samples 64"),
        (["plan", "--task", "two-room", "--method", "dense", "--horizon", "0"], "horizon 0 must be at least 1"),
        (["plan", "--task", "two-room", "--method", "dense", "--episodes", "-3"], "-3 must be at least 1"),
    ],
)
def test_impossible_requests(
    args: list[str], expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert expected in refused([*args, "--out", str(out)], capsys)
    assert not out.exists()


def test_unwritable_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("")
    assert "choose another --out" in refused([*PLAN, "--out", str(blocker / "sub")], capsys)


@pytest.mark.parametrize("damage", ["missing", "truncated", "foreign"])
def test_bad_checkpoint(damage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "model.safetensors"
    if damage == "truncated":
        path.write_bytes(shipped("two-room").read_bytes()[:1000])
    if damage == "foreign":
        path.write_bytes(shipped("two-room").with_suffix("").with_suffix(".delta.safetensors").read_bytes())
    line = refused([*PLAN, "--out", str(tmp_path / "out"), "--checkpoint", str(path)], capsys)
    assert "model.safetensors" in line and "train" in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("damage", ["missing", "truncated", "foreign", "other task"])
def test_bad_artifact(damage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "net.safetensors"
    good = shipped("two-room").with_suffix("").with_suffix(".delta.safetensors").read_bytes()
    other = shipped("planar-reach").with_suffix("").with_suffix(".delta.safetensors").read_bytes()
    content = {"truncated": good[: len(good) // 2], "foreign": shipped("two-room").read_bytes(), "other task": other}
    if damage != "missing":
        path.write_bytes(content[damage])
    args = ["plan", "--task", "two-room", "--method", "sigma_delta", "--episodes", "4", "--artifact", str(path)]
    assert "net.safetensors" in refused([*args, "--out", str(tmp_path / "out")], capsys)
    if damage != "other task":
        assert "net.safetensors" in refused(["check", str(path)], capsys)


def test_check_says_what_fits(capsys: pytest.CaptureFixture[str]) -> None:
    path = str(shipped("two-room").with_suffix("").with_suffix(".delta.safetensors"))
    for target, code in (("loihi2", 0), ("loihi1", 1)):
        with pytest.raises(SystemExit) as stop:
            main(["check", path, "--chip", target])
        assert stop.value.code == code
    assert "binary spikes" in capsys.readouterr().out.replace("\n", " ")


def test_events_info(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip = Path(os.environ.get("SPIKEPLAN_AEDAT4", "clip.aedat4"))
    if not clip.exists():
        pytest.skip("shared/recordings/davis.aedat4 is not beside this checkout")
    main(["events", "info", str(clip), "--json"])
    facts = json.loads(capsys.readouterr().out)
    assert (facts["events"], facts["frames"], facts["imu"]) == (117_667, 3, 130)
    assert facts["offset_us"] == {"imu": 678, "frames": 2954}
    empty = tmp_path / "empty.aedat4"
    empty.touch()
    assert "empty.aedat4" in refused(["events", "info", str(empty)], capsys)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["sigma_delta", "lif", "oracle"])
def test_plan_one_method(method: str, tmp_path: Path) -> None:
    """A real closed loop: better than chance, with the main job's fields and operation counts that adds up."""
    main(
        [
            "plan",
            "--task",
            "planar-reach",
            "--method",
            method,
            "--episodes",
            "8",
            "--seed",
            "1",
            "--out",
            str(tmp_path),
        ]
    )
    found = json.loads((tmp_path / "summary.json").read_text())["tasks"]["planar-reach"]["methods"][method]
    assert (found["episodes"], found["seeds"]) == (8, 1) and found["success"] >= 0.75
    assert found["ci95"][0] < found["success"] <= found["ci95"][1]
    if method == "oracle":
        assert found["synops_per_action"] is None
    else:
        floor = 10 * found["neuron_updates_per_action"]
        assert found["synop_equivalents_per_action"] >= found["synops_per_action"] + floor
    assert not (tmp_path / "parts").exists()


@pytest.mark.slow
def test_plan_through_lava(tmp_path: Path) -> None:
    """Real episodes through real Lava processes; every plan equals the reference, which does not plan worse than chance."""
    small = ["--samples", "16", "--iterations", "2", "--horizon", "6"]
    main(
        [
            "plan",
            "--task",
            "planar-reach",
            "--method",
            "lava",
            "--episodes",
            "2",
            *small,
            "--out",
            str(tmp_path / "lava"),
        ]
    )
    main(
        [
            "plan",
            "--task",
            "planar-reach",
            "--method",
            "integer",
            "--episodes",
            "2",
            *small,
            "--out",
            str(tmp_path / "int"),
        ]
    )
    lava, integer = (
        json.loads((tmp_path / out / "summary.json").read_text())["tasks"]["planar-reach"]["methods"][method]
        for out, method in (("lava", "lava"), ("int", "integer"))
    )
    plans = 2 * make_world("planar-reach").max_steps
    assert lava["plans"] == plans and lava["values_different"] == 0
    assert lava["values_compared"] > plans * 2 * 6 * 16 * 32, "latents of every candidate and step, costs, elites, fits"
    assert lava["success"] == integer["success"] >= 0.5
    for name in ("drift_from_floating", "drift_from_dense"):
        assert len(lava[name]) == 6 and min(lava[name]) > 0 and max(lava[name]) < 1.5
    assert set(lava["messages_per_pass"]) == {"code", "h1", "h2", "out"} and lava["plan_seconds"] > 0


@pytest.mark.slow
def test_planners(tmp_path: Path) -> None:
    """Three planners of one network on the same episodes: rows, pairs, and an interval that few episodes leave wide."""
    main(["planners", "--episodes", "2", "--seeds", "1", "--out", str(tmp_path)])
    summary = json.loads((tmp_path / "summary.json").read_text())
    for rows in summary["tasks"].values():
        by_method = {row["method"]: row for row in rows}
        assert set(by_method) == {"sigma_delta", "sigma_delta-mad", "integer"}
        assert all(row["episodes"] == 2 and row["success"] >= 0.5 for row in rows)
        minus = by_method["integer"]["minus"]
        assert set(minus) == {"sigma_delta", "sigma_delta-mad"} and not minus["sigma_delta"]["holds"]
        assert minus["sigma_delta"]["mean"] == by_method["integer"]["success"] - by_method["sigma_delta"]["success"]
        assert (
            by_method["integer"]["equivalents"]["sequential"] > by_method["integer"]["equivalents"]["interleaved"] > 0
        )


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["foo"], "unknown command 'foo'; expected one of demo, results"),
        ([], "no command; use one of demo"),
        (["plan", "--task", "two-room", "--method", "dense", "--out", "o", "--episodes", "many"], "--episodes"),
        (["events"], "events: no command; use one of info"),
        ([*PLAN, "--out", "o", "--seed", "-1"], "--seed -1 must be from 0"),
        ([*PLAN, "--out", "o", "--samples", "1000000000000"], "at most 100000"),
        ([*PLAN, "--out", "o", "--threshold", "0.5"], "for sigma-delta methods only"),
        (
            ["plan", "--task", "two-room", "--method", "sigma_delta", "--out", "o", "--threshold", "nan"],
            "--threshold nan",
        ),
        (
            ["plan", "--task", "two-room", "--method", "lava", "--out", "o", "--reference", "mean_candidate"],
            "reference 'mean_candidate' does not run",
        ),
        (
            ["plan", "--task", "two-room", "--method", "integer", "--out", "o", "--elites", "6"],
            "power of two; use --elites",
        ),
        (
            ["plan", "--task", "two-room", "--method", "lava", "--out", "o", "--elites", "6"],
            "power of two; use --elites",
        ),
        (
            [*PLAN, "--out", "o", "--samples", "10000", "--horizon", "10000"],
            "predictions an action, at most 10,000,000",
        ),
        (["place", "a", "--spread", "5000"], "--spread 5000 must be from 1 to 4096"),
        (["bench", "lava", "--json", "none/x.json"], "no file that can be written"),
        (["planners", "--out", "o", "--episodes", "0"], "--episodes 0 must be at least 1"),
    ],
)
def test_the_parser_and_the_limits_answer_in_one_line(
    args: list[str], expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert expected in refused(args, capsys)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["place", "lava run"])
def test_an_output_never_writes_over_an_input(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    whole = shipped("two-room").with_suffix("").with_suffix(".delta.safetensors").read_bytes()
    (tmp_path / "a.net").write_bytes(whole)
    words = [*command.split(), "a.net"]
    assert "--json a.net: would write over an input" in refused([*words, "--json", "a.net"], capsys)
    assert "--svg ./b: would write over --json" in refused([*words, "--json", "b", "--svg", "./b"], capsys)
    assert "no file that can be written" in refused([*words, "--svg", "none/b.svg"], capsys)
    assert "no file that can be written" in refused([*words, "--json", "."], capsys)
    assert (tmp_path / "a.net").read_bytes() == whole and [p.name for p in tmp_path.iterdir()] == ["a.net"]


def test_networks_of_another_task_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    method = ["plan", "--task", "two-room", "--method", "sigma_delta", "--out", str(tmp_path / "o")]
    assert "trained on task planar-reach" in refused([*method, "--checkpoint", str(shipped("planar-reach"))], capsys)
    foreign = str(shipped("two-room-random")).replace(".safetensors", ".delta.safetensors")
    assert "converted for task two-room-random" in refused([*method, "--artifact", foreign], capsys)
    assert not (tmp_path / "o").exists()


def test_convert_writes_over_neither_its_checkpoint_nor_a_device(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "m.safetensors"
    model.write_bytes(shipped("two-room").read_bytes())
    assert "is the checkpoint itself" in refused(["convert", str(model), "--out", str(model)], capsys)
    assert model.read_bytes() == shipped("two-room").read_bytes()
    os.mkfifo(tmp_path / "pipe")
    assert "no file to write" in refused(["convert", str(model), "--out", str(tmp_path / "pipe")], capsys)
    assert (tmp_path / "pipe").is_fifo()


def test_results_of_another_command_and_foreign_files_stay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = ["--samples", "4", "--iterations", "1", "--elites", "2", "--horizon", "2", "--chunk", "1"]
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "thesis.txt").write_text("mine")
    main([*PLAN, *small, "--out", str(tmp_path)])
    assert (tmp_path / "parts" / "thesis.txt").read_text() == "mine"
    assert [p.name for p in (tmp_path / "parts").iterdir()] == ["thesis.txt"], "its own shards are gone"
    asked = json.loads((tmp_path / "config.json").read_text())
    assert (asked["episodes"], asked["planner"]["samples"], asked["reference"]) == (4, 4, "zero")
    (tmp_path / "config.json").write_text(json.dumps({"command": "results"}))
    assert "holds the results of `results`" in refused([*PLAN, *small, "--out", str(tmp_path)], capsys)
    assert json.loads((tmp_path / "config.json").read_text()) == {"command": "results"}


@pytest.mark.slow
def test_sigterm_ends_everything_in_one_line(tmp_path: Path) -> None:
    """In the middle of planning in Lava: no process, no temporary directory, exit code 128 + 15."""
    scratch = Path(tempfile.mkdtemp())  # a path short enough for the sockets in it
    words = ["plan", "--task", "planar-reach", "--method", "lava", "--episodes", "200", "--out", str(tmp_path / "o")]
    environment = {**os.environ, "TMPDIR": str(scratch), "PYTHONPATH": str(Path(__file__).resolve().parents[2] / "src")}
    with subprocess.Popen(
        [sys.executable, "-m", "spikeplan.experiments.cli.main", *words],
        env=environment,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    ) as tool:
        pid_file = tmp_path / "o" / "lava" / "worker.pid"
        until = time.monotonic() + 300
        while not (pid_file.exists() and pid_file.read_text()) and time.monotonic() < until:
            time.sleep(0.05)
        time.sleep(2.0)
        group = int(pid_file.read_text())
        assert group_members(group)
        tool.terminate()
        _, said = tool.communicate(timeout=300)
    assert tool.returncode == 143 and said.strip().splitlines()[-1].startswith("spikeplan: ended by SIGTERM")
    assert group_members(group) == []
    scratch.rmdir()  # nothing is left in it
