"""Power states of machines in the catalogue: every kind has them, sensors have nothing else, and what is missing is one line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from spikeplan.core.counts.operations import CountRow
from spikeplan.core.errors import UserError
from spikeplan.energy import default, load
from spikeplan.energy.systems import Part, System, draw_of, load_systems
from spikeplan.energy.systems.states import waking, watts_in

ROW = CountRow(method="s", phase="predictor", layer="h", reference="zero", schedule="interleaved", precision="int8")


def test_watts_of_a_state():
    machine = default().machine
    for name, state, watts in (
        ("loihi2", "idle", 0.232),  # waiting: static power
        ("speck", "idle", 0.42e-3),
        ("orin_nano", "active", 25),
        ("gap9", "active", 6.6e-12 / 0.28e-9),  # of one measurement
        ("pi5", "active", 9),
        ("pi5", "off", 0.01),
        ("genx320", "sleep", 36e-6),
    ):
        assert watts_in(machine(name), state).nominal == pytest.approx(watts), name


@pytest.mark.parametrize(
    ("name", "state", "message"),
    [
        (
            "pi5",
            "sleep",
            r"'pi5': no state 'sleep' \(no suspend to RAM was found.*\); give p_sleep .*: off, idle, active",
        ),
        (
            "jepa_r",
            "idle",
            r"'jepa_r': no state 'idle'; give p_idle in --devices FILE, or let it rest in a state that it has",
        ),
        ("loihi2", "off", r"'loihi2': no state 'off'; give p_off in --devices FILE, .*: idle"),
    ],
)
def test_a_state_that_is_not_there_is_one_line(name: str, state: str, message: str):
    with pytest.raises(UserError, match=message) as caught:
        watts_in(default().machine(name), state)
    assert "\n" not in str(caught.value)


def test_waking_by_hand(tmp_path: Path):
    joules, seconds = waking(default().device("gap9"), "sleep")
    assert seconds.nominal == 1.2e-3 and joules.nominal == pytest.approx(6.6e-12 / 0.28e-9 * 1.2e-3)
    joules, seconds = waking(default().device("pi5"), "off")
    assert (seconds.nominal, joules.nominal) == (15, 135)
    assert waking(default().device("pi5"), "idle")[1].high == 0
    own = tmp_path / "own.toml"
    own.write_text('[devices.pi5.figures]\ne_boot = { value = 40, unit = "J", source = "x", evidence = "R" }\n')
    assert waking(load(own=own).device("pi5"), "off")[0].nominal == 40
    with pytest.raises(
        UserError, match="machine 'orin_nano': how long it takes to wake from state 'off' is not known; give t_boot"
    ):
        waking(default().device("orin_nano"), "off")


def test_a_sensor_prices_nothing_and_has_states(tmp_path: Path):
    catalogue = default()
    assert catalogue.machine("genx320").figure("p_sleep").band.nominal == pytest.approx(36e-6)
    assert catalogue.machine("loihi2") is catalogue.device("loihi2")
    with pytest.raises(UserError, match="'picamera2' is a sensor, which no operations run on; use one of agx_orin"):
        catalogue.device("picamera2")
    with pytest.raises(UserError, match="machine 'moon' is unknown; use one of .*genx320"):
        catalogue.machine("moon")
    assert "genx320" in catalogue.stated()["devices"]
    own = tmp_path / "own.toml"
    own.write_text('[devices.eye]\nkind = "sensor"\nnode = "x"\n[devices.eye.figures]\n')
    with pytest.raises(UserError, match="a device of kind 'sensor' needs p_active, p_sleep; add them with a source"):
        load(own=own)


@pytest.mark.parametrize("figure", ["p_off", "p_sleep", "p_idle", "p_active", "t_wake", "e_wake", "t_boot", "e_boot"])
def test_every_kind_of_machine_has_power_states(tmp_path: Path, figure: str):
    unit = {"p": "uW", "t": "ms", "e": "mJ"}[figure[0]]
    own = tmp_path / "own.toml"
    for name, device in default().devices.items():
        own.write_text(
            f'[devices.{name}.figures]\n{figure} = {{ value = 2, unit = "{unit}", source = "x", evidence = "R", node = "n" }}\n'
        )
        scale = 1e-6 if figure[0] == "p" else 1e-3
        assert load(own=own).device(name).figure(figure).band.nominal == pytest.approx(2 * scale), device.kind
    own.write_text(own.read_text().replace(f'"{unit}"', '"B"'))
    with pytest.raises(UserError, match=f"{figure}: unit 'B' does not fit; state it in"):
        load(own=own)


def test_a_figure_moves_against_another():
    chip = default().device("loihi2")
    assert chip.figure("e_step").opposed == chip.figure("p_static").shared == chip.figure("e_eq").shared


def test_a_chip_that_sleeps_draws_static_power_while_it_works_only(tmp_path: Path) -> None:
    row = replace(ROW, synops=1_000_000, updates_idle=1000, weight_bytes=1000, chip_steps=10)

    def drawn(rest: str, own: Path | None = None):
        system = System(name="one", title="one", side="spiking", parts=(Part(device="loihi2", does="plan", rest=rest),))
        return draw_of(system, [row], 1, rate_hz=10, catalogue=default() if own is None else load(own=own))

    operations = 17.6e-12 * 1_010_000 + 10 * 0.386e-6
    assert drawn("idle").watts.nominal == pytest.approx(0.232 + 10 * operations)
    for state in ("off", "sleep", "active"):
        with pytest.raises(UserError, match=f"machine 'loihi2': no state '{state}'"):
            drawn(state)
    file = tmp_path / "own.toml"
    figure = '{{ value = {}, unit = "{}", source = "invented", evidence = "assumed", node = "x" }}'
    lines = ["[devices.loihi2.figures]", f"p_sleep = {figure.format(1, 'mW')}", f"t_wake = {figure.format(2, 'ms')}"]
    file.write_text("\n".join([*lines, f"e_wake = {figure.format(3, 'uJ')}"]))
    asleep, time = drawn("sleep", file), 1_000_000 * 1.01e-9
    assert asleep.latency_s.nominal == pytest.approx(time + 2e-3)
    work = operations + 0.232 * time + 3e-6
    assert asleep.watts.nominal == pytest.approx(10 * work + 1e-3 * (1 - 10 * (time + 2e-3)))


def test_a_host_without_a_row_wakes_all_the_same() -> None:
    """It sends what the chip plans with: 28 uJ and 1.2 ms of the microcontroller, as where it plans itself."""
    row = replace(ROW, synops=1000, updates_idle=10, weight_bytes=10, chip_steps=1)
    found = draw_of(load_systems()["npu-loihi2"], [row], 1, rate_hz=10, catalogue=default())
    assert found.takes["gap9"].nominal == 1.2e-3
    at_work = 6.6 / 0.28 * 1e-3
    assert found.by["gap9"].nominal == pytest.approx(10 * at_work * 1.2e-3 + 1e-6 * (1 - 10 * 1.2e-3))
    with pytest.raises(UserError, match="more than a period at 5000 Hz"):
        draw_of(load_systems()["npu-loihi2"], [row], 1, rate_hz=5000, catalogue=default())


def test_events_that_a_chip_does_not_keep_up_with_are_refused(tmp_path: Path) -> None:
    row = replace(ROW, synops=10, updates_idle=10, weight_bytes=10, chip_steps=1)
    machines = '[[machines]]\ndevice = "loihi2"\ndoes = "plan"\nrest = "idle"\n'

    def drawn(steps: float):
        events = f'[events]\nsynops = 1\nupdates = 1\nsteps = {steps}\nsource = "me"\n'
        file = tmp_path / "own.toml"
        file.write_text(f'title = "x"\nside = "spiking"\n{machines}{events}')
        return draw_of(load_systems(file)["own"], [row], 1, rate_hz=10, catalogue=default())

    assert drawn(1e5).watts.nominal == pytest.approx(0.232 + 1e5 * 0.386e-6, rel=1e-3)
    with pytest.raises(UserError, match=r"events: 17\.7 s of work a second for 'loihi2'"):
        drawn(1e7)
    with pytest.raises(UserError, match="'loihi2' works 10 times a second"):
        drawn(564_971.0)  # a step of 1.77 us each: nothing is left for the plan
