"""The page of the demo: a template with its equations turned into MathML and its figures filled in."""

import re
from html import escape
from pathlib import Path

import numpy as np
from latex2mathml.converter import convert

from ...terminal.page_template import filled
from .story import LEARNING_RATE, MOMENTUM, NETWORK, STARTS, STEPS, SUCCESS, Claim, Story

_EQUATIONS = re.compile(r"\\\[(?P<block>.+?)\\\]|\\\((?P<inline>.+?)\\\)", re.DOTALL)


def write_page(story: Story, out: Path) -> Path:
    """Write index.html beside the pictures, and return its path."""
    page = _EQUATIONS.sub(_mathml, filled("vecprop.app.demo", "demo.html", _figures(story)))
    path = out / "index.html"
    path.write_text(page, encoding="utf-8")
    return path


def _mathml(equation: re.Match[str]) -> str:
    block = equation["block"]
    return convert(block.strip(), display="block") if block else convert(equation["inline"])


def _figures(story: Story) -> dict[str, str]:
    """Return the values of the template's names, as HTML."""
    loss = story.result.history.loss
    return {
        "seed": str(story.seed),
        "points": str(len(story.t)),
        "shape_X": str(story.X.shape),
        "shape_T": str((len(story.t), NETWORK.outputs)),
        "summary": escape(str(NETWORK.summary())),
        "report": escape(str(story.report)),
        "momentum_is": f" = {MOMENTUM}",
        "rate_is": f" = {LEARNING_RATE}",
        "steps": str(STEPS),
        "first_loss": f"{loss[0]:.6f}",
        "last_loss": f"{loss[-1]:.6f}",
        "right": str(story.right),
        "starts": str(STARTS),
        "success": f"{SUCCESS:g}",
        "claims": "\n".join(_row(claim) for claim in story.claims),
        "finding": _finding(story.claims),
        "versions": escape(", ".join(f"{name} {number}" for name, number in story.versions.items())),
    }


def _row(claim: Claim) -> str:
    numbers = (str(claim.steps), str(len(claim.losses)), str(claim.successes), f"{np.median(claim.losses):.3f}")
    cells = "".join(f'<td class="number">{number}</td>' for number in numbers)
    return f"<tr><td>{escape(claim.method)}</td>{cells}</tr>"


def _finding(claims: list[Claim]) -> str:
    """Return the conclusion of the trial, which its own figures decide."""
    descent, momentum, patient = (claim.successes / len(claim.losses) for claim in claims)
    sooner = (
        "The claim holds: within these steps momentum arrives far more often."
        if momentum > descent + 0.1
        else "The claim does not hold here: within these steps gradient descent arrives about as often."
    )
    later = (
        "But the minimum was never out of reach: with ten times the steps gradient descent arrives as well. "
        "What it lacked is speed on the plateau at the start, which is what momentum gives."
        if patient > momentum - 0.1
        else "Ten times the steps do not make up for it: gradient descent ends in worse places."
    )
    return f"{sooner} {later}"
