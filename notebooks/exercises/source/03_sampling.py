# %% [markdown]
# # Exercise 03 — Sampling, pyramids and interpolation
# It examines the lecture [03 Sampling](../03_sampling.ipynb): which false frequency a coarse grid shows, how a
# picture is read between its pixels, how it is resized without shifting or aliasing, and how it is taken apart into
# bands and put together again exactly.
#
# Each question asks for one or more functions. Write them in place of `raise NotImplementedError`, run the cell, then
# run `check("q1")` below it: it says what holds, what does not, and which mistake it looks like. `check()` runs all
# checks.
#
# **Rules.** Images are arrays `image[row, col]` of floats; x counts columns, y counts rows, downwards; pixel centres
# lie at whole numbers. Write everything with NumPy alone: from question 2 on `scipy`, `skimage`, `cv2`, `PIL`,
# `torch`, `np.interp` and the course's own `sampling`, `filtering` and `warping` are not allowed. No function may
# write into its arguments.
# %%
import matplotlib.pyplot as plt
import numpy as np

from cvcourse import checks, controls, figures, images, scenes

check = checks.exercise("03_sampling")


# %% [markdown]
# ## Question 1 — predict the ghosts (3 points)
# A wave $\cos(2\pi f x)$ of $f$ cycles per pixel is read at $x = 0, s, 2s, \dots$ only. Sample $n$ is
# $\cos(2\pi\, f s\, n)$, and because $n$ is a whole number, $fs + m$ and $-fs + m$ give the same samples for every
# whole number $m$. What one sees is the only one of these frequencies between 0 and ½: the **alias**. Work out its
# formula on paper, then write it without loops.
# %% tags=["stub"]
def alias_frequency(frequency, step):
    """Frequency that a wave seems to have when only every `step`-th pixel is kept.

    frequency: array of any shape, cycles per old pixel, may be negative; step: whole number >= 1.
    Returns an array of the same shape: cycles per *new* sample, in [0, 1/2].
    """
    raise NotImplementedError


# %% tags=["solution"]
def alias_frequency(frequency, step):
    """Frequency that a wave seems to have when only every `step`-th pixel is kept.

    frequency: array of any shape, cycles per old pixel, may be negative; step: whole number >= 1.
    Returns an array of the same shape: cycles per *new* sample, in [0, 1/2].
    """
    cycles = np.asarray(frequency) * step
    return np.abs(cycles - np.round(cycles))


# %% [markdown]
# A zone plate of odd size has its middle at $R = (\text{size} - 1)/2$, and at distance $r$ from it the local
# frequency is $f(r) = f_\text{highest}\; r / R$. Where the alias of $f(r)$ is 0, the coarse picture looks as flat as
# in the true middle: a **ghost** of the middle appears. Say where.
# %% tags=["stub"]
def ghost_radii(size, highest, step):
    """Distances from the middle at which the subsampled zone plate shows a ghost, along a row.

    size: pixels, odd; highest: cycles per pixel at the mid-edge; step: whole number.
    Returns a 1-D array, ascending, in pixels of the *full* picture: 0 < r <= R; r = R counts.
    """
    raise NotImplementedError


# %% tags=["solution"]
def ghost_radii(size, highest, step):
    """Distances from the middle at which the subsampled zone plate shows a ghost, along a row.

    size: pixels, odd; highest: cycles per pixel at the mid-edge; step: whole number.
    Returns a 1-D array, ascending, in pixels of the *full* picture: 0 < r <= R; r = R counts.
    """
    k = np.arange(1, np.floor(step * highest) + 1)
    return (size - 1) / 2 * k / (step * highest)


# %%
check("q1")


# %% [markdown]
# Before you move the sliders, say how many ghosts the row through the middle will have for step 6. Your predicted
# ghosts are circled. $f_x$ and $f_y$ alias one by one, so the ghosts form a square lattice. On the right is your alias
# against the true frequency.
# %%
def show_ghosts(step=4, highest=0.5):
    """Zone plate, every step-th pixel of it with predicted ghosts, and the alias curve."""
    plate = scenes.zone_plate(257, highest)
    places = 128 + np.concatenate([-ghost_radii(257, highest, step)[::-1], [0], ghost_radii(257, highest, step)])
    x, y = np.meshgrid(places, places)
    ghost = (x != 128) | (y != 128)
    fig, (full, coarse, curve) = plt.subplots(1, 3, figsize=(9, 3.2))
    figures.show_image(full, plate, rf"$f$ up to {highest:g} cycles/px")
    kept = plate[::step, ::step]
    end = step * len(kept) - step / 2
    coarse.imshow(kept, vmin=0, vmax=1, extent=(-step / 2, end, end, -step / 2))
    coarse.plot(x[ghost], y[ghost], "o", color=figures.COLORS["red"], ms=14, mfc="none", mew=2)
    coarse.set(title=f"step {step}, ghosts predicted", xticks=[], yticks=[], xlim=(-16, 272), ylim=(272, -16))
    f = np.linspace(0, highest, 400)
    curve.plot(f, alias_frequency(f, step))
    curve.set(xlabel="true $f$, cycles per pixel", ylabel="alias, cycles per sample", ylim=(0, 0.55))
    curve.set_title(f"limit 1/(2·{step}) = {1 / (2 * step):.3f} cycles/px")
    return fig


controls.explore(
    show_ghosts,
    step=controls.IntSlider(4, min=2, max=10),
    highest=controls.FloatSlider(0.5, min=0.2, max=0.5, step=0.05),
)


# %% [markdown]
# Every circle holds a flat spot, bright, dark or grey, with rings about it that are nowhere in the original. At step
# 6 and 0.5 cycles per pixel the row through the middle has three ghosts on either side, at a third, two thirds and
# all of the way to the edge.
# %% [markdown]
# ## Question 2 — between the pixels (4 points)
# Bilinear interpolation mixes the four pixels around $(x, y)$. With $x_0 = \lfloor x \rfloor$,
# $y_0 = \lfloor y \rfloor$, $a = x - x_0$, $b = y - y_0$:
# $$I(x, y) = (1-b)\bigl[(1-a)\,I_{y_0,\,x_0} + a\,I_{y_0,\,x_0+1}\bigr]
# {} + b\,\bigl[(1-a)\,I_{y_0+1,\,x_0} + a\,I_{y_0+1,\,x_0+1}\bigr]$$
# Beyond the border the image goes on with its
# border pixels (`aaaa|abcd|dddd`). Whole arrays of coordinates come at once: no loops.
# %% tags=["stub"]
def bilinear(image, x, y):
    """Image values at the points (x, y) by bilinear interpolation.

    image: (H, W) floats; x, y: arrays of one shape, in pixels (x along columns), any finite values.
    Returns an array of the shape of x. Border: the border pixel goes on.
    """
    raise NotImplementedError


# %% tags=["solution"]
def bilinear(image, x, y):
    """Image values at the points (x, y) by bilinear interpolation.

    image: (H, W) floats; x, y: arrays of one shape, in pixels (x along columns), any finite values.
    Returns an array of the shape of x. Border: the border pixel goes on.
    """
    height, width = image.shape
    x, y = np.clip(x, 0, width - 1), np.clip(y, 0, height - 1)
    x0, y0 = np.floor(x).astype(int), np.floor(y).astype(int)
    x1, y1 = np.minimum(x0 + 1, width - 1), np.minimum(y0 + 1, height - 1)
    a, b = x - x0, y - y0
    upper = (1 - a) * image[y0, x0] + a * image[y0, x1]
    lower = (1 - a) * image[y1, x0] + a * image[y1, x1]
    return (1 - b) * upper + b * lower


# %%
check("q2")
# %% [markdown]
# A magnifying glass that can be turned: every pixel of the view asks your function for a point of the photograph. On
# the left the same view with the nearest pixel. Look at the outlines: the stairs of the left vanish on the right, at
# the price of blur; no detail is won.
# %%
camera = images.load("camera")


def show_lens(zoom=4, angle=20):
    """The photographer's face, enlarged and turned: nearest pixel, your bilinear."""
    v, u = (np.mgrid[:240, :240] - 119.5) / zoom
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    x, y = 255 + cos * u - sin * v, 153 + sin * u + cos * v
    rows, columns = (np.clip(np.floor(k + 0.5).astype(int), 0, 511) for k in (y, x))
    return figures.side_by_side(camera[rows, columns], bilinear(camera, x, y))


controls.explore(
    show_lens,
    zoom=controls.IntSlider(4, min=1, max=16),
    angle=controls.IntSlider(20, min=-90, max=90, description="angle (degrees)"),
)


# %% [markdown]
# ## Question 3 — the cubic kernel (4 points)
# Bilinear interpolation weighs samples by a tent with kinks. A smoother kernel $w(x)$ is even, made of one cubic for
# $|x| < 1$ and another for $1 \le |x| < 2$, and 0 beyond. It shall pass through the samples and have no kinks:
# $$w(0) = 1,\quad w(1) = w(2) = 0,\quad w'(0) = w'(2) = 0,\quad w'(1^-) = w'(1^+) = a .$$
# With the value at 1 counted from both sides these are eight conditions for eight coefficients; only the slope $a$ is
# left free. Solve them on paper.
# %% tags=["stub"]
def cubic_kernel(x, a=-0.5):
    """Weight of a sample at distance x: array of any shape, in pixels. Returns an array of that shape.

    a: slope of the kernel at x = 1.
    """
    raise NotImplementedError


# %% tags=["solution"]
def cubic_kernel(x, a=-0.5):
    """Weight of a sample at distance x: array of any shape, in pixels. Returns an array of that shape.

    a: slope of the kernel at x = 1.
    """
    s = np.abs(x)
    near = (a + 2) * s**3 - (a + 3) * s**2 + 1
    far = a * (s**3 - 5 * s**2 + 8 * s - 4)
    return np.where(s < 1, near, np.where(s < 2, far, 0.0))


# %% [markdown]
# A point at $k + t$ with $0 \le t < 1$ lies between the samples $k$ and $k + 1$; the kernel reaches one further on
# either side. How far is each of the four from the point?
# %% tags=["stub"]
def cubic_weights(t, a=-0.5):
    """Weights of the samples k-1, k, k+1, k+2 at the points k + t.

    t: (N,) fractions in [0, 1); a: as for cubic_kernel. Returns an array of shape (N, 4).
    """
    raise NotImplementedError


# %% tags=["solution"]
def cubic_weights(t, a=-0.5):
    """Weights of the samples k-1, k, k+1, k+2 at the points k + t.

    t: (N,) fractions in [0, 1); a: as for cubic_kernel. Returns an array of shape (N, 4).
    """
    return cubic_kernel(t[:, None] - np.array([-1, 0, 1, 2]), a)


# %%
check("q3")


# %% [markdown]
# Two things to try with the slope: find the $a$ at which the error on the parabola is 0, and watch the edge, which
# swings below 0 and above 1 for every $a < 0$.
# %%
def show_cubic(a=-0.5, signal="edge"):
    """The kernel, and samples interpolated with your weights."""
    n = np.arange(12)
    samples = {"edge": (n > 5) * 1.0, "parabola": (n - 5.5) ** 2 / 25}[signal]
    x = np.linspace(1, 9.999, 400)
    k = np.floor(x).astype(int)
    y = np.sum(cubic_weights(x - k, a) * samples[k[:, None] + [-1, 0, 1, 2]], axis=1)
    fig, (left, right) = plt.subplots(1, 2)
    s = np.linspace(-2.5, 2.5, 501)
    left.plot(s, cubic_kernel(s, a))
    left.axhline(0, color="gray", lw=0.5)
    left.set(title=f"$w(x)$ for $a$ = {a:g}", xlabel="$x$, pixels", ylim=(-0.3, 1.1))
    right.plot(x, y, label="your interpolation")
    right.plot(n, samples, "o", color="black", ms=4, label="samples")
    error, overshoot = np.abs(y - (x - 5.5) ** 2 / 25).max(), max(y.max() - 1, 0)
    right.set_title(f"largest error {error:.4f}" if signal == "parabola" else f"overshoot {overshoot:.1%} of the step")
    right.set(xlabel="$x$, pixels", ylim=(-0.3, 1.3))
    right.legend(loc="upper center" if signal == "parabola" else "upper left")
    return fig


controls.explore(
    show_cubic,
    a=controls.FloatSlider(-0.5, min=-1, max=0.5, step=0.05),
    signal=controls.ToggleButtons(options=["edge", "parabola"]),
)


# %% [markdown]
# Only $a = -\tfrac12$ leaves the parabola untouched. OpenCV and PyTorch use $a = -\tfrac34$: a little crisper, and
# with more overshoot. "Bicubic" in two programs need not be the same picture.
# %% [markdown]
# ## Question 4 — resize and stay where you are (5 points)
# $n_\text{in}$ samples become $n_\text{out}$; each new one covers $s = n_\text{in}/n_\text{out}$ old ones. A pixel is
# a unit square about its centre, and the outer edges of both pictures shall coincide. So
# $x + \tfrac12 = (x' + \tfrac12)\,s$: the new pixel $x'$ stands at
# $$x = (x' + \tfrac12)\,s - \tfrac12$$
# of the old picture. Its value is an average under a tent about $x$ with half width $\max(s, 1)$. When enlarging that
# is linear interpolation; when shrinking the wider tent is the prefilter. Weights that fall outside the signal are
# dropped, then each row is divided by its sum.
# %% tags=["stub"]
def resize_weights(n_in, n_out):
    """Weights of the n_in old samples (columns) in each of the n_out new ones (rows): (n_out, n_in).

    Row x' is a tent about (x' + 1/2) s - 1/2 with half width max(s, 1), s = n_in / n_out; it sums to 1.
    """
    raise NotImplementedError


# %% tags=["solution"]
def resize_weights(n_in, n_out):
    """Weights of the n_in old samples (columns) in each of the n_out new ones (rows): (n_out, n_in).

    Row x' is a tent about (x' + 1/2) s - 1/2 with half width max(s, 1), s = n_in / n_out; it sums to 1.
    """
    s = n_in / n_out
    x = (np.arange(n_out) + 0.5) * s - 0.5
    weights = np.maximum(0, 1 - np.abs(np.arange(n_in) - x[:, None]) / max(s, 1))
    return weights / weights.sum(axis=1, keepdims=True)


# %% [markdown]
# The two axes are independent of each other, so a whole image needs two such matrices and no loop.
# %% tags=["stub"]
def resize(image, shape):
    """Image resized to shape = (rows, columns), each axis with its own resize_weights; image: (H, W)."""
    raise NotImplementedError


# %% tags=["solution"]
def resize(image, shape):
    """Image resized to shape = (rows, columns), each axis with its own resize_weights; image: (H, W)."""
    height, width = image.shape
    return resize_weights(height, shape[0]) @ image @ resize_weights(width, shape[1]).T


# %%
check("q4")
# %% [markdown]
# A brick wall with joints a few pixels wide. Shrink it by more and more: in which picture do the joints break into
# dashes, and in which do they only grow paler? The decibels compare with the mean over each square of pixels.
# %%
brick = images.load("brick")


def show_shrunk(factor=6):
    """Every factor-th pixel of the wall, and your resize."""
    n = 512 // factor
    wall = brick[: n * factor, : n * factor]
    mean = wall.reshape(n, factor, n, factor).mean(axis=(1, 3))
    raw, yours = wall[factor // 2 :: factor, factor // 2 :: factor], resize(wall, (n, n))
    titles = [f"{name}: {images.psnr(small, mean):.1f} dB" for name, small in [("raw", raw), ("yours", yours)]]
    return figures.row([raw, yours], titles, limits=(0.1, 0.9))


controls.explore(show_shrunk, factor=controls.IntSlider(6, min=2, max=16))


# %% [markdown]
# At 6 the steep joints of the raw picture are dashed already, since a joint is met or missed by chance. In yours they
# fade as they become narrower than a pixel, and from 6 on the decibels stay near 35, while the raw picture goes on
# losing.
# %% [markdown]
# ## Question 5 — a pyramid that loses nothing (6 points)
# Let $g = \tfrac1{16}(1, 4, 6, 4, 1)$.
#
# - **Reduce**: filter with $g$ along both axes, with the image mirrored at the border (`dcba|abcd|dcba`), then keep
#   the rows and columns 0, 2, 4, …: an $H \times W$ image becomes $\lceil H/2 \rceil \times \lceil W/2 \rceil$.
# - **Expand**: along each axis, put a zero after every sample and filter with $2g$. The even fine samples become
#   $\tfrac18(c_{k-1} + 6\,c_k + c_{k+1})$, the odd ones $\tfrac12(c_k + c_{k+1})$. Before that, the coarse image goes
#   on with its border pixel, so that a constant stays one. Keep as many rows and columns as the fine image has.
# %% tags=["stub"]
def reduce(image):
    """Next coarser level of an (H, W) image: filtered with (1, 4, 6, 4, 1)/16, mirrored; every 2nd pixel from 0 on."""
    raise NotImplementedError


def expand(image, shape):
    """Image (h, w) on the grid of the finer level: shape = (H, W) with h = ceil(H/2), w = ceil(W/2)."""
    raise NotImplementedError


# %% tags=["solution"]
def smooth_rows(image):
    """Filter along axis 0 with (1, 4, 6, 4, 1)/16, mirrored at the border."""
    f = np.pad(image, [(2, 2), (0, 0)], mode="symmetric")
    return (f[:-4] + 4 * f[1:-3] + 6 * f[2:-2] + 4 * f[3:-1] + f[4:]) / 16


def double_rows(image, height):
    """Expand along axis 0 to `height` rows."""
    c = np.pad(image, [(1, 1), (0, 0)], mode="edge")
    fine = np.empty((2 * len(image), image.shape[1]))
    fine[0::2] = (c[:-2] + 6 * c[1:-1] + c[2:]) / 8
    fine[1::2] = (c[1:-1] + c[2:]) / 2
    return fine[:height]


def reduce(image):
    """Next coarser level of an (H, W) image: filtered with (1, 4, 6, 4, 1)/16, mirrored; every 2nd pixel from 0 on."""
    return smooth_rows(smooth_rows(image).T).T[::2, ::2]


def expand(image, shape):
    """Image (h, w) on the grid of the finer level: shape = (H, W) with h = ceil(H/2), w = ceil(W/2)."""
    return double_rows(double_rows(image, shape[0]).T, shape[1]).T


# %% [markdown]
# With $G_0$ the image and $G_{k+1} = \operatorname{reduce}(G_k)$, the bands are
# $L_k = G_k - \operatorname{expand}(G_{k+1})$. The pyramid holds $L_0, L_1, \dots$ and, as its last level, the
# coarsest $G$ itself. Going back is then exact, whatever `expand` does. Why?
# %% tags=["stub"]
def laplacian_pyramid(image, levels):
    """List of `levels` arrays, finest first: the bands L_0, L_1, …, and last the coarsest Gaussian level."""
    raise NotImplementedError


def reconstruct(pyramid):
    """Image of a pyramid as laplacian_pyramid gives it; the pyramid itself stays as it is."""
    raise NotImplementedError


# %% tags=["solution"]
def laplacian_pyramid(image, levels):
    """List of `levels` arrays, finest first: the bands L_0, L_1, …, and last the coarsest Gaussian level."""
    pyramid, level = [], image
    for _ in range(levels - 1):
        coarse = reduce(level)
        pyramid.append(level - expand(coarse, level.shape))
        level = coarse
    return [*pyramid, level]


def reconstruct(pyramid):
    """Image of a pyramid as laplacian_pyramid gives it; the pyramid itself stays as it is."""
    image = pyramid[-1]
    for band in reversed(pyramid[:-1]):
        image = band + expand(image, band.shape)
    return image


# %%
check("q5")
# %% [markdown]
# Burt and Adelson built this pyramid to hide seams. Half an apple and half an orange are joined band by band: each
# band crosses over within about two of its own pixels, so coarse shading crosses slowly and fine texture quickly.
# With one level there is a hard cut. How many levels does it take until the seam is gone, and what is still wrong
# with many?
# %%
apple, orange = (images.load(name)[::2, ::2] for name in ("apple", "orange"))
half = np.repeat([[1.0] * 128 + [0.0] * 128], 256, axis=0)


def blend(first, second, levels):
    """Join two gray images at the middle, band by band."""
    share = [half]
    while len(share) < levels:
        share.append(reduce(share[-1]))
    bands = zip(share, laplacian_pyramid(first, levels), laplacian_pyramid(second, levels))
    return reconstruct([m * a + (1 - m) * b for m, a, b in bands])


def show_blend(levels=5):
    """Apple and orange, joined in `levels` bands; beside it the middle enlarged."""
    fruit = np.stack([blend(apple[..., c], orange[..., c], levels) for c in range(3)], axis=-1)
    fruit = np.clip(fruit, 0, 1)
    return figures.side_by_side(fruit, figures.enlarge(fruit[96:160, 96:160], 4))


controls.explore(show_blend, levels=controls.IntSlider(5, min=1, max=8))
# %% [markdown]
# From five or six levels on no edge is left, while the pores of the orange still end within a few pixels of the
# middle. With eight the coarsest colours of both fruits are mixed over the whole picture: the apple takes on the
# orange's colour far from the seam.
# %% [markdown]
# ## Question 6 — in words (4 points, read by a person)
# 1. A colleague subsamples by 4 first and blurs the small picture afterwards, "because it is 16 times cheaper".
#    Explain with an alias frequency of question 1 why no filter can repair the small picture.
# 2. In the pyramid of question 5, coarse pixel $k$ stands on fine pixel $2k$; `resize` of question 4 puts it
#    elsewhere. How far are the two apart, in pixels of the original, after $n$ levels? What must you do with a point
#    that was found at level 3?
# %% [markdown] tags=["stub", "text:q6"]
# **Answer q6:** (write here)
# %% [markdown] tags=["solution", "text:q6"]
# **Answer q6:**
# 1. A wave of 0.3 cycles per pixel gives with step 4 the samples of $|1.2 - 1| = 0.2$ cycles per sample. So does a
#    true wave of $0.2/4 = 0.05$ cycles per pixel, which belongs in the small picture. Both arrive as the same
#    numbers; a filter that removes the false one removes the true one with it. Only before subsampling do they differ
#    (0.3 lies above $1/(2\cdot 4) = 0.125$, 0.05 below), so there they can be told apart. The saving is false too:
#    the filter need only be evaluated at the pixels that are kept.
# 2. `resize` by 2 puts pixel $k$ at $2(k + \tfrac12) - \tfrac12 = 2k + \tfrac12$. After $n$ halvings it is
#    $2^n k + (2^n - 1)/2$ against $2^n k$ in the pyramid: $(2^n - 1)/2$ pixels apart, 3.5 at $n = 3$. A point
#    $(x, y)$ found at level 3 of the pyramid is carried back as $(8x, 8y)$; with the pixel-centre rule it would be
#    moved by 3.5 pixels along each axis, with no error message anywhere.
