"""Pictures of episodes and of events, as data URIs: pixels are drawn here, so that no file is needed beside the page.

White ground, wall dark grey, goal green, robot blue; places to keep out of red, as the planner is shown them; futures that a
policy's copies imagined orange, that of the cheapest copy darker. All are poses, rendered by the world's own function.
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
from spikeplan.worldmodel.tasks.world import KeepOut, World

Pixels = NDArray[np.uint8]
WALL, GOAL, ROBOT, PLACE, IMAGINED = (
    np.array(c, np.float64) for c in ((70, 70, 70), (0, 158, 115), (0, 114, 178), (213, 94, 0), (230, 159, 0))
)
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
        places = world.keep_out_poses(layout[None])[0] if isinstance(world, KeepOut) else np.zeros((0, len(goal)))
        places_HW = _cover(world, places[None], layout)
        futures_THW, best_THW = _imagined(world, episode, layout, len(poses))
    except (UserError, TypeError, IndexError) as error:
        raise ValueError(str(error)) from error
    robot, target = image[:-1, 0].astype(np.float64), image[-1:, 0].astype(np.float64)
    picture = np.full((*robot.shape, 3), 255.0)
    if image.shape[1] > 1:
        picture = _blend(picture, image[:-1, 1].astype(np.float64), WALL)
    picture = _blend(picture, 0.6 * places_HW, PLACE)
    picture = _blend(picture, 0.35 * futures_THW, IMAGINED)
    picture = _blend(picture, 0.7 * best_THW, IMAGINED)
    picture = _blend(picture, 0.55 * target, GOAL)
    picture = _blend(picture, robot, ROBOT)
    whole = np.rint(picture).astype(np.uint8)
    return whole.repeat(SCALE, 1).repeat(SCALE, 2)


def _imagined(
    world: World, episode: EpisodeRow, layout: NDArray[np.float64], frames: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Cover of all copies' futures and of the cheapest copy's, (T, H, W) each; nothing is imagined in the last frame."""
    height, width = world.image_shape[1:]
    every, best = np.zeros((frames, height, width)), np.zeros((frames, height, width))
    if episode.imagined is not None:
        poses = np.array(episode.imagined, np.float64)
        if poses.ndim != 4 or len(poses) != frames - 1 or len(episode.winners or []) != len(poses):
            raise ValueError(f"imagined poses of shape {poses.shape} for {frames} frames")
        every[:-1] = _cover(world, poses.reshape(len(poses), -1, poses.shape[-1]), layout)
        shown = [step for step, winner in enumerate(episode.winners or []) if winner < poses.shape[1]]
        if shown:
            best[shown] = _cover(
                world, np.stack([poses[step, (episode.winners or [])[step]] for step in shown]), layout
            )
    return every, best


def _cover(world: World, poses_TKP: NDArray[np.float64], layout: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far any of K poses covers each pixel, (T, H, W)."""
    t, k, width = poses_TKP.shape
    if not k:
        return np.zeros((t, *world.image_shape[1:]))
    robot = world.render(poses_TKP.reshape(-1, width), np.tile(layout, (t * k, 1)))[:, 0]
    cover: NDArray[np.float64] = robot.reshape(t, k, *robot.shape[1:]).max(1).astype(np.float64)
    return cover


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
