"""Interactive pages: one HTML file with its scripts, style and data, which reads nothing from a network."""

import json
import re
from importlib import resources

SHARED = "browser"  # the folder of parts that several pages use


def fill(folder: str, content: dict, **texts: str) -> str:
    """The page of a folder of this package, `page.html`, with its places filled.

    Args:
      folder: of the page's own parts; {{NAME_KIND}} in the page stands for its NAME.KIND, or that of `browser/`.
      content: plain values for {{data}}, which becomes JSON that is safe within a script.
      texts: for the places of these names, safe by themselves.
    """
    places = {"data": json.dumps(content, allow_nan=False).replace("<", "\\u003c")} | texts
    root = resources.files("pawjax.report")
    for name in (SHARED, folder):
        files = [part for part in (root / name).iterdir() if part.is_file()]
        places |= {part.name.replace(".", "_"): part.read_text("utf-8") for part in files}
    return re.sub(r"\{\{(\w+)\}\}", lambda match: places[match[1]], places["page_html"])
