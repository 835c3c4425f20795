"""Find sentences that readers have to read twice: ``python tests/prose.py [--base COMMIT] [FILES]``.

The script reads docstrings, comments and messages in Python files, and Markdown outside
of code. With ``--base``, it reports only lines that were added since that commit. A
match is a place to look at. If the sentence is good, accept it with "prose: ok" in a
comment on its line.
"""

import ast
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
ADVICE = {
    r"\b(tells?|told|telling)\b": (
        "data do not tell: report, return, pass, contain, determine"
    ),
    r"\b(of|in|to|by|from|with|on|at|after|before|for|behind|through) (which|whom)\b": (
        "split the sentence"
    ),
    r"(?:^|[.:;] )Of (an?|the|each|more|fewer|less|many|such|two|one|all|this|these|those)\b": (
        "begin with the subject"
    ),
    r"\b(those|that) of\b|\b[Ww]hat (of|it has|they have|others|each|is \w+ed)\b": (
        "name the thing: values, rows"
    ),
    r"\banew\b|\b(goes|going|went|gone) on\b|\bgo on (?!to\b)": (
        "refit, restart, resume, continue"
    ),
    r"\b\w+s? alone\b(?! \w+ing)": "write 'only' before what it limits",
    r"\bbeside\b": "besides, in addition to, next to, other than",
    r"\b(?<![Tt]here )(is|are|was|were) (no (?!longer|more|less|need|way|such|fewer)[a-z]+|none)\b": (
        "is not a …"
    ),
    r"\bof (its|their|your|one's|\w+'s) own\b|\ba user's own\b": (
        "custom, user-defined, separate, dedicated"
    ),
    r"\b(row|column|fold|layer|member)s?' numbers?\b|\bnumbers of (the )?(rows|columns|members|folds)\b": (
        "index"
    ),
    r"\btruth values?\b": "Boolean",
    r"\bwhole numbers?\b": "integer",
    r"\b(alike|unlike)\b(?! (the|an?|in|scikit|PyTorch|JAX|Keras)\b)": (
        "identical, similar, duplicate, different from"
    ),
    r"\bas (it|they) (is|are|was|were|lies?|stands?|comes?)\b": (
        "unchanged, in place, in storage order"
    ),
    r"\b(is|are|was|were) to be \w+(ed|en|n|t)\b": (
        "must be, will be, or the plain verb"
    ),
    r"\b(predicted so|that is so|as such|so far as|how far|may say|who reads|there is none)\b": (
        "state it plainly"
    ),
}
"""Patterns, and what to write instead."""

_ADVICE = {re.compile(pattern): advice for pattern, advice in ADVICE.items()}
_ANY = re.compile("|".join(ADVICE))


class Match(NamedTuple):
    """A place to look at: the kind of text is "messages", "docstrings", "comments" or "pages"."""

    kind: str
    file: Path
    line: int
    text: str
    advice: str


def _texts(file: Path) -> Iterator[tuple[str, int, str]]:
    """Yield the kind, the line and the words of each line of prose."""
    source = file.read_text("utf-8")
    if file.suffix == ".md":
        is_code = False
        for number, line in enumerate(source.splitlines(), 1):
            is_code ^= line.lstrip().startswith("```")
            if not is_code and not line.startswith("    "):
                yield "pages", number, line
        return
    nodes = [*ast.walk(ast.parse(source))]
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    bodies = [node.body for node in nodes if isinstance(node, documented)]
    docstrings = {
        id(of.value) for body in bodies for of in body if isinstance(of, ast.Expr)
    }
    for node in nodes:
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and " " in node.value.strip()
        ):
            kind = "docstrings" if id(node) in docstrings else "messages"
            for number, line in enumerate(node.value.splitlines(), node.lineno):
                if not line.lstrip().startswith((">>>", "...")):
                    yield kind, number, line
    if not _may_have_comments(source):
        return
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield "comments", token.start[0], token.string


def _words(text: str) -> str:
    """Return a line of prose without its marks, and with a name for code."""
    return re.sub(r"`[^`]*`", "`x`", text).lstrip(" #*->0123456789.")


def _may_have_comments(source: str) -> bool:
    """Return whether the text after a number sign matches; tokens take longer to find."""
    for line in source.splitlines():
        for sign in re.finditer("#", line):
            if _ANY.search(_words(line[sign.start() :])):
                return True
    return False


def matches(file: Path) -> Iterator[Match]:
    """Yield the places of a file to look at, one for each pattern and line."""
    lines, seen = file.read_text("utf-8").splitlines(), set()
    for kind, number, text in _texts(file):
        words = _words(text)
        if not _ANY.search(words):
            continue
        # escaped line ends lead beyond the last line
        is_accepted = "prose: ok" in lines[min(number, len(lines)) - 1]
        for pattern, advice in _ADVICE.items():
            if (
                pattern.search(words)
                and (number, advice) not in seen
                and not is_accepted
            ):
                seen.add((number, advice))
                yield Match(kind, file, number, text.strip(), advice)


def files() -> list[Path]:
    """Return the files of the library and its pages, without pages that Sphinx makes."""
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    made = [
        page
        for page in pages
        if page.name == "all-options.md" or page.parent.name == "measured"
    ]
    return sorted([*(ROOT / "src").rglob("*.py"), *(set(pages) - set(made))])


def _added(base: str) -> dict[Path, set[int]]:
    """Return the lines of each file that were added since a commit."""
    command = ["git", "diff", "-U0", "--no-prefix", base, "--", "*.py", "*.md"]
    added, file = {}, ROOT
    for line in subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines():
        if line.startswith("+++ "):
            file = ROOT / line[4:]
        elif found := re.match(r"@@ \S+ \+(\d+)(?:,(\d+))? @@", line):
            first = int(found[1])
            added.setdefault(file, set()).update(
                range(first, first + int(found[2] or 1))
            )
    return added


def main(arguments: list[str]) -> None:
    """Print the places to look at."""
    added = _added(arguments.pop(1)) if arguments[:1] == ["--base"] else None
    chosen = [
        Path(name).resolve() for name in arguments[added is not None :]
    ] or files()
    for file in (
        chosen if added is None else sorted(file for file in added if file.exists())
    ):
        for match in matches(file):
            if added is None or match.line in added[file]:
                print(
                    f"{file.relative_to(ROOT)}:{match.line}: {match.advice}:"
                    f" {match.text}"
                )


if __name__ == "__main__":
    main(sys.argv[1:])
