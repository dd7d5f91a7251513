"""Writes recordings: .npz and .h5 hold everything, .es the events alone. The suffix chooses.

A file appears whole or not at all, and never in place of another one unless `replace` says so.
"""

from __future__ import annotations

import os
from pathlib import Path

from spikeplan.core.files import new_file, write_whole
from spikeplan.eventdata.formats import FORMATS, Format
from spikeplan.eventdata.formats.stream import blame
from spikeplan.eventdata.recording import Recording


def writers() -> dict[str, Format]:
    """Suffix -> format, of those that can be written."""
    return {suffix: one for one in FORMATS.values() if one.write is not None for suffix in one.suffixes}


def check_target(path: str | os.PathLike[str], *, replace: bool = False) -> Path:
    """Refuse what cannot or must not be written, before any work is done."""
    return new_file(path, [f".{suffix}" for suffix in writers()], replace=replace)


def write_recording(recording: Recording, path: str | os.PathLike[str], *, replace: bool = False) -> list[str]:
    """Write a recording and return what the format could not keep, in words; [] for .npz and .h5.

    Args:
        path: its suffix chooses the format.
        replace: write over a file that is there.

    Raises UserError for a suffix that cannot be written, a file that is there, a missing folder or a full disk. The file
    appears whole or not at all.

    >>> write_recording(recording, "drive.es")
    """
    target = check_target(path, replace=replace)
    suffix = target.suffix.lower().removeprefix(".")
    chosen = writers()[suffix]
    assert chosen.write is not None
    write = chosen.write
    with blame(target):
        write_whole(target, lambda temporary: write(recording, temporary))
    return losses(recording) if chosen.events_only else []


def losses(recording: Recording) -> list[str]:
    """What a format that keeps events alone leaves out of this recording."""
    counts = {
        "frames": len(recording.frame_t_us),
        "IMU samples": len(recording.imu_t_us),
        "triggers": len(recording.triggers),
    }
    lost = [f"{count} {name}" for name, count in counts.items() if count]
    start_us = recording.origin_us + (int(recording.events.t_us[0]) if len(recording.events) else 0)
    return [*lost, f"the first stamp {start_us} us (now 0)"] if start_us else lost
