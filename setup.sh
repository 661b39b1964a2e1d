#!/bin/sh
# .venv with exactly what requirements.lock says, and requirements-extras/NAME.lock for each NAME among the arguments.
# Called by make; safe to repeat, heals a broken-off run.
set -eu
cd "$(dirname "$0")"

locks=requirements.lock
for extra; do
    [ -f "requirements-extras/$extra.lock" ] || {
        echo "setup: there is no extra '$extra': expected some of" \
             "$(cd requirements-extras && echo *.lock | sed 's/\.lock//g'), with spaces between them" >&2
        exit 2
    }
    locks="$locks requirements-extras/$extra.lock"
done

find_python() { # the first Python of 3.11 to 3.13 that can make virtual environments
    for name in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
        command -v "$name" >/dev/null 2>&1 || continue
        "$name" -c 'import sys, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
            >/dev/null 2>&1 && { echo "$name"; return; }
    done
    return 1
}

if ! .venv/bin/python -c 'import pip' >/dev/null 2>&1; then
    python=$(find_python) || {
        echo "setup: no Python 3.11 to 3.13 with the venv module was found: install one" \
             "(Debian: apt install python3-venv), or name one: make run PYTHON=/path/to/python3.12" >&2
        exit 1
    }
    echo "setup: creating .venv with $("$python" --version)"
    "$python" -m venv --clear .venv
fi

# Bytecode is compiled here: where PYTHONDONTWRITEBYTECODE is set, as in many images and CI services, each process
# would compile TensorFlow anew, at 10 CPU-seconds a time.
uv=$(sed -n 's/^uv==\([^ ;]*\).*/\1/p' requirements.lock)
echo "setup: installing $(cat $locks | grep -c '^[a-z].*==') locked packages (3.6 GB on disk, a minute or two)"
export PIP_DISABLE_PIP_VERSION_CHECK=1 UV_PYTHON_DOWNLOADS=never UV_PYTHON_PREFERENCE=only-system
if .venv/bin/python -m pip install --quiet "uv==$uv" && \
    .venv/bin/uv pip sync --quiet --compile-bytecode --python .venv $locks
then :
else
    echo "setup: uv could not install them (its settings may differ from pip's): trying pip, which takes minutes" >&2
    # --no-deps: the lock has them all, and a pip of 2023 stumbles over extras in this mode
    .venv/bin/python -m pip install --quiet --require-hashes --no-deps $(printf ' -r %s' $locks)
fi
.venv/bin/python -m pip install --quiet --no-deps --no-build-isolation --no-index --editable .
.venv/bin/python -c 'from pathlib import Path; from digits.pipeline import dvc_process; dvc_process.configure(Path.cwd())'
printf '%s\n' "$*" > .venv/.extras # make keeps them until it is told others
