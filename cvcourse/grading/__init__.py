"""Grade a class: notebooks in, marks, feedback and a report out.

``python -m cvcourse.grading grade 04_corners INBOX --out RESULTS``  grade all notebooks of a folder
``python -m cvcourse.grading finish RESULTS``                        grades.csv, feedback, manual.csv
``python -m cvcourse.grading report RESULTS``                        one HTML page about the class

The student's code computes inside a sandbox (`worker`), the comparison happens outside, with the
checks that students have too.  Only plain data passes between them.  See README.md in this folder.
"""
