"""Sphinx settings."""

from framedose import __version__

project = "framedose"
author = "The framedose developers"
copyright = f"2026, {author}"
release = version = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.mathjax"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 3
autodoc_typehints = "none"
autodoc_member_order = "bysource"
html_theme = "pydata_sphinx_theme"
html_theme_options = {"show_prev_next": True, "header_links_before_dropdown": 7}
exclude_patterns = ["_build"]
