"""Run a notebook in a fresh kernel and store its outputs, the same bytes every time.

The kernel client is nbval's, so that what is recorded is what the tests compare.
"""

import json
import queue
from pathlib import Path
from typing import Any

import nbformat
from nbval.kernel import CURRENT_ENV_KERNEL_NAME, RunningKernel

from cvcourse.authoring import comparing

CELL_SECONDS = 120
WIDGET = "application/vnd.jupyter.widget-view+json"


class CellFailed(RuntimeError):
    """A cell raised an error that its tags do not announce."""


def run(notebook: nbformat.NotebookNode, folder: Path, may_raise: tuple[str, ...] = ()) -> None:
    """Run all code cells of `notebook` in `folder`, in place.

    `may_raise` names errors that any cell may end with, as ``"NotImplementedError"``.

    Raises
    ------
    CellFailed
        If a cell without the tag ``raises-exception`` raises another, or takes over two minutes.
    """
    comparing.install()
    kernel = RunningKernel(CURRENT_ENV_KERNEL_NAME, str(folder))
    try:
        count = 0
        for cell in notebook.cells:
            if cell.cell_type != "code":
                continue
            stored, cell.outputs, cell.execution_count = cell.outputs, [], None
            if not cell.source.strip():
                continue
            count += 1
            cell.execution_count = count
            drawn = _outputs(kernel, cell, count, may_raise)
            cell.outputs = stored if _differs_in_times_only(cell, stored, drawn) else drawn
    finally:
        kernel.stop()


def _differs_in_times_only(cell: nbformat.NotebookNode, stored: list[Any], drawn: list[Any]) -> bool:
    """Whether a cell that prints times, and is tagged so, prints the same but for its numbers."""
    if "nbval-ignore-output" not in cell.metadata.get("tags", []):
        return False
    before, now = (comparing.NUMBER.sub("#", json.dumps(outputs, sort_keys=True)) for outputs in (stored, drawn))
    return before.split() == now.split()


def _outputs(
    kernel: RunningKernel, cell: nbformat.NotebookNode, count: int, may_raise: tuple[str, ...]
) -> list[nbformat.NotebookNode]:
    message_id = kernel.execute_cell_input(cell.source, allow_stdin=False)
    outputs: list[nbformat.NotebookNode] = []
    while True:
        try:
            message = kernel.get_message("iopub", timeout=CELL_SECONDS)
        except queue.Empty:
            raise CellFailed(f"cell {count} took over {CELL_SECONDS} s:\n{cell.source}") from None
        kind, content = message["msg_type"], message["content"]
        if message["parent_header"].get("msg_id") != message_id:
            continue
        if kind == "status" and content["execution_state"] == "idle":
            return [_tidy(output, cell, count, k) for k, output in enumerate(outputs)]
        announced = "raises-exception" in cell.metadata.get("tags", []) or content.get("ename") in may_raise
        if kind == "error" and not announced:
            raise CellFailed(f"cell {count} raised {content['ename']}: {content['evalue']}\n{cell.source}")
        if kind in ("stream", "display_data", "execute_result", "error"):
            output = nbformat.v4.output_from_msg(message)
            if kind == "stream" and outputs and outputs[-1].get("name") == output.name:
                outputs[-1].text += output.text
            else:
                outputs.append(output)


def _tidy(output: nbformat.NotebookNode, cell: nbformat.NotebookNode, count: int, number: int) -> nbformat.NotebookNode:
    """Take out of an output what changes from run to run and no reader sees."""
    if output.output_type == "execute_result":
        output.execution_count = count
    if output.output_type == "error":
        output.traceback = [f"{output.ename}: {output.evalue}"]
    if WIDGET in output.get("data", {}):
        output.data[WIDGET]["model_id"] = f"{cell.id}-{number}"
    output.metadata = nbformat.NotebookNode() if "metadata" in output else output.get("metadata")
    if output.metadata is None:
        del output["metadata"]
    return output


def tidy(notebook: nbformat.NotebookNode) -> None:
    """Keep only the metadata that the course uses: tags, and the language."""
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        slide = cell.metadata.get("slideshow")
        cell.metadata = nbformat.from_dict(
            {**({"tags": tags} if tags else {}), **({"slideshow": slide} if slide else {})}
        )


def record(path: Path) -> bool:
    """Run the notebook at `path` and store it; True if its bytes changed."""
    notebook: Any = nbformat.read(path, as_version=4)
    tidy(notebook)
    run(notebook, path.parent)
    nbformat.validate(notebook)
    text = nbformat.writes(notebook, indent=1, ensure_ascii=False) + "\n"
    changed = path.read_text("utf-8") != text
    path.write_text(text, "utf-8", newline="\n")
    return changed
