"""Synthetic images whose truth is known: for lectures, exercises and tests.

All are float64 in [0, 1] (noise apart), shape (H, W).  Edges are anti-aliased by `coverage`: a
pixel shows the share of it that a shape covers, as a camera would record it.
"""

import numpy as np
from numpy.typing import ArrayLike

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
