# %% [markdown]
# # Exercise 02 — Derivatives, gradients and Canny edges
#
# This notebook examines [lecture 02](../02_edges.ipynb). You write a complete edge detector, one stage at a time:
# derivatives, magnitude and direction, thinning, linking, the whole of Canny, and at the end a judge that tells how
# good its drawing is.
#
# **How the checks work.** After each function, `check("q1")` runs it on small images whose answer is known and prints
# what holds, what does not and why, and your points. It may be run as often as you like, and it names the common
# mistakes.
#
# Write everything with NumPy alone: `scipy`, `skimage`, `cv2` and `cvcourse.edges` are not allowed in an answer.
#
# | question | about | points |
# |---|---|---|
# | 1 | the gradient by Sobel | 4 |
# | 2 | magnitude and direction | 3 |
# | 3 | non-maximum suppression | 5 |
# | 4 | hysteresis | 5 |
# | 5 | Canny, stage by stage | 5 |
# | 6 | thresholds for a given precision | 4 |
# | 7 | in words: smoothing and thresholds | 2 |

# %%
import matplotlib.pyplot as plt
import numpy as np

from cvcourse import checks, controls, figures, filtering, images, scenes

check = checks.exercise("02_edges")

# %% [markdown]
# **Conventions.** `image[row, col]` is the brightness at x = col, y = row; x points right and y points **down**.
# Derivatives are in brightness per pixel, angles in radians from +x towards +y. So an angle of +π/2 points down the
# page.

# %% [markdown]
# ## Question 1 — the gradient (4 points)
#
# Sobel's operator takes the central difference in one direction and smooths with the weights 1, 2, 1 in the other:
#
# $$I_x = \frac18 \begin{bmatrix} -1 & 0 & 1 \\ -2 & 0 & 2 \\ -1 & 0 & 1 \end{bmatrix} \otimes I, \qquad
#   I_y = \frac18 \begin{bmatrix} -1 & -2 & -1 \\ 0 & 0 & 0 \\ 1 & 2 & 1 \end{bmatrix} \otimes I ,$$
#
# where ⊗ lays the matrix on the image as it is written here (correlation, no turn). The factor is such that the ramp
# $a\,x + b\,y$ has the gradient $(a, b)$ exactly. Beyond the border the image is mirrored, its outermost pixels
# repeated: `np.pad(..., mode="symmetric")`. The picture may come as bytes (`uint8`).
#
# Not allowed here: `cvcourse.filtering` too.


# %% tags=["stub"]
def sobel_gradient(image):
    """Derivatives of an image by Sobel's operator, divided by 8.

    image : (H, W) array of floats or of integers such as uint8; it is not changed.
    Returns Ix, Iy : two (H, W) arrays of float64, brightness per pixel; Ix > 0 where it grows brighter
    to the right, Iy > 0 where it grows brighter downwards.  Border: mirrored, outermost pixels repeated.
    """
    raise NotImplementedError


# %% tags=["solution"]
def sobel_gradient(image):
    """Derivatives of an image by Sobel's operator, divided by 8.

    image : (H, W) array of floats or of integers such as uint8; it is not changed.
    Returns Ix, Iy : two (H, W) arrays of float64, brightness per pixel; Ix > 0 where it grows brighter
    to the right, Iy > 0 where it grows brighter downwards.  Border: mirrored, outermost pixels repeated.
    """
    padded = np.pad(np.asarray(image, dtype=np.float64), 1, mode="symmetric")
    columns = (padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4  # smoothed along y
    rows = (padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]) / 4  # smoothed along x
    return (columns[:, 2:] - columns[:, :-2]) / 2, (rows[2:] - rows[:-2]) / 2


# %%
check("q1")

# %% [markdown]
# The two derivatives give the slope in every other direction as well: $\cos\alpha\; I_x + \sin\alpha\; I_y$. The next
# cell shows it on a part of a photograph, red where the brightness grows in the direction α and blue where it falls.


# %%
def show_slope(angle_deg=0):
    """A photograph, and its slope in one direction."""
    image = images.load("camera")[140:280, 210:370]
    Ix, Iy = sobel_gradient(image)
    angle = np.radians(angle_deg)
    slope = np.cos(angle) * Ix + np.sin(angle) * Iy
    fig, (left, right) = plt.subplots(1, 2, figsize=(8, 3.7))
    figures.show_image(left, image, "image $I$")
    figures.show_field(right, slope, rf"slope at $\alpha$ = {angle_deg:g}°, −0.25 … 0.25 per pixel", limit=0.25)
    return fig


# %% [markdown]
# Before you move it: at which angle does the far rim of the lawn vanish, and at which the upright leg of the tripod?

# %%
controls.explore(show_slope, angle_deg=controls.IntSlider(0, min=0, max=360, step=15, description="angle α (°)"))

# %% [markdown]
# **What to look for.** An edge vanishes where α runs along it: the rim of the lawn at 0° and 180°, the leg of the
# tripod at 90° and 270°. Half a turn changes the sign of every slope and nothing else: red and blue change places.

# %% [markdown]
# ## Question 2 — magnitude and direction (3 points)
#
# Turn the two derivatives into a length and an angle:
#
# $$m = \sqrt{I_x^2 + I_y^2}, \qquad \theta = \operatorname{atan2}(I_y, I_x) \in [-\pi, \pi] .$$
#
# A common slip is $\tan^{-1}(I_y / I_x)$, which knows neither the quadrant nor what to do where $I_x = 0$. The
# derivatives may come as integers of 16 bits, whose squares do not fit into 16 bits. Where there is no gradient, both
# results are 0.


# %% tags=["stub"]
def polar(Ix, Iy):
    """Length and direction of the gradient.

    Ix, Iy : (H, W) arrays of floats or integers.
    Returns magnitude, direction : two (H, W) arrays of floats; direction in radians from -pi to pi, from
    +x towards +y, and 0 where the gradient is zero.  No NaN.
    """
    raise NotImplementedError


# %% tags=["solution"]
def polar(Ix, Iy):
    """Length and direction of the gradient.

    Ix, Iy : (H, W) arrays of floats or integers.
    Returns magnitude, direction : two (H, W) arrays of floats; direction in radians from -pi to pi, from
    +x towards +y, and 0 where the gradient is zero.  No NaN.
    """
    Ix, Iy = np.asarray(Ix, dtype=np.float64), np.asarray(Iy, dtype=np.float64)
    return np.hypot(Ix, Iy), np.arctan2(Iy, Ix)


# %%
check("q2")

# %% [markdown]
# A disc has edges of all directions, so it tests an angle best. Below, the hue tells the direction and the brightness
# the magnitude.


# %%
def show_direction(scene="bright disc", gain=8.0):
    """Direction as hue, magnitude as brightness."""
    disc = scenes.disc((180, 260), radius=60, blur=2, low=0.2, high=0.8)
    image = {"bright disc": disc, "dark disc": 1 - disc, "coins": images.load("coins")[50:230, 60:320]}[scene]
    magnitude, direction = polar(*sobel_gradient(filtering.gaussian(image, 1.0)))
    hue = plt.get_cmap("hsv")(np.mod(direction / (2 * np.pi), 1))[..., :3]
    coloured = hue * np.clip(gain * magnitude, 0, 1)[..., None]
    fig, axes = plt.subplots(1, 3, figsize=(8, 2.6), width_ratios=[4, 4, 2.4])
    figures.show_image(axes[0], image, scene)
    figures.show_image(axes[1], coloured, f"direction, times {gain:g} magnitude")
    y, x = np.mgrid[-1:1:61j, -1:1:61j]
    wheel = plt.get_cmap("hsv")(np.mod(np.arctan2(y, x) / (2 * np.pi), 1))
    wheel[np.hypot(x, y) > 1] = 1
    axes[2].imshow(wheel)
    axes[2].set_title("the gradient points …")
    axes[2].axis("off")
    return fig


# %% [markdown]
# Which colour must the right side of a bright disc have, where the brightness falls to the right? And of a dark one?

# %%
controls.explore(
    show_direction,
    scene=controls.ToggleButtons(options=["bright disc", "dark disc", "coins"], value="bright disc"),
    gain=controls.FloatSlider(8.0, min=1, max=20, step=1),
)

# %% [markdown]
# **What to look for.** Round the disc the hue runs once through the whole wheel, without a jump. On the bright disc
# the gradient points to the middle, so its right side has the colour of "left" (cyan); on the dark disc every colour
# is replaced by its opposite. Had you folded the angle to half a turn, opposite sides would look the same.

# %% [markdown]
# ## Question 3 — non-maximum suppression (5 points)
#
# An edge is a ridge of the magnitude $m$, several pixels wide. Keep a pixel only if it is a maximum **across the
# edge**, that is, along the gradient. The gradient seldom points exactly at a neighbour, so interpolate: walk from the
# pixel along $(I_x, I_y)$ until you meet the square through the eight neighbours. There you lie between a *straight*
# neighbour (left, right, above or below) and a *diagonal* one:
#
# $$t = \frac{\min(|I_x|, |I_y|)}{\max(|I_x|, |I_y|)}, \qquad
#   m_\text{ahead} = (1 - t)\, m_\text{straight} + t\, m_\text{diagonal} ,$$
#
# and in the same way $m_\text{behind}$ on the opposite side. For $I_x = 4$, $I_y = 1$ the straight neighbour is the
# right one, the diagonal one the lower right one, and $t = 1/4$. The rule is strict on one side only,
#
# $$\text{keep if}\quad m > m_\text{ahead} \ \text{ and }\ m \ge m_\text{behind} ,$$
#
# so that of two equal pixels side by side exactly one survives. The outermost frame of the result is 0, and so is
# every pixel with $I_x = I_y = 0$.


# %% tags=["stub"]
def thin(magnitude, Ix, Iy):
    """Keep the magnitude where it is a maximum along the gradient, 0 elsewhere.

    magnitude, Ix, Iy : (H, W) arrays of floats, H and W at least 3; none of them is changed.
    Returns an (H, W) array: the magnitude of the pixels that pass  m > ahead and m >= behind, with both
    neighbours interpolated; 0 for all others, for the outermost frame and where Ix = Iy = 0.  No NaN.
    """
    raise NotImplementedError


# %% tags=["solution"]
def thin(magnitude, Ix, Iy):
    """Keep the magnitude where it is a maximum along the gradient, 0 elsewhere.

    magnitude, Ix, Iy : (H, W) arrays of floats, H and W at least 3; none of them is changed.
    Returns an (H, W) array: the magnitude of the pixels that pass  m > ahead and m >= behind, with both
    neighbours interpolated; 0 for all others, for the outermost frame and where Ix = Iy = 0.  No NaN.
    """
    h, w = magnitude.shape
    y, x = np.mgrid[1 : h - 1, 1 : w - 1]
    m, Ix, Iy = magnitude[1:-1, 1:-1], Ix[1:-1, 1:-1], Iy[1:-1, 1:-1]
    sx, sy = np.where(Ix > 0, 1, -1), np.where(Iy > 0, 1, -1)
    steep = np.abs(Iy) > np.abs(Ix)
    u, v = np.where(steep, 0, sx), np.where(steep, sy, 0)  # the step to the straight neighbour
    longest = np.maximum(np.abs(Ix), np.abs(Iy))
    t = np.minimum(np.abs(Ix), np.abs(Iy)) / np.where(longest > 0, longest, 1)
    ahead = (1 - t) * magnitude[y + v, x + u] + t * magnitude[y + sy, x + sx]
    behind = (1 - t) * magnitude[y - v, x - u] + t * magnitude[y - sy, x - sx]
    thinned = np.zeros(magnitude.shape)
    thinned[1:-1, 1:-1] = np.where((m > ahead) & (m >= behind) & (longest > 0), m, 0)
    return thinned


# %%
check("q3")

# %% [markdown]
# On a photograph the ridges are as wide as the blur, and the thinned lines are one pixel wide whatever the blur.


# %%
def show_thinning(sigma=2.0):
    """Magnitude before and after thinning; both brightened by the same factor."""
    image = filtering.gaussian(images.load("coins")[20:130, 30:190], sigma)
    Ix, Iy = sobel_gradient(image)
    magnitude, _ = polar(Ix, Iy)
    thinned = thin(magnitude, Ix, Iy)
    limits = (0, 0.9 * magnitude.max())
    fig, (left, right) = plt.subplots(1, 2, figsize=(8, 3.1))
    figures.show_image(left, magnitude, rf"magnitude, $\sigma$ = {sigma:g} px", limits)
    figures.show_image(right, thinned, f"thinned: {np.mean(thinned > 0):.0%} of the pixels", limits)
    return fig


# %% [markdown]
# What grows as σ gets small: the width of the lines, or their number?

# %%
controls.explore(show_thinning, sigma=controls.FloatSlider(2.0, min=0, max=5, step=0.5, description="sigma (px)"))

# %% [markdown]
# **What to look for.** Thinning makes lines narrow, not few: every little maximum of noise survives, faintly. The
# smaller σ, the more of them. To throw them out, and nothing else, is the task of the next stage.

# %% [markdown]
# ## Question 4 — hysteresis (5 points)
#
# One threshold cannot serve: a high one tears the edges to pieces, a low one lets the noise in. Use two. Pixels with
# value ≥ `high` are *strong*, those with value ≥ `low` are *weak*. An edge is every strong pixel, and every weak pixel
# that is linked to a strong one **through a chain of weak pixels**, each touching the next at a side or at a corner (8
# neighbours). The chain may be thousands of pixels long; a function that calls itself for each of them will not do.
#
# Always `0 < low <= high`. `scipy.ndimage.label` would do the work, and is not allowed.


# %% tags=["stub"]
def hysteresis(thinned, low, high):
    """Link weak pixels to strong ones.

    thinned : (H, W) array of floats >= 0; it is not changed.
    low, high : thresholds, 0 < low <= high; a pixel equal to a threshold has reached it.
    Returns an (H, W) array of bool: True for the pixels >= low that hang together with a pixel >= high
    through pixels >= low; each pixel has 8 neighbours, nothing lies beyond the border.
    """
    raise NotImplementedError


# %% tags=["solution"]
def hysteresis(thinned, low, high):
    """Link weak pixels to strong ones.

    thinned : (H, W) array of floats >= 0; it is not changed.
    low, high : thresholds, 0 < low <= high; a pixel equal to a threshold has reached it.
    Returns an (H, W) array of bool: True for the pixels >= low that hang together with a pixel >= high
    through pixels >= low; each pixel has 8 neighbours, nothing lies beyond the border.
    """
    h, w = thinned.shape
    weak = (thinned >= low).tolist()  # lists: single entries are read much faster than an array's
    edges = thinned >= high
    waiting = np.argwhere(edges).tolist()
    for y, x in waiting:
        weak[y][x] = False  # not to be visited again
    while waiting:
        y, x = waiting.pop()
        for v in range(max(y - 1, 0), min(y + 2, h)):
            for u in range(max(x - 1, 0), min(x + 2, w)):
                if weak[v][u]:
                    weak[v][u] = False
                    edges[v, u] = True
                    waiting.append([v, u])
    return edges


# %%
check("q4")

# %% [markdown]
# Three colours show what the linking does: orange pixels are strong, blue ones are weak and linked, gray ones are weak
# and dropped.


# %%
def show_hysteresis(low=0.02, high=0.07):
    """Strong, linked and dropped pixels on coins; a low above high counts as high."""
    low = min(low, high)
    image = filtering.gaussian(images.load("coins")[20:130, 30:190], 1.5)
    Ix, Iy = sobel_gradient(image)
    thinned = thin(polar(Ix, Iy)[0], Ix, Iy)
    edges = hysteresis(thinned, low, high)
    coloured = np.ones((*image.shape, 3))
    coloured[thinned >= low] = 0.75
    coloured[edges] = plt.matplotlib.colors.to_rgb(figures.COLORS["blue"])
    coloured[thinned >= high] = plt.matplotlib.colors.to_rgb(figures.COLORS["orange"])
    strong, dropped = np.sum(thinned >= high), np.sum((thinned >= low) & ~edges)
    fig, (left, right) = plt.subplots(1, 2, figsize=(8, 3.1))
    figures.show_image(left, image, r"smoothed, $\sigma$ = 1.5 px")
    figures.show_image(right, coloured, f"strong {strong}, linked {np.sum(edges) - strong}, dropped {dropped}")
    return fig


# %% [markdown]
# Put `high` at the value where the false edges inside the coins are just gone. How far can `low` then go down before
# they come back?

# %%
controls.explore(
    show_hysteresis,
    low=controls.FloatSlider(0.02, min=0.005, max=0.1, step=0.005, readout_format=".3f"),
    high=controls.FloatSlider(0.07, min=0.01, max=0.2, step=0.005, readout_format=".3f"),
)

# %% [markdown]
# **What to look for.** `high` decides *which* edges there are, `low` how *complete* they are. Gray pixels show what a
# single threshold at `low` would have let in; the blue ones are what a single threshold at `high` would have lost.

# %% [markdown]
# ## Question 5 — Canny, stage by stage (5 points)
#
# Now put your functions together, and keep what each stage gives:
#
# 1. `"smoothed"`: the image smoothed by a Gaussian of standard deviation σ (the function `smooth` in the next cell is
# given),
# 2. `"Ix"`, `"Iy"`, `"magnitude"`: the gradient of the smoothed image,
# 3. `"thinned"`: non-maximum suppression,
# 4. `"edges"`: hysteresis with `low` and `high`, both in brightness per pixel (not shares of the largest magnitude).
#
# Each stage is judged from *your* stage before it, so a mistake costs its own points only.


# %%
def smooth(image, sigma):
    """Smooth an image by a Gaussian of standard deviation sigma, in pixels; its border is mirrored."""
    return filtering.gaussian(image, sigma)


# %% [markdown]
# Your functions of questions 1 to 4 may be used as they are.


# %% tags=["stub"]
def canny_stages(image, sigma, low, high):
    """Find edges after Canny, and keep every stage.

    image : (H, W) array of floats.  sigma : standard deviation of the smoothing, pixels.
    low, high : thresholds of the hysteresis, in brightness per pixel.
    Returns a dict of (H, W) arrays: "smoothed", "Ix", "Iy", "magnitude", "thinned" (floats), "edges" (bool).
    """
    raise NotImplementedError


# %% tags=["solution"]
def canny_stages(image, sigma, low, high):
    """Find edges after Canny, and keep every stage.

    image : (H, W) array of floats.  sigma : standard deviation of the smoothing, pixels.
    low, high : thresholds of the hysteresis, in brightness per pixel.
    Returns a dict of (H, W) arrays: "smoothed", "Ix", "Iy", "magnitude", "thinned" (floats), "edges" (bool).
    """
    smoothed = smooth(image, sigma)
    Ix, Iy = sobel_gradient(smoothed)
    magnitude, _ = polar(Ix, Iy)
    thinned = thin(magnitude, Ix, Iy)
    edges = hysteresis(thinned, low, high)
    return {"smoothed": smoothed, "Ix": Ix, "Iy": Iy, "magnitude": magnitude, "thinned": thinned, "edges": edges}


# %%
check("q5")

# %% [markdown]
# Your detector on a building. Derivatives are drawn around mid-gray, the magnitudes from black (0) to white (0.25 per
# pixel).


# %%
def show_canny(stage="edges", sigma=1.5, low=0.02, high=0.05):
    """One stage of Canny beside the photograph; a low above high counts as high."""
    image = images.as_gray(images.load("building"))[250:440, 330:520]
    shown = canny_stages(image, sigma, min(low, high), high)[stage].astype(float)
    if stage in ("Ix", "Iy"):
        shown = 0.5 + 2 * shown
    if stage in ("magnitude", "thinned"):
        shown = 4 * shown
    return figures.enlarge(np.clip(figures.side_by_side(image, shown, gap=4), 0, 1), 2)


# %% [markdown]
# Which σ and thresholds draw the building as you would draw it yourself? Look at the stages on the way.

# %%
controls.explore(
    show_canny,
    stage=controls.Dropdown(options=["smoothed", "Ix", "Iy", "magnitude", "thinned", "edges"], value="edges"),
    sigma=controls.FloatSlider(1.5, min=0.5, max=6, step=0.5, description="sigma (px)"),
    low=controls.FloatSlider(0.02, min=0.005, max=0.1, step=0.005, readout_format=".3f"),
    high=controls.FloatSlider(0.05, min=0.01, max=0.2, step=0.005, readout_format=".3f"),
)

# %% [markdown]
# **What to look for.** Raise σ and leave the thresholds alone: fine lines go first, but soon strong edges fall to
# pieces as well. That is the subject of question 7.

# %% [markdown]
# ## Question 6 — thresholds for a given precision (4 points)
#
# How good is an edge map? If a drawing of the true edges is known, two numbers tell:
#
# - **precision**: of the pixels *found*, the share that has a drawn pixel within a distance `tolerance`,
# - **recall**: of the pixels *drawn*, the share that has a found pixel within that distance.
#
# The distance of two pixels is $\sqrt{\Delta x^2 + \Delta y^2}$, and one equal to the tolerance counts. With nothing
# found, nothing claimed is wrong: precision 1. With nothing drawn, nothing is missed: recall 1. Write the two numbers
# first (2 points).


# %% tags=["stub"]
def precision_recall(edges, drawing, tolerance):
    """Compare an edge map with a drawing.

    edges, drawing : (H, W) arrays of bool.  tolerance : largest distance that counts, in pixels, >= 0.
    Returns precision, recall : two floats from 0 to 1; precision = 1 if edges is empty, recall = 1 if
    drawing is empty.
    """
    raise NotImplementedError


# %% tags=["solution"]
def precision_recall(edges, drawing, tolerance):
    """Compare an edge map with a drawing.

    edges, drawing : (H, W) arrays of bool.  tolerance : largest distance that counts, in pixels, >= 0.
    Returns precision, recall : two floats from 0 to 1; precision = 1 if edges is empty, recall = 1 if
    drawing is empty.
    """

    def share_near(these, those):
        """The share of `these` pixels with one of `those` within the tolerance."""
        r, (h, w) = int(tolerance), those.shape
        padded, near = np.pad(those, r), np.zeros(those.shape, dtype=bool)
        for dy in range(-r, r + 1):
            for dx in range(-r, r + 1):
                if dx**2 + dy**2 <= tolerance**2:
                    near |= padded[r + dy : r + dy + h, r + dx : r + dx + w]
        return np.sum(these & near) / np.sum(these) if these.any() else 1.0

    return share_near(edges, drawing), share_near(drawing, edges)


# %% [markdown]
# Now let the computer turn the two knobs (2 points). Of all pairs `low <= high` from a list of levels, choose one
# whose edge map, by your `hysteresis`, has at least the precision asked for, and of these one with the **largest
# recall**. If several are equally good, any of them will do; at least one pair always reaches the precision.


# %% tags=["stub"]
def pick_thresholds(thinned, drawing, levels, tolerance, precision):
    """Choose the two thresholds of the hysteresis by a known drawing.

    thinned : (H, W) array of floats.  drawing : (H, W) array of bool.
    levels : list of thresholds, ascending.  tolerance : in pixels, as in precision_recall.
    precision : the least precision that is good enough.
    Returns low, high : two of the levels, low <= high, with the largest recall among the pairs of at
    least that precision.
    """
    raise NotImplementedError


# %% tags=["solution"]
def pick_thresholds(thinned, drawing, levels, tolerance, precision):
    """Choose the two thresholds of the hysteresis by a known drawing.

    thinned : (H, W) array of floats.  drawing : (H, W) array of bool.
    levels : list of thresholds, ascending.  tolerance : in pixels, as in precision_recall.
    precision : the least precision that is good enough.
    Returns low, high : two of the levels, low <= high, with the largest recall among the pairs of at
    least that precision.
    """
    best, chosen = -1.0, None
    for i, low in enumerate(levels):
        for high in levels[i:]:
            found_precision, recall = precision_recall(hysteresis(thinned, low, high), drawing, tolerance)
            if found_precision >= precision and recall > best:
                best, chosen = recall, (low, high)
    return chosen


# %%
check("q6")

# %% [markdown]
# A scene whose edges are known to a fraction of a pixel: a disc, a triangle and a faint bar, with noise. What the
# drawing asks for are the pixels that an outline passes through.


# %%
def drawn_scene(noise):
    """A noisy scene of three shapes, and the drawing of their outlines."""
    shape = (110, 150)
    shapes = [
        scenes.disc(shape, radius=24, center=(38.3, 60.7)),
        scenes.polygon(shape, [(75, 92), (97, 20), (132, 84)]),
        scenes.polygon(shape, [(20, 12), (70, 8), (71, 20), (21, 24)]),
    ]
    image = 0.3 + sum(contrast * part for contrast, part in zip([0.3, 0.4, 0.13], shapes, strict=True))
    drawing = np.any([(part > 0) & (part < 1) for part in shapes], axis=0)
    return scenes.add_gaussian_noise(image, noise, 2), drawing


# %% [markdown]
# The figure shows the scene, the edges at the thresholds that you pick, and every pair of levels as a point in the
# plane of the two numbers. The gray squares are the pairs with `low = high`, which do without hysteresis; the red line
# is the precision asked for.


# %%
def show_choice(precision=0.9, noise=0.15):
    """The pair chosen for a precision, and all pairs in the plane of precision and recall."""
    image, drawing = drawn_scene(noise)
    thinned = canny_stages(image, 1.5, 0.01, 0.01)["thinned"]
    levels = [round(0.01 * k, 3) for k in range(1, 13)]
    low, high = pick_thresholds(thinned, drawing, levels, 1.5, precision)
    edges = hysteresis(thinned, low, high)
    pairs = [(a, b) for a in levels for b in levels if a <= b]
    points = np.array([precision_recall(hysteresis(thinned, a, b), drawing, 1.5) for a, b in pairs])
    single = points[[a == b for a, b in pairs]]
    fig, axes = plt.subplots(1, 3, figsize=(8, 2.9), width_ratios=[4, 4, 3])
    figures.show_image(axes[0], image, f"noise {noise:g}")
    found = precision_recall(edges, drawing, 1.5)
    title = f"low {low:g}, high {high:g}: precision {found[0]:.2f}, recall {found[1]:.2f}"
    figures.show_image(axes[1], ~edges, title.replace(": ", "\n"))
    axes[2].plot(points[:, 1], points[:, 0], ".", color=figures.COLORS["blue"])
    axes[2].plot(single[:, 1], single[:, 0], "s--", color="gray", ms=4, lw=1)
    axes[2].axhline(precision, color=figures.COLORS["red"], lw=1)
    axes[2].plot(found[1], found[0], "o", color=figures.COLORS["red"])
    alone = max(recall for good, recall in single if good >= precision)
    axes[2].set(
        xlabel="recall", ylabel="precision", xlim=(0, 1.05), ylim=(0, 1.05), title=f"one threshold:\nrecall {alone:.2f}"
    )
    return fig


# %% [markdown]
# How much recall must you give up to raise the precision from 0.9 to 1? And how much would one threshold alone reach?

# %%
controls.explore(
    show_choice,
    precision=controls.FloatSlider(0.9, min=0.3, max=1, step=0.05),
    noise=controls.FloatSlider(0.15, min=0, max=0.25, step=0.05),
)

# %% [markdown]
# **What to look for.** At noise 0.15 and precision 0.9, two thresholds find 98 % of the drawing, one threshold 90 %:
# on the red line the blue points reach further right than the gray ones. A precision of 1 costs dearly, the recall
# falls to 0.68, and there a single threshold does as well. With more noise the whole cloud moves down and to the left,
# and the faint bar is the first shape to be lost.

# %% [markdown]
# ## Question 7 — in words: smoothing and thresholds (2 points)
#
# A detector finds a sharp step edge reliably at σ = 1.5 with `low` = 0.02 and `high` = 0.05. You raise σ to 3 because
# of noise.
#
# 1. By which factor does the peak of the gradient magnitude at the step change, and so by which factor must the
# thresholds?
# 2. By which factor does the noise in the gradient change? Is anything gained then, and what does it cost?
#
# Give the reasons, not only the numbers.

# %% [markdown] tags=["stub", "text:q7"]
# **Answer q7:** (write here)

# %% [markdown] tags=["solution", "text:q7"]
# **Answer q7:** The derivative of a step of height $h$ smoothed by a Gaussian is the Gaussian itself, $h\, g_\sigma$,
# with the peak $h / (\sqrt{2\pi}\,\sigma)$. Doubling σ halves it: the same rise is spread over twice the width. So
# both thresholds must be halved, to 0.01 and 0.025, to find the same steps. White noise of standard deviation
# $\sigma_n$ leaves the derivative of the Gaussian with $\sigma_n / (\sqrt{8\pi}\,\sigma^2)$: doubling σ divides it by
# four. The ratio of edge to noise therefore grows in proportion to σ, here twofold, so fewer false edges pass the
# halved thresholds. The price is localisation: lines closer together than about 2σ melt into one, corners are rounded
# and curved edges drift to the inside of their curve. (Sobel smooths a little too, so the measured factors are 1.85
# and 3.6.)
