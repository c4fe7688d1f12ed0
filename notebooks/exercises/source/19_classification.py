# %% [markdown]
# # Exercise 19 — Image classification
#
# You classify by nearest neighbours, in bounded memory; write both losses with their gradients and know where a
# gradient check must fail; train a classifier; cross-validate without a leak, and let a lie detector look at it. It goes
# with [lecture 19](../19_classification.ipynb).
#
# | question | what it examines | points |
# |---|---|---|
# | 1 | k nearest neighbours without loops over pairs, in blocks, with a tie rule | 6 |
# | 2 | hinge loss, its gradient, and its kinks | 6 |
# | 3 | softmax for any scores, the regularised objective, accuracy | 6 |
# | 4 | cross-validation that passes the lie detector | 5 |
# | 5 | templates as pictures | 3 |
# | 6 | in words (marked by hand) | 4 |
#
# **How it works.** Replace `raise NotImplementedError` in each function and run `check("q1")` below it, as often as
# you like: it says what holds, what does not, and which common slip it looks like. The same checks give the points,
# on other random numbers.
#
# **Rules.** All of NumPy is allowed. `cvcourse` inside your functions, SciPy, scikit-learn, scikit-image, OpenCV and
# PyTorch are not. A function leaves its arguments as they are. The later questions may use the earlier ones. Until a
# function is written, the cells that draw with it stop with `NotImplementedError`; that is meant.

# %%
import matplotlib.pyplot as plt
import numpy as np

from cvcourse import checks, classification, controls, figures

check = checks.exercise("19_classification")

# %% [markdown]
# **Conventions.** Examples are the rows of `X`, shape (N, D); labels `y`, shape (N,), are whole numbers 0 … C − 1;
# scores have one row an example and one column a class.
#
# ## Question 1 — nearest neighbours (6 points)
#
# All squared distances between two sets come from one matrix product, without a loop:
#
# $$\|\mathbf a-\mathbf b\|^2 = \|\mathbf a\|^2 + \|\mathbf b\|^2 - 2\,\mathbf a^{\mathsf T}\mathbf b. \tag{1}$$
#
# Rounding can make a result slightly negative where it should be 0; let no distance be below 0. Then the vote: the most
# frequent label among the neighbours; of equally frequent ones that of the nearest neighbour which has one of them.


# %% tags=["stub"]
def squared_distances(A, B):
    """Give all squared distances, Eq. (1).

    A: (N, D), B: (M, D) floats. Returns an array of shape (N, M), no entry below 0. No array of N x M x D numbers.
    """
    raise NotImplementedError


def vote(labels):
    """Take the most frequent label of each row; a tie goes to the label that comes first in the row.

    labels: (M, k) ints >= 0, nearest neighbour first. Returns (M,) ints.
    """
    raise NotImplementedError


# %% tags=["solution"]
def squared_distances(A, B):
    """Give all squared distances, Eq. (1).

    A: (N, D), B: (M, D) floats. Returns an array of shape (N, M), no entry below 0. No array of N x M x D numbers.
    """
    d = np.sum(A * A, axis=1)[:, None] + np.sum(B * B, axis=1) - 2 * A @ B.T
    return np.maximum(d, 0)


def vote(labels):
    """Take the most frequent label of each row; a tie goes to the label that comes first in the row.

    labels: (M, k) ints >= 0, nearest neighbour first. Returns (M,) ints.
    """
    count = np.sum(labels[:, :, None] == labels[:, None, :], axis=2)  # how often each entry's label is in its row
    return labels[np.arange(len(labels)), count.argmax(axis=1)]  # argmax takes the first of equals


# %% [markdown]
# With 60,000 training and 10,000 new images even the (N, M) array is 4.8 GB. So work in **blocks** of rows of `X`, as
# many rows at once as `limit` numbers of distances allow, but at least one. Of equally near training examples the
# earlier counts as nearer (`np.argsort` has an option for that).


# %% tags=["stub"]
def knn(X_train, y_train, X, k, limit):
    """Classify the rows of X by the k nearest training examples, block by block.

    X_train: (N, D); y_train: (N,) ints; X: (M, D), M >= 1; k: 1 ... N; limit: the most numbers that an array of
    distances may hold (one row of N is allowed in any case). Returns the tuple (labels, largest): (M,) ints, and the
    number of entries of the largest array of distances that you made.
    """
    raise NotImplementedError


# %% tags=["solution"]
def knn(X_train, y_train, X, k, limit):
    """Classify the rows of X by the k nearest training examples, block by block.

    X_train: (N, D); y_train: (N,) ints; X: (M, D), M >= 1; k: 1 ... N; limit: the most numbers that an array of
    distances may hold (one row of N is allowed in any case). Returns the tuple (labels, largest): (M,) ints, and the
    number of entries of the largest array of distances that you made.
    """
    rows = max(1, limit // len(X_train))
    labels, largest = [], 0
    for i in range(0, len(X), rows):
        d = squared_distances(X[i : i + rows], X_train)
        nearest = np.argsort(d, axis=1, kind="stable")[:, :k]
        labels.append(vote(y_train[nearest]))
        largest = max(largest, d.size)
    return np.concatenate(labels), largest


# %%
check("q1")

# %% [markdown]
# The digits of the lecture: choose one and see its neighbours vote. Which digits are lost first when k grows?

# %%
DIGITS = classification.dataset("digits")
A, B = DIGITS.X_train.reshape(-1, 64), DIGITS.X_test.reshape(-1, 64)


def show_neighbours(digit=5, k=5):
    """A test digit, its nearest training digits, and how many of 300 test digits k neighbours get right."""
    nearest = np.argsort(squared_distances(B[digit : digit + 1], A)[0], kind="stable")[: max(k, 8)]
    said, _ = knn(A, DIGITS.y_train, B[:300], k, 100_000)
    fig, axes = plt.subplots(1, 9, figsize=(8, 1.5))
    figures.show_image(axes[0], DIGITS.X_test[digit], f"is {DIGITS.y_test[digit]}")
    for ax, i in zip(axes[1:], nearest):
        figures.show_image(ax, DIGITS.X_train[i], str(DIGITS.y_train[i]))
    fig.suptitle(f"k = {k} says {said[digit]}; of 300 digits {np.mean(said == DIGITS.y_test[:300]):.3f} right")
    return fig


controls.explore(
    show_neighbours,
    digit=controls.IntSlider(5, min=0, max=299),
    k=controls.IntSlider(5, min=1, max=401, step=20, continuous_update=False),
)

# %% [markdown]
# **Look for** what a large k does. Up to k = 21 most answers stay: 0.980 of the 300 digits are right with one
# neighbour, 0.947 with 21. At 401, nearly half of all training digits, only a third of the ones and of the nines are
# still right, and 49 digits are called 0, though 19 are zeros (try digit 270).
#
# ## Question 2 — the hinge loss and its kinks (6 points)
#
# $$L = \frac1N\sum_i\sum_{j\ne y_i}\max(0,\ m_{ij}),\qquad m_{ij} = s_{ij} - s_{iy_i} + 1. \tag{2}$$
#
# Derive the gradient by the scores. At a kink, $m_{ij} = 0$ exactly, take the flat side: no contribution.


# %% tags=["stub"]
def hinge(scores, y):
    """Give the hinge loss, Eq. (2), and its gradient by the scores.

    scores: (N, C) floats; y: (N,) ints in 0 ... C - 1. Returns the tuple (loss, dscores): a number, and an array of
    shape (N, C).
    """
    raise NotImplementedError


# %% tags=["solution"]
def hinge(scores, y):
    """Give the hinge loss, Eq. (2), and its gradient by the scores.

    scores: (N, C) floats; y: (N,) ints in 0 ... C - 1. Returns the tuple (loss, dscores): a number, and an array of
    shape (N, C).
    """
    n = np.arange(len(y))
    m = scores - scores[n, y][:, None] + 1
    m[n, y] = 0
    dscores = (m > 0).astype(float)
    dscores[n, y] = -dscores.sum(axis=1)
    return np.maximum(m, 0).sum() / len(y), dscores / len(y)


# %% [markdown]
# You check a gradient by central differences: entry $s_{ij}$ is moved by $+h$ and by $-h$. The check is worth nothing
# where a kink lies strictly between the two places. For which entries is that so? Think of $j = y_i$ too: which terms
# does the right score move?


# %% tags=["stub"]
def near_kink(scores, y, h):
    """Mark the entries at which a central difference of step h has a kink of the hinge loss strictly inside.

    scores: (N, C) floats; y: (N,) ints; h > 0. Returns an array of shape (N, C) of bools.
    """
    raise NotImplementedError


# %% tags=["solution"]
def near_kink(scores, y, h):
    """Mark the entries at which a central difference of step h has a kink of the hinge loss strictly inside.

    scores: (N, C) floats; y: (N,) ints; h > 0. Returns an array of shape (N, C) of bools.
    """
    n = np.arange(len(y))
    near = np.abs(scores - scores[n, y][:, None] + 1) < h
    near[n, y] = False  # the right class has no term of its own
    near[n, y] = near.any(axis=1)  # but it is in all the others
    return near


# %%
check("q2")

# %% [markdown]
# One example with three scores; the second is moved by the slider. Line: your gradient; dots: the central difference.


# %%
def difference(scores, y, i, j, h):
    """Central difference of the hinge loss by entry (i, j)."""
    above, below = scores.copy(), scores.copy()
    above[i, j] += h
    below[i, j] -= h
    return (hinge(above, y)[0] - hinge(below, y)[0]) / (2 * h)


# %% [markdown]
# The other two scores stay. At which second score is the kink, and how wide is the stretch of false values?


# %%
def show_kink(log_h=-1.0, right=2.0):
    """Gradient by the second score, exact and by differences, as that score grows."""
    places = np.linspace(-1, 4, 120)
    h, y = 10**log_h, np.array([0])
    exact, numeric, marked = [], [], []
    for s in places:
        scores = np.array([[right, s, -0.5]])
        exact.append(hinge(scores, y)[1][0, 1])
        numeric.append(difference(scores, y, 0, 1, h))
        marked.append(near_kink(scores, y, h)[0, 1])
    numeric, marked = np.array(numeric), np.array(marked)
    fig, ax = plt.subplots(figsize=(7, 2.8))
    ax.plot(places, exact, color=figures.COLORS["blue"], label="your gradient")
    ax.plot(places[~marked], numeric[~marked], ".", color=figures.COLORS["green"], label="difference")
    ax.plot(places[marked], numeric[marked], "x", color=figures.COLORS["red"], label="difference, marked")
    ax.set(ylim=(-0.2, 1.2), xlabel="second score", title=f"h = {h:.1e}: {marked.sum()} of 120 places marked")
    ax.legend(loc="center left")
    return fig


controls.explore(
    show_kink,
    log_h=controls.FloatSlider(-1, min=-6, max=0, step=0.5, description="log₁₀ h"),
    right=controls.FloatSlider(2.0, min=0, max=4, step=0.25, description="right score"),
)

# %% [markdown]
# **Look for** dots that leave the line: each of them should be a red cross. The kink is where the second score is 1
# below the right one, and the stretch of false values is $2h$ wide. A smaller $h$ makes them rarer, not impossible. And
# remember that 0.5 beside 1 is a *relative error* of a half: a check that fails here fails loudly, for no reason.
#
# ## Question 3 — softmax, the objective, accuracy (6 points)
#
# $$p_{ij} = \frac{e^{s_{ij}}}{\sum_k e^{s_{ik}}},\qquad
#   J(W, \mathbf b) = -\frac1N\sum_i \ln p_{iy_i} + \lambda\sum_{d,c} W_{dc}^2,\qquad S = XW + \mathbf 1\mathbf b^{\mathsf T}. \tag{3}$$
#
# Scores may be thousands, of either sign, and different from row to row; neither $p$ nor $J$ may become NaN or
# infinite. ($\ln p$ is not to be computed by way of a $p$ that has become 0.) $\mathbf b$ is not regularised.


# %% tags=["stub"]
def softmax(scores):
    """Give the probabilities of Eq. (3).

    scores: (N, C) finite floats of any size. Returns an array of shape (N, C), each row sums to 1.
    """
    raise NotImplementedError


def objective(W, b, X, y, lam):
    """Give J of Eq. (3) and its gradients.

    W: (D, C), b: (C,), X: (N, D), y: (N,) ints, lam >= 0. Returns the tuple (J, dW, db): a number and arrays of
    the shapes of W and b.
    """
    raise NotImplementedError


def accuracy(scores, y):
    """Give the share of the examples whose right class has the highest score, in [0, 1].

    scores: (N, C) floats, no two alike in a row; y: (N,) ints. Returns a number.
    """
    raise NotImplementedError


# %% tags=["solution"]
def softmax(scores):
    """Give the probabilities of Eq. (3).

    scores: (N, C) finite floats of any size. Returns an array of shape (N, C), each row sums to 1.
    """
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def objective(W, b, X, y, lam):
    """Give J of Eq. (3) and its gradients.

    W: (D, C), b: (C,), X: (N, D), y: (N,) ints, lam >= 0. Returns the tuple (J, dW, db): a number and arrays of
    the shapes of W and b.
    """
    n = np.arange(len(y))
    S = X @ W + b
    z = S - S.max(axis=1, keepdims=True)
    J = np.mean(np.log(np.exp(z).sum(axis=1)) - z[n, y]) + lam * np.sum(W**2)
    dS = softmax(S)
    dS[n, y] -= 1
    dS /= len(y)
    return J, X.T @ dS + 2 * lam * W, dS.sum(axis=0)


def accuracy(scores, y):
    """Give the share of the examples whose right class has the highest score, in [0, 1].

    scores: (N, C) floats, no two alike in a row; y: (N,) ints. Returns a number.
    """
    return np.mean(scores.argmax(axis=1) == y)


# %%
check("q3")

# %% [markdown]
# Now it learns. Plain descent on the first n digits, from zero, with your gradient. Predict first: where does the loss
# start, whatever the rate?


# %%
def train(n, lam, rate, steps):
    """W, b and the objective before each step of plain descent on the first n training digits."""
    W, b, values = np.zeros((64, 10)), np.zeros(10), []
    for _ in range(steps):
        J, dW, db = objective(W, b, A[:n], DIGITS.y_train[:n], lam)
        W, b = W - rate * dW, b - rate * db
        values.append(J)
    return W, b, values


def show_training(log_rate=-0.5, log_lam=-4.0, n=200):
    """The objective by steps, and the accuracy on training and test digits at the end."""
    W, b, values = train(n, 10**log_lam, 10**log_rate, 100)
    own, new = accuracy(A[:n] @ W + b, DIGITS.y_train[:n]), accuracy(B @ W + b, DIGITS.y_test)
    fig, ax = plt.subplots(figsize=(7, 2.8))
    ax.semilogy(values, color=figures.COLORS["blue"])
    ax.axhline(np.log(10), color="0.6", lw=1)
    ax.set(
        ylim=(0.02, 100), xlabel="step", ylabel="J", title=f"{own:.3f} of the training digits, {new:.3f} of the test"
    )
    return fig


controls.explore(
    show_training,
    log_rate=controls.FloatSlider(-0.5, min=-2, max=2, step=0.25, description="log₁₀ rate", continuous_update=False),
    log_lam=controls.FloatSlider(-4, min=-6, max=0, step=1, description="log₁₀ λ", continuous_update=False),
    n=controls.IntSlider(200, min=50, max=850, step=50, description="digits", continuous_update=False),
)

# %% [markdown]
# **Look for** the start at $\ln 10$ (grey line); the rate, about 3, from which the curve jumps before it falls; and the
# gap between the two accuracies: 0.965 and 0.796 with 200 digits, 0.939 and 0.919 with 850. A λ of 0.1 makes both worse.
#
# ## Question 4 — a cross-validation without a leak (5 points)
#
# First the folds. Deal each class in turn: the first example of a class (in the order of `y`) goes to fold 0, its
# second to fold 1, …, its (k + 1)-th to fold 0 again. Then an experiment with three steps, *for each fold*:
#
# 1. **select** the `m` columns with the largest distance, in magnitude, between the means of class 1 and of class 0;
# 2. **scale** the selected columns: subtract the mean, divide by the standard deviation (`std`, no column is constant);
# 3. **classify** the fold by the nearest neighbour (k = 1) in the others.
#
# Which examples may take part in steps 1 and 2? The result is the share of all N examples that were classified
# correctly while they were left out.


# %% tags=["stub"]
def deal(y, k):
    """Give the number of the fold of each example, 0 ... k - 1: each class is dealt in turn.

    y: (N,) ints. Returns (N,) ints.
    """
    raise NotImplementedError


def cross_validated(X, y, fold, m):
    """Give the accuracy of select, scale, classify, each example being judged while its fold is left out.

    X: (N, D) floats; y: (N,) ints, 0 or 1; fold: (N,) ints, the fold of each example; m: columns to keep. Returns a
    number in [0, 1].
    """
    raise NotImplementedError


# %% tags=["solution"]
def deal(y, k):
    """Give the number of the fold of each example, 0 ... k - 1: each class is dealt in turn.

    y: (N,) ints. Returns (N,) ints.
    """
    fold = np.zeros(len(y), int)
    for c in np.unique(y):
        fold[y == c] = np.arange(np.sum(y == c)) % k
    return fold


def cross_validated(X, y, fold, m):
    """Give the accuracy of select, scale, classify, each example being judged while its fold is left out.

    X: (N, D) floats; y: (N,) ints, 0 or 1; fold: (N,) ints, the fold of each example; m: columns to keep. Returns a
    number in [0, 1].
    """
    right = 0
    for f in np.unique(fold):
        train, test = X[fold != f], X[fold == f]
        y_train, y_test = y[fold != f], y[fold == f]
        gap = np.abs(train[y_train == 1].mean(axis=0) - train[y_train == 0].mean(axis=0))
        best = np.argsort(gap)[-m:]
        mean, std = train[:, best].mean(axis=0), train[:, best].std(axis=0)
        d = squared_distances((test[:, best] - mean) / std, (train[:, best] - mean) / std)
        right += np.sum(y_train[d.argmin(axis=1)] == y_test)
    return right / len(y)


# %%
check("q4")

# %% [markdown]
# The lie detector: 40 examples of `columns` random numbers, labels tossed by a coin, ten times. What your function
# claims stands beside what it would claim if the columns had been selected once, before the folds.


# %%
def show_lie(columns=1000, m=10):
    """Claims on labels that mean nothing: selection inside the folds, and before them."""
    claims = np.zeros((2, 10))
    for run in range(10):
        rng = np.random.default_rng(run)
        X, y = rng.normal(size=(40, columns)), rng.permutation(np.arange(40) % 2)
        fold = deal(y, 5)
        gap = np.abs(X[y == 1].mean(axis=0) - X[y == 0].mean(axis=0))
        chosen = X[:, np.argsort(gap)[-m:]]
        claims[:, run] = cross_validated(X, y, fold, m), cross_validated(chosen, y, fold, m)
    fig, ax = plt.subplots(figsize=(7, 2.4))
    for row, name, height in zip(claims, ("blue", "red"), (1, 0)):
        ax.plot(row, height + np.linspace(-0.15, 0.15, 10), "o", color=figures.COLORS[name])
    ax.axvline(0.5, color="0.5", ls=":")
    ax.set(xlim=(0, 1.02), ylim=(-0.5, 1.5), yticks=[0, 1], yticklabels=["selected before", "inside the folds"])
    ax.set_title(f"{m} of {columns} random columns: {claims[0].mean():.2f} inside, {claims[1].mean():.2f} before")
    return fig


controls.explore(
    show_lie,
    columns=controls.IntSlider(1000, min=20, max=3000, step=20, continuous_update=False),
    m=controls.IntSlider(10, min=1, max=20, continuous_update=False),
)

# %% [markdown]
# **Look for** the number of columns at which the red dots leave chance: the more there are to choose from, the better
# the lie. Blue scatters about a half, a single run by as much as 0.2: forty examples are few.
#
# ## Question 5 — templates as pictures (3 points)
#
# Column $c$ of $W$ has a weight for each pixel. As a picture: weight 0 is mid-gray, 0.5; the largest magnitude *of this
# class* is 1 if positive, 0 if negative; linear between. A template of zeros is gray all over.


# %% tags=["stub"]
def templates(W, shape):
    """Turn the columns of W into pictures.

    W: (D, C) floats; shape: of one image, (rows, columns) or (rows, columns, 3), with D entries. Returns an array of
    shape (C, *shape) with values in [0, 1].
    """
    raise NotImplementedError


# %% tags=["solution"]
def templates(W, shape):
    """Turn the columns of W into pictures.

    W: (D, C) floats; shape: of one image, (rows, columns) or (rows, columns, 3), with D entries. Returns an array of
    shape (C, *shape) with values in [0, 1].
    """
    largest = np.abs(W).max(axis=0)
    scaled = W / np.where(largest > 0, largest, 1)
    return 0.5 + 0.5 * scaled.T.reshape(-1, *shape)


# %%
check("q5")

# %% [markdown]
# The templates that your own descent finds:


# %%
def show_templates(log_lam=-4.0, steps=100):
    """Templates of the ten digits after some steps of descent."""
    W, _, _ = train(850, 10**log_lam, 1.0, steps)
    return figures.enlarge(np.concatenate(list(templates(W, (8, 8))), axis=1), 8)


controls.explore(
    show_templates,
    log_lam=controls.FloatSlider(-4, min=-6, max=0, step=1, description="log₁₀ λ", continuous_update=False),
    steps=controls.IntSlider(100, min=10, max=300, step=10, continuous_update=False),
)

# %% [markdown]
# **Look for** the 0, a bright ring with a dark middle, after few steps or with a large λ; and for single pixels that stick
# out after many steps with a small one.
#
# ## Question 6 — in words (4 points, marked by hand)
#
# 1. A colleague reports 99.1 % for telling ten birds apart: 1-NN on single frames of twenty videos, frames dealt at
#    random into training and test. Shuffled labels gave 10 %. Do you believe the 99.1 %? What would you do?
# 2. Your hinge loss starts at 27 for ten classes with $W = 0$ and $\mathbf b = \mathbf 0$. What is wrong, most likely?
# 3. Test digits moved by one pixel: 1-NN falls from 0.99 to about 0.6, the linear classifier to about 0.4. Why do both
#    fall, and why does the linear one fall deeper?

# %% [markdown] tags=["stub", "text:q6"]
# **Answer q6:** (write here)

# %% [markdown] tags=["solution", "text:q6"]
# **Answer q6:**
#
# 1. No. Frames of one video are nearly copies of each other, and a random deal puts copies on both sides: the number
#    says how well a frame's neighbour in time is found. Shuffling frame by frame breaks the tie between the copies too,
#    so it falls to chance and finds nothing: it detects leaks of labels only. Split by video (or by bird, by place, by
#    day: by whatever will be new when the program is used), so that no video is on both sides, and give an interval:
#    with twenty videos there are twenty independent examples, not thousands, and the interval is wide. A detector for
#    this kind: shuffle the labels of whole videos.
# 2. With equal scores each of the nine wrong classes costs 1: the loss must be 9, and 10 if the right class is counted
#    too. 27 is 3 × 9: a sum instead of a mean over three examples ($1/N$ is missing). (A margin of 3 would give 27
#    too; the gradient tells: with $1/N$ missing it is three times too large, with another margin it isn't.)
# 3. To both a picture is a row of numbers, and moving by one pixel changes nearly all of them at the edges of strokes:
#    the distance to the same digit becomes as large as that to others. 1-NN still has some training digits that were
#    written a pixel farther right. The linear classifier has one template a class, with weights of opposite sign side by
#    side where classes must be told apart; there a moved stroke gets the wrong sign. What helps: moved copies in the
#    training set, or weights that are shared by all places and a summary that forgets the place (lecture 20).
