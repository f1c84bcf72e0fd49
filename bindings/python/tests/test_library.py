"""Finding the library, and refusing a wrong one. Each case in a fresh process."""

import os
import shutil
import subprocess
import sys

import pytest

from conftest import HERE


def run(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(HERE.parent), **environment},
    )


def test_a_missing_library_lists_every_place(tmp_path):
    done = run("import kluere; kluere.library_version()", KLUERE_LIBRARY=str(tmp_path / "nowhere.so"))
    assert "ImportError" in done.stderr and "nowhere.so: no such file" in done.stderr


def test_importing_needs_no_library(tmp_path):
    assert run("import kluere", KLUERE_LIBRARY=str(tmp_path / "nowhere.so")).returncode == 0


def compiled(tmp_path, source):
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    (tmp_path / "other.c").write_text(source)
    subprocess.run(
        [compiler, "-shared", "-fPIC", str(tmp_path / "other.c"), "-o", str(tmp_path / "other.so")], check=True
    )
    return str(tmp_path / "other.so")


def test_another_abi_is_refused(tmp_path):
    path = compiled(tmp_path, "unsigned kluere_abi_version(void) { return 7; }")
    done = run("import kluere; kluere.library_version()", KLUERE_LIBRARY=path)
    assert "has ABI 7" in done.stderr and path in done.stderr


def test_an_older_library_is_refused(tmp_path):
    path = compiled(tmp_path, "unsigned kluere_abi_version(void) { return 1; }")
    done = run("import kluere; kluere.library_version()", KLUERE_LIBRARY=path)
    assert "older than this package" in done.stderr


def test_a_foreign_library_is_refused(tmp_path):
    path = compiled(tmp_path, "int nothing;")
    done = run("import kluere; kluere.library_version()", KLUERE_LIBRARY=path)
    assert "is not libkluere" in done.stderr
