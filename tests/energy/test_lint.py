"""No physical constant in the energy room outside its TOML files: every number in its code is in this list, with its reason."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOM = Path(__file__).resolve().parents[2] / "energy"
PLAIN = {0, 1, 2}  # zero, one, and the two operations of a MAC
ALLOWED = {  # file -> numbers that are no property of a device
    "schema.py": {1e-12, 1e-9, 1e-6, 1e-3, 3, 1e30},  # SI prefixes; one value for three bounds; beyond any figure
    "meter.py": {1e-6, 1e-3},  # RAPL's microjoules, NVML's millijoules
    "measured.py": {1e-9, 1e-12},  # how close a decimal comes back; picojoules
    "worth.py": {20, 3, 0.5},  # bins and draws in one; standard deviations; the larger of two sides
    "cpu_meter.py": {768, 5, 64, 20, 0.5, 1e-9, 3},  # sizes of the measured work, n^3 of a matmul
}


def numbers(source: str) -> list[tuple[float, int]]:
    """(number, line) of every literal."""
    return [
        (node.value, node.lineno)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool)
    ]


def constants(name: str, source: str) -> list[str]:
    allowed = PLAIN | ALLOWED.get(name, set())
    return [f"{name}:{line}: {value}" for value, line in numbers(source) if value not in allowed]


@pytest.mark.parametrize("path", sorted(ROOM.glob("*.py")), ids=lambda path: path.name)
def test_the_code_holds_no_constant_of_its_own(path: Path):
    assert constants(path.name, path.read_text()) == []


@pytest.mark.parametrize("source", ["E_SYN = 23.6e-12", "def f(x=450): ...", "x = 2 * 0.104", "POWER = {'h100': 700}"])
def test_a_constant_is_seen(source: str):
    assert constants("models.py", source)
