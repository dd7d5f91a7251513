"""What a newcomer trips over: each ends in one line that says what to do, or does what the help says."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest

import spikeplan as sp
from spikeplan.core.errors import UserError
from spikeplan.experiments.cli import names
from spikeplan.experiments.cli.main import main
from spikeplan.experiments.cli.words.study import demo
from spikeplan.experiments.main_study.grid import DEMO
from spikeplan.experiments.runner.output import open_output, write_json
from spikeplan.worldmodel.checkpoint import shipped

ROOT = Path(__file__).resolve().parents[2]
LIF = str(shipped("two-room").with_suffix(".lif.safetensors"))
SMALL = ["plan", "--task", "two-room", "--episodes", "1", "--samples", "8", "--iterations", "1", "--elites", "2"]


def test_the_size_of_the_demo_is_that_of_the_grid() -> None:
    said = " ".join((demo.__doc__ or "").split())
    assert f"{DEMO.episodes} paired episodes" in said and f"LIF plans the first {DEMO.lif_episodes} of them" in said
    readme = (ROOT / "README.md").read_text()
    assert f"{DEMO.episodes} episodes each (LIF {DEMO.lif_episodes})" in readme
    assert f"With {DEMO.episodes} episodes an interval" in readme


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("plan --task two-room --method sigma_delta --out o --threshold 0", "must be above 0 and at most 1000"),
        ("convert a.safetensors --out b.txt", "'b.txt': is no .safetensors file"),
        ("convert a.safetensors --out b.safetensors --bits 9", "9 bits of a graded spike; use 2 to 8"),
        ("convert a.safetensors --out b.safetensors --recipe delta_transformer", "its networks have no file form yet"),
        (
            "convert a.safetensors --out b.safetensors --recipe none",
            "recipe 'none' is unknown; use one of delta_transformer, lif_latency, lif_rate, matmul_free, one_quantum, "
            "sigma_delta",
        ),
        ("place a --for-latency 100 --replicas 4", "searches replicas and spread; leave out --replicas"),
        ("place a --max-chips 4", "give --for-latency too"),
        ("events represent a --out b.npz --tau-us 5", "--kind voxel does not use --tau-us"),
        ("events represent a --out b.npz --kind surface --bins 5", "--kind surface does not use --bins"),
        ("events simulate --out b.npz --frames f --size 9", "the arm is not filmed; leave out --size"),
        ("events view a --out b.png --window-us 9", "--window-us is for a film"),
        ("lava run small.nir --residue lost", "NIR networks have no residue"),
        ("lava run small.net --graded", "leave out --graded, which is for NIR files"),
        ("fusion --train --seeds 2", "leave out --seeds"),
        ("events simulate --out b.npz --theta 0", "simulate: --theta 0.0 must be in [0.01, 1000]"),
        ("train --task two-room --steps -1", "--steps -1 must be from 1 to 10,000,000"),
        ("energy report", "energy report: DIR is missing (results folder"),
        ("energy devices --devices nope.toml", "nope.toml: no such file; write one with a table [devices.NAME]"),
        (f"check {LIF}", "a LIF network, check reads sigma-delta ones; `spikeplan place"),
    ],
)
def test_one_line_says_what_to_do(
    words: str, expected: str, refused: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    assert expected in refused(words.split(), capsys)
    assert list(tmp_path.iterdir()) == []


def test_a_finished_run_is_not_replaced_by_another(tmp_path: Path) -> None:
    asked = {"method": "dense", "planner": {"samples": 8, "horizon": 12}, "tasks": ("two-room",)}
    out = open_output(tmp_path / "run", command="plan", asked=asked)
    write_json(out / "config.json", {"command": "plan", **asked, "versions": {"torch": "1"}})
    open_output(out, command="plan", asked=asked | {"method": "lif"})  # unfinished: parts are told apart by their keys
    write_json(out / "summary.json", {})
    open_output(out, command="plan", asked=asked | {"new_in_this_version": 3})
    for name, value, said in (
        ("method", "lif", "method dense, not lif"),
        ("planner", {"samples": 9, "horizon": 12}, "planner samples 8, not 9"),
    ):
        with pytest.raises(
            UserError, match=rf"holds another run \({said}\); choose another --out, or give --overwrite"
        ):
            open_output(out, command="plan", asked=asked | {name: value})
        open_output(out, command="plan", asked=asked | {name: value}, overwrite=True)
    with pytest.raises(UserError, match="holds the results of `plan`"):
        open_output(out, command="demo", asked={}, overwrite=True)
    (out / "config.json").unlink()
    with pytest.raises(UserError, match=r"its config\.json is missing or damaged"):
        open_output(out, command="plan", asked=asked)


def test_a_plan_is_kept_shown_and_priced(tmp_path: Path, refused: Any, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    words = [*SMALL, "--method", "dense", "--out", str(out)]
    main(words)
    assert "reference" not in capsys.readouterr().out
    main(words)  # the same command again
    assert "method dense, not random" in refused([*SMALL, "--method", "random", "--out", str(out)], capsys)
    shown = str(sp.report(out))
    assert "two-room" in shown and "dense" in shown and json.loads((out / "summary.json").read_text())["episodes"] == 1
    report, drawing, counts = (tmp_path / name for name in ("rep.json", "rep.svg", "counts"))
    files = ["--json", str(report), "--svg", str(drawing), "--counts-files", str(counts)]
    main(["energy", "report", str(out), "--draws", "10", *files])
    assert f"{drawing}: not drawn, the run has no sigma-delta method" in capsys.readouterr().err
    assert report.is_file() and list(counts.glob("*.json")) and not drawing.exists()
    main([*SMALL, "--method", "random", "--out", str(out), "--overwrite"])
    assert "random" in json.loads((out / "summary.json").read_text())["tasks"]["two-room"]["methods"]


def test_a_folder_without_results_names_a_command_of_minutes(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder; make one in minutes with `spikeplan demo"):
        sp.report(tmp_path / "absent")
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="is a file; name the folder"):
        sp.report(tmp_path / "file")
    (tmp_path / "summary.json").write_text('{"tasks": {"two-room": []}}')
    (tmp_path / "config.json").write_text('{"command": "planners"}')
    with pytest.raises(UserError, match="holds the results of `planners`, which have a form of their own"):
        sp.report(tmp_path)


def test_what_is_compared_is_named_and_counted() -> None:
    import torch

    net = torch.nn.Linear(3, 2)
    counted = sp.profile(net, torch.rand(1, 3))
    assert str(counted).endswith("1 call counted")
    for given, said in (
        ({"m": net}, "'m' is a Linear; count it first"),
        (counted, "name each"),
        ([counted], "name each"),
    ):
        with pytest.raises(UserError, match=said):
            sp.compare(given)  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"give a list: machines=\['h100'\]"):
        sp.compare({"m": counted}, machines="h100")


def test_completion_offers_names_and_never_placeholders(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["completion", "bash"])
    written = re.search(r"COMPLETION_SPEC = (\{.*\})\n", capsys.readouterr().out)
    assert written is not None
    spec = ast.literal_eval(written[1])

    def options(command: dict[str, Any]) -> dict[str, Any]:
        return {option["flags"][0]: option for option in command["options"]}

    def every(command: dict[str, Any]) -> list[dict[str, Any]]:
        return [*command["options"], *(each for part in command["subcommands"].values() for each in every(part))]

    assert not any(re.search(r"\{\w+\}", option["description"]) for option in every(spec))
    assert not any("None" in option.get("choices", ()) for option in every(spec))
    top = spec["subcommands"]
    plan = options(top["plan"])
    for flag, kind in (
        ("--task", "tasks"),
        ("--method", "methods"),
        ("--planner", "planners"),
        ("--cost", "costs"),
        ("--reference", "references"),
    ):
        assert tuple(plan[flag]["choices"]) == names.SHIPPED[kind]
    assert options(top["check"])["--chip"]["choices"] == ["loihi1", "loihi2"]
    assert top["list"]["subcommands"].keys() == names.KINDS.keys()
    assert top["completion"]["subcommands"].keys() == {"bash", "zsh"}


def test_a_recipe_of_a_plugin_is_listed_and_converts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "coarse.py"
    mine.write_text(
        "from spikeplan.conversion.recipes.base import RecipeKind\n"
        "from spikeplan.conversion.recipes.sigma_delta import SigmaDelta\n"
        "RECIPE = RecipeKind(name='coarse', make=lambda thresholds=0.5: SigmaDelta(bits=6, thresholds=thresholds))\n"
    )
    monkeypatch.setenv("SPIKEPLAN_PLUGINS", "")
    main(["--plugin", str(mine), "list", "recipes", "--json"])
    assert json.loads(capsys.readouterr().out) == {
        "recipes": [
            "delta_transformer",
            "lif_latency",
            "lif_rate",
            "matmul_free",
            "one_quantum",
            "sigma_delta",
            "coarse",
        ]
    }
    words = ["convert", str(shipped("two-room")), "--recipe", "coarse", "--out", str(tmp_path / "c.safetensors")]
    assert "recipe 'coarse' takes no such setting" in refused([*words, "--bits", "3"], capsys)
    main([*words, "--threshold", "0.3"])
    from spikeplan.core.ir import artifact

    made = artifact.load(tmp_path / "c.safetensors")
    assert {layer.message_bits for layer in made.layers[:-1]} == {6} and "thresholds=0.3" in made.provenance["recipe"]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_plugin_that_raises_is_named(
    workers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "bad.py"
    mine.write_text(
        "from spikeplan.evaluation.methods.base import Method\n"
        "def make(site):\n    raise KeyError('weights')\n"
        "METHOD = Method(name='bad', family='dense', make=make)\n"
    )
    monkeypatch.setenv("SPIKEPLAN_PLUGINS", "")
    monkeypatch.setattr("os.cpu_count", lambda: workers)
    with pytest.raises(SystemExit) as stop:
        main(["--plugin", str(mine), *SMALL, "--method", "bad", "--out", str(tmp_path / "o")])
    line = capsys.readouterr().err.rstrip().splitlines()[-1]  # after the progress of the workers
    assert stop.value.code == 2 and line.endswith("bad.py, line 3: KeyError: 'weights'; mend it, or leave it out")
