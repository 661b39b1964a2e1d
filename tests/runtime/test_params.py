import re
from pathlib import Path

import pytest
import yaml
from dvc.utils.hydra import apply_overrides

from digits.runtime import params
from digits.runtime.errors import ParamsError

FILE = Path(__file__).resolve().parents[2] / "params.yaml"


def test_every_value_comes_from_the_file_and_is_frozen(tmp_path):
    assert all(f.is_required() for s in params.SECTIONS.values() for f in s.model_fields.values())
    for written in ("1e-05", "1E-5", "1.0e-05", "0.00001"):
        (tmp_path / "params.yaml").write_text(FILE.read_text().replace("  l1:", f"  l1: {written}"))
        section = params.load("train", tmp_path / "params.yaml")
        assert section.l1 == 0.00001
    with pytest.raises(ValueError, match="frozen"):
        section.seed = 5


def test_every_knob_says_why():
    knobs = re.findall(r"^(  #.*\n)?(  (\w+):.*)", FILE.read_text(), flags=re.M)
    assert len(knobs) > 20
    assert not [line for above, line, key in knobs if not above and "#" not in line and key != "seed"]


def test_an_experiment_of_dvc_changes_its_own_line_and_no_other(tmp_path):
    before, changed = FILE.read_text(), tmp_path / "params.yaml"
    changed.write_text(before)
    apply_overrides(changed, ["train.seed=2", "train.steps=900"])  # as `dvc exp run -S` does
    assert changed.read_text() == before.replace(
        "  seed: 1 # of the weights, the", "  seed: 2 # of the weights, the"
    ).replace("  steps: # budget; an epoch", "  steps: 900 # budget; an epoch")
    changed.write_text(before)
    apply_overrides(changed, ["ingest.sources=[]"])
    assert changed.read_text() == re.sub(r"  sources:\n(  - .*\n)+", "  sources: []\n", before)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t["train"].update(sede=1), r"key 'train\.sede' \(did you mean 'seed'\?\); valid: "),
        (lambda t: t["train"].update(seed="1"), r"'train\.seed' is '1'"),
        (lambda t: t["train"].update(seed=True), r"'train\.seed' is True"),
        (lambda t: t["evaluate"].update(accuracy=1.5), r"'evaluate\.accuracy' is 1\.5"),
        (lambda t: t["preprocess"].pop("seed"), r"'preprocess\.seed' is missing"),
        (lambda t: t.pop("export"), "section 'export' is missing"),
        (lambda t: t.update(trian={}), r"unknown section 'trian' \(did you mean 'train'\?\)"),
        (lambda t: t["ingest"]["files"].pop("test-labels"), "test-labels"),
    ],
)
def test_a_wrong_key_is_named_with_what_is_valid(tmp_path, change, said):
    tree = yaml.safe_load(FILE.read_text())
    change(tree)
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(tree))
    with pytest.raises(ParamsError, match=said):
        params.load("ingest", tmp_path / "params.yaml")


def test_what_is_no_params_file_is_refused_and_a_missing_one_says_where_to_run(tmp_path):
    for content in ("", "a: [", "- 1"):
        (tmp_path / "p.yaml").write_text(content)
        with pytest.raises(ParamsError, match=r"p\.yaml"):
            params.load("train", tmp_path / "p.yaml")
    with pytest.raises(ParamsError, match="project's folder"):
        params.load("train", tmp_path / "params.yaml")
