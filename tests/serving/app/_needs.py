"""Tests that want a program which a machine may lack. `.ci/run` installs all, so CI skips none."""

import os
import shutil

import pytest


def needs(*programs: str) -> pytest.MarkDecorator:
    missing = [name for name in programs if not shutil.which(name)]
    return pytest.mark.skipif(
        bool(missing) and not os.environ.get("CI"), reason=f"{', '.join(missing)} is not installed"
    )
