"""What others need to join: the workflow, forms and hooks are what they should be."""

import re
import subprocess
import sys
from datetime import date
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

import vecprop

ROOT = Path(__file__).parent.parent

pytestmark = pytest.mark.long


@pytest.mark.parametrize(
    ("schema", "file"),
    [
        ("github-workflows", ".github/workflows/check.yml"),
        ("github-workflows", ".github/workflows/pre-releases.yml"),
        ("github-workflows", ".github/workflows/release.yml"),
        ("github-issue-forms", ".github/ISSUE_TEMPLATE/fault.yml"),
        ("github-issue-forms", ".github/ISSUE_TEMPLATE/wish.yml"),
        ("citation-file-format", "CITATION.cff"),
    ],
)
def test_files_follow_their_schemas(schema: str, file: str) -> None:
    command = [
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        f"vendor.{schema}",
        ROOT / file,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_hooks_are_valid() -> None:
    command = [
        sys.executable,
        "-m",
        "pre_commit",
        "validate-config",
        ROOT / ".pre-commit-config.yaml",
    ]
    assert subprocess.run(command, check=False).returncode == 0


def test_the_workflows_call_targets_that_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    files = (ROOT / ".github" / "workflows").glob("*.yml")
    lines = [
        line for file in files for line in file.read_text(encoding="utf-8").splitlines()
    ]
    targets = [
        line.split()[3] for line in lines if line.strip().startswith("- run: make ")
    ]
    assert len(targets) >= 4
    assert all(f"\n{target}:" in makefile for target in targets)


def test_actions_are_pinned_by_their_commits() -> None:
    files = (ROOT / ".github" / "workflows").glob("*.yml")
    used = [
        line
        for file in files
        for line in file.read_text(encoding="utf-8").splitlines()
        if "uses: " in line
    ]
    assert len(used) >= 12
    assert [
        line
        for line in used
        if not re.search(r"uses: [\w-]+/[\w-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+$", line)
    ] == []


def test_the_citation_and_the_changelog_have_the_version() -> None:
    assert f"version: {vecprop.__version__}\n" in (ROOT / "CITATION.cff").read_text(
        encoding="utf-8"
    )
    newest = re.search(
        r"(?m)^## \[(.+)\] - (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    )
    assert newest
    assert newest[1] == vecprop.__version__
    assert newest[2] == "unreleased" or date.fromisoformat(newest[2])


def test_links_become_absolute_once_the_repository_has_an_address() -> None:
    pytest.importorskip("hatchling")
    spec = spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    text = (
        '<picture>\n<source srcset="docs/d.png"><img alt="a"'
        ' src="docs/a.png">\n</picture>\n\n'
    )
    text += "[b](docs/b.md#c), [d](https://e.org), [f](#g)"
    assert module.absolute(text, "") == "b, [d](https://e.org), [f](#g)"
    there = "https://example.org/v"
    assert (
        module.absolute(text, there)
        == f'<picture>\n<source srcset="{there}/raw/main/docs/d.png"><img alt="a"'
        f' src="{there}/raw/main/docs/a.png">\n</picture>\n\n[b]({there}/blob/main/docs/b.md#c),'
        " [d](https://e.org), [f](#g)"
    )
