# %% [markdown]
# # Exercise 08 — Warping
#
# You move pictures by a transform of the plane, backwards and forwards, find the frame that holds the result, and
# keep it free of aliases where it shrinks. It goes with [lecture 8](../08_warping.ipynb).
#
# | question | what it examines | points |
# |---|---|---|
# | 1 | where each output pixel comes from | 3 |
# | 2 | inverse warp: interpolate, and know where there is nothing | 6 |
# | 3 | forward warp: share each pixel among four, normalise | 6 |
# | 4 | the frame that holds the whole result | 5 |
# | 5 | local scale, and a prefilter that follows it | 6 |
# | 6 | in words (marked by hand) | 4 |
#
# **How it works.** Replace `raise NotImplementedError` in each function and run `check("q1")` below it, as often as
# you like: it says what holds, what does not, and which common slip it looks like. The same checks give the points,
# on other random images.
#
# **Rules.** All of NumPy is allowed, and in question 5 the given `blur`. The course's other modules, SciPy,
# scikit-image, OpenCV, Pillow and PyTorch are not. A function leaves its arguments as they are. The later questions
# may use the earlier ones. Until a function is written, the cells that draw with it stop with `NotImplementedError`;
# that is meant.

# %%
import matplotlib.pyplot as plt
import numpy as np

from cvcourse import checks, controls, figures, filtering, images, scenes

check = checks.exercise("08_warping")
photo = images.load("camera")[90:250, 120:360]
print(f"photo: {photo.shape[0]} rows, {photo.shape[1]} columns")

# %% [markdown]
# **Conventions.** `image[row, col]` is the sample at $x$ = col, $y$ = row; pixel *centres* lie at whole numbers, $x$
# points right, $y$ down. A transform $T$ is a (3, 3) matrix that carries points of the **source** to points of the
# **output**, $\mathbf x' \sim T\,\mathbf x$ with $\mathbf x = (x, y, 1)^{\mathsf T}$, and every multiple of $T$ is the
# same transform. A shape is (height, width).
#
# ## Question 1 — where does it come from? (3 points)
#
# An inverse warp asks every output pixel $(x', y')$ where in the source it came from:
#
# $$\begin{bmatrix} a \\ b \\ w \end{bmatrix} = T^{-1} \begin{bmatrix} x' \\ y' \\ 1 \end{bmatrix}, \qquad
#   x = \frac aw, \quad y = \frac bw. \tag{1}$$


# %% tags=["stub"]
def source_points(T, shape):
    """Give the source point of each output pixel, Eq. (1).

    T: (3, 3), source to output, invertible; shape: (height, width) of the output.
    Returns a tuple (x, y) of two arrays of that shape, in pixels of the source, not rounded;
    no output pixel comes from infinity.
    """
    raise NotImplementedError


# %% tags=["solution"]
def source_points(T, shape):
    """Give the source point of each output pixel, Eq. (1).

    T: (3, 3), source to output, invertible; shape: (height, width) of the output.
    Returns a tuple (x, y) of two arrays of that shape, in pixels of the source, not rounded;
    no output pixel comes from infinity.
    """
    row, col = np.indices(shape)
    a, b, w = np.linalg.inv(T) @ np.stack([col.ravel(), row.ravel(), np.ones(row.size)])
    return (a / w).reshape(shape), (b / w).reshape(shape)


# %%
check("q1")

# %% [markdown]
# A helper is given for all pictures below. It maps the middle of the source to the middle of the output, turns,
# scales, and lets the scale change from top to bottom.


# %%
def view(source, output, angle_deg=0.0, scale=1.0, tilt=0.0):
    """A transform between pictures of two shapes; tilt is the change of w over the source's height."""
    c, s = scale * np.cos(np.radians(angle_deg)), scale * np.sin(np.radians(angle_deg))
    to_middle, back = np.eye(3), np.eye(3)
    to_middle[:2, 2] = -(source[1] - 1) / 2, -(source[0] - 1) / 2
    back[:2, 2] = (output[1] - 1) / 2, (output[0] - 1) / 2
    lean = np.array([[1, 0, 0], [0, 1, 0], [0, tilt / source[0], 1]])
    return back @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ lean @ to_middle


# %% [markdown]
# On the right is a grid of output pixels, on the left the points from which they come. Before you move the sliders:
# what happens to the points on the photo when the *scale* grows, and which way do they turn?


# %%
def show_sources(angle_deg=20, scale=1.0, tilt=0.0):
    """Every twelfth output pixel (right) and your source point for it (left), in the same colour."""
    shape = (145, 193)
    x, y = (grid[::12, ::12] for grid in source_points(view(photo.shape, shape, angle_deg, scale, tilt), shape))
    rows, cols = np.indices(shape)[:, ::12, ::12]
    inside = (x >= 0) & (x <= photo.shape[1] - 1) & (y >= 0) & (y <= photo.shape[0] - 1)
    fig, (left, right) = plt.subplots(1, 2, figsize=(8, 3))
    figures.show_image(left, photo, f"source points, {inside.mean():.0%} on the photo")
    left.scatter(x, y, c=cols, cmap="plasma", s=7)
    left.plot(x[0, 0], y[0, 0], "o", ms=9, mfc="none", mew=2, color=figures.COLORS["sky"])
    left.set(xlim=(-90, 330), ylim=(230, -70))
    right.scatter(cols, rows, c=cols, cmap="plasma", s=7)
    right.plot(0, 0, "o", ms=9, mfc="none", mew=2, color=figures.COLORS["sky"])
    right.set(xlim=(-8, 201), ylim=(152, -8), aspect="equal", title="output pixels", xticks=[], yticks=[])
    return fig


controls.explore(
    show_sources,
    angle_deg=controls.IntSlider(20, min=-180, max=180, step=5, description="angle (°)"),
    scale=controls.FloatSlider(1.0, min=0.5, max=3, step=0.1),
    tilt=controls.FloatSlider(0.0, min=-0.8, max=0.8, step=0.1),
)

# %% [markdown]
# **Look for** the opposite of what you asked for. A larger scale makes the picture larger and so draws the points
# *together*; at 3 they lie on a ninth of the area. A positive angle turns the picture clockwise ($y$ points down)
# and the points anticlockwise; the ring marks pixel (0, 0). Seen from the output, everything goes by $T^{-1}$.
#
# ## Question 2 — inverse warp (6 points)
#
# Now read the source $f$ of width $W$ and height $H$ at those points. With $i = \lfloor x \rfloor$, $t = x - i$,
# $j = \lfloor y \rfloor$ and $s = y - j$,
#
# $$f(x, y) = (1-s)\bigl[(1-t)\, f_{j,i} + t\, f_{j,i+1}\bigr] + s\bigl[(1-t)\, f_{j+1,i} + t\, f_{j+1,i+1}\bigr]
#   \tag{2}$$
#
# ($f_{j,i}$ is `image[j, i]`). The photo ends at the **centres** of its outermost pixels: a point is *inside* if
#
# $$-\varepsilon \le x \le W - 1 + \varepsilon \quad\text{and}\quad -\varepsilon \le y \le H - 1 + \varepsilon,
#   \qquad \varepsilon = 10^{-6}. \tag{3}$$
#
# (The lecture's `warp` counts half a pixel more on each side.) The $\varepsilon$ is for rounding errors: an inside
# point takes the value at the nearest point with $0 \le x \le W - 1$, $0 \le y \le H - 1$. So a point exactly on the
# last column counts, though it has no right neighbour, and the identity gives back the photo, whole and unchanged.
# Outside, the result is 0 and the mask `False`.


# %% tags=["stub"]
def inverse_warp(image, T, shape):
    """Warp an image by T: read it at the source point of each output pixel, Eqs. (1) to (3).

    image: (H, W) floats, H, W >= 2; T: (3, 3), source to output, invertible; shape: of the output.
    Returns a tuple (result, mask) of two arrays of that shape: floats, 0 outside; bools, True inside.
    """
    raise NotImplementedError


# %% tags=["solution"]
def inverse_warp(image, T, shape):
    """Warp an image by T: read it at the source point of each output pixel, Eqs. (1) to (3).

    image: (H, W) floats, H, W >= 2; T: (3, 3), source to output, invertible; shape: of the output.
    Returns a tuple (result, mask) of two arrays of that shape: floats, 0 outside; bools, True inside.
    """
    H, W = image.shape
    x, y = source_points(T, shape)
    mask = (x >= -1e-6) & (x <= W - 1 + 1e-6) & (y >= -1e-6) & (y <= H - 1 + 1e-6)
    x, y = np.clip(x, 0, W - 1), np.clip(y, 0, H - 1)
    i, j = np.minimum(x.astype(int), W - 2), np.minimum(y.astype(int), H - 2)  # the last column has t = 1
    t, s = x - i, y - j
    upper = (1 - t) * image[j, i] + t * image[j, i + 1]
    lower = (1 - t) * image[j + 1, i] + t * image[j + 1, i + 1]
    return np.where(mask, (1 - s) * upper + s * lower, 0.0), mask


# %%
check("q2")

# %% [markdown]
# How much does a warp cost? Warp the photo by $T$, then the result by $T^{-1}$: where both masks allow, it should be
# the photo again. For which angles is the error 0, and what does a shift by half a pixel do that one by 3 pixels
# doesn't?


# %%
def show_there_and_back(angle_deg=30, shift=0.0, scale=1.0):
    """The warped photo, and what is left of it after the way back."""
    shape = (288, 288)
    T = view(photo.shape, shape, angle_deg, scale)
    T = np.array([[1, 0, shift], [0, 1, shift], [0, 0, 1]]) @ T
    there, mask = inverse_warp(photo, T, shape)
    back, returned = inverse_warp(there, np.linalg.inv(T), photo.shape)
    whole = inverse_warp(mask.astype(float), np.linalg.inv(T), photo.shape)[0] > 0.999  # no zeros mixed in
    error = np.where(returned & whole, back - photo, 0)
    fig, (left, right) = plt.subplots(1, 2, figsize=(8, 3.4), width_ratios=[1, 1.4])
    figures.show_image(left, np.where(mask, there, 1), f"warped: {mask.mean():.0%} of the frame")
    rms = np.sqrt(np.mean(error[returned & whole] ** 2)) + 0.0
    figures.show_field(right, error, f"there and back, minus the photo: rms {rms:.3f}", limit=0.3)
    return fig


controls.explore(
    show_there_and_back,
    angle_deg=controls.IntSlider(30, min=0, max=90, step=5, description="angle (°)"),
    shift=controls.FloatSlider(0.0, min=-3, max=3, step=0.25),
    scale=controls.FloatSlider(1.0, min=0.4, max=2, step=0.1),
)

# %% [markdown]
# **Look for** the two ends of the first slider: at 0° and at 90° the error is exactly 0, and so it is for shifts by
# whole pixels. In between it hardly depends on the angle (rms 0.022 to 0.023), and sits on the edges. Worst is, at
# 0°, a shift of half a pixel, with 0.030: there every point lies midway between four pixels, and their mean is all it
# can get. A scale of 0.5 costs more than any turn (0.042 at 0°), since three of four pixels have no place to stay.
#
# ## Question 3 — forward warp (6 points)
#
# A forward warp starts from the source: pixel $k$ with the value $f_k$ goes to $\mathbf x'_k = T\,\mathbf x_k$, which
# is rarely a pixel. So it is **splatted**: shared among the four pixels around $(x'_k, y'_k)$, with the same weights
# with which they would be interpolated. Pixel $(m, n)$, $m$ a column and $n$ a row, gets from it
#
# $$w_k(m, n) = \max(0,\, 1 - |x'_k - m|)\ \max(0,\, 1 - |y'_k - n|). \tag{4}$$
#
# Several pixels, or none, may fall on one. What came is divided by how much came:
#
# $$g(m, n) = \frac{\sum_k w_k(m, n)\, f_k}{\sum_k w_k(m, n)}, \qquad g = 0 \text{ where } \textstyle\sum_k w_k \le
#   10^{-6}. \tag{5}$$
#
# What falls outside the output is lost, but a pixel on the rim keeps its share of a point that lies partly outside.


# %% tags=["stub"]
def forward_warp(image, T, shape):
    """Warp an image by T: share each source pixel among four output pixels, Eqs. (4) and (5).

    image: (H, W) floats; T: (3, 3), source to output; shape: (height, width) of the output.
    Returns a tuple (result, weight) of two arrays of that shape: g, and the sum of the weights, however small.
    """
    raise NotImplementedError


# %% tags=["solution"]
def forward_warp(image, T, shape):
    """Warp an image by T: share each source pixel among four output pixels, Eqs. (4) and (5).

    image: (H, W) floats; T: (3, 3), source to output; shape: (height, width) of the output.
    Returns a tuple (result, weight) of two arrays of that shape: g, and the sum of the weights, however small.
    """
    row, col = np.indices(image.shape)
    a, b, w = T @ np.stack([col.ravel(), row.ravel(), np.ones(row.size)])
    x, y = a / w, b / w
    i, j = np.floor(x).astype(int), np.floor(y).astype(int)
    total, weight = np.zeros(shape), np.zeros(shape)
    for n in (j, j + 1):
        for m in (i, i + 1):
            share = (1 - np.abs(x - m)) * (1 - np.abs(y - n))
            lands = (n >= 0) & (n < shape[0]) & (m >= 0) & (m < shape[1])
            np.add.at(weight, (n[lands], m[lands]), share[lands])
            np.add.at(total, (n[lands], m[lands]), (share * image.ravel())[lands])
    seen = weight > 1e-6
    return np.where(seen, total, 0) / np.where(seen, weight, 1), weight


# %%
check("q3")

# %% [markdown]
# The rival is given: it moves each pixel to the *nearest* output pixel.


# %%
def forward_nearest(image, T, shape):
    """Move each source pixel to the nearest output pixel; give the result and what was hit."""
    row, col = np.indices(image.shape)
    a, b, w = T @ np.stack([col.ravel(), row.ravel(), np.ones(row.size)])
    m, n = np.rint(a / w).astype(int), np.rint(b / w).astype(int)
    lands = (n >= 0) & (n < shape[0]) & (m >= 0) & (m < shape[1])
    result, hit = np.zeros(shape), np.zeros(shape, bool)
    result[n[lands], m[lands]], hit[n[lands], m[lands]] = image.ravel()[lands], True
    return result, hit


# %% [markdown]
# Holes are red, in both pictures. At the scale $s$ there are $s^2$ output pixels for each source pixel, so the rival
# leaves at least $1 - 1/s^2$ of them empty. From which scale on does the splat leave holes too? And does the rival
# have any if the picture is only turned?


# %%
def show_holes(scale=1.5, angle_deg=0):
    """A detail warped forwards: to the nearest pixel, and by your splat; and your weights."""
    detail, shape = photo[10:70, 100:180], (120, 160)
    T = view(detail.shape, shape, angle_deg, scale)
    covered = inverse_warp(detail, T, shape)[1]
    nearest, hit = forward_nearest(detail, T, shape)
    result, weight = forward_warp(detail, T, shape)
    fig, axes = plt.subplots(1, 3, figsize=(8, 2.6))
    for ax, name, g, seen in [(axes[0], "nearest", nearest, hit), (axes[1], "splat", result, weight > 1e-6)]:
        holes, picture = covered & ~seen, np.repeat(np.where(covered, g, 1)[..., None], 3, axis=2)
        picture[holes] = 0.84, 0.37, 0.0
        figures.show_image(ax, picture, f"{name}: {holes.sum() / covered.sum():.1%} holes")
    figures.show_image(axes[2], weight, f"weights, mean {weight[covered].mean():.2f}", limits=(0, 2))
    return fig


controls.explore(
    show_holes,
    scale=controls.FloatSlider(1.5, min=0.4, max=3, step=0.1),
    angle_deg=controls.IntSlider(0, min=0, max=90, step=5, description="angle (°)"),
)

# %% [markdown]
# **Look for** three things. At the scale 1.5 the rival misses 56.4 % of the pixels (the formula says 55.6 %), the
# splat none; and a mere turn by 45° at the scale 1 costs the rival 17.9 %. The splat's tents reach one pixel to
# either side, so an upright picture is closed up to the scale 2; a turned one opens from about 1.5 on. At 3,
# upright, every source pixel falls exactly on an output pixel, has nothing to share, and the splat leaves the same
# 88.8 % empty as the rival. The weights are $1/s^2$ on average: below the scale 1 several pixels are averaged on
# each place.
#
# ## Question 4 — the frame (5 points)
#
# Turn a photo and its corners leave the frame. Find the frame that holds the warped image: the smallest rectangle of
# whole pixels that contains where all its **pixel centres** go (so the corners of the source are the centres of its
# four corner pixels, as in Eq. (3), not the outer corners half a pixel further). If they go to
# $x'_{\min} \dots x'_{\max}$ and $y'_{\min} \dots y'_{\max}$, the frame's first column is
#
# $$x_0 = \lfloor x'_{\min} + \varepsilon \rfloor, \quad \text{its last}\quad x_1 = \lceil x'_{\max} - \varepsilon
#   \rceil, \quad\text{likewise } y_0,\ y_1 \text{ for the rows}, \qquad \varepsilon = 10^{-6}. \tag{6}$$
#
# An image counts its pixels from 0, so the transform into the frame is $T$ followed by the shift that takes
# $(x_0, y_0)$ to $(0, 0)$. If the line that $T$ sends to infinity touches or crosses the source rectangle, no frame
# is large enough: raise a `ValueError`. (Which sign has the third coordinate on either side of that line? And
# what happens to it if the whole of $T$ changes its sign?)


# %% tags=["stub"]
def frame_of(T, shape):
    """Find the frame that holds a warped image, and the transform into it, Eq. (6).

    T: (3, 3), source to output, invertible; shape: (H, W) of the source.
    Returns a tuple (T_frame, (height, width)): a (3, 3) array, source to frame, and two whole numbers.
    Raises a ValueError if a part of the image goes to infinity.
    """
    raise NotImplementedError


# %% tags=["solution"]
def frame_of(T, shape):
    """Find the frame that holds a warped image, and the transform into it, Eq. (6).

    T: (3, 3), source to output, invertible; shape: (H, W) of the source.
    Returns a tuple (T_frame, (height, width)): a (3, 3) array, source to frame, and two whole numbers.
    Raises a ValueError if a part of the image goes to infinity.
    """
    bottom, right = shape[0] - 1, shape[1] - 1
    a, b, w = T @ np.array([[0, right, 0, right], [0, 0, bottom, bottom], [1, 1, 1, 1]])
    if not (np.all(w > 0) or np.all(w < 0)):
        raise ValueError("a part of the image goes to infinity: no frame can hold it")
    x, y = a / w, b / w
    x0, y0 = np.floor(x.min() + 1e-6), np.floor(y.min() + 1e-6)
    x1, y1 = np.ceil(x.max() - 1e-6), np.ceil(y.max() - 1e-6)
    shift = np.array([[1, 0, -x0], [0, 1, -y0], [0, 0, 1]])
    return shift @ T, (int(y1 - y0) + 1, int(x1 - x0) + 1)


# %%
check("q4")

# %% [markdown]
# Now the whole photo can be seen, whatever the transform. The third slider adds a shift to $T$. What will it change
# in the picture?


# %%
def show_frame(angle_deg=25, tilt=0.4, shift=-50.0):
    """The whole warped photo in your frame; the source's corners in red."""
    T = np.array([[1, 0, shift], [0, 1, 0], [0, 0, 1]]) @ view(photo.shape, photo.shape, angle_deg, 1.0, tilt)
    T_frame, shape = frame_of(T, photo.shape)
    result, mask = inverse_warp(photo, T_frame, shape)
    H, W = photo.shape
    a, b, w = T_frame @ np.array([[0, W - 1, W - 1, 0], [0, 0, H - 1, H - 1], [1, 1, 1, 1]])
    fig, ax = plt.subplots(figsize=(6, 4))
    figures.show_image(ax, np.where(mask, result, 0.85), f"{shape[0]} rows, {shape[1]} columns")
    ax.plot(a / w, b / w, "o", color=figures.COLORS["red"])
    x, y = (round(v[0] / w[0], 1) + 0.0 for v in (a, b))
    ax.set_xlabel(f"photo: {mask.mean():.0%} of the frame; its pixel (0, 0) lies at ({x:.1f}, {y:.1f})")
    return fig


controls.explore(
    show_frame,
    angle_deg=controls.IntSlider(25, min=-180, max=180, step=5, description="angle (°)"),
    tilt=controls.FloatSlider(0.4, min=-1.2, max=1.2, step=0.1),
    shift=controls.FloatSlider(-50.0, min=-100, max=100, step=2.5),
)

# %% [markdown]
# **Look for** the shift that isn't there: by whole pixels it changes nothing, since the frame moves along and the
# offset in `T_frame` takes it away again. By half a pixel the picture moves by half a pixel within its frame (see
# the position below the picture), which may need a column more. At ±180° and tilt 0 no pixel is lost to rounding:
# 160 × 240 again.
#
# ## Question 5 — a blur that follows the scale (6 points)
#
# An inverse warp reads one point for each output pixel. Where the picture shrinks, it skips what lies between, and
# aliases. How strongly it shrinks depends on the place, and the derivative $J$ of the map tells it:
# $|\det J|$ is the area of the output that a source pixel fills. **Derive** it for a general $T$. With
# $x' = a/w$, $y' = b/w$ and $(a, b, w)^{\mathsf T} = T\,(x, y, 1)^{\mathsf T}$,
#
# $$J = \begin{bmatrix} \partial x'/\partial x & \partial x'/\partial y \\ \partial y'/\partial x & \partial
#   y'/\partial y \end{bmatrix}, \qquad \frac{\partial x'}{\partial x} = \frac{T_{00}\, w - a\, T_{20}}{w^2},
#   \quad\dots \tag{7}$$


# %% tags=["stub"]
def area_scale(T, x, y):
    """Give |det J| of the transform T at points, Eq. (7).

    T: (3, 3), any multiple of it gives the same; x, y: two arrays of one shape, points before the map,
    none of them sent to infinity. Returns an array of that shape: output area for each source area.
    """
    raise NotImplementedError


# %% tags=["solution"]
def area_scale(T, x, y):
    """Give |det J| of the transform T at points, Eq. (7).

    T: (3, 3), any multiple of it gives the same; x, y: two arrays of one shape, points before the map,
    none of them sent to infinity. Returns an array of that shape: output area for each source area.
    """
    w = T[2, 0] * x + T[2, 1] * y + T[2, 2]
    return np.abs(np.linalg.det(T)) / np.abs(w) ** 3


# %% [markdown]
# An output pixel $\mathbf x'$ stands for the source area $A(\mathbf x')$: that is the same question for the *inverse*
# map. If it is larger than 1, a square of $\sqrt A \times \sqrt A$ source pixels must be summed up by one number. We
# blur with
#
# $$\sigma(\mathbf x') = \min\Bigl(8,\ \tfrac12 \sqrt{\max(0,\ A(\mathbf x') - 1)}\Bigr), \tag{8}$$
#
# not at all where the picture grows. A blur with another $\sigma$ at each pixel would be slow, so blur the
# whole source nine times, $L_k$ with $\sigma = k$ for $k = 0, 1, \dots, 8$ ($L_0$ is the image itself), warp each, and
# mix at each output pixel the two that are next to its $\sigma = k + t$, with $0 \le t \le 1$:
#
# $$g(\mathbf x') = (1 - t)\, L_k(T^{-1}\mathbf x') + t\, L_{k+1}(T^{-1}\mathbf x'). \tag{9}$$
#
# The blur is given; its border is mirrored.


# %%
def blur(image, sigma):
    """The image smoothed by a Gaussian of standard deviation sigma >= 0 (pixels); 0 gives a copy."""
    return filtering.gaussian(image, sigma)


# %% [markdown]
# `adaptive_warp` returns the picture alone, without a mask.


# %% tags=["stub"]
def adaptive_warp(image, T, shape):
    """Warp an image by T, and blur it as strongly as it shrinks, Eqs. (8) and (9).

    image: (H, W) floats, H, W >= 2; T: (3, 3), source to output, invertible; shape: of the output.
    Returns one array of that shape, 0 outside (by the rule of question 2).
    """
    raise NotImplementedError


# %% tags=["solution"]
def adaptive_warp(image, T, shape):
    """Warp an image by T, and blur it as strongly as it shrinks, Eqs. (8) and (9).

    image: (H, W) floats, H, W >= 2; T: (3, 3), source to output, invertible; shape: of the output.
    Returns one array of that shape, 0 outside (by the rule of question 2).
    """
    row, col = np.indices(shape)
    area = area_scale(np.linalg.inv(T), col, row)
    sigma = np.minimum(8, np.sqrt(np.maximum(0, area - 1)) / 2)
    levels = np.stack([inverse_warp(blur(image, k), T, shape)[0] for k in range(9)])
    k = np.minimum(sigma.astype(int), 7)
    t = sigma - k
    return (1 - t) * levels[k, row, col] + t * levels[k + 1, row, col]


# %%
check("q5")

# %% [markdown]
# A floor of tiles that recedes to the top, once without and once with your prefilter. The reference reads 16 points in
# each output pixel and takes their mean; the titles tell how far the others are from it (rms). Which of the two is
# better at the bottom, where the floor comes near? Look at the far end, too: is your picture too sharp there, or
# too soft?


# %%
def reference(image, T, shape, fine=4):
    """Warp to an output that is 4 times finer, and take the mean of 4 x 4 pixels."""
    finer = np.array([[fine, 0, (fine - 1) / 2], [0, fine, (fine - 1) / 2], [0, 0, 1]]) @ T
    values, mask = inverse_warp(image, finer, (fine * shape[0], fine * shape[1]))
    values, mask = (a.reshape(shape[0], fine, shape[1], fine).mean(axis=(1, 3)) for a in (values, mask))
    return values, mask == 1  # only where all 16 points are inside


def show_floor(tilt=-1.4, tile=4, scale=0.7):
    """A tiled floor without and with your prefilter, and a reference."""
    floor, shape = scenes.checkerboard(tile, (144 // tile, 144 // tile)), (96, 120)
    T = view(floor.shape, shape, 0, scale, tilt)
    truth, mask = reference(floor, T, shape)
    fig, axes = plt.subplots(1, 3, figsize=(8, 2.6))
    pictures = {"no blur": inverse_warp(floor, T, shape)[0], "yours": adaptive_warp(floor, T, shape)}
    for ax, (name, g) in zip(axes, pictures.items()):
        error = np.sqrt(np.mean((g - truth)[mask] ** 2))
        figures.show_image(ax, np.where(mask, g, 1), f"{name}: rms {error:.3f}")
    figures.show_image(axes[2], np.where(mask, truth, 1), "16 points a pixel")
    return fig


# %% [markdown]
# The scale shrinks the whole floor, and the tilt changes it from top to bottom.

# %%
controls.explore(
    show_floor,
    tilt=controls.FloatSlider(-1.4, min=-1.8, max=0, step=0.1, continuous_update=False),
    tile=controls.SelectionSlider(options=[2, 3, 4, 6, 8, 12], value=4, description="tile (pixels)"),
    scale=controls.FloatSlider(0.7, min=0.2, max=1.5, step=0.1, continuous_update=False),
)

# %% [markdown]
# **Look for** the far end, where the left picture shows tiles of full contrast that the reference doesn't have.
# Yours is nearly gray there, even a little too gray: the $\tfrac12$ of Eq. (8) is more than the 0.29 of a mean over
# $\sqrt A \times \sqrt A$ pixels (lecture, Eq. (8.10)). But with 0.29 too much contrast would be left: the floor
# shrinks more in depth than across, and $\sqrt A$ knows only the mean of the two. At the bottom the picture grows,
# and both are the same, pixel for pixel. Then set tilt 0, scale 0.2 and tiles of 2 pixels: the left picture is as
# crisp as ever, and nothing in it is true. It reads every fifth pixel of a pattern that repeats after four; its rms
# is 0.469, yours 0.031.
#
# ## Question 6 — in words (4 points, marked by hand)
#
# 1. A picture shall be enlarged four times. What goes wrong with a forward warp, and which share of the pixels is
#    concerned if every pixel moves to the nearest place? The same picture shall be reduced four times. What goes
#    wrong with an inverse warp, and why not with the splat?
# 2. A program turns a photo by 10° and warps the result again and again, until after 36 turns it is upright. Another
#    one warps the photo once, by the product of all 36 matrices. Compare the two results: sharpness, borders, time.
# 3. The map $(x, y) \mapsto (x/4,\ 4y)$ has $\det J = 1$. What do Eq. (8) and your `adaptive_warp` do with it? What
#    does the picture need, and which property of $J$ should the prefilter look at instead?

# %% [markdown] tags=["stub", "text:q6"]
# **Answer q6:** (write here)

# %% [markdown] tags=["solution", "text:q6"]
# **Answer q6:**
#
# 1. Enlarged by a forward warp the picture has *holes*: pixels that nothing is sent to. There are 16 output pixels
#    for each source pixel, so the share is $1 - 1/16 = 94$ %. (A splat fills at most $2 \times 2$ of the 16, which
#    leaves 75 %: its tents end one pixel away.) Reduced by an inverse warp it has *aliases*: bilinear reading looks at
#    4 of each 16 source pixels at most, and fine detail turns into a false coarse one. The splat uses every source
#    pixel and takes the mean of those that fall together: a prefilter of its own. Both are the two sides of one
#    thing, the denser grid has to lead: to leave no place empty when enlarging, to leave no sample out when reducing.
# 2. Each warp interpolates, and bilinear interpolation is a low-pass: 36 of them blur the photo visibly, and what was
#    once turned out of the frame is lost (only a disc about the middle survives). The product of the 36 matrices is
#    the identity, up to rounding: one warp gives back the photo, corners and all, in a 36th of the time. So compose
#    the *transforms*, and resample once.
# 3. $A = 1$, so $\sigma = 0$: nothing is blurred. Along $x$ the picture shrinks four times and aliases; along $y$ it
#    grows and needs no blur. The area hides this, the two effects cancel in the determinant. One has to look at the
#    singular values of $J$ (or of the inverse map: 4 and ¼, with their directions), and blur along the direction in
#    which the picture shrinks, by an ellipse instead of a disc.
