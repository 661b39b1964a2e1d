"""A headless Chromium for the tests of the page."""

import os

import pytest
from playwright.sync_api import expect

from bench.browser import CAMERA, chromium

expect.set_options(timeout=30_000)  # of a machine that is busy with other tests


@pytest.fixture(scope="module")
def browser():
    """Skips where none is installed; `.ci/run` installs one, so CI skips nothing.

    One a file, not one a session: while it lives, an event loop of Playwright's runs in the tests' thread,
    and other files' tests start loops of their own there.
    """
    try:
        with chromium(CAMERA) as started:
            yield started
    except FileNotFoundError as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(missing))
