"""The catalogue: every figure has a source, an evidence code and an order; a damaged file is refused by name."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from energy import default, load
from energy.catalogue import EVIDENCE, PATH
from spec.errors import UserError
from spec.limits import CHIPS

TEXT = PATH.read_text(encoding="utf-8")
STATIC = 'p_static = { value = 0.104, unit = "W", source = "Frady 2020 (arXiv 2004.12691), table 1", evidence = "Q"'


def changed(tmp_path: Path, old: str, new: str) -> Path:
    assert old in TEXT
    path = tmp_path / "devices.toml"
    path.write_text(TEXT.replace(old, new, 1), encoding="utf-8")
    return path


def test_every_figure_is_sourced_and_ordered():
    catalogue = default()
    figures = [figure for device in catalogue.devices.values() for figure in device.figures.values()]
    figures += [*catalogue.reference.values(), *(f for table in catalogue.limits.values() for f in table.values())]
    assert len(figures) > 60
    for figure in figures:
        assert figure.source and figure.evidence in EVIDENCE, figure.name
        assert 0 < figure.band.low <= figure.band.nominal <= figure.band.high, figure.name
    wanted = {"loihi2", "loihi1", "loihi1_sanafe", "orin_nano", "h100", "cpu", "jepa_r", "digital45"}
    assert set(catalogue.devices) == wanted


@pytest.mark.parametrize("chip", CHIPS.values(), ids=lambda chip: chip.name)
def test_limits_agree_with_the_spec(chip):
    table = default().limits[chip.name]
    numbers = [f.name for f in fields(chip) if type(getattr(chip, f.name)) is int]
    assert set(table) == set(numbers)
    assert {name: table[name].band.nominal for name in numbers} == {name: getattr(chip, name) for name in numbers}
    assert {name for name in numbers if table[name].note == "assumed"} == set(chip.assumed)


def test_units_are_si():
    chip, gpu = default().device("loihi2"), default().device("orin_nano")
    assert chip.figure("e_eq").band.nominal == pytest.approx(17.7e-12)
    assert chip.figure("t_barrier").band.high == pytest.approx(13e-6)
    assert gpu.figure("peak_int8").band.nominal == 33.5e12


def test_derived_figures_by_hand():
    chip, digital = default().device("loihi2"), default().device("digital45")
    assert chip.figure("e_eq").band.low == pytest.approx(2600 / (380e12 + 10 * 240e12), rel=6e-3)  # Hala Point
    assert chip.figure("t_synop").band.low == pytest.approx(140_544 / 380e12, rel=6e-3)
    assert chip.figure("t_update").band.low == pytest.approx(140_544 / 240e12, rel=1e-2)
    assert chip.figure("t_synop").band.nominal == pytest.approx((0.37e-9 * 2.4e-9) ** 0.5, rel=6e-3)
    assert chip.figure("p_static").band.nominal == pytest.approx(0.679 - 0.447)  # PilotNet: total - dynamic
    assert digital.figure("e_sram").band.high == pytest.approx(100e-12 / 8)
    assert digital.figure("e_dram").band.low == pytest.approx(1300e-12 / 8)
    assert default().reference["rtx4090_planner_mac"].band.nominal == pytest.approx(16 * 450 / 8000 / 81.9e9, rel=1e-2)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [(', source = "Frady 2020 (arXiv 2004.12691), table 1"', "", r"devices.loihi1.p_static: source is missing"),
     ('"Frady 2020 (arXiv 2004.12691), table 1"', '"  "', r"devices.loihi1.p_static: source is missing"),
     (STATIC, STATIC.replace('"Q"', '"M"'), r"p_static: evidence 'M' is not one of R, Q, S, V, D"),
     (STATIC, STATIC.replace('"W"', '"kW"'), r"p_static: unit 'kW' is unknown"),
     (STATIC, STATIC.replace("0.104", "-1"), r"p_static: .* must be finite numbers > 0"),
     (STATIC, STATIC.replace("0.104", "0.104, low = 1"), r"p_static: give either value or low"),
     (STATIC, STATIC.replace("value", "valu"), r"p_static: unknown keys valu"),
     ("low = 0.94, nominal = 17.7", "low = 18.0, nominal = 17.7", r"e_eq: low 1.8e-11 <= nominal .* does not hold"),
     ("low = 0.94, nominal", "nominal", r"e_eq: .*None.* must be finite numbers"),
     ("t_synop = {", "t_sinop = {", r"devices.loihi2: .* needs t_synop"),
     ('kind = "gpu"', 'kind = "tpu"', r"devices.orin_nano: kind 'tpu' is unknown"),
     ("hypothetical = true", "imagined = true", r"devices.jepa_r: unknown keys imagined"),
     ("[reference]", "[references]", r"table \[reference\] is missing"),
     ("[limits.loihi1]", "[limits.loihi1", r"not a TOML file")],
)  # fmt: skip
def test_a_damaged_catalogue_is_refused(tmp_path: Path, old: str, new: str, message: str):
    path = changed(tmp_path, old, new)
    with pytest.raises(UserError, match=message) as caught:
        load(path)
    assert str(path) in str(caught.value)


def test_a_missing_catalogue_and_a_missing_figure_are_refused(tmp_path: Path):
    with pytest.raises(UserError, match="cannot read"):
        load(tmp_path / "none.toml")
    with pytest.raises(UserError, match=r"'jepa_r': p_static is not available .a chip that does not exist"):
        default().device("jepa_r").figure("p_static")
