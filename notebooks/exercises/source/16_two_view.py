# %% [markdown]
# # Exercise 16 — Two-view geometry
#
# You build the essential and the fundamental matrix, write the test that tells a right formula from a printed one,
# measure distances, estimate a fundamental matrix from noisy pairs, find its epipoles, and recover how a camera moved.
# It goes with [lecture 16](../16_two_view.ipynb).
#
# | question | what it examines | points |
# |---|---|---|
# | 1 | E from a pose, F from E and two cameras | 5 |
# | 2 | a test for formulas | 5 |
# | 3 | the Sampson distance | 4 |
# | 4 | the normalised eight-point algorithm | 7 |
# | 5 | epipoles | 3 |
# | 6 | the pose in E, and cheirality | 6 |
# | 7 | in words (marked by hand) | 4 |
#
# **How it works.** Replace `raise NotImplementedError` in each function and run `check("q1")` below it, as often as
# you like: it says what holds, what does not, and which common slip it looks like. The same checks give the points,
# on other random cameras.
#
# **Rules.** All of NumPy is allowed, `np.linalg` too, and `cvcourse.homogeneous` (`cross_matrix`, `normalizer`,
# `to_homogeneous`, …). The other geometry of `cvcourse` (`cameras`, `alignment`, `two_view`, …), SciPy, scikit-image,
# OpenCV and PyTorch are not. A function leaves its arguments as they are. The later questions may use the earlier
# ones. Until a function is written, the cells that draw with it stop with `NotImplementedError`; that is meant.

# %%
import matplotlib.pyplot as plt
import numpy as np

from cvcourse import checks, controls, figures, homogeneous

check = checks.exercise("16_two_view")

# %% [markdown]
# **Conventions.** Points are arrays of shape (N, 2) in (x, y) order. The world is the frame of camera 1, and the second
# camera sees a point at $\mathbf X_2 = R\,\mathbf X_1 + \mathbf t$. With $\hat{\mathbf x} = K^{-1}\mathbf x$
#
# $$\hat{\mathbf x}_2^{\mathsf T} E\,\hat{\mathbf x}_1 = 0,\qquad \mathbf x_2^{\mathsf T} F\,\mathbf x_1 = 0. \tag{1}$$
#
# All matrices and epipoles are defined up to a factor, also a negative one; where nothing else is said, any factor
# counts as right.
#
# ## Question 1 — E and F of known cameras (5 points)
#
# Write $E$ for a rotation and a translation, and $F$ for an $E$ and the intrinsics of *both* cameras. Derive them from
# Eq. (1); do not trust what you remember.


# %% tags=["stub"]
def essential(R, t):
    """Give E of two cameras with X2 = R X1 + t. R: (3, 3); t: (3,), not zero. Returns a (3, 3) array."""
    raise NotImplementedError


def fundamental(E, K1, K2):
    """Give F in pixels. E, K1, K2: (3, 3) arrays, K1 of the first camera. Returns a (3, 3) array."""
    raise NotImplementedError


# %% tags=["solution"]
def essential(R, t):
    """Give E of two cameras with X2 = R X1 + t. R: (3, 3); t: (3,), not zero. Returns a (3, 3) array."""
    return homogeneous.cross_matrix(t) @ R


def fundamental(E, K1, K2):
    """Give F in pixels. E, K1, K2: (3, 3) arrays, K1 of the first camera. Returns a (3, 3) array."""
    return np.linalg.inv(K2).T @ E @ np.linalg.inv(K1)


# %%
check("q1")

# %% [markdown]
# Twelve points, seen by two cameras. The second one is moved by the sliders; the lines in its image come from *your* F.

# %%
K_ONE = np.array([[700.0, 0, 320], [0, 700, 240], [0, 0, 1]])
K_TWO = np.array([[560.0, 0, 300], [0, 580, 250], [0, 0, 1]])
WORLD = np.random.default_rng(16).uniform([-1.5, -1.1, 4], [1.5, 1.1, 8], (12, 3))


def turn(yaw_deg):
    """The rotation of a camera that turns to the right."""
    c, s = np.cos(np.deg2rad(yaw_deg)), np.sin(np.deg2rad(yaw_deg))
    return np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]])


def seen(K, R, t, X):
    """Pixels of world points."""
    return homogeneous.from_homogeneous((X @ R.T + t) @ K.T)


# %% [markdown]
# Each line runs across the picture; a point off its line means that something is wrong.


# %%
def show_lines(sideways=1.0, forward=0.3, yaw_deg=-10):
    """Image 2: the points, and their epipolar lines."""
    R = turn(yaw_deg)
    t = -R @ [sideways, 0.1, forward]
    F = fundamental(essential(R, t), K_ONE, K_TWO)
    lines = homogeneous.to_homogeneous(seen(K_ONE, np.eye(3), np.zeros(3), WORLD)) @ F.T
    x = np.array([0, 640])
    fig, ax = plt.subplots(figsize=(5.5, 4.2))
    for (a, b, c), point in zip(lines, seen(K_TWO, R, t, WORLD)):
        ax.plot(x, -(a * x + c) / b, color=figures.COLORS["sky"])
        ax.plot(*point, "o", color=figures.COLORS["red"])
    ax.set(xlim=(0, 640), ylim=(480, 0), title="image 2")
    return fig


controls.explore(
    show_lines,
    sideways=controls.FloatSlider(1.0, min=-1.5, max=1.5, step=0.1),
    forward=controls.FloatSlider(0.3, min=-1, max=1.5, step=0.1),
    yaw_deg=controls.IntSlider(-10, min=-20, max=20),
)

# %% [markdown]
# **Look for** the common point of all lines, once *sideways* is near 0 and *forward* is 1.5: it moves into the picture,
# to where camera 1 is seen.
#
# ## Question 2 — a test for formulas (5 points)
#
# A printed textbook has $F = K^{-\mathsf T} E K^{\mathsf T}$. You will not derive every formula that you meet, but you
# can *test* each. Write a function that tells whether a given $F$ belongs to two given cameras $P_1, P_2$ (3 × 4, any
# factor): choose some points in space yourself, project them, and see whether $\mathbf x_2$ lies on the line
# $F\mathbf x_1$ within $10^{-6}$ pixels. Think of what a good set of points is: any three in a line? in one plane?


# %% tags=["stub"]
def holds(F, P1, P2):
    """Tell whether x2' F x1 = 0 for the images of points in space.

    F: (3, 3), any factor from 1e-9 to 1e9; P1, P2: (3, 4) cameras; both look roughly along +z from near the origin.
    Returns True or False: True if every x2 lies within 1e-6 pixels of its line.
    """
    raise NotImplementedError


# %% tags=["solution"]
def holds(F, P1, P2):
    """Tell whether x2' F x1 = 0 for the images of points in space.

    F: (3, 3), any factor from 1e-9 to 1e9; P1, P2: (3, 4) cameras; both look roughly along +z from near the origin.
    Returns True or False: True if every x2 lies within 1e-6 pixels of its line.
    """
    X = np.random.default_rng(0).uniform([-2, -2, 4, 1], [2, 2, 9, 1], (50, 4))
    p, q = (homogeneous.to_homogeneous(homogeneous.from_homogeneous(X @ P.T)) for P in (P1, P2))
    lines = p @ F.T
    return bool(np.all(np.abs(np.sum(q * lines, axis=1)) < 1e-6 * np.hypot(lines[:, 0], lines[:, 1])))


# %%
check("q2")

# %% [markdown]
# With your test, the sixteen formulas of the lecture: left of $E$ and right of $E$ stand $K^{-\mathsf T}$,
# $K^{-1}$, $K^{\mathsf T}$ or $K$, of the camera on that side. Blue passes, red does not.


# %%
def show_formulas(identity=False):
    """A table of sixteen formulas, and which of them pass your test."""
    A, B = (np.eye(3), np.eye(3)) if identity else (K_ONE, K_TWO)
    R, t = turn(-10), np.array([-1.0, 0.2, 0.3])
    P1, P2 = A @ np.eye(3, 4), B @ np.column_stack([R, t])
    forms = {"K^-T": lambda K: np.linalg.inv(K).T, "K^-1": np.linalg.inv, "K^T": np.transpose, "K": np.asarray}
    E = homogeneous.cross_matrix(t) @ R
    passed = [[holds(left(B) @ E @ right(A), P1, P2) for right in forms.values()] for left in forms.values()]
    fig, ax = plt.subplots(figsize=(4.6, 4))
    ax.imshow(passed, cmap="RdYlBu", vmin=0, vmax=1)
    ax.set(xticks=range(4), yticks=range(4), xlabel="right of E", ylabel="left of E")
    ax.set_xticklabels(forms)
    ax.set_yticklabels(forms)
    ax.set_title(f"{np.sum(passed)} of 16 pass")
    return fig


controls.explore(show_formulas, identity=controls.Checkbox(False))

# %% [markdown]
# **Look for** the one blue field, and for what happens with *identity*, $K_1 = K_2 = I$: all pass. A test with special
# values tests nothing.
#
# ## Question 3 — the Sampson distance (4 points)
#
# How far, in pixels, are pairs from fulfilling Eq. (1)? With $\mathbf l_2 = F\mathbf x_1$ and $\mathbf l_1 =
# F^{\mathsf T}\mathbf x_2$, whose first two entries are $(a_2, b_2)$ and $(a_1, b_1)$,
#
# $$d = \frac{\lvert\mathbf x_2^{\mathsf T} F\,\mathbf x_1\rvert}{\sqrt{a_1^2 + b_1^2 + a_2^2 + b_2^2}}. \tag{2}$$


# %% tags=["stub"]
def sampson(F, x1, x2):
    """Give the Sampson distances, Eq. (2). F: (3, 3), any factor; x1, x2: (N, 2). Returns an array of shape (N,)."""
    raise NotImplementedError


# %% tags=["solution"]
def sampson(F, x1, x2):
    """Give the Sampson distances, Eq. (2). F: (3, 3), any factor; x1, x2: (N, 2). Returns an array of shape (N,)."""
    p, q = homogeneous.to_homogeneous(x1), homogeneous.to_homogeneous(x2)
    l2, l1 = p @ F.T, q @ F
    norm = np.sqrt(np.sum(l2[:, :2] ** 2 + l1[:, :2] ** 2, axis=1))
    return np.abs(np.sum(q * l2, axis=1)) / norm


# %%
check("q3")

# %% [markdown]
# A thousand pairs with noise in all four coordinates, and their distances by your function.


# %%
def show_distances(noise=1.0, threshold=1.96):
    """The histogram of the Sampson distances of noisy pairs, and how many lie within a threshold."""
    rng = np.random.default_rng(3)
    X = rng.uniform([-1.5, -1.1, 4], [1.5, 1.1, 8], (1000, 3))
    R, t = turn(-10), np.array([-1.0, 0.2, 0.3])
    x1, x2 = seen(K_ONE, np.eye(3), np.zeros(3), X), seen(K_TWO, R, t, X)
    F = np.linalg.inv(K_TWO).T @ homogeneous.cross_matrix(t) @ R @ np.linalg.inv(K_ONE)
    d = sampson(F, x1 + noise * rng.normal(size=x1.shape), x2 + noise * rng.normal(size=x2.shape))
    fig, ax = plt.subplots(figsize=(6, 3.2))
    ax.hist(d, bins=np.linspace(0, 6, 61), color=figures.COLORS["blue"])
    ax.axvline(threshold, color=figures.COLORS["red"])
    ax.set(xlabel="Sampson distance (pixels)", ylabel="pairs", ylim=(0, 320))
    ax.set_title(f"RMS {np.sqrt(np.mean(d**2)):.2f} px; {np.mean(d < threshold):.1%} within {threshold:.2f} px")
    return fig


controls.explore(
    show_distances,
    noise=controls.FloatSlider(1.0, min=0.1, max=2, step=0.1),
    threshold=controls.FloatSlider(1.96, min=0.2, max=5, step=0.02),
)

# %% [markdown]
# **Look for** the share within 1.96 times the noise: 95 % but for chance (of these thousand 94.1 %), as for *one* Gaussian
# coordinate. Four numbers are noisy, but there is only one equation.
#
# ## Question 4 — the eight-point algorithm (7 points)
#
# Each pair gives one row of $A\mathbf f = \mathbf 0$, the products $x'x, x'y, x', y'x, \dots, 1$. Normalise both point
# sets (`homogeneous.normalizer`), take the last right singular vector, make the rank 2, and go back to pixels. In which
# order? The rank is to be made 2 where the errors of all entries are alike: in normalised coordinates.
#
# Fewer than eight pairs, and pairs that leave $\mathbf f$ open, raise a `ValueError`: in normalised coordinates the
# eighth singular value is then below $10^{-8}$ of the first.


# %% tags=["stub"]
def eight_point(x1, x2):
    """Estimate F by the normalised eight-point algorithm.

    x1, x2: (N, 2) pixels, N >= 8. Returns a (3, 3) array of rank 2, any factor, for the pixels as they came. Raises a
    ValueError for fewer than eight pairs, and for pairs that do not determine F.
    """
    raise NotImplementedError


# %% tags=["solution"]
def eight_point(x1, x2):
    """Estimate F by the normalised eight-point algorithm.

    x1, x2: (N, 2) pixels, N >= 8. Returns a (3, 3) array of rank 2, any factor, for the pixels as they came. Raises a
    ValueError for fewer than eight pairs, and for pairs that do not determine F.
    """
    if len(x1) < 8:
        raise ValueError(f"F needs 8 pairs, got {len(x1)}")
    T1, T2 = homogeneous.normalizer(x1), homogeneous.normalizer(x2)
    p, q = homogeneous.to_homogeneous(x1) @ T1.T, homogeneous.to_homogeneous(x2) @ T2.T
    A = np.einsum("ni,nj->nij", q, p).reshape(-1, 9)
    _, s, Vt = np.linalg.svd(A)
    if s[7] < 1e-8 * s[0]:
        raise ValueError("the pairs leave F open: a plane, or a camera that only turned")
    U, d, Wt = np.linalg.svd(Vt[8].reshape(3, 3))
    return T2.T @ (U * [d[0], d[1], 0]) @ Wt @ T1


# %%
check("q4")

# %% [markdown]
# The camera walks into the picture. Your F is fitted to noisy pairs; the lines should meet in the red point, where camera
# 1 is seen by camera 2.


# %%
def show_fit(n=20, noise=1.0, seed=0):
    """Lines of image 2 by a fitted F, and the true epipole."""
    rng = np.random.default_rng(seed)
    X = rng.uniform([-2, -1.5, 5], [2, 1.5, 9], (n, 3))
    t = np.array([-0.25, 0.08, -1.4])
    x1, x2 = seen(K_ONE, np.eye(3), np.zeros(3), X), seen(K_TWO, np.eye(3), t, X)
    F = eight_point(x1 + noise * rng.normal(size=x1.shape), x2 + noise * rng.normal(size=x2.shape))
    lines = homogeneous.to_homogeneous(x1) @ F.T
    x, e = np.array([0, 640]), (K_TWO @ t)[:2] / (K_TWO @ t)[2]
    fig, ax = plt.subplots(figsize=(5.5, 4.2))
    for a, b, c in lines:
        ax.plot(x, -(a * x + c) / b, color=figures.COLORS["sky"], lw=0.8)
    ax.plot(*e, "o", color=figures.COLORS["red"])
    ax.set(xlim=(0, 640), ylim=(480, 0), title=f"{n} pairs, noise {noise:.1f} px")
    return fig


controls.explore(
    show_fit,
    n=controls.IntSlider(20, min=8, max=100),
    noise=controls.FloatSlider(1.0, min=0, max=3, step=0.1),
    seed=controls.IntSlider(0, min=0, max=9),
)

# %% [markdown]
# **Look for** the lines' common point: there always is one, since the rank is 2, but with eight pairs it may be far from
# the red point. More pairs bring it home.
#
# ## Question 5 — epipoles (3 points)
#
# $F\mathbf e_1 = \mathbf 0$ and $F^{\mathsf T}\mathbf e_2 = \mathbf 0$. Give them as homogeneous vectors of length 1 (either
# sign), so that epipoles at infinity are no special case. A noisy $F$ may have rank 3; then take the unit vectors with
# the least $\lVert F\mathbf e_1\rVert$ and $\lVert F^{\mathsf T}\mathbf e_2\rVert$.


# %% tags=["stub"]
def epipoles(F):
    """Give (e1, e2), two arrays of shape (3,) and length 1. F: (3, 3)."""
    raise NotImplementedError


# %% tags=["solution"]
def epipoles(F):
    """Give (e1, e2), two arrays of shape (3,) and length 1. F: (3, 3)."""
    U, _, Vt = np.linalg.svd(F)
    return Vt[2], U[:, 2]


# %%
check("q5")

# %% [markdown]
# From above: the second camera stands somewhere and looks somewhere. *Your* first epipole is the direction to it, forwards
# or backwards: the red line. The dotted line is where camera 2 looks.


# %%
def show_direction(x=1.0, z=1.0, yaw_deg=0):
    """Cameras from above, and the ray of the epipole of image 1."""
    R = turn(yaw_deg)
    t = -R @ [x, 0.05, z]
    F = np.linalg.inv(K_TWO).T @ homogeneous.cross_matrix(t) @ R @ np.linalg.inv(K_ONE)
    d = np.linalg.inv(K_ONE) @ epipoles(F)[0]
    d = d / np.linalg.norm(d)
    fig, ax = plt.subplots(figsize=(4.6, 4.2))
    ax.plot(0, 0, "^", color=figures.COLORS["blue"], ms=10)
    ax.plot(x, z, "^", color=figures.COLORS["orange"], ms=10)
    ax.plot([x, x + R[2, 0]], [z, z + R[2, 2]], ":", color=figures.COLORS["orange"])
    ax.plot([-3 * d[0], 3 * d[0]], [-3 * d[2], 3 * d[2]], color=figures.COLORS["red"])
    ax.set(xlim=(-2.5, 2.5), ylim=(-2.5, 2.5), aspect="equal", xlabel="x", ylabel="z")
    ax.set_title("camera 1 (blue) and camera 2, from above")
    return fig


controls.explore(
    show_direction,
    x=controls.FloatSlider(1.0, min=-2, max=2, step=0.1),
    z=controls.FloatSlider(1.0, min=-2, max=2, step=0.1),
    yaw_deg=controls.IntSlider(0, min=-30, max=30),
)

# %% [markdown]
# **Look for** the orange camera: wherever you move it, the red line runs through it. It does not care about the yaw, where
# camera 2 looks. (On which side of camera 1 it stands, the epipole alone does not say.)
#
# ## Question 6 — pose and cheirality (6 points)
#
# $E = U \operatorname{diag}(s, s, 0)\,V^{\mathsf T}$ belongs to four poses: with $U$ and $V$ turned into rotations,
#
# $$R = U W V^{\mathsf T} \text{ or } U W^{\mathsf T} V^{\mathsf T},\qquad \mathbf t = \pm\mathbf u_3,\qquad
#   W = \begin{bmatrix} 0 & -1 & 0 \\ 1 & 0 & 0 \\ 0 & 0 & 1 \end{bmatrix}. \tag{3}$$
#
# Take the one with most points in front of *both* cameras. The depths $s_1, s_2$ of a pair are those with $s_1 R\,
# \hat{\mathbf x}_1 + \mathbf t = s_2 \hat{\mathbf x}_2$, in the sense of least squares.


# %% tags=["stub"]
def pose(E, x1, x2):
    """Recover the second camera's pose, X2 = R X1 + t.

    E: (3, 3), any factor; x1, x2: (N, 2) normalised coordinates (K inverse times pixels). Returns the tuple (R, t):
    a rotation (3, 3), and t (3,) of length 1.
    """
    raise NotImplementedError


# %% tags=["solution"]
def pose(E, x1, x2):
    """Recover the second camera's pose, X2 = R X1 + t.

    E: (3, 3), any factor; x1, x2: (N, 2) normalised coordinates (K inverse times pixels). Returns the tuple (R, t):
    a rotation (3, 3), and t (3,) of length 1.
    """
    U, _, Vt = np.linalg.svd(E)
    U, Vt = U * np.linalg.det(U), Vt * np.linalg.det(Vt)
    W = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]])
    p, q = homogeneous.to_homogeneous(x1), homogeneous.to_homogeneous(x2)

    def in_front(R, t):
        depths = [np.linalg.lstsq(np.column_stack([R @ a, -b]), -t, rcond=None)[0] for a, b in zip(p, q)]
        return np.sum(np.all(np.array(depths) > 0, axis=1))

    four = [(R, t) for R in (U @ W @ Vt, U @ W.T @ Vt) for t in (U[:, 2], -U[:, 2])]
    return max(four, key=lambda one: in_front(*one))


# %%
check("q6")

# %% [markdown]
# The true second camera is moved by the sliders (gray); yours is orange. Since the length of $\mathbf t$ cannot be known,
# yours is always 1 away. Each camera is a triangle, and an arrow in the direction of its view.


# %%
def draw_camera(ax, R, c, colour):
    """Draw a camera from above: where it stands, and where it looks."""
    ax.plot(c[0], c[2], "^", color=colour, ms=9)
    ax.arrow(c[0], c[2], R[2, 0], R[2, 2], color=colour, head_width=0.15)


# %% [markdown]
# Camera 1 is blue; the green dots are the points.


# %%
def show_pose(x=0.8, z=0.2, yaw_deg=-15):
    """The true and the recovered second camera, from above."""
    R = turn(yaw_deg)
    t = -R @ [x, 0.05, z]
    X2 = WORLD @ R.T + t
    E = homogeneous.cross_matrix(t) @ R
    found, way = pose(E, WORLD[:, :2] / WORLD[:, 2:], X2[:, :2] / X2[:, 2:])
    fig, ax = plt.subplots(figsize=(4.6, 4.2))
    ax.plot(*WORLD[:, [0, 2]].T, ".", color=figures.COLORS["green"])
    draw_camera(ax, np.eye(3), np.zeros(3), figures.COLORS["blue"])
    draw_camera(ax, R, -R.T @ t, "0.6")
    draw_camera(ax, found, -found.T @ way, figures.COLORS["orange"])
    ax.set(xlim=(-4, 4), ylim=(-2, 8.5), aspect="equal", xlabel="x", ylabel="z")
    turned = np.rad2deg(np.arctan2(found[2, 0], found[2, 2]))
    ax.set_title(f"yaw {turned:.1f}°, true {yaw_deg}°")
    return fig


controls.explore(
    show_pose,
    x=controls.FloatSlider(0.8, min=-2, max=2, step=0.1),
    z=controls.FloatSlider(0.2, min=-1, max=2, step=0.1),
    yaw_deg=controls.IntSlider(-15, min=-20, max=20),
)

# %% [markdown]
# **Look for** the two arrows: always parallel, on the same ray from camera 1. The yaw is recovered exactly, whatever the
# step.
#
# ## Question 7 — in words (4 points, marked by hand)
#
# 1. The notes of a course say "the fundamental matrix (本质矩阵) for calibrated cameras". Correct the sentence, and say
#    by which property of its singular values you would tell $E$ from $F$.
# 2. $F$ was estimated from 200 matches of a photograph of a wall. All distances are below a pixel. Why is its epipole
#    worth nothing all the same? Which test would have said so?
# 3. Two cameras look at a model railway, then two others, ten times as far apart, at the railway ten times as large.
#    What do the pictures tell about the size? Where in the formulas is that?

# %% [markdown] tags=["stub", "text:q7"]
# **Answer q7:** (write here)

# %% [markdown] tags=["solution", "text:q7"]
# **Answer q7:**
#
# 1. The matrix of calibrated cameras is the *essential* matrix $E$, 本质矩阵; the fundamental matrix $F$, 基础矩阵 or
#    基本矩阵, is for uncalibrated ones and relates pixels. $E$ has the singular values $(s, s, 0)$; those of $F$ are
#    $(s_1, s_2, 0)$ with $s_1 \ne s_2$, in pixels far apart. (Equal values would be an accident.)
# 2. The pairs of a plane obey a homography $H$, and $F = [\mathbf e]_\times H$ fits them for *every* $\mathbf e$:
#    $(H\mathbf x_1)^{\mathsf T}(\mathbf e \times H\mathbf x_1) = 0$. The estimate is one of this family, chosen by the
#    noise, so its epipole may lie anywhere. Tests: does a homography explain the inliers as well, at a comparable
#    threshold? Or: is the seventh singular value of $A$ hardly above the noise (the rank is 6)?
# 3. Nothing: both pairs of pictures are the same. With $\mathbf X$ and $\mathbf t$ multiplied by ten,
#    $R\,\mathbf X_1 + \mathbf t$ is ten times as long and has the same direction, hence the same pixel. In (1) $E =
#    [\mathbf t]_\times R$ is defined up to a factor, so the length of $\mathbf t$ is lost; one has to set it, to 1 for
#    example, or to measure one length in the scene.
