# %% [markdown]
# # Exercise 11 — Cameras and projection
#
# You photograph points of the world, read from a bare 3 × 4 matrix where the camera stands and what is in front of
# it, aim a camera, take one apart, and find out in whose conventions a pose was written down. It goes with [lecture
# 11](../11_cameras.ipynb).
#
# | question | what it examines | points |
# |---|---|---|
# | 1 | from the world to the pixel; what the picture shows | 6 |
# | 2 | what the matrix alone tells: the centre, and the depths | 6 |
# | 3 | building a camera: field of view, look-at, $P$ | 7 |
# | 4 | taking a camera apart | 6 |
# | 5 | a pose in unknown conventions | 5 |
# | 6 | in words (marked by hand) | 4 |
#
# **How it works.** Replace `raise NotImplementedError` in each function and run `check("q1")` below it, as often as
# you like: it says what holds, what does not, and which common slip it looks like. The same checks give the points,
# on other random data.
#
# **Rules.** All of NumPy is allowed, `np.linalg` too. `cvcourse.homogeneous`, `cvcourse.cameras`, the modules of
# later lectures, SciPy, scikit-image and OpenCV are not. A function leaves its arguments as they are. Later questions
# may use earlier ones. Until a function is written, the cells that draw with it stop with `NotImplementedError`; that
# is meant.

# %%
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np

from cvcourse import checks, controls, figures

check = checks.exercise("11_cameras")
blue, orange, green, red = (figures.COLORS[name] for name in ("blue", "orange", "green", "red"))

# %% [markdown]
# **Conventions.** The camera's axes are x right, y **down**, z forward; so is our world, whose floor is at $Y = 0$
# and whose roofs have $Y < 0$. $K$ is upper triangular, $R$ a rotation whose **rows** are the camera's axes in the
# world, $\mathbf c$ the place of the camera. Pixels are (x, y), with whole numbers at the pixels' centres. Angles are
# in radians.
#
# The figures show a small house: its edges, as pairs of world points in metres.

# %%
LEFT_WALL = [(-2, 0, -1.5), (-2, -2.5, -1.5), (-2, -4, 0), (-2, -2.5, 1.5), (-2, 0, 1.5)]
RIGHT_WALL = [(2, y, z) for _, y, z in LEFT_WALL]
DOOR = [(0.3, 0, -1.5), (0.3, -2, -1.5), (1.3, -2, -1.5), (1.3, 0, -1.5)]
EDGES = [edge for wall in (LEFT_WALL, RIGHT_WALL) for edge in zip(wall, wall[1:] + wall[:1])]
EDGES += [*zip(LEFT_WALL, RIGHT_WALL), *pairwise(DOOR)]
HOUSE = np.array(EDGES, dtype=float)  # shape (18, 2, 3)
SHAPE = (300, 400)  # of all pictures: rows, columns


def draw_edges(ax, x, chosen, colour):
    """Draw the chosen edges: x holds their ends in the picture, shape (M, 2, 2)."""
    for edge in x[chosen]:
        ax.plot(*edge.T, color=colour, lw=1.5)


def draw_frame(ax, margin=0):
    """Draw the border of the picture, with y pointing down, and some room around it."""
    height, width = SHAPE
    ax.add_patch(plt.Rectangle((-0.5, -0.5), width, height, fc="none", ec="0.5"))
    ax.set(xlim=(-margin - 4, width + margin + 4), ylim=(height + margin + 4, -margin - 4), aspect="equal")


# %% [markdown]
# ## Question 1 — from the world to the pixel (6 points)
#
# First into the camera's coordinates, then through $K$, then the division:
#
# $$\mathbf X_{\text{cam}} = R\,(\mathbf X - \mathbf c) = R\,\mathbf X + \mathbf t,\quad \mathbf t = -R\,\mathbf c;
#   \qquad \begin{pmatrix} u \\ v \\ w \end{pmatrix} = K\,\mathbf X_{\text{cam}},
#   \qquad (x, y) = \Bigl(\frac uw,\ \frac vw\Bigr). \tag{1}$$
#
# $K$ ends in the row $(0, 0, 1)$, so $w = Z_{\text{cam}}$ is the **depth**: how far in front of the camera the point
# is, along the view. Behind the camera it is negative; Eq. (1) gives a pixel all the same, and so shall the first
# function, together with the depth. The second function then says which points the picture shows: those in front
# whose pixel is inside. An image of $W$ columns reaches from $-0.5$ to $W - 0.5$, for its pixels have a width.


# %% tags=["stub"]
def photograph(K, R, c, X):
    """Project world points to pixels by Eq. (1), and give their depths.

    K, R : (3, 3) arrays of floats.  c : (3,) array, the centre of the camera.
    X : array of floats or integers, shape (..., 3); for example (3,), (N, 3) or (M, 2, 3).  No depth is 0.
    Returns two arrays of floats: pixels (x, y) of shape (..., 2), and depths of shape (...), in the unit of X.
    """
    raise NotImplementedError


def in_picture(x, depth, shape):
    """Tell which points the picture shows.

    x : (..., 2) array of pixels (x, y).  depth : (...) array.  shape : (rows, columns) of the image.
    Returns an array of bools of the shape of depth.  (No x or y is within 1e-6 of the border.)
    """
    raise NotImplementedError


# %% tags=["solution"]
def photograph(K, R, c, X):
    """Project world points to pixels by Eq. (1), and give their depths.

    K, R : (3, 3) arrays of floats.  c : (3,) array, the centre of the camera.
    X : array of floats or integers, shape (..., 3); for example (3,), (N, 3) or (M, 2, 3).  No depth is 0.
    Returns two arrays of floats: pixels (x, y) of shape (..., 2), and depths of shape (...), in the unit of X.
    """
    X_cam = (X - c) @ R.T
    uvw = X_cam @ K.T
    return uvw[..., :2] / uvw[..., 2:], X_cam[..., 2]


def in_picture(x, depth, shape):
    """Tell which points the picture shows.

    x : (..., 2) array of pixels (x, y).  depth : (...) array.  shape : (rows, columns) of the image.
    Returns an array of bools of the shape of depth.  (No x or y is within 1e-6 of the border.)
    """
    rows, columns = shape
    inside = (x > -0.5) & (x < np.array([columns, rows]) - 0.5)
    return inside.all(axis=-1) & (depth > 0)


# %%
check("q1")

# %% [markdown]
# Walk up to the house, through it, and look around. Edges with both ends in front of the camera are blue, those with
# both behind it are dashed orange; edges that pass beside the camera are left out. Green dots are the ends that your
# `in_picture` finds.


# %%
def show_walk(z=-9.1, yaw_deg=0, focal=320):
    """The house from a camera 1.6 m above the floor, at (0, -1.6, z), turned to the right by a yaw."""
    cos, sin = np.cos(np.radians(yaw_deg)), np.sin(np.radians(yaw_deg))
    R = np.array([[cos, 0, -sin], [0, 1, 0], [sin, 0, cos]])
    K = np.array([[focal, 0, 199.5], [0, focal, 149.5], [0, 0, 1]])
    x, depth = photograph(K, R, np.array([0, -1.6, z]), HOUSE)
    shown = in_picture(x, depth, SHAPE)
    fig, ax = plt.subplots(figsize=(6.4, 4.6))
    draw_frame(ax, margin=80)
    draw_edges(ax, x, (depth > 0).all(axis=1), blue)
    for edge in x[(depth < 0).all(axis=1)]:
        ax.plot(*edge.T, "--", color=orange, lw=1.5)
    ax.plot(*x[shown].T, "o", color=green, ms=4)
    ax.set_title(f"{np.sum(depth > 0)} of {depth.size} ends in front, {np.sum(shown)} in the picture")
    return fig


# %% [markdown]
# At $z = 2.15$ the camera has walked through the house and stands 0.65 m beyond it. What will Eq. (1) make of the
# house then? And what will be in the picture if the camera then turns round?

# %%
controls.explore(
    show_walk,
    z=controls.FloatSlider(-9.1, min=-14.1, max=4.15, step=0.25, description="camera's z (m)"),
    yaw_deg=controls.IntSlider(0, min=-180, max=180, step=5, description="yaw (°)"),
    focal=controls.IntSlider(320, min=100, max=800, step=20, description="focal length (px)"),
)

# %% [markdown]
# **Look for** the orange house at $z = 2.15$: it hangs upside down, and the door, on the right when seen from outside,
# is on the left. With a yaw of 180° the door is on the left as well, and the house upright: so the orange house is
# not what one sees after turning round, nor that picture turned by 180°, but its mirror image. No pixel says that
# these points were never seen; only the depth does.
#
# ## Question 2 — what the matrix alone tells (6 points)
#
# All of Eq. (1) in one matrix: $(u, v, w)^{\mathsf T} \sim P\,(X, Y, Z, 1)^{\mathsf T}$. Somebody gives you $P$ only,
# and $P$ is **any multiple** of $K\,[R \mid \mathbf t]$, also a negative one. It has one more column than rows, so
# there is a point $\mathbf C$ that gets no pixel, $P\,\mathbf C = \mathbf 0$: the centre of the camera. Find it as
# the null vector of $P$, which `np.linalg.svd` knows, and bring it to the standard form
#
# $$(X, Y, Z, w) \;\to\; \begin{cases} (X/w,\ Y/w,\ Z/w,\ 1) & \text{if } |w| > 10^{-9}\sqrt{X^2 + Y^2 + Z^2}, \\
#   (X, Y, Z, 0) / \sqrt{X^2 + Y^2 + Z^2} & \text{else.} \end{cases} \tag{2}$$
#
# The second case is a **parallel projection**: a camera infinitely far away, in the direction $(X, Y, Z)$ or its
# opposite. Then $M$, the left 3 × 3 block of $P$, is singular.


# %% tags=["stub"]
def find_centre(P):
    """Find the centre of a camera as the null vector of its matrix, in the standard form of Eq. (2).

    P : (3, 4) array of floats of rank 3; any multiple of a matrix gives the same centre.
    Returns an array of 4 numbers that ends in 1, or in 0 if the centre is at infinity (sign free then).
    """
    raise NotImplementedError


# %% tags=["solution"]
def find_centre(P):
    """Find the centre of a camera as the null vector of its matrix, in the standard form of Eq. (2).

    P : (3, 4) array of floats of rank 3; any multiple of a matrix gives the same centre.
    Returns an array of 4 numbers that ends in 1, or in 0 if the centre is at infinity (sign free then).
    """
    C = np.linalg.svd(P)[2][3]
    length = np.linalg.norm(C[:3])
    if abs(C[3]) > 1e-9 * length:
        return C / C[3]
    return np.append(C[:3] / length, 0)


# %% [markdown]
# Now the depths. In Eq. (1) $w$ was the depth; for $\lambda K\,[R \mid \mathbf t]$ it is $\lambda$ times the depth.
# Which entries of $P$ tell $|\lambda|$? And which number that you can compute from $M = \lambda K R$ has the sign of
# $\lambda$? (The diagonal of $K$ is positive, $\det R = +1$.)


# %% tags=["stub"]
def depths(P, X):
    """Measure how deep points lie along the view of a camera, negative behind it.

    P : (3, 4) array of floats, any positive or negative multiple of K [R | t].  X : (N, 3) array of floats.
    Returns an array of N numbers, in the unit of X; they do not depend on the multiple.
    """
    raise NotImplementedError


# %% tags=["solution"]
def depths(P, X):
    """Measure how deep points lie along the view of a camera, negative behind it.

    P : (3, 4) array of floats, any positive or negative multiple of K [R | t].  X : (N, 3) array of floats.
    Returns an array of N numbers, in the unit of X; they do not depend on the multiple.
    """
    M = P[:, :3]
    w = X @ M[2] + P[2, 3]
    return np.sign(np.linalg.det(M)) * w / np.linalg.norm(M[2])


# %%
check("q2")

# %% [markdown]
# A camera walks away from the house along $-z$, and its focal length grows with the distance $d$ so that the house
# keeps its size. Up to a factor its matrix has the entries $g$, $g$ and $1/d$ on the diagonal of $M$, with
# $g = f/d$: so we can walk to $1/d = 0$, and beyond.


# %%
def show_retreat(per_metre=0.12):
    """The house and a plan seen from above, for a camera at z = -1 / per_metre."""
    per_metre = round(per_metre, 6) + 0.0
    P = np.array([[40, 0, 199.5 * per_metre, 199.5], [0, 40, 220 * per_metre, 220], [0, 0, per_metre, 1.0]])
    uvw = HOUSE @ P[:, :3].T + P[:, 3]
    fig, (left, right) = plt.subplots(1, 2, figsize=(8, 3.6), width_ratios=[1.3, 1])
    draw_frame(left)
    draw_edges(left, uvw[..., :2] / uvw[..., 2:], np.full(len(HOUSE), True), blue)
    C = np.round(find_centre(P), 6) + 0.0
    place = f"({C[0]:.1f}, {C[1]:.1f}, {C[2]:.1f})"
    left.set_title(f"1/d = {per_metre:g} per metre\ncentre {place}" + ("" if C[3] else " × infinity"))
    draw_edges(right, HOUSE[..., [0, 2]], np.full(len(HOUSE), True), "0.4")
    right.set(xlim=(-11, 11), ylim=(-22, 22), aspect="equal", xlabel="X (m)", ylabel="Z (m)")
    if C[3]:
        right.plot(C[0], C[2], "o", color=orange, ms=9)
        deep = depths(P, HOUSE.reshape(-1, 3)) + 0.0
        right.set_title(f"depths {deep.min():.1f} to {deep.max():.1f} m")
    return fig


# %% [markdown]
# What does the picture look like at $1/d = 0$? Beyond it, at negative $1/d$, Eq. (1) draws a house as well: which of
# its walls is the larger one, and where is the camera?

# %%
controls.explore(
    show_retreat, per_metre=controls.FloatSlider(0.12, min=-0.24, max=0.24, step=0.01, description="1/d (per metre)")
)

# %% [markdown]
# **Look for** the two walls with the door and without: at $1/d = 0$ they coincide, in a drawing as architects make
# them, and the centre is $(0, 0, \pm 1) \times$ infinity. With negative $1/d$ the *far* wall is the larger one. Your
# functions explain why: the centre comes back from infinity on the other side, and all depths are negative. The
# camera stands beyond the house with its back to it, and no real one takes this picture.
#
# ## Question 3 — building a camera (7 points)
#
# **Inside.** Let the pixels be square, and the principal point in the middle of the image. A field of view $\varphi$
# from the left border to the right one, $W$ pixels apart, makes a triangle with half the width and the focal length:
#
# $$\tan\frac{\varphi}{2} = \frac{W/2}{f}, \qquad K = \begin{pmatrix} f & 0 & c_x \\ 0 & f & c_y \\ 0 & 0 & 1
#   \end{pmatrix}. \tag{3}$$
#
# Mind what Question 1 says about the borders: where is the middle of an image of one single pixel?
#
# **Outside.** The camera at $\mathbf c$ shall look at a target, and shall not be tilted sideways: the direction
# $\mathbf g$ (of gravity) has no part to the right or left in the picture, and points down in it. So
#
# $$\mathbf z = \frac{\text{target} - \mathbf c}{\lVert\text{target} - \mathbf c\rVert}, \qquad
#   \mathbf x \perp \mathbf z,\ \mathbf x \perp \mathbf g, \qquad \mathbf x \times \mathbf y = \mathbf z,
#   \qquad R = \begin{pmatrix} \mathbf x^{\mathsf T} \\ \mathbf y^{\mathsf T} \\ \mathbf z^{\mathsf T}
#   \end{pmatrix}. \tag{4}$$
#
# Derive $\mathbf x$ and $\mathbf y$ as cross products; their order decides between a rotation and a mirror.
# $\mathbf g$ is neither of length 1 nor at right angles to the view.


# %% tags=["stub"]
def intrinsics_for(shape, fov):
    """Make K for a field of view, with square pixels and the principal point in the middle, Eq. (3).

    shape : (rows, columns) of the image.  fov : horizontal field of view in radians, between 0 and pi.
    Returns a (3, 3) array of floats.
    """
    raise NotImplementedError


def aim(c, target, down=(0.0, 1.0, 0.0)):
    """Make the rotation of a camera at c that has the target in the middle and stands upright, Eq. (4).

    c, target : (3,) arrays, world points, not the same.  down : 3 numbers of any length, a direction of
    the world, not along the view.
    Returns a (3, 3) array of floats with determinant +1.
    """
    raise NotImplementedError


# %% tags=["solution"]
def intrinsics_for(shape, fov):
    """Make K for a field of view, with square pixels and the principal point in the middle, Eq. (3).

    shape : (rows, columns) of the image.  fov : horizontal field of view in radians, between 0 and pi.
    Returns a (3, 3) array of floats.
    """
    rows, columns = shape
    f = columns / 2 / np.tan(fov / 2)
    return np.array([[f, 0, (columns - 1) / 2], [0, f, (rows - 1) / 2], [0, 0, 1]])


def aim(c, target, down=(0.0, 1.0, 0.0)):
    """Make the rotation of a camera at c that has the target in the middle and stands upright, Eq. (4).

    c, target : (3,) arrays, world points, not the same.  down : 3 numbers of any length, a direction of
    the world, not along the view.
    Returns a (3, 3) array of floats with determinant +1.
    """
    z = target - c
    x = np.cross(down, z)
    y = np.cross(z, x)
    return np.array([axis / np.linalg.norm(axis) for axis in (x, y, z)])


# %% [markdown]
# **Both.** $P = K\,[R \mid \mathbf t]$; where the camera stands is $\mathbf c$, not $\mathbf t$.


# %% tags=["stub"]
def camera_for(K, R, c):
    """Make the matrix of a camera.

    K, R : (3, 3) arrays.  c : (3,) array, where the camera stands in the world.
    Returns P, a (3, 4) array of floats (not scaled).
    """
    raise NotImplementedError


# %% tags=["solution"]
def camera_for(K, R, c):
    """Make the matrix of a camera.

    K, R : (3, 3) arrays.  c : (3,) array, where the camera stands in the world.
    Returns P, a (3, 4) array of floats (not scaled).
    """
    return K @ np.column_stack([R, -R @ c])


# %%
check("q3")

# %% [markdown]
# On the plan you can drag the camera A and the target B. The picture on the right is made with the $P$ of your three
# functions; an edge is drawn if its ends are in front of the camera. The camera is `up` metres above the floor and
# looks at a point 2 m above the floor.


# %%
def show_photographer(places=((5, -9), (0, 0)), fov_deg=50, up=1.6):
    """A plan with the camera and its target, and the picture that it takes."""
    (cx, cz), (tx, tz) = places
    c, target = np.array([cx, -up, cz]), np.array([tx, -2.0, tz])
    fig, (plan, picture) = plt.subplots(1, 2, figsize=(8, 3.8), width_ratios=[1, 1.25])
    draw_edges(plan, HOUSE[..., [0, 2]], np.full(len(HOUSE), True), "0.4")
    plan.set(xlim=(-12, 12), ylim=(-14, 12), aspect="equal", xlabel="X (m)", ylabel="Z (m)")
    draw_frame(picture)
    if np.hypot(tx - cx, tz - cz) < 1e-9:
        picture.set_title("A and B are in one place")
        return fig
    K, R = intrinsics_for(SHAPE, np.radians(fov_deg)), aim(c, target)
    for side in (-0.5, SHAPE[1] - 0.5):
        ray = R.T @ np.linalg.inv(K) @ [side, K[1, 2], 1]
        plan.plot([cx, cx + 30 * ray[0]], [cz, cz + 30 * ray[2]], color=orange, lw=1)
    uvw = HOUSE @ camera_for(K, R, c)[:, :3].T + camera_for(K, R, c)[:, 3]
    front = (uvw[..., 2] > 1e-9).all(axis=1)
    x = np.where(front[:, None, None], uvw[..., :2] / np.where(front[:, None, None], uvw[..., 2:], 1), np.nan)
    draw_edges(picture, x, front, blue)
    picture.set_title(f"f = {K[0, 0]:.0f} pixels; {np.linalg.norm(target - c):.1f} m to B")
    return fig


# %% [markdown]
# Put A so that the house is as large in the picture at 100° as it is at first at 50°. What has changed?

# %%
controls.explore(
    show_photographer,
    places=controls.Points([(5, -9), (0, 0)], bounds=(-11, -13, 11, 11), step=0.5, labels=("A", "B")),
    fov_deg=controls.IntSlider(50, min=15, max=120, step=5, description="field of view (°)"),
    up=controls.FloatSlider(1.6, min=0.2, max=8, step=0.2, description="camera up (m)"),
)

# %% [markdown]
# **Look for** the focal length: 429 pixels at 50° and 168 at 100°, so A must come nearer from 10.3 m to about 4 m.
# From there the walls' upper edges run together steeply; from far away, with a narrow view, they are almost parallel.
# The orange rays on the plan belong to the ends of the picture's middle row. With the camera high up it must look
# down, and then the house's upright edges run together too, downwards.
#
# ## Question 4 — taking a camera apart (6 points)
#
# The way back: of $P \sim K\,[R \mid -R\,\mathbf c]$ you know only some multiple, and want $K$, $R$ and $\mathbf c$.
# First a 3 × 3 matrix. Any invertible $M$ is in exactly one way
#
# $$M = U\,Q, \qquad U \text{ upper triangular with a positive diagonal}, \quad Q\,Q^{\mathsf T} = I. \tag{5}$$
#
# $\det Q$ is $+1$ or $-1$, as the sign of $\det M$ demands. NumPy has only `np.linalg.qr`, which finds the factors
# in the other order, $A = Q'\,U'$, and with any signs on the diagonal. Which matrix must you give it? Or proceed by
# Gram–Schmidt from the *last* row: it is a multiple of the last row of $Q$; the middle row of $M$ is made of the last
# two rows of $Q$, and so on.
#
# Then the camera: $U$ is a multiple of $K$, whose last entry is 1. And whichever multiple of $P$ comes, $R$ must be a
# rotation, not a mirror.


# %% tags=["stub"]
def split(M):
    """Split a matrix into an upper triangular and an orthogonal one, Eq. (5).

    M : (3, 3) array of floats, invertible, its determinant of either sign.
    Returns U, Q : (3, 3) arrays with U @ Q = M; U's diagonal is positive, and 0 below it (to rounding).
    """
    raise NotImplementedError


def take_apart(P):
    """Take a camera apart.

    P : (3, 4) array of floats, any positive or negative multiple of K [R | t], not singular.
    Returns K, R, c : K with positive diagonal and K[2, 2] = 1, R with determinant +1, c of shape (3,).
    """
    raise NotImplementedError


# %% tags=["solution"]
def split(M):
    """Split a matrix into an upper triangular and an orthogonal one, Eq. (5).

    M : (3, 3) array of floats, invertible, its determinant of either sign.
    Returns U, Q : (3, 3) arrays with U @ Q = M; U's diagonal is positive, and 0 below it (to rounding).
    """
    q, r = np.linalg.qr(np.linalg.inv(M))  # M^-1 = q r, so M = r^-1 q^T
    signs = np.sign(np.diag(r))
    return np.linalg.inv(r) * signs, signs[:, None] * q.T


def take_apart(P):
    """Take a camera apart.

    P : (3, 4) array of floats, any positive or negative multiple of K [R | t], not singular.
    Returns K, R, c : K with positive diagonal and K[2, 2] = 1, R with determinant +1, c of shape (3,).
    """
    M = P[:, :3]
    K, R = split(np.sign(np.linalg.det(M)) * M)
    return K / K[2, 2], R, -np.linalg.solve(M, P[:, 3])


# %%
check("q4")

# %% [markdown]
# A picture of the house is edited after it was taken, by a homography $T$ of its pixels: cropped on the left,
# enlarged, turned about its corner (0, 0), or slanted. What is seen is then $T P$, times any factor, and your
# `take_apart` says which camera would have taken the edited picture at once.

# %%
K_HOUSE = np.array([[320, 0, 199.5], [0, 320, 149.5], [0, 0, 1]])


def show_edited(crop=0, zoom=1.0, turn_deg=0, slant=0.0, factor=1.0):
    """The house after edits of the picture, and K, R and c of the camera that takes this picture."""
    cos, sin = zoom * np.cos(np.radians(turn_deg)), zoom * np.sin(np.radians(turn_deg))
    turned = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    T = turned @ np.array([[1, slant, -crop], [0, 1, 0], [0, 0, 1]])
    R = np.array([[0.8, 0, 0.6], [0, 1, 0], [-0.6, 0, 0.8]])
    P = factor * T @ K_HOUSE @ np.column_stack([R, -R @ [6.5, -1.6, -8]])
    K, R, c = take_apart(P)
    uvw = HOUSE @ P[:, :3].T + P[:, 3]
    fig, (left, right) = plt.subplots(1, 2, figsize=(8, 3.6), width_ratios=[1.5, 1])
    draw_frame(left)
    draw_edges(left, uvw[..., :2] / uvw[..., 2:], np.full(len(HOUSE), True), blue)
    left.set_title("last row of P: " + ", ".join(f"{number + 0.0:.2f}" for number in P[2].round(6)))
    right.axis("off")
    rows = ["K ="] + ["".join(f"{number + 0.0:8.1f}" for number in row.round(6)) for row in K]
    rows += ["", "R ="] + ["".join(f"{number + 0.0:8.3f}" for number in row.round(6)) for row in R]
    rows += ["", "c =", "".join(f"{number + 0.0:8.2f}" for number in c.round(6))]
    right.text(0, 0.98, "\n".join(rows), family="monospace", va="top", fontsize=10)
    return fig


# %% [markdown]
# Which of the eleven numbers does each control change? Guess before you move it. And is there an edit of the picture
# that makes another $\mathbf c$?

# %%
controls.explore(
    show_edited,
    crop=controls.IntSlider(0, min=-100, max=100, step=10, description="crop (pixels)"),
    zoom=controls.FloatSlider(1.0, min=0.5, max=2, step=0.1),
    turn_deg=controls.IntSlider(0, min=-40, max=40, step=5, description="turn (°)"),
    slant=controls.FloatSlider(0.0, min=-0.5, max=0.5, step=0.05),
    factor=controls.SelectionSlider(options=[-3.0, -1.0, 0.2, 1.0, 5.0], value=1.0),
)

# %% [markdown]
# **Look for** $\mathbf c$, which never moves: no homography of the pixels changes what is hidden behind what. The crop
# moves $c_x$; the zoom multiplies $f_x$, $f_y$ and the principal point; the slant makes skew, and shifts $c_x$ too.
# The turn goes into $R$ as a roll, and carries the principal point round the corner with it. The factor,
# which the title shows, does nothing at all to the camera, nor does its sign.
#
# ## Question 5 — a pose in unknown conventions (5 points)
#
# A file holds a camera's pose as a matrix $A$ and a vector $\mathbf v$, and no word on what they mean. Three
# things are open:
#
# - $A$ turns the world's coordinates to the camera's, or the camera's to the world's (or its author multiplies rows,
#   which is the same);
# - $\mathbf v$ is the translation of Eq. (1), in *that author's* camera axes, or it is the place of the camera;
# - the author's camera has our axes, or x right, y **up**, z **backward**, as OpenGL has them.
#
# Let $B$ be $A$ or $A^{\mathsf T}$, and $S$ be $\operatorname{diag}(1, 1, 1)$ or
# $\operatorname{diag}(1, -1, -1)$. A reading then gives
#
# $$\mathbf X_{\text{cam}} = S\,(B\,\mathbf X + \mathbf v) \qquad\text{or}\qquad
#   \mathbf X_{\text{cam}} = S\,B\,(\mathbf X - \mathbf v). \tag{6}$$
#
# You have $K$, and some points whose pixels were measured. Of the eight readings take the one with the smallest
# error, where the error is the *largest* distance in pixels between a measured point and Eq. (1); the reading must
# have all points in front of the camera, for they were seen. Give the pose in **our** conventions. If the error is
# above `tol`, or $A$ is no rotation (it stretches, or is a mirror), the file is broken: give None.


# %% tags=["stub"]
def read_pose(K, A, v, X, x, tol=2.0):
    """Find out what a pose in a file means, from measured points.

    K, A : (3, 3) arrays.  v : (3,) array.  X : (N, 3) world points, x : (N, 2) their pixels (x, y), N >= 6.
    tol : largest distance in pixels that counts as measuring error; no error is within 10 % of tol.
    Returns R, c in the conventions of Eq. (1): (3, 3) and (3,) arrays; None if no reading fits, if it has points
        behind the camera, if |A A^T - Id| is above 1e-6 in some entry, or if det A < 0.
    """
    raise NotImplementedError


# %% tags=["solution"]
def read_pose(K, A, v, X, x, tol=2.0):
    """Find out what a pose in a file means, from measured points.

    K, A : (3, 3) arrays.  v : (3,) array.  X : (N, 3) world points, x : (N, 2) their pixels (x, y), N >= 6.
    tol : largest distance in pixels that counts as measuring error; no error is within 10 % of tol.
    Returns R, c in the conventions of Eq. (1): (3, 3) and (3,) arrays; None if no reading fits, if it has points
        behind the camera, if |A A^T - Id| is above 1e-6 in some entry, or if det A < 0.
    """
    if np.abs(A @ A.T - np.eye(3)).max() > 1e-6 or np.linalg.det(A) < 0:
        return None
    best, found = tol, None
    for S in (np.diag([1.0, 1, 1]), np.diag([1.0, -1, -1])):
        for B in (A, A.T):
            for c in (v, -B.T @ v):
                again, depth = photograph(K, S @ B, c, X)
                error = np.linalg.norm(again - x, axis=1).max()
                if depth.min() > 0 and error <= best:
                    best, found = error, (S @ B, c)
    return found


# %%
check("q5")

# %% [markdown]
# Seven files with poses for one picture of the house, some of them broken. Orange circles are the measured pixels;
# the blue house is drawn with the pose as your function reads it, and the red one as a careless reader sees it, with
# $R = A$ and $\mathbf t = \mathbf v$, depths unasked.

# %%
C_TRUE = np.array([7.0, -5.2, -7.5])
(sin_yaw, sin_pitch), (cos_yaw, cos_pitch) = np.sin(np.radians([-42, 19])), np.cos(np.radians([-42, 19]))
YAW = np.array([[cos_yaw, 0, -sin_yaw], [0, 1, 0], [sin_yaw, 0, cos_yaw]])
R_TRUE = np.array([[1, 0, 0], [0, cos_pitch, -sin_pitch], [0, sin_pitch, cos_pitch]]) @ YAW
T_TRUE, FLIP = -R_TRUE @ C_TRUE, np.diag([1.0, -1, -1])
FILES = {
    "A": (R_TRUE, T_TRUE),
    "B": (R_TRUE, C_TRUE),
    "C": (R_TRUE.T, C_TRUE),
    "D": (FLIP @ R_TRUE, FLIP @ T_TRUE),
    "E": ((FLIP @ R_TRUE).T, C_TRUE),
    "F": (-R_TRUE, -T_TRUE),
    "G": (2 * R_TRUE, 2 * T_TRUE),
}

# %% [markdown]
# The noise moves each measured pixel by about so much in x and in y; each pixel has its own direction, which stays the
# same when you change the amount.


# %%
def show_file(file="A", noise=0.3, tol=2.0):
    """The measured pixels, the house by the pose that is read from a file, and as a careless reader sees it."""
    A, v = FILES[file]
    X = HOUSE.reshape(-1, 3)
    x = photograph(K_HOUSE, R_TRUE, C_TRUE, X)[0] + noise * np.random.default_rng(11).normal(size=(len(X), 2))
    fig, ax = plt.subplots(figsize=(6.4, 4.6))
    draw_frame(ax, margin=60)
    uvw = (HOUSE @ A.T + v) @ K_HOUSE.T
    beside = np.abs(uvw[..., 2]).min(axis=1) < 1e-9
    draw_edges(ax, uvw[..., :2] / np.where(beside[:, None], 1, uvw[..., 2])[..., None], ~beside, red)
    found = read_pose(K_HOUSE, A, v, X, x, tol)
    if found is not None:
        draw_edges(ax, photograph(K_HOUSE, *found, HOUSE)[0], np.full(len(HOUSE), True), blue)
    ax.plot(*x.T, "o", color=orange, ms=7, mfc="none")
    words = "broken" if found is None else "camera at ({:.1f}, {:.1f}, {:.1f})".format(*found[1])
    ax.set_title(f"file {file}: {words}")
    return fig


# %% [markdown]
# In which files is the red house in the right place? In F and G it is, and still your function should call them
# broken: what would go wrong if it believed them?

# %%
controls.explore(
    show_file,
    file=controls.ToggleButtons(options=list(FILES), value="A"),
    noise=controls.SelectionSlider(options=[0.0, 0.1, 0.3, 1.0, 3.0], value=0.3, description="noise (pixels)"),
    tol=controls.SelectionSlider(options=[0.01, 0.5, 2.0, 5.0, 20.0], value=2.0, description="tol (pixels)"),
)

# %% [markdown]
# **Look for** the camera at (7.0, −5.2, −7.5) in all files from A to E, which hold the same camera in five ways. F is
# a mirror, with everything behind the camera, and G would give depths twice as large: $P$ is known up to its factor,
# and so both have all pixels right. The tolerance must follow the noise here as well: with 3 pixels of noise even
# file A is called broken, until `tol` is far above the noise, because the largest of 36 errors counts.
#
# ## Question 6 — in words (4 points, marked by hand)
#
# 1. The pixels of a reconstruction are all right, but every depth comes out negative. What has happened to $P$, why
#    did no picture show it, and what is to be done?
# 2. A photograph is cropped, enlarged by a factor of 2, and then mirrored left to right. Which of $K$, $R$ and
#    $\mathbf c$ does each step change? Why does no camera take the mirrored picture of the same scene, and what does
#    `take_apart` answer for it?
# 3. Show that a picture can't tell a scene and a camera from a scene and a camera's place that are both $s$ times as
#    large. Nor, if the sensor is unknown, a lens of 25 mm from one of 50 mm. What would you measure to find out each?

# %% [markdown] tags=["stub", "text:q6"]
# **Answer q6:** (write here)

# %% [markdown] tags=["solution", "text:q6"]
# **Answer q6:**
#
# 1. $P$ was multiplied by a negative number. An estimated $P$ (a null vector, say) has a free factor, so a free sign.
#    $(u, v, w)$ and $(-u, -v, -w)$ are one pixel, so the pictures agree to the last digit, and only $w$ as a
#    depth changes its sign. Compute the depth as $\operatorname{sign}(\det M)\,w / \lVert\mathbf m_3\rVert$, or
#    multiply $P$ by $\operatorname{sign}(\det M)$ once. (If then the depths are still negative, the points or the
#    camera themselves are the mirrored solution.)
# 2. Each step is a homography $T$, and $T P\,\mathbf C = \mathbf 0$ still: $\mathbf c$ never changes. The crop moves
#    the principal point; enlarging multiplies the first two rows of $K$ by 2 (and shifts the principal point by half
#    a pixel, if pixel centres are whole numbers); $R$ stays. The mirror would make $f_x$ negative. With a positive
#    diagonal it is $\det(T M) < 0$: `take_apart` turns the sign of the matrix, and gives a camera with the same
#    $\mathbf c$ and a true rotation, which looks the opposite way: all points of the scene are behind it. A real
#    camera sees only what is in front of it, and so takes no picture of this house with its door on the other side.
# 3. $R\,(s\mathbf X - s\mathbf c) = s\,\mathbf X_{\text{cam}}$, and the factor $s$ cancels in $u/w$ and $v/w$; all
#    depths are $s$ times as large. One known length in the scene, or the distance between two places of the camera,
#    settles it. $K$ holds $f$ divided by the width of a pixel: 50 mm with pixels of 10 µm and 25 mm with pixels of
#    5 µm both give 5000. One has to measure the sensor: its width, divided by the number of columns.
