# %% [markdown]
# # Exercise 17 — Structure from motion
#
# You triangulate from many views, write the residuals of bundle adjustment with their derivatives, eliminate the
# points, grade reconstructions up to a similarity, and place a camera among wrong matches. It goes with
# [lecture 17](../17_structure_from_motion.ipynb).
#
# | question | what it examines | points |
# |---|---|---|
# | 1 | triangulation from many views; points at infinity, and behind | 6 |
# | 2 | reprojection errors and their derivatives | 6 |
# | 3 | the Schur complement | 5 |
# | 4 | grading up to a similarity | 5 |
# | 5 | a camera among wrong matches (open: your own way) | 5 |
# | 6 | in words (marked by hand) | 4 |
#
# **How it works.** Replace `raise NotImplementedError` in each function and run `check("q1")` below it, as often as
# you like: it says what holds, what does not, and which common slip it looks like. The same checks give the points,
# on other random numbers.
#
# **Rules.** All of NumPy is allowed, `np.linalg` too, and `cvcourse.homogeneous` (`normalizer`, `null_vector`, …).
# The other geometry of `cvcourse`, SciPy, scikit-image, OpenCV and PyTorch are not. A function leaves its arguments
# as they are. The later questions may use the earlier ones, and the figures do. Until a function is written, the
# cells that draw with it stop with `NotImplementedError`; that is meant.

# %%
import matplotlib.pyplot as plt
import numpy as np

from cvcourse import checks, controls, figures, homogeneous

check = checks.exercise("17_structure_from_motion")

# %% [markdown]
# **Conventions.** World points are an array `X` of shape (N, 3), pixels `x` of shape (N, 2) in (x, y) order. A camera
# looks along its z axis, x right and y down; $\mathbf X_{cam} = R\,\mathbf X + \mathbf t$ and $P = K\,[R \mid \mathbf
# t]$. In questions 2 and 3 pixels are counted from the principal point, so that $K = \operatorname{diag}(f, f, 1)$.
#
# ## Question 1 — triangulation (6 points)
#
# A point $\mathbf X$ (homogeneous, four numbers) is seen at $(x, y)$ by the camera $P$ with the rows $\mathbf
# p_1^{\mathsf T}, \mathbf p_2^{\mathsf T}, \mathbf p_3^{\mathsf T}$. Each view gives two equations,
#
# $$(x\,\mathbf p_3 - \mathbf p_1)^{\mathsf T}\mathbf X = 0,\qquad (y\,\mathbf p_3 - \mathbf p_2)^{\mathsf T}\mathbf X = 0, \tag{1}$$
#
# and the answer is the unit vector for which the sum of their squares over all views is least. Of its two signs take
# the one with $w \ge 0$. Do not divide by $w$: the point may lie at infinity, with $w = 0$, and is a direction then
# (of either sign).


# %% tags=["stub"]
def triangulate(Ps, x):
    """Find a point from n views, Eq. (1).

    Ps: (n, 3, 4), n >= 2, scaled so that the last row of K is (0, 0, 1); x: (n, 2) pixels. Returns the homogeneous
    point, an array of shape (4,): its squares sum to 1, and the last entry is not negative.
    """
    raise NotImplementedError


# %% tags=["solution"]
def triangulate(Ps, x):
    """Find a point from n views, Eq. (1).

    Ps: (n, 3, 4), n >= 2, scaled so that the last row of K is (0, 0, 1); x: (n, 2) pixels. Returns the homogeneous
    point, an array of shape (4,): its squares sum to 1, and the last entry is not negative.
    """
    A = (x[:, :, None] * Ps[:, 2:] - Ps[:, :2]).reshape(-1, 4)
    X = np.linalg.svd(A)[2][-1]
    return -X if X[3] < 0 else X


# %% [markdown]
# The equations do not ask on which side of a camera the point lies: behind it serves as well. With
# $(a, b, d)^{\mathsf T} = P\,\mathbf X$ the depth of a finite point is $d / w$. A point at infinity is a direction
# $(\mathbf d, 0)$: a camera can see it if it looks that way, $d > 0$. With the sign that `triangulate` chooses, is
# there one rule for both?


# %% tags=["stub"]
def in_front(Ps, X):
    """Tell which cameras have a point in front of them.

    Ps: (n, 3, 4), as above; X: (4,), homogeneous with w >= 0, of any length. Returns an array of n bools.
    """
    raise NotImplementedError


# %% tags=["solution"]
def in_front(Ps, X):
    """Tell which cameras have a point in front of them.

    Ps: (n, 3, 4), as above; X: (4,), homogeneous with w >= 0, of any length. Returns an array of n bools.
    """
    return Ps[:, 2] @ X > 0


# %%
check("q1")

# %% [markdown]
# Two cameras, or more, on an arc around one point, 200 repetitions with noise, seen from above. Before you move the
# slider: at which angle will the cloud be round?

# %%
F = 600.0
CUBE = np.random.default_rng(17).uniform(-1, 1, (30, 3))


def turn(r):
    """The rotation about the vector r by |r| radians (Rodrigues), shape (3, 3)."""
    angle = np.sqrt(r @ r)
    if angle < 1e-12:
        return np.eye(3) + homogeneous.cross_matrix(r)
    axis = homogeneous.cross_matrix(r / angle)
    return np.eye(3) + np.sin(angle) * axis + (1 - np.cos(angle)) * axis @ axis


def arc(n, span_deg):
    """Rotations and translations of n cameras on an arc, 6 units from the origin."""
    angles = np.radians(np.linspace(-span_deg / 2, span_deg / 2, n))
    return np.array([turn(np.array([0, a, 0])) for a in angles]), np.tile([0.0, 0, 6], (n, 1))


# %% [markdown]
# The point is at the origin; each dot is one answer of your function.


# %%
def show_cloud(angle_deg=10, views=2, noise=0.5):
    """Triangulated positions of one point, from above."""
    R, t = arc(views, angle_deg)
    Ps = np.diag([F, F, 1]) @ np.concatenate([R, t[:, :, None]], axis=2)
    rng = np.random.default_rng(1)
    X = np.array([triangulate(Ps, noise * rng.normal(size=(views, 2))) for _ in range(200)])
    X = X[:, :3] / X[:, 3:]
    fig, ax = plt.subplots(figsize=(7, 2.8))
    ax.plot(X[:, 2], X[:, 0], ".", ms=4, color=figures.COLORS["blue"])
    ax.set(xlim=(-0.3, 0.3), ylim=(-0.1, 0.1), aspect="equal", xlabel="depth", ylabel="across")
    ax.set_title(
        f"σ in depth {X[:, 2].std():.4f}, across {X[:, 0].std():.4f}: ratio {X[:, 2].std() / X[:, 0].std():.1f}"
    )
    return fig


controls.explore(
    show_cloud,
    angle_deg=controls.IntSlider(10, min=4, max=90, step=2, description="angle (degrees)"),
    views=controls.IntSlider(2, min=2, max=8),
    noise=controls.FloatSlider(0.5, min=0.1, max=1, step=0.1, description="noise (pixels)"),
)

# %% [markdown]
# **Look for** the ratio: $1/\tan(\theta/2)$ for two views, so 11.4 at 10° and 1 at 90°. More views on the same arc make
# the cloud narrower faster than they make it shorter.
#
# ## Question 2 — reprojection errors and their derivatives (6 points)
#
# With $\mathbf q = R\,\mathbf X$ and $(X_c, Y_c, Z_c)^{\mathsf T} = \mathbf q + \mathbf t$ the prediction is
#
# $$\hat{\mathbf x} = \frac{f}{Z_c}\begin{bmatrix} X_c \\ Y_c \end{bmatrix},\qquad
#   D = \frac{\partial\hat{\mathbf x}}{\partial(X_c, Y_c, Z_c)}\ \text{(you work it out)},\qquad
#   B = \frac{\partial\hat{\mathbf x}}{\partial\mathbf X} = D\,R. \tag{2}$$
#
# A small turn $\mathbf w$ *before* $R$, that is $R' = \operatorname{turn}(\mathbf w)\,R$, moves $\mathbf q$ by
# $\mathbf w \times \mathbf q$ to first order. What follows for the derivative of $\hat{\mathbf x}$ by $\mathbf w$, and
# by $\mathbf t$?
#
# Observation $k$: camera `view[k]` sees point `point[k]`.


# %% tags=["stub"]
def predict(f, R, t, X, view, point):
    """Predict where the cameras see the points, Eq. (2).

    f: number; R: (n, 3, 3); t: (n, 3); X: (N, 3); view, point: (M,) ints. Returns an array of shape (M, 2).
    """
    raise NotImplementedError


def blocks(f, R, t, X, view, point):
    """Differentiate each prediction by its own camera and by its own point.

    Arguments as for predict. Returns the tuple (A, B): A of shape (M, 2, 6), columns w (three) and t (three);
    B of shape (M, 2, 3).
    """
    raise NotImplementedError


# %% tags=["solution"]
def predict(f, R, t, X, view, point):
    """Predict where the cameras see the points, Eq. (2).

    f: number; R: (n, 3, 3); t: (n, 3); X: (N, 3); view, point: (M,) ints. Returns an array of shape (M, 2).
    """
    p = np.einsum("kij,kj->ki", R[view], X[point]) + t[view]
    return f * p[:, :2] / p[:, 2:]


def blocks(f, R, t, X, view, point):
    """Differentiate each prediction by its own camera and by its own point.

    Arguments as for predict. Returns the tuple (A, B): A of shape (M, 2, 6), columns w (three) and t (three);
    B of shape (M, 2, 3).
    """
    q = np.einsum("kij,kj->ki", R[view], X[point])
    x, y, z = (q + t[view]).T
    zero = np.zeros_like(z)
    D = f * np.stack([np.stack([1 / z, zero, -x / z**2], axis=1), np.stack([zero, 1 / z, -y / z**2], axis=1)], axis=1)
    return np.concatenate([np.cross(q[:, None], D), D], axis=2), D @ R[view]


# %%
check("q2")

# %% [markdown]
# Differentiate numerically, and compare with your blocks. The error has two causes: which one wins for a large step,
# which for a small one?


# %%
def show_steps(column="w₁"):
    """Difference between quotient and derivative, for many step sizes, of one-sided and central quotients."""
    names = ["w₁", "w₂", "w₃", "t₁", "t₂", "t₃"]
    R, t = arc(3, 40)
    view, point = np.divmod(np.arange(90), 30)
    ours = blocks(F, R, t, CUBE, view, point)[0][:, :, names.index(column)]
    h = np.geomspace(1e-12, 1, 40)

    def at(step):
        w = step * np.eye(6)[names.index(column)]
        return predict(F, turn(w[:3]) @ R, t + w[3:], CUBE, view, point)

    one = [np.abs((at(s) - at(0)) / s - ours).max() / np.abs(ours).max() for s in h]
    two = [np.abs((at(s) - at(-s)) / (2 * s) - ours).max() / np.abs(ours).max() for s in h]
    fig, ax = plt.subplots(figsize=(7, 3.2))
    ax.loglog(h, one, label="one-sided")
    ax.loglog(h, two, label="central")
    ax.set(xlabel="step", ylabel="largest relative difference", ylim=(1e-12, 10))
    ax.set_title(f"column {column}: central is best at {h[np.argmin(two)]:.0e}, off by {min(two):.0e}")
    ax.legend()
    return fig


controls.explore(show_steps, column=controls.Dropdown(value="w₁", options=["w₁", "w₂", "w₃", "t₁", "t₂", "t₃"]))

# %% [markdown]
# **Look for** the slopes at the right, 1 for one-sided and 2 for central quotients: that is Taylor's next term. (By $t_1$
# and $t_2$ there is none, for the prediction is linear in them.) At the left both have the slope −1: rounding, which
# grows like $10^{-16}/h$. A wrong formula would show as a floor that no step gets
# below.
#
# ## Question 3 — the Schur complement (5 points)
#
# Gauss–Newton's normal equations, sorted by cameras and points, are
#
# $$\begin{bmatrix} U & W \\ W^{\mathsf T} & V \end{bmatrix}
#   \begin{bmatrix} \boldsymbol\delta_c \\ \boldsymbol\delta_p \end{bmatrix} =
#   \begin{bmatrix} \mathbf g_c \\ \mathbf g_p \end{bmatrix}, \tag{3}$$
#
# and $V$ consists of 3 × 3 blocks on its diagonal, one a point. Eliminate the points, solve for the cameras, and go
# back. Never build the full $V$: for 22,000 points it would have 35 GB. (No damping here: what comes in is regular.)


# %% tags=["stub"]
def schur_solve(U, W, V, g_c, g_p):
    """Solve Eq. (3) by eliminating the points.

    U: (C, C); W: (C, 3 N); V: (N, 3, 3), the blocks; g_c: (C,); g_p: (3 N,). Returns the tuple (d_c, d_p) of shapes
    (C,) and (3 N,).
    """
    raise NotImplementedError


# %% tags=["solution"]
def schur_solve(U, W, V, g_c, g_p):
    """Solve Eq. (3) by eliminating the points.

    U: (C, C); W: (C, 3 N); V: (N, 3, 3), the blocks; g_c: (C,); g_p: (3 N,). Returns the tuple (d_c, d_p) of shapes
    (C,) and (3 N,).
    """
    N, C = len(V), len(U)
    inverse = np.linalg.inv(V)
    WV = np.einsum("cpk,pkl->cpl", W.reshape(C, N, 3), inverse).reshape(C, 3 * N)
    d_c = np.linalg.solve(U - WV @ W.T, g_c - WV @ g_p)
    d_p = np.einsum("pkl,pl->pk", inverse, (g_p - W.T @ d_c).reshape(N, 3)).ravel()
    return d_c, d_p


# %%
check("q3")

# %% [markdown]
# Your three functions are a bundle adjustment. Marquardt's damping (the diagonal enlarged by a millionth) takes care of
# the seven free directions.


# %%
def adjust_once(R, t, X, view, point, x, damping=1e-6):
    """One step of bundle adjustment; damping relative to the diagonal."""
    A, B = blocks(F, R, t, X, view, point)
    e = x - predict(F, R, t, X, view, point)
    U, V, W = np.zeros((len(R), 6, 6)), np.zeros((len(X), 3, 3)), np.zeros((len(R), len(X), 6, 3))
    g_c, g_p = np.zeros((len(R), 6)), np.zeros((len(X), 3))
    np.add.at(U, view, A.mT @ A)
    np.add.at(V, point, B.mT @ B)
    np.add.at(W, (view, point), A.mT @ B)
    np.add.at(g_c, view, np.einsum("kai,ka->ki", A, e))
    np.add.at(g_p, point, np.einsum("kai,ka->ki", B, e))
    full = np.zeros((len(R), 6, len(R), 6))
    full[np.arange(len(R)), :, np.arange(len(R))] = U * (1 + damping * np.eye(6))
    wide = W.transpose(0, 2, 1, 3).reshape(6 * len(R), -1)
    size = 6 * len(R)
    d_c, d_p = schur_solve(full.reshape(size, size), wide, V * (1 + damping * np.eye(3)), g_c.ravel(), g_p.ravel())
    d_c = d_c.reshape(-1, 6)
    return np.array([turn(w) for w in d_c[:, :3]]) @ R, t + d_c[:, 3:], X + d_p.reshape(-1, 3)


# %% [markdown]
# Cameras and points of an arc, disturbed at random; the RMS residual after each step. How many steps will it need, and
# where does it end for a noise of 0.5 px?


# %%
def adjusted(disturbance, noise, views):
    """The scene after 0 … 6 steps, and the RMS distances in pixels."""
    rng = np.random.default_rng(3)
    R, t = arc(views, 60)
    view, point = np.divmod(np.arange(30 * views), 30)
    x = predict(F, R, t, CUBE, view, point) + noise * rng.normal(size=(30 * views, 2))
    scene = R, t + disturbance * rng.normal(size=t.shape), CUBE + disturbance * rng.normal(size=CUBE.shape)
    found = [scene]
    for _ in range(6):
        found.append(adjust_once(*found[-1], view, point, x))
    return found, [np.sqrt(np.mean(np.sum((x - predict(F, *s, view, point)) ** 2, axis=1))) for s in found]


# %% [markdown]
# The figure draws these distances; gray is what the noise alone leaves.


# %%
def show_adjust(disturbance=0.1, noise=0.5, views=5):
    """RMS residual after each step."""
    _, rms = adjusted(disturbance, noise, views)
    expected = noise * np.sqrt(2 * (1 - (6 * views + 90 - 7) / (60 * views)))
    fig, ax = plt.subplots(figsize=(7, 3))
    ax.semilogy(range(7), rms, "o-")
    ax.axhline(expected, color="0.6")
    ax.set(ylim=(0.02, 100), xlabel="steps", ylabel="RMS distance (pixels)")
    ax.set_title(f"from {rms[0]:.1f} to {rms[-1]:.3f} px; the noise leaves {expected:.3f} px")
    return fig


controls.explore(
    show_adjust,
    disturbance=controls.FloatSlider(0.1, min=0.02, max=0.2, step=0.02),
    noise=controls.FloatSlider(0.5, min=0.1, max=2, step=0.1, description="noise (pixels)"),
    views=controls.IntSlider(5, min=3, max=8),
)

# %% [markdown]
# **Look for** two or three steps, and then nothing more: near the minimum Gauss–Newton converges almost quadratically, as
# the residuals are small. It ends near the gray line $\sigma\sqrt{2(1 - p/2M)}$, with $M$ observations, $2M$ equations
# and $p = 6n + 3N - 7$ unknowns for $n$ cameras and $N$ points: the seven free directions swallow no noise.
#
# ## Question 4 — grading up to a similarity (5 points)
#
# A reconstruction may lie anywhere, turned, and of any size. Before it is compared with the truth $\mathbf q_j$, its
# points $\mathbf p_j$ are moved by the similarity that brings them nearest,
#
# $$\min_{s > 0,\ \det R = +1,\ \mathbf t}\ \sum_j \lVert \mathbf q_j - (s\,R\,\mathbf p_j + \mathbf t)\rVert^2. \tag{4}$$
#
# With both sets about their means the best $R$ is found from the singular value decomposition of $\sum_j \mathbf q_j
# \mathbf p_j^{\mathsf T}$; mind the mirror.


# %% tags=["stub"]
def similarity(src, dst):
    """Find the similarity that brings points nearest to others, Eq. (4).

    src, dst: (N, 3), N >= 3, not on a line. Returns the tuple (s, R, t): a number > 0, and arrays of shape (3, 3)
    and (3,).
    """
    raise NotImplementedError


def grade(X, truth):
    """Tell how far a reconstruction is from the truth, apart from a similarity.

    X, truth: (N, 3). Returns the root of the mean squared distance after alignment, in units of the truth.
    """
    raise NotImplementedError


# %% tags=["solution"]
def similarity(src, dst):
    """Find the similarity that brings points nearest to others, Eq. (4).

    src, dst: (N, 3), N >= 3, not on a line. Returns the tuple (s, R, t): a number > 0, and arrays of shape (3, 3)
    and (3,).
    """
    p, q = src - src.mean(axis=0), dst - dst.mean(axis=0)
    U, S, Vt = np.linalg.svd(q.T @ p)
    signs = np.array([1, 1, np.sign(np.linalg.det(U @ Vt))])
    R = U @ np.diag(signs) @ Vt
    s = np.sum(S * signs) / np.sum(p**2)
    return s, R, dst.mean(axis=0) - s * R @ src.mean(axis=0)


def grade(X, truth):
    """Tell how far a reconstruction is from the truth, apart from a similarity.

    X, truth: (N, 3). Returns the root of the mean squared distance after alignment, in units of the truth.
    """
    s, R, t = similarity(X, truth)
    return np.sqrt(np.mean(np.sum((s * X @ R.T + t - truth) ** 2, axis=1)))


# %%
check("q4")

# %% [markdown]
# The adjustment of question 3, put into another world and then graded by you; and the same points in a mirror.


# %%
def show_grade(scale=2.0, turn_deg=40, mirrored=False, aligned=False):
    """A reconstruction and the truth, from above, before or after alignment."""
    scenes, _ = adjusted(0.1, 0.5, 5)
    X = scenes[-1][2] * ((1, 1, -1) if mirrored else (1, 1, 1))
    X = scale * X @ turn(np.array([0, np.radians(turn_deg), 0])).T + [1.5, 0, 0.5]
    mark = grade(X, CUBE)
    if aligned:
        s, R, t = similarity(X, CUBE)
        X = s * X @ R.T + t
    fig, ax = plt.subplots(figsize=(5, 4.2))
    ax.plot(CUBE[:, 0], CUBE[:, 2], "o", mfc="none", ms=8, label="truth")
    ax.plot(X[:, 0], X[:, 2], ".", color=figures.COLORS["red"], label="reconstruction")
    ax.set(xlim=(-4, 5), ylim=(-4, 4.5), aspect="equal", xlabel="x", ylabel="z")
    raw = np.sqrt(np.mean(np.sum((X - CUBE) ** 2, axis=1)))
    ax.set_title(f"as drawn off by {raw:.3f}; your grade {mark:.3f}")
    ax.legend(loc="upper left")
    return fig


controls.explore(
    show_grade,
    scale=controls.FloatSlider(2.0, min=0.2, max=3, step=0.1),
    turn_deg=controls.IntSlider(40, min=-180, max=180, step=10, description="turn (degrees)"),
    mirrored=controls.ToggleButtons(value=False, options=[("as it is", False), ("mirrored", True)]),
    aligned=controls.ToggleButtons(value=False, options=[("before", False), ("after alignment", True)]),
)

# %% [markdown]
# **Look for** a grade that moves with neither scale nor turn, and that a mirror makes a hundred times worse.
#
# ## Question 5 — a camera among wrong matches (5 points, your own way)
#
# One photograph more. The reconstruction gives the points, matching gives their pixels, but up to 40 % of the matches
# are wrong, anywhere in the picture. Place the camera. How, is up to you: RANSAC with six points and the DLT of
# lecture 14 will do, if you make a rotation of what comes out, see to it that the points lie in front, and fit once more
# to all inliers. Correct pixels have a noise of about half a pixel.
#
# Two tools that you may use, in pixels counted from the principal point; the second one stands on your question 2:


# %%
def errors_of(f, R, t, X, x):
    """Distances in pixels; infinite behind the camera."""
    p = X @ R.T + t
    ahead = p[:, 2] > 0
    return np.where(ahead, np.linalg.norm(f * p[:, :2] / np.where(ahead, p[:, 2], 1)[:, None] - x, axis=1), np.inf)


def polished(f, R, t, X, x):
    """One Gauss-Newton step in the six numbers of the pose."""
    view, point = np.zeros(len(X), int), np.arange(len(X))
    J = blocks(f, R[None], t[None], X, view, point)[0].reshape(-1, 6)
    step = np.linalg.lstsq(J, (x - predict(f, R[None], t[None], X, view, point)).ravel())[0]
    return turn(step[:3]) @ R, t + step[3:]


# %% [markdown]
# The rest is yours:


# %% tags=["stub"]
def locate(K, X, x):
    """Find the pose of a camera from points and pixels, of which up to 40 % are wrong.

    K: (3, 3); X: (N, 3), N >= 40; x: (N, 2) pixels (with the principal point of K). Returns the tuple (R, t): a
    rotation of shape (3, 3), and (3,), with X_cam = R X + t.
    """
    raise NotImplementedError


# %% tags=["solution"]
def linear_pose(f, X, x, sample):
    """DLT from some points, then the nearest rotation."""
    T = homogeneous.normalizer(X[sample])
    q, m = homogeneous.to_homogeneous(homogeneous.transform_points(T, X[sample])), x[sample] / f
    A = np.concatenate([np.kron([1, 0, -u], p) if k == 0 else np.kron([0, 1, -u], p)
                        for k in (0, 1) for u, p in zip(m[:, k], q)]).reshape(-1, 12)  # fmt: skip
    P = np.linalg.svd(A)[2][-1].reshape(3, 4) @ T
    P = P * np.sign(np.linalg.det(P[:, :3]))
    U, S, Vt = np.linalg.svd(P[:, :3])
    return U @ Vt, P[:, 3] / S.mean()


def locate(K, X, x):
    """Find the pose of a camera from points and pixels, of which up to 40 % are wrong.

    K: (3, 3); X: (N, 3), N >= 40; x: (N, 2) pixels (with the principal point of K). Returns the tuple (R, t): a
    rotation of shape (3, 3), and (3,), with X_cam = R X + t.
    """
    x = homogeneous.transform_points(np.linalg.inv(K), x) * K[0, 0]  # ideal pixels: K = diag(f, f, 1)
    rng, best, most = np.random.default_rng(0), None, -1
    for _ in range(300):
        pose = linear_pose(K[0, 0], X, x, rng.choice(len(X), 6, replace=False))
        n = (errors_of(K[0, 0], *pose, X, x) < 4).sum()
        best, most = (pose, n) if n > most else (best, most)
    for _ in range(10):
        good = np.flatnonzero(errors_of(K[0, 0], *best, X, x) < 4)
        best = polished(K[0, 0], *best, X[good], x[good])
    return best


# %%
check("q5")


# %% [markdown]
# Sixty points, some of their matches wrong. The title says how far your camera stands from the true one.


# %%
def show_locate(wrong_percent=30, noise=0.5, seed=1):
    """Residuals of your camera: right matches, and wrong ones."""
    rng = np.random.default_rng(seed)
    X, K = rng.uniform(-1, 1, (60, 3)), np.array([[F, 0, 320], [0, F, 240], [0, 0, 1]])
    R, t = turn(np.array([0.2, -0.5, 0.1])), np.array([0.2, -0.1, 5])
    x = homogeneous.from_homogeneous((X @ R.T + t) @ K.T) + noise * rng.normal(size=(60, 2))
    wrong = rng.permutation(60)[: 60 * wrong_percent // 100]
    x[wrong] = rng.uniform((0, 0), (640, 480), (len(wrong), 2))
    found_R, found_t = locate(K, X, x)
    seen = homogeneous.from_homogeneous((X @ found_R.T + found_t) @ K.T)
    fig, ax = plt.subplots(figsize=(5.6, 4.4))
    ax.plot(*np.stack([x, seen], axis=1)[wrong].T, "-", color=figures.COLORS["orange"], lw=0.8)
    ax.plot(*x.T, ".", color=figures.COLORS["blue"], label="matched")
    ax.plot(*seen.T, "o", mfc="none", ms=8, color=figures.COLORS["red"], label="predicted")
    ax.set(xlim=(0, 640), ylim=(480, 0), aspect="equal")
    off = np.linalg.norm(found_R.T @ found_t - R.T @ t)
    ax.set_title(f"{len(wrong)} of 60 wrong: the camera stands {off:.3f} units off")
    ax.legend(loc="upper right")
    return fig


controls.explore(
    show_locate,
    wrong_percent=controls.IntSlider(30, min=0, max=60, step=5, description="wrong (%)"),
    noise=controls.FloatSlider(0.5, min=0, max=2, step=0.25, description="noise (pixels)"),
    seed=controls.IntSlider(1, min=0, max=9),
)

# %% [markdown]
# **Look for** an error that hardly depends on the share of wrong matches up to 50 % or so, and for the place where it
# breaks: with 60 % wrong, a sample of six is clean with a chance of $0.4^6 = 0.4$ %, and 300 rounds have one with 70 %.
#
# ## Question 6 — in words (4 points, marked by hand)
#
# 1. Count equations and unknowns for $m$ calibrated views of $n$ points, all seen in all views, and say which seven
#    numbers you subtract. How many points do three views need? What changes in the count if you are told the distance
#    between two of the points?
# 2. Two students reconstruct the same building. Their RMS residuals are 0.4 px and 0.4 px, their point clouds differ by
#    a factor of 1.7 and a turn. A third has a cloud that is the mirror image, with an RMS of 0.4 px, and says it is as
#    good. Who can be right, and how does the third one's error show in the depths?
# 3. Why does bundle adjustment eliminate the points and not the cameras, and when would you do the opposite?

# %% [markdown] tags=["stub", "text:q6"]
# **Answer q6:** (write here)

# %% [markdown] tags=["solution", "text:q6"]
# **Answer q6:**
#
# 1. $2mn$ equations; $6m + 3n - 7$ unknowns. The seven are a rotation (3), a shift (3) and the scale (1) of the whole
#    world, which no pixel tells. For three views $6n \ge 18 + 3n - 7$, so $n \ge 11/3$: four points. A known distance
#    is one equation more, and it fixes the scale: six free directions remain.
# 2. The first two can both be right: scale and turn are free, so compare only after alignment. The third is not a
#    similarity of theirs: a reflection has determinant −1, and $\mathbf X_{cam}$ of the mirrored points is not a
#    positive multiple of the old one for any rotation. To have the same pixels, points must lie behind the cameras
#    (for instance all signs reversed, $-\mathbf X_{cam}$): the depths $Z_c$ are negative. (For *affine* cameras, which
#    have no depth, the mirror image in depth would fit.)
# 3. A point meets only its own observations, so its block $V$ is 3 × 3 and its elimination is cheap and links only the
#    cameras that see it; and there are many more points than cameras, so what remains is small: $6m$ instead of $3n$.
#    With few points and very many cameras (a long video of ten markers) it is the other way round: eliminate the
#    cameras, 6 × 6 blocks, and solve for $3n$.
