"""Pictures: how the course's figures look, and small helpers that draw on a given ``Axes``.

A picture is either an image array or a matplotlib ``Figure``.  Importing this module sets the
course's style and shows a ``Figure`` that a cell ends with exactly once, as a small PNG.
"""

import io
import math
from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from cvcourse.images import Array, as_uint8

# Okabe and Ito's eight colours, told apart by colour-blind readers too.
COLORS = {
    "blue": "#0072B2",
    "orange": "#E69F00",
    "green": "#009E73",
    "red": "#D55E00",
    "purple": "#CC79A7",
    "sky": "#56B4E9",
    "yellow": "#F0E442",
    "black": "#000000",
}
SMALL = 60_000  # bytes: the largest picture that a stored notebook should hold
PALETTE_PIXELS = 40_000  # so many are looked at for a palette: twice as fine a grid takes about four times as long

STYLE: dict[str, Any] = {
    "figure.figsize": (8, 3.2),
    "figure.dpi": 80,
    "figure.constrained_layout.use": True,
    "image.cmap": "gray",
    "image.interpolation": "nearest",
    "axes.prop_cycle": plt.cycler(color=list(COLORS.values())[:6]),
    "axes.titlesize": 11,
    "axes.grid": False,
    "font.size": 10,
    "legend.frameon": False,
    "legend.fontsize": 9,
}
plt.rcParams.update(STYLE)  # type: ignore[arg-type]


def show_image(axes: Axes, image: Array, title: str = "", limits: tuple[float, float] = (0, 1)) -> None:
    """Draw an image with a fixed gray scale and no ticks; pixel centres at integers."""
    axes.imshow(image, vmin=limits[0], vmax=limits[1], cmap="gray")
    axes.set_title(title)
    axes.set_xticks([])
    axes.set_yticks([])


def show_field(axes: Axes, field: Array, title: str = "", limit: float | None = None) -> None:
    """Draw a signed field: blue below 0, white at 0, red above; symmetric about 0."""
    limit = float(np.abs(field).max()) or 1.0 if limit is None else limit
    axes.imshow(field, vmin=-limit, vmax=limit, cmap="RdBu_r")
    axes.set_title(title)
    axes.set_xticks([])
    axes.set_yticks([])


def row(
    images: Sequence[Array], titles: Sequence[str], limits: tuple[float, float] = (0, 1), width: float = 8.0
) -> Figure:
    """Draw images side by side in one figure, each under its title."""
    if len(images) != len(titles):
        raise ValueError(f"{len(images)} images but {len(titles)} titles")
    aspect = sum(np.shape(image)[1] / np.shape(image)[0] for image in images)
    heading = 0.34 + 0.2 * max(title.count("\n") for title in titles)
    fig, axes = plt.subplots(
        1,
        len(images),
        figsize=(width, (width - 0.1 * len(images)) / aspect + heading),
        squeeze=False,
        gridspec_kw={"width_ratios": [np.shape(image)[1] / np.shape(image)[0] for image in images]},
    )
    for ax, image, title in zip(axes[0], images, titles, strict=True):
        show_image(ax, image, title, limits)
    return fig


def signed(field: Array, limit: float | None = None) -> Array:
    """Colour a signed field as an RGB array: blue below 0, white at 0, red above."""
    limit = float(np.abs(field).max()) or 1.0 if limit is None else limit
    scaled = np.clip(np.asarray(field) / limit, -1, 1) / 2 + 0.5
    return np.asarray(plt.get_cmap("RdBu_r")(scaled))[..., :3]


def side_by_side(*images: Array, gap: int = 8) -> Array:
    """Put image arrays of one height next to each other, white between; gray joins colour."""
    heights = {image.shape[0] for image in images}
    if len(heights) != 1:
        raise ValueError(f"images of one height are needed, got heights {sorted(heights)}")
    colour = any(image.ndim == 3 for image in images)
    parts: list[Array] = []
    for image in images:
        wide = np.repeat(image[..., None], 3, axis=2) if colour and image.ndim == 2 else image
        parts += [np.ones((*wide.shape[:1], gap, *wide.shape[2:])), wide.astype(np.float64)]
    return np.concatenate(parts[1:], axis=1)


def enlarge(image: Array, factor: int) -> Array:
    """Show each pixel as a square of `factor` by `factor` pixels."""
    return np.repeat(np.repeat(image, factor, axis=0), factor, axis=1)


def pixels(picture: Array | Figure) -> Array:
    """Turn a picture into its (H, W) or (H, W, 3) uint8 array; a small image array is enlarged.

    Raises
    ------
    TypeError
        If it is neither an image array nor a Figure.
    """
    if isinstance(picture, Figure):
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        canvas = FigureCanvasAgg(picture)
        canvas.draw()
        plt.close(picture)
        return np.asarray(canvas.buffer_rgba())[..., :3]
    if isinstance(picture, np.ndarray) and (picture.ndim == 2 or (picture.ndim == 3 and picture.shape[2] == 3)):
        return enlarge(as_uint8(picture), max(1, 384 // max(picture.shape[:2])))
    what = f"an array of shape {picture.shape}" if isinstance(picture, np.ndarray) else type(picture).__name__
    raise TypeError(f"a picture is an array of shape (H, W) or (H, W, 3), or a Figure; got {what}")


def frame(picture: Array | Figure) -> tuple[float, float, float, float]:
    """Give the coordinates at the picture's edges: x at the left and right, y at the top and bottom.

    They count pixels for an image array; for a Figure, once `pixels` has drawn it, they continue the
    scales of its first axes.
    """
    if isinstance(picture, Figure):
        (x0, y0), (x1, y1) = picture.axes[0].transData.inverted().transform([(0, 0), picture.bbox.max])
        return float(x0), float(x1), float(y1), float(y0)
    height, width = picture.shape[:2]
    return -0.5, width - 0.5, -0.5, height - 0.5


def bmp(picture: Array | Figure) -> bytes:
    """Encode a picture as BMP: lossless and fast, for the screen."""
    buffer = io.BytesIO()
    Image.fromarray(pixels(picture)).save(buffer, "BMP")
    return buffer.getvalue()


def png(picture: Array | Figure) -> bytes:
    """Encode a picture as PNG of at most about `SMALL` bytes: for stored notebooks.

    A picture that would be larger gets fewer colours, as few as needed; an image array is then also
    shown at half its size, which costs less to the eye than very few colours.
    """
    image = Image.fromarray(pixels(picture))
    halves = [image] if isinstance(picture, Figure) else [image, image.reduce(2)]
    for shown in halves:
        data = _encode(shown)
        for colors in (256, 128, 64) if len(halves) == 2 else (256, 128, 64, 48, 32, 24):
            if len(data) <= SMALL:
                return data
            data = _encode(_fewer_colors(shown, colors))
    return data


def _fewer_colors(image: Image.Image, colors: int) -> Image.Image:
    """Reduce the colours; cover the extremes first, or a photograph's greys crowd out a rare red.

    The palette is chosen on a grid of pixels: on all of them it takes half a minute for a photograph.
    """
    step = math.ceil(math.sqrt(image.width * image.height / PALETTE_PIXELS))
    sample = Image.fromarray(np.ascontiguousarray(np.asarray(image)[::step, ::step]))
    settled = sample.width * sample.height // 100  # so few pixels may still change their colour
    palette = sample.quantize(colors, Image.Quantize.MAXCOVERAGE, kmeans=settled, dither=Image.Dither.NONE)
    tones = np.reshape(palette.getpalette() or [], (-1, 3))
    tones[tones.max(axis=1) < 8], tones[tones.min(axis=1) > 247] = 0, 255  # black and white stay what they are
    palette.putpalette(tones.ravel().tolist())
    return image.quantize(palette=palette, dither=Image.Dither.NONE)


def _encode(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _show_figures_once() -> None:
    """In a notebook: show a Figure as `png` does, and close it so that it isn't shown again."""
    try:
        from IPython import get_ipython
    except ImportError:
        return
    shell = get_ipython()
    if shell is None:
        return
    import matplotlib_inline.backend_inline  # noqa: F401  (registers its own formatter first)

    shell.display_formatter.formatters["image/png"].for_type(Figure, png)


_show_figures_once()
