"""A DVC project whose stages have our names and do next to nothing."""

import subprocess

from digits import STAGES

CODE = """
import json, os, signal, sys, time
from digits.runtime.processes import die_with_dvc
from digits.runtime.progress import say
die_with_dvc()
stage, source, target = sys.argv[1:4]
print(stage, "at work", flush=True)
say(f"{stage} says")
text = open(source).read()
if stage == "ingest" and os.path.isdir("data/incoming"):
    for batch, _, names in sorted(os.walk("data/incoming")):
        found = [os.path.join(batch, name) for name in sorted(names) if name.endswith(".txt")]
        text += "".join(" " + open(path).read() for path in found)
ok = stage not in text
code = 1 if "disk full" in text else 3
if "sleep" in text and stage == "train":
    over = []
    signal.signal(signal.SIGUSR1, lambda *_: over.append(1))
    open("sleeping.new", "w").write(str(os.getpid()))
    os.rename("sleeping.new", "sleeping")
    end = time.monotonic() + 600
    while not over and time.monotonic() < end:
        time.sleep(0.1)
if stage == "validate":
    os.makedirs("reports/validation", exist_ok=True)
    open("reports/validation/seen.txt", "w").write(text)
with open(os.environ["DIGITS_RUN_LOG"], "a") as log:
    record = {"stage": stage, "seconds": 0.5, "ok": ok} | ({} if ok else {"error": "bad", "code": code})
    log.write(json.dumps(record) + "\\n")
if not ok:
    sys.exit(code)
open(target, "w").write(text + open(stage + ".recipe").read())
"""


def pipeline(root, *, git=False):
    """Make the pipeline in a folder, under Git if asked.

    The text of `start`, with that of incoming batches, passes through all stages; a stage that it names
    fails, and "sleep" blocks `train` until SIGUSR1.
    """
    (root / "work.py").write_text(CODE)
    (root / "start").write_text("fine")
    lines, source = ["stages:"], "start"
    for stage in STAGES:
        (root / f"{stage}.recipe").write_text("")
        lines += [f"  {stage}:", f"    cmd: python work.py {stage} {source} {stage}.out"]
        incoming = ", data/incoming" if git and stage == "ingest" else ""
        lines += [f"    deps: [{source}, {stage}.recipe{incoming}]", f"    outs: [{stage}.out]"]
        source = f"{stage}.out"
    (root / "dvc.yaml").write_text("\n".join(lines) + "\n")
    scm = "" if git else "    no_scm = True\n"
    (root / ".dvc").mkdir()
    (root / ".dvc" / "config").write_text(f"[core]\n    analytics = false\n{scm}")
    (root / ".dvc" / ".gitignore").write_text("/config.local\n/tmp\n/cache\n")
    if git:
        (root / "data" / "incoming").mkdir(parents=True)
        (root / "data" / "incoming" / ".gitignore").write_text("")
        (root / ".gitignore").write_text(
            "*.out\nsleeping\nreports/validation\nmodels/serving/\n.digits/\n.prefect/\n"
        )
        (root / ".dvcignore").write_text(".gitignore\n")
        subprocess.run(["git", "init", "-q", "-b", "main"], cwd=root, check=True)
    return root
