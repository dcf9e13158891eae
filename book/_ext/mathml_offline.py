"""Sphinx extension: formulas as MathML, so that the site needs no network.

Sphinx loads MathJax from a content delivery network by default. A reader without a network
would see raw LaTeX. Every current browser draws MathML itself, and docutils, which Sphinx
already needs, can translate the LaTeX of this course into MathML while the site is built.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.writers.html5 import HTML5Translator

logger = logging.getLogger(__name__)

# Commands that Jupyter and Colab draw and docutils does not know, with an equal that it knows.
EQUALS = {
    r"\dots": r"\ldots",
    r"\texttt": r"\mathtt",
    r"\begin{align*}": r"\begin{aligned}",
    r"\end{align*}": r"\end{aligned}",
    r"\begin{align}": r"\begin{aligned}",
    r"\end{align}": r"\end{aligned}",
    r"\begin{equation}": "",
    r"\end{equation}": "",
}
# A name must end where the LaTeX command ends: \dots, and not the first part of \dotsc.
_KNOWN = re.compile(
    "|".join(re.escape(n) + (r"(?![a-zA-Z])" if n[-1].isalpha() else "") for n in EQUALS)
)
# TeX sets a thin space between a function and a bare argument (log p); browsers do not.
_BARE_ARGUMENT = re.compile(r"<mo>&ApplyFunction;</mo>(?!\s*<mo[^>]*>[(\[{|])")


def _mathml(node: nodes.math | nodes.math_block, *, block: bool) -> str:
    """Return the MathML of one formula.

    A formula that docutils cannot translate becomes a warning that quotes it, and the build
    treats warnings as errors: a formula never goes missing silently.
    """
    source = node.astext().strip()
    known = _KNOWN.sub(lambda match: EQUALS[match.group()], source)
    try:
        markup = tex2mathml(known, as_block=block)
    except MathError as error:
        logger.warning("formula %r cannot be drawn: %s", source, error, location=node)
        return ""
    return _BARE_ARGUMENT.sub(r'\g<0><mspace width="0.17em"/>', markup)


def visit_inline(self: HTML5Translator, node: nodes.math) -> None:
    """Write an inline formula."""
    markup = _mathml(node, block=False)
    self.body.append(f'<span class="math notranslate nohighlight">{markup}</span>')
    raise nodes.SkipNode


def visit_block(self: HTML5Translator, node: nodes.math_block) -> None:
    """Write a displayed formula, with its number when it has a label."""
    self.body.append(self.starttag(node, "div", CLASS="math notranslate nohighlight"))
    if node["number"]:
        self.body.append(f'<span class="eqno">({get_node_equation_number(self, node)})</span>')
    self.body.append(_mathml(node, block=True) + "</div>\n")
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the renderer; `_config.yml` selects it with `html_math_renderer`."""
    app.add_html_math_renderer(
        "mathml_offline",
        inline_renderers=(visit_inline, None),
        block_renderers=(visit_block, None),
    )
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
