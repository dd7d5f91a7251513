"""Tonic's data sets from a user's own copy: offline, partial copies allowed, clocks kept.

Tonic's constructors download, or demand the full set and its archive; its loaders put every stream's first stamp to
zero. Here a data set is a list of files found under `root`, each read by spikeplan.eventdata.readers on one clock. `root` is what
Tonic calls save_to (it holds NMNIST/, DSEC/, ...) or the data set's folder itself. No file is opened before it is asked
for, nothing is downloaded, nothing is written.

    NMNIST      {Train,Test}/<digit>/*.bin                                     label: the digit
    DVSGesture  ibmGesture{Train,Test}/user<NN>_<light>/<label>.npy            label: 0 .. 10
    DAVISDATA   <recording>.bag                                                no label
    DSEC        [train|test/]<recording>/{events_left|events/left}/events.h5   no label; camera left or right
    MVSEC       <scene>/<recording>_data.bag                                   no label; camera left or right; split: scene
    VPR         <recording>.bag                                                no label
Not read: ground truth (poses, depth, disparity, flow, GPS), DSEC's images, the sets that are no camera's.
Layouts: tonic 1.7.0, tonic/datasets/; DSEC's own archive: https://dsec.ifi.uzh.ch/dsec-datasets/download/
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spikeplan.core.errors import UserError
from spikeplan.eventdata.formats.rosbag import open_rosbag
from spikeplan.eventdata.formats.stream import blame
from spikeplan.eventdata.readers import open_recording
from spikeplan.eventdata.recording import Recording
from spikeplan.eventdata.tonic_bridge import to_tonic

DSEC_TEST = {
    "thun_01_a",
    "thun_01_b",
    "interlaken_00_a",
    "interlaken_00_b",
    "interlaken_01_a",
    "zurich_city_12_a",
    "zurich_city_13_a",
    "zurich_city_13_b",
    "zurich_city_14_a",
    "zurich_city_14_b",
    "zurich_city_14_c",
    "zurich_city_15_a",
}
CAMERAS = ("left", "right")


@dataclass(frozen=True)
class Sample:
    path: Path
    label: int | None
    split: str


@dataclass(frozen=True)
class Layout:
    """Which files, and what a path below the data set's folder says. `full`: number of files of a whole copy."""

    pattern: str
    full: Mapping[str, int]
    read: Callable[[re.Match[str]], tuple[str, int | None]]
    stereo: bool = False


def _whole(split: str) -> Callable[[re.Match[str]], tuple[str, int | None]]:
    return lambda found: (split, None)


LAYOUTS = {
    "NMNIST": Layout(
        r"(?P<split>Train|Test)/(?P<label>\d)/[^/]+\.bin",
        {"train": 60_000, "test": 10_000},
        lambda found: (found["split"].lower(), int(found["label"])),
    ),
    "DVSGesture": Layout(
        r"ibmGesture(?P<split>Train|Test)/user\d+_[^/]+/(?P<label>\d+)\.npy",
        {"train": 1077, "test": 264},
        lambda found: (found["split"].lower(), int(found["label"])),
    ),
    "DAVISDATA": Layout(r"[^/]+\.bag", {"all": 25}, _whole("all")),
    "DSEC": Layout(
        r"(?:(?:train|test)/)?(?P<name>[^/]+)/(?:events_|events/)(?P<camera>left|right)/events\.h5",
        {"train": 41, "test": 12},
        lambda found: ("test" if found["name"] in DSEC_TEST else "train", None),
        stereo=True,
    ),
    "MVSEC": Layout(
        r"(?P<split>outdoor_night|outdoor_day|indoor_flying|motorcycle)/[^/]+_data\.bag",
        {"outdoor_night": 3, "outdoor_day": 2, "indoor_flying": 4, "motorcycle": 1},
        lambda found: (found["split"], None),
        stereo=True,
    ),
    "VPR": Layout(r"[^/]+\.bag", {"all": 6}, _whole("all")),
}


class EventDataset(Sequence[tuple[Recording, int | None]]):
    """`dataset[i]` is (Recording, label). `samples` holds paths, labels and splits without opening a file."""

    def __init__(self, name: str, samples: Sequence[Sample], camera: str) -> None:
        self.name, self.samples, self.camera = name, tuple(samples), camera

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return EventDataset(self.name, self.samples[index], self.camera)
        sample = self.samples[index]
        read = _stereo_bag if self.name == "MVSEC" else _one_camera
        return read(sample.path, self.camera), sample.label


class TonicView:
    """The same samples as Tonic hands them out, (structured array, label) with absolute stamps, for its slicers and caches.

    Two members an item, whatever the data set: DiskCachedDataset puts the eleventh member of a tuple before the third.
    """

    def __init__(self, dataset: EventDataset, transform: Callable[[Any], Any] | None = None) -> None:
        self.dataset, self.transform = dataset, transform

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple[Any, int | None]:
        recording, label = self.dataset[index]
        array = to_tonic(recording.events)
        array["t"] += recording.origin_us
        return (array if self.transform is None else self.transform(array)), label

    def __iter__(self) -> Iterator[tuple[Any, int | None]]:
        return (self[i] for i in range(len(self)))


def open_dataset(
    name: str, root: str | Path, *, split: str | None = None, camera: str = "left", allow_partial: bool = False
) -> EventDataset:
    """The samples of a data set in order of their paths. `allow_partial` accepts a copy that lacks files."""
    if name not in LAYOUTS:
        raise UserError(f"data set {name!r} is unknown; use one of {', '.join(LAYOUTS)}")
    layout = LAYOUTS[name]
    splits = ", ".join(layout.full)
    if split is not None and split not in layout.full:
        raise UserError(f"{name} has no split {split!r}; use one of {splits}")
    if camera not in CAMERAS or (camera != "left" and not layout.stereo):
        raise UserError(f"{name} has no camera {camera!r}; use {' or '.join(CAMERAS[: 1 + layout.stereo])}")
    folder = Path(root).expanduser()
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; give the folder that holds {name}")
    folder = folder / name if (folder / name).is_dir() else folder
    samples = _find(folder, layout, camera)
    kept = [sample for sample in samples if split in (None, sample.split)]
    full = sum(layout.full.values()) if split is None else layout.full[split]
    if not kept:
        raise UserError(f"{folder}: holds no file of {name}{f' ({split})' if split else ''}; expected {layout.pattern}")
    if len(kept) < full and not allow_partial:
        raise UserError(f"{folder}: {len(kept)} of {full} files of {name}; complete it, or pass allow_partial=True")
    return EventDataset(name, kept, camera)


def _find(folder: Path, layout: Layout, camera: str) -> list[Sample]:
    samples = []
    suffix = layout.pattern.rsplit(".", 1)[1]
    for path in sorted(folder.rglob(f"*.{suffix}")):
        found = re.fullmatch(layout.pattern, path.relative_to(folder).as_posix())
        if found and found.groupdict().get("camera", camera) == camera:
            split, label = layout.read(found)
            samples.append(Sample(path, label, split))
    return samples


def _one_camera(path: Path, camera: str) -> Recording:
    return open_recording(path)


def _stereo_bag(path: Path, camera: str) -> Recording:
    """MVSEC keeps both cameras in one bag, so the reader must be told whose topics to read."""
    with blame(path):
        return open_rosbag(path, prefix=f"/davis/{camera}/")
