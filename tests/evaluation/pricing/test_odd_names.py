"""Names and paths that break a table, a path or the working directory: markup, loops of links, nothing at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from spikeplan.experiments.cli.main import main

DEVICE = """
[devices."[/bold]"]
kind = "asic"
node = "3 nm"
title = "[/red]"
[devices."[/bold]".figures]
mac_fp32 = { value = 1, unit = "pJ", source = "[/]", evidence = "assumed" }
ac_fp32 = { value = 1, unit = "pJ", source = "[/]", evidence = "assumed" }
e_sram = { value = 1, unit = "pJ/B", source = "[/]", evidence = "assumed" }
e_dram = { value = 1, unit = "pJ/B", source = "[/]", evidence = "assumed" }
p_static = { value = 1, unit = "mW", source = "[/]", evidence = "assumed" }
"""
ROW = {"method": "[/x]", "phase": "predictor", "layer": "h", "schedule": "batched", "macs": 1000, "weight_bytes": 10}


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "own.toml"
    path.write_text(DEVICE)
    return path


@pytest.fixture
def counts(tmp_path: Path) -> Path:
    path = tmp_path / "[red]counts.json"
    path.write_text(json.dumps({"format": "spikeplan-counts", "version": 3, "actions": 1, "rows": [ROW]}))
    return path


def refused(*words: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as stop:
        main(list(words))
    said = capsys.readouterr().err
    assert stop.value.code == 2 and said.count("\n") == 1
    return said


def test_a_device_is_called_by_its_name(
    own: Path, counts: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    main(["energy", "devices", "--devices", str(own)])
    assert "[/bold] (asic, 3 nm): [/red]" in capsys.readouterr().out
    main(["energy", "compare", str(counts), "--devices", str(own)])
    out = capsys.readouterr().out
    assert "[/x]" in out and "[/bold]" in out


def test_no_name_is_not_the_working_directory(
    own: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(own.parent)
    assert "--devices '': names no file" in refused("energy", "devices", "--devices", "", capsys=capsys)
    words = ("plan", "--task", "two-room", "--method", "random", "--out")
    assert "--out '' names nothing; give a name" in refused(*words, "", capsys=capsys)
    assert "--out '' names nothing; give a name" in refused(*words[:-1], "--out=", capsys=capsys)
    assert list(own.parent.iterdir()) == [own]


def test_loops_of_links(counts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    loop = tmp_path / "loop.py"
    loop.symlink_to(loop)
    assert "no file that can be written" in refused(
        "energy", "compare", str(counts), "--json", str(loop), capsys=capsys
    )
    assert "no such file" in refused("energy", "compare", str(loop), capsys=capsys)
    said = refused("energy", "compare", str(counts), "--devices", str(loop), capsys=capsys)
    assert "cannot read the device catalogue" in said
    assert "no results directory" in refused("energy", "report", str(loop), capsys=capsys)
    assert "no such file" in refused("--plugin", str(loop), "energy", "devices", capsys=capsys)
    assert loop.is_symlink()
