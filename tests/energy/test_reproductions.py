"""energy/reproductions.toml: what it must say, and that anything amiss is one line with file, entry and remedy."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from spikeplan.core.errors import UserError
from spikeplan.energy import default
from spikeplan.energy.reproductions import load_published
from spikeplan.energy.systems import load_systems

GOOD = """
[systems.mine]
title = "a network"
device = "loihi2"
source = "our bench"
evidence = "R"
[systems.mine.counts]
synops = { value = 100, evidence = "D", source = "10 x 10" }
[[systems.mine.runs]]
name = "first"
counts = { synops = { value = 200, evidence = "D", source = "20 x 10" } }
calibrates = ["total"]
missing = { seconds = "no steps" }
[systems.mine.runs.measured]
total = { value = 2, unit = "mJ" }
seconds = { low = 1, nominal = 2, high = 4, unit = "ms", evidence = "S", source = "a note" }
[[systems.mine.runs]]
name = "second"
measured = { watts = { value = 30, unit = "mW" }, seconds = { value = 3, unit = "us" } }
"""


def loaded(tmp_path: Path, text: str):
    path = tmp_path / "own.toml"
    path.write_text(text)
    return load_published(path)


def test_a_run_goes_over_its_system(tmp_path: Path):
    first, second = loaded(tmp_path, GOOD)
    assert (first.name, second.name) == ("mine_first", "mine_second")
    assert (first.counts["synops"].band.nominal, second.counts["synops"].band.nominal) == (200, 100)
    assert first.measured["total"].band.bounds() == (2e-3, 2e-3, 2e-3)
    assert first.measured["seconds"].band.bounds() == (1e-3, 2e-3, 4e-3)
    assert (first.measured["total"].evidence, first.measured["seconds"].evidence) == ("R", "S")
    assert (first.measured["total"].source, first.measured["seconds"].source) == ("our bench", "a note")
    assert first.calibrates == ("total",) and first.missing == {"seconds": "no steps"}
    assert second.calibrates == () and second.measured["watts"].band.nominal == 0.03


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('evidence = "R"', 'evidence = "M"', "evidence 'M' is not one of"),
        ('device = "loihi2"', "", "device is None; give it a text"),
        ('source = "10 x 10"', 'source = " "', "source is ' '; give it a text"),
        ('unit = "mJ"', 'unit = "W"', "unit 'W' does not fit; state it in J or mJ or uJ"),
        (
            "total = { value = 2,",
            'energy = { value = 2, unit = "J" }\ntotal = { value = 2,',
            "quantity 'energy' is unknown",
        ),
        ('calibrates = ["total"]', 'calibrates = ["dynamic"]', "dynamic has no measured value"),
        ("low = 1, nominal = 2", "low = 3, nominal = 2", "low 3 <= nominal 2 <= high 4 does not hold"),
        ("{ value = 100,", "{ low = 1, nominal = 2, high = 3,", "a count that goes through a range is assumed"),
        ("{ value = 100,", "{ value = -1,", "-1 is no count; give numbers >= 0"),
        ("{ value = 100,", "{ value = inf,", "must be finite numbers"),
        ("{ value = 100,", "{ value = 100, high = 3,", "give either value or low, nominal and high"),
        ("synops = { value = 100", "spikes = { value = 100", "count spikes is unknown"),
        (', seconds = { value = 3, unit = "us" }', "", "watts are compared at measured seconds"),
        ('name = "second"', 'name = "first"', "mine_first is there twice"),
        ('name = "second"', 'nmae = "second"', "unknown keys nmae"),
        ("[systems.mine]", "[system.mine]", "has system, systems; write a table [systems.NAME]"),
        ("[[systems.mine.runs]]", "[systems.mine.runs]", "not a TOML file"),
        ("{ value = 100", "{ value = ", "not a TOML file"),
    ],
)
def test_a_damaged_file_is_one_line(tmp_path: Path, old: str, new: str, says: str):
    assert old in GOOD
    with pytest.raises(UserError) as error:
        loaded(tmp_path, GOOD.replace(old, new))
    assert says in str(error.value) and "\n" not in str(error.value) and "own.toml" in str(error.value)


def test_no_file_is_one_line(tmp_path: Path):
    with pytest.raises(UserError, match="no such file; write one"):
        load_published(tmp_path / "none.toml")


def test_the_shipped_file_names_machines_and_systems_that_are_there():
    for one in load_published():
        default().device(one.device)
        assert one.whole_system is None or one.whole_system in load_systems()


def test_a_swept_count_says_why():
    swept = [(one.name, name, one.counts[name]) for one in load_published() for name in one.swept]
    assert {name for name, *_ in swept} == {
        "acoustic_ethernet",
        "acoustic_preloaded",
        "astrobee",
        "clp_snn",
        "gamage",
        "matmul_free_llm",
    }
    for _, name, count in swept:
        assert count.evidence == "assumed" and re.search(r"not (published|in what was read)", count.source), (
            name,
            count,
        )
