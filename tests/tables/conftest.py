"""Fixtures of several tests of models of tables."""

import pytest


@pytest.fixture
def telling(monkeypatch):
    """Train by the reference engine, which tells of the progress after each network."""
    monkeypatch.setenv("VECPROP_ENGINE", "reference")
