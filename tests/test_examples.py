"""Each file of examples/ is run, in small, and does what its first line says."""

from __future__ import annotations

import ast
import csv
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from spikeplan.worldmodel.checkpoint import shipped

FOLDER = Path(__file__).resolve().parents[1] / "examples"
FILES = sorted(FOLDER.glob("*.py"))


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", FOLDER / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_every_example_has_a_test() -> None:
    tested = re.findall(r'= example\("(\w+)"\)', Path(__file__).read_text())
    assert {path.stem for path in FILES} == set(tested) and len(FILES) == 7


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_example_is_one_readable_file(path: Path) -> None:
    """At most 120 lines: a docstring that shows how it is called, a dataclass `Settings`, `main(settings)`."""
    text = path.read_text()
    tree = ast.parse(text)
    names = [node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)]
    assert len(text.splitlines()) <= 120 and names[0] == "Settings" and names[-1] == "main"
    assert f"python examples/{path.name}" in (ast.get_docstring(tree) or "")
    imported = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not any(name.startswith(("examples", "tests", "spikeplan.experiments")) for name in imported)


def test_compare_energy(tmp_path: Path) -> None:
    it = example("compare_energy")
    found = it.main(it.Settings(hidden=32, calls=16, csv=tmp_path / "table.csv"))
    assert found["dense"].macs == 36 * 32 + 32 * 32 + 32 * 32 == found["spiking"].macs
    assert 0 < found["spiking"].synops < found["dense"].macs
    assert 0 < found["report"].output_nmse < 0.2, "a spiking network that sends zeros has 1"
    with (tmp_path / "table.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {(row["name"], row["machine"]) for row in rows} == {
        ("dense", "orin_nano"),
        ("dense", "h100"),
        ("spiking", "loihi2"),
    }
    assert all(float(row["low"]) <= float(row["joules"]) <= float(row["high"]) for row in rows)


def test_convert_your_own() -> None:
    it = example("convert_your_own")
    found = it.main(it.Settings(rows=128, keep_dense=("gate",)))
    assert found["refused"].startswith("layer 'norm' (LayerNorm): layer_norm has no exact sigma-delta form")
    assert 0 < found["report"].output_nmse < 0.05, "a network that puts out nothing has 1"
    assert found["report"].dense == (("gate", "keep_dense"),)
    assert dict(found["report"].reevaluated)["layer_norm"] == 1
    assert found["density"][-1] < 0.5 * found["density"][0], "from step to step little changes"
    assert 0 < found["profile"].synops < found["profile"].macs


@pytest.mark.slow
def test_convert_and_check(tmp_path: Path) -> None:
    it = example("convert_and_check")
    out = tmp_path / "network.safetensors"
    found = it.main(it.Settings(episodes=1, thresholds=(0.05, 0.4), worst_nmse=0.1, out=out))
    assert found["errors"][0.05] < 0.1 < found["errors"][0.4], "a higher threshold loses more"
    assert found["chosen"] == 0.05 and found["path"] == out and out.stat().st_size > 80_000
    assert found["violations"] == []
    with pytest.raises(SystemExit, match="give lower ones"):
        it.main(it.Settings(episodes=1, thresholds=(0.4,), worst_nmse=1e-4, out=out))


@pytest.mark.slow
def test_run_lava_with_a_nir_network(tmp_path: Path) -> None:
    it = example("run_lava")
    found = it.main(it.Settings(steps=40, workdir=tmp_path))
    assert (found["compared"], found["different"]) == (160, 0)
    assert 0.02 < found["spikes"] / found["compared"] < 0.98, "neither silent nor always on"


@pytest.mark.slow
def test_run_lava_with_an_artifact(tmp_path: Path) -> None:
    it = example("run_lava")
    network = shipped("two-room").with_name("two-room.delta.safetensors")
    found = it.main(it.Settings(network=network, steps=20, workdir=tmp_path))
    assert found["different"] == 0 and found["compared"] > 20 * 1000 and found["spikes"] > 20


@pytest.mark.slow
def test_plan_two_room() -> None:
    it = example("plan_two_room")
    found = it.main(it.Settings(episodes=6, samples=24, iterations=3))
    (dense, macs), (spiking, equivalents) = found["dense"], found["spiking"]
    assert dense >= 0.5 and spiking >= 0.5, "random actions reach the goal in 1 of 1000 episodes"
    assert 0 < equivalents < 0.6 * macs


def test_plan_around_a_zone(capsys: pytest.CaptureFixture[str]) -> None:
    it = example("plan_around_a_zone")
    results = it.main(it.Settings(episodes=16, samples=16))
    success = {method: reached for method, (reached, _) in results.items()}
    assert success["policy"] < 0.7 < 0.85 <= min(success["guided"], success["guided-sigma_delta"])
    operations = {method: spent for method, (_, spent) in results.items()}
    assert operations["policy"] < operations["guided-sigma_delta"] < operations["guided"] < operations["refined"]
    assert "these discs were never seen in training" in capsys.readouterr().out
    costs = it.Detour(2.0).cost(torch.tensor([[[[0.0], [1.0], [-1.0]]]]), torch.zeros(1), None)
    assert costs.tolist() == [[6.0]], "1 and 2 are walked"


def test_recording_to_windows(tmp_path: Path) -> None:
    it = example("recording_to_windows")
    found = it.main(it.Settings(frames=60, out=tmp_path / "disc.npz", bins=3, shot_noise_hz=0.0))
    filmed = it.film(it.Settings(frames=60, shot_noise_hz=0.0)).events
    read = found["recording"].events
    assert len(read) > 50 and all(
        np.array_equal(getattr(read, name), getattr(filmed, name)) for name in ("x", "y", "t_us", "p")
    )
    assert found["tensor"].shape == (6, 3, 1, 32, 32) and 0 < found["kept"] <= 1
    signed = sum(int(2 * window.p.sum()) - len(window) for window in found["windows"])
    assert float(found["tensor"].sum()) == pytest.approx(signed, abs=1e-3), "every event kept is in the tensor once"
    again = it.main(it.Settings(recording=tmp_path / "disc.npz", bins=3))
    assert again["tensor"].equal(found["tensor"])


def test_an_example_is_called_from_a_shell(tmp_path: Path) -> None:
    command = [sys.executable, str(FOLDER / "recording_to_windows.py"), "--frames", "30", "--out", "a.npz"]
    environment = {**os.environ, "PYTHONPATH": str(FOLDER.parent / "src")}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "tensor (windows, bins, polarity, height, width): (3, 5, 1, 32, 32)" in done.stdout
    assert (tmp_path / "a.npz").is_file()
