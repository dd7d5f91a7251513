"""The catalogue: every figure has a source, an evidence code and an order; a damaged file is refused by name."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from spikeplan.core.chips import CHIPS
from spikeplan.core.errors import UserError
from spikeplan.energy import default, load
from spikeplan.energy.catalogue import EVIDENCE, PATH

FILES = ("reference", *default().devices, *default().sensors)  # as one text, in their order
TEXT = "\n".join((PATH / f"{name}.toml").read_text(encoding="utf-8") for name in FILES)
STATIC = 'p_static = { value = 0.104, unit = "W", source = "Frady 2020 (arXiv 2004.12691), table 1", evidence = "Q"'


def changed(tmp_path: Path, old: str, new: str) -> Path:
    assert old in TEXT
    path = tmp_path / "devices.toml"
    path.write_text(TEXT.replace(old, new, 1), encoding="utf-8")
    return path


def test_every_figure_is_sourced_and_ordered():
    catalogue = default()
    machines = (*catalogue.devices.values(), *catalogue.sensors.values())
    figures = [figure for device in machines for figure in device.figures.values()]
    figures += [*catalogue.reference.values(), *(f for table in catalogue.limits.values() for f in table.values())]
    assert len(figures) > 60
    for figure in figures:
        assert figure.source and figure.evidence in EVIDENCE, figure.name
        assert 0 < figure.band.low <= figure.band.nominal <= figure.band.high, figure.name
    chips = "loihi2 loihi1 loihi1_sanafe hala_point spinnaker spinnaker_seneca spinnaker2 spinnaker2_seneca seneca speck akida"
    dense = "orin_nano agx_orin thor h100 rtx4090 gap9 stm32u5 pi5 cpu jepa_r digital45"
    assert set(catalogue.devices) == {*chips.split(), *dense.split()} and set(catalogue.sensors) == {
        "genx320",
        "picamera2",
    }
    for device in (*catalogue.devices.values(), *catalogue.sensors.values()):
        assert all(figure.node for figure in device.figures.values()), device.name
        assert device.spiking == (device.name in chips.split())


def test_a_machine_is_a_file_and_has_one(tmp_path: Path):
    folder = tmp_path / "devices"
    folder.mkdir()
    for path in PATH.glob("*.toml"):
        (folder / path.name).write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    text = (PATH / "digital45.toml").read_text(encoding="utf-8")
    (folder / "mine.toml").write_text(text.replace("devices.digital45", "devices.a_mine"), encoding="utf-8")
    devices = list(load(folder).devices)
    assert devices == [*default().devices, "a_mine"], "named ones first, in their order"
    (folder / "again.toml").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match="'digital45' is in another file of the folder, too"):
        load(folder)


def test_conflicting_sources_stand_side_by_side():
    # SENECA's table 3: 45 and 10 pJ; arXiv 1903.08941: 13.3 nJ and 450 pJ
    pairs = {"spinnaker": 13.3e-9 / 45e-12, "spinnaker2": 450 / 10}
    for name, ratio in pairs.items():
        high, low = (default().device(n).figure("e_synop") for n in (name, f"{name}_seneca"))
        assert high.band.nominal / low.band.nominal == pytest.approx(ratio) and high.source != low.source


def test_hala_point_is_1152_loihi2():
    one, all_of_it = default().device("loihi2"), default().device("hala_point")
    for name in ("e_eq", "p_static", "t_synop", "t_update", "io_rate"):
        assert one.figure(name).band == all_of_it.figure(name).band
        assert one.figure(name).shared == all_of_it.figure(name).shared  # Monte-Carlo draws them once
    assert all_of_it.figure("chips").band.nominal == 1152


OWN = """
[devices.speck.figures]
e_synop = { value = 2, unit = "pJ", source = "my bench", evidence = "R", node = "65 nm" }
[devices.mine]
kind = "asic"
node = "3 nm"
title = "my chip"
[devices.mine.figures]
mac_int8 = { value = 0.05, unit = "pJ", source = "my bench", evidence = "R" }
e_sram = { value = 1, unit = "pJ/B", source = "my bench", evidence = "R" }
e_dram = { value = 100, unit = "pJ/B", source = "my bench", evidence = "R", node = "memory" }
"""


def test_a_users_file_adds_devices_and_figures(tmp_path: Path):
    path = tmp_path / "own.toml"
    path.write_text(OWN)
    catalogue = load(own=path)
    assert set(catalogue.devices) == {*default().devices, "mine"}
    speck = catalogue.device("speck")
    assert speck.figure("e_synop").band.nominal == 2e-12 and speck.figure("p_static").band.nominal == 0.42e-3
    assert "e_synop" not in speck.unavailable
    mine = catalogue.stated()["devices"]["mine"]["figures"]
    assert (mine["mac_int8"]["node"], mine["e_dram"]["node"]) == ("3 nm", "memory")
    assert set(mine["mac_int8"]) == {"value", "unit", "low", "high", "node", "source", "evidence", "note"}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            'source = "my bench", evidence = "R", node = "65 nm"',
            'evidence = "R"',
            "devices.speck.e_synop: source is missing",
        ),
        (', node = "65 nm"', ', node = "65 nm", by = "me"', "unknown keys by"),
        (
            'unit = "pJ/B", source = "my bench", evidence = "R", node',
            'unit = "eV", source = "x", evidence = "R", node',
            "'eV'",
        ),
        ('node = "3 nm"\n', "", "devices.mine: no node for mac_int8, e_sram"),
        ('evidence = "R", node = "65 nm"', 'evidence = "M", node = "65 nm"', "evidence 'M' is not one of"),
        (
            'value = 2, unit = "pJ"',
            'value = 2, unit = "W"',
            "devices.speck.e_synop: unit 'W' does not fit; state it in pJ or nJ",
        ),
        ('value = 2, unit = "pJ"', 'value = 2, unit = ["pJ"]', "is unknown; use one of"),
        ("e_synop", "e_sinop", "devices.speck.e_sinop: no model of kind 'event' reads it; figures are e_synop"),
        ("mac_int8 = { value = 0.05", "eta = { value = 0.05", "devices.mine.eta: no model of kind 'asic' reads it"),
        ("value = 2,", "value = 1e308,", "must be finite numbers > 0"),
        ("value = 2,", f"value = {10**400},", "must be finite"),
        ('kind = "asic"', 'kind = ["asic"]', "kind .'asic'. is unknown"),
        ('title = "my chip"', 'boards = "mine"', "devices.mine: boards is 'mine'; expected a list of names"),
        ('title = "my chip"', 'hypothetical = "no"', "devices.mine: hypothetical is 'no'; write true or false"),
        ('node = "memory"', "node = 'm', shared = 3", "shared 3 is no text"),
        ("value = 2,", "value = nan,", "must be finite numbers > 0"),
        ('kind = "asic"\n', "", "kind None is unknown"),
        ("[devices.mine]", "[limits]\n[devices.mine]", "unknown tables limits"),
        ("[devices", "[device", "unknown tables device;"),
        (OWN, "[devices]", "holds no device; give it a table"),
        (OWN, "devices = 3", r"table \[devices\] is missing"),
        (OWN, f"devices = {'[' * 100_000}", "nested too deeply"),
        (OWN, f"devices = {'[' * 200}{']' * 200}", r"table \[devices\] is missing"),
        ("value = 2,", f"value = {'[' * 200}{']' * 200},", "must be finite"),
        ("value = 2,", f"value = {'7' * 5000},", "not a TOML file .*Exceeds the limit"),
        ("value = 2,", f"value = 0x{'7' * 5000},", "a list too long to print must be finite"),
        ("value = 2,", f"value = {'7' * 4000},", r"77 \.\.\. 77+\] must be finite"),
        ('kind = "asic"', f"kind = '{'k' * 12_000}'", r"kind 'kk.* \.\.\. .*k' is unknown; use one of loihi2"),
        (', node = "65 nm"', f', {"k" * 12_000} = "me"', r"unknown keys kk.* \.\.\. .*kk; remove them"),
        ("[devices.mine]", f"[{'k' * 12_000}]", r"unknown tables kk.* \.\.\. .*kk; a device file"),
    ],
)
def test_a_users_file_is_held_to_the_same_rules(tmp_path: Path, old: str, new: str, message: str):
    assert old in OWN
    path = tmp_path / "own.toml"
    path.write_text(OWN.replace(old, new))
    with pytest.raises(UserError, match=message) as caught:
        load(own=path)
    said = str(caught.value)
    assert str(path) in said and "\n" not in said and len(said) < 1500


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "a folder without TOML files; name a device file"),
        ("", "holds no device"),
        ("order = 3" + OWN, "order is 3; write a list of devices' names"),
        ("order = [[1]]" + OWN, r"order is \[\[1\]\]; write a list"),
        ("devices = 3", "own.toml: devices is 3; write tables"),
        ("reference = 3" + OWN, "unknown tables reference"),
    ],
)
def test_a_users_folder_is_held_to_the_same_rules(tmp_path: Path, text: str | None, message: str):
    if text is not None:
        (tmp_path / "own.toml").write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        load(own=tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_a_users_folder_adds_devices(tmp_path: Path):
    (tmp_path / "own.toml").write_text('order = ["mine"]' + OWN)
    assert "mine" in load(own=tmp_path).devices


def test_a_file_that_is_no_utf8_text(tmp_path: Path):
    path = tmp_path / "own.toml"
    path.write_bytes(OWN.encode("utf-16"))
    with pytest.raises(UserError, match=r"own\.toml: cannot read the device catalogue: not UTF-8 \(byte 0\)"):
        load(own=path)
    path.unlink()
    path.symlink_to(path)
    with pytest.raises(UserError, match=r"own\.toml: cannot read the device catalogue \(.*Too many levels"):
        load(own=path)


@pytest.mark.parametrize(
    ("device", "figure", "message"),
    [
        ("h100", 'eta = { value = 2, unit = "1"', "eta: 2 is a share of the peak"),
        ("h100", 'cache = { low = 1, nominal = 2, high = 3, unit = "B"', "cache: give one value"),
        (
            "loihi2",
            'update_weight = { value = 5, unit = "1"',
            "update_weight: 5 is not the 10 that operation counts use",
        ),
    ],
)
def test_figures_that_the_models_do_not_take_as_stated_are_refused(
    tmp_path: Path, device: str, figure: str, message: str
):
    path = tmp_path / "own.toml"
    path.write_text(f'[devices.{device}.figures]\n{figure}, source = "me", evidence = "R" }}\n')
    with pytest.raises(UserError, match=message):
        load(own=path)


@pytest.mark.parametrize("chip", CHIPS.values(), ids=lambda chip: chip.name)
def test_limits_agree_with_the_spec(chip):
    table = default().limits[chip.name]
    numbers = [f.name for f in fields(chip) if type(getattr(chip, f.name)) is int]
    assert set(table) == set(numbers)
    assert {name: table[name].band.nominal for name in numbers} == {name: getattr(chip, name) for name in numbers}
    assert {name for name in numbers if table[name].note == "assumed"} == set(chip.assumed)


def test_units_are_si():
    chip, gpu = default().device("loihi2"), default().device("orin_nano")
    assert chip.figure("e_eq").band.nominal == pytest.approx(17.6e-12)
    assert chip.figure("t_barrier").band.high == pytest.approx(2.2e-6)
    assert gpu.figure("peak_int8").band.nominal == 33.5e12


def test_derived_figures_by_hand():
    chip, digital = default().device("loihi2"), default().device("digital45")
    equivalents = 36.6e6 + 10 * 16 * 158_509  # of PilotNet SNN, an inference of 16 steps
    dynamic = (0.562239e-3, 1.093544e-3, 0.474 * 16 * 182e-6)
    assert chip.figure("e_eq").band.bounds() == pytest.approx([joules / equivalents for joules in dynamic], rel=7e-3)
    assert chip.figure("t_synop").band.nominal == pytest.approx(152.8e-6 / 150_800, rel=6e-3)
    assert chip.figure("t_synop").band.low == pytest.approx(3.5e-9 / 5)
    assert chip.figure("t_update").band.low == pytest.approx(5.3e-9 / 2)
    steps = [(0.47 - static - 0.02) / 565e3 for static in reversed(chip.figure("p_static").band.bounds())]
    assert chip.figure("e_step").band.bounds() == pytest.approx(steps, rel=1e-2)
    assert chip.figure("p_static").band.nominal == pytest.approx(0.679 - 0.447)  # PilotNet: total - dynamic
    assert digital.figure("e_sram").band.high == pytest.approx(100e-12 / 8)
    assert digital.figure("e_dram").band.low == pytest.approx(1300e-12 / 8)
    assert default().reference["rtx4090_planner_mac"].band.nominal == pytest.approx(16 * 450 / 8000 / 81.9e9, rel=1e-2)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (', source = "Frady 2020 (arXiv 2004.12691), table 1"', "", r"devices.loihi1.p_static: source is missing"),
        ('"Frady 2020 (arXiv 2004.12691), table 1"', '"  "', r"devices.loihi1.p_static: source is missing"),
        (STATIC, STATIC.replace('"Q"', '"M"'), r"p_static: evidence 'M' is not one of R, Q, S, V, D, assumed"),
        (STATIC, STATIC.replace('"W"', '"kW"'), r"p_static: unit 'kW' is unknown"),
        (STATIC, STATIC.replace("0.104", "-1"), r"p_static: .* must be finite numbers > 0"),
        (STATIC, STATIC.replace("0.104", "0.104, low = 1"), r"p_static: give either value or low"),
        (STATIC, STATIC.replace("value", "valu"), r"p_static: unknown keys valu"),
        ("low = 9.1, nominal = 17.6", "low = 18.0, nominal = 17.6", r"e_eq: low 1.8e-11 <= nominal .* does not hold"),
        ("low = 9.1, nominal = 17.6", "nominal = 17.6", r"e_eq: .*None.* must be finite numbers"),
        ("t_synop = {", "t_sinop = {", r"devices.loihi2.t_sinop: no model of kind 'loihi2' reads it"),
        ("\nt_synop = { shared", "\n# t_synop = { shared", r"a device of kind 'loihi2' needs t_synop"),
        ('kind = "gpu"', 'kind = "tpu"', r"devices.orin_nano: kind 'tpu' is unknown"),
        ("hypothetical = true", "imagined = true", r"devices.jepa_r: unknown keys imagined"),
        ("[reference]", "[references]", r"table \[reference\] is missing"),
        ("[limits.loihi1]", "[limits.loihi1", r"not a TOML file"),
    ],
)
def test_a_damaged_catalogue_is_refused(tmp_path: Path, old: str, new: str, message: str):
    path = changed(tmp_path, old, new)
    with pytest.raises(UserError, match=message) as caught:
        load(path)
    assert str(path) in str(caught.value)


def test_a_missing_catalogue_and_a_missing_figure_are_refused(tmp_path: Path):
    with pytest.raises(UserError, match="no such file"):
        load(tmp_path / "none.toml")
    with pytest.raises(UserError, match=r"'jepa_r': p_static is not available .a chip that does not exist"):
        default().device("jepa_r").figure("p_static")
