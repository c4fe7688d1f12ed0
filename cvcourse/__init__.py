"""Introduction to Computer Vision: the kernels behind the lecture notebooks.

One module per lecture (``cvcourse.filtering`` belongs to ``notebooks/01_filtering.ipynb``) and a
few that serve all.  Import modules, not names: ``from cvcourse import filtering, images``.
"""

__version__ = "0.1.0"
