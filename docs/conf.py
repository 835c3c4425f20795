"""How Sphinx builds the site: `make docs`, then open build/site/index.html."""

import html
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from sphinx.util.inspect import signature, stringify_signature

import vecprop

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

project, author, copyright = (
    "vecprop",
    "The vecprop developers",
    "the vecprop developers",
)
release = version = vecprop.__version__

extensions = [
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
    "myst_nb",
    "sphinx_gallery.gen_gallery",
    "mathml",
]
# which are for downloads
exclude_patterns = ["_templates", "gallery", "pictured/*.ipynb"]
templates_path = ["_templates"]
default_role = "py:obj"
language = "en"
smartquotes = False  # "relu" and --target can be copied
suppress_warnings = ["config.cache"]  # lists of functions in the settings

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "force"  # pages show what their code prints today
nb_execution_raise_on_error = True
nb_execution_timeout = 120
nb_merge_streams = True

autosummary_generate = True
# Some file systems ignore case: the pages of a class and a function would have the same
# name.
autosummary_filename_map = {
    f"vecprop.learn.{name}": f"vecprop.learn.{name}-class"
    for name in ("Grade", "Trace", "Worksheet")
}
autodoc_preserve_defaults = True
toc_object_entries_show_parents = "hide"
autodoc_typehints = "none"  # docstrings contain types with shapes
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

SIGNS = re.compile(
    r"(`+[^`]+`+)|\*+(?=[A-Za-z])|(?<="
    r" )\*\*(?=,)|\|(?=\S)|(?<=\w)\||(?<=\w)_(?=[\s,;.)]|$)"
)
"""Characters that are not markup in shapes, sizes and attribute names, or a text
between backticks.
"""

LETTERS = {
    "*M": "*M any number of axes for networks",
    "M": "M networks",
    "N": "N rows",
    "I": "I inputs",
    "O": "O outputs",
    "C": "C classes",
    "P": "P parameters",
}
"""The letters of shapes in docstrings."""

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "thumbnail_size": (640, 480),
    "gallery_dirs": "pictured",
    "abort_on_example_error": True,
    "show_memory": False,
    "min_reported_time": float("inf"),
    "write_computation_times": False,
    "download_all_examples": False,
}

MEASURED = HERE / "measured"
MEASURED.mkdir(exist_ok=True)
for result in sorted((HERE.parent / "benchmarks" / "results").glob("*.md")):
    include = (
        "```{include}"
        f" ../../benchmarks/results/{result.name}\n:relative-images:\n```\n"
    )
    (MEASURED / result.name).write_text(include, encoding="utf-8")

TYPER = [
    sys.executable,
    "-m",
    "typer",
    "vecprop.app.command_line",
    "utils",
    "docs",
    "--name",
    "vecprop",
]
options = html.unescape(
    subprocess.run(TYPER, check=True, capture_output=True, text=True).stdout
)
options = re.sub(
    r"^Example: (.*)$", r"```console\n$ \1\n```", options, flags=re.MULTILINE
)
(HERE / "all-options.md").write_text(
    options.replace("# `vecprop`", "# All commands and options", 1), encoding="utf-8"
)

KEYWORDS = tomllib.loads((HERE / "keywords.toml").read_text(encoding="utf-8"))[
    "vecprop"
]

PROJECT = tomllib.loads((HERE.parent / "pyproject.toml").read_text(encoding="utf-8"))
repository = PROJECT["tool"]["hatch"]["metadata"]["hooks"]["custom"]["repository"]
if repository:
    html_context = {
        "edit_page_url_template": repository + "/edit/main/docs/{{ file_name }}"
    }

html_theme = "pydata_sphinx_theme"
html_title = "vecprop"
html_copy_source = False
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = [("search.js", {"defer": "defer"})]
html_theme_options = {
    "navigation_with_keys": False,
    "search_as_you_type": True,
    "show_nav_level": 1,
    "navbar_align": "left",
    "header_links_before_dropdown": 9,
    "icon_links": [],
    "use_edit_page_button": bool(repository),
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc", "notebook", "edit-this-page"],
}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True


def _escape(
    app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]
) -> None:
    """Escape signs in docstrings, ``(*M, P)`` and ``|y - t|``, which reStructuredText takes for markup."""
    for number, line in enumerate(lines):
        if not line.lstrip().startswith((">>>", "...")):
            lines[number] = SIGNS.sub(
                lambda found: found[1] or "\\" + "\\".join(found[0]), line
            )


def _explain_letters(
    app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]
) -> None:
    """Explain at the end of a docstring the letters that stand for sizes in its shapes."""
    shapes = " ".join(
        re.findall(
            r"\((?:[a-z]+(?: \+ 1)?, )*\\?\*?[A-Z](?:, [A-Za-z0-9]+)*,?\)",
            " ".join(lines),
        )
    )
    found = [
        text
        for letter, text in LETTERS.items()
        if re.search(rf"(?<![*\w]){re.escape(letter)}\b", shapes)
    ]
    if found and what != "module":
        if "Notes" not in lines:
            lines += ["", "Notes", "-----", ""]
        after = lines.index("Notes") + 2
        lines[after:after] = [f"Sizes: {', '.join(found)}.", ""]


def _of_others(
    app: Any, what: str, name: str, obj: Any, skip: bool, options: Any
) -> bool | None:
    """Leave out what a class inherits from a class of another library, which documents it."""
    owner = getattr(obj, "fget", None) or obj
    is_ours = (getattr(owner, "__module__", None) or "vecprop").startswith("vecprop")
    return None if is_ours else True


def _name_base(
    app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]
) -> None:
    """Name the nearest base class that a reader can look up."""
    packages = (vecprop, vecprop.blocks, vecprop.extend)
    public = {
        getattr(package, name): f"{package.__name__}.{name}"
        for package in packages
        for name in package.__all__
    }
    bases = (
        [public[base] for base in obj.__mro__[1:] if base in public]
        if what == "class"
        else []
    )
    if bases:
        lines[:0] = [f"Base class: :py:class:`~{bases[0]}`", ""]


def _constructor(
    app: Any,
    what: str,
    name: str,
    obj: Any,
    options: Any,
    arguments: str | None,
    returned: Any,
) -> Any:
    """Show the parameters of `__init__`, not of `__new__`, without those that only the class itself fills in."""
    if what == "class" and "**keywords" in (arguments or ""):
        arguments = stringify_signature(
            signature(obj.__init__, bound_method=True), show_annotation=False
        )
    return (
        (re.sub(r",? ?_\w+=<factory>", "", arguments), returned) if arguments else None
    )


def _link_figures(app: Any, name: str, text: list[str]) -> None:
    """Have links to the results of benchmarks, which lie outside this folder, lead to the pages that include them."""
    text[0] = re.sub(r"\.\./benchmarks/results/(\w+\.md)", r"measured/\1", text[0])


def _add_keywords(app: Any, name: str, text: list[str]) -> None:
    """Add the keywords of a name to its page, for the search."""
    words = KEYWORDS.get(name.removeprefix("reference/vecprop."))
    if words and name.startswith("reference/"):
        text[0] += f"\n.. index:: {words}\n"


def _notebook(app: Any, page: str) -> Path:
    """Return where the notebook of a page lies, if it was run."""
    return Path(app.env.mystnb_config.output_folder) / f"{page}.ipynb"


def _links_beside(
    app: Any, page: str, template: str, context: dict[str, Any], doctree: Any
) -> None:
    """Link a page that was run to its notebook, and a page that is made of docstrings or results to no source."""
    if _notebook(app, page).exists():
        context["notebook"] = _notebook(app, page).name
    if (
        page.startswith(("reference/", "measured/", "pictured/"))
        or page == "all-options"
    ):
        context["theme_use_edit_page_button"] = False


def _put_notebooks(app: Any, error: Exception | None) -> None:
    """Copy each executed notebook to the folder of its page."""
    for page in app.env.found_docs if error is None else ():
        if _notebook(app, page).exists():
            shutil.copy(_notebook(app, page), Path(app.outdir) / f"{page}.ipynb")


def setup(app: Any) -> None:
    """Have Sphinx call these functions."""
    app.connect("autodoc-process-docstring", _explain_letters, priority=300)
    # before numpydoc makes markup
    app.connect("autodoc-process-docstring", _escape, priority=400)
    app.connect("source-read", _link_figures)
    app.connect("source-read", _add_keywords)
    app.connect("html-page-context", _links_beside)
    app.connect("build-finished", _put_notebooks)
    app.connect("autodoc-skip-member", _of_others)
    app.connect("autodoc-process-docstring", _name_base, priority=600)  # after numpydoc
    app.connect("autodoc-process-signature", _constructor)
