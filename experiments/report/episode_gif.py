"""Pictures of episodes and of events, as data URIs: pixels are drawn here, so that no file is needed beside the page.

White ground, wall dark grey, goal green, robot blue. The goal is the goal pose, rendered by the same function.
"""

from __future__ import annotations

import base64
import io
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from spikeplan.core.errors import UserError
from spikeplan.evaluation.rows import EpisodeRow
from spikeplan.worldmodel.tasks import make_world

Pixels = NDArray[np.uint8]
WALL, GOAL, ROBOT = (np.array(c, np.float64) for c in ((70, 70, 70), (0, 158, 115), (0, 114, 178)))
SCALE = 4
FRAMES = 8
FRAME_MS = 140


class Film(NamedTuple):
    """Data URIs of the strip and of the animation, and the control steps that the strip shows."""

    strip: str
    animation: str
    steps: list[int]


def frames(episode: EpisodeRow) -> Pixels:
    """Every step of an episode, (T, H, W, 3). Raises ValueError where the record cannot be rendered."""
    try:
        world = make_world(episode.task)
        poses = np.array(episode.poses, np.float64)
        goal, layout = np.array(episode.goal, np.float64), np.array(episode.layout, np.float64)
        if poses.ndim != 2 or poses.shape[1:] != goal.shape or not len(poses) or not np.isfinite(poses).all():
            raise ValueError(f"poses of shape {poses.shape} and a goal of shape {goal.shape}")
        image = world.render(np.concatenate([poses, goal[None]]), np.tile(layout, (len(poses) + 1, 1)))
    except (UserError, TypeError, IndexError) as error:
        raise ValueError(str(error)) from error
    robot, target = image[:-1, 0].astype(np.float64), image[-1:, 0].astype(np.float64)
    picture = np.full((*robot.shape, 3), 255.0)
    if image.shape[1] > 1:
        picture = _blend(picture, image[:-1, 1].astype(np.float64), WALL)
    picture = _blend(picture, 0.55 * target, GOAL)
    picture = _blend(picture, robot, ROBOT)
    whole = np.rint(picture).astype(np.uint8)
    return whole.repeat(SCALE, 1).repeat(SCALE, 2)


def _blend(
    picture: NDArray[np.float64], cover: NDArray[np.float64], colour: NDArray[np.float64]
) -> NDArray[np.float64]:
    return picture + np.clip(cover, 0, 1)[..., None] * (colour - picture)


def film(episode: EpisodeRow) -> Film:
    picture = frames(episode)
    steps = np.unique(np.linspace(0, len(picture) - 1, FRAMES).round().astype(int))
    gap = np.full((picture.shape[1], SCALE, 3), 200, np.uint8)
    parts = [part for step in steps for part in (picture[step], gap)][:-1]
    return Film(png(np.concatenate(parts, 1)), _gif(picture), steps.tolist())


def png(pixels: Pixels) -> str:
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, format="PNG", optimize=True)
    return _uri("image/png", target.getvalue())


def grey(frame: NDArray[np.float32]) -> Pixels:
    """A radiance image in [0, 1] as RGB."""
    level = np.rint(np.clip(np.nan_to_num(frame), 0, 1) * 255).astype(np.uint8)
    return np.stack([level] * 3, -1)


def _gif(picture: Pixels) -> str:
    target = io.BytesIO()
    images = [Image.fromarray(frame) for frame in picture]
    durations = [FRAME_MS] * (len(images) - 1) + [8 * FRAME_MS]  # rest on the last frame, where success is judged
    images[0].save(target, format="GIF", save_all=True, append_images=images[1:], duration=durations, loop=0)
    return _uri("image/gif", target.getvalue())


def _uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
