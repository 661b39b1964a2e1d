"""The commands of docs/tour.md, run in a fresh copy of the project.

`python -m tests.docs._tour` runs them and writes what they print into the page.
"""

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests._ports import free_port
from tests._project import ROOT, environment, python_path, source_files

PAGE = ROOT / "docs" / "tour.md"
BLOCK = re.compile(r"(?<=^```console\n).*?(?=^```$)", re.M | re.S)
WIDEST, SLACK = 150, 30  # characters of a line that the page shows; of these, may differ where one is cut off
PATIENCE = 1500.0  # seconds for all of it on a busy machine


@dataclass
class Step:
    """A command and the output that the page has for it; after a line of dots, only the output's end."""

    command: str
    output: list[str]

    @property
    def last(self) -> int:
        """How many lines of the end of an output the page shows, where it begins with dots."""
        return max(1, len(self.output) - 1)


def steps(block: str) -> list[Step]:
    """Return the commands of a block: lines after `$ `, continued after `> `."""
    found: list[Step] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append(Step(line[2:], []))
        elif line.startswith("> "):
            found[-1].command += f"\n{line[2:]}"
        else:
            found[-1].output.append(line)
    return found


def pages_steps(text: str) -> list[Step]:
    return [step for block in BLOCK.findall(text) for step in steps(block)]


def copy(where: Path) -> tuple[Path, dict[str, str]]:
    """Return a clone of the project as it stands here, and the environment of its commands."""
    root, home = where / "tour", where / "home"
    home.mkdir()
    for name in source_files():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, root / name)
    made = environment(home) | {"PYTHONPATH": python_path(root), "COLUMNS": "110", "OMP_NUM_THREADS": "1"}
    for command in ("init -q -b main", "add -A", "commit -qm start"):
        subprocess.run(["git", *command.split()], cwd=root, env=made, check=True)
    return root, made


def run(found: list[Step], where: Path) -> list[list[str]]:
    """Run the commands in one shell, on other ports, and return the lines that each printed."""
    root, made = copy(where)
    ports = {name: str(free_port()) for name in ("8500", "8501", "8080")}
    script = ["trap 'kill $(jobs -p)' EXIT"]
    for number, step in enumerate(found):
        command = re.sub("|".join(ports), lambda name: ports[name[0]], step.command)
        command = command.replace("digits app ", f"digits app --port={ports['8080']} ")
        command = command.replace("digits schedule ", f"digits schedule --port={free_port()} ")
        script.append(f"{{ {command}\n}} > {where}/{number}.out 2>&1")
    subprocess.run(["bash", "-c", "\n".join(script)], cwd=root, env=made, timeout=PATIENCE, check=False)
    outputs = [(where / f"{n}.out").read_text().replace(str(root), "…/tour") for n in range(len(found))]
    return [[line.rstrip() for line in output.strip("\n").splitlines()] for output in outputs]


def shown(step: Step, printed: list[str]) -> list[str]:
    """Return of what a command printed the part that the page shows."""
    lines = ["...", *printed[-step.last :]] if step.output[:1] == ["..."] else printed
    return [line if len(line) <= WIDEST else f"{line[:WIDEST]}…" for line in lines]


def same(line: str, printed: str) -> bool:
    """Whether two lines differ in nothing but digests, numbers, and how wide a column is."""
    cut_off = len(line) > WIDEST and len(printed) > WIDEST  # at one place or another
    line, printed = _plain(line), _plain(printed)
    if cut_off:
        line, printed = line[:-SLACK], printed[: len(line) - SLACK]
    return line == printed


def _plain(line: str) -> str:
    line = re.sub(r"\b(?=[a-f]*\d)[0-9a-f]{7,}\b", "#", line)
    line = re.sub(r"[ ─━]+", " ", re.sub(r"\d+(?:[.,:]\d+)*", "#", line)).strip()
    return line.replace("# min # s", "# s")


def main() -> None:
    text = PAGE.read_text()
    with tempfile.TemporaryDirectory(prefix="digits-tour-") as folder:
        outputs = iter(run(pages_steps(text), Path(folder)))

    def written(block: re.Match[str]) -> str:
        lines = []
        for step in steps(block[0]):
            lines += [f"$ {step.command}".replace("\n", "\n> "), *shown(step, next(outputs))]
        return "\n".join(lines) + "\n"

    PAGE.write_text(BLOCK.sub(written, text))


if __name__ == "__main__":
    main()
