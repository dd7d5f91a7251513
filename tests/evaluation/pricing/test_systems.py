"""Systems of a run: each with its cheapest plan of equal success, at every rate; and the command that prints them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikeplan import energy
from spikeplan.core.errors import UserError
from spikeplan.energy.band import Band
from spikeplan.energy.systems import draw_of, load_systems, works_of
from spikeplan.energy.uncertainty import draw_priors, quantiles
from spikeplan.evaluation.pricing.runs import BATCHED, read_run
from spikeplan.evaluation.pricing.systems import systems_report
from spikeplan.experiments.cli.main import main
from spikeplan.experiments.report.readme_energy import systems_section

RATES = (1.0, 10.0)


@pytest.fixture
def folder(toy: Any, tmp_path: Path) -> Path:
    """The toy run, a policy that fails and a dense point at half of the operations that fails, too."""
    rows = toy.rows_of_a_run()
    half = toy.dense_op_counts("int8", "int8", 50)
    for method, success in (("policy", 0.2), ("int8", 0.5)):
        counts = toy.dense_op_counts("policy", "int8", 1) if method == "policy" else half
        rows.append(toy.row_of(method, counts, success=success, budget="small"))
    return toy.run_dir(tmp_path, rows)


def test_each_system_has_its_cheapest_plan_of_equal_success(folder: Path) -> None:
    found = systems_report(folder, energy.default(), load_systems(), RATES)["tasks"]["toy"]
    plans = {(row["system"], row["rate_hz"]): row for row in found["rows"] if row["kind"] == "plan"}
    assert set(plans) == {(name, rate) for name in load_systems() for rate in RATES}
    for (name, rate), row in plans.items():
        spiking = load_systems()[name].side == "spiking"
        assert row["method"].startswith("sigma_delta" if spiking else "int8") and row["success"] == 0.9
        for band in (row["watts"], row["latency_s"], row["action_J"]):
            assert 0 <= band["low"] <= band["nominal"] <= band["high"]
        resting = sum(part["nominal"] for part in row["rests"].values())
        assert row["watts"]["nominal"] == pytest.approx(resting + rate * row["action_J"]["nominal"])
        low, high = row["success_ci95"]
        assert low <= row["success"] <= high and row["episodes"] > 0
        assert sum(part["nominal"] for part in row["by"].values()) == pytest.approx(row["watts"]["nominal"])
        assert rate == 1.0 or row["watts"]["nominal"] > plans[name, 1.0]["watts"]["nominal"]
    methods = read_run(folder).methods["toy"]
    dense = next(one for one in methods if one.method == "int8" and one.success == 0.9)
    alone = draw_of(
        load_systems()["npu"], dense.rows(BATCHED), dense.op_counts.actions, rate_hz=10, catalogue=energy.default()
    )
    assert plans["npu", 10.0]["watts"]["nominal"] == pytest.approx(alone.watts.nominal)


def test_a_policy_that_falls_short_is_a_row_of_its_own(folder: Path) -> None:
    rows = systems_report(folder, energy.default(), load_systems(), RATES)["tasks"]["toy"]["rows"]
    short = [row for row in rows if row["kind"] == "policy alone"]
    assert {row["system"] for row in short} == {"npu", "orin", "h100", "pi5"} and {row["success"] for row in short} == {
        0.2
    }


def test_the_page_s_table_has_a_row_a_system(folder: Path) -> None:
    found = systems_report(folder, energy.default(), load_systems(), (10.0, 1e6))
    table = [line for line in systems_section(found).splitlines() if line.startswith("| toy")]
    assert len(table) == len(load_systems()) + 4 and sum("too few succeed" in line for line in table) == 4
    (npu,) = (line for line in table if "alone | int8" in line and "microcontroller" in line)
    assert "mW" in npu and npu.split(" | ")[-2] == "-", "a microsecond is too short for it"


def test_what_is_not_there_is_refused(folder: Path) -> None:
    with pytest.raises(UserError, match="rate 0 Hz: give actions a second"):
        systems_report(folder, energy.default(), load_systems(), [0.0])
    fast = systems_report(folder, energy.default(), load_systems(), [1e8])["tasks"]["toy"]
    assert "more than a period at 1e+08 Hz" in " ".join(fast["refused"].values())
    assert [row["kind"] for row in fast["rows"]] == ["policy alone"], (
        "a tiny policy, on the one with no waiting for a call"
    )
    kept = [
        line for line in (folder / "metrics.jsonl").read_text().splitlines() if '"dense"' not in line.split("method")[1]
    ]
    (folder / "metrics.jsonl").write_text("\n".join(kept) + "\n")
    with pytest.raises(UserError, match="task toy has no full dense plan to hold success against; run demo or results"):
        systems_report(folder, energy.default(), load_systems(), RATES)


def test_the_command_prints_and_writes(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target, own = tmp_path / "s.json", tmp_path / "mine.toml"
    own.write_text('title = "my card"\nside = "dense"\n[[machines]]\ndevice = "rtx4090"\ndoes = "plan"\n')
    run = ["energy", "systems", str(folder)]
    main([*run, "--rate", "10", "--systems", "npu,mine", "--own", str(own), "--json", str(target)])
    said = capsys.readouterr().out
    assert "my card" in said and "mean power of whole systems" in said and "an action takes" in said
    found = json.loads(target.read_text())
    assert {row["system"] for row in found["tasks"]["toy"]["rows"]} == {"npu", "mine"} and found["rates_hz"] == [10]
    assert "probability" not in said and found["tasks"]["toy"]["pairs"] == [], "two dense systems"
    (folder / "figures").mkdir()
    (folder / "figures" / "front.svg").touch()
    for words, message in (
        (["--draws", "0"], "--draws 0 must be from 1 to 20000"),
        (["--seed", "-1"], "--seed -1"),
        (["--svg", str(folder / "config.json")], "would write over an input"),
        (["--json", str(folder / "events.npz")], "would write over an input"),
        (["--json", str(folder / "figures" / "front.svg")], "would write over an input"),
        (["--svg", "-"], "--svg -: only --json writes to the terminal"),
        (["--rate", "ten"], "--rate ten: not a number"),
        (["--systems", "npu,moon"], "system 'moon' is unknown; use events-loihi2, h100"),
        (["--own", str(tmp_path / "none.toml")], "none.toml: no such file"),
    ):
        with pytest.raises(SystemExit) as caught:
            main([*run, *words])
        said = capsys.readouterr().err
        assert caught.value.code == 2
        assert message in said and said.count("\n") == 1


def test_the_command_says_how_sure_it_is_and_draws_it(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target, picture = tmp_path / "s.json", tmp_path / "s.svg"
    run = ["energy", "systems", str(folder), "--rate", "10,50", "--draws", "500", "--json", str(target)]
    main([*run, "--svg", str(picture)])
    said = capsys.readouterr().out
    assert "probability that the spiking system draws less" in said and "To measure for pi5-loihi2 or orin at" in said
    told = [line for line in said.splitlines() if "of the variance" in line]
    assert 1 <= len(told) <= 4 and "orin_nano.p_idle" in told[0]
    found = json.loads(target.read_text())
    assert (found["draws"], found["seed"]) == (500, 0) and "p_sleep" in picture.read_text()
    first = target.read_text()
    main(run)
    assert target.read_text() == first, "the same seed, the same draws"
    main([*run, "--seed", "1"])
    assert json.loads(target.read_text())["tasks"]["toy"]["pairs"] != found["tasks"]["toy"]["pairs"]
    capsys.readouterr()
    main(["energy", "systems", str(folder), "--systems", "npu", "--svg", str(tmp_path / "none.svg")])
    assert "not drawn, there is no spiking and no dense system" in capsys.readouterr().err
    assert not (tmp_path / "none.svg").exists()


def test_an_array_of_draws_gives_an_array_of_watts(folder: Path) -> None:
    """Every draw of the catalogue gives what the catalogue with these figures alone gives."""
    methods = read_run(folder).methods["toy"]
    drawn = draw_priors(energy.default(), quantiles(energy.default(), 3, np.random.default_rng(0)))

    def only(prior: int, number: int) -> energy.Catalogue:
        def fixed(machines: Any) -> Any:
            return {
                name: replace(
                    machine,
                    figures={
                        key: replace(figure, band=Band(*(np.asarray(figure.band.nominal).flat[place],) * 3))
                        if np.ndim(figure.band.nominal)
                        else figure
                        for key, figure in machine.figures.items()
                    },
                )
                for name, machine in machines.items()
            }

        place = prior * 3 + number
        return replace(drawn, devices=fixed(drawn.devices), sensors=fixed(drawn.sensors))

    for system in load_systems().values():
        method = next(one for one in methods if one.spiking == (system.side == "spiking") and one.method != "dense")
        rows, actions = method.rows("interleaved" if method.spiking else BATCHED), method.op_counts.actions
        every = works_of(system, rows, actions, catalogue=drawn)
        for prior, number in ((0, 0), (1, 2), (3, 1)):
            one = works_of(system, rows, actions, catalogue=only(prior, number))
            for name, band in every.by(10).items():
                for bound, alone in zip(band.bounds(), one.by(10)[name].bounds(), strict=True):
                    whole = np.broadcast_to(bound, (4, 3))
                    assert whole[prior, number] == pytest.approx(float(alone), rel=1e-12)
            assert np.broadcast_to(every.keeps(1000), (4, 3))[prior, number] == one.keeps(1000)
