"""Check the links between the course's own pages."""

import json
import re
from pathlib import Path

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.M)


def text_of(path: Path) -> str:
    """Give the prose of a Markdown file or of a notebook."""
    text = path.read_text("utf-8")
    if path.suffix != ".ipynb":
        return re.sub(r"```.*?```", "", text, flags=re.S)
    cells = json.loads(text)["cells"]
    return "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


def anchors(path: Path) -> set[str]:
    """List what ``#…`` may name in a page: its headings as GitHub and as JupyterLab write them."""
    found = set()
    for heading in HEADING.findall(text_of(path)):
        found.add(heading.replace(" ", "-"))
        found.add(re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-"))
    return found


def pages(root: Path) -> list[Path]:
    """List the course's pages."""
    folders = [root, root / "data", root / "notebooks", root / "notebooks" / "exercises"]
    return sorted(path for folder in folders for kind in ("*.md", "*.ipynb") for path in folder.glob(kind))


def broken_links(root: Path) -> list[str]:
    """List links that lead to no file, or to no heading of it; addresses of other sites aren't visited."""
    broken = []
    for page in pages(root):
        for link, picture in LINK.findall(text_of(page)):
            target = link or picture
            if re.match(r"[a-z]+:", target):
                continue
            file, _, anchor = target.partition("#")
            there = (page.parent / file).resolve() if file else page
            if not there.exists():
                broken.append(f"{page.relative_to(root)}: no file {target}")
            elif anchor and there.suffix in (".md", ".ipynb") and anchor not in anchors(there):
                broken.append(f"{page.relative_to(root)}: no heading {target}")
    return broken
