"""What a machine draws in a power state, and what it takes until it works again.

    off | sleep | idle | active       p_off | p_sleep | p_idle | p_active of its file
    idle     of a spiking chip without p_idle: p_static, for a chip that waits draws its static power and nothing else
    active   without p_active: a GPU's `power`; an NPU's e_mac / t_mac, both of one measurement
    waking   t_wake from sleep, t_boot from off, at the power that it draws at work, or e_wake, e_boot where they are known

A state without a figure is refused by name: a machine that is said to sleep would else draw nothing.
"""

from __future__ import annotations

from spikeplan.core.errors import UserError
from spikeplan.energy.catalogue import ZERO, Band, Device
from spikeplan.energy.schema import STATES, WAKING

STANDS_FOR = {"idle": "p_static", "active": "power"}


def watts_in(device: Device, state: str) -> Band:
    """Raises UserError that names machine, state and remedy where its file has no such state.

    >>> watts_in(default().device("orin_nano"), "idle").nominal
    4.6
    """
    for name in (STATES[state], STANDS_FOR.get(state, "")):
        if name in device.figures:
            return device.figure(name).band
    if state == "active" and {"e_mac", "t_mac"} <= device.figures.keys():
        return over(device.figure("e_mac").band, device.figure("t_mac").band)
    has = ", ".join(known for known, name in STATES.items() if {name, STANDS_FOR.get(known)} & device.figures.keys())
    why = device.unavailable.get(STATES[state])
    raise UserError(
        f"machine '{device.name}': no state '{state}'{'' if why is None else f' ({why})'}; give {STATES[state]} in --devices "
        f"FILE, or let it rest in a state that it has{f': {has}' if has else ''}"
    )


def waking(device: Device, state: str) -> tuple[Band, Band]:
    """(J, s) until a machine that rests in this state works. Raises UserError where the time is not known.

    >>> waking(default().device("gap9"), "sleep")[1].nominal
    0.0012
    """
    if state not in WAKING:
        return ZERO, ZERO
    time, energy = WAKING[state]
    if time not in device.figures:
        why = device.unavailable.get(time)
        raise UserError(
            f"machine '{device.name}': how long it takes to wake from state '{state}' is not known"
            f"{'' if why is None else f' ({why})'}; give {time} in --devices FILE, or let it rest idle"
        )
    seconds = device.figure(time).band
    if energy in device.figures:
        return device.figure(energy).band, seconds
    return watts_in(device, "active") * seconds, seconds


def over(joules: Band, seconds: Band) -> Band:
    """Bound by bound."""
    return Band(*(one / other for one, other in zip(joules.bounds(), seconds.bounds(), strict=True)))
