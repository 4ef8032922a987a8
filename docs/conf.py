"""How `make docs` builds the site: Sphinx reads the pages where they are."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_extensions"), str(HERE.parent)]

import sparklr  # noqa: E402

project, author = "sparklr", "the authors of sparklr"
copyright = author
release = version = sparklr.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "reference", "links", "breaks"]
exclude_patterns = ["_*"]
myst_heading_anchors = 4

default_role = "code"
highlight_language = "none"
python_maximum_signature_line_length = 120
autodoc_typehints = "signature"
autodoc_type_aliases = {"Array": "numpy.ndarray", "IntArray": "numpy.ndarray"}
autodoc_preserve_defaults = True
toc_object_entries_show_parents = "hide"

html_theme = "pydata_sphinx_theme"
html_title = "sparklr"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_copyright = html_show_sphinx = html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "navbar_align": "left",
    "header_links_before_dropdown": 8,
    "show_nav_level": 1,
    "navigation_depth": 2,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": [],
    "footer_end": [],
    "pygments_light_style": "tango",
    "show_prev_next": False,
    "back_to_top_button": False,
}
html_sidebars = {page: [] for page in ("index", "start", "changelog")}  # nothing beside them
