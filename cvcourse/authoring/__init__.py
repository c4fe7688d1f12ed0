"""The workshop of the course's authors; no lecture imports it.

``python -m cvcourse.authoring record [NAME …]``   run lectures and store their outputs
``python -m cvcourse.authoring release [--check]`` make the students' exercise notebooks
``python -m cvcourse.authoring links``             check the links inside the course
"""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = ROOT / "notebooks"
EXERCISES = NOTEBOOKS / "exercises"
SOURCE = EXERCISES / "source"
