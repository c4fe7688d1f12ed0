# %% [markdown]
# # Exercise 05 — Invariance, scale selection and blobs
#
# You write the blob detector of [lecture 5](../05_blobs.ipynb) piece by piece: the stack of filtered images, its peaks in
# three dimensions, the cheaper difference of Gaussians, the pyramid. At the end it measures discs that nobody has told it
# about.
#
# | question | what it examines | points |
# |---|---|---|
# | 1 | the normalised Laplacian of Gaussian at many scales | 4 |
# | 2 | peaks in $x$, $y$ and $\sigma$, between the samples too | 7 |
# | 3 | the difference of Gaussians, and what it costs in accuracy | 6 |
# | 4 | octaves: half the pixels, the same blobs | 5 |
# | 5 | discs of unknown position, size and polarity | 5 |
# | 6 | in words (marked by hand) | 3 |
#
# **How it works.** Replace `raise NotImplementedError` in each function and run `check("q1")` below it, as often as you
# like: it says what holds, what does not, and which common slip it looks like. The same checks give the points, on other
# random images.
#
# **Rules.** NumPy and the function `smooth` below, nothing else: `cvcourse.blobs`, `cvcourse.edges`, `cvcourse.sampling`,
# SciPy, scikit-image, OpenCV, Pillow and PyTorch are not allowed. A function leaves its arguments as they are. Later questions may
# use the functions of earlier ones. Until a function is written, the cells that draw with it stop with
# `NotImplementedError`; that is meant.
#
# **Conventions.** `image[row, col]` is the brightness at x = col, y = row; y points down. A stack is indexed
# `stack[level, row, col]`. Points are written (x, y).

# %%
import matplotlib.pyplot as plt
import numpy as np

from cvcourse import checks, controls, figures, filtering, images, scenes

check = checks.exercise("05_blobs")


def smooth(image, sigma):
    """Smooth an image by a Gaussian of standard deviation sigma, in pixels; its border is mirrored."""
    return filtering.gaussian(image, sigma)


# %% [markdown]
# Besides the smoothing there is one helper for the figures: it draws a circle about each blob, orange for a bright one and blue
# for a dark one.


# %%
def draw_circles(axes, x, y, radii, bright):
    """Draw circles of the given radii (pixels), orange where `bright` holds and blue elsewhere."""
    for u, v, r, b in zip(x, y, radii, bright, strict=True):
        axes.add_patch(plt.Circle((u, v), r, fill=False, lw=1.5, color=figures.COLORS["orange" if b else "sky"]))


# %% [markdown]
# ## Question 1 — one filter, many scales (4 points)
#
# The Laplacian of the smoothed image answers to blobs. Its answer fades as $\sigma$ grows, because a smoother image has smaller
# derivatives; the factor $\sigma^2$ makes scales comparable:
#
# $$L(x, y, \sigma) = \sigma^2\, \nabla^2 (G_\sigma * I)(x, y). \tag{1}$$
#
# Smooth with `smooth`. For the Laplacian take the five-point stencil
#
# $$\nabla^2 f\,[y, x] = f[y, x+1] + f[y, x-1] + f[y+1, x] + f[y-1, x] - 4 f[y, x],$$
#
# and at the border mirror the smoothed image, its outermost pixels repeated: `np.pad(..., mode="symmetric")`.


# %% tags=["stub"]
def log_stack(image, sigmas):
    """Normalised Laplacian of Gaussian at several scales, by Eq. (1).

    image : (H, W) array of floats.  sigmas : (S,) array of standard deviations, pixels, ascending.
    Returns an (S, H, W) array, one slice for each sigma: negative on bright blobs, positive on dark ones.
    """
    raise NotImplementedError


# %% tags=["solution"]
def log_stack(image, sigmas):
    """Normalised Laplacian of Gaussian at several scales, by Eq. (1).

    image : (H, W) array of floats.  sigmas : (S,) array of standard deviations, pixels, ascending.
    Returns an (S, H, W) array, one slice for each sigma: negative on bright blobs, positive on dark ones.
    """
    stack = np.empty((len(sigmas), *image.shape))
    for level, sigma in zip(stack, sigmas, strict=True):
        f = np.pad(smooth(image, sigma), 1, mode="symmetric")
        level[:] = f[1:-1, 2:] + f[1:-1, :-2] + f[2:, 1:-1] + f[:-2, 1:-1] - 4 * f[1:-1, 1:-1]
        level *= sigma**2
    return stack


# %%
check("q1")

# %% [markdown]
# On a photograph of coins you see a slice of your stack, and on the right how strongly the marked pixel answers at every
# scale. Before you move the slider: a disc answers most strongly at $\sigma = r/\sqrt2$. The marked coin is about 39 pixels wide.
# Where do you expect the lowest point of the curve, and what will the coin look like in the slice for that $\sigma$?


# %%
def show_slice(sigma=6.0):
    """Coins, one slice of your stack, and the answer of one pixel over sigma."""
    coins, x, y = images.load("coins"), 337, 125
    sigmas = np.arange(2.0, 29.0)
    curve = log_stack(coins[y - 80 : y + 80, x - 80 :], sigmas)[:, 80, 80]
    fig, axes = plt.subplots(1, 3, figsize=(9, 2.9), width_ratios=[4, 4, 3])
    figures.show_image(axes[0], coins, "coins")
    figures.show_field(axes[1], log_stack(coins, [sigma])[0], rf"$L$ at $\sigma$ = {sigma:g} px", limit=0.4)
    for ax in axes[:2]:
        ax.plot(x, y, "+", color=figures.COLORS["green"], ms=10, mew=2)
    axes[2].plot(sigmas, curve)
    axes[2].axvline(sigma, color="gray", lw=0.8)
    axes[2].axhline(0, color="gray", lw=0.5)
    best = sigmas[np.argmin(curve)]
    axes[2].set(xlabel=r"$\sigma$, pixels", ylim=(-0.5, 0.5), title=f"$L$ at the cross, least at {best:.0f} px")
    return fig


controls.explore(show_slice, sigma=controls.FloatSlider(6.0, min=2, max=28, step=0.5, description="sigma (px)"))

# %% [markdown]
# **Look for** the lowest point near $19.5/\sqrt2 = 13.8$ pixels: it lies at 13, since the bright neighbours come into view of the
# wider filters and push their answers up. At $\sigma = 2$ you see outlines and relief; at 13 the coin is one blue spot, deepest in its
# middle; at 28 the rows of coins run together.
#
# ## Question 2 — peaks in three dimensions (7 points)
#
# A blob is a sample of the stack that is larger than all its 26 neighbours in $x$, $y$ *and* $\sigma$, or smaller than all of
# them. First find these samples (3 points):
#
# - a **maximum** counts if it is above `threshold`, a **minimum** if it is below `-threshold`;
# - *all* 26 neighbours must be there, so nothing is found in the first and last level, row and column;
# - a sample that only equals a neighbour is not a peak. (So a perfect blob half-way between two pixels would be missed; in a
#   photograph the noise decides.)


# %% tags=["stub"]
def find_peaks(stack, threshold):
    """Samples beyond all their 26 neighbours, and beyond the threshold.

    stack : (S, H, W) array of floats, S >= 3.  threshold : number >= 0.
    Returns an (N, 3) array of integers, one row (level, row, col) for each peak, in any order.
    """
    raise NotImplementedError


# %% tags=["solution"]
def find_peaks(stack, threshold):
    """Samples beyond all their 26 neighbours, and beyond the threshold.

    stack : (S, H, W) array of floats, S >= 3.  threshold : number >= 0.
    Returns an (N, 3) array of integers, one row (level, row, col) for each peak, in any order.
    """
    S, H, W = stack.shape
    middle = stack[1:-1, 1:-1, 1:-1]
    highest, lowest = middle > threshold, middle < -threshold
    for s, y, x in np.ndindex(3, 3, 3):
        if (s, y, x) != (1, 1, 1):
            neighbour = stack[s : S - 2 + s, y : H - 2 + y, x : W - 2 + x]
            highest &= middle > neighbour
            lowest &= middle < neighbour
    return np.argwhere(highest | lowest) + 1


# %% [markdown]
# The true peak lies between the samples (4 points). Let $\mathbf p = (s, y, x)$ be a peak as found above, $\mathbf g$ the gradient
# and $\mathsf H$ the matrix of second derivatives there, both from differences of neighbouring samples:
#
# $$g_a = \tfrac12\bigl[f(\mathbf p + \mathbf e_a) - f(\mathbf p - \mathbf e_a)\bigr], \qquad
#   H_{aa} = f(\mathbf p + \mathbf e_a) - 2 f(\mathbf p) + f(\mathbf p - \mathbf e_a),$$
# $$H_{ab} = \tfrac14\bigl[f(\mathbf p + \mathbf e_a + \mathbf e_b) - f(\mathbf p + \mathbf e_a - \mathbf e_b)
#   - f(\mathbf p - \mathbf e_a + \mathbf e_b) + f(\mathbf p - \mathbf e_a - \mathbf e_b)\bigr].$$
#
# The quadratic $f(\mathbf p) + \mathbf g^\top \mathbf d + \tfrac12 \mathbf d^\top \mathsf H\, \mathbf d$ is stationary at a certain
# offset $\mathbf d$: work it out. A component of $\mathbf d$ beyond $\pm 1$ is not to be trusted: limit each to $[-1, 1]$. Along the
# levels the scales grow by a constant factor $k$, so that level $s + d_s$ has the scale $\sigma_s\, k^{d_s}$.


# %% tags=["stub"]
def refine(stack, peaks, sigmas):
    """Positions and scales of peaks between the samples, by a quadratic fit.

    stack : (S, H, W) array of floats.  peaks : (N, 3) array of rows (level, row, col), none on the border.
    sigmas : (S,) array, pixels, growing by a constant factor.
    Returns an (N, 3) array of rows (x, y, sigma) in pixels, in the order of the peaks.
    """
    raise NotImplementedError


# %% tags=["solution"]
def refine(stack, peaks, sigmas):
    """Positions and scales of peaks between the samples, by a quadratic fit.

    stack : (S, H, W) array of floats.  peaks : (N, 3) array of rows (level, row, col), none on the border.
    sigmas : (S,) array, pixels, growing by a constant factor.
    Returns an (N, 3) array of rows (x, y, sigma) in pixels, in the order of the peaks.
    """

    def f(offset):
        """The sample at this offset from each peak, (N,)."""
        return stack[tuple((peaks + offset).T)]

    axes = np.eye(3, dtype=int)
    g = np.stack([(f(a) - f(-a)) / 2 for a in axes], axis=-1)
    H = np.empty((len(peaks), 3, 3))
    for i, a in enumerate(axes):
        for j, b in enumerate(axes):
            mixed = f(a + b) - f(a - b) - f(b - a) + f(-a - b) if i != j else 0
            H[:, i, j] = mixed / 4 if i != j else f(a) - 2 * f(0 * a) + f(-a)
    ds, dy, dx = np.clip(-np.linalg.solve(H, g[..., None])[..., 0], -1, 1).T
    level, row, col = peaks.T
    return np.column_stack([col + dx, row + dy, sigmas[level] * (sigmas[1] / sigmas[0]) ** ds])


# %%
check("q2")

# %% [markdown]
# Now your detector runs on the coins. Every circle has the radius $\sqrt2\,\sigma$. At which threshold are just the coins left, and
# which coin is the first to be lost?


# %%
def show_peaks(threshold=0.2, smallest=4.0):
    """Blobs of the coins whose scale is at least `smallest`; bright ones orange, dark ones blue."""
    coins, sigmas = smooth(images.load("coins"), 1)[::2, ::2], np.geomspace(1.6, 16, 12)
    stack = log_stack(coins, sigmas)
    peaks = find_peaks(stack, threshold)
    x, y, sigma = refine(stack, peaks, sigmas).T
    keep = sigma >= smallest
    bright = stack[tuple(peaks.T)] < 0
    fig, axes = plt.subplots(figsize=(6, 4.4))
    figures.show_image(axes, coins, f"{np.sum(keep & bright)} bright blobs, {np.sum(keep & ~bright)} dark ones")
    draw_circles(axes, x[keep], y[keep], np.sqrt(2) * sigma[keep], bright[keep])
    return fig


controls.explore(
    show_peaks,
    threshold=controls.FloatSlider(0.2, min=0.05, max=0.5, step=0.01),
    smallest=controls.FloatSlider(4.0, min=1.6, max=8, step=0.2, description="least sigma"),
)

# %% [markdown]
# **Look for** a threshold that leaves the 24 coins and nothing else: there is none. At 0.20 there are 21 coins and two dark gaps between
# coins; three coins are lost already, those on the palest ground. At 0.15 they are back, but so are gaps and patches of relief; at
# 0.22 the gaps are gone, and three more coins with them. A blob is a patch unlike its surroundings, not a thing.
#
# ## Question 3 — the difference of Gaussians (6 points)
#
# The Gaussian obeys the heat equation $\partial G / \partial\sigma = \sigma\, \nabla^2 G$, and $\sigma\,\partial/\partial\sigma =
# \partial / \partial \ln \sigma$. So Eq. (1) is a derivative, and a derivative may be replaced by a difference quotient:
#
# $$\sigma^2\, \nabla^2 G_\sigma = \frac{\partial G_\sigma}{\partial \ln \sigma} \approx
#   D = \frac{G_{\sigma_2} - G_{\sigma_1}}{\ln \sigma_2 - \ln \sigma_1}. \tag{2}$$
#
# A quotient is best in the middle of its interval, here at $\sigma = \sqrt{\sigma_1 \sigma_2}$. First the stack (2 points).


# %% tags=["stub"]
def dog_stack(image, sigmas):
    """Normalised differences of Gaussians of neighbouring scales, by Eq. (2).

    image : (H, W) array of floats.  sigmas : (S,) array, pixels, ascending; their ratios may differ.
    Returns an (S - 1, H, W) array: slice i belongs to sigmas[i] and sigmas[i + 1].
    """
    raise NotImplementedError


# %% tags=["solution"]
def dog_stack(image, sigmas):
    """Normalised differences of Gaussians of neighbouring scales, by Eq. (2).

    image : (H, W) array of floats.  sigmas : (S,) array, pixels, ascending; their ratios may differ.
    Returns an (S - 1, H, W) array: slice i belongs to sigmas[i] and sigmas[i + 1].
    """
    blurred = np.stack([smooth(image, sigma) for sigma in sigmas])
    return np.diff(blurred, axis=0) / np.diff(np.log(sigmas))[:, None, None]


# %% [markdown]
# How wrong is it? For a scale $\sigma$ and a factor $k$ take $D$ of the pair $\sigma_1 = \sigma/\sqrt k$, $\sigma_2 = \sigma\sqrt k$, whose middle
# is $\sigma$, and the $L$ of question 1 at $\sigma$. Measure $\max |D - L| \,/ \max |L|$ over all pixels (2 points).


# %% tags=["stub"]
def dog_errors(image, sigma, factors):
    """Relative error of the difference of Gaussians, against your log_stack, for each factor k.

    image : (H, W) array of floats.  sigma : the scale in the middle, pixels.  factors : (K,) array, all > 1.
    Returns a (K,) array: the largest |D - L|, divided by the largest |L|.
    """
    raise NotImplementedError


# %% tags=["solution"]
def dog_errors(image, sigma, factors):
    """Relative error of the difference of Gaussians, against your log_stack, for each factor k.

    image : (H, W) array of floats.  sigma : the scale in the middle, pixels.  factors : (K,) array, all > 1.
    Returns a (K,) array: the largest |D - L|, divided by the largest |L|.
    """
    L = log_stack(image, [sigma])[0]
    pairs = [(sigma / np.sqrt(k), sigma * np.sqrt(k)) for k in factors]
    return np.array([np.abs(dog_stack(image, pair)[0] - L).max() for pair in pairs]) / np.abs(L).max()


# %% [markdown]
# Even where $D$ is not $L$, it has a peak of its own on every disc. Smoothed by $G_\sigma$, a disc of radius $r$ and brightness 1 has
# the value $1 - e^{-r^2/2\sigma^2}$ in its middle. So the pair $\sigma_1 = \sigma$, $\sigma_2 = k\sigma$ answers there with
# $e^{-r^2/2\sigma^2} - e^{-r^2/2k^2\sigma^2}$, up to a factor. Which radius makes that most negative? Set its derivative to zero
# and solve for $r$, on paper (2 points).


# %% tags=["stub"]
def dog_radius(sigma, k):
    """Radius of the disc to which the pair of Gaussians sigma and k sigma answers most strongly.

    sigma : number or array of any shape, pixels: the *smaller* of the two.  k : number > 1.
    Returns radii in pixels, in the shape of sigma.
    """
    raise NotImplementedError


# %% tags=["solution"]
def dog_radius(sigma, k):
    """Radius of the disc to which the pair of Gaussians sigma and k sigma answers most strongly.

    sigma : number or array of any shape, pixels: the *smaller* of the two.  k : number > 1.
    Returns radii in pixels, in the shape of sigma.
    """
    return sigma * np.sqrt(4 * np.log(k) / (1 - k**-2))


# %%
check("q3")

# %% [markdown]
# A piece of the photographer, your $L$, your $D$, and how the error grows with $k$. The dashed line has the slope of $(\ln k)^2$.
# Follow the curve: is it a straight line, and from which $k$ on is it not?


# %%
def show_error(k=1.6, sigma=4.0):
    """L, D for the factor k, and your errors over k."""
    image = images.load("camera")[56:176, 188:308]
    pair = np.array([sigma / np.sqrt(k), sigma * np.sqrt(k)])
    factors = np.exp(np.geomspace(0.06, 1.3, 9))
    errors = dog_errors(image, sigma, factors)
    fig, axes = plt.subplots(1, 3, figsize=(9, 2.9), width_ratios=[3, 3, 4])
    figures.show_field(axes[0], log_stack(image, [sigma])[0], rf"$L$ at $\sigma$ = {sigma:g} px", limit=0.5)
    figures.show_field(
        axes[1], dog_stack(image, pair)[0], rf"$D$, $\sigma$ = {pair[0]:.2f} and {pair[1]:.2f}", limit=0.5
    )
    axes[2].loglog(np.log(factors), errors, "o-", ms=3)
    axes[2].loglog(np.log(factors), errors[-2] * (np.log(factors) / np.log(factors[-2])) ** 2, "--", color="gray")
    error = dog_errors(image, sigma, [k])[0]
    axes[2].plot(np.log(k), error, "o", color=figures.COLORS["red"])
    axes[2].set(xlabel=r"$\ln k$", ylabel="relative error", ylim=(1e-3, 1), title=f"k = {k:.2f}: error {error:.1%}")
    return fig


controls.explore(
    show_error,
    k=controls.FloatSlider(1.6, min=1.1, max=4, step=0.05),
    sigma=controls.FloatSlider(4.0, min=1.5, max=8, step=0.5, description="sigma (px)"),
)

# %% [markdown]
# **Look for** two regimes. From $k \approx 1.4$ up the points follow the dashed line: the error is of *second* order in $\ln k$, thanks to the
# middle $\sqrt{\sigma_1\sigma_2}$; at $\sigma = 4$ it is 2.5 % for $k = 1.4$, 4.7 % for 1.6 and 9.5 % for 2. Below that it stays near 1.4 % however small
# $k$ is. What remains is not the fault of $D$, but of the five-point stencil in $L$: at $\sigma = 2$ it is 4 %, at 8 only 0.3 %.
#
# ## Question 4 — octaves (5 points)
#
# When an image has been smoothed to twice the blur, every second pixel is enough. A pyramid of **octaves** makes use of it:
#
# - octave 0 is the image, smoothed by $\sigma$;
# - octave $i + 1$ is octave $i$, smoothed further until its blur is $2\sigma$ *in the pixels of octave $i$*, and of that every
#   second row and column, beginning with row and column 0. In its own, larger pixels its blur is $\sigma$ again.
#
# Gaussians applied one after the other add their *variances*. By how much must octave $i$ be smoothed, if its blur is $\sigma$
# already? (3 points)


# %% tags=["stub"]
def octaves(image, sigma, count):
    """Gaussian pyramid whose every level has the blur sigma in its own pixels.

    image : (H, W) array of floats, taken to be sharp.  sigma : pixels, >= 1.  count : number of octaves, >= 1.
    Returns a list of `count` arrays; the first has the shape (H, W), each next one half as many rows and
    columns as the one before it, rounded up.
    """
    raise NotImplementedError


# %% tags=["solution"]
def octaves(image, sigma, count):
    """Gaussian pyramid whose every level has the blur sigma in its own pixels.

    image : (H, W) array of floats, taken to be sharp.  sigma : pixels, >= 1.  count : number of octaves, >= 1.
    Returns a list of `count` arrays; the first has the shape (H, W), each next one half as many rows and
    columns as the one before it, rounded up.
    """
    pyramid = [smooth(image, sigma)]
    while len(pyramid) < count:
        pyramid.append(smooth(pyramid[-1], np.sqrt(3) * sigma)[::2, ::2])
    return pyramid


# %% [markdown]
# A blob found in octave $i$ has a position and a scale in the pixels of that octave. Where is it in the image, and how large? (2 points)


# %% tags=["stub"]
def to_image(points, octave):
    """Carry blobs from the pixels of an octave to those of the image.

    points : (N, 3) array of rows (x, y, sigma) in pixels of octave `octave`: 0, 1, 2, ... as in `octaves`.
    Returns an (N, 3) array of rows (x, y, sigma) in pixels of the image.
    """
    raise NotImplementedError


# %% tags=["solution"]
def to_image(points, octave):
    """Carry blobs from the pixels of an octave to those of the image.

    points : (N, 3) array of rows (x, y, sigma) in pixels of octave `octave`: 0, 1, 2, ... as in `octaves`.
    Returns an (N, 3) array of rows (x, y, sigma) in pixels of the image.
    """
    return points * 2.0**octave


# %%
check("q4")

# %% [markdown]
# A piece of the sky: on the left an octave with the blobs of one narrow range of scales, found in that octave; on the right the same
# blobs where your `to_image` puts them. The right-hand circles lie on galaxies, if all is well. Which octave has the big ones?


# %%
def show_octaves(octave=1, threshold=0.1):
    """Bright blobs found in one octave, and the same blobs in the image."""
    sky = images.as_gray(images.load("hubble_deep_field"))[320:640, 420:840]
    level = octaves(sky, 1.0, 3)[octave]
    sigmas = 1.6 * 2 ** (np.arange(6) / 3)
    further = np.sqrt(sigmas**2 - 1)  # a blur of 1 pixel is there already
    stack = log_stack(level, further) * (sigmas / further)[:, None, None] ** 2
    peaks = find_peaks(stack, threshold)
    peaks = peaks[stack[tuple(peaks.T)] < 0]
    small = refine(stack, peaks, sigmas)
    fig, axes = plt.subplots(1, 2, figsize=(9, 3.7))
    for ax, picture, found in [(axes[0], level, small), (axes[1], sky, to_image(small, octave))]:
        x, y, radii = found[:, 0], found[:, 1], np.sqrt(2) * found[:, 2]
        sizes = f": radii {radii.min():.1f} to {radii.max():.1f}" if len(radii) else ": nothing found"
        figures.show_image(ax, picture, f"{picture.shape[1]} × {picture.shape[0]} pixels{sizes}", limits=(0, 0.7))
        draw_circles(ax, x, y, radii, np.full(len(found), True))
    return fig


controls.explore(
    show_octaves,
    octave=controls.IntSlider(1, min=0, max=2),
    threshold=controls.FloatSlider(0.1, min=0.05, max=0.6, step=0.05),
)

# %% [markdown]
# **Look for** the same galaxies circled on both sides. Octave 0 has the small ones, with radii from 2.4 pixels; the largest glow is
# found in octave 2 only, where there are 16 times fewer pixels to look at. The star below it, of about 10 pixels, lies between two octaves and
# is found in both. If circles on the right sit to the upper left of their galaxies, or are too
# small for them, the step of the octave is missing somewhere.
#
# ## Question 5 — measure the unknown (5 points)
#
# Put everything together. The image shows discs on a gray ground, some brighter than it and some darker; their edges are sharp.
# Find each with its centre, radius and polarity. What is known:
#
# - radii lie between 4 and 12 pixels, and centres anywhere, also between pixels;
# - a disc differs from the ground by 0.25 to 0.45; the noise has a standard deviation of 0.03 at most;
# - two centres are at least $1.8\,(r_1 + r_2)$ apart, and each is $1.8\,r$ away from the border or more;
# - a disc of contrast $c$ answers with $|L| = 2c/e = 0.74\,c$ at its peak. A straight edge answers with $0.24\,c$, and that at *every*
#   scale. Choose your threshold between the two, and your scales so that every radius lies well inside them.


# %% tags=["stub"]
def measure_discs(image):
    """Find bright and dark discs on a gray ground.

    image : (H, W) array of floats.
    Returns an (N, 4) array, one row (x, y, r, polarity) for each disc, in any order: centre and radius in
    pixels, polarity +1 if the disc is brighter than the ground and -1 if it is darker.
    """
    raise NotImplementedError


# %% tags=["solution"]
def measure_discs(image):
    """Find bright and dark discs on a gray ground.

    image : (H, W) array of floats.
    Returns an (N, 4) array, one row (x, y, r, polarity) for each disc, in any order: centre and radius in
    pixels, polarity +1 if the disc is brighter than the ground and -1 if it is darker.
    """
    sigmas = 1.6 * 2 ** (np.arange(15) / 4)
    stack = log_stack(image, sigmas)
    peaks = find_peaks(stack, threshold=0.15)
    x, y, sigma = refine(stack, peaks, sigmas).T
    return np.column_stack([x, y, np.sqrt(2) * sigma, -np.sign(stack[tuple(peaks.T)])])


# %%
check("q5")

# %% [markdown]
# The figure draws your circles on a new picture for every number, and on the coins at half their size. The title compares with
# the truth, where there is one. Raise the noise beyond what was promised: what gives way first?


# %%
def draw_discs(number, noise):
    """Six discs on gray, with noise, and their truth: rows (x, y, r, polarity)."""
    rng, shape = np.random.default_rng(number), (130, 180)
    image, truth = np.full(shape, 0.5), np.empty((0, 4))
    while len(truth) < 6:
        r, polarity = rng.uniform(4, 12), rng.choice([-1, 1])
        x, y = rng.uniform(1.8 * r, shape[1] - 1.8 * r), rng.uniform(1.8 * r, shape[0] - 1.8 * r)
        if np.all(np.hypot(truth[:, 0] - x, truth[:, 1] - y) > 1.8 * (truth[:, 2] + r)):
            image += polarity * rng.uniform(0.25, 0.45) * scenes.disc(shape, r, (x, y))
            truth = np.vstack([truth, [x, y, r, polarity]])
    return scenes.add_gaussian_noise(image, noise, rng), truth


# %% [markdown]
# The picture counts what you found, and measures your radii where the truth is known.


# %%
def show_discs(picture="discs", number=1, noise=0.02):
    """Your circles on random discs, with the largest error of the radii; or on the coins."""
    coins = smooth(images.load("coins"), 1)[::2, ::2]
    image, truth = draw_discs(number, noise) if picture == "discs" else (coins, np.empty((0, 4)))
    found = measure_discs(image)
    title = f"{len(found)} found"
    if len(truth) == len(found):
        near = np.argmin(np.hypot(*(found[:, None, :2] - truth[None, :, :2]).T), axis=1)  # for each true disc
        error = np.abs(found[near, 2] - truth[:, 2]).max()
        title += f" of {len(truth)}, radii wrong by at most {error:.2f} px"
    elif len(truth):
        title += f", {len(truth)} are there"
    else:
        title += f", {np.sum((found[:, 2] > 7) & (found[:, 3] > 0))} of them bright with r > 7"
    fig, axes = plt.subplots(figsize=(6, 4.6))
    figures.show_image(axes, image, title)
    draw_circles(axes, *found[:, :3].T, found[:, 3] > 0)
    return fig


controls.explore(
    show_discs,
    picture=controls.ToggleButtons(options=["discs", "coins"]),
    number=controls.IntSlider(1, min=0, max=20),
    noise=controls.FloatSlider(0.02, min=0, max=0.2, step=0.02),
)

# %% [markdown]
# **Look for** small false blobs, with radii of about 3 pixels: from a noise of about 0.08 on they rise above the threshold, while the
# discs themselves are still found and measured. A large filter averages over many pixels, a small one over few. On the coins there are
# many circles (81 with the threshold 0.15 and $\sigma$ from 1.6 px on), and those that are bright with $r > 7$ are 24: exactly the coins.
#
# ## Question 6 — in words: the missing factor (3 points, marked by hand)
#
# Many notes write the blob filter as plain $\nabla^2 G$ and say in the same breath that its answer is strongest at
# $\sigma = r/\sqrt2$. In the middle of a bright disc of radius $r$ and contrast 1 the plain filter answers with
# $-\dfrac{r^2}{\sigma^4}\, e^{-r^2/2\sigma^2}$.
#
# 1. Where does that have its peak over $\sigma$, and how strong is it there? Show the steps.
# 2. Somebody uses plain $\nabla^2 G$ and $r = \sqrt2\,\sigma$. By how much are his radii wrong? He also keeps only answers above one
#    threshold, the same for all scales: which discs does he lose, although they are as bright as the others?
# 3. Why is your detector not disturbed by $I \to I + b$, and what happens to its list of blobs for $I \to a\,I$?

# %% [markdown] tags=["stub", "text:q6"]
# **Answer q6:** (write here)

# %% [markdown] tags=["solution", "text:q6"]
# **Answer q6:** 1. With $u = \sigma$, $\ln|{\cdot}| = 2\ln r - 4\ln u - r^2/2u^2$ has the derivative $-4/u + r^2/u^3$, which is zero at
# $u = r/2$: the plain filter peaks at $\sigma = r/2$, not at $r/\sqrt2$. Its value there is $-16\,e^{-2}/r^2 = -2.17/r^2$. With the factor
# $\sigma^2$ the derivative is $-2/u + r^2/u^3$, zero at $r/\sqrt2$, with the value $-2/e$ for every $r$.
# 2. He gets $r' = \sqrt2 \cdot r/2 = 0.71\,r$: all radii 29 % too small. The peak falls as $1/r^2$, so a disc twice as large answers
# with a quarter of the strength: one threshold for all scales loses the large discs first.
# 3. A constant has no derivatives, and $\nabla^2 G$ of it is 0: adding $b$ changes nothing at all. A gain $a > 0$ multiplies every
# answer by $a$. Peaks stay where they are, in position and in scale, but a fixed threshold keeps fewer of them for $a < 1$ and
# more for $a > 1$. A threshold relative to the strongest answer, or the $N$ best, keeps the list the same. (A negative $a$ exchanges
# bright and dark.)
