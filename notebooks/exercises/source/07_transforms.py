# %% [markdown]
# # Exercise 07 — 2-D transformations
#
# You carry points and lines through 3 × 3 matrices, join matrices in the right order, and find out to which group a
# map belongs: first from its matrix, then from nothing but measurements. It goes with [lecture
# 7](../07_transforms.ipynb).
#
# | question | what it examines | points |
# |---|---|---|
# | 1 | homogeneous coordinates: dividing by $w$, points at infinity | 5 |
# | 2 | composition: turning about a point, the point that stays | 6 |
# | 3 | lines are carried differently | 5 |
# | 4 | one map, many matrices; the five groups | 6 |
# | 5 | the group from invariants: lengths, areas, cross-ratios | 7 |
# | 6 | in words (marked by hand) | 4 |
#
# **How it works.** Replace `raise NotImplementedError` in each function and run `check("q1")` below it, as often as
# you like: it says what holds, what does not, and which common slip it looks like. The same checks give the points,
# on other random data.
#
# **Rules.** All of NumPy is allowed, `np.linalg` too. `cvcourse.homogeneous`, `cvcourse.transforms`, the modules of
# later lectures, SciPy, scikit-image and OpenCV are not. A function leaves its arguments as they are. Later questions
# may use earlier ones. Until a function is written, the cells that draw with it stop with `NotImplementedError`; that
# is meant.

# %%
import matplotlib.pyplot as plt
import numpy as np

from cvcourse import checks, controls, figures, homogeneous, images

check = checks.exercise("07_transforms")
blue, orange, green, red = (figures.COLORS[name] for name in ("blue", "orange", "green", "red"))

# %% [markdown]
# **Conventions.** Points are (x, y): x to the right, y **down**. Angles are in radians, from +x towards +y, which on
# the screen is clockwise. Matrices stand on the left of **columns**: $\mathbf p' \sim T\,\mathbf p$, where $\sim$
# means equal up to a factor that is not 0.
#
# ## Question 1 — homogeneous coordinates (5 points)
#
# $$\begin{pmatrix} u \\ v \\ w \end{pmatrix} = T \begin{pmatrix} x \\ y \\ 1 \end{pmatrix},
#   \qquad (x', y') = \Bigl(\frac uw,\ \frac vw\Bigr). \tag{1}$$
#
# Nothing is said about the sign of $w$: $(u, v, w)$ and $(-u, -v, -w)$ are one point. Points come one alone, in a
# list, or one for each pixel of an image; what comes out has the shape of what went in. They may also be whole
# numbers, as pixels are. In the first function no point goes to infinity.


# %% tags=["stub"]
def carry(T, points):
    """Carry points to where a map takes them, Eq. (1).

    T : (3, 3) array of floats.  points : array of floats or integers, shape (..., 2), holding (x, y);
    for example (2,), (N, 2) or (H, W, 2).  None of them has w = 0.
    Returns an array of floats of the same shape.
    """
    raise NotImplementedError


# %% tags=["solution"]
def carry(T, points):
    """Carry points to where a map takes them, Eq. (1).

    T : (3, 3) array of floats.  points : array of floats or integers, shape (..., 2), holding (x, y);
    for example (2,), (N, 2) or (H, W, 2).  None of them has w = 0.
    Returns an array of floats of the same shape.
    """
    uvw = points @ T[:, :2].T + T[:, 2]
    return uvw[..., :2] / uvw[..., 2:]


# %% [markdown]
# In homogeneous coordinates infinity is nothing special: $(d_x, d_y, 0)$ is the point at infinity in the direction
# $(d_x, d_y)$. A map may bring it into the picture (a *vanishing point*), and send other points out. The second
# function takes and gives triples of any kind, and brings the results to a standard form:
#
# $$(u, v, w) \;\to\; \begin{cases} (u/w,\ v/w,\ 1) & \text{if } |w| > 10^{-9}\sqrt{u^2 + v^2}, \\
#   (u, v, 0) / \sqrt{u^2 + v^2} & \text{else: over } 10^9 \text{ pixels away is at infinity.} \end{cases} \tag{2}$$
#
# So what rounding makes of a 0 in $w$ is still infinity. The sign of a point at infinity is free, both directions
# lead there.


# %% tags=["stub"]
def carry_any(T, points):
    """Carry homogeneous points, finite or at infinity, and give them in the standard form of Eq. (2).

    T : (3, 3) array of floats.  points : (N, 3) array of floats, each row any multiple of a point, of any
    size and sign; not all three numbers of a row are 0, nor those of its image.
    Returns an (N, 3) array whose last column holds 1 (finite) or 0 (at infinity).
    """
    raise NotImplementedError


# %% tags=["solution"]
def carry_any(T, points):
    """Carry homogeneous points, finite or at infinity, and give them in the standard form of Eq. (2).

    T : (3, 3) array of floats.  points : (N, 3) array of floats, each row any multiple of a point, of any
    size and sign; not all three numbers of a row are 0, nor those of its image.
    Returns an (N, 3) array whose last column holds 1 (finite) or 0 (at infinity).
    """
    uvw = points @ T.T
    length, w = np.hypot(uvw[:, 0], uvw[:, 1]), uvw[:, 2]
    finite = np.abs(w) > 1e-9 * length
    standard = uvw / np.where(finite, w, length)[:, None]
    standard[:, 2] = finite
    return standard


# %%
check("q1")

# %% [markdown]
# A grid of points is seen through a map whose third row is $(g, h, 1)$. Your `carry` places the points, blue where
# $w > 0$ and orange where $w < 0$; your `carry_any` places the crosses, the vanishing points of the two directions of
# the grid. The nine points with $y = 4$, the row nearest to us, are joined in black.


# %%
def show_grid(g=0.0, h=-0.1):
    """A grid of 9 x 9 points and its two vanishing points under a map with the third row (g, h, 1)."""
    T = np.array([[1, 0, 0], [0, 1, 0], [g, h, 1.0]])
    points = np.stack(np.meshgrid(np.arange(-4, 5), np.arange(-4, 5)), axis=-1).reshape(-1, 2)
    w = points @ [g, h] + 1
    fig, ax = plt.subplots(figsize=(6.4, 4))
    for side, colour in [(w > 1e-9, blue), (w < -1e-9, orange)]:
        ax.plot(*carry(T, points[side]).T, ".", color=colour, ms=7)
        ax.plot(*carry(T, points[side & (points[:, 1] == 4)]).T, color="black", lw=1)
    vanishing = carry_any(T, np.array([[1, 0, 0], [0, 1, 0.0]]))
    at = vanishing[vanishing[:, 2] == 1]
    ax.plot(at[:, 0], at[:, 1], "x", color=red, ms=10, mew=2.5)
    names = ["at infinity" if w == 0 else f"({x + 0.0:.1f}, {y + 0.0:.1f})" for x, y, w in vanishing]
    ax.set(xlim=(-16, 16), ylim=(12, -12), aspect="equal", title=f"x direction: {names[0]};  y direction: {names[1]}")
    return fig


# %% [markdown]
# At $g = 0$, $h = -0.1$ the grid looks like a floor. What happens to its near end when $h$ goes below $-0.25$?

# %%
controls.explore(
    show_grid,
    g=controls.FloatSlider(0.0, min=-0.3, max=0.3, step=0.02),
    h=controls.FloatSlider(-0.1, min=-0.4, max=0.4, step=0.02),
)

# %% [markdown]
# **Look for** the vanishing point of the y direction at $(0, 1/h)$; that of the x direction stays at infinity while
# $g = 0$. Below $h = -0.25$ the points with $y = 4$ have $w < 0$ and jump to the other side of the horizon, turned by
# 180° (from $h = -0.34$ on they are in view): a camera would have them behind its back. Eq. (1) gives them a place
# all the same, and it is right to do so.
#
# ## Question 2 — joining maps (6 points)
#
# Rotation matrices turn about the origin, which in an image is the middle of the top left pixel. Write the map that
# turns by $\theta$ and scales by $s$ about any point $c$, from three steps that you know: bring $c$ to the origin,
# turn and scale there, bring it back. Then write the function that joins any number of maps, in the order in which
# they **act**. In the formula that is from right to left:
#
# $$T = T_n \cdots T_2\, T_1 \qquad (T_1 \text{ acts first}). \tag{3}$$


# %% tags=["stub"]
def chain(maps):
    """Join maps into one by Eq. (3).

    maps : list of (3, 3) arrays, in the order in which they act: maps[0] acts first.  It may be empty.
    Returns a (3, 3) array of floats; the identity for an empty list.
    """
    raise NotImplementedError


def turned_about(center, angle, scale=1.0):
    """Make the map that turns and scales about a point.

    center : (x, y), the point that stays.  angle : radians, from +x towards +y.  scale : positive.
    Returns a (3, 3) array of floats with the last row (0, 0, 1).
    """
    raise NotImplementedError


# %% tags=["solution"]
def chain(maps):
    """Join maps into one by Eq. (3).

    maps : list of (3, 3) arrays, in the order in which they act: maps[0] acts first.  It may be empty.
    Returns a (3, 3) array of floats; the identity for an empty list.
    """
    joined = np.eye(3)
    for T in maps:
        joined = T @ joined
    return joined


def turned_about(center, angle, scale=1.0):
    """Make the map that turns and scales about a point.

    center : (x, y), the point that stays.  angle : radians, from +x towards +y.  scale : positive.
    Returns a (3, 3) array of floats with the last row (0, 0, 1).
    """
    (x, y), c, s = center, scale * np.cos(angle), scale * np.sin(angle)
    away = np.array([[1, 0, -x], [0, 1, -y], [0, 0, 1.0]])
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    back = np.array([[1, 0, x], [0, 1, y], [0, 0, 1.0]])
    return chain([away, turn, back])


# %% [markdown]
# The other way round: given an affine map, which point stays where it is? Derive it from $A\,c + t = c$, where $A$ is
# the 2 × 2 part and $t$ the shift of the matrix, once it is scaled to end in $(0, 0, 1)$. A true shift leaves no
# point, the identity all of them, a mirror a whole line: none of these maps has just *one* fixed point.


# %% tags=["stub"]
def fixed_point(T):
    """Find the one point that an affine map leaves in its place.

    T : (3, 3) array of floats, any multiple of an affine map: the last row is (0, 0, i), i not 0.
    Returns an array (x, y); None if |det(Id - A)| <= 1e-9, where there is not just one such point.
    """
    raise NotImplementedError


# %% tags=["solution"]
def fixed_point(T):
    """Find the one point that an affine map leaves in its place.

    T : (3, 3) array of floats, any multiple of an affine map: the last row is (0, 0, i), i not 0.
    Returns an array (x, y); None if |det(Id - A)| <= 1e-9, where there is not just one such point.
    """
    A, t = T[:2, :2] / T[2, 2], T[:2, 2] / T[2, 2]
    if abs(np.linalg.det(np.eye(2) - A)) <= 1e-9:
        return None
    return np.linalg.solve(np.eye(2) - A, t)


# %%
check("q2")

# %% [markdown]
# A letter is turned by α about P, and then by β about Q. You can drag P and Q. The green dot is the fixed point of
# both turns together, as your functions see it.

# %%
LETTER = np.array([(0, 0), (4, 0), (4, 1.2), (1.2, 1.2), (1.2, 2.4), (3, 2.4), (3, 3.6), (1.2, 3.6), (1.2, 6), (0, 6)])


def draw_letter(ax, T, colour, label):
    """Draw the letter F where a map takes it."""
    corners = carry(T, LETTER)
    ax.fill(*corners.T, fc="none", ec=colour, lw=2, label=label)
    ax.plot(*corners[0], "o", color=colour, ms=4)


# %% [markdown]
# The letter is gray before, blue after the first turn, and orange after both.


# %%
def show_two_turns(alpha_deg=60, beta_deg=40, centers=((-4, 3), (7, -1))):
    """The letter, turned about P, then about Q; and the fixed point of both."""
    first, second = (turned_about(p, np.radians(turn)) for p, turn in zip(centers, (alpha_deg, beta_deg)))
    both = chain([first, second])
    stays = fixed_point(both)
    fig, ax = plt.subplots(figsize=(6.4, 4.4))
    for T, colour, label in [(np.eye(3), "0.6", "before"), (first, blue, "after α"), (both, orange, "after α and β")]:
        draw_letter(ax, T, colour, label)
    for name, (x, y) in zip("PQ", centers):
        ax.plot(x, y, "k+", ms=9)
        ax.text(x - 0.4, y - 0.4, name, ha="right")
    title = f"turn of {alpha_deg + beta_deg}° in all: "
    if stays is not None:
        ax.plot(*stays, "o", color=green, ms=10)
        title += f"about ({stays[0] + 0.0:.1f}, {stays[1] + 0.0:.1f})"
    ax.set(xlim=(-15, 15), ylim=(11, -11), aspect="equal", title=title + ("no fixed point" if stays is None else ""))
    ax.legend(loc="lower left")
    return fig


# %% [markdown]
# Two questions first. If β is −60°, by which angle is the letter turned in the end, and about which point? And does
# the green dot depend on the *order* of the two turns?

# %%
controls.explore(
    show_two_turns,
    alpha_deg=controls.IntSlider(60, min=-180, max=180, step=10, description="α about P (°)"),
    beta_deg=controls.IntSlider(40, min=-180, max=180, step=10, description="β about Q (°)"),
    centers=controls.Points([(-4, 3), (7, -1)], bounds=(-12, -10, 12, 10), step=0.5, labels=("P", "Q")),
)

# %% [markdown]
# **Look for** the letter at α = 60°, β = −60°: it stands upright again but elsewhere, a turn of 0° is a shift, and no
# point stays. At β = −50° there is a fixed point again, far outside of the picture. The order does matter: exchange α
# with β and P with Q, and the dot comes to lie on the other side of the line PQ, as in a mirror.
#
# ## Question 3 — lines (5 points)
#
# A line is a triple too: $\mathbf l = (a, b, c)$ holds the points with $a x + b y + c = 0$, in short
# $\mathbf l^{\mathsf T}\mathbf p = 0$. Scaled to $a^2 + b^2 = 1$, the number $a x + b y + c$ is the distance from the
# line in pixels, with a sign. All functions here give lines so scaled; the sign of the whole triple is free.


# %% tags=["stub"]
def line_through(p, q):
    """Give the lines through pairs of points.

    p, q : (N, 2) arrays of (x, y); p[k] is not q[k].
    Returns an (N, 3) array of (a, b, c) with a^2 + b^2 = 1; the sign of each row is free.
    """
    raise NotImplementedError


# %% tags=["solution"]
def line_through(p, q):
    """Give the lines through pairs of points.

    p, q : (N, 2) arrays of (x, y); p[k] is not q[k].
    Returns an (N, 3) array of (a, b, c) with a^2 + b^2 = 1; the sign of each row is free.
    """
    one = np.ones((len(p), 1))
    lines = np.cross(np.hstack([p, one]), np.hstack([q, one]))
    return lines / np.hypot(lines[:, 0], lines[:, 1])[:, None]


# %% [markdown]
# A map takes the points of $\mathbf l$ to points of another line $\mathbf l'$. **Derive** $\mathbf l'$: whenever
# $\mathbf l^{\mathsf T}\mathbf p = 0$, the point $\mathbf p' = T\mathbf p$ must satisfy
# $\mathbf l'^{\mathsf T}\mathbf p' = 0$. One line is special, $(0, 0, 1)$, which holds all points at infinity. It can
# be carried like any other, and any other may come to lie there. A result that is more than $10^9$ pixels away,
# $\sqrt{a^2 + b^2} \le 10^{-9}\,|c|$, counts as this line and is returned as $(0, 0, 1)$.


# %% tags=["stub"]
def carry_lines(T, lines):
    """Carry lines to where a map takes their points.

    T : (3, 3) array of floats, invertible.
    lines : (N, 3) array of (a, b, c), each row any multiple; (0, 0, c) is the line at infinity.
    Returns an (N, 3) array with a^2 + b^2 = 1, or (0, 0, 1) for the line at infinity; signs are free.
    """
    raise NotImplementedError


# %% tags=["solution"]
def carry_lines(T, lines):
    """Carry lines to where a map takes their points.

    T : (3, 3) array of floats, invertible.
    lines : (N, 3) array of (a, b, c), each row any multiple; (0, 0, c) is the line at infinity.
    Returns an (N, 3) array with a^2 + b^2 = 1, or (0, 0, 1) for the line at infinity; signs are free.
    """
    carried = lines @ np.linalg.inv(T)  # rows: (T^-T l)^T = l^T T^-1
    length = np.hypot(carried[:, 0], carried[:, 1])
    infinite = length <= 1e-9 * np.abs(carried[:, 2])
    carried[infinite] = 0, 0, 1
    return carried / np.where(infinite, 1, length)[:, None]


# %%
check("q3")

# %% [markdown]
# A photograph of a sudoku. The map from the printed square, 9 fields by 9, into the photograph follows from the
# places of its four corners; that function is given (lecture 9 derives it). Drag A, B, C and D onto the corners of
# the outermost frame. Your `carry_lines` then draws the twenty lines of the print, and the image of the line at
# infinity: the horizon of the table.

# %%
sudoku = images.as_gray(images.load("sudoku"))


def square_to(corners):
    """Find the map that takes the corners of a square of side 9 to four points, clockwise from (0, 0)."""
    A = []
    for (x, y), (u, v) in zip([(0, 0), (9, 0), (9, 9), (0, 9)], np.array(corners) / 500):
        A += [(x, y, 1, 0, 0, 0, -u * x, -u * y, -u), (0, 0, 0, x, y, 1, -v * x, -v * y, -v)]
    return np.diag([500, 500, 1]) @ homogeneous.null_vector(A)[0].reshape(3, 3)


def draw_line(ax, line, **style):
    """Draw a line across the part of the plane with |x|, |y| < 5000; the line at infinity is not to be seen."""
    a, b, c = line
    if (a, b) == (0, 0):
        return
    middle, along = -c * np.array([a, b]), np.array([-b, a])
    ax.plot(*np.transpose([middle - 9999 * along, middle + 9999 * along]), **style)


# %% [markdown]
# Where will the horizon be, if the camera looked straight down on the print?


# %%
def show_print(corners=((100, 110), (470, 110), (490, 490), (70, 490)), sky=300):
    """The photograph, the lines of the print, and its horizon."""
    H, W = sudoku.shape
    T = square_to(corners)
    fig, ax = plt.subplots(figsize=(5, 4.8))
    figures.show_image(ax, sudoku)
    ax.set(xlim=(-60, W + 60), ylim=(H + 20, -sky))
    if abs(np.linalg.det(T / np.linalg.norm(T))) < 1e-12:
        ax.set_title("three corners on one line: no map")
        return fig
    fields = [(1, 0, -k) for k in range(10)] + [(0, 1, -k) for k in range(10)]
    for k, line in enumerate(carry_lines(T, np.array(fields, dtype=float))):
        draw_line(ax, line, color=(blue, orange)[k // 10], lw=1)
    horizon = carry_lines(T, np.array([[0, 0, 1.0]]))[0]
    draw_line(ax, horizon, color=red, lw=2.5)
    away = abs(horizon @ [W / 2, H / 2, 1])  # pixels
    where = "at infinity" if horizon[0] == horizon[1] == 0 else f"{away:.0f} pixels from the middle"
    ax.set_title(f"the horizon is {where}")
    return fig


# %% [markdown]
# The four handles are the corners, from the top left clockwise.

# %%
controls.explore(
    show_print,
    corners=controls.Points([(100, 110), (470, 110), (490, 490), (70, 490)], bounds=(0, 0, 557, 562), step=1),
    sky=controls.IntSlider(300, min=0, max=3000, step=100, description="sky shown (pixels)"),
)

# %% [markdown]
# **Look for** three things. With the handles on the frame, the inner lines fall on the printed ones, but not at the
# top: there the paper is bent, and a bent sheet has no homography. The horizon lies some 2800 pixels above the middle
# of the photograph (raise `sky`), since the camera looked nearly straight down; move one corner by 5 pixels, and it
# moves by 40 to 240. Make ABCD a parallelogram, and it goes to infinity: the map is affine.
#
# ## Question 4 — one map, many matrices (6 points)
#
# $T$ and $k\,T$ are one map for every $k \ne 0$, negative too. So two homographies cannot be compared entry by entry.
# Bring both to one size and one sign first. Dividing by the last entry would do that, but it may be 0: where the
# origin goes to infinity.


# %% tags=["stub"]
def same_map(T1, T2, tol=1e-9):
    """Tell whether two matrices are one map.

    T1, T2 : (3, 3) arrays of floats, of any size, not all zeros.
    tol : largest departure of an entry, once both matrices have the Frobenius norm 1 (sum of squares 1).
        Departures below tol / 10 must be accepted, above 10 tol refused; between, both answers are right.
    Returns True or False.
    """
    raise NotImplementedError


# %% tags=["solution"]
def same_map(T1, T2, tol=1e-9):
    """Tell whether two matrices are one map.

    T1, T2 : (3, 3) arrays of floats, of any size, not all zeros.
    tol : largest departure of an entry, once both matrices have the Frobenius norm 1 (sum of squares 1).
        Departures below tol / 10 must be accepted, above 10 tol refused; between, both answers are right.
    Returns True or False.
    """
    T1, T2 = T1 / np.linalg.norm(T1), T2 / np.linalg.norm(T2)
    sign = 1 if np.sum(T1 * T2) >= 0 else -1
    return bool(np.max(np.abs(T1 - sign * T2)) <= tol)


# %% [markdown]
# Now name the **smallest** group that holds a map. Each group holds those before it:
#
# | group | what the matrix looks like, up to a factor | degrees of freedom |
# |---|---|---|
# | translation | $A = \mathrm{Id}$, last row $(0, 0, 1)$ | 2 |
# | Euclidean | $A$ is a rotation (no mirror), last row $(0, 0, 1)$ | 3 |
# | similarity | $A$ is a rotation times a scale $s > 0$, last row $(0, 0, 1)$ | 4 |
# | affine | any invertible $A$, a mirror for instance; last row $(0, 0, 1)$ | 6 |
# | projective | any invertible matrix | 8 |
#
# Matrices that were estimated or computed fulfil this only nearly. A departure is measured as a **share**: of $A$,
# against its scale $s = \sqrt{|\det A|}$; of $s$, against 1; of the last row $(g, h, i)$, by how much
# $w = gx + hy + i$ changes over a picture of `size` pixels, against $i$. A $g$ of $10^{-4}$ looks small, but over
# 1000 pixels it is 10 %.

# %%
GROUPS = ("translation", "Euclidean", "similarity", "affine", "projective")


# %% [markdown]
# The shift plays no part in any of this: it may be as large as it likes.


# %% tags=["stub"]
def group_of(T, tol=1e-9, size=1000.0):
    """Name the smallest group that holds a map.

    T : (3, 3) array of floats, invertible; any multiple of a matrix names the same group.
    tol : largest share that counts as rounding.  Departures below tol / 10 must be taken for rounding,
        above 10 tol for real; between, both answers are right.  size : extent of the picture, pixels.
    Returns one of GROUPS.
    """
    raise NotImplementedError


# %% tags=["solution"]
def group_of(T, tol=1e-9, size=1000.0):
    """Name the smallest group that holds a map.

    T : (3, 3) array of floats, invertible; any multiple of a matrix names the same group.
    tol : largest share that counts as rounding.  Departures below tol / 10 must be taken for rounding,
        above 10 tol for real; between, both answers are right.  size : extent of the picture, pixels.
    Returns one of GROUPS.
    """
    if size * np.max(np.abs(T[2, :2])) > tol * abs(T[2, 2]):
        return "projective"
    A = T[:2, :2] / T[2, 2]
    (a, b), (c, d), s = *A, np.sqrt(abs(np.linalg.det(A)))
    if max(abs(a - d), abs(b + c)) > tol * s:
        return "affine"
    if abs(s - 1) > tol:
        return "similarity"
    return "Euclidean" if np.max(np.abs(A - np.eye(2))) > tol else "translation"


# %%
check("q4")

# %% [markdown]
# Choose a matrix, or edit one by hand: the letter is drawn before and after, and your function names the group. The
# tolerance is the second control; the picture counts as 20 units wide.

# %%
COS, SIN = np.cos(np.pi / 6), np.sin(np.pi / 6)
TURN = np.array([(COS, -SIN, 3), (SIN, COS, -1), (0, 0, 1)])
ROUNDED = tuple(map(tuple, TURN.round(2).tolist()))
MATRICES = {
    "a turn, two digits": ROUNDED,
    "a turn, all digits": TURN,
    "shift": ((1, 0, 5), (0, 1, -2), (0, 0, 1)),
    "mirror": ((-1, 0, 6), (0, 1, 0), (0, 0, 1)),
    "shear": ((1, 0.5, 0), (0, 1, 0), (0, 0, 1)),
    "times -2": ((-2, 0, -10), (0, -2, 4), (0, 0, -2)),
    "tilt": ((1, 0, 0), (0, 1, 0), (0, 0.04, 1)),
    "origin to infinity": ((4, 0, 20), (0, 4, 20), (1, 1, 0)),
}

# %% [markdown]
# A matrix that cannot be inverted is in none of the groups, so the figure does not ask your function about it.


# %%
def show_group(T=ROUNDED, tol=1e-9):
    """The letter, put in the middle, before and after a map, and the group's name."""
    T = np.array(T)
    fig, ax = plt.subplots(figsize=(5.6, 4))
    ax.set(xlim=(-8, 14), ylim=(9, -6), aspect="equal")
    if abs(np.linalg.det(T)) < 1e-9:
        ax.set_title("not invertible: in no group")
        return fig
    draw_letter(ax, np.eye(3), "0.6", "before")
    title = group_of(T, tol, size=20.0) + (", the same map as Id" if same_map(T, np.eye(3)) else "")
    if np.min(np.abs(LETTER @ T[2, :2] + T[2, 2])) > 1e-9:
        draw_letter(ax, T, orange, "after")
    else:
        title += "; a corner of the letter is at infinity"
    ax.set_title(title)
    ax.legend(loc="lower left")
    return fig


# %% [markdown]
# The first preset is a turn by 30° with its entries rounded to two digits. What is it called at a tolerance of
# $10^{-9}$, and from which tolerance on a turn?

# %%
controls.explore(
    show_group,
    T=controls.Matrix(MATRICES, min=-30, max=30, step=0.1, description="T"),
    tol=controls.SelectionSlider(options=[1e-12, 1e-9, 1e-6, 1e-3, 1e-2, 0.1, 1.0], value=1e-9),
)

# %% [markdown]
# **Look for** "similarity" at the first preset: $0.87^2 + 0.5^2 = 1.0069$, so $s = 1.0034$ counts as a scale until
# the tolerance reaches $10^{-2}$. (That it is a similarity survives rounding: $a = d$ and $b = -c$ still.) "times -2"
# is the shift once more. At a tolerance of 1 the shear and the tilt are translations, too: a name without its
# tolerance says little.
#
# ## Question 5 — the group from measurements (7 points)
#
# Now the matrix is hidden. Known are only points **before** and **after** some map. Each group keeps something that
# the next larger one does not:
#
# | group | kept | independent numbers kept, of $n$ points |
# |---|---|---|
# | translation | the vectors $\mathbf p_j - \mathbf p_i$ | $2n - 2$ |
# | Euclidean | lengths $\lvert\mathbf p_j - \mathbf p_i\rvert$, and the sense of turning | $2n - 3$ |
# | similarity | *ratios* of lengths, and the sense of turning | $2n - 4$ |
# | affine | *ratios* of areas | $2n - 6$ |
# | projective | cross-ratios | $2n - 8$ |
#
# The area of a triangle, with a sign for its sense of turning, is half a determinant:
#
# $$[ijk] = \det\begin{pmatrix} x_i & x_j & x_k \\ y_i & y_j & y_k \\ 1 & 1 & 1 \end{pmatrix}
#   = 2 \cdot \text{area}. \tag{4}$$
#
# From five points a cross-ratio is made of four areas: that of the four lines from $\mathbf p_0$ to the others,
#
# $$\operatorname{cr}(\mathbf p_0;\ \mathbf p_1, \mathbf p_2, \mathbf p_3, \mathbf p_4)
#   = \frac{[0\,1\,3]\,[0\,2\,4]}{[0\,2\,3]\,[0\,1\,4]}. \tag{5}$$
#
# A homography multiplies $[ijk]$ by $\det T / (w_i w_j w_k)$. Check on paper that all the $w$ cancel in Eq. (5).


# %% tags=["stub"]
def area_ratios(before, after):
    """Divide the areas of all triangles after a map by those before it, with signs, Eq. (4).

    before, after : (N, 2) arrays of (x, y), N >= 3; no three points of `before` are on a line.
    Returns an array of N (N - 1) (N - 2) / 6 numbers, for i < j < k in the order of itertools.combinations:
    012, 013, 014, ..., 023, 024, ..., 123, ...
    """
    raise NotImplementedError


def pencil_ratio(points):
    """Measure the cross-ratio of the four lines from the first of five points to the others, Eq. (5).

    points : (5, 2) array of (x, y), no three on a line.  Returns one number, which may be negative.
    """
    raise NotImplementedError


# %% tags=["solution"]
def twice_area(points, i, j, k):
    """The determinant of Eq. (4)."""
    return np.linalg.det(np.stack([points[j] - points[i], points[k] - points[i]]))


def area_ratios(before, after):
    """Divide the areas of all triangles after a map by those before it, with signs, Eq. (4).

    before, after : (N, 2) arrays of (x, y), N >= 3; no three points of `before` are on a line.
    Returns an array of N (N - 1) (N - 2) / 6 numbers, for i < j < k in the order of itertools.combinations:
    012, 013, 014, ..., 023, 024, ..., 123, ...
    """
    n = range(len(before))
    triples = [(i, j, k) for i in n for j in n for k in n if i < j < k]
    return np.array([twice_area(after, *triple) / twice_area(before, *triple) for triple in triples])


def pencil_ratio(points):
    """Measure the cross-ratio of the four lines from the first of five points to the others, Eq. (5).

    points : (5, 2) array of (x, y), no three on a line.  Returns one number, which may be negative.
    """
    product = twice_area(points, 0, 1, 3) * twice_area(points, 0, 2, 4)
    return product / (twice_area(points, 0, 2, 3) * twice_area(points, 0, 1, 4))


# %% [markdown]
# Now solve the puzzle: five points before, five after. Name the smallest group that can have done it; or "none", if
# not even a homography can. Take care how many cross-ratios you look at: the table says how many independent numbers
# five points have.


# %% tags=["stub"]
def name_group(before, after, tol=1e-6):
    """Name the smallest group that holds a map of which five points are known.

    before, after : (5, 2) arrays of (x, y), pixels; no three points on a line, neither before nor after.
    tol : largest share by which what is kept may depart: vectors against their length, ratios against the
        ratio.  Departures below tol / 10 must be taken for rounding, above 10 tol for real.
    Returns one of GROUPS, or "none".
    """
    raise NotImplementedError


# %% tags=["solution"]
def name_group(before, after, tol=1e-6):
    """Name the smallest group that holds a map of which five points are known.

    before, after : (5, 2) arrays of (x, y), pixels; no three points on a line, neither before nor after.
    tol : largest share by which what is kept may depart: vectors against their length, ratios against the
        ratio.  Departures below tol / 10 must be taken for rounding, above 10 tol for real.
    Returns one of GROUPS, or "none".
    """
    i, j = np.triu_indices(5, 1)
    old, new = before[j] - before[i], after[j] - after[i]
    lengths, areas = np.hypot(*new.T) / np.hypot(*old.T), area_ratios(before, after)
    if np.all(np.hypot(*(new - old).T) <= tol * np.hypot(*old.T)):
        return "translation"
    if np.ptp(lengths) <= tol * np.mean(lengths) and np.all(areas > 0):
        return "Euclidean" if np.all(np.abs(lengths - 1) <= tol) else "similarity"
    if np.ptp(areas) <= tol * abs(np.mean(areas)):
        return "affine"
    turns = [np.roll(np.arange(5), k) for k in range(5)]  # each of the five points as the first
    kept = [abs(pencil_ratio(after[t]) / pencil_ratio(before[t]) - 1) <= tol for t in turns]
    return "projective" if all(kept) else "none"


# %%
check("q5")

# %% [markdown]
# Seven mystery maps of five points each. The black line is the tolerance; the blue stairs show which name your
# function gives at every other tolerance. The left title tells the range of your ratios of areas, and your
# cross-ratio before and after.

# %%
FIVE = np.array([(20, 30), (160, 10), (190, 120), (95, 150), (45, 105.0)])
TILT = np.array([[0.9, -0.3, 60], [0.2, 0.7, 10], [0.0015, -0.001, 1]])
STRETCH = np.array([[1.2, 0.5, -45], [0, 0.8, 10], [0, 0, 1]])
MYSTERIES = {
    "A": lambda p: carry(turned_about((80, 80), 0.5), p),
    "B": lambda p: carry(TILT, p),
    "C": lambda p: p + np.array([15, -8]),
    "D": lambda p: carry(STRETCH, p),
    "E": lambda p: p + 4e-5 * (p - 90) * np.sum((p - 90) ** 2, axis=1, keepdims=True),
    "F": lambda p: carry(turned_about((80, 80), -0.3, 0.75), p),
    "G": lambda p: carry(turned_about((80, 80), 2.0), p * [1, -1] + [0, 160]),
}

# %% [markdown]
# The noise moves each point of "after" by about so many pixels, always in the same directions.


# %%
def show_mystery(mystery="A", noise=0.0, tol=1e-6):
    """Five points before and after a mystery map, and the group's name against the tolerance."""
    after = MYSTERIES[mystery](FIVE) + noise * np.random.default_rng(7).normal(size=(5, 2))
    fig, (left, right) = plt.subplots(1, 2, figsize=(8, 3.4), width_ratios=[1, 1.2])
    for points, colour, label in [(FIVE, "0.6", "before"), (after, orange, "after")]:
        left.fill(*points.T, fc="none", ec=colour, lw=2, label=label)
        left.plot(*points[0], "o", color=colour)
    ratios, old, new = area_ratios(FIVE, after), pencil_ratio(FIVE), pencil_ratio(after)
    title = f"areas × {min(ratios):.3f} to {max(ratios):.3f}\ncross-ratio {old:.3f} → {new:.3f}"
    left.set(xlim=(-30, 260), ylim=(215, -45), aspect="equal", title=title)
    left.legend(loc="lower right")
    names, tolerances = [*GROUPS, "none"], np.geomspace(1e-12, 1, 37)
    right.step(tolerances, [names.index(name_group(FIVE, after, t)) for t in tolerances], where="mid", lw=2)
    right.axvline(tol, color="black", lw=1.5)
    right.set(xscale="log", xlabel="tolerance", yticks=range(6), yticklabels=names, ylim=(-0.5, 5.5))
    right.set_title(f"map {mystery}: {name_group(FIVE, after, tol)}")
    return fig


# %% [markdown]
# Before you look at the name of each: what do you see in its picture? And what does a hundredth of a pixel of noise
# do to all of the names, if the tolerance stays at $10^{-6}$?

# %%
controls.explore(
    show_mystery,
    mystery=controls.ToggleButtons(options=list(MYSTERIES), value="A"),
    noise=controls.SelectionSlider(options=[0.0, 1e-6, 1e-4, 0.01, 0.1, 1.0], value=0.0, description="noise (pixels)"),
    tol=controls.SelectionSlider(options=[1e-12, 1e-9, 1e-6, 1e-4, 1e-3, 0.01, 0.1], value=1e-6),
)

# %% [markdown]
# **Look for** the stairs: the larger the tolerance, the smaller the group, and near a tolerance of 1 everything but
# the mirror G passes for a translation. G keeps every length to the last digit and is affine all the same; only the
# sign of its areas, × −1, tells. E is "none", a lens that bends straight lines, and its cross-ratio goes from 1.280
# to 1.204. With 0.01 pixels of noise every other map is called "none" at $10^{-6}$ too, and has its name again at
# $10^{-2}$. In between, at $10^{-3}$, D is taken for projective, since its ratios of areas depart by 0.0013. The
# tolerance must follow the noise.
#
# ## Question 6 — in words (4 points, marked by hand)
#
# 1. Prove with 2 × 2 matrices that a turn by $\alpha$ about $P$ followed by a turn by $\beta$ about $Q \ne P$ is a
#    turn by $\alpha + \beta$ about some point, or a shift. When is it a shift?
# 2. How many pairs of points (before, after), in general position, are needed at least to *contradict* the claim
#    "this is a translation", or Euclidean, a similarity, affine, projective? Explain by counting numbers, and say why
#    `name_group` takes five pairs, and why a single cross-ratio of them is not enough.
# 3. A program stores every homography with $h_{22} = 1$ (the last entry). Which maps can it not store, and what do
#    they do to which point? Does the difficulty go away if the origin is moved to the middle of the image?

# %% [markdown] tags=["stub", "text:q6"]
# **Answer q6:** (write here)

# %% [markdown] tags=["solution", "text:q6"]
# **Answer q6:**
#
# 1. A turn about $P$ is $\mathbf x \mapsto R_\alpha(\mathbf x - P) + P$. After it the second:
#    $R_\beta\bigl(R_\alpha(\mathbf x - P) + P - Q\bigr) + Q = R_{\alpha+\beta}\,\mathbf x + \mathbf t$, with
#    $\mathbf t = Q + R_\beta(P - Q) - R_{\alpha+\beta}P$, because $R_\beta R_\alpha = R_{\alpha+\beta}$. A fixed
#    point solves $(\mathrm{Id} - R_{\alpha+\beta})\,\mathbf c = \mathbf t$, and
#    $\det(\mathrm{Id} - R_\gamma) = (1 - \cos\gamma)^2 + \sin^2\gamma = 2 - 2\cos\gamma$. Unless $\alpha + \beta$ is
#    a multiple of 360° it is not 0, there is one $\mathbf c$, and the map is
#    $R_{\alpha+\beta}(\mathbf x - \mathbf c) + \mathbf c$. Otherwise $R_{\alpha+\beta} = \mathrm{Id}$ and the map is
#    the shift by $\mathbf t = (R_\beta - \mathrm{Id})(P - Q)$; it is not 0 unless $\beta$ itself is a multiple of
#    360°.
# 2. $n$ pairs give $2n$ numbers, and a map with $d$ degrees of freedom can fulfil $d$ of them. With $2n > d$
#    something is left over that must be kept and can contradict: 2 pairs for a translation ($4 > 2$) and for a
#    Euclidean map ($4 > 3$, the one length), 3 for a similarity ($6 > 4$), 4 for an affine map ($8 > 6$), 5 for a
#    projective one ($10 > 8$). Four pairs without three on a line always have a homography, so "none" needs five.
#    These keep $10 - 8 = 2$ independent numbers, and one cross-ratio checks one of them: slide
#    $\mathbf p_1, \ldots, \mathbf p_4$ along their lines to $\mathbf p_0$, and
#    $\operatorname{cr}(\mathbf p_0; \ldots)$ does not change although the map is not projective any more.
# 3. Those with $h_{22} = 0$. $H (0, 0, 1)^{\mathsf T} = (h_{02}, h_{12}, 0)^{\mathsf T}$: they send the origin to
#    infinity: the line that $H$ carries to infinity passes through it. Moving the origin by a shift $S$ gives
#    $S H S^{-1}$, which has its own last entry: now the same happens if the middle of the image goes to infinity.
#    That is rarer in practice, but the difficulty has only moved; and near such maps the other entries become huge
#    and lose digits. Norm 1, with a rule for the sign, can store every homography.
