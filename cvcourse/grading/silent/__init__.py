"""What stands in for `cvcourse.checks` and `cvcourse.controls` inside the sandbox.

While a notebook is graded nothing is checked or drawn for a reader, and neither pytest nor the
widgets need loading.
"""
