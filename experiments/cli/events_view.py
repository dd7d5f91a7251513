"""`spikeplan events view`: a picture or a film of a recording, ON red, OFF blue, over the frame of the moment."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.markup import escape

from spikeplan.core.errors import UserError
from spikeplan.core.files import new_file, write_whole
from spikeplan.eventdata.recording import Recording, check_span
from spikeplan.eventdata.view import event_image, overlay
from spikeplan.experiments.cli.events_files import read, refuse_span
from spikeplan.experiments.runner.progress import working

SUFFIXES = (".png", ".gif")
MAX_PICTURES = 600
GIF_MS = 40  # a picture; viewers round below 20 ms


def view_command(
    file: str, out: str, *, start_us: int | None, stop_us: int | None, window_us: int, frames: bool, console: Console
) -> None:
    """A .png shows [start, stop) in one picture, a .gif every window of it."""
    target = new_file(out, SUFFIXES)
    if window_us < 1:
        raise UserError(f"windows of {window_us} us: give at least 1")
    recording = read(file)
    start = recording.span_us[0] if start_us is None else start_us
    stop = recording.span_us[1] if stop_us is None else stop_us
    check_span("view", start, stop)
    refuse_span(start, stop, recording)
    if stop == start:
        raise UserError(f"view: [{start}, {stop}) us holds no time; give --start-us and --stop-us apart")
    step = stop - start if target.suffix.lower() == ".png" else window_us
    count = -(-(stop - start) // step)
    if count > MAX_PICTURES:
        raise UserError(f"{out}: {count} pictures; give a longer --window-us, or --start-us and --stop-us")
    with working(f"drawing {count} pictures", total=count) as drawn:
        pictures = []
        for at in range(start, stop, step):
            pictures.append(picture(recording, at, min(at + step, stop), frames=frames))
            drawn()
        write_pictures(pictures, target)
    console.print(f"wrote {count} picture{'s' * (count != 1)} of [{start}, {stop}) us to {escape(out)}", soft_wrap=True)
    if frames and recording.frames is not None and not fits(recording):
        console.print(f"frames of {recording.frames.shape[1:]} do not lie on the sensor: left out", style="yellow")


def fits(recording: Recording) -> bool:
    return recording.frames is not None and recording.frames.shape[1:] == (recording.height, recording.width)


def picture(recording: Recording, start_us: int, stop_us: int, *, frames: bool = True) -> NDArray[np.uint8]:
    """(H, W, 3) uint8. The frame under the events is the last whose exposure began before `stop_us`."""
    events = recording.slice_us(start_us, stop_us).events
    before = int(np.searchsorted(recording.frame_t_us, stop_us))
    if frames and before and recording.frames is not None and fits(recording):
        return overlay(recording.frames[before - 1], events)
    return event_image(events, recording.height, recording.width)


def write_pictures(pictures: list[NDArray[np.uint8]], target: Path) -> None:
    from PIL import Image  # matplotlib depends on it

    images = [Image.fromarray(each) for each in pictures]
    kind = target.suffix.lower().removeprefix(".")
    film = {"save_all": True, "append_images": images[1:], "duration": GIF_MS, "loop": 0} if kind == "gif" else {}
    write_whole(target, lambda temporary: images[0].save(temporary, format=kind, **film))
