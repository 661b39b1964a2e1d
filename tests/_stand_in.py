"""A DVC project whose stages have our names and do next to nothing."""

import os
import subprocess
import sys

from digits.stages import STAGES

CODE = """
import json, os, sys, time
stage, source, target = sys.argv[1:4]
print(stage, "at work", flush=True)
text = open(source).read()
ok = stage not in text
with open(os.environ["DIGITS_RUN_LOG"], "a") as log:
    record = {"stage": stage, "seconds": 0.5, "ok": ok} | ({} if ok else {"error": "bad"})
    log.write(json.dumps(record) + "\\n")
if "sleep" in text and stage == "train":
    open("sleeping", "w").write(str(os.getpid()))
    time.sleep(600)
if not ok:
    sys.exit(3)
open(target, "w").write(text + open(stage + ".recipe").read())
"""


def pipeline(root):
    """Make it in a folder. The text of `start` goes through all stages; a stage that it names fails, and
    "sleep" holds `train` up."""
    (root / "work.py").write_text(CODE)
    (root / "start").write_text("fine")
    lines, source = ["stages:"], "start"
    for stage in STAGES:
        (root / f"{stage}.recipe").write_text("")
        lines += [f"  {stage}:", f"    cmd: python work.py {stage} {source} {stage}.out"]
        lines += [f"    deps: [{source}, {stage}.recipe]", f"    outs: [{stage}.out]"]
        source = f"{stage}.out"
    (root / "dvc.yaml").write_text("\n".join(lines) + "\n")
    environment = os.environ | {"DVC_NO_ANALYTICS": "1"}
    subprocess.run(
        [sys.executable, "-m", "dvc", "init", "--no-scm", "-q"], cwd=root, env=environment, check=True
    )
    return root
