"""Bad input ends in one line that says what, where and the remedy, exit code 2, and nothing half-written."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from spikeplan.experiments.cli.main import main
from spikeplan.worldmodel.checkpoint import shipped

PLAN = ["plan", "--task", "two-room", "--method", "dense", "--episodes", "4"]


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["plan", "--task", "three-room", "--method", "dense"], "planar-reach, planar-reach-near"),
        (["plan", "--task", "two-room", "--method", "quantum"], "use one of converted-delta_transformer, "),
        (
            ["plan", "--task", "two-room", "--method", "sigma_delta", "--reference", "time"],
            "use one of zero, previous_step",
        ),
        (
            ["plan", "--task", "two-room", "--method", "dense", "--reference", "mean_candidate"],
            "--reference goes with one of policy-sigma_delta",
        ),
        (
            ["plan", "--task", "two-room", "--method", "dense", "--spread", "0.5"],
            "CEM: no setting spread; it has samples",
        ),
        (
            ["plan", "--task", "two-room", "--method", "guided", "--copies", "4"],
            "guided: no setting copies; it has samples",
        ),
        (["plan", "--task", "two-room", "--method", "guided", "--decay", "1.5"], "decay 1.5 must lie between 0 and 1"),
        (["plan", "--task", "two-room", "--method", "guided", "--samples", "0"], "samples 0 must be at least 1"),
        (["plan", "--task", "two-room", "--method", "lava", "--cost", "effort"], "takes no cost but its own"),
        (["results", "--task", "moon"], "task 'moon' is not in the study; use one of keep-out, two-room"),
        (["plan", "--task", "two-room", "--method", "guided", "--cost", "effrt"], "effort"),
        (
            ["plan", "--task", "two-room", "--method", "dense", "--planner", "integer-cem"],
            "planner 'integer-cem' is unknown; did you mean integer_cem? use one of cem, cem_mad",
        ),
        (
            ["plan", "--task", "two-room", "--method", "dense", "--planner", "integer_cem"],
            "DensePredictor predicts in floating point",
        ),
        (
            ["plan", "--task", "two-room", "--method", "lif", "--planner", "integer_cem"],
            "use a sigma-delta method, or planner cem",
        ),
        (
            ["plan", "--task", "two-room", "--method", "sigma_delta", "--planner", "integer_cem", "--elites", "6"],
            "power of two; use --elites",
        ),
        (["plan", "--task", "two-room", "--method", "random", "--planner", "cem"], "leave out --planner cem"),
        (["plan", "--task", "two-room", "--method", "lava", "--planner", "cem"], "plans by itself with integer_cem"),
        (["plan", "--task", "two-room", "--method", "dense", "--elites", "65"], "elites 65 exceed samples 64"),
        (["plan", "--task", "two-room", "--method", "dense", "--horizon", "0"], "horizon 0 must be at least 1"),
        (["plan", "--task", "two-room", "--method", "dense", "--episodes", "-3"], "-3 must be at least 1"),
    ],
)
def test_impossible_requests(
    refused: Any, args: list[str], expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert expected in refused([*args, "--out", str(out)], capsys)
    assert not out.exists()


def test_a_bench_that_cannot_go_on_keeps_no_parts(refused: Any, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(["bench", "lava", "--parts", "here"], capsys)
    assert "bench lava keeps nothing of an interrupted run; leave out --parts" in said


def test_unwritable_output(refused: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("")
    assert "choose another --out" in refused([*PLAN, "--out", str(blocker / "sub")], capsys)


@pytest.mark.parametrize("damage", ["missing", "truncated", "foreign"])
def test_bad_checkpoint(refused: Any, damage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "model.safetensors"
    if damage == "truncated":
        path.write_bytes(shipped("two-room").read_bytes()[:1000])
    if damage == "foreign":
        path.write_bytes(shipped("two-room").with_suffix("").with_suffix(".delta.safetensors").read_bytes())
    line = refused([*PLAN, "--out", str(tmp_path / "out"), "--checkpoint", str(path)], capsys)
    assert "model.safetensors" in line and "train" in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("damage", ["missing", "truncated", "foreign", "other task"])
def test_bad_artifact(refused: Any, damage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
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


def test_events_info(refused: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
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


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["foo"], "unknown command 'foo'; expected one of demo, results"),
        ([], "no command; use one of demo"),
        (["plan", "--task", "two-room", "--method", "dense", "--out", "o", "--episodes", "many"], "--episodes"),
        (["events"], "events: no command; use one of info"),
        ([*PLAN, "--out", "o", "--seed", "-1"], "--seed -1 must be from 0"),
        ([*PLAN, "--out", "o", "--samples", "1000000000000"], "at most 100000"),
        (
            [*PLAN, "--out", "o", "--threshold", "0.5"],
            "has no thresholds; --threshold goes with one of policy-sigma_delta",
        ),
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
    refused: Any,
    args: list[str],
    expected: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert expected in refused(args, capsys)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["place", "lava run"])
def test_an_output_never_writes_over_an_input(
    refused: Any, command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
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


def test_networks_of_another_task_are_refused(refused: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    method = ["plan", "--task", "two-room", "--method", "sigma_delta", "--out", str(tmp_path / "o")]
    assert "trained on task planar-reach" in refused([*method, "--checkpoint", str(shipped("planar-reach"))], capsys)
    foreign = str(shipped("two-room-random")).replace(".safetensors", ".delta.safetensors")
    assert "converted for task two-room-random" in refused([*method, "--artifact", foreign], capsys)
    assert not (tmp_path / "o").exists()


def test_convert_writes_over_neither_its_checkpoint_nor_a_device(
    refused: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "m.safetensors"
    model.write_bytes(shipped("two-room").read_bytes())
    assert "is the checkpoint itself" in refused(["convert", str(model), "--out", str(model)], capsys)
    assert model.read_bytes() == shipped("two-room").read_bytes()
    os.mkfifo(tmp_path / "pipe.safetensors")
    assert "is no .safetensors file" in refused(
        ["convert", str(model), "--out", str(tmp_path / "pipe.safetensors")], capsys
    )
    assert (tmp_path / "pipe.safetensors").is_fifo()
