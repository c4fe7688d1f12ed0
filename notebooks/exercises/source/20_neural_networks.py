# %% [markdown]
# # Exercise 20 — Neural networks from scratch
#
# You send gradients back through a graph of gates, write convolution and max pooling with their backward passes, count
# shapes and parameters, and train a small network until it knows twenty digits by heart. It goes with
# [lecture 20](../20_neural_networks.ipynb).
#
# | question | what it examines | points |
# |---|---|---|
# | 1 | gates: forward, and back through numbers that are used twice | 6 |
# | 2 | convolution with stride and pad, forward and back | 8 |
# | 3 | max pooling, with ties and leftovers | 4 |
# | 4 | shapes, parameters and receptive fields | 5 |
# | 5 | a network: its gradients, a check of them, dropout, twenty digits by heart | 7 |
# | 6 | in words (marked by hand) | 4 |
#
# **How it works.** Replace `raise NotImplementedError` in each function and run `check("q1")` below it, as often as
# you like: it says what holds, what does not, and which common slip it looks like. The same checks give the points,
# on other random numbers.
#
# **Rules.** All of NumPy is allowed. `cvcourse.neural_networks`, `cvcourse.classification`, `cvcourse.filtering`,
# SciPy, scikit-image, OpenCV and PyTorch are not. A function leaves its arguments as they are. The later questions may
# use the earlier ones. Until a function is written, the cells that draw with it stop with `NotImplementedError`; that
# is meant.

# %%
import matplotlib.pyplot as plt
import numpy as np

from cvcourse import checks, classification, controls, figures, images

check = checks.exercise("20_neural_networks")

# %% [markdown]
# ## Question 1 — a tape of gates (6 points)
#
# A formula is written on a *tape*. The numbers 0, 1, …, n − 1 are its inputs; each line of the tape is one gate and
# makes the next number. A line is a tuple: the gate's name and the numbers that it takes:
#
# | line | result |
# |---|---|
# | `("add", i, j)` | sum of the numbers i and j |
# | `("mul", i, j)` | their product |
# | `("max", i, j)` | the larger of the two |
# | `("relu", i)` | max(number i, 0) |
#
# $f = x\,y + \max(x, z)$ with the inputs $x, y, z$ is `[("mul", 0, 1), ("max", 0, 2), ("add", 3, 4)]`. The last number
# is the result. A number may be used by several gates, twice by one gate (`("mul", 0, 0)` is a square), or by none.


# %% tags=["stub"]
def forward(x, tape):
    """Compute all numbers of a tape.

    x: (n,) floats, the inputs; tape: list of tuples as in the table. Returns an array of shape (n + len(tape),).
    """
    raise NotImplementedError


# %% tags=["solution"]
def forward(x, tape):
    """Compute all numbers of a tape.

    x: (n,) floats, the inputs; tape: list of tuples as in the table. Returns an array of shape (n + len(tape),).
    """
    gates = {"add": lambda a, b: a + b, "mul": lambda a, b: a * b, "max": max, "relu": lambda a: max(a, 0.0)}
    values = list(x)
    for name, *taken in tape:
        values.append(gates[name](*(values[k] for k in taken)))
    return np.array(values, dtype=np.float64)


# %% [markdown]
# Now back. The gradient of the result with respect to itself is 1. Go through the tape in reverse; each gate turns its
# own gradient into contributions to the numbers that it took,
#
# $$\frac{\partial L}{\partial a} \mathrel{+}= \frac{\partial L}{\partial g}\cdot\frac{\partial g}{\partial a}. \tag{1}$$
#
# At a tie the maximum sends everything to the number named first; at 0 a ReLU lets nothing pass.


# %% tags=["stub"]
def backward(values, tape):
    """Compute the derivatives of a tape's last number with respect to all its numbers.

    values: what forward returned; tape: list of tuples. Returns an array of the same shape as values.
    """
    raise NotImplementedError


# %% tags=["solution"]
def backward(values, tape):
    """Compute the derivatives of a tape's last number with respect to all its numbers.

    values: what forward returned; tape: list of tuples. Returns an array of the same shape as values.
    """
    grad = np.zeros(len(values))
    grad[-1] = 1
    first = len(values) - len(tape)
    for k in reversed(range(len(tape))):
        name, *taken = tape[k]
        i, j, up = taken[0], taken[-1], grad[first + k]
        if name == "relu":
            grad[i] += up * (values[i] > 0)
            continue
        local = {
            "add": (1, 1),
            "mul": (values[j], values[i]),
            "max": (values[i] >= values[j], values[i] < values[j]),
        }[name]
        grad[i] += up * local[0]
        grad[j] += up * local[1]
    return grad


# %%
check("q1")

# %% [markdown]
# A formula as a function of its first input, and the straight line with the slope that your engine gives. Where will
# the line fail to touch the curve?

# %%
TAPES = {
    "x² y − x": [("mul", 0, 0), ("mul", 3, 1), ("mul", 0, 2), ("add", 4, 5)],
    "max(x, y) · x": [("max", 0, 1), ("mul", 3, 0)],
    "relu(x y + x)": [("mul", 0, 1), ("add", 3, 0), ("relu", 4)],
}


def show_tangent(formula="x² y − x", x=1.0, y=0.5):
    """The curve over x, and the tangent at one x."""
    tape, across = TAPES[formula], np.linspace(-3, 3, 121)
    curve = [forward(np.array([one, y, -1.0]), tape)[-1] for one in across]
    values = forward(np.array([x, y, -1.0]), tape)
    slope = backward(values, tape)[0]
    fig, ax = plt.subplots(figsize=(6, 3.2))
    ax.plot(across, curve)
    ax.plot(across, values[-1] + slope * (across - x), "--", color=figures.COLORS["red"])
    ax.plot(x, values[-1], "o", color=figures.COLORS["red"])
    ax.set(xlim=(-3, 3), ylim=(-5, 5), xlabel="x", title=f"{formula}: {values[-1]:.3g}, slope {slope:.3g}")
    return fig


controls.explore(
    show_tangent,
    formula=controls.Dropdown(options=list(TAPES)),
    x=controls.FloatSlider(1.0, min=-3, max=3, step=0.25),
    y=controls.FloatSlider(0.5, min=-2, max=2, step=0.25),
)

# %% [markdown]
# **Look for** the kinks, at $x = y$ and at 0: there your engine follows the rule for ties, and the line is the tangent
# of one side only. In $x^2y - x$ the input $x$ is used three times, and the slope $2xy - 1$ has a part from each.
#
# ## Question 2 — convolution, forward and back (8 points)
#
# $$Y_{nf}[r,c] = b_f+\sum_{m}\sum_{i,j} W_{fm}[i,j]\;X_{nm}[\,s\,r+i-p,\ s\,c+j-p\,] \tag{2}$$
#
# with zeros outside $X$, for all places at which the window fits into the padded input. It is a correlation: nothing is
# flipped. Two loops over $i$ and $j$ are enough: `np.einsum` or `np.tensordot` can do the rest for one tap at all
# places.


# %% tags=["stub"]
def convolve(X, W, b, stride, pad):
    """Compute Eq. (2).

    X: (N, C, H, V); W: (F, C, k, q); b: (F,); stride >= 1, pad >= 0. Returns (N, F, H_out, V_out).
    """
    raise NotImplementedError


# %% tags=["solution"]
def at_tap(i, j, stride, shape):
    """The slices of a padded input that the tap (i, j) sees, for an output of this shape."""
    rows, cols = shape[2:]
    return np.s_[:, :, i : i + stride * (rows - 1) + 1 : stride, j : j + stride * (cols - 1) + 1 : stride]


def convolve(X, W, b, stride, pad):
    """Compute Eq. (2).

    X: (N, C, H, V); W: (F, C, k, q); b: (F,); stride >= 1, pad >= 0. Returns (N, F, H_out, V_out).
    """
    P, (k, q) = np.pad(X, ((0, 0), (0, 0), (pad, pad), (pad, pad))), W.shape[2:]
    shape = len(X), len(W), (P.shape[2] - k) // stride + 1, (P.shape[3] - q) // stride + 1
    Y = np.zeros(shape) + b[:, None, None]
    for i, j in np.ndindex(k, q):
        Y += np.einsum("fm,nmrc->nfrc", W[:, :, i, j], P[at_tap(i, j, stride, shape)])
    return Y


# %% [markdown]
# Now back. What one tap saw at all places receives the tap's weight times the gradient, and the weight receives what
# the tap saw times the gradient; both add up wherever a number was used more than once.


# %% tags=["stub"]
def convolve_backward(X, W, dout, stride, pad):
    """Carry the gradient of convolve's output back.

    X, W, stride, pad: as for convolve; dout: (N, F, H_out, V_out). Returns the tuple (dX, dW, db) with the shapes of X,
    W and b.
    """
    raise NotImplementedError


# %% tags=["solution"]
def convolve_backward(X, W, dout, stride, pad):
    """Carry the gradient of convolve's output back.

    X, W, stride, pad: as for convolve; dout: (N, F, H_out, V_out). Returns the tuple (dX, dW, db) with the shapes of X,
    W and b.
    """
    P = np.pad(X, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    dP, dW = np.zeros(P.shape), np.zeros(W.shape)
    for i, j in np.ndindex(W.shape[2:]):
        seen = at_tap(i, j, stride, dout.shape)
        dW[:, :, i, j] = np.einsum("nfrc,nmrc->fm", dout, P[seen])
        dP[seen] += np.einsum("fm,nfrc->nmrc", W[:, :, i, j], dout)
    H, V = X.shape[2:]
    return dP[:, :, pad : pad + H, pad : pad + V], dW, dout.sum(axis=(0, 2, 3))


# %%
check("q2")

# %% [markdown]
# Your layer on a photograph, with one kernel of three, and what one pixel of the upstream gradient turns into on its
# way back. How does the spot on the right compare to the kernel: as it is, or turned?

# %%
KERNELS = {
    "Sobel x": np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 8,
    "corner": np.array([[1.0, 1, 0], [1, -3, 0], [0, 0, 0]]) / 3,
    "blur": np.ones((3, 3)) / 9,
}
PHOTO = images.load("camera")[60:188, 180:308]


def show_layer(kernel="corner", stride=1, pad=1):
    """Output of the layer, and the gradient by the input if one output pixel is pulled up."""
    W = KERNELS[kernel][None, None]
    Y = convolve(PHOTO[None, None], W, np.zeros(1), stride, pad)
    tiny = np.zeros((1, 1, 9, 9))
    above = np.zeros(convolve(tiny, W, np.zeros(1), stride, pad).shape)
    above[0, 0, above.shape[2] // 2, above.shape[3] // 2] = 1
    back = convolve_backward(tiny, W, above, stride, pad)[0][0, 0]
    fig, axes = plt.subplots(1, 3, figsize=(8, 2.9))
    figures.show_field(axes[0], Y[0, 0], f"output {Y.shape[2]} × {Y.shape[3]}")
    figures.show_field(axes[1], W[0, 0], "kernel")
    figures.show_field(axes[2], back, "one pixel's way back")
    return fig


controls.explore(
    show_layer,
    kernel=controls.Dropdown(options=list(KERNELS), value="corner"),
    stride=controls.IntSlider(1, min=1, max=4),
    pad=controls.IntSlider(1, min=0, max=3),
)

# %% [markdown]
# **Look for** the spot: it is the kernel as it is. A correlation reads its window with the kernel as it stands, so a
# single gradient is laid out in the same way. A *sum* over all outputs, written for a fixed input pixel, then runs
# through the kernel backwards, and that is why dX as a whole is the correlation with the kernel turned by 180°.
#
# ## Question 3 — max pooling (4 points)
#
# Windows of size × size side by side on one map; rows and columns left over at the lower and right end are dropped.
# Back, each window's gradient goes to **one** pixel: the first, row by row, that has the window's largest value. What
# was dropped receives 0.


# %% tags=["stub"]
def max_pool(X, size):
    """Take the largest value of each window.

    X: (H, W), also negative; size: int, at most H and W. Returns (H // size, W // size).
    """
    raise NotImplementedError


def max_pool_backward(X, dout, size):
    """Route the gradient of max_pool's output to the input.

    X, size: as for max_pool; dout: (H // size, W // size). Returns dX, shaped as X.
    """
    raise NotImplementedError


# %% tags=["solution"]
def windows(X, size):
    """The windows, each as one row of size² values: (rows, columns, size²)."""
    rows, cols = X.shape[0] // size, X.shape[1] // size
    blocks = X[: rows * size, : cols * size].reshape(rows, size, cols, size)
    return blocks.swapaxes(1, 2).reshape(rows, cols, -1)


def max_pool(X, size):
    """Take the largest value of each window.

    X: (H, W), also negative; size: int, at most H and W. Returns (H // size, W // size).
    """
    return windows(X, size).max(axis=2)


def max_pool_backward(X, dout, size):
    """Route the gradient of max_pool's output to the input.

    X, size: as for max_pool; dout: (H // size, W // size). Returns dX, shaped as X.
    """
    dX = np.zeros(X.shape)
    row, col = np.divmod(windows(X, size).argmax(axis=2), size)  # argmax gives the first
    r, c = np.indices(dout.shape)
    dX[r * size + row, c * size + col] = dout
    return dX


# %%
check("q3")

# %% [markdown]
# A digit, pooled, and the pixels that the gradients go back to (all upstream gradients are 1 here).

# %%
DIGITS = classification.dataset("digits")


def show_routes(number=12, size=2):
    """One digit, its pooled map, and the routes."""
    X = DIGITS.X_train[number]
    out = max_pool(X, size)
    dX = max_pool_backward(X, np.ones(out.shape), size)
    return figures.row([X, out, dX], ["a digit", f"pooled by {size}", f"gradient: sum {dX.sum():g}"], width=7)


controls.explore(
    show_routes,
    number=controls.IntSlider(12, min=0, max=99),
    size=controls.IntSlider(2, min=2, max=4),
)

# %% [markdown]
# **Look for** windows that are black all over: their gradient goes to the upper left pixel, though any other has the
# same right. At size 3 the last two rows and columns count for nothing.
#
# ## Question 4 — shapes, parameters, fields (5 points)
#
# A network is a list of tuples:
#
# | layer | what it does |
# |---|---|
# | `("conv", F, k, s, p)` | F kernels k × k over all channels, stride s, pad p, each with a bias |
# | `("pool", k, s)` | largest of k × k, stride s, each channel by itself |
# | `("relu",)` | the shape stays |
# | `("flatten",)` | (C, H, W) becomes (C H W,) |
# | `("dense", M)` | M weighted sums of a vector, each with a bias |
#
# If a window does not fit, or a `dense` gets maps, or a `conv` or `pool` gets a vector, raise a `ValueError` whose
# text contains the number of the layer, counted from 0.


# %% tags=["stub"]
def shapes(layers, shape):
    """List what each layer gives and how many numbers it learns.

    layers: list of tuples as above; shape: (C, H, W) of one input. Returns a list with one pair (shape, parameters) for
    each layer, shape a tuple of ints. Raises a ValueError that contains the layer's number if a layer does not fit.
    """
    raise NotImplementedError


# %% tags=["solution"]
def shapes(layers, shape):
    """List what each layer gives and how many numbers it learns.

    layers: list of tuples as above; shape: (C, H, W) of one input. Returns a list with one pair (shape, parameters) for
    each layer, shape a tuple of ints. Raises a ValueError that contains the layer's number if a layer does not fit.
    """
    found, now = [], tuple(shape)
    for number, (name, *how) in enumerate(layers):
        k, s, p = {"conv": how[1:], "pool": [*how, 0]}.get(name, (1, 1, 0))
        vector_wanted, slides, learned = name == "dense", name in ("conv", "pool"), 0
        if (vector_wanted and len(now) != 1) or (slides and (len(now) != 3 or min(now[1:]) + 2 * p < k)):
            raise ValueError(f"layer {number}, {name}, does not fit {now}")
        if name == "conv":
            learned = (k * k * now[0] + 1) * how[0]
        if slides:
            now = (how[0] if name == "conv" else now[0], *((n + 2 * p - k) // s + 1 for n in now[1:]))
        elif name == "dense":
            learned, now = (now[0] + 1) * how[0], (how[0],)
        elif name == "flatten":
            now = (int(np.prod(now)),)
        found.append((now, learned))
    return found


# %% [markdown]
# And the receptive field: how many pixels of the input, along one axis, can change one number of the last map, and how
# far do two neighbours of that map look apart?


# %% tags=["stub"]
def field(layers):
    """Find the receptive field of one output, and the step between outputs, in input pixels along one axis.

    layers: "conv", "pool" and "relu" only. Returns the tuple (R, J) of two ints.
    """
    raise NotImplementedError


# %% tags=["solution"]
def field(layers):
    """Find the receptive field of one output, and the step between outputs, in input pixels along one axis.

    layers: "conv", "pool" and "relu" only. Returns the tuple (R, J) of two ints.
    """
    R, J = 1, 1
    for name, *how in layers:
        if name in ("conv", "pool"):
            k, s = how[1:3] if name == "conv" else how
            R, J = R + (k - 1) * J, J * s
    return R, J


# %%
check("q4")

# %% [markdown]
# A network for 32 × 32 colour images: how do depth and pooling share out parameters and sight?


# %%
def show_budget(blocks=2, pool=2, kernels=16):
    """Parameters of each layer, and the receptive field, for blocks of conv, relu, pool."""
    layers = []
    for k in range(blocks):
        layers += [("conv", kernels * 2**k, 3, 1, 1), ("relu",), ("pool", pool, pool)]
    R, J = field(layers)
    found = shapes([*layers, ("flatten",), ("dense", 10)], (3, 32, 32))
    names = [layer[0] for layer in layers] + ["flatten", "dense"]
    fig, ax = plt.subplots(figsize=(8, 3))
    ax.bar(range(len(found)), [max(parameters, 0.7) for _, parameters in found], color=figures.COLORS["blue"])
    labels = [f"{name}\n{'×'.join(map(str, shape))}" for name, (shape, _) in zip(names, found, strict=True)]
    ax.set_xticks(range(len(found)), labels, fontsize=6)
    ax.set(yscale="log", ylim=(1, 3e6), ylabel="parameters")
    ax.set_title(f"{sum(p for _, p in found):,} parameters; a last map's pixel sees {R}, {J} apart")
    return fig


controls.explore(
    show_budget,
    blocks=controls.IntSlider(2, min=1, max=3),
    pool=controls.IntSlider(2, min=1, max=3),
    kernels=controls.IntSlider(16, min=4, max=32, step=4),
)

# %% [markdown]
# **Look for** where most parameters are. With 16 kernels and pools of 2: for one block in the `dense` layer, for three
# in the last convolution; without pooling (size 1) always in the `dense` layer. And a pixel sees little without
# pooling: 7 pixels after three convolutions, 22 with three pools of 2.
#
# ## Question 5 — by heart (7 points)
#
# Two layers: $\mathbf H = \max(\mathbf X\mathbf W_1+\mathbf b_1, 0)$, scores $\mathbf S = \mathbf H\mathbf W_2+\mathbf
# b_2$, and the mean cross-entropy of the softmax,
#
# $$L = \frac1N\sum_n\Bigl(\log\sum_k e^{S_{nk}} - S_{n y_n}\Bigr). \tag{3}$$
#
# Scores may lie in the thousands.


# %% tags=["stub"]
def loss_and_gradients(X, y, W1, b1, W2, b2):
    """Compute the loss (3) and its gradients.

    X: (N, D); y: (N,) ints; W1: (D, M); b1: (M,); W2: (M, K); b2: (K,). Returns the tuple (loss, dW1, db1, dW2, db2):
    a number and four arrays shaped as the parameters.
    """
    raise NotImplementedError


# %% tags=["solution"]
def loss_and_gradients(X, y, W1, b1, W2, b2):
    """Compute the loss (3) and its gradients.

    X: (N, D); y: (N,) ints; W1: (D, M); b1: (M,); W2: (M, K); b2: (K,). Returns the tuple (loss, dW1, db1, dW2, db2):
    a number and four arrays shaped as the parameters.
    """
    H = np.maximum(X @ W1 + b1, 0)
    S = H @ W2 + b2
    S = S - S.max(axis=1, keepdims=True)
    total, n = np.exp(S).sum(axis=1), np.arange(len(X))
    loss = np.mean(np.log(total) - S[n, y])
    dS = np.exp(S) / total[:, None]
    dS[n, y] -= 1
    dS /= len(X)
    dH = dS @ W2.T * (H > 0)
    return loss, X.T @ dH, dH.sum(axis=0), H.T @ dS, dS.sum(axis=0)


# %% [markdown]
# Do not trust your gradient: compare it with differences. The arrays of a real network are float32; choose precision,
# formula and step so that six digits are right all the same. (No hidden unit of the examples is near the kink of its
# ReLU.)


# %% tags=["stub"]
def numeric_dW1(X, y, W1, b1, W2, b2):
    """Estimate dW1 by differences of the loss; no entry may err by more than 1e-6 times the largest entry of dW1.

    Arguments as in loss_and_gradients, but they may be float32. Returns an array shaped as W1.
    """
    raise NotImplementedError


# %% tags=["solution"]
def numeric_dW1(X, y, W1, b1, W2, b2):
    """Estimate dW1 by differences of the loss; no entry may err by more than 1e-6 times the largest entry of dW1.

    Arguments as in loss_and_gradients, but they may be float32. Returns an array shaped as W1.
    """
    X, W1, b1, W2, b2 = (np.array(one, dtype=np.float64) for one in (X, W1, b1, W2, b2))
    found, h = np.zeros(W1.shape), 1e-5
    for k in np.ndindex(W1.shape):
        e = np.zeros(W1.shape)
        e[k] = h
        above, below = (loss_and_gradients(X, y, W1 + s * e, b1, W2, b2)[0] for s in (1, -1))
        found[k] = (above - below) / (2 * h)
    return found


# %% [markdown]
# The best test of a new network: can it learn a handful of examples by heart? If not, something is broken. Choose the
# start weights, the step rule and the number of steps yourself; a second is more than enough.


# %% tags=["stub"]
def by_heart(X, y, M, seed):
    """Train the network on a few examples until its loss (3) is below 0.01.

    X: (N, D) in [0, 1], N from 20 to 60; y: (N,) ints, each class 0 … K − 1 occurs; M: hidden units, 16 or more; seed:
    int.
    Returns the tuple (W1, b1, W2, b2).
    """
    raise NotImplementedError


# %% tags=["solution"]
def by_heart(X, y, M, seed):
    """Train the network on a few examples until its loss (3) is below 0.01.

    X: (N, D) in [0, 1], N from 20 to 60; y: (N,) ints, each class 0 … K − 1 occurs; M: hidden units, 16 or more; seed:
    int.
    Returns the tuple (W1, b1, W2, b2).
    """
    rng, D, K = np.random.default_rng(seed), X.shape[1], int(y.max()) + 1
    params = [rng.normal(0, np.sqrt(2 / D), (D, M)), np.zeros(M), rng.normal(0, np.sqrt(2 / M), (M, K)), np.zeros(K)]
    speed = [np.zeros(p.shape) for p in params]
    for _ in range(3000):
        loss, *grads = loss_and_gradients(X, y, *params)
        if loss < 0.005:
            break
        speed = [0.9 * v - 0.05 * g for v, g in zip(speed, grads, strict=True)]
        params = [p + v for p, v in zip(params, speed, strict=True)]
    return tuple(params)


# %% [markdown]
# And dropout, which behaves in two ways. `u` holds random numbers, uniform in [0, 1): in training an entry is dropped
# where u < p.


# %% tags=["stub"]
def dropout(x, u, p, train):
    """Drop entries with probability p in training, so that the expected value stays; else leave x as it is.

    x, u: arrays of one shape; p: in [0, 1); train: bool. Returns an array shaped as x.
    """
    raise NotImplementedError


# %% tags=["solution"]
def dropout(x, u, p, train):
    """Drop entries with probability p in training, so that the expected value stays; else leave x as it is.

    x, u: arrays of one shape; p: in [0, 1); train: bool. Returns an array shaped as x.
    """
    return x * (u >= p) / (1 - p) if train else x.copy()


# %%
check("q5")

# %% [markdown]
# What does a network know that has learned twenty digits by heart, two of each class? Here it reads 300 others.


# %%
def show_reader(n=20, M=32, p=0.0):
    """Share of right answers on the examples and on new digits; with dropout left on by mistake if p > 0."""
    X, y = DIGITS.X_train.reshape(-1, 64), DIGITS.y_train
    own = np.concatenate([np.flatnonzero(y == c)[: n // 10] for c in range(10)])  # the same number of each class
    W1, b1, W2, b2 = by_heart(X[own], y[own], M, 0)
    rng, rights = np.random.default_rng(1), []
    for part in (own, slice(500, 800)):
        H = np.maximum(X[part] @ W1 + b1, 0)
        H = dropout(H, rng.random(H.shape), p, train=p > 0)
        rights.append(100 * np.mean(np.argmax(H @ W2 + b2, axis=1) == y[part]))
    fig, ax = plt.subplots(figsize=(5, 2.8))
    ax.bar([f"the {n} examples", "300 others"], rights, color=[figures.COLORS["blue"], figures.COLORS["orange"]])
    ax.set(ylim=(0, 105), ylabel="% right", title=f"{rights[0]:.0f} % and {rights[1]:.0f} %")
    return fig


controls.explore(
    show_reader,
    n=controls.IntSlider(20, min=20, max=60, step=10, description="examples", continuous_update=False),
    M=controls.IntSlider(32, min=16, max=64, step=16, description="hidden units", continuous_update=False),
    p=controls.FloatSlider(0.0, min=0, max=0.8, step=0.1, description="dropout left on"),
)

# %% [markdown]
# **Look for** the gap: all examples are right, of the others some 75 % with two examples a class and nearly 80 % with
# six (a little more or less with your start weights); more hidden units help hardly at all. And a network that is asked
# with its dropout still on forgets even what it had by heart.
#
# ## Question 6 — in words (4 points, marked by hand)
#
# 1. A colleague's gradient check compares `dW` with forward differences, in float32, with $h = 10^{-8}$, and finds a
#    relative error of 1 for all entries. What has happened, which $h$ and which precision would you take, and why is
#    the best $h$ neither large nor tiny?
# 2. Max pooling and average pooling send gradients back to the same picture. Say for each which pixels receive what,
#    and what happens to a bright pixel's gradient if a neighbour in its window becomes a little brighter than it.
# 3. A network classifies cell images with 99 % on the held-out part. At another hospital it is right in 70 %. Name two
#    causes that this course has shown, and an experiment that tells them apart.

# %% [markdown] tags=["stub", "text:q6"]
# **Answer q6:** (write here)

# %% [markdown] tags=["solution", "text:q6"]
# **Answer q6:**
#
# 1. Float32 keeps seven digits, so $x + 10^{-8}$ is $x$ for $x$ near 1: the difference is 0 and the error 100 %. The
#    error of a central difference is $h^2f'''/6$ plus the rounding $\varepsilon|f|/h$; the first grows and the second
#    falls with $h$, and the sum is least at $h = (3\varepsilon|f|/|f'''|)^{1/3}$: about $10^{-5}$ in float64, where
#    $10^{-10}$ remains. Compute the check in float64 even if the network runs in float32, with central differences.
# 2. Max: of each window the first largest pixel receives all of the upstream gradient, the others 0. Average: each of
#    the $k^2$ pixels receives $1/k^2$ of it. When a neighbour overtakes the bright pixel, its gradient jumps from all
#    to nothing (the function has a kink there); with the average nothing changes.
# 3. For instance: the held-out images come from the same patients or slides as the training part, so it measured
#    recognition of those (a leak, as with patches of the same photographs); or the images differ: stain, scale,
#    a shift that the training examples never showed. Test: hold out whole patients at the first hospital. If the 99 %
#    fall, it was the leak. If they stay, shift, scale or recolour held-out images as at the other hospital, and see
#    whether they fall then.
