"""docs/data.md: its examples run beside the sample corpus, its C compiles and runs."""

import os
import re
import shlex
import shutil
import subprocess

import pytest

import kluere
from conftest import REPOSITORY
from test_cli import kluere_command

DOCUMENT = REPOSITORY / "docs" / "data.md"
SAMPLES = ("train.json", "dev.json", "vocab.txt", "tokenizer_config.json")


def blocks(kind):
    found = re.findall(r"^```(\w*)\n(.*?)^```", DOCUMENT.read_text(encoding="utf-8"), re.M | re.S)
    return [text for name, text in found if name == kind]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in SAMPLES:
        shutil.copy(REPOSITORY / "samples" / "data" / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_python_runs(folder):
    names = {}
    for source in blocks("python"):
        exec(compile(source, DOCUMENT.name, "exec"), names)
    assert len(names["before"]) == 1000 and len(names["swapped"]) > 1000 and names["refused"]


def test_the_commands_run(folder):
    commands = [line for block in blocks("") for line in block.splitlines() if line.startswith("python -m kluere")]
    assert len(commands) == 6
    for line in commands:
        kluere_command(*shlex.split(line)[3:])
    assert {"cleaned.json", "log.json", "parts", "folds", "grown.json"} <= set(os.listdir(folder))


def test_the_c_compiles_and_runs(folder):
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    (program,) = blocks("c")
    (folder / "audit.c").write_text(program, encoding="utf-8")
    library = os.path.realpath(kluere.library_path())
    os.symlink(library, folder / "libkluere.so.1")
    line = [compiler, "-std=c99", "-Wall", "-Wextra", "-Werror", f"-I{REPOSITORY / 'include'}", "audit.c", "-o", "audit",
            library, f"-Wl,-rpath,{folder}"]
    subprocess.run(line, check=True, timeout=120)
    done = subprocess.run(["./audit"], check=True, capture_output=True, text=True, timeout=60)
    assert len(done.stdout.splitlines()) == len(kluere.Dataset.read("train.json").audit())
