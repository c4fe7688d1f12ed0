"""Synthetic images whose truth is known: for lectures, exercises and tests.

All are float64 in [0, 1] (noise apart), shape (H, W).  Edges are anti-aliased by `coverage`: a
pixel shows the share of it that a shape covers, as a camera would record it.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cvcourse.homogeneous import random_generator
from cvcourse.images import Array, require_image


def grid(shape: tuple[int, int]) -> tuple[Array, Array]:
    """Give the x and the y coordinate of every pixel centre, each of shape (H, W)."""
    height, width = shape
    if height < 1 or width < 1:
        raise ValueError(f"an image has at least one pixel, got shape {shape}")
    y, x = np.mgrid[:height, :width].astype(np.float64)
    return x, y


def coverage(distance: Array, blur: float = 0.0) -> Array:
    """Turn a signed distance to a boundary (positive inside, in pixels) into brightness 0 … 1.

    ``blur = 0`` is the area that a pixel's unit square has in common with a half plane, to first
    order: a ramp one pixel wide.  ``blur > 0`` is the exact step smoothed by a Gaussian of that
    standard deviation.
    """
    if blur < 0:
        raise ValueError(f"blur is a standard deviation in pixels, got {blur}")
    if blur == 0:
        return np.clip(distance + 0.5, 0, 1)
    from scipy.special import ndtr

    return ndtr(distance / blur)


def impulse(shape: tuple[int, int], at: tuple[int, int] | None = None) -> Array:
    """Draw one white pixel at ``at = (x, y)``, by default the middle, on black."""
    image = np.zeros(shape)
    x, y = (shape[1] // 2, shape[0] // 2) if at is None else at
    if not (0 <= x < shape[1] and 0 <= y < shape[0]):
        raise ValueError(f"at = {at} lies outside an image of shape {shape}")
    image[y, x] = 1.0
    return image


def ramp(shape: tuple[int, int], a: float, b: float, c: float = 0.0) -> Array:
    """Draw the plane a x + b y + c: its gradient is (a, b) everywhere."""
    x, y = grid(shape)
    return a * x + b * y + c


def step_edge(
    shape: tuple[int, int],
    angle: float = 0.0,
    blur: float = 0.0,
    low: float = 0.0,
    high: float = 1.0,
    offset: float = 0.0,
) -> Array:
    """Draw a straight edge through the middle of the image.

    Parameters
    ----------
    angle : float
        Direction of the gradient (dark to bright) in radians from +x towards +y.
    blur : float
        Standard deviation of the edge's blur, pixels; 0 is anti-aliased only.
    offset : float
        Distance of the edge from the image's middle, pixels along the gradient.
    """
    x, y = grid(shape)
    cx, cy = (shape[1] - 1) / 2, (shape[0] - 1) / 2
    distance = (x - cx) * np.cos(angle) + (y - cy) * np.sin(angle) - offset
    return low + (high - low) * coverage(distance, blur)


def disc(
    shape: tuple[int, int],
    radius: float,
    center: tuple[float, float] | None = None,
    blur: float = 0.0,
    low: float = 0.0,
    high: float = 1.0,
) -> Array:
    """Draw a disc: every edge direction and every sub-pixel position, with known truth.

    `center` is (x, y), by default the middle of the image; `radius` in pixels.
    """
    if radius <= 0:
        raise ValueError(f"a radius is positive, got {radius}")
    x, y = grid(shape)
    cx, cy = ((shape[1] - 1) / 2, (shape[0] - 1) / 2) if center is None else center
    return low + (high - low) * coverage(radius - np.hypot(x - cx, y - cy), blur)


def checkerboard(square: int = 16, squares: tuple[int, int] = (8, 8), blur: float = 0.0) -> Array:
    """Draw a checkerboard of ``squares = (rows, columns)``; its corners lie half-way between pixels.

    The inner corner of row i and column j is at x = j * square - 0.5, y = i * square - 0.5.
    """
    if square < 1:
        raise ValueError(f"a square is at least one pixel wide, got {square}")
    x, y = grid((squares[0] * square, squares[1] * square))

    def wave(u: Array) -> Array:
        nearest = np.round((u + 0.5) / square)
        sign = np.where(nearest % 2 == 0, 1.0, -1.0)
        return sign * (2 * coverage(u + 0.5 - nearest * square, blur) - 1)

    return 0.5 - 0.5 * wave(x) * wave(y)


def grating(shape: tuple[int, int], frequency: float, angle: float = 0.0, phase: float = 0.0) -> Array:
    """Draw the wave 1/2 + 1/2 cos(2 pi f (x cos a + y sin a) + phase); f in cycles per pixel."""
    x, y = grid(shape)
    return 0.5 + 0.5 * np.cos(2 * np.pi * frequency * (x * np.cos(angle) + y * np.sin(angle)) + phase)


def zone_plate(size: int = 257, highest: float = 0.5) -> Array:
    """Draw rings whose frequency grows linearly from 0 in the middle to `highest` at the mid-edge.

    The local frequency at distance r from the middle is ``highest * r / R`` cycles per pixel with
    R = (size - 1) / 2, so a place in the picture *is* a frequency.
    """
    x, y = grid((size, size))
    R = (size - 1) / 2
    r2 = (x - R) ** 2 + (y - R) ** 2
    return 0.5 + 0.5 * np.cos(np.pi * highest * r2 / R)


def polygon(shape: tuple[int, int], corners: ArrayLike, blur: float = 0.0) -> Array:
    """Draw a convex polygon given by its (N, 2) corners (x, y), in either order of turning."""
    points = np.asarray(corners, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < 3:
        raise ValueError(f"a polygon has at least 3 corners (x, y), got shape {points.shape}")
    x, y = grid(shape)
    edges = np.roll(points, -1, axis=0) - points
    turn = edges[:, 0] * np.roll(edges, -1, axis=0)[:, 1] - edges[:, 1] * np.roll(edges, -1, axis=0)[:, 0]
    if not (np.all(turn > 0) or np.all(turn < 0)):
        raise ValueError("the polygon is not convex, or three corners lie on a line")
    inside = np.full(shape, np.inf)
    for (px, py), (ex, ey) in zip(points, edges, strict=True):
        side = np.sign(turn[0]) * (ex * (y - py) - ey * (x - px)) / np.hypot(ex, ey)
        inside = np.minimum(inside, side)
    return coverage(inside, blur)


ROOM = (-2.5, -1.0, 0.0), (2.5, 6.0, 2.8)
"""Two opposite corners of the room of `room`, in metres: x right, y ahead, z up; the floor is z = 0."""

BLOCKS = {
    "post": ((1.0, 3.0, 0.0), (1.3, 3.3, 1.7)),
    "chest": ((-1.8, 4.2, 0.0), (-0.8, 4.8, 1.2)),
    "stool": ((-0.6, 2.6, 0.0), (-0.2, 3.0, 0.45)),
}
"""Two opposite corners of each block that stands in it; the last coordinate is its height."""

PAINTED = {"door": ((0.2, 0.0), (1.1, 2.0)), "window": ((2.2, 0.9), (4.6, 2.1))}
"""On the far wall by x and z, on the left wall by y and z."""


def room(K: ArrayLike, R: ArrayLike, c: ArrayLike, shape: tuple[int, int], samples: int = 2) -> Array:
    """Take a picture of a furnished room whose every length is known, by following a ray for each pixel.

    Its floor has tiles of half a metre; see `ROOM`, `BLOCKS` and `PAINTED` for the sizes.

    Parameters
    ----------
    K, R : array of shape (3, 3)
        Of the camera, ``X_cam = R @ (X - c)``; the world's z points up.
    c : array of shape (3,)
        Inside the room, in metres.
    shape : (int, int)
        Height and width of the picture.
    samples : int
        Rays along each side of a pixel; their mean is its brightness.

    Returns
    -------
    ndarray of shape (H, W)

    Raises
    ------
    ValueError
        If the camera is not inside the room.
    """
    c, low, high = (np.asarray(corner, dtype=np.float64) for corner in (c, *ROOM))
    if c.shape != (3,) or not (np.all(c > low) and np.all(c < high)):
        raise ValueError(f"the camera must stand inside the room, between {ROOM[0]} and {ROOM[1]}, got {c}")
    rows, columns = (((np.arange(n * samples) + 0.5) / samples - 0.5) for n in shape)
    x, y = np.meshgrid(columns, rows)
    pixels = np.stack([x.ravel(), y.ravel(), np.ones(x.size)], axis=1)
    rays = pixels @ (np.linalg.inv(np.asarray(K, float)).T @ np.asarray(R, float))  # R^T K^-1 x, row by row
    rays[rays == 0] = 1e-12
    exits = np.maximum((low - c) / rays, (high - c) / rays)
    axis, t = exits.argmin(axis=-1), exits.min(axis=-1)
    image = _walls(c + t[..., None] * rays, axis)
    for first, last in BLOCKS.values():
        near = np.minimum((first - c) / rays, (last - c) / rays)
        far = np.maximum((first - c) / rays, (last - c) / rays).min(axis=-1)
        entry = near.max(axis=-1)
        hit = (entry < far) & (entry > 0) & (entry < t)
        image[hit] = np.array([0.35, 0.55, 0.8])[near.argmax(axis=-1)[hit]]
        t = np.where(hit, entry, t)
    return image.reshape(shape[0], samples, shape[1], samples).mean(axis=(1, 3))


def _walls(points: Array, axis: NDArray[np.intp]) -> Array:
    """Brightness of the room's inside at points of its six faces, which lie across the given axes."""
    x, y, z = np.moveaxis(points, -1, 0)
    tiles = np.where((np.floor(2 * x) + np.floor(2 * y)) % 2 == 0, 0.3, 0.5)
    image = np.select([axis == 0, axis == 1], [0.65, 0.75], np.where(z < 1, tiles, 0.95))
    for (across, (low, high)), value in zip(((x, PAINTED["door"]), (y, PAINTED["window"])), (0.25, 1.0), strict=True):
        inside = (across > low[0]) & (across < high[0]) & (z > low[1]) & (z < high[1])
        image[inside & ((axis == 1) & (y > 1) if value < 1 else (axis == 0) & (x < 0))] = value
    return image


def add_gaussian_noise(image: Array, sigma: float, rng: np.random.Generator | int) -> Array:
    """Add white Gaussian noise of standard deviation `sigma`; the result may leave [0, 1]."""
    image = require_image(image)
    if sigma < 0:
        raise ValueError(f"sigma is a standard deviation, got {sigma}")
    return image + sigma * random_generator(rng).standard_normal(image.shape).astype(image.dtype)


def add_salt_and_pepper(image: Array, amount: float, rng: np.random.Generator | int) -> Array:
    """Replace a share `amount` of the pixels, half by white and half by black."""
    image = require_image(image)
    if not 0 <= amount <= 1:
        raise ValueError(f"amount is a share between 0 and 1, got {amount}")
    draw = random_generator(rng).random(image.shape[:2])
    result = image.copy()
    result[draw < amount / 2] = 0
    result[draw > 1 - amount / 2] = 1
    return result
