"""Measured systems beside our models: two by hand, what counts as reproduced, and the page that says so."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from spikeplan.energy import default, load
from spikeplan.energy.catalogue import Band
from spikeplan.energy.reproductions import load_published
from spikeplan.experiments.bench.reproductions import Reproduced, reproduction_rows, reproductions, tally
from spikeplan.experiments.bench.reproductions_page import lines_of, missing_of, summary_of, updated
from spikeplan.experiments.cli.main import main

ROOT = Path(__file__).resolve().parents[2]
DOC = (ROOT / "docs" / "energy.md").read_text()


@pytest.fixture(scope="module")
def found() -> dict[str, Reproduced]:
    return {one.name.removeprefix("reproduced_"): one for one in reproductions()}


def bounds(one: Reproduced) -> tuple[float, float, float]:
    assert one.ours is not None
    return one.ours.bounds()


def alone(one: Reproduced) -> bool:
    """A Loihi 2 on a board of one chip."""
    return one.published.device == "loihi2" and one.published.counts["chips"].band.high == 1


def test_the_sdnn_notebook_by_hand(found: dict[str, Reproduced]):
    """590,000 synops and 118,909 updates in one step, 17.6 pJ; the busiest core's 3,072 neurons of 25 ns; 39,600 host words."""
    dynamic = (590_000 + 10 * 118_909) * 17.6e-12 + 0.386e-6
    seconds = max(1.77e-6, 51_000 * 1.01e-9, 3072 * 25e-9) + 39_600 / 160e6
    assert bounds(found["pilotnet_sdnn_dynamic"])[1] == pytest.approx(dynamic)
    assert bounds(found["pilotnet_sdnn_seconds"])[1] == pytest.approx(seconds)
    assert bounds(found["pilotnet_sdnn_total"])[1] == pytest.approx(dynamic + 0.232 * seconds)
    assert found["pilotnet_sdnn_seconds"].ratio == pytest.approx(seconds / 65.402e-3)


def test_astrobee_by_hand_at_all_three_ends(found: dict[str, Reproduced]):
    """5,248 synapses swept from none to all, 134 neurons in 1, 3 and 6 steps, a core a layer."""
    cases = zip((0, 2624, 5248), (134, 402, 804), (1, 3, 6), strict=True)
    constants = zip(
        (9.1, 17.6, 22.4), (0.12, 0.386, 0.64), (200, 1770, 2200), (0.7, 1.01, 2.0), (2.65, 25, 148), strict=True
    )
    by_hand = []
    for (synops, updates, steps), (e_eq, e_step, barrier, t_synop, t_update), static in zip(
        cases, constants, (0.09, 0.232, 0.382), strict=True
    ):
        seconds = max(steps * barrier, synops / 3 * t_synop, updates / 3 * t_update) * 1e-9
        dynamic = (synops + 10 * updates) * e_eq * 1e-12 + steps * e_step * 1e-6
        by_hand.append((dynamic + static * seconds, seconds))
    assert bounds(found["astrobee_total"]) == pytest.approx([total for total, _ in by_hand])
    assert bounds(found["astrobee_seconds"]) == pytest.approx([seconds for _, seconds in by_hand])


def test_a_microcontroller_and_a_gpu_by_hand(found: dict[str, Reproduced]):
    assert bounds(found["gap9_ds_cnn_total"]) == pytest.approx([2_656_768 * e * 1e-12 for e in (2.2, 6.6, 19.9)])
    assert bounds(found["gap9_ds_cnn_seconds"]) == pytest.approx([2_656_768 * t * 1e-9 for t in (0.077, 0.28, 1.03)])
    roofline = 51_200 / 102e9  # a byte a weight: fetching takes longer than 51,200 MACs at half of 33.5e12 op/s
    nominal = roofline + 1.3e-6
    assert bounds(found["orin_nano_linear_fp32_seconds"])[:2] == pytest.approx([roofline, nominal])
    joules = 25 * roofline + 4.6 * 1.3e-6
    assert bounds(found["orin_nano_linear_fp32_total"])[1] == pytest.approx(joules)
    assert bounds(found["orin_nano_linear_fp32_dynamic"])[1] == pytest.approx(joules - 4.6 * nominal)


def test_a_wrong_constant_moves_the_ratio(found: dict[str, Reproduced], tmp_path: Path):
    own = tmp_path / "own.toml"
    figure = '{ low = 18.2, nominal = 35.2, high = 44.8, unit = "pJ", source = "doubled", evidence = "assumed" }'
    own.write_text(f"[devices.loihi2.figures]\ne_eq = {figure}\n")
    moved = {one.name.removeprefix("reproduced_"): one for one in reproductions(catalogue=load(own=own))}
    before, after = (rows["pilotnet_snn_2023-01-10_dynamic"] for rows in (found, moved))
    assert before.inside and not after.inside
    assert after.ratio == pytest.approx(2 * (before.ratio or 0), rel=0.01)
    assert moved["gap9_ds_cnn_total"].ratio == found["gap9_ds_cnn_total"].ratio


def test_a_calibration_is_not_counted_as_reproduced(found: dict[str, Reproduced]):
    calibration, tested = found["pilotnet_snn_2023-01-10_total"], found["clp_snn_total"]
    missing = found["gamage_dynamic"]
    assert calibration.calibration and calibration.inside and tested.inside and missing.ours is None
    count = tally([calibration, tested, missing])
    assert (count.inside, count.tested, count.calibrations, count.missing) == (1, 1, 1, 1)
    assert tally([calibration]).tested == 0


def test_figures_of_the_catalogue_reproduce_nothing(found: dict[str, Reproduced]):
    """What the files of the machines name as their source is marked."""
    calibrations = {name for name, one in found.items() if one.calibration}
    for name in (
        "pilotnet_snn_2023-01-10_dynamic",
        "ozu_lif_200_watts",
        "ozu_lif_200_seconds",
        "gap9_autoencoder_total",
    ):
        assert name in calibrations
    assert {"gap9_resnet8_total", "stm32u5_mobilenet_total", "pilotnet_sdnn_watts"} <= calibrations
    assert not {"clp_snn_static_watts", "gap9_ds_cnn_total", "q_learning_neurocores_dynamic"} & calibrations


def test_what_is_not_published_is_not_invented(found: dict[str, Reproduced]):
    for name in ("gamage_dynamic", "gamage_seconds", "astrobee_gpu_total"):
        assert found[name].ours is None and found[name].ratio is None and "not recomputed" in found[name].why
    assert any("GPU is not named" in line for line in missing_of(list(found.values())))
    assert found["clp_snn_dynamic"].swept and found["clp_snn_static_watts"].swept == ()
    assert found["ozu_lif_1200_ns_watts"].partial and not found["gap9_ds_cnn_total"].partial


def test_a_value_below_zero_has_no_ratio(found: dict[str, Reproduced]):
    one = found["pilotnet_sdnn_dynamic"]
    assert one.measured.band.low < 0 < one.measured.band.nominal and one.ratio
    below = Reproduced(
        published=one.published,
        quantity="dynamic",
        measured=type(one.measured)(band=Band(-1.0, -0.5, 0.0), source="x", evidence="R"),
        ours=one.ours,
    )
    assert below.ratio is None and below.log_error is None and below.inside is False


def test_the_rows_are_shown_and_not_passed(found: dict[str, Reproduced]):
    rows = reproduction_rows()
    assert len({row.name for row in rows}) == len(rows) == len(found) + 1
    assert all(row.goal is None and row.holds is None for row in rows)
    count = tally(list(found.values()))
    assert rows[0].name == "reproductions_within_band"
    assert (rows[0].ours, rows[0].other) == (count.inside, count.tested) and 0 < count.inside < count.tested
    assert count.tested + count.calibrations + count.missing == len(found)
    row = next(row for row in rows if row.name == "reproduced_astrobee_watts")
    assert row.other == 3.05 and "outside" in row.unit and "evidence D" in row.unit
    assert reproduction_rows([one for one in load_published() if one.system == "gap9"])[0].other == 4


def test_the_page_holds_the_rows(found: dict[str, Reproduced]):
    assert updated(DOC) == DOC, "run python -m spikeplan.experiments.bench.reproductions_page"
    assert summary_of(list(found.values())) in DOC and updated(DOC.replace("| astrobee |", "| astro |")) == DOC
    cells = {name: cells for name, _, *cells in lines_of(list(found.values()))}
    assert cells["astrobee"] == ["~0.00019!", "", "~0.0012!", "~0.078!", ""]
    assert cells["gap9_autoencoder"][0] == "(0.33)" and cells["astrobee_gpu"][0] == "?"


def test_the_page_says_the_failures_in_figures(found: dict[str, Reproduced]):
    """Every figure of the prose, from the rows."""
    section = " ".join(DOC.split("## Measured systems, recomputed")[1].split("## Measured GPU figures")[0].split())

    def times(name: str) -> float:
        return 1 / (found[name].ratio or 0)

    assert f"microcontroller take {times('astrobee_watts'):.0f} times less" in section
    assert f"{times('q_learning_board_watts'):.1f} times our chip" in section
    assert f"{times('pilotnet_sdnn_seconds'):.0f} times ours, since it waits" in section
    assert f"{times('astrobee_seconds'):.0f} times ours" in section
    figures = default().device("loihi2").figures
    alone_W, among_W = (figures[name].band for name in ("p_static", "p_static_chips"))
    several = [
        found[f"{name}_static_watts"].measured.band.nominal for name in ("acoustic_preloaded", "matmul_free_llm")
    ]
    assert several == [16.05, 16.5] and "16 chips rests at 16.05 W and one of 32 at 16.5 W" in section
    a_chip = several[0] / 16, several[1] / 32
    assert f"would be {a_chip[0] / alone_W.nominal:.1f} and {a_chip[1] / alone_W.nominal:.1f} times too low" in section
    assert among_W.nominal == pytest.approx((a_chip[0] * a_chip[1]) ** 0.5, rel=0.01) and among_W.high >= a_chip[0]
    assert f"`p_static_chips`, {among_W.nominal:g} W" in section
    rests = [one.measured.band.nominal for name, one in found.items() if name.endswith("static_watts") and alone(one)]
    assert f"rest at {min(rests):.2f} to {max(rests):.2f} W" in section
    assert f"where ours is {1e6 * bounds(found['acoustic_ethernet_seconds'])[1]:.0f} us" in section
    assert f"(ours {1e6 * bounds(found['acoustic_ethernet_dynamic'])[1]:.0f} uJ, measured 41 and 43 uJ)" in section
    assert f"ours {bounds(found['ozu_lif_1200_ns_watts'])[1]:.2f} W, measured" in " ".join(section.split())
    assert f"{times('orin_nano_linear_fp32_seconds'):.0f} times ours" in section
    assert f"{times('orin_nano_linear_fp32_dynamic'):.0f} times ours" in section
    needed = {}
    for name, one in found.items():
        if name.startswith("ozu_izhikevich") and one.quantity == "seconds":
            neurons, cores = (one.published.counts[key].band.nominal for key in ("updates", "cores"))
            needed[name] = one.measured.band.nominal / (neurons / cores)
    read = [1e9 * s for name, s in needed.items() if "_200_" not in name and "_1200_" not in name]
    assert f"{min(read):.0f} to {max(read):.0f} ns" in section
    assert max(read) == pytest.approx(1e9 * default().device("loihi2").figure("t_update").band.high, rel=0.01)
    assert f"would need {1e9 * needed['ozu_izhikevich_200_ns_seconds']:.0f} ns" in section
    slowest = max(times(name) for name in needed if "_200_" not in name)
    assert f"up to {slowest:.1f} times as long" in section
    even = 16 * max(36.6e6 / 16 / 74 * 1.01e-9, 158_509 / 74 * 25e-9) / 2.44553e-3
    assert f"{even:.2f} of the measured time" in section
    worst = max(
        abs((one.ratio or 0) - 1)
        for name, one in found.items()
        if re.match("gap9_(?!fast)|stm32u5", name) and not one.calibration
    )
    assert f"within {worst:.0%}".replace("%", " %") in section


def test_the_command_writes_every_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    main(["energy", "reproductions", "--json", str(tmp_path / "out.json")])
    told = json.loads((tmp_path / "out.json").read_text())
    assert told["tested"] + told["calibrations"] + told["not_recomputed"] == len(told["rows"])
    row = next(row for row in told["rows"] if row["name"] == "astrobee" and row["quantity"] == "watts")
    assert row["measured"]["nominal"] == 3.05 and row["inside"] is False and row["counts"]["synops"]["high"] == 5248
    assert "astrobee" in capsys.readouterr().out


def test_the_command_refuses_a_damaged_catalogue(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    own = tmp_path / "own.toml"
    own.write_text("[devices.loihi2.figures]\ne_eq = 3\n")
    with pytest.raises(SystemExit):
        main(["energy", "reproductions", "--devices", str(own)])
    said = capsys.readouterr().err.strip()
    assert "e_eq" in said and "own.toml" in said
