"""The map against a pencil, its ends, and its file; a point's counts are those that the models price."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from spikeplan.core.chips import LOIHI2
from spikeplan.core.counts.operations import total
from spikeplan.core.errors import UserError
from spikeplan.energy import default, estimate
from spikeplan.energy.regime import Axes, Point, dense_rows, placed, regimes, spiking_rows
from spikeplan.energy.systems import draw_of, load_systems
from spikeplan.experiments.bench import regimes as bench
from spikeplan.experiments.cli.energy_map import as_csv, facts_of
from spikeplan.experiments.cli.main import main
from spikeplan.experiments.report import style
from spikeplan.experiments.report.figures.regime import map_figure

SYSTEMS = {name: load_systems()[name] for name in ("npu", "npu-loihi2", "orin", "orin-loihi2", "h100")}
SMALL = Axes(weight_bytes=(65536, 2**20, 2**22), candidates=(1, 256), rates_hz=(10.0, 50.0))


@pytest.fixture(scope="module")
def found():
    return regimes(SMALL, default(), SYSTEMS)


def test_counts_of_a_point_by_hand() -> None:
    point = Point(weight_bytes=10_000_000, candidates=8)
    assert (point.width, point.layers, point.neurons, point.predictions) == (1024, 10, 9766, 8 * 48)
    dense = dense_rows(point)
    assert len(dense) == 48 * 10 and total(dense, "macs") == 10_000_000 * 384
    # a layer of 1 MB needs 6 cores of 192 KB: 60 for one network, two of them fill a chip's 120
    at = placed(point, LOIHI2)
    assert (at.chips, at.replicas, at.cores) == (1, 2, 120)
    (row,), setup = spiking_rows(point, 0.25, default().device("loihi2"))
    assert row.chip_steps == 4 * 12 * 10, "4 candidates a replica leave a pipe of 10 layers partly empty"
    assert row.synops == 10_000_000 * 384 / 4
    assert row.updates_idle == 9766 * 2 * 480, "neurons of both replicas update in every step"
    # 48 of 120 cores have messages to work on in a step: 20 M synops each, 1.01 ns
    assert setup.time_s is not None and setup.time_s.nominal == pytest.approx(row.synops / 48 * 1.01e-9)
    assert (setup.chips, setup.cores) == (1, 120)
    assert placed(Point(weight_bytes=100_000_000, candidates=800), LOIHI2).chips == 5
    lone = placed(Point(weight_bytes=65536, candidates=1), LOIHI2)
    assert (lone.replicas, lone.cores) == (1, 120), "one network spreads over what is left"


def test_break_even_is_where_both_draw_the_same(found) -> None:
    rows = [row for row in found.rates if 0 < row.break_even < row.fits]
    assert rows, "some break-even lies between never and always"
    for row in rows:
        system = SYSTEMS[row.spiking]
        point = Point(weight_bytes=row.weight_bytes, candidates=row.candidates)
        priced, setup = spiking_rows(point, row.break_even, default().device(system.planner.device))
        drawn = draw_of(system, priced, 1, rate_hz=row.rate_hz, catalogue=default(), setup=setup)
        assert drawn.watts.nominal == pytest.approx(row.dense_watts, rel=1e-6)
    for action in found.actions:
        if 0 < action.break_even < 1:
            point = Point(weight_bytes=action.weight_bytes, candidates=action.candidates)
            priced, setup = spiking_rows(point, action.break_even, default().device("loihi2"))
            joules = estimate("loihi2", priced, 1, scope="system", extent="loop", setup=setup).nominal
            assert joules == pytest.approx(action.dense_joules, rel=1e-4)


def test_the_ends_of_the_map(found) -> None:
    """A network that no NPU holds leaves the rate alone to decide; an H100's 70 W lose to a chip; an NPU at rest wins."""
    for row in found.rates:
        if row.dense == "npu" and row.weight_bytes > 1_500_000:
            assert row.dense_watts is None and row.break_even == row.fits
        if row.dense == "h100" and row.weight_bytes == 65536:
            assert row.break_even == row.fits == 1.0 and row.winner == row.spiking and row.dense_term == "rest"
        if row.dense == "npu" and (row.weight_bytes, row.candidates) == (65536, 1):
            assert row.break_even == 0 and row.winner == "npu" and row.spiking_term == "static"
    slow = [row for row in found.rates if row.fits < 1]
    assert slow and all(row.spiking_watts is None for row in slow if row.fits < row.density)


def test_the_file_and_the_picture_say_the_same(found) -> None:
    facts = facts_of(found, SYSTEMS, [{"name": "ours", "weight_bytes": 82_000, "candidates": 5, "density": 0.2}])
    lines = list(csv.DictReader(as_csv(facts["rates"]).splitlines()))
    assert len(lines) == len(found.rates) == 3 * 2 * 2 * 2 * 3
    assert [float(line["break_even"]) for line in lines] == [row.break_even for row in found.rates]
    drawn = style.svg(map_figure, facts, "npu-loihi2")
    assert drawn is not None and "ours: density 0.2" in drawn and "against Orin Nano alone: " in drawn
    assert map_figure(facts, "no such system") is None


def test_the_command_writes_every_point(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = {flag: tmp_path / f"map.{flag}" for flag in ("csv", "json", "svg")}
    words = [word for flag, path in files.items() for word in (f"--{flag}", str(path))]
    main(
        ["energy", "map", "--weights", "64", "--candidates", "4", "--rate", "10", "--systems", "npu,npu-loihi2", *words]
    )
    assert "microcontroller + Loihi 2 at density 0.1" in " ".join(capsys.readouterr().out.split())
    (row,) = json.loads(files["json"].read_text())["rates"]
    assert (row["weight_bytes"], row["candidates"], row["rate_hz"]) == (65536, 4, 10.0)
    assert files["csv"].read_text().count("\n") == 2 and "<svg" in files["svg"].read_text()


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--weights", "many"], "--weights many: not numbers"),
        (["--weights", "-1"], "give numbers above 0"),
        (["--density", "2"], "density 2.0 must lie in"),
        (["--systems", "npu"], "no spiking system"),
        (["--systems", "abacus"], "system 'abacus' is unknown"),
        (["--rate", "0"], "rate 0 Hz: give actions a second, above 0"),
        (["--run", "{no}"], "no results directory"),
        (["--own", "{slip}", "--systems", "slip,npu-loihi2"], "device 'nope' is unknown"),
        (["--own", "{odd}", "--systems", "odd,npu-loihi2"], "machine 'loihi2': a loihi2 has no states to rest in"),
    ],
)
def test_bad_input_is_one_line(
    words: list[str], complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {name: tmp_path / f"{name}.toml" for name in ("slip", "odd")}
    for path, device in zip(files.values(), ("nope", "loihi2"), strict=True):
        machine = f'[[machines]]\ndevice = "{device}"\ndoes = "plan"\nrest = "idle"\n'
        path.write_text(f'title = "x"\nside = "dense"\n{machine}')
    with pytest.raises(SystemExit) as stop:
        main(["energy", "map", *(word.format(no=tmp_path / "no", **files) for word in words)])
    said = capsys.readouterr().err
    assert stop.value.code == 2 and complaint in said and said.count("\n") == 1
    with pytest.raises(UserError, match="an axis has no values"):
        Axes(weight_bytes=())


@pytest.mark.slow
def test_the_regimes_of_another_sweep_are_found_or_explained() -> None:
    rows = {row.name: row for row in bench.regime_rows()}
    assert rows["map_regimes_different"].holds and rows["map_regimes_different"].ours == 4
    for name in ("map_beyond_cache_orin", "map_beyond_cache_h100", "map_density_orin"):
        assert not rows[name].ours and "here not: machines of several chips draw 0.72 W" in rows[name].unit
    assert not rows["map_small_loses_roofline"].ours and "here not: spread" in rows["map_small_loses_roofline"].unit


def test_the_page_says_what_many_chips_cost_in_figures() -> None:
    page = " ".join((Path(__file__).resolve().parents[2] / "docs" / "regime-map.md").read_text().split())
    axes = Axes(weight_bytes=(2**28, 2**30), candidates=(1, 8, 64), rates_hz=(1,))
    found = regimes(axes, default(), {name: load_systems()[name] for name in ("npu-loihi2", "orin", "h100")})
    said = {
        "orin_nano": "below .{:02.0f} to .{:02.0f} against an Orin",
        "h100": "below .{:02.0f} to .{:02.0f} against an H100",
    }
    for device, words in said.items():
        many, one = (
            next(
                row.break_even
                for row in found.actions
                if (row.weight_bytes, row.candidates, row.device, row.how) == (2**30, candidates, device, "roofline")
            )
            for candidates in (8, 1)
        )
        assert words.format(100 * many, 100 * one) in page
    rows = [row for row in found.rates if row.dense == "orin"]
    assert rows and all(row.break_even == 0 for row in rows), "256 MB and more lose to an Orin at one action a second"
    assert "256 MB and more lose to an Orin at any density up to 64 candidates" in page
