"""`digits …` as a function, in a folder that passes for a project."""

import pytest

from digits_cli import main


class Cli:
    """What the commands said last: code, out, err."""

    def __init__(self, root, capsys, monkeypatch):
        (root / "dvc.yaml").write_text("stages: {}\n")
        monkeypatch.chdir(root)
        self.root, self.capsys = root, capsys
        self.code, self.out, self.err = None, "", ""

    def digits(self, *arguments):
        with pytest.raises(SystemExit) as ended:
            main([*map(str, arguments)])
        self.code = ended.value.code or 0
        self.out, self.err = self.capsys.readouterr()
        return self

    def refused(self, *arguments, code):
        """The one line that a refused command leaves."""
        self.digits(*arguments)
        assert self.code == code, self.out + self.err
        assert self.err.startswith("digits: ") and len(self.err.splitlines()) == 1, self.err
        return self.err
