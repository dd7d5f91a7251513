"""Frames for the simulated sensor: the planar arm, a folder of images, or a .npy array. Linear radiance, one at a time.

8 and 16 bit      sRGB is undone (IEC 61966-2-1) unless linear=True; colour becomes luminance Y = .2126 R + .7152 G + .0722 B
float             taken as linear radiance in [0, 1]
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.errors import UserError
from spikeplan.core.files import NUMPY_ERRORS
from spikeplan.eventdata.recording import MAX_SIDE
from spikeplan.worldmodel.tasks.planar_reach import PlanarReachWorld

IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)
MAX_FRAMES = 1_000_000
Frame = NDArray[np.float32]


def arm_frames(control_steps: int, rate_hz: float, size: int, seed: int) -> Iterator[Frame]:
    """The arm under random actions, motion linear within each control step. (size, size) a frame."""
    if control_steps < 1 or not 8 <= size <= MAX_SIDE:
        raise UserError(
            f"simulate: {control_steps} control steps of {size}x{size}; give at least 1 of at least 8x8, at most {MAX_SIDE}"
        )
    world = replace(PlanarReachWorld(), image_shape=(1, size, size))
    per_step = round(world.control_period_s * rate_hz)
    if per_step < 1:
        raise UserError(f"simulate: {rate_hz} Hz gives no frame in a control step of {world.control_period_s} s")
    if control_steps * per_step > MAX_FRAMES:
        raise UserError(
            f"simulate: {control_steps * per_step} frames; at most {MAX_FRAMES} in one recording: give fewer steps"
        )
    rng = np.random.default_rng(seed)
    pose, layout = world.random_pose(1, rng)
    yield world.render(pose)[0, 0]
    for _ in range(control_steps):
        after = world.move(pose, rng.uniform(-world.action_limit, world.action_limit, (1, 2)), layout)
        for k in range(1, per_step + 1):
            yield world.render(pose + k / per_step * (after - pose))[0, 0]
        pose = after


def read_frames(source: Path, *, linear: bool = False) -> Iterator[Frame]:
    """Frames of a folder of images in order of the numbers in their names, or of a .npy of shape (T, H, W[, 3])."""
    if source.is_dir():
        paths = sorted((path for path in source.iterdir() if path.suffix.lower() in IMAGES), key=_natural)
        if not paths:
            raise UserError(f"{source}: holds no image ({', '.join(IMAGES)}); give a folder of frames or a .npy")
        return _of_one_shape(((str(path), _open_image(path)) for path in paths), linear)
    if source.suffix.lower() == ".npy" and source.is_file():
        try:
            stack = np.lib.format.open_memmap(source, mode="r")  # np.load would open an archive by the same name
        except NUMPY_ERRORS as error:
            raise UserError(f"{source}: cannot be read as .npy ({error}); save it with numpy.save") from error
        if stack.dtype.kind in "ui" and stack.dtype not in (np.uint8, np.uint16):
            raise UserError(f"{source}: pixels are {stack.dtype}; give uint8, uint16, or float radiance in [0, 1]")
        if stack.ndim not in (3, 4):
            raise UserError(f"{source}: array of shape {stack.shape}; expected frames (T, H, W) or (T, H, W, 3)")
        return _of_one_shape(((f"{source}: frame {k}", np.asarray(frame)) for k, frame in enumerate(stack)), linear)
    raise UserError(f"{source}: is neither a folder of images nor a .npy file; extract the video's frames first")


def _of_one_shape(named: Iterable[tuple[str, NDArray[np.generic]]], linear: bool) -> Iterator[Frame]:
    """Linear radiance of each; the first that is no radiance, or not as large as those before it, is refused by name."""
    shape = None
    for name, pixels in named:
        frame = _radiance(name, pixels, linear)
        shape = frame.shape if shape is None else shape
        if frame.shape != shape:
            raise UserError(
                f"{name}: {frame.shape[1]}x{frame.shape[0]} after {shape[1]}x{shape[0]} pixels; keep one size"
            )
        if not frame.size:
            raise UserError(f"{name}: frame of {frame.shape[1]}x{frame.shape[0]} pixels; give at least one")
        if not (frame.min() >= 0 and frame.max() <= 1):  # NaN passes through min
            raise UserError(f"{name}: radiance from {frame.min():g} to {frame.max():g}; give linear radiance in [0, 1]")
        yield frame


def _natural(path: Path) -> list[tuple[int, str]]:
    """frame2 before frame10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path.name)]


def _open_image(path: Path) -> NDArray[np.generic]:
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(path)
        with image:
            return np.asarray(image.convert("RGB") if image.mode in ("P", "RGBA", "CMYK", "1") else image)
    except (
        UnidentifiedImageError,
        OSError,
        SyntaxError,
        ValueError,
        MemoryError,
        Image.DecompressionBombError,
        Image.DecompressionBombWarning,
    ) as error:
        raise UserError(f"{path}: cannot be read as an image ({error}); export the frame again") from error


def _radiance(name: str, pixels: NDArray[np.generic], linear: bool) -> Frame:
    if pixels.dtype.kind == "f":
        value = pixels.astype(np.float32)
    elif pixels.dtype.kind in "ui":
        full = 255 if pixels.dtype.itemsize == 1 else 65535  # PIL opens 16-bit grey as int32
        value = pixels.astype(np.float32) / np.float32(full)
        if not linear:
            value = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4).astype(np.float32)
    else:
        raise UserError(f"{name}: pixels are {pixels.dtype}; give 8 or 16 bit, or float radiance in [0, 1]")
    if value.ndim == 3 and value.shape[2] in (3, 4):
        value = value[..., :3] @ LUMINANCE
    if value.ndim != 2:
        raise UserError(f"{name}: frame of shape {pixels.shape}; expected (H, W) or (H, W, 3)")
    return value
