# %% [markdown]
# # Exercise 06 — Descriptors, matching and ROC
#
# You describe keypoints so that another photograph gives the same numbers, pair them, and measure how good the pairs
# are. It goes with [lecture 6](../06_descriptors.ipynb).
#
# | question | what it examines | points |
# |---|---|---|
# | 1 | which way up a patch is, and where its samples lie | 5 |
# | 2 | MOPS: blur, sample, normalise | 6 |
# | 3 | SIFT: histograms of directions, normalise, clip | 7 |
# | 4 | nearest neighbours, the ratio, the mutual check | 7 |
# | 5 | the ROC curve and the area under it | 6 |
# | 6 | in words (marked by hand) | 4 |
#
# **How it works.** Replace `raise NotImplementedError` in each function and run `check("q1")` below it, as often as
# you like: it says what holds, what does not, and which common slip it looks like. The same checks give the points,
# on other random images.
#
# **Rules.** NumPy, `filtering.gaussian` and `sampling.sample` are allowed. `cvcourse.descriptors`, SciPy,
# scikit-image, scikit-learn, OpenCV, Pillow and PyTorch are not; in question 1 neither are `cvcourse.edges`,
# `corners` and `blobs`. A function leaves its arguments as they are. The later questions may use the earlier ones.
# Until a function is written, the cells that draw with it stop with `NotImplementedError`; that is meant.

# %%
import matplotlib.pyplot as plt
import numpy as np

from cvcourse import checks, controls, descriptors, figures, filtering, homogeneous, images, sampling

check = checks.exercise("06_descriptors")
camera = images.load("camera")
places = {"camera": (263, 152), "tripod": (288, 200), "tower": (411, 190)}

# %% [markdown]
# ## Question 1 — which way up, and where to look (5 points)
#
# A descriptor must not change when the camera is turned, so each patch is first given an "up" of its own. Let $L$ be
# the image blurred by a Gaussian of $\sigma$ pixels (`filtering.gaussian(image, sigma)`). At the keypoint
#
# $$L_x = \tfrac12\bigl[L(x+1, y) - L(x-1, y)\bigr],\qquad L_y = \tfrac12\bigl[L(x, y+1) - L(x, y-1)\bigr], \tag{1}$$
#
# and the **orientation** $\theta$ is the direction of $(L_x, L_y)$: the angle from $+x$ towards $+y$, which points
# *down* in an image. Careful: the direction of a line (such as an eigenvector) is known only up to 180°; that of a
# gradient is known entirely.


# %% tags=["stub"]
def orientation(image, x, y, sigma=4.5):
    """Give the direction in which the blurred image grows at the pixel (x, y), Eq. (1).

    image: (H, W) floats; x, y: whole numbers, at least one pixel away from the border; sigma: pixels.
    Returns one number: radians from +x towards +y (down); whole turns more or less do not matter.
    """
    raise NotImplementedError


# %% tags=["solution"]
def orientation(image, x, y, sigma=4.5):
    """Give the direction in which the blurred image grows at the pixel (x, y), Eq. (1).

    image: (H, W) floats; x, y: whole numbers, at least one pixel away from the border; sigma: pixels.
    Returns one number: radians from +x towards +y (down); whole turns more or less do not matter.
    """
    L = filtering.gaussian(image, sigma)
    return np.arctan2(L[y + 1, x] - L[y - 1, x], L[y, x + 1] - L[y, x - 1])


# %% [markdown]
# MOPS looks at a window of 40 × 40 pixels through 8 × 8 samples. Cut the window into 8 × 8 squares of 5 × 5 pixels: a
# sample stands in the middle of each square, and the middle of the window is the keypoint. The window is turned with
# the patch: from `points[i, j]` to `points[i, j + 1]` it is 5 pixels in the direction $\theta$, from `points[i, j]`
# to `points[i + 1, j]` it is 5 pixels in the direction $\theta + 90°$.
#
# Books write the map the other way round, from image to patch: move the keypoint to the origin, turn by $-\theta$,
# shrink by 5, move the origin to the middle of the patch. Here you need its inverse, and so the other sign.


# %% tags=["stub"]
def patch_points(x, y, theta):
    """Give the points of the image at which the 8 x 8 samples of a patch are read.

    x, y: the keypoint, pixels, any numbers; theta: radians, from +x towards +y.
    Returns an array of shape (8, 8, 2): row and column of the patch, then (x, y) in the image.
    """
    raise NotImplementedError


# %% tags=["solution"]
def patch_points(x, y, theta):
    """Give the points of the image at which the 8 x 8 samples of a patch are read.

    x, y: the keypoint, pixels, any numbers; theta: radians, from +x towards +y.
    Returns an array of shape (8, 8, 2): row and column of the patch, then (x, y) in the image.
    """
    v, u = 5 * (np.indices((8, 8)) - 3.5)
    cos, sin = np.cos(theta), np.sin(theta)
    return np.stack([x + cos * u - sin * v, y + sin * u + cos * v], axis=-1)


# %%
check("q1")

# %% [markdown]
# A helper is given: it cuts a square out of the photograph as a camera turned about the keypoint would see it. The
# keypoint comes to lie at (60, 60).


# %%
def turned(place, angle_deg):
    """Give 121 x 121 pixels around a keypoint, seen by a camera that is turned by the angle."""
    v, u = np.mgrid[-60:61, -60:61].astype(float)
    cos, sin = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
    x, y = places[place]
    return sampling.sample(camera, x + cos * u - sin * v, y + sin * u + cos * v)


# %% [markdown]
# Before you move the slider: what will the picture on the left do, what your points, and what the small patch?


# %%
def show_upright(place="camera", angle_deg=25):
    """The turned photograph with your points; what they read; what an upright grid would read."""
    image = turned(place, angle_deg)
    theta = orientation(image, 60, 60)
    points = patch_points(60, 60, theta)
    soft = filtering.gaussian(image, 2.5)
    read = [sampling.sample(soft, p[..., 0], p[..., 1]) for p in (points, patch_points(60, 60, 0.0))]
    fig, axes = plt.subplots(1, 3, figsize=(8, 3))
    figures.show_image(axes[0], image, f"camera turned by {angle_deg}°")
    axes[0].plot(*points.reshape(-1, 2).T, ".", color=figures.COLORS["yellow"], ms=4)
    axes[0].plot(*points[0, 0], "o", color=figures.COLORS["red"], ms=6)
    arrow = {"color": figures.COLORS["sky"], "width": 1.2, "head_width": 5, "length_includes_head": True}
    axes[0].arrow(60, 60, 30 * np.cos(theta), 30 * np.sin(theta), **arrow)
    figures.show_image(axes[1], read[0], rf"your patch, $\theta$ = {np.degrees(theta):.0f}°")
    figures.show_image(axes[2], read[1], r"patch for $\theta$ = 0")
    return fig


controls.explore(
    show_upright,
    place=controls.Dropdown(options=list(places)),
    angle_deg=controls.IntSlider(25, min=-180, max=180, step=5, description="turn (degrees)"),
)

# %% [markdown]
# **Look for** three things. The grid turns with the things in the picture, so the arrow and the red dot, `points[0, 0]`,
# stay on the same details. The patch in the middle hardly changes over the whole circle, while the one on the right
# turns. At ±90° and ±180° it is what it was at 0°, to rounding: the pixels of the turned picture are then exact copies.
#
# ## Question 2 — MOPS (6 points)
#
# The samples $I$ of a patch still depend on the exposure: another gain and offset make $a I + b$ of them. Subtract
# the mean $\mu$ and divide by the standard deviation $s$ of all 64:
#
# $$d = \frac{I - \mu}{s},\qquad \mu = \tfrac1{64}\textstyle\sum I,\quad s^2 = \tfrac1{64}\textstyle\sum (I - \mu)^2. \tag{2}$$
#
# With $a > 0$ the pair $(a, b)$ drops out (check it on paper). A patch without structure cannot be normalised: where
# $s \le 10^{-6}$ the descriptor is 0.


# %% tags=["stub"]
def normalise(patch):
    """Make the samples of a patch independent of gain and offset, Eq. (2).

    patch: (8, 8) floats. Returns 64 numbers, the rows of the patch one after the other, of mean 0 and
    standard deviation 1; zeros if the patch's standard deviation is at most 1e-6.
    """
    raise NotImplementedError


# %% tags=["solution"]
def normalise(patch):
    """Make the samples of a patch independent of gain and offset, Eq. (2).

    patch: (8, 8) floats. Returns 64 numbers, the rows of the patch one after the other, of mean 0 and
    standard deviation 1; zeros if the patch's standard deviation is at most 1e-6.
    """
    deviation = patch.std()
    if deviation <= 1e-6:
        return np.zeros(64)
    return (patch - patch.mean()).ravel() / deviation


# %% [markdown]
# Now put everything together. Samples 5 pixels apart skip most pixels, so the image is blurred first, with
# $\sigma = 2.5$ (half the spacing). Then it is read at the 64 points by bilinear interpolation,
# `sampling.sample(image, x, y)` with its default method, and normalised.


# %% tags=["stub"]
def mops(image, x, y, theta):
    """Describe the keypoint (x, y) of an image, seen with the orientation theta.

    image: (H, W) floats, not yet blurred; x, y: pixels, any numbers, the whole patch inside the image;
    theta: radians. Returns 64 numbers, as `normalise` gives them.
    """
    raise NotImplementedError


# %% tags=["solution"]
def mops(image, x, y, theta):
    """Describe the keypoint (x, y) of an image, seen with the orientation theta.

    image: (H, W) floats, not yet blurred; x, y: pixels, any numbers, the whole patch inside the image;
    theta: radians. Returns 64 numbers, as `normalise` gives them.
    """
    points = patch_points(x, y, theta)
    return normalise(sampling.sample(filtering.gaussian(image, 2.5), points[..., 0], points[..., 1]))


# %%
check("q2")

# %% [markdown]
# How stable is the descriptor really? Turn the camera through the whole circle, take each picture with another exposure
# ($0.6\,I + 0.1$) and some noise, and measure the distance from the descriptor of the first one. Once with your
# orientation, once with $\theta = 0$ for all.


# %%
def distances(place, angles, error, noise, upright):
    """Distances of the descriptors of turned pictures from that of the first, at 0°."""
    rng, start = np.random.default_rng(6), turned(place, 0)
    first, found = mops(start, 60, 60, orientation(start, 60, 60) if upright else 0.0), []
    for angle in angles:
        image = 0.6 * turned(place, angle) + 0.1 + noise * rng.normal(size=start.shape)
        theta = orientation(image, 60, 60) + error if upright else 0.0
        found.append(np.linalg.norm(mops(image, 60, 60, theta) - first))
    return found


# %% [markdown]
# The sliders make the noise stronger, and add an error to your orientation of the turned pictures. What will an error
# of 20° do to the blue curve? The dashed line is the distance to the descriptor of another place.


# %%
def show_turntable(place="camera", error_deg=0, noise=0.02):
    """Distance of descriptors against the turn of the camera."""
    other, angles = next(name for name in places if name != place), np.arange(-180, 181, 20)
    views = [turned(name, 0) for name in (place, other)]
    away = np.linalg.norm(np.subtract(*[mops(view, 60, 60, orientation(view, 60, 60)) for view in views]))
    yours = distances(place, angles, np.radians(error_deg), noise, True)
    fig, ax = plt.subplots(figsize=(7, 3.2))
    ax.plot(angles, yours, label=f"your orientation, off by {error_deg}°")
    ax.plot(angles, distances(place, angles, 0, noise, False), label=r"$\theta$ = 0 for all")
    ax.axhline(away, color="gray", ls="--", label=f"another place: {other}")
    ax.set(xlabel="turn of the camera, degrees", ylabel="distance", ylim=(0, 16), xlim=(-180, 180))
    ax.set_title(f"{place}: largest distance {max(yours):.2f} with your orientation")
    ax.legend(loc="upper right", ncols=2)
    return fig


controls.explore(
    show_turntable,
    place=controls.Dropdown(options=list(places)),
    error_deg=controls.IntSlider(0, min=-90, max=90, step=5, description="error (degrees)"),
    noise=controls.FloatSlider(0.02, min=0, max=0.2, step=0.02),
)

# %% [markdown]
# **Look for** the width of the orange valley: at 20° of turn the fixed grid (at the place "camera") is already more
# than half as far from itself as from another place. Your curve stays low all round, exposure and noise or not. With an error of 20° it lies about
# as high as the orange one at 20°, whatever the turn: the descriptor is as good as the orientation, no better.
#
# ## Question 3 — SIFT (7 points)
#
# SIFT keeps no brightness at all, only how much gradient there is in which direction. One **cell** is described by a
# histogram of 8 bins; bin $k$ has its middle at $k \cdot 45°$, counted from $+x$ towards $+y$. A pixel with the
# gradient $(I_x, I_y)$ and the weight $w$ has the vote $w \sqrt{I_x^2 + I_y^2}$. It is *shared* between the two bins
# around its direction: at a part $\alpha$ of the way from the middle of bin $k$ to that of the next, bin $k$ gets
# $1 - \alpha$ of the vote and the next one $\alpha$. After bin 7 comes bin 0.


# %% tags=["stub"]
def cell_histogram(Ix, Iy, weight):
    """Give the histogram of the gradient directions of a cell, with shared votes.

    Ix, Iy, weight: arrays of one shape, any shape (h, w). Returns 8 numbers.
    """
    raise NotImplementedError


# %% tags=["solution"]
def cell_histogram(Ix, Iy, weight):
    """Give the histogram of the gradient directions of a cell, with shared votes.

    Ix, Iy, weight: arrays of one shape, any shape (h, w). Returns 8 numbers.
    """
    place = (np.arctan2(Iy, Ix) / (np.pi / 4)).ravel()  # in bins, -4 to 4
    votes = (weight * np.hypot(Ix, Iy)).ravel()
    low = np.floor(place).astype(int)
    alpha = place - low
    return np.bincount(low % 8, votes * (1 - alpha), 8) + np.bincount((low + 1) % 8, votes * alpha, 8)


# %% [markdown]
# The descriptor takes $16 \times 16$ gradients, already turned upright:
#
# 1. Each pixel has the weight $\exp(-r^2 / 2\sigma^2)$ with $\sigma = 8$, where $r$ is its distance from the middle
#    of the window, which lies at row 7.5 and column 7.5.
# 2. The window is cut into $4 \times 4$ cells of $4 \times 4$ pixels. Their histograms, row by row, make a vector of
#    128.
# 3. The vector is scaled to length 1, every entry above `clip` is set to `clip`, and it is scaled to length 1 again.
#    A vector of zeros stays as it is.
#
# (The full SIFT also shares votes between neighbouring *cells*, in the same way as between bins; here each pixel
# votes in its own cell only.)


# %% tags=["stub"]
def sift_descriptor(Ix, Iy, clip=0.2):
    """Describe a window by 4 x 4 histograms of 8 directions.

    Ix, Iy: (16, 16) gradients. Returns 128 numbers: cells row by row, the 8 bins of a cell together;
    length 1 (zeros if all gradients are 0).
    """
    raise NotImplementedError


# %% tags=["solution"]
def unit(v):
    """Scale a vector to length 1; zeros stay zeros."""
    length = np.linalg.norm(v)
    return v / length if length > 0 else v


def sift_descriptor(Ix, Iy, clip=0.2):
    """Describe a window by 4 x 4 histograms of 8 directions.

    Ix, Iy: (16, 16) gradients. Returns 128 numbers: cells row by row, the 8 bins of a cell together;
    length 1 (zeros if all gradients are 0).
    """
    row, col = np.indices((16, 16)) - 7.5
    weight = np.exp(-(row**2 + col**2) / (2 * 8**2))
    cells = [np.s_[i : i + 4, j : j + 4] for i in range(0, 16, 4) for j in range(0, 16, 4)]
    v = np.concatenate([cell_histogram(Ix[cell], Iy[cell], weight[cell]) for cell in cells])
    return unit(np.minimum(unit(v), clip))


# %%
check("q3")

# %% [markdown]
# Why clip? A highlight, a reflection on metal, makes a few gradients very long. Below, one is added to a window of
# the photograph. Without clipping (`clip` = 1) it takes its share of the length 1 away from all the other entries.
# The title tells how far the descriptor moves, and how far away the nearest of the other two places is. Predict: how
# does a smaller `clip` change the first distance, and how the second?


# %%
def sift_window(place, highlight):
    """Give 18 x 18 samples, 2 pixels apart, with a highlight added, and the central differences inside."""
    x, y = places[place]
    v, u = np.mgrid[:18, :18] - 8.5
    window = sampling.sample(filtering.gaussian(camera, 1.0), x + 2 * u, y + 2 * v)
    window = window + highlight * np.exp(-((u - 4) ** 2 + (v + 3) ** 2) / 2)
    return window, (window[1:-1, 2:] - window[1:-1, :-2]) / 2, (window[2:, 1:-1] - window[:-2, 1:-1]) / 2


def draw_stars(axes, descriptor):
    """Draw the eight bins of each cell as arms of a star."""
    for n, entry in enumerate(descriptor):
        x, y, angle = 4 * (n // 8 % 4) + 2.5, 4 * (n // 32) + 2.5, n % 8 * np.pi / 4
        ends = [x, x + 7 * entry * np.cos(angle)], [y, y + 7 * entry * np.sin(angle)]
        axes.plot(*ends, color=figures.COLORS["yellow"], lw=1.5)
    for k in np.arange(4.5, 14, 4):
        axes.axhline(k, color=figures.COLORS["sky"], lw=0.6)
        axes.axvline(k, color=figures.COLORS["sky"], lw=0.6)
    axes.set(xlim=(0.5, 16.5), ylim=(16.5, 0.5))


# %% [markdown]
# In the picture, each star shows the eight bins of its cell; the bars are all 128 numbers.


# %%
def show_clip(place="camera", highlight=2.0, clip=0.2):
    """A window with its 16 histograms drawn as stars, and the 128 numbers with and without the highlight."""
    plain = {name: sift_descriptor(*sift_window(name, 0.0)[1:], clip) for name in places}
    window, Ix, Iy = sift_window(place, highlight)
    found = sift_descriptor(Ix, Iy, clip)
    moved = np.linalg.norm(found - plain[place])
    away = min(np.linalg.norm(plain[place] - plain[name]) for name in places if name != place)
    fig, (left, right) = plt.subplots(1, 2, figsize=(8, 3), width_ratios=[1, 1.9])
    figures.show_image(left, window, "window and stars")
    draw_stars(left, found)
    right.bar(np.arange(128), found, width=1, color=figures.COLORS["orange"], label="with the highlight")
    right.step(np.arange(128), plain[place], where="mid", color=figures.COLORS["blue"], lw=1, label="without")
    right.set(xlabel="entry (8 a cell)", xlim=(-1, 128), ylim=(0, 0.7), xticks=np.arange(0, 129, 16))
    right.set_title(f"clip {clip:g}: moved by {moved:.2f}, another place at {away:.2f}")
    right.legend(loc="upper left")
    return fig


controls.explore(
    show_clip,
    place=controls.Dropdown(options=list(places)),
    highlight=controls.FloatSlider(2.0, min=0, max=4, step=0.25),
    clip=controls.FloatSlider(0.2, min=0.05, max=1, step=0.05),
)

# %% [markdown]
# **Look for** the blue steps that the orange bars should reach: without clipping (`clip` = 1) they fall short
# everywhere outside the highlight. At the start, `clip` = 0.2 moves the descriptor by 0.65 instead of 0.74, while
# the other place comes only from 1.15 to 1.09. Clipping cannot mend everything: the directions in the cells below the
# highlight stay changed, and against a weak highlight (0.5 at this place) it does more harm than good.
#
# ## Question 4 — matching (7 points)
#
# The nearest descriptor of the other photograph is always *some* descriptor, right or wrong. Lowe asks how much
# nearer it is than the second nearest. With $d_1 \le d_2$ the two smallest Euclidean distances,
#
# $$\text{ratio} = \frac{d_1}{d_2} = \frac{\lVert a - b_1 \rVert}{\lVert a - b_2 \rVert} \in [0, 1]. \tag{3}$$
#
# Near 0 the nearest stands alone; near 1 two candidates are equally good. If there is only one candidate, or if
# $d_1 = d_2 = 0$, nothing is known, and the ratio counts as 1. Descriptors come as floats or as bytes (`uint8`), for
# so they are often stored. One loop over the first set is fast enough.


# %% tags=["stub"]
def distance_ratios(d1, d2):
    """Find for each descriptor of set 1 its nearest in set 2, and the ratio of Eq. (3).

    d1, d2: (N1, D) and (N2, D) numbers, floats or integers of any kind, N1 and N2 at least 1.
    Returns a tuple (indices, ratios) of two arrays of shape (N1,): whole numbers into d2, and floats.
    """
    raise NotImplementedError


# %% tags=["solution"]
def distance_ratios(d1, d2):
    """Find for each descriptor of set 1 its nearest in set 2, and the ratio of Eq. (3).

    d1, d2: (N1, D) and (N2, D) numbers, floats or integers of any kind, N1 and N2 at least 1.
    Returns a tuple (indices, ratios) of two arrays of shape (N1,): whole numbers into d2, and floats.
    """
    d1, d2 = (d.astype(np.float64) for d in (d1, d2))
    indices, ratios = np.zeros(len(d1), dtype=int), np.ones(len(d1))
    for i, a in enumerate(d1):
        distance = np.sqrt(np.sum((d2 - a) ** 2, axis=1))
        indices[i] = np.argmin(distance)
        if len(d2) > 1:
            first, second = np.partition(distance, 1)[:2]
            ratios[i] = first / second if second > 0 else 1
    return indices, ratios


# %% [markdown]
# A pair is kept if its ratio is below a bound. Two descriptors of set 1 may still choose the same partner; the
# **mutual** check keeps a pair $(i, j)$ only if $i$ is also the nearest to $j$ among *all* descriptors of set 1.


# %% tags=["stub"]
def match(d1, d2, ratio=0.8, mutual=False):
    """Pair descriptors: nearest, ratio (of distances) below the bound, and if asked mutual.

    d1, d2: as above; ratio: in (0, 1).
    Returns an array of whole numbers (M, 2): index in set 1 (ascending), index in set 2; (0, 2) for none.
    """
    raise NotImplementedError


# %% tags=["solution"]
def match(d1, d2, ratio=0.8, mutual=False):
    """Pair descriptors: nearest, ratio (of distances) below the bound, and if asked mutual.

    d1, d2: as above; ratio: in (0, 1).
    Returns an array of whole numbers (M, 2): index in set 1 (ascending), index in set 2; (0, 2) for none.
    """
    indices, ratios = distance_ratios(d1, d2)
    keep = ratios < ratio
    if mutual:
        back, _ = distance_ratios(d2, d1)
        keep &= back[indices] == np.arange(len(d1))
    return np.column_stack([np.flatnonzero(keep), indices[keep]])


# %%
check("q4")

# %% [markdown]
# Two photographs of a painted wall, from directions about 30° apart. The homography between them was measured, so it
# is known which pairs are right: here, those that it carries onto each other within 5 pixels. The 500 coarsest SIFT
# features of each come from the course's own `descriptors.sift`.

# %%
wall = [images.as_gray(images.load(f"matching/graf{k}")) for k in (1, 3)]
H = images.load("matching/H1to3")
features = [descriptors.sift(photo.astype(np.float32)) for photo in wall]
coarsest = [np.argsort(-f.scales, kind="stable")[:500] for f in features]
points = [f.keypoints[order] for f, order in zip(features, coarsest)]
described = [f.descriptors[order] for f, order in zip(features, coarsest)]
carried = homogeneous.transform_points(H, points[0])  # where the features of photograph 1 lie in photograph 2
gap = np.linalg.norm(carried[:, None] - points[1], axis=2)  # pixels, (500, 500)
print(f"{np.sum(gap.min(axis=1) < 5)} of {len(gap)} features of photograph 1 were found in photograph 2 too")

# %% [markdown]
# So no matcher can find more right pairs than that. Blue lines are right, red ones wrong.


# %%
def show_matches(ratio=0.8, mutual=False, tolerance=5):
    """Both photographs and your pairs; a title with their precision and recall."""
    i, j = match(*described, ratio, mutual).T
    right = gap[i, j] < tolerance
    fig, ax = plt.subplots(figsize=(8, 3.6))
    figures.show_image(ax, figures.side_by_side(*wall), "")
    for good, colour in [(True, "sky"), (False, "red")]:
        (x1, y1), (x2, y2) = points[0][i[right == good]].T, points[1][j[right == good]].T
        ax.plot([x1, x2 + 808], [y1, y2], color=figures.COLORS[colour], lw=0.8)
    possible = np.sum(gap.min(axis=1) < tolerance)
    precision = np.sum(right) / max(len(i), 1)
    ax.set_title(f"{len(i)} pairs: precision {precision:.2f}, recall {np.sum(right) / possible:.2f}")
    return fig


controls.explore(
    show_matches,
    ratio=controls.FloatSlider(0.8, min=0.5, max=0.99, step=0.01),
    mutual=controls.Checkbox(False),
    tolerance=controls.IntSlider(5, min=2, max=12, description="right within (pixels)"),
)

# %% [markdown]
# **Look for** the bound from which more lines are red than blue, and for what the mutual check brings and costs at
# 0.99, where the ratio alone hardly filters: the precision rises from 0.29 to 0.54, the recall falls from 0.79 to
# 0.74. Then put the ratio back to 0.8 and raise the tolerance to 8 pixels: most of the red lines below the white pipe
# turn blue. Those pairs show the same details; but what is below the pipe stands in another plane, and the homography
# of the wall misses it by 5 to 8 pixels. A truth has its limits too: look at what is called wrong before you mend a matcher.
#
# ## Question 5 — the ROC curve (6 points)
#
# Every bound is a compromise. To judge a score independently of the bound, sweep it. Given are scores $s$ (high means
# "rather right") and labels (truly right or not). The rule "accept if $s \ge t$" accepts $TP$ right and $FP$ wrong
# ones and leaves $FN$ right and $TN$ wrong ones:
#
# $$\text{tpr}(t) = \frac{TP}{TP + FN},\qquad \text{fpr}(t) = \frac{FP}{FP + TN}. \tag{4}$$
#
# Each rate is a share of *its own* kind, so both lie in [0, 1]. Begin with a threshold above all scores, at
# $(0, 0)$; then take every different score as threshold, from the highest to the lowest, which ends at $(1, 1)$.
# Equal scores are accepted together and make one point.


# %% tags=["stub"]
def roc(scores, labels):
    """Give the points of the ROC curve, Eq. (4).

    scores: (N,) floats; labels: (N,) bools, of both kinds.
    Returns a tuple (fpr, tpr) of two arrays of shape (K + 1,), where K is the number of different scores,
    from (0, 0) to (1, 1). Raises a ValueError if all labels are of one kind: a rate is 0/0 then.
    """
    raise NotImplementedError


# %% tags=["solution"]
def roc(scores, labels):
    """Give the points of the ROC curve, Eq. (4).

    scores: (N,) floats; labels: (N,) bools, of both kinds.
    Returns a tuple (fpr, tpr) of two arrays of shape (K + 1,), where K is the number of different scores,
    from (0, 0) to (1, 1). Raises a ValueError if all labels are of one kind: a rate is 0/0 then.
    """
    right, wrong = np.sum(labels), np.sum(~labels)
    if right == 0 or wrong == 0:
        raise ValueError(f"labels of both kinds are needed, got {right} right and {wrong} wrong")
    order = np.argsort(-scores)
    last = np.append(np.diff(scores[order]) != 0, True)  # of each run of equal scores
    tpr, fpr = np.cumsum(labels[order])[last] / right, np.cumsum(~labels[order])[last] / wrong
    return np.append(0.0, fpr), np.append(0.0, tpr)


# %% [markdown]
# The **area under the curve** (AUC) is one number for the whole sweep: with straight lines from point to point it is
# the probability that a right pair scores higher than a wrong one, where a tie counts one half. Other programs hand
# out the points in another order (rising thresholds, or one per worker in a pool), so sort them first: the curve
# never falls, and it may rise vertically. `np.trapezoid` is allowed.


# %% tags=["stub"]
def auc(fpr, tpr):
    """Measure the area under a ROC curve, with straight lines from point to point.

    fpr, tpr: (K,) floats, the points of a curve that rises from (0, 0) to (1, 1), in any order.
    Returns one number in [0, 1].
    """
    raise NotImplementedError


# %% tags=["solution"]
def auc(fpr, tpr):
    """Measure the area under a ROC curve, with straight lines from point to point.

    fpr, tpr: (K,) floats, the points of a curve that rises from (0, 0) to (1, 1), in any order.
    Returns one number in [0, 1].
    """
    order = np.lexsort([tpr, fpr])  # by fpr, then by tpr
    return np.trapezoid(tpr[order], fpr[order])


# %%
check("q5")

# %% [markdown]
# Which score tells right pairs from wrong ones better: minus the distance, or minus the ratio? Below are the nearest
# neighbours of the features of the wall, with your ratios. Guess first, for 100 features of each photograph and for
# 500: a ratio needs rivals, and few features have few rivals.


# %%
def show_roc(features=500, ratio=0.8):
    """How the ratios are spread, and the ROC curves of both scores; the dot marks the bound."""
    first, second = (d[:features] for d in described)
    indices, ratios = distance_ratios(first, second)
    right = gap[np.arange(features), indices] < 5
    distance = np.linalg.norm(first - second[indices], axis=1).astype(float)
    fig, (left, middle) = plt.subplots(1, 2, figsize=(8, 3.3))
    bins = np.linspace(0, 1, 26)
    left.hist([ratios[right], ratios[~right]], bins, stacked=True, label=["right", "wrong"])
    left.axvline(ratio, color="black", lw=1)
    left.set(xlabel="ratio", title=f"{np.sum(right)} right, {np.sum(~right)} wrong")
    left.legend(loc="upper left")
    for scores, name in [(-ratios, "ratio"), (-distance, "distance")]:
        fpr, tpr = roc(scores, right)
        middle.plot(fpr, tpr, label=f"{name}: AUC {auc(fpr, tpr):.3f}")
    middle.plot(np.mean(ratios[~right] < ratio), np.mean(ratios[right] < ratio), "o", color="black")
    middle.axline((0, 0), (1, 1), color="gray", lw=0.8, ls="--")
    middle.set(xlabel="fpr = FP / (FP + TN)", ylabel="tpr = TP / (TP + FN)", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    middle.legend(loc="lower right")
    return fig


controls.explore(
    show_roc,
    features=controls.IntSlider(500, min=100, max=500, step=50),
    ratio=controls.FloatSlider(0.8, min=0.5, max=1, step=0.02),
)

# %% [markdown]
# **Look for** the dot that runs along the ratio's curve. With 400 features or fewer the plain distance has the larger
# area, with more the ratio: the second nearest is a good measure of "how near is near by accident" only if there are
# many to choose from. A whole photograph has thousands.
#
# ## Question 6 — in words (4 points, marked by hand)
#
# 1. A program compares squared distances (SSD) and accepts a pair if their ratio is below 0.8. Which bound between
#    distances is that? Does it find more or fewer pairs than a bound of 0.8 between distances, and what happens to
#    precision and recall?
# 2. A report divides FP by the number of *right* pairs and finds an "fpr" of 1.32. What does the number say, if
#    everything was accepted? Compare two scores on the same pairs: can the slip reverse which of them has the larger
#    area? And is the diagonal still the curve of a score that guesses?
# 3. The gradient of a pixel turns from 22.4° to 22.6°. How much do the bins of its histogram change with shared
#    votes, and how much if the whole vote goes to the nearest bin?

# %% [markdown] tags=["stub", "text:q6"]
# **Answer q6:** (write here)

# %% [markdown] tags=["solution", "text:q6"]
# **Answer q6:**
#
# 1. The ratio of squares is the square of the ratio, so 0.8 between squares is $\sqrt{0.8} = 0.894$ between distances
#    (and 0.8 between distances is 0.64 between squares). More pairs pass. Those that come in, with ratios from 0.8 to
#    0.894, are mostly wrong (see the picture of question 5): recall can only grow or stay, and precision falls.
# 2. If everything is accepted, FP is the number $N$ of all wrong pairs and the slip gives $N / P$ with $P$ right
#    ones: there are 1.32 times as many wrong pairs as right ones. It says nothing about the score. The slip
#    stretches the horizontal axis, and so every area, by the same $N / P$; on the same pairs the order of two scores
#    stays. But areas of two sets of pairs can no longer be compared, and guessing is now the line from $(0, 0)$ to
#    $(N/P, 1)$, not the diagonal.
# 3. Shared: bin 0 has $1 - 22.4/45 = 0.502$ of the vote and then $0.498$; both bins change by $0.2/45 = 0.0044$ of
#    the vote. With whole votes the pixel leaves bin 0 (middle at 0°, as far as 22.5°) and enters bin 1: both change
#    by the whole vote, for a turn that any noise makes.
