# %% [markdown]
# # Exercise 12 — Panoramas
#
# You turn a camera on the spot, lay its photos on a cylinder, blend them, and measure the focal length by going once
# round. It goes with [lecture 12](../12_panoramas.ipynb).
#
# | question | what it examines | points |
# |---|---|---|
# | 1 | the camera's matrix, and the homography of a rotation | 5 |
# | 2 | onto the cylinder, and back | 6 |
# | 3 | exposure, and blending with masks | 6 |
# | 4 | the focal length that closes the circle | 6 |
# | 5 | in words (marked by hand) | 4 |
#
# **How it works.** Replace `raise NotImplementedError` in each function and run `check("q1")` below it, as often as
# you like: it says what holds, what does not, and which common slip it looks like. The same checks give the points,
# on other random numbers.
#
# **Rules.** All of NumPy is allowed. The course's other modules, SciPy, scikit-image, OpenCV, Pillow and PyTorch are
# not. A function leaves its arguments as they are. The later questions may use the earlier ones, and the figures do.
# Until a function is written, the cells that draw with it stop with `NotImplementedError`; that is meant.

# %%
import matplotlib.pyplot as plt
import numpy as np

from cvcourse import checks, controls, figures, filtering, images, sampling

check = checks.exercise("12_panoramas")
views = images.load("panorama/mars_gt")
photos = [images.as_gray(images.load(f"panorama/mars_{k:02d}")) for k in range(12)]
K, rotations = np.array(views["K"]), [np.array(view["R"]) for view in views["images"]]
print(f"{len(photos)} photos of {photos[0].shape[0]} rows, {photos[0].shape[1]} columns; f = {K[0, 0]:.1f} pixels")

# %% [markdown]
# The photos go once round a place on Mars (cut from a panorama of the rover Spirit, so that their rotations are known
# exactly; their exposures differ).
#
# **Conventions.** Pixel *centres* lie at whole numbers, $x$ points right, $y$ down, the camera's $z$ forward. All
# cameras stand in one point: a direction $\mathbf X$ of the world is $R\,\mathbf X$ in the camera, and pixel
# $\mathbf x \sim K R\,\mathbf X$, with $\mathbf x = (x, y, 1)^{\mathsf T}$. Angles are in **radians**, focal lengths
# in **pixels**. A shape is (height, width).
#
# ## Question 1 — the homography of a rotation (5 points)
#
# A lens says "$f$ = 35 mm", on a sensor that is 24 mm wide; a photo of $W$ columns and $H$ rows covers all of it. Its
# pixels are square, its optical axis meets the middle of the photo, $(c_x, c_y) = \bigl(\frac{W-1}2,
# \frac{H-1}2\bigr)$. How many pixels is $f$? With that,
#
# $$K = \begin{bmatrix} f & 0 & c_x \\ 0 & f & c_y \\ 0 & 0 & 1 \end{bmatrix}. \tag{1}$$


# %% tags=["stub"]
def camera_matrix(shape, f_mm, width_mm):
    """Give the matrix K of a camera, Eq. (1).

    shape: (H, W) of its photos; f_mm: focal length, width_mm: width of the sensor, both in millimetres.
    Returns a (3, 3) array in pixels.
    """
    raise NotImplementedError


# %% tags=["solution"]
def camera_matrix(shape, f_mm, width_mm):
    """Give the matrix K of a camera, Eq. (1).

    shape: (H, W) of its photos; f_mm: focal length, width_mm: width of the sensor, both in millimetres.
    Returns a (3, 3) array in pixels.
    """
    H, W = shape
    f = f_mm * W / width_mm
    return np.array([[f, 0, (W - 1) / 2], [0, f, (H - 1) / 2], [0, 0, 1]])


# %% [markdown]
# Now two cameras, $K_1, R_1$ and $K_2, R_2$, in one point. **Derive** the matrix $H$ that takes a pixel of the first
# photo to the pixel of the second that shows the same direction,
#
# $$\mathbf x_1 \sim K_1 R_1 \mathbf X, \qquad \mathbf x_2 \sim K_2 R_2 \mathbf X \qquad\Longrightarrow\qquad
#   \mathbf x_2 \sim H\, \mathbf x_1. \tag{2}$$
#
# (Which way does a pixel go, to be a direction of the world again?) Every multiple of $H$ counts as the same.


# %% tags=["stub"]
def homography_between(K1, R1, K2, R2):
    """Give the homography from photo 1 to photo 2 of a camera that turned, Eq. (2).

    K1, K2: (3, 3), pixels; R1, R2: (3, 3) rotations, world to camera. Returns a (3, 3) array, at any scale.
    """
    raise NotImplementedError


# %% tags=["solution"]
def homography_between(K1, R1, K2, R2):
    """Give the homography from photo 1 to photo 2 of a camera that turned, Eq. (2).

    K1, K2: (3, 3), pixels; R1, R2: (3, 3) rotations, world to camera. Returns a (3, 3) array, at any scale.
    """
    return K2 @ R2 @ R1.T @ np.linalg.inv(K1)


# %%
check("q1")

# %% [markdown]
# A helper reads a photo at points, and tells which are on it.


# %%
def read_photo(photo, x, y):
    """The photo's values at points (x, y), 0 outside, and a mask that is True inside."""
    H, W = photo.shape
    inside = (x >= 0) & (x <= W - 1) & (y >= 0) & (y <= H - 1)
    return np.where(inside, sampling.sample(photo, np.where(inside, x, 0), np.where(inside, y, 0)), 0), inside


# %% [markdown]
# Your $H$ is used to draw the next photo in the frame of one. The slider gives $K$ a wrong focal length. What
# happens to the two photos in the overlap: are they shifted, turned, or stretched against each other?


# %%
def show_pair(first=0, factor=1.0):
    """Two neighbouring photos in the frame of the first, with f times a factor; and their difference."""
    second = (first + 1) % 12
    lens = np.array([[factor * K[0, 0], 0, K[0, 2]], [0, factor * K[1, 1], K[1, 2]], [0, 0, 1]])
    H = homography_between(lens, rotations[first], lens, rotations[second])
    row, col = np.indices((400, 640)) - np.array([60, 0])[:, None, None]
    a, b, w = np.tensordot(H, np.stack([col, row, np.ones(row.shape)]), axes=1)
    there, mask2 = read_photo(photos[second], a / w, b / w)
    here, mask1 = read_photo(photos[first], col, row)
    both = mask1 & mask2
    fig, (left, right) = plt.subplots(1, 2, figsize=(8, 2.9))
    seam = np.where(both, (here + there) / 2, here + there)
    figures.show_image(left, seam, f"photos {first} and {second}", limits=(0, 0.6))
    left.contour(mask1, [0.5], colors=figures.COLORS["orange"])
    excess = np.where(both, here - there - np.mean((here - there)[both]), 0)
    figures.show_field(right, excess, f"difference: rms {np.std((here - there)[both]):.3f}", limit=0.3)
    return fig


controls.explore(
    show_pair,
    first=controls.IntSlider(0, min=0, max=11, description="photo"),
    factor=controls.FloatSlider(1.0, min=0.7, max=1.5, step=0.05, description="f × "),
)

# %% [markdown]
# **Look for** stones in the difference. With the right $f$ there are none: what is left (rms 0.028 for photos 0 and
# 1) is smooth, another exposure, and lenses that darken towards their sides. With $f$ times 0.95 every stone stands
# there twice, and the rms is 0.048. Mostly that is a shift: in the overlap the second photo lands about 7 pixels too
# far to the left, for a short $f$ makes fewer pixels of the same turn. A mere translation could hide these, but not
# the stretch that comes with them: at half the photos' height it is 6.2 pixels where the second photo begins, 8.4 in
# its middle.
#
# ## Question 2 — the cylinder (6 points)
#
# No plane can hold a whole turn. Imagine a cylinder of radius 1 around the camera, its axis vertical: the direction
# of a pixel meets it at an angle $\theta$ (0 straight ahead, positive to the right) and a height $h$ (positive
# downwards), with
#
# $$\lambda \begin{bmatrix} (x - c_x) / f \\ (y - c_y) / f \\ 1 \end{bmatrix} = \begin{bmatrix} \sin\theta \\ h \\
#   \cos\theta \end{bmatrix} \quad\text{for a } \lambda > 0, \qquad u = f\,\theta, \quad v = f\,h. \tag{3}$$
#
# **Derive** $u$ and $v$ from $x$ and $y$. Note that $u = v = 0$ is straight ahead, not a corner.


# %% tags=["stub"]
def to_cylinder(points, f, center):
    """Lay pixels on the cylinder, Eq. (3).

    points: (N, 2) floats, (x, y); f: pixels; center: (c_x, c_y).
    Returns an (N, 2) array of (u, v), in pixels.
    """
    raise NotImplementedError


# %% tags=["solution"]
def to_cylinder(points, f, center):
    """Lay pixels on the cylinder, Eq. (3).

    points: (N, 2) floats, (x, y); f: pixels; center: (c_x, c_y).
    Returns an (N, 2) array of (u, v), in pixels.
    """
    x, y = (points - np.asarray(center)).T
    return np.stack([f * np.arctan2(x, f), f * y / np.hypot(x, f)], axis=1)


# %% [markdown]
# To draw, one asks the other way round: which pixel shows this point of the cylinder? The cylinder goes round, so
# $\theta$ may be *any* number, and $\theta$ and $\theta + 2\pi$ are one direction. What lies behind the camera, or
# exactly beside it, isn't seen.


# %% tags=["stub"]
def from_cylinder(uv, f, center):
    """Find the pixels that show points of the cylinder: the inverse of Eq. (3).

    uv: (N, 2) floats, u any number; f: pixels; center: (c_x, c_y).
    Returns a tuple (points, seen): (N, 2) pixels (x, y), and (N,) bools: True in front of the camera.
    Where a point isn't seen, its pixel is (0, 0).
    """
    raise NotImplementedError


# %% tags=["solution"]
def from_cylinder(uv, f, center):
    """Find the pixels that show points of the cylinder: the inverse of Eq. (3).

    uv: (N, 2) floats, u any number; f: pixels; center: (c_x, c_y).
    Returns a tuple (points, seen): (N, 2) pixels (x, y), and (N,) bools: True in front of the camera.
    Where a point isn't seen, its pixel is (0, 0).
    """
    theta, h = np.asarray(uv).T / f
    seen = np.cos(theta) > 0
    depth = np.where(seen, np.cos(theta), 1)
    points = f * np.stack([np.sin(theta) / depth, h / depth], axis=1) + np.asarray(center)
    return np.where(seen[:, None], points, 0), seen


# %%
check("q2")

# %% [markdown]
# Left a photo of a wall of square tiles, right the same on the cylinder; the lines are drawn by `to_cylinder`, the
# tiles by `from_cylinder`. What happens to straight lines, upright and level ones, when $f$ becomes short? Which of
# them stay straight?


# %%
def show_cylinder(f=150, row=40):
    """A tiled wall, photographed and on the cylinder, with some lines, one of them movable."""
    center = np.array([149.5, 89.5])
    wall = 0.35 + 0.4 * ((np.indices((180, 300)) // 30).sum(axis=0) % 2)
    v, u = np.indices((181, 361)) - np.array([90, 180])[:, None, None]
    points, seen = from_cylinder(np.stack([u.ravel(), v.ravel()], 1).astype(float), f, center)
    values, mask = read_photo(wall, *points.T)
    fig, (left, right) = plt.subplots(1, 2, figsize=(8, 2.8), width_ratios=[300, 361])
    figures.show_image(left, wall, f"flat: {2 * np.degrees(np.arctan(150 / f)):.0f}° wide")
    figures.show_image(right, np.where(mask & seen, values, 1).reshape(u.shape), "on the cylinder")
    steps = np.linspace(0, 1, 50)[:, None]
    lines = [([0, row], [299, row], "red"), ([0, 89.5], [299, 89.5], "sky"), ([239.5, 0], [239.5, 179], "orange")]
    for start, end, color in lines:
        line = (1 - steps) * start + steps * end
        left.plot(*line.T, color=figures.COLORS[color], lw=2)
        right.plot(*np.add(to_cylinder(line, f, center), [180, 90]).T, color=figures.COLORS[color], lw=2)
    return fig


controls.explore(
    show_cylinder,
    f=controls.IntSlider(150, min=60, max=600, step=10),
    row=controls.IntSlider(40, min=0, max=179, description="red line"),
)

# %% [markdown]
# **Look for** what stays straight: upright lines all do, and of the level ones only the horizon, at the height of the
# centre; the others bend towards it at the sides, where the wall is farther away. At $f = 150$ the rim of the photo is
# seen at 45°, and heights there shrink to $\cos 45° = 0.71$; at $f = 60$ the outer tiles nearly vanish. At $f = 600$
# the photo is only 28° wide, and plane and cylinder are hardly different.
#
# ## Question 3 — exposure and blending (6 points)
#
# Now lay all twelve photos on one cylinder. First their exposures: where photos $I_1$ and $I_2$ overlap they show the
# same, but for a factor. Find the $g$ that fits best, by least squares over the overlap $M_1 \cap M_2$ of their
# masks,
#
# $$\sum_{\mathbf x \in M_1 \cap M_2} \bigl(I_1(\mathbf x) - g\, I_2(\mathbf x)\bigr)^2 \to \min. \tag{4}$$


# %% tags=["stub"]
def gain(first, mask1, second, mask2):
    """Find the factor that fits the second image to the first, Eq. (4).

    first, second: (H, W) floats; mask1, mask2: (H, W) bools, True where an image is.
    Returns a number. Raises a ValueError if they do not overlap.
    """
    raise NotImplementedError


# %% tags=["solution"]
def gain(first, mask1, second, mask2):
    """Find the factor that fits the second image to the first, Eq. (4).

    first, second: (H, W) floats; mask1, mask2: (H, W) bools, True where an image is.
    Returns a number. Raises a ValueError if they do not overlap.
    """
    both = mask1 & mask2
    if not both.any():
        raise ValueError("the images do not overlap")
    return np.sum(first[both] * second[both]) / np.sum(second[both] ** 2)


# %% [markdown]
# Then the blend: a weighted mean, at each pixel over the photos that are there. With the masks $m_k \in \{0, 1\}$ and
# weights $w_k > 0$,
#
# $$I(\mathbf x) = \frac{\sum_k m_k w_k\, I_k}{\sum_k m_k w_k}, \qquad I(\mathbf x) = 0 \text{ where all } m_k = 0.
#   \tag{5}$$
#
# Outside its mask a layer may hold anything: zeros, rubbish, even NaN.


# %% tags=["stub"]
def blend(layers, masks, weights):
    """Blend images by a weighted mean, Eq. (5).

    layers: (n, H, W) floats, anything outside the masks; masks: (n, H, W) bools; weights: (n, H, W) floats > 0.
    Returns a tuple (result, covered): (H, W) floats, 0 where no image is, and (H, W) bools.
    """
    raise NotImplementedError


# %% tags=["solution"]
def blend(layers, masks, weights):
    """Blend images by a weighted mean, Eq. (5).

    layers: (n, H, W) floats, anything outside the masks; masks: (n, H, W) bools; weights: (n, H, W) floats > 0.
    Returns a tuple (result, covered): (H, W) floats, 0 where no image is, and (H, W) bools.
    """
    kept = np.where(masks, weights, 0)
    total, covered = kept.sum(axis=0), masks.any(axis=0)
    mean = np.sum(kept * np.where(masks, layers, 0), axis=0) / np.where(covered, total, 1)
    return mean, covered


# %%
check("q3")

# %% [markdown]
# A helper puts a photo on the panorama, in three steps: your `from_cylinder` gives the pixel of a *level* camera that
# looks the same way, your `homography_between` the pixel of the real one, which looks down at the ground.


# %%
yaws = [np.arctan2(R[2, 0], R[2, 2]) for R in rotations]
smooth = [filtering.gaussian(photo, 1.2) for photo in photos]  # the panorama is three times coarser


def level(yaw):
    """The rotation of a level camera that is turned to the right by an angle."""
    return np.array([[np.cos(yaw), 0, -np.sin(yaw)], [0, 1, 0], [np.sin(yaw), 0, np.cos(yaw)]])


def on_panorama(k, yaw, f, theta, h):
    """Photo k, its mask, and how far each point is from its border, at angles and heights of the cylinder."""
    uv = f * np.stack([(theta - yaw).ravel(), h.ravel()], 1)
    points, seen = from_cylinder(uv, f, K[:2, 2])
    H = homography_between(K, level(yaws[k]), K, rotations[k])
    a, b, w = H @ np.column_stack([points, np.ones(len(points))]).T
    front = seen & (w / H[2, 2] > 0)
    x, y = np.where(front, [a, b] / np.where(front, w, 1), -1)
    values, mask = read_photo(smooth[k], x, y)
    border = np.minimum(np.minimum(x + 1, 400 - x), np.minimum(y + 1, 300 - y))
    return [part.reshape(theta.shape) for part in (values, mask, np.where(mask, border, 0))]


# %% [markdown]
# The weights are (distance to the photo's border)$^p$. What will $p = 0$ look like, and $p = 32$? Which of your two
# functions does more against the seams?


# %%
def show_blend(p=1, exposure=True):
    """The whole turn, blended with weights distance^p, with or without your gains."""
    theta, h = np.meshgrid(np.arange(-np.pi, np.pi, 1 / 110), np.arange(-0.12, 1.0, 1 / 110))
    layers, masks, border = (
        np.array(part) for part in zip(*(on_panorama(k, yaws[k], K[0, 0], theta, h) for k in range(12)), strict=True)
    )
    gains = [1.0]
    for k in range(1, 12):
        step = gain(layers[k - 1], masks[k - 1], layers[k], masks[k])
        gains.append(gains[-1] * step if exposure else 1.0)
    picture, covered = blend(layers * np.array(gains)[:, None, None], masks, (border + 0.01) ** p)
    fig, (top, bottom) = plt.subplots(2, 1, figsize=(8, 4.3))
    picture = np.where(covered, picture, 1)
    figures.show_image(top, picture, "gains " + " ".join(f"{g:.2f}" for g in gains), limits=(0.1, 0.6))
    figures.show_image(bottom, picture[:60, 460:692], "a third of the horizon", limits=(0.2, 0.55))
    return fig


# %% [markdown]
# Below the whole turn, a part of it is enlarged.

# %%
controls.explore(
    show_blend,
    p=controls.SelectionSlider(options=[0, 1, 2, 4, 8, 32], value=1, description="p"),
    exposure=controls.Checkbox(True, description="gains"),
)

# %% [markdown]
# **Look for** the borders of the photos in the sky. With $p = 0$ each of them is a step; with $p = 32$ there is one
# step between two photos, in the middle of the overlap; with $p = 1$ every weight is nearly 0 where its photo ends, and
# the steps all but dissolve. The gains make all photos equally bright in the mean. But they can't lighten the
# corners, which each lens has darkened: with $p = 32$ the sky stays scalloped, and only soft weights hide that. On
# the other hand soft weights mix two photos over a wide strip, and whatever has moved meanwhile would appear twice.
#
# ## Question 4 — closing the circle (6 points)
#
# Where does $f$ come from, if nobody tells? Photos $1, \dots, n$ go once round, and each is matched with the next,
# the last with the first. Camera and axis are level, so an image point in column $x$ lies at the angle of Eq. (3),
# whatever its row. If it is in column $x_1$ of a photo and in column $x_2$ of the next, the camera has turned by
#
# $$\delta(f) = \theta(x_1) - \theta(x_2), \quad\text{to the right if } \delta > 0; \qquad \text{several matches: the
#   mean of their } \delta. \tag{6}$$


# %% tags=["stub"]
def turn(x1, x2, f, cx):
    """Give the angle by which the camera turned between two photos, Eq. (6).

    x1, x2: (N,) columns of the same points in the two photos; f, cx: pixels.
    Returns the mean angle in radians, positive to the right.
    """
    raise NotImplementedError


# %% tags=["solution"]
def turn(x1, x2, f, cx):
    """Give the angle by which the camera turned between two photos, Eq. (6).

    x1, x2: (N,) columns of the same points in the two photos; f, cx: pixels.
    Returns the mean angle in radians, positive to the right.
    """
    return np.mean(np.arctan((x1 - cx) / f) - np.arctan((x2 - cx) / f))


# %% [markdown]
# A wrong $f$ makes every angle wrong, and after one round the errors have summed to a gap. Find the $f$ that closes
# it:
#
# $$\Bigl|\sum_{k=1}^{n} \delta_k(f)\Bigr| = 2\pi, \qquad \tfrac12 W \le f \le 50\, W. \tag{7}$$
#
# (The camera may go round either way.) In this range the sum falls as $f$ grows, if the points lie within 45° of the
# axis, as here. How you search is up to you; $f$ should be right to 0.001 pixels. If no $f$ of the range closes the
# circle, it is none: raise a `ValueError`.


# %% tags=["stub"]
def focal_from_circle(pairs, cx, width):
    """Find the focal length that closes the circle, Eq. (7).

    pairs: n tuples (x1, x2) of columns, each pair of one length: photo 1 and 2, ..., photo n and 1.
    cx: pixels; width: of the photos. Returns f in pixels. Raises a ValueError if no f of the range does it.
    """
    raise NotImplementedError


# %% tags=["solution"]
def focal_from_circle(pairs, cx, width):
    """Find the focal length that closes the circle, Eq. (7).

    pairs: n tuples (x1, x2) of columns, each pair of one length: photo 1 and 2, ..., photo n and 1.
    cx: pixels; width: of the photos. Returns f in pixels. Raises a ValueError if no f of the range does it.
    """

    def gap(f):
        return abs(sum(turn(x1, x2, f, cx) for x1, x2 in pairs)) - 2 * np.pi

    low, high = width / 2, 50 * width
    if gap(low) < 0 or gap(high) > 0:
        raise ValueError("no focal length closes the circle")
    while high - low > 1e-9 * width:
        middle = (low + high) / 2
        low, high = (middle, high) if gap(middle) > 0 else (low, middle)
    return (low + high) / 2


# %%
check("q4")

# %% [markdown]
# Matches for the twelve photos are made from their known angles, as if a level camera had taken them, with an error
# in each column.


# %%
def matches_around(noise):
    """Columns (x1, x2) of 30 points in each photo and the next, with Gaussian errors (pixels)."""
    rng, pairs = np.random.default_rng(12), []
    for k in range(12):
        step = (yaws[(k + 1) % 12] - yaws[k]) % (2 * np.pi)
        theta = rng.uniform(step - 0.5, 0.5, 30)
        pair = K[0, 2] + K[0, 0] * np.tan([theta, theta - step])
        pairs.append(tuple(pair + rng.normal(0, noise, pair.shape)))
    return pairs


# %% [markdown]
# The panorama is now made with an $f$ of yours: the angles come from your `turn`, and after the twelfth photo comes
# the first one again. It should appear one whole turn after itself. With $f$ too short, will it come too early or too
# late?


# %%
def show_circle(f=300, noise=0.5):
    """The panorama made with f, from the first photo to the first photo again; and the gap for all f."""
    pairs = matches_around(noise)
    angles = np.cumsum([0.0] + [turn(*pair, f, K[0, 2]) for pair in pairs])
    theta, h = np.meshgrid(np.arange(-0.6, 2 * np.pi + 1.2, 1 / 90), np.arange(-0.12, 0.8, 1 / 90))
    fig, (top, bottom) = plt.subplots(2, 1, figsize=(8, 4.4), height_ratios=[1, 1.1])
    picture = np.ones(theta.shape)
    for n, yaw in enumerate(angles):
        near = np.abs(theta[0] - yaw) < 0.9
        values, mask, _ = on_panorama(n % 12, yaw, f, theta[:, near], h[:, near])
        picture[:, near] = np.where(mask, values, picture[:, near])
    figures.show_image(top, picture, f"f = {f}: the first photo again after {np.degrees(angles[-1]):.1f}°", (0.1, 0.6))
    for x, color in ((0, "sky"), (2 * np.pi, "sky"), (angles[-1], "red")):
        top.axvline((x + 0.6) * 90, color=figures.COLORS[color], lw=2)
    tried = np.linspace(240, 520, 60)
    totals = [np.degrees(sum(turn(*pair, g, K[0, 2]) for pair in pairs)) for g in tried]
    bottom.plot(tried, np.array(totals) - 360)
    bottom.plot(f, np.degrees(angles[-1]) - 360, "o", color=figures.COLORS["red"])
    bottom.axhline(0, color="gray", lw=1)
    found = focal_from_circle(pairs, K[0, 2], 400)
    bottom.set(xlabel=f"f (pixels); closed at {found:.2f}, true {K[0, 0]:.2f}", ylabel="gap (°)")
    return fig


# %% [markdown]
# The blue lines are one whole turn apart, the red one is where the first photo comes again.

# %%
controls.explore(
    show_circle,
    f=controls.IntSlider(300, min=250, max=500, step=2, continuous_update=False),
    noise=controls.FloatSlider(0.5, min=0, max=5, step=0.5, description="noise (px)", continuous_update=False),
)

# %% [markdown]
# **Look for** the red line on the blue one. With $f = 300$ the round takes 409.9°, and the first photo comes 50° too
# late; with $f = 400$ it comes 45° too early. Near the solution each pixel of $f$ costs 0.95°, after a whole round:
# so sharp a test of $f$ no single pair gives. The matches' errors hardly matter, for each step averages 30 of them:
# with 0.5 pixels of noise the circle closes at 346.39, with 5 pixels at 346.13, and true is 346.41. You have
# calibrated a camera by going round in a circle.
#
# ## Question 5 — in words (4 points, marked by hand)
#
# 1. Plane, cylinder or sphere: which surface for a group photo of 70°, for a mountain range all around, for the
#    inside of a dome? Give the reason in numbers for the plane: by what factor does it enlarge at 60° from the
#    middle, along the radius, at right angles to it, and in area?
# 2. The photographer holds the camera at arm's length and turns on the heel: between two photos the centre moves by
#    $b$ = 20 cm. $f$ is 1000 pixels. By how much does a point at the distance $Z$ jump in the overlap, at 2 m and at
#    200 m? Can another $H$, or a better blend, repair it?
# 3. Your `focal_from_circle` got 12 × 30 matches with an error of half a pixel each, and yet $f$ came out far better.
#    Why? And why does a sweep over 90° with the same photos tell so much less about $f$?

# %% [markdown] tags=["stub", "text:q5"]
# **Answer q5:** (write here)

# %% [markdown] tags=["solution", "text:q5"]
# **Answer q5:**
#
# 1. *Plane* for the group: up to about 100° it is bearable, and straight lines stay straight. *Cylinder* for the
#    mountains: it closes after 360°, heights are kept along the horizon, and little is seen far above or below it (at
#    ±90° the cylinder is infinitely high). *Sphere* for the dome, which reaches the zenith. At an angle $\theta$ the
#    plane is met at the distance $1/\cos\theta$ and obliquely: it enlarges by $1/\cos^2\theta$ in the radial
#    direction, by $1/\cos\theta$ across that, together $1/\cos^3\theta$: at 60° by 4, 2 and 8.
# 2. Seen from a centre that moved sideways by $b$, a point at the distance $Z$ is shifted by about $f\,b/Z$: 100
#    pixels at 2 m, 1 pixel at 200 m. One $H$ cannot do both, it moves all points of a direction alike, whatever their
#    distance (only if the scene is a plane does another homography fit). A blend shows ghosts or hides them at a seam
#    through the far parts; nothing repairs it but turning about the centre of projection.
# 3. The errors are independent and average out: the sum of twelve means of 30 differences has an error of about
#    $\sqrt{12}\cdot 0.5\sqrt{2/30}/f \approx 0.45/f$, and this stands against all $2\pi$, a *known* number without
#    error: $\Delta f / f \approx 0.45 / (2\pi f)$, so $\Delta f$ is about 0.07 pixels. A sweep over 90° has no such
#    end: nobody tells that it is 90°. What is left is the change of the shift across each photo, a second-order effect
#    that is far smaller than the shift itself.
