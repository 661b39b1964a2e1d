import subprocess
import sys


def run(code):
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)


def test_what_is_no_noise_gets_through():
    code = (
        "import os, digits.runtime.tf_import as q\n"
        "with q.filtered_stderr():\n"
        "    os.write(2, b'I0000 port.cc:153] oneDNN custom operations are on\\n')\n"
        "    os.write(2, b'E0000 the sky falls\\n')\n"
    )
    assert run(code).stderr == "E0000 the sky falls\n"


def test_tensorflow_loads_without_a_word_and_what_it_need_not_load_can_be_imported_afterwards():
    code = (
        "import sys; from digits.runtime.tf_import import load_tensorflow, SPARED; load_tensorflow()\n"
        "assert not [name for name in SPARED if name in sys.modules]\n"
        "import tensorflow as tf, keras, pandas, sklearn.metrics, matplotlib.pyplot\n"
        "print(int(tf.constant(1) + 1), len(pandas.DataFrame({'a': [1]})))\n"
    )
    done = run(code)
    assert (done.stdout, done.stderr) == ("2 1\n", "")
