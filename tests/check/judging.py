"""The verdict on a gradient, whose report can be printed."""

from vecprop.check import Verdict, check_gradients

RIGHT, WRONG = (Verdict.PASS, Verdict.INCONCLUSIVE), (Verdict.FAIL, Verdict.INCONCLUSIVE)
"""The verdicts that a right gradient and a wrong one may have where rounding hides much."""


def verdict(*arguments, **options):
    report = check_gradients(*arguments, **options)
    str(report)  # it may not fail either
    return report.verdict
