"""What tests of files share."""

import pytest


@pytest.fixture(scope="module")
def reference_engine():
    """Train without kernels, which would take longer to compile than the few steps of these tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VECPROP_ENGINE", "reference")
        yield
