# %% [markdown]
# # Exercise 18 — Photometric stereo
#
# Twelve pictures of a rabbit, twelve lamps: you find its normals and its paint, leave the shadows out, turn normals
# into depth, choose the best lamps, and write a detector for pixels at which Lambert's law does not hold. It goes with
# [lecture 18](../18_photometric_stereo.ipynb).
#
# | question | what it examines | points |
# |---|---|---|
# | 1 | normals and albedo by least squares | 6 |
# | 2 | shadows, and the albedo of each colour | 7 |
# | 3 | slopes, and depth inside a mask | 8 |
# | 4 | which three lamps | 5 |
# | 5 | open: where does the law fail? | 5 |
# | 6 | in words (marked by hand) | 4 |
#
# **How it works.** Replace `raise NotImplementedError` in each function and run `check("q1")` below it, as often as
# you like: it says what holds, what does not, and which common slip it looks like. The same checks give the points,
# on other random numbers.
#
# **Rules.** All of NumPy is allowed. The course's other modules, SciPy, scikit-image, OpenCV, Pillow and PyTorch are
# not. A function leaves its arguments as they are. The later questions may use the earlier ones, and the figures do.
# Until a function is written, the cells that draw with it stop with `NotImplementedError`; that is meant.

# %%
import itertools

import matplotlib.pyplot as plt
import numpy as np

from cvcourse import checks, controls, figures, images

check = checks.exercise("18_photometric_stereo")
rig, truth = images.load("photometric/lights"), images.load("photometric/gt")
FLIP = np.array([1, -1, 1])  # the files have y up
LAMPS = np.array(rig["lights_toward"]) * FLIP * np.array(rig["light_intensity"])[:, None]
matte, glossy = (
    np.stack([images.load(f"photometric/bunny_{k}_{j:02d}") for j in range(12)]) for k in ("matte", "glossy")
)
MATTE, GLOSSY = (pictures[:, 16:240:3, 12:240:3] for pictures in (matte, glossy))
MASK, NORMALS = truth["mask"][16:240:3, 12:240:3], (truth["normals"] * FLIP)[16:240:3, 12:240:3]
HEIGHT = truth["depth"].astype(float)[16:240:3, 12:240:3] * 128 / 3
print(f"{len(MATTE)} pictures of {MATTE.shape[1:]} pixels, the rabbit on {MASK.sum()} of them")

# %% [markdown]
# The pictures were rendered with cast shadows and light that bounces, with noise, and stored in 8 bits, without gamma.
# Every third pixel will do for us.
#
# **Conventions.** In all vectors $x$ points right, $y$ **down** and $z$ **towards the camera**: what is seen has
# $n_z > 0$, and the height $z$ grows towards you. A **lamp** is one vector $\mathbf l_k$: it points *towards* the
# lamp, and its **length is the lamp's strength**. Lamps are the rows of an array (K, 3), pictures are (K, H, W). A lit
# point of a matte surface with unit normal $\mathbf n$ and albedo $\rho$ has the brightness
#
# $$I_k = \rho\;\mathbf l_k \cdot \mathbf n. \tag{1}$$
#
# ## Question 1 — normals and albedo (6 points)
#
# Let $K \ge 3$ lamps be given that do not lie in one plane. Find, at every pixel, the $\mathbf g = \rho\,\mathbf n$ with
#
# $$\sum_k \bigl(I_k - \mathbf l_k \cdot \mathbf g\bigr)^2 \to \min, \tag{2}$$
#
# and from it the unit normal and the albedo. Where all is black, both are 0.


# %% tags=["stub"]
def fit(pictures, lamps):
    """Find normals and albedo by least squares, Eq. (2).

    pictures: (K, H, W) floats; lamps: (K, 3), K >= 3, their lengths are their strengths.
    Returns a tuple (normals, albedo): (H, W, 3) unit vectors and (H, W); 0 where all pictures are 0.
    """
    raise NotImplementedError


# %% tags=["solution"]
def fit(pictures, lamps):
    """Find normals and albedo by least squares, Eq. (2).

    pictures: (K, H, W) floats; lamps: (K, 3), K >= 3, their lengths are their strengths.
    Returns a tuple (normals, albedo): (H, W, 3) unit vectors and (H, W); 0 where all pictures are 0.
    """
    g = np.moveaxis(np.tensordot(np.linalg.pinv(lamps), pictures, axes=1), 0, -1)
    albedo = np.linalg.norm(g, axis=-1)
    return g / np.where(albedo > 0, albedo, 1)[..., None], albedo


# %%
check("q1")

# %% [markdown]
# The rabbit from a handful of its lamps, numbered from 0. Which three with numbers in a row are bad, and does a
# twelfth lamp still help?


# %%
def angles(normals):
    """Degrees between normals and the truth, on the rabbit."""
    cosine = np.clip((normals * NORMALS).sum(axis=-1), -1, 1)
    return np.where(MASK, np.rad2deg(np.arccos(cosine)), 0)


def show_fit(first=0, count=4, subject="matte"):
    """Normals, albedo and error from some of the lamps."""
    chosen = [(first + k) % 12 for k in range(count)]
    normals, albedo = fit((MATTE if subject == "matte" else GLOSSY)[chosen], LAMPS[chosen])
    error = angles(normals)
    fig, axes = plt.subplots(1, 3, figsize=(8, 3.0))
    figures.show_image(axes[0], np.where(MASK[..., None], np.clip((normals + 1) / 2, 0, 1), 1), "your normals")
    figures.show_image(axes[1], np.where(MASK, albedo, 1), "your albedo")
    figures.show_image(axes[2], error, f"error, 0 to 20°; mean {error[MASK].mean():.1f}°", (0, 20))
    return fig


controls.explore(
    show_fit,
    first=controls.IntSlider(0, min=0, max=11, description="first lamp"),
    count=controls.IntSlider(4, min=3, max=12, description="lamps"),
    subject=controls.Dropdown(options=["matte", "glossy"]),
)

# %% [markdown]
# **Look for** the mean error: 17° from lamps 9 to 11, whose directions lie nearly in one plane, 4.0° from all twelve,
# and about the same from eleven. What is left lies along the back, the ears and in the pleats: every picture in which
# such a pixel lies in shadow gives it a 0 that means nothing. On the glossy rabbit the highlights are painted into the
# albedo, and even with twelve lamps 7.8° remain.
#
# ## Question 2 — shadows and colours (7 points)
#
# A mask $m_k \in \{0, 1\}$ tells where lamp $k$ really reaches. Use those values alone, at each pixel its own:
#
# $$\sum_k m_k \bigl(I_k - \mathbf l_k \cdot \mathbf g\bigr)^2 \to \min. \tag{3}$$
#
# Where fewer than three lamps reach, or only lamps in one plane (the smallest singular value of their rows is below
# $10^{-6}$ times the largest), there is no answer: the pixel is not *solved*, and normal and albedo are 0. What a
# picture holds in its shadows is unknown: it may be 0, or some light from elsewhere.


# %% tags=["stub"]
def fit_lit(pictures, lamps, lit):
    """Find normals and albedo from the lit values alone, Eq. (3).

    pictures: (K, H, W) floats; lamps: (K, 3), their lengths are their strengths; lit: (K, H, W) bools.
    Returns a tuple (normals, albedo, solved): (H, W, 3), (H, W) and (H, W) bools; 0 where not solved or black.
    """
    raise NotImplementedError


# %% tags=["solution"]
def fit_lit(pictures, lamps, lit):
    """Find normals and albedo from the lit values alone, Eq. (3).

    pictures: (K, H, W) floats; lamps: (K, 3), their lengths are their strengths; lit: (K, H, W) bools.
    Returns a tuple (normals, albedo, solved): (H, W, 3), (H, W) and (H, W) bools; 0 where not solved or black.
    """
    g, solved = np.zeros((*lit.shape[1:], 3)), np.zeros(lit.shape[1:], dtype=bool)
    for p in np.ndindex(solved.shape):
        mine = lit[:, *p]
        s = np.linalg.svd(lamps[mine], compute_uv=False)
        if len(s) == 3 and s[2] >= 1e-6 * s[0]:
            solved[p] = True
            g[p] = np.linalg.lstsq(lamps[mine], pictures[mine, *p])[0]
    albedo = np.linalg.norm(g, axis=-1)
    return g / np.where(albedo > 0, albedo, 1)[..., None], albedo, solved


# %% [markdown]
# A coloured rabbit has one normal and three albedos at a pixel. With the normals known, each channel is a fit of *one*
# unknown. **Derive** the $\rho_c$ that minimises
#
# $$\sum_k m_k \bigl(I_{k,c} - \rho_c\,s_k\bigr)^2, \qquad s_k = \max(0,\ \mathbf l_k \cdot \mathbf n). \tag{4}$$


# %% tags=["stub"]
def channel_albedo(pictures, lamps, normals, lit):
    """Find the albedo of each colour channel for known normals, Eq. (4).

    pictures: (K, H, W, 3) floats; lamps: (K, 3); normals: (H, W, 3) unit vectors; lit: (K, H, W) bools.
    Returns (H, W, 3); 0 where no lamp reaches.
    """
    raise NotImplementedError


# %% tags=["solution"]
def channel_albedo(pictures, lamps, normals, lit):
    """Find the albedo of each colour channel for known normals, Eq. (4).

    pictures: (K, H, W, 3) floats; lamps: (K, 3); normals: (H, W, 3) unit vectors; lit: (K, H, W) bools.
    Returns (H, W, 3); 0 where no lamp reaches.
    """
    s = np.where(lit, np.maximum(np.moveaxis(normals @ lamps.T, -1, 0), 0), 0)
    total = np.sum(s**2, axis=0)
    return np.sum(s[..., None] * pictures, axis=0) / np.where(total > 0, total, np.inf)[..., None]


# %%
check("q2")

# %% [markdown]
# We dye the rabbit: your `fit_lit` finds the normals from the gray pictures, your `channel_albedo` the paint from the
# coloured ones. A value counts as lit if it is brighter than a threshold. Where is the best threshold, and what goes
# wrong on either side of it?


# %%
DYE = np.stack(
    [0.9 - 0.5 * MASK * (np.arange(76) > 38), np.full(MASK.shape, 0.6), 0.4 + 0.5 * (NORMALS[..., 1] < 0)], -1
)


def show_lit(threshold=0.06):
    """The dyed rabbit: lamps that count, error, and paint."""
    lit = (threshold < MATTE) & MASK
    normals, _, solved = fit_lit(MATTE, LAMPS, lit)
    paint = channel_albedo(MATTE[..., None] * DYE, LAMPS, normals, lit)
    error = angles(normals)
    fig, axes = plt.subplots(1, 3, figsize=(8, 3.0))
    figures.show_image(axes[0], lit.sum(axis=0), "lamps that count, 0 to 12", (0, 12))
    title = f"mean error {error[solved].mean():.1f}°, {np.sum(MASK & ~solved)} unsolved"
    figures.show_image(axes[1], np.where(solved, error, 0), title, (0, 20))
    figures.show_image(axes[2], np.where(MASK[..., None], np.clip(paint, 0, 1), 1), "your paint")
    return fig


controls.explore(
    show_lit,
    threshold=controls.FloatSlider(0.06, min=0, max=0.4, step=0.02, continuous_update=False),
)

# %% [markdown]
# **Look for** the mean error: 2.2° for thresholds from 0.06 to 0.14, against 3.2° where only zeros are left out and
# 4.0° with all values. From 0.2 on the dark stripes lose their lamps, for dark paint is taken for shadow.
#
# ## Question 3 — from normals to depth (8 points)
#
# On a surface of height $z(x, y)$ the vectors $(1, 0, z_x)$ and $(0, 1, z_y)$ are tangents, $y$ pointing down the
# rows. **Derive** the slopes $p = z_x$ and $q = z_y$ from a normal.


# %% tags=["stub"]
def slopes(normals):
    """Find the slopes of a surface from its normals.

    normals: (H, W, 3), of any length, n_z > 0. Returns a tuple (p, q) of (H, W) arrays: to the right, and down.
    """
    raise NotImplementedError


# %% tags=["solution"]
def slopes(normals):
    """Find the slopes of a surface from its normals.

    normals: (H, W, 3), of any length, n_z > 0. Returns a tuple (p, q) of (H, W) arrays: to the right, and down.
    """
    return -normals[..., 0] / normals[..., 2], -normals[..., 1] / normals[..., 2]


# %% [markdown]
# Now the height, inside a mask that is connected. For every two pixels of the mask that are neighbours in a row or in a
# column there is one equation, with the mean of their slopes,
#
# $$z_{x+1,y} - z_{x,y} = \tfrac12 (p_{x,y} + p_{x+1,y}), \qquad z_{x,y+1} - z_{x,y} = \tfrac12 (q_{x,y} + q_{x,y+1}).
#   \tag{5}$$
#
# Measured slopes contradict each other, so take the least squares of all equations, all with one weight. The constant
# that stays free is chosen so that $z$ has mean 0 *in the mask*; outside, $z = 0$. Outside the mask, $p$ and $q$ hold
# anything, even NaN. (`np.linalg.lstsq` and a full matrix are good enough here.)


# %% tags=["stub"]
def heights(p, q, mask):
    """Find the height inside a mask from its slopes, by least squares over Eq. (5).

    p, q: (H, W) floats, anything outside the mask; mask: (H, W) bools, connected.
    Returns (H, W): mean 0 in the mask, 0 outside.
    """
    raise NotImplementedError


# %% tags=["solution"]
def heights(p, q, mask):
    """Find the height inside a mask from its slopes, by least squares over Eq. (5).

    p, q: (H, W) floats, anything outside the mask; mask: (H, W) bools, connected.
    Returns (H, W): mean 0 in the mask, 0 outside.
    """
    unknown = np.cumsum(mask).reshape(mask.shape) - 1
    equations, right = [], []
    for slope, first, second in ((p, np.s_[:, :-1], np.s_[:, 1:]), (q, np.s_[:-1], np.s_[1:])):
        both = mask[first] & mask[second]
        rows = np.zeros((both.sum(), mask.sum()))
        rows[np.arange(len(rows)), unknown[first][both]] = -1
        rows[np.arange(len(rows)), unknown[second][both]] = 1
        equations.append(rows)
        right.append((slope[first][both] + slope[second][both]) / 2)
    found = np.linalg.lstsq(np.concatenate(equations), np.concatenate(right))[0]
    z = np.zeros(mask.shape)
    z[mask] = found - found.mean()
    return z


# %%
check("q3")

# %% [markdown]
# The rabbit's head and its two ears, from true and from your normals. Noise is added to the slopes. Which errors come with the
# noise, and which are there without any?


# %%
PIECE = np.s_[4:24, 6:26]


def piece_of(normals):
    """Normals of the piece: true, or found by fit_lit."""
    if normals == "true":
        return NORMALS[PIECE]
    pictures = MATTE[:, *PIECE]
    return fit_lit(pictures, LAMPS, pictures > 0.06)[0]


def show_heights(normals="true", noise=0.0):
    """The height of a piece of the rabbit, and its error."""
    field, mask = piece_of(normals), MASK[PIECE]
    p, q = slopes(np.where(mask[..., None], np.maximum(field, [-1, -1, 0.05]), [0, 0, 1]))
    disturb = np.random.default_rng(3).normal(0, noise, (2, *p.shape))
    z = heights(p + disturb[0], q + disturb[1], mask)
    height = np.where(mask, HEIGHT[PIECE] - HEIGHT[PIECE][mask].mean(), 0)
    fig, axes = plt.subplots(1, 3, figsize=(8, 2.6))
    figures.show_image(axes[0], np.where(mask, height, np.nan), "true height", (-30, 20))
    figures.show_image(axes[1], np.where(mask, z, np.nan), "your height", (-30, 20))
    error = np.where(mask, z - height, 0)
    figures.show_field(axes[2], error, f"error: RMS {error[mask].std():.2f} px", limit=12)
    return fig


controls.explore(
    show_heights,
    normals=controls.Dropdown(options=["true", "found"]),
    noise=controls.FloatSlider(0.0, min=0, max=0.5, step=0.1, continuous_update=False),
)

# %% [markdown]
# **Look for** an error that is there without noise: the far ear stands some 12 pixels behind the head, and no normal
# tells of a step, so least squares glues it on: RMS 5.8. Noise adds little to that, smooth and rolling, because every
# row is held by its neighbours.
#
# ## Question 4 — which three lamps? (5 points)
#
# You may switch on three lamps of twelve. If the noise of all pictures has the variance $\sigma^2$, the $\mathbf g$ of
# Eq. (2) has the covariance $\sigma^2 (L^{\mathsf T} L)^{-1}$, where the rows of $L$ are the lamps. The **noise gain**
# is
#
# $$\gamma(L) = \operatorname{tr}\bigl[(L^{\mathsf T} L)^{-1}\bigr]. \tag{6}$$
#
# Lamps that do not determine $\mathbf g$ (fewer than three, or in one plane, as in question 2) are refused with a
# `ValueError`.


# %% tags=["stub"]
def noise_gain(lamps):
    """Give the noise gain of lamps, Eq. (6).

    lamps: (K, 3), their lengths are their strengths. Returns a number.
    Raises a ValueError for fewer than three lamps, or lamps in one plane.
    """
    raise NotImplementedError


# %% tags=["solution"]
def noise_gain(lamps):
    """Give the noise gain of lamps, Eq. (6).

    lamps: (K, 3), their lengths are their strengths. Returns a number.
    Raises a ValueError for fewer than three lamps, or lamps in one plane.
    """
    s = np.linalg.svd(lamps, compute_uv=False)
    if len(s) < 3 or s[2] < 1e-6 * s[0]:
        raise ValueError("these lamps do not determine a normal")
    return np.sum(1 / s**2)


# %% [markdown]
# Now choose: of all sets of three different lamps, the one with the least noise gain. (Some sets may lie in one plane.)


# %% tags=["stub"]
def best_three(lamps):
    """Choose the three lamps with the least noise gain.

    lamps: (K, 3), K >= 3, not all in one plane. Returns a tuple of three numbers of lamps, in rising order.
    """
    raise NotImplementedError


# %% tags=["solution"]
def best_three(lamps):
    """Choose the three lamps with the least noise gain.

    lamps: (K, 3), K >= 3, not all in one plane. Returns a tuple of three numbers of lamps, in rising order.
    """
    gains = {}
    for three in itertools.combinations(range(len(lamps)), 3):
        try:
            gains[three] = noise_gain(lamps[list(three)])
        except ValueError:
            continue
    return min(gains, key=gains.get)


# %%
check("q4")

# %% [markdown]
# Your choice among twelve lamps on a dome, for a ball without shadows; the slider limits how low they may stand. What
# happens to the gain when the lamps must stand high, close to the camera?


# %%
def show_three(lowest=20, seed=1):
    """Twelve random lamps not lower than an elevation, seen from the camera, and your three."""
    rng = np.random.default_rng(seed)
    elevation, azimuth = np.deg2rad(rng.uniform(lowest, 88, 12)), rng.uniform(0, 2 * np.pi, 12)
    lamps = np.stack([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)], 1)
    three = list(best_three(lamps))
    sets = [lamps[list(one)] for one in itertools.combinations(range(12), 3)]
    gains = [noise_gain(one) for one in sets if abs(np.linalg.det(one)) > 1e-5]  # not those in one plane
    fig, (left, right) = plt.subplots(1, 2, figsize=(7, 3.1), width_ratios=[1, 1.2])
    left.add_patch(plt.Circle((0, 0), 1, fill=False))
    left.plot(*lamps[:, :2].T, "o", color="gray", ms=6)
    left.plot(*lamps[three, :2].T, "o", color=figures.COLORS["red"], ms=9)
    left.set(xlim=(-1.05, 1.05), ylim=(1.05, -1.05), aspect="equal", xticks=[], yticks=[], title=f"your lamps {three}")
    right.hist(np.log10(gains), bins=30, color=figures.COLORS["sky"])
    right.axvline(np.log10(noise_gain(lamps[three])), color=figures.COLORS["red"])
    right.set(xlabel="log10 of the noise gain, all sets", ylabel="sets", title=f"yours: {noise_gain(lamps[three]):.2f}")
    return fig


controls.explore(
    show_three,
    lowest=controls.IntSlider(20, min=0, max=75, step=5),
    seed=controls.IntSlider(1, min=1, max=20),
)

# %% [markdown]
# **Look for** the limit 3, which three perpendicular lamps of strength 1 reach. With all lamps above 60 degrees even
# the best three have a gain of 7 and more: their directions are nearly one.
#
# ## Question 5 — where does the law fail? (5 points, open)
#
# Three pictures always fit. With more, the residuals $r_k = I_k - \mathbf l_k\cdot\mathbf g$ show where Eq. (1) cannot
# be: shadows, highlights, light from elsewhere. Write a detector, by a method of your choice. The noise of every picture
# is Gaussian with the known $\sigma$. It will be judged by two rates:
#
# - of the pixels that **obey** the law, for any number of lamps from 4 to 12 and any paint, it reports **1 %**
#   (between 0.4 and 1.8 %);
# - of those with **one** value that is off by $12\,\sigma$, six lamps all round, at least 95 %.
#
# With fewer than four lamps nothing can be detected: a `ValueError`. (A hint: how is $\sum_k r_k^2/\sigma^2$
# distributed, if the law holds? It isn't $K$ numbers that are free. `np.random.default_rng(0).chisquare(n, size)` draws from $\chi^2_n$.)


# %% tags=["stub"]
def suspicious(pictures, lamps, sigma):
    """Tell at which pixels the pictures contradict Lambert's law.

    pictures: (K, H, W) floats; lamps: (K, 3), their lengths are their strengths; sigma: noise of the pictures.
    Returns (H, W) bools. Raises a ValueError for fewer than four lamps.
    """
    raise NotImplementedError


# %% tags=["solution"]
def suspicious(pictures, lamps, sigma):
    """Tell at which pixels the pictures contradict Lambert's law.

    pictures: (K, H, W) floats; lamps: (K, 3), their lengths are their strengths; sigma: noise of the pictures.
    Returns (H, W) bools. Raises a ValueError for fewer than four lamps.
    """
    K = len(lamps)
    if K < 4:
        raise ValueError("three values always fit: at least four lamps are needed")
    values = pictures.reshape(K, -1)
    residuals = values - lamps @ (np.linalg.pinv(lamps) @ values)
    limit = np.quantile(np.random.default_rng(0).chisquare(K - 3, 400_000), 0.99)
    return (np.sum(residuals**2, axis=0) > limit * sigma**2).reshape(pictures.shape[1:])


# %%
check("q5")

# %% [markdown]
# Your detector on the rabbit, with the noise that its sensor has, about 0.007. What does it report on the matte rabbit,
# what on the glossy one, and how does that compare with the true errors of the normals?


# %%
def show_suspicious(subject="matte", sigma=0.007):
    """What the detector reports, beside the errors of the normals."""
    pictures = MATTE if subject == "matte" else GLOSSY
    reported, error = suspicious(pictures, LAMPS, sigma) & MASK, angles(fit(pictures, LAMPS)[0])
    fig, axes = plt.subplots(1, 3, figsize=(8, 3.0))
    figures.show_image(axes[0], pictures[7], "under lamp 7")
    figures.show_image(axes[1], reported, f"reported: {100 * reported[MASK].mean():.0f} %")
    inside, outside = (error[MASK & part].mean() if (MASK & part).any() else 0 for part in (reported, ~reported))
    figures.show_image(axes[2], error, f"error: {inside:.1f}° there,\n{outside:.1f}° elsewhere", (0, 20))
    return fig


controls.explore(
    show_suspicious,
    subject=controls.Dropdown(options=["matte", "glossy"]),
    sigma=controls.FloatSlider(0.007, min=0.003, max=0.05, step=0.001, readout_format=".3f"),
)

# %% [markdown]
# **Look for** the two mean errors: where your detector is silent, the normals are right to about a degree.
#
# ## Question 6 — in words (4 points, marked by hand)
#
# 1. Somebody computes $\mathbf n$ from *normalised* brightnesses $I_k/\sqrt{\sum_j I_j^2}$ at each pixel, and says: "the
#    normals are the same, so it does no harm." Is the first half true? What is lost, and why?
# 2. The lamps of an experiment were not measured, and their strengths neither. Two surfaces fit all pictures equally
#    well, one of them flatter. Write down how their heights are related, and name two observations that decide.
# 3. With the *true* normals of the whole rabbit the depth has an RMS error of several pixels, although the median
#    error is below one. Explain, and propose a measurement (not a better solver) that would remove it.

# %% [markdown] tags=["stub", "text:q6"]
# **Answer q6:** (write here)

# %% [markdown] tags=["solution", "text:q6"]
# **Answer q6:**
#
# 1. True, if nothing else is done: $\mathbf g$ is linear in the brightnesses, so dividing all $K$ of a pixel by one
#    number divides $\mathbf g$ by it and leaves its direction. The albedo is lost: $\lVert\mathbf g\rVert$ is then the
#    length for a pixel of norm 1, and depends on the normal and not on the paint. In shadow, noise is divided by a small
#    number. (Dividing each *picture* by its norm would be worse: it changes the strengths of the lamps.)
# 2. $\bar z = \lambda z + \mu x + \nu y$, with $\bar{\mathbf g} = G^{-\mathsf T}\mathbf g$ and lamps $G\,\mathbf l$:
#    the bas-relief ambiguity. It is decided by known lamps (a chrome ball; each known $\mathbf l$ gives one equation
#    for $\mu, \nu, \lambda$), by paint known to be uniform, by a highlight, by a second view, or by known heights.
# 3. Normals say nothing about steps in depth: at an occluding contour (ear before head, chin before chest) the
#    equation for two neighbours is false, and one piece is shifted as a whole against the rest. Few equations are
#    wrong, so most pixels are right relative to their piece: a small median and a large RMS. What is missing is the
#    depth across the step: a second view (stereo), a range sensor with few points, or silhouettes and cast shadows,
#    whose length gives the height of the step.
