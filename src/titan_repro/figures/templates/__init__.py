"""Templates of the page and of REPRODUCTION.md (Jinja2); what they are filled with is made outside.

Text is escaped in those that end in .html.jinja, nowhere else.
"""

import re
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from titan_repro.figures.words import count_of


def render_template(name: str, context: dict[str, Any]) -> str:
    """Return a template of this folder, filled in. A name that the context lacks is an error."""
    environment = Environment(
        loader=PackageLoader("titan_repro.figures", "templates"),
        autoescape=lambda template: bool(template and template.endswith(".html.jinja")),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"code": code, "count_of": count_of}
    return environment.get_template(name).render(context)


def code(text: str) -> Markup:
    """Return text as HTML in which what stands in `backticks` is code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))
