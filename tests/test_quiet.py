import subprocess
import sys


def run(code):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300
    )


def test_tensorflow_loads_without_a_word():
    load = "from digits.quiet import load_tensorflow; load_tensorflow(); "
    done = run(load + "import tensorflow as tf; print(int(tf.constant(1) + 1))")
    assert (done.stdout, done.stderr) == ("2\n", "")


def test_what_is_no_noise_gets_through():
    code = (
        "import os, digits.quiet as q\n"
        "with q._filtered_stderr():\n"
        "    os.write(2, b'I0000 port.cc:153] oneDNN custom operations are on\\n')\n"
        "    os.write(2, b'E0000 the sky falls\\n')\n"
    )
    assert run(code).stderr == "E0000 the sky falls\n"
