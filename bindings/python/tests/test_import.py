"""What `import kluere` brings in, and that every public name is found where the table says."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import kluere
import made_up
from conftest import HERE

SOURCE = Path(kluere.__file__)


def run(code, *arguments):
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=str(HERE.parent))
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_names_homes_and_the_type_checkers_imports_agree():
    tree = ast.parse(SOURCE.read_text(encoding="utf-8"))
    imports = next(node for node in tree.body if isinstance(node, ast.If)).body
    seen = {node.module: " ".join(name.name for name in node.names) for node in imports}
    assert seen == kluere._HOMES
    assert sorted(kluere._HOME) == sorted(kluere.__all__)
    for name, home in kluere._HOME.items():
        assert getattr(kluere, name) is getattr(sys.modules[f"kluere.{home}"], name), name
    assert set(kluere.__all__) <= set(dir(kluere))
    assert callable(kluere.recipes) and kluere.model.Model is kluere.Model
    with pytest.raises(AttributeError, match="nothing_of_this_name"):
        kluere.nothing_of_this_name


def test_every_module_can_be_the_first():
    code = """
import importlib, sys
import kluere
for home in list(kluere._HOMES):
    for name in [name for name in sys.modules if name.startswith("kluere")]:
        del sys.modules[name]
    importlib.import_module("kluere." + home)
from kluere import *
print(Model, recipes())
"""
    assert "Model" in run(code)


def test_a_first_answer_needs_few_modules(tmp_path, context):
    made_up.model(tmp_path, context=context).save(tmp_path / "folder")
    code = """
import sys
import kluere
early = {name for name in sys.modules if name.startswith("kluere.")}
model = kluere.Model.open(sys.argv[1], context=kluere.Context(threads=1))
example = kluere.Example(sys.argv[2], kluere.Entity(0, 2, "PER"), kluere.Entity(3, 5, "ORG"))
best = model.best(example, top=4)
late = [name for name in ("numpy", "logging", "ctypes.util", "kluere.dataset", "kluere.training") if name in sys.modules]
assert not early and not late, (early, late)
row = model.predict(example)
assert [value for _, value in best] == sorted(map(float, row), reverse=True), (best, row)
assert [label for label, _ in best] == sorted(model.labels, key=lambda label: -row[model.labels.index(label)])
"""
    run(code, str(tmp_path / "folder"), "가나 다라마")
