"""Shared fixtures of tests of files."""

import pytest


@pytest.fixture(scope="module")
def reference_engine():
    """Train without kernels, because compiling them takes longer than these tests' few steps."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VECPROP_ENGINE", "reference")
        yield
