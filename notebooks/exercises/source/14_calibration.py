# %% [markdown]
# # Exercise 14 — Camera calibration
#
# You find a camera from points in space, take it apart, calibrate it from views of a flat board, refine the result with
# lens distortion, and say how far it can be trusted. It goes with [lecture 14](../14_calibration.ipynb).
#
# | question | what it examines | points |
# |---|---|---|
# | 1 | the projection matrix by DLT, and points that leave it open | 7 |
# | 2 | the parts of a projection matrix | 5 |
# | 3 | Zhang's closed form: intrinsics and poses from homographies | 7 |
# | 4 | the reprojection error with distortion, and its minimum | 6 |
# | 5 | how sure is it, and what do the residuals show? | 5 |
# | 6 | in words (marked by hand) | 4 |
#
# **How it works.** Replace `raise NotImplementedError` in each function and run `check("q1")` below it, as often as
# you like: it says what holds, what does not, and which common slip it looks like. The same checks give the points,
# on other random points.
#
# **Rules.** All of NumPy is allowed, `np.linalg` too, and `cvcourse.homogeneous` (`normalizer`, `null_vector`, …).
# The other geometry of `cvcourse` (`cameras`, `calibration`, `alignment`, `single_view`, …), SciPy, scikit-image,
# OpenCV and PyTorch are not. A function leaves its arguments as they are. The later questions may use the earlier
# ones. Until a function is written, the cells that draw with it stop with `NotImplementedError`; that is meant.

# %%
from functools import cache

import matplotlib.pyplot as plt
import numpy as np

from cvcourse import alignment, checks, controls, figures, homogeneous

check = checks.exercise("14_calibration")

# %% [markdown]
# **Conventions.** World points are an array `X` of shape (N, 3), pixels an array `x` of shape (N, 2) in (x, y) order.
# The camera looks along its z axis, x right and y down: $\mathbf X_{cam} = R\,\mathbf X + \mathbf t$, and
#
# $$\mathbf x \sim P \begin{bmatrix}\mathbf X\\ 1\end{bmatrix},\qquad P = K\,[R \mid \mathbf t],\qquad
#   K = \begin{bmatrix} f_x & s & c_x \\ 0 & f_y & c_y \\ 0 & 0 & 1 \end{bmatrix}. \tag{1}$$
#
# ## Question 1 — the projection matrix by DLT (7 points)
#
# With $P = (p_{ij})$ the image of $(X, Y, Z)$ is $x = u/w$, $y = v/w$, where $u$, $v$ and $w$ are the rows of $P$
# times $(X, Y, Z, 1)$. Multiply by $w$ and bring everything to the side of the numerator: two equations $u - x\,w =
# 0$, $v - y\,w = 0$, linear in $\mathbf p = (p_{00}, p_{01}, p_{02}, p_{03}, p_{10}, \dots, p_{23})$. Rows $2k$ and
# $2k + 1$ of $A$ are those of point $k$, so
#
# $$A\,\mathbf p = \mathbf 0. \tag{2}$$
#
# $P$ and $2P$ are the same camera, so $A$ should have rank 11. If it has less, the points leave $P$ open. You see it
# from the singular values $s_1 \ge \dots \ge s_{12}$: the last one may be small, that is the solution. Each other one
# below $10^{-8} s_1$ is one **open direction**. (If $A$ has fewer than 12 rows, the missing singular values are 0.)


# %% tags=["stub"]
def projection_rows(X, x):
    """Give the matrix A of Eq. (2).

    X: (N, 3) floats; x: (N, 2) pixels. Returns an array of shape (2N, 12): rows 2k and 2k + 1 for point k, columns
    along the rows of P.
    """
    raise NotImplementedError


def open_directions(A):
    """Count the open directions of A p = 0: singular values below 1e-8 of the largest, without the last of the 12.

    A: (M, 12), any M >= 1, not all zero. Returns an int, 0 for points that determine P.
    """
    raise NotImplementedError


# %% tags=["solution"]
def projection_rows(X, x):
    """Give the matrix A of Eq. (2).

    X: (N, 3) floats; x: (N, 2) pixels. Returns an array of shape (2N, 12): rows 2k and 2k + 1 for point k, columns
    along the rows of P.
    """
    q = homogeneous.to_homogeneous(X)
    A = np.zeros((2 * len(X), 12))
    A[0::2, 0:4] = A[1::2, 4:8] = q
    A[:, 8:] = -x.reshape(-1, 1) * np.repeat(q, 2, axis=0)
    return A


def open_directions(A):
    """Count the open directions of A p = 0: singular values below 1e-8 of the largest, without the last of the 12.

    A: (M, 12), any M >= 1, not all zero. Returns an int, 0 for points that determine P.
    """
    s = np.zeros(12)
    found = np.linalg.svd(A, compute_uv=False)
    s[: len(found)] = found
    return int(np.sum(s[:11] < 1e-8 * s[0]))


# %% [markdown]
# Now the fit: the unit vector with the smallest $\lVert A\mathbf p\rVert$, on **normalised** points, as in lecture 9.
# `homogeneous.normalizer(points)` gives the transform (4 × 4 for points in space, 3 × 3 for pixels). How does $P$ come
# from the $\tilde P$ of the normalised points? Two things are new:
#
# - The *sign*. All points were in front of the camera, so take the sign for which $w > 0$. (With $-P$ every pixel is
#   the same, but the depths are negative.)
# - Points that leave $P$ open, judged on the normalised points, raise a `ValueError`: a flat board alone gives no
#   $P$.


# %% tags=["stub"]
def fit_projection(X, x):
    """Find the projection matrix of points in space and their pixels by the normalised DLT.

    X: (N, 3) floats; x: (N, 2) pixels. Returns P, an array of shape (3, 4) for the points as they came: its squares sum
    to 1, and w > 0 for the points. Raises a ValueError if the points leave P open (open_directions above 0).
    """
    raise NotImplementedError


# %% tags=["solution"]
def fit_projection(X, x):
    """Find the projection matrix of points in space and their pixels by the normalised DLT.

    X: (N, 3) floats; x: (N, 2) pixels. Returns P, an array of shape (3, 4) for the points as they came: its squares sum
    to 1, and w > 0 for the points. Raises a ValueError if the points leave P open (open_directions above 0).
    """
    U, T = homogeneous.normalizer(X), homogeneous.normalizer(x)
    A = projection_rows(homogeneous.transform_points(U, X), homogeneous.transform_points(T, x))
    if n := open_directions(A):
        raise ValueError(f"the points leave {n} directions of P open")
    P = np.linalg.inv(T) @ np.linalg.svd(A)[2][-1].reshape(3, 4) @ U
    w = homogeneous.to_homogeneous(X) @ P[2]
    return P * np.sign(w.mean()) / np.linalg.norm(P)


# %%
check("q1")

# %% [markdown]
# A camera looks at random points in a box, whose thickness you choose; the pixels have some noise. The bars are the
# twelve singular values of the normalised equations.

# %%
K_TRUE = np.array([[820.0, 0, 330], [0, 790, 250], [0, 0, 1]])


def turn(r):
    """The rotation about the vector r by |r| radians (Rodrigues), shape (3, 3)."""
    angle = np.sqrt(r @ r)
    if angle < 1e-12:
        return np.eye(3) + homogeneous.cross_matrix(r)
    axis = homogeneous.cross_matrix(r / angle)
    return np.eye(3) + np.sin(angle) * axis + (1 - np.cos(angle)) * axis @ axis


def box_view(n, thickness, noise, seed):
    """Points in a box seen by the camera K_TRUE, 6 units away, and their pixels with noise."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, (n, 3)) * (1.2, 0.9, thickness)
    P = K_TRUE @ np.column_stack([turn(np.array([0.5, -0.6, 0.2])), [0.1, -0.1, 6]])
    return X, homogeneous.from_homogeneous(homogeneous.to_homogeneous(X) @ P.T) + noise * rng.normal(size=(n, 2)), P


# %% [markdown]
# Before you move the slider: how many bars will vanish when the box is flat, one or more?


# %%
def show_gap(log_thickness=0.0, n=12, noise=0.5):
    """Singular values of the normalised equations, and what they leave open."""
    X, x, _ = box_view(n, 10**log_thickness if log_thickness > -5 else 0.0, noise, 3)
    moved = [homogeneous.transform_points(homogeneous.normalizer(points), points) for points in (X, x)]
    A = projection_rows(*moved)
    s = homogeneous.null_vector(A)[1]
    fig, ax = plt.subplots(figsize=(7, 3.4))
    colours = [figures.COLORS["blue"]] * 11 + [figures.COLORS["orange"]]
    ax.bar(range(1, 13), np.maximum(s / s[0], 1e-16), color=colours, bottom=1e-17)
    ax.axhline(1e-8, color=figures.COLORS["red"], lw=1)
    ax.set(yscale="log", ylim=(1e-17, 3), xlabel="number", ylabel="singular value / largest")
    ax.set_title(f"{n} points, noise {noise:g} px: {open_directions(A)} open directions")
    return fig


controls.explore(
    show_gap,
    log_thickness=controls.FloatSlider(0.0, min=-5, max=0, step=0.5, description="log₁₀ thickness"),
    n=controls.IntSlider(12, min=5, max=30, description="points"),
    noise=controls.FloatSlider(0.5, min=0, max=2, step=0.5, description="noise (pixels)"),
)

# %% [markdown]
# **Look for** the last three blue bars, which sink together towards the orange one, and for what happens when the box
# is exactly flat, at −5. With $\mathbf n^{\mathsf T}(\mathbf X, 1) = 0$ on the plane any $\mathbf a\,\mathbf
# n^{\mathsf T}$ may be added to $P$, and $\mathbf a$ has three entries: without noise four singular values are 0, $P$
# and these three. With noise three are (and the title counts two, for the last bar is never counted): what was $P$ is
# now number 9, and the "solution" is one of the empty $\mathbf a\,\mathbf n^{\mathsf T}$. Already at −2 the three are
# nearly as low as the orange one, so the noise decides; the test at $10^{-8}$ does not see it yet.
#
# ## Question 2 — the parts of a projection matrix (5 points)
#
# $P = \lambda\,K\,[R \mid \mathbf t]$ with an unknown $\lambda \ne 0$. The left 3 × 3 block is $\lambda K R$: upper
# triangular times rotation, an **RQ** decomposition. NumPy has only QR, $M = QU$. A hint: reverse the order of the
# rows of $M$ and transpose; what is upper triangular then? RQ is unique only up to signs: if a column of $K$ and the
# row of $R$ that belongs to it are both negated, the product stays. Fix everything:
#
# $$K_{00}, K_{11} > 0,\quad K_{22} = 1,\qquad \det R = +1,\qquad P \sim K\,[R \mid \mathbf t]. \tag{3}$$


# %% tags=["stub"]
def decompose(P):
    """Take a projection matrix apart, Eq. (3).

    P: (3, 4), any scale and either sign, its left block is regular. Returns the tuple (K, R, t): arrays of shape
    (3, 3), (3, 3) and (3,).
    """
    raise NotImplementedError


# %% tags=["solution"]
def decompose(P):
    """Take a projection matrix apart, Eq. (3).

    P: (3, 4), any scale and either sign, its left block is regular. Returns the tuple (K, R, t): arrays of shape
    (3, 3), (3, 3) and (3,).
    """
    P = P * np.sign(np.linalg.det(P[:, :3]))
    Q, U = np.linalg.qr(P[::-1, :3].T)  # reversed rows, transposed: Q U
    K, R = U.T[::-1, ::-1], Q.T[::-1]
    signs = np.sign(np.diag(K))
    K, R = K * signs, signs[:, None] * R
    t = np.linalg.solve(K, P[:, 3])  # with K before it is scaled: the scale of P is in both
    return K / K[2, 2], R, t


# %%
check("q2")

# %% [markdown]
# Forty times the same box with fresh noise: each dot is one camera that your two functions found. How will the errors
# of the focal length and of the distance be related?


# %%
def show_cameras(thickness=0.5, noise=0.5, n=20):
    """Focal length against distance, and principal point, of forty fits."""
    found = []
    for seed in range(40):
        X, x, _ = box_view(n, thickness, noise, seed)
        found.append(decompose(fit_projection(X, x)))
    fx = np.array([K[0, 0] for K, _, _ in found])
    fig, (left, right) = plt.subplots(1, 2, figsize=(8, 3.6))
    left.plot([t[2] for _, _, t in found], fx, "o", ms=4, color=figures.COLORS["blue"])
    left.plot(6, K_TRUE[0, 0], "x", ms=10, color=figures.COLORS["red"])
    left.set(xlim=(4, 8), ylim=(500, 1140), xlabel="distance t_z", ylabel="f_x (pixels)")
    left.set_title(f"σ of f_x: {fx.std():.1f} px = {100 * fx.std() / K_TRUE[0, 0]:.1f} %")
    right.plot([K[0, 2] for K, _, _ in found], [K[1, 2] for K, _, _ in found], "o", ms=4, color=figures.COLORS["blue"])
    right.plot(*K_TRUE[:2, 2], "x", ms=10, color=figures.COLORS["red"])
    right.set(xlim=(0, 640), ylim=(480, 0), aspect="equal", title="principal point in the image")
    return fig


controls.explore(
    show_cameras,
    thickness=controls.FloatSlider(0.5, min=0.1, max=1, step=0.1),
    noise=controls.FloatSlider(0.5, min=0.1, max=2, step=0.1, description="noise (pixels)"),
    n=controls.IntSlider(20, min=8, max=60, description="points"),
)

# %% [markdown]
# **Look for** the line on the left: a longer focal length from farther away gives nearly the same picture, and only the
# difference in depth within the box tells them apart. The thinner the box, the longer the cloud. A calibration can be
# poor although every residual is small.
#
# ## Question 3 — Zhang's closed form (7 points)
#
# A flat board has $Z = 0$, so of $R$ only the first two columns matter: the homography from the board to the image is
#
# $$H = [\mathbf h_1\ \mathbf h_2\ \mathbf h_3] \sim K\,[\mathbf r_1\ \mathbf r_2\ \mathbf t]. \tag{4}$$
#
# $\mathbf r_1$ and $\mathbf r_2$ are orthogonal and equally long. With $B = K^{-\mathsf T}K^{-1}$ that is two
# equations a view,
#
# $$\mathbf h_1^{\mathsf T} B\,\mathbf h_2 = 0,\qquad
#   \mathbf h_1^{\mathsf T} B\,\mathbf h_1 - \mathbf h_2^{\mathsf T} B\,\mathbf h_2 = 0, \tag{5}$$
#
# linear in $\mathbf b = (B_{11}, B_{12}, B_{22}, B_{13}, B_{23}, B_{33})$; $B$ is symmetric, and indices count from 1
# here.


# %% tags=["stub"]
def zhang_rows(H):
    """Give the two equations (5) of one view.

    H: (3, 3), board to image. Returns an array of shape (2, 6): first r1 . r2 = 0, then |r1|^2 - |r2|^2 = 0, columns
    in the order of b.
    """
    raise NotImplementedError


# %% tags=["solution"]
def zhang_rows(H):
    """Give the two equations (5) of one view.

    H: (3, 3), board to image. Returns an array of shape (2, 6): first r1 . r2 = 0, then |r1|^2 - |r2|^2 = 0, columns
    in the order of b.
    """

    def row(g, h):
        G = np.outer(g, h) + np.outer(h, g)  # off the diagonal both products count, on it one
        return np.array([G[0, 0] / 2, G[0, 1], G[1, 1] / 2, G[0, 2], G[1, 2], G[2, 2] / 2])

    a, b, _ = H.T
    return np.array([row(a, b), row(a, a) - row(b, b)])


# %% [markdown]
# Three views give six equations for the six entries of $\mathbf b$, whose scale is free. From $B$ comes $K$: by Zhang's
# formulas, or by a Cholesky decomposition (which triangle does `np.linalg.cholesky` give?). Three warnings.
#
# - In pixels $B_{11} = 1/f_x^2$ is about $10^{-6}$ and $B_{33}$ about 1. Count pixels in thousands, and go back at
#   the end.
# - $\mathbf b$ and $-\mathbf b$ solve the equations, but only one $B$ is positive definite.
# - Views of boards that are *parallel* to each other give the same two equations. If the equations leave more than
#   the scale open (fewer than three views, or a gap that is missing), raise a `ValueError`.


# %% tags=["stub"]
def intrinsics(Hs):
    """Find K, with skew, from the homographies of a board's views.

    Hs: (V, 3, 3), each from the board to pixels, each of any scale and sign. Returns K, an array of shape (3, 3) with
    K[2, 2] = 1. Raises a ValueError if the views leave K open.
    """
    raise NotImplementedError


# %% tags=["solution"]
def intrinsics(Hs):
    """Find K, with skew, from the homographies of a board's views.

    Hs: (V, 3, 3), each from the board to pixels, each of any scale and sign. Returns K, an array of shape (3, 3) with
    K[2, 2] = 1. Raises a ValueError if the views leave K open.
    """
    thousands = np.diag([1e-3, 1e-3, 1])
    rows = [zhang_rows(thousands @ H / np.linalg.norm(thousands @ H)) for H in Hs]
    b, s = homogeneous.null_vector(np.vstack(rows))
    if s[4] < 1e-9 * s[0]:
        raise ValueError("the views leave K open: there must be three that are not parallel")
    B = b[[[0, 1, 3], [1, 2, 4], [3, 4, 5]]] * np.sign(b[0])
    K = np.linalg.inv(np.linalg.cholesky(B)).T  # B = L L^T with L = K^-T
    return np.linalg.inv(thousands) @ K / K[2, 2]


# %% [markdown]
# With $K$ known, each $H$ gives the pose of its board. The scale of $H$ is fixed by $\lVert\mathbf r_1\rVert =
# \lVert\mathbf r_2\rVert = 1$ (noise makes the two lengths differ: take their mean), its sign by the board being in
# front, $t_z > 0$. The third column of $R$ is missing in $H$, but it is determined. With noise the three columns are
# not quite orthogonal: return the nearest rotation, $UV^{\mathsf T}$ from their singular value decomposition $U S
# V^{\mathsf T}$.


# %% tags=["stub"]
def board_pose(K, H):
    """Find the pose of a board from its homography, Eq. (4).

    K: (3, 3); H: (3, 3), board to pixels, any scale and sign. Returns the tuple (R, t): a rotation of shape (3, 3),
    and (3,) in the board's unit.
    """
    raise NotImplementedError


# %% tags=["solution"]
def board_pose(K, H):
    """Find the pose of a board from its homography, Eq. (4).

    K: (3, 3); H: (3, 3), board to pixels, any scale and sign. Returns the tuple (R, t): a rotation of shape (3, 3),
    and (3,) in the board's unit.
    """
    G = np.linalg.solve(K, H)
    G = G * np.sign(G[2, 2]) / np.linalg.norm(G[:, :2], axis=0).mean()
    a, b, t = G.T
    U, _, Vt = np.linalg.svd(np.column_stack([a, b, np.cross(a, b)]))
    return U @ Vt, t


# %%
check("q3")

# %% [markdown]
# A board of 9 × 6 corners is shown to the camera a few times, tilted by an angle about different axes. At which tilt
# will the focal length be found best, and what at 0°?

# %%
BOARD = np.array([[c - 4.0, r - 2.5] for r in range(6) for c in range(9)]) * 0.25  # 9 x 6 corners, units of length


def board_views(views, tilt_deg, lens, noise, seed):
    """Poses on a ring of tilts, as parameters (question 4), and the noisy pixels of the corners, (V, N, 2)."""
    rng = np.random.default_rng(seed)
    found, p = [], list(lens)
    for k in range(views):
        axis = 2 * np.pi * (k + 0.3) / views
        r = np.radians(tilt_deg) * np.array([np.cos(axis), np.sin(axis), 0])
        t = np.array([0.5 * np.cos(2 * axis), 0.3 * np.sin(2 * axis), 3.6])
        p += [*r, *t]
        y = BOARD @ turn(r)[:, :2].T + t
        m = y[:, :2] / y[:, 2:]
        q = np.sum(m**2, axis=1)[:, None]
        m = m * (1 + lens[4] * q + lens[5] * q**2)
        found.append(m * lens[:2] + lens[2:4] + noise * rng.normal(size=m.shape))
    return np.array(p), np.array(found)


# %% [markdown]
# A camera without distortion, and your `intrinsics` on the homographies of its views, forty times with fresh noise.


# %%
def calibrated(tilt_deg, views, noise):
    """Forty K, without those that failed."""
    found = []
    for seed in range(40):
        _, x = board_views(views, tilt_deg, (820, 790, 330, 250, 0, 0), noise, seed)
        try:
            found.append(intrinsics(np.array([alignment.fit_homography(BOARD, view) for view in x])))
        except (ValueError, np.linalg.LinAlgError):
            continue
    return np.array(found).reshape(-1, 3, 3)


# %% [markdown]
# Left the focal lengths, right the principal points; red is the truth.


# %%
def show_tilt(tilt_deg=30, views=3, noise=0.5):
    """Focal length and principal point from forty calibrations of a few views."""
    K = calibrated(tilt_deg, views, noise)
    fig, (left, right) = plt.subplots(1, 2, figsize=(8, 3.6), width_ratios=[1, 1.3])
    left.hist(K[:, 0, 0], bins=np.arange(697.5, 945, 5), color=figures.COLORS["blue"])
    left.axvline(820, color=figures.COLORS["red"])
    left.set(ylim=(0, 40), xlabel="f_x (pixels)", ylabel="calibrations")
    error = 100 * np.median(np.abs(K[:, 0, 0] / 820 - 1)) if len(K) else np.inf
    left.set_title(f"{40 - len(K)} of 40 fail; median error " + (f"{error:.2f} %" if error < 100 else "above 100 %"))
    right.plot(*K[:, :2, 2].T, "o", ms=4, color=figures.COLORS["blue"])
    right.plot(330, 250, "x", ms=10, color=figures.COLORS["red"])
    right.set(xlim=(0, 640), ylim=(480, 0), aspect="equal", title="principal point in the image")
    return fig


controls.explore(
    show_tilt,
    tilt_deg=controls.IntSlider(30, min=0, max=60, step=5, description="tilt (degrees)"),
    views=controls.IntSlider(3, min=3, max=12, description="views"),
    noise=controls.FloatSlider(0.5, min=0.1, max=2, step=0.1, description="noise (pixels)"),
)

# %% [markdown]
# **Look for** the median error of $f_x$: 0.26 % at 30°, 1.4 % at 10°, 4.7 % at 5°, so it grows much faster than the
# tilt falls. At 0° all boards are parallel, but noise makes their equations differ: no test of exact rank refuses
# them, 16 of 40 calibrations fail because $B$ is not positive definite, and what comes from the others is chance.
# More views help less than a larger tilt: eight at 10° (1.0 %) are worse than three at 15° (0.7 %).
#
# ## Question 4 — the reprojection error (6 points)
#
# A lens bends rays. With $(m_x, m_y) = (X_{cam}/Z_{cam},\ Y_{cam}/Z_{cam})$, the **normalised** coordinates, and
# $\rho^2 = m_x^2 + m_y^2$, the pixel is
#
# $$x = f_x\,m_x\,(1 + k_1\rho^2 + k_2\rho^4) + c_x,\qquad y = f_y\,m_y\,(1 + k_1\rho^2 + k_2\rho^4) + c_y. \tag{6}$$
#
# All unknowns stand in one vector, $\mathbf p = (f_x, f_y, c_x, c_y, k_1, k_2,\ \mathbf r_1, \mathbf t_1,\ \mathbf
# r_2, \mathbf t_2, \dots)$, with three numbers for each $\mathbf r_v$ and each $\mathbf t_v$; `turn(r)`, which you
# have from above, gives the rotation of view $v$. The best $\mathbf p$ has the least sum of squared distances in
# pixels between the corners that are predicted and those that were found,
#
# $$E(\mathbf p) = \sum_v \sum_k \lVert \hat{\mathbf x}_{vk}(\mathbf p) - \mathbf x_{vk}\rVert^2. \tag{7}$$


# %% tags=["stub"]
def predict(p, board):
    """Predict the pixels of a board's corners in all views, Eq. (6).

    p: (6 + 6 V,); board: (N, 2), the corners in the plane Z = 0. Returns an array of shape (V, N, 2).
    """
    raise NotImplementedError


# %% tags=["solution"]
def predict(p, board):
    """Predict the pixels of a board's corners in all views, Eq. (6).

    p: (6 + 6 V,); board: (N, 2), the corners in the plane Z = 0. Returns an array of shape (V, N, 2).
    """
    pixels = []
    for pose in p[6:].reshape(-1, 6):
        X = board @ turn(pose[:3])[:, :2].T + pose[3:]
        m = X[:, :2] / X[:, 2:]
        q = np.sum(m**2, axis=1, keepdims=True)  # rho squared
        pixels.append(p[:2] * m * (1 + p[4] * q + p[5] * q**2) + p[2:4])
    return np.array(pixels)


# %% [markdown]
# For the minimum take **Gauss–Newton steps**: the $\boldsymbol\delta$ with the smallest $\lVert J\boldsymbol\delta +
# \mathbf r\rVert$ is added to $\mathbf p$, where $\mathbf r$ are all differences $\hat{\mathbf x} - \mathbf x$ in one
# row and $J$ their derivatives. The columns of $J$ may be central differences, $\bigl(\hat{\mathbf x}(\mathbf p +
# h\,\mathbf e_j) - \hat{\mathbf x}(\mathbf p - h\,\mathbf e_j)\bigr)/2h$ with $h = 10^{-5}$.


# %% tags=["stub"]
def refine(p, board, views, steps=10):
    """Lower E of Eq. (7) by Gauss-Newton steps in all parameters.

    p: (6 + 6 V,), the start; board: (N, 2); views: (V, N, 2) pixels; steps: how many, 0 or more. Returns an array
    of the shape of p.
    """
    raise NotImplementedError


# %% tags=["solution"]
def refine(p, board, views, steps=10):
    """Lower E of Eq. (7) by Gauss-Newton steps in all parameters.

    p: (6 + 6 V,), the start; board: (N, 2); views: (V, N, 2) pixels; steps: how many, 0 or more. Returns an array
    of the shape of p.
    """
    p, h = np.array(p, dtype=float), 1e-5 * np.eye(len(p))
    for _ in range(steps):
        r = (predict(p, board) - views).ravel()
        J = np.column_stack([(predict(p + e, board) - predict(p - e, board)).ravel() / 2e-5 for e in h])
        p = p - np.linalg.lstsq(J, r)[0]
    return p


# %%
check("q4")

# %% [markdown]
# Everything together: homographies, your $K$, your poses, and then your `refine`, for a lens with $k_1$. The closed
# form of question 3 knows nothing of distortion, so it starts with $k_1 = k_2 = 0$ and with wrong focal lengths. How
# many steps are needed?

# %%
LENS = (820.0, 790.0, 330.0, 250.0)


def vector_of(R):
    """The rotation vector of R, for angles below pi."""
    axis = np.array([R[2, 1] - R[1, 2], R[0, 2] - R[2, 0], R[1, 0] - R[0, 1]]) / 2
    sine = np.linalg.norm(axis)
    return axis * (np.arctan2(sine, (np.trace(R) - 1) / 2) / sine if sine > 1e-12 else 1.0)


def start(views):
    """The closed form for all parameters, without distortion."""
    Hs = np.array([alignment.fit_homography(BOARD, view) for view in views])
    K = intrinsics(Hs)
    poses = [board_pose(K, H) for H in Hs]
    return np.array([K[0, 0], K[1, 1], K[0, 2], K[1, 2], 0, 0, *(v for R, t in poses for v in (*vector_of(R), *t))])


# %% [markdown]
# The arrows on the left are the residuals of all corners of all views, thirty times as long; on the right is the root
# of the mean square (RMS) of their x and y.


# %%
def show_refine(k1=-0.25, steps=0, noise=0.3):
    """Residuals after some steps, and the RMS residual after each."""
    _, x = board_views(5, 35, (*LENS, k1, 0.08), noise, 7)
    p = [start(x)]
    for _ in range(6):
        p.append(refine(p[-1], BOARD, x, 1))
    r = predict(p[steps], BOARD) - x
    rms = [np.sqrt(np.mean((predict(q, BOARD) - x) ** 2)) for q in p]
    fig, (left, right) = plt.subplots(1, 2, figsize=(8, 3.6), width_ratios=[1.3, 1])
    style = {"angles": "xy", "scale_units": "xy", "scale": 1 / 30, "width": 0.004, "color": figures.COLORS["blue"]}
    left.quiver(*x.reshape(-1, 2).T, *r.reshape(-1, 2).T, **style)
    left.set(xlim=(-60, 740), ylim=(560, -60), aspect="equal")
    left.set_title(f"f_x = {p[steps][0]:.1f}, k₁ = {p[steps][4] + 0.0:.3f}")
    right.semilogy(range(7), rms, "o-")
    right.axvline(steps, color="black", lw=0.8)
    right.set(ylim=(0.03, 30), xlabel="steps", ylabel="RMS (pixels)", title=f"RMS {rms[steps]:.3f} px")
    return fig


controls.explore(
    show_refine,
    k1=controls.FloatSlider(-0.25, min=-0.3, max=0.2, step=0.05, description="true k₁"),
    steps=controls.IntSlider(0, min=0, max=6),
    noise=controls.FloatSlider(0.3, min=0.1, max=1, step=0.1, description="noise (pixels)"),
)

# %% [markdown]
# **Look for** the pattern that the arrows make at 0 steps, where $f_x$ is 5 % too short, and for its end: after two
# steps they point anywhere, and the RMS stays a little *below* the noise. It should: 36 parameters have taken up
# their share of the errors.
#
# ## Question 5 — how sure is it, and what do the residuals show? (5 points)
#
# Let $J$ be the derivatives of $M$ residuals (two per corner) with respect to $p$ parameters at the minimum. As in
# lecture 9 the sum of the squared residuals is $(M - p)\,\sigma^2$ on the average, and the parameters' covariance is
#
# $$\Sigma = \sigma^2 (J^{\mathsf T} J)^{-1}. \tag{8}$$
#
# Return the estimate of $\sigma$ whose square is right on the average, and the standard deviation of each parameter. If
# $M \le p$, or if the columns of $J$ are dependent (views that leave a parameter open), raise a `ValueError`.


# %% tags=["stub"]
def uncertainty(r, J):
    """Estimate the noise of a coordinate and the standard deviations of the parameters, Eq. (8).

    r: (M,) residuals in pixels; J: (M, p). Returns the tuple (sigma, deviations): a number, and an array of shape
    (p,). Raises a ValueError if M <= p, or if J has not the rank p.
    """
    raise NotImplementedError


# %% tags=["solution"]
def uncertainty(r, J):
    """Estimate the noise of a coordinate and the standard deviations of the parameters, Eq. (8).

    r: (M,) residuals in pixels; J: (M, p). Returns the tuple (sigma, deviations): a number, and an array of shape
    (p,). Raises a ValueError if M <= p, or if J has not the rank p.
    """
    M, p = J.shape
    if p >= M or np.linalg.matrix_rank(J / np.maximum(np.linalg.norm(J, axis=0), 1e-300)) < p:
        raise ValueError("the residuals do not determine the parameters and the noise")
    sigma = np.sqrt(r @ r / (M - p))
    return sigma, sigma * np.sqrt(np.diag(np.linalg.inv(J.T @ J)))


# %% [markdown]
# A small RMS says little. Plot the residuals: noise has no pattern, and each *term that is missing in the model* has
# one. For it, split every residual into its part along the ray from the principal point, positive **outward**, and
# the part across it, positive in the direction that goes from the x axis to the y axis (with y down: clockwise). At
# the principal point itself both are 0.


# %% tags=["stub"]
def radial_parts(x, r, center):
    """Split residuals into their parts along and across the ray from the centre.

    x: (N, 2) pixels; r: (N, 2) residuals there; center: (2,). Returns an array of shape (N, 2), in pixels: outward,
    and across (from x towards y).
    """
    raise NotImplementedError


# %% tags=["solution"]
def radial_parts(x, r, center):
    """Split residuals into their parts along and across the ray from the centre.

    x: (N, 2) pixels; r: (N, 2) residuals there; center: (2,). Returns an array of shape (N, 2), in pixels: outward,
    and across (from x towards y).
    """
    d = x - center
    length = np.linalg.norm(d, axis=1, keepdims=True)
    d = d / np.where(length > 0, length, 1)
    across = d[:, ::-1] * (-1, 1)
    return np.column_stack([np.sum(d * r, axis=1), np.sum(across * r, axis=1)])


# %%
check("q5")

# %% [markdown]
# Four cameras were calibrated with the parameters $\mathbf p$ of question 4 or fewer. One calibration is sound; in
# another the distortion was forgotten, in the third the lens has a tangential term, and in the fourth the two focal
# lengths were set equal. Which is which? Decide from the pictures, then read on.


# %%
def least(x, free, tied):
    """Parameters of the least E in the columns `free` alone; tied: f_y = f_x."""
    p = start(x)
    for _ in range(12):
        p[1] = p[0] if tied else p[1]
        J = np.column_stack([(predict(p + e, BOARD) - predict(p - e, BOARD)).ravel() / 2e-5 for e in 1e-5 * np.eye(36)])
        J[:, 0] += tied * J[:, 1]
        J = J[:, [j for j in range(36) if j in free or j > 5]]
        step = np.linalg.lstsq(J, (predict(p, BOARD) - x).ravel())[0]
        p[[j for j in range(36) if j in free or j > 5]] -= step
    p[1] = p[0] if tied else p[1]
    return p, J


@cache
def faulty(camera):
    """Parameters, derivatives and pixels of one of the four calibrations."""
    _, x = board_views(5, 35, (820, 805 if camera == "B" else 790, 330, 250, -0.06, 0), 0.2, 11)
    if camera == "A":  # tangential: p1 (2 mx my, rho² + 2 my²) in normalised coordinates
        mx, my = np.moveaxis((x - (330, 250)) / (820, 790), -1, 0)
        x = x + 0.025 * np.stack([820 * 2 * mx * my, 790 * (mx**2 + 3 * my**2)], axis=-1)
    free = {"A": range(6), "B": (0, 2, 3, 4, 5), "C": range(4), "D": range(6)}[camera]
    return *least(x, free, camera == "B"), x


# %% [markdown]
# The dots on the right are your `radial_parts`, against the distance from the principal point. A residual points from
# the corner that was found to the one predicted, the other way than in the lecture. You may look at all views
# together, or at one.


# %%
def show_diagnosis(camera="A", view="all"):
    """Residuals of a calibration: as arrows, and their parts along and across the ray."""
    p, J, x = faulty(camera)
    residuals = predict(p, BOARD) - x
    sigma, deviations = uncertainty(residuals.ravel(), J)
    chosen = slice(None) if view == "all" else slice(int(view) - 1, int(view))
    points, r = x[chosen].reshape(-1, 2), residuals[chosen].reshape(-1, 2)
    fig, (left, right) = plt.subplots(1, 2, figsize=(8, 3.6), width_ratios=[1.2, 1])
    style = {"angles": "xy", "scale_units": "xy", "scale": 1 / 50, "width": 0.004, "color": figures.COLORS["blue"]}
    left.quiver(*points.T, *r.T, **style)
    left.set(xlim=(-60, 740), ylim=(560, -60), aspect="equal", title="residuals, 50 times as long")
    distance = np.linalg.norm(points - p[2:4], axis=1)
    for part, name in zip(radial_parts(points, r, p[2:4]).T, ("outward", "across")):
        right.plot(distance, part, ".", ms=4, label=name)
    right.set(xlim=(0, 420), ylim=(-2, 2), xlabel="distance (pixels)", ylabel="residual (pixels)")
    right.set_title(f"f_x = {p[0]:.1f} ± {deviations[0]:.1f}, σ = {sigma:.2f} px")
    right.legend(loc="lower left", ncols=2)
    return fig


controls.explore(
    show_diagnosis,
    camera=controls.ToggleButtons(options=["A", "B", "C", "D"]),
    view=controls.ToggleButtons(options=["all", "1", "2", "3", "4", "5"]),
)

# %% [markdown]
# **Look for** D first: arrows of all directions, σ = 0.19 px, what the corners' noise is; this one is sound. In C the
# outward part is a curve, below 0 in the middle and above 0 beyond 250 px, the same in all directions: distortion was
# forgotten, and $f_x$ is off by 10 px, six times the ± in the title. In A the arrows go up at both sides and down
# between them, in every view: a part across that no radial term can make, so it is the tangential one. B looks like
# noise as long as you see all views, but each view alone has an order, and each another one: the pose of each board
# has made up for the wrong $f_y$ as well as it could. The ± of Eq. (8) holds for the right model only.
#
# ## Question 6 — in words (4 points, marked by hand)
#
# 1. All calibration points lie on one plane, and you add a seventh, eighth, … point of this plane. Show that the
#    number of open directions of $A\mathbf p = \mathbf 0$ stays at 3 for exact pixels, and say what one single point
#    outside the plane changes. Why can Zhang's method do with a flat board all the same?
# 2. A colleague shows the board five times, always parallel to the image, at five distances. Which rank have the ten
#    equations (5), and which parameters trade off against each other? Answer with the picture of a single such view.
# 3. A report: "With 40 distortion parameters the RMS of the coordinates went down from 0.31 px to 0.12 px on 3 views
#    of 12 corners, so the calibration is more than twice as good." What is wrong? Name two tests that tell, one with
#    the same views.

# %% [markdown] tags=["stub", "text:q6"]
# **Answer q6:** (write here)

# %% [markdown] tags=["solution", "text:q6"]
# **Answer q6:**
#
# 1. Let $\mathbf n$ be the plane: $\mathbf n^{\mathsf T}(\mathbf X, 1) = 0$ for all points. For any $\mathbf a$ with
#    three entries $P + \mathbf a\,\mathbf n^{\mathsf T}$ has the same images as $P$, so besides $P$ there are three
#    further solutions however many points of the plane there are. A point outside gives two equations for $\mathbf a$
#    (it fixes $P$ times this point up to its scale), so one direction remains open; a second one outside, not on the
#    ray of the first, closes it. Zhang takes several views, and what is unknown of each view is only its pose: that
#    the two columns of each $R$ are orthonormal replaces the points outside the plane.
# 2. $\mathbf r_1$ and $\mathbf r_2$ are parallel to the image in each view, so all have the same vanishing line (at
#    infinity), and the same two equations, in which only the upper left 2 × 2 block of $B$ occurs. The rank is 2
#    instead of five. Such a view is a square grid with the spacing $f a/t_z$ ($a$ is that of the board): twice the
#    focal length from twice the distance gives the same picture, and so does another principal point with the board
#    moved sideways. Other distances do not help, as $t_z$ is unknown in each view. (Only the ratio $f_x/f_y$ and the
#    skew are determined.)
# 3. 3 views of 12 corners are $M = 72$ residuals, and the parameters are $4 + 40 + 18 = 62$. With $M - p = 10$,
#    $\sigma = 0.12\sqrt{72/10} = 0.32$ px; before it was $0.31\sqrt{72/50} = 0.37$ px: hardly a difference, so most
#    of the "gain" is fitted noise. Tests: the standard deviations of Eq. (8) with the corrected $\sigma$ (those of
#    the focal length and of most new terms will be enormous); the RMS on views that were kept out of the fit
#    (cross-validation), which grows with an overfitted model. A pattern in the residuals would have been a reason for
#    a term; a lower RMS is none.
