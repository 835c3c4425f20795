"""The verdict on a gradient."""

from vecprop.check import Verdict, check_gradients

RIGHT, WRONG = (
    (Verdict.PASS, Verdict.INCONCLUSIVE),
    (Verdict.FAIL, Verdict.INCONCLUSIVE),
)
"""The allowed verdicts on a right and on a wrong gradient if rounding may hide
errors.
"""


def verdict(*arguments, **options):
    report = check_gradients(*arguments, **options)
    str(report)  # must not raise
    return report.verdict
