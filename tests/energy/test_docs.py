"""docs/energy.md: every worked line is evaluated, and A, B, C and t of every device are what the models say, digit by digit."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest

from spikeplan.core.counts.exchange import load_rows
from spikeplan.core.counts.operations import CountRow
from spikeplan.energy import SCOPES, CpuPeak, Setup, default, estimate, load
from spikeplan.energy.systems import load_systems

DOC = (Path(__file__).resolve().parents[2] / "docs" / "energy.md").read_text()
EXAMPLES = {name: body for name, body in re.findall(r"```example (\w+)\n(.*?)```", DOC, re.S)}
NUMBER = r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?"


def value_of(expression: str) -> float:
    """Arithmetic and max of plain numbers; nothing else is in these lines."""
    tree = ast.parse(expression, mode="eval")
    allowed = (ast.Expression, ast.BinOp, ast.Constant, ast.operator, ast.Call, ast.Load, ast.Name)
    assert all(isinstance(node, allowed) for node in ast.walk(tree)), expression
    assert {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} <= {"max"}, expression
    return float(eval(compile(tree, "docs", "eval"), {"__builtins__": {}, "max": max}))


def same(value: float, stated: str) -> bool:
    """Equal to the last digit that is stated."""
    digits = len(re.sub(r"e.*|[-.]|^0\.0*", "", stated).lstrip("0")) or 1
    return float(f"{value:.{digits}g}") == float(stated)


def row_of(kind: str, words: str) -> CountRow:
    counts: dict[str, Any] = {"precision": "int8"}
    for name, text in (word.split("=") for word in words.split()):
        counts[name] = text if name == "precision" else int(text)
    schedule = "interleaved" if kind == "spiking" else "batched"
    return CountRow(method="doc", phase="predictor", layer="h2", reference="zero", schedule=schedule, **counts)


def settings(words: str) -> Setup:
    found = {name: float(text) for name, text in (word.split("=") for word in words.split())}
    if "flop_per_s" in found:
        return Setup(cpu=CpuPeak(**{**found, "cores": int(found["cores"])}))
    return Setup(**found)


def test_every_device_has_an_example():
    assert set(EXAMPLES) == set(default().devices)


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_worked_example_is_what_the_model_says(name: str, tmp_path: Path):
    catalogue, setup, row = default(), Setup(), None
    said: dict[str, str] = {}
    for line in EXAMPLES[name].strip().splitlines():
        if head := re.match(r"(spiking|dense|own|setup): (.*)", line):
            kind, words = head.groups()
            if kind in ("spiking", "dense"):
                row = row_of(kind, words)
            elif kind == "setup":
                setup = settings(words)
            else:
                figure, number, unit = re.fullmatch(rf"(\w+)=({NUMBER})(\w+)", words).groups()
                own = tmp_path / "own.toml"
                stated = f'value = {number}, unit = "{unit}", source = "invented", evidence = "assumed", node = "none"'
                own.write_text(f"[devices.{name}.figures]\n{figure} = {{ {stated} }}\n")
                catalogue = load(own=own)
            continue
        key, *middle, stated = line.split(" = ")
        assert not middle or same(value_of(middle[0]), stated), line
        said[key] = stated
    assert row is not None and set(SCOPES) <= said.keys()
    for scope in SCOPES:
        e = estimate(name, [row], 1, scope=scope, extent="loop", setup=setup, catalogue=catalogue)
        assert same(e.nominal, said[scope]), f"{scope}: {e.nominal!r}, the text has {said[scope]}"
    for bound in ("low", "high"):
        if f"system.{bound}" in said:
            assert same(getattr(e, bound), said[f"system.{bound}"]), (bound, getattr(e, bound))
    assert e.latency_s is None if "t" not in said else same(e.latency_s, said["t"]), (e.latency_s, said.get("t"))


def test_the_comparison_of_digits_is_strict():
    assert same(1.58592e-07, "1.58592e-07") and not same(1.58593e-07, "1.58592e-07")
    assert same(0.1234567849, "0.12345678") and not same(0.1234567951, "0.12345678")


def test_the_op_counts_in_the_text_is_one():
    found = re.search(r"```json\n(.*?)```", DOC, re.S)
    assert found is not None
    rows, actions = load_rows(json.loads(found.group(1)))
    assert (len(rows), actions, rows[0].synops) == (1, 1, 6400)


def test_the_device_file_in_the_text_is_one(tmp_path: Path):
    system, device, whole = re.findall(r"```toml\n(.*?)```", DOC, re.S)
    (tmp_path / "own.toml").write_text(device)
    assert load(own=tmp_path / "own.toml").device("speck").figure("e_synop").band.nominal == 2e-12
    (tmp_path / "whole.toml").write_text(whole)
    mine = load(own=tmp_path / "whole.toml").device("mychip")
    assert mine.figure("e_synop").band.bounds() == (1e-12, 2e-12, 3e-12) and "t_step" in mine.unavailable
    (tmp_path / "npu-loihi2.toml").write_text(system)
    assert load_systems(tmp_path / "npu-loihi2.toml")["npu-loihi2"] == load_systems()["npu-loihi2"]
