"""Loading TensorFlow's C library: what a person sees of it, and what not."""

import os
import subprocess
import sys

import pytest

from tests._project import python_path


@pytest.mark.parametrize("temporary", ["writable", "none"])
def test_loading_prints_no_notes_and_what_else_is_written_meanwhile_is_kept(tmp_path, temporary):
    code = (
        "import os, sys, tempfile\n"
        "from digits_model_server.runtime import c_library\n"
        f"tempfile.tempdir = {str(tmp_path if temporary == 'writable' else tmp_path / 'missing')!r}\n"
        "with c_library._without_notes():\n"
        "    os.write(2, b'I0000 port.cc: oneDNN custom operations are on.\\nE0000 a real error\\n')\n"
        "print(c_library.version())\n"
        "print('still here', file=sys.stderr)\n"
    )
    environment = os.environ | {"PYTHONPATH": python_path(), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    if temporary == "writable":
        assert lines == ["E0000 a real error", "still here"]
    assert lines[-1] == "still here" and "E0000 a real error" in lines
