"""Fewer pictures for the comparison that ends an export: its kinds are what the tests are about."""

import pytest

from digits.export import parity


@pytest.fixture(autouse=True)
def _few_pictures(monkeypatch):
    monkeypatch.setattr(parity, "PICTURES", 20)
