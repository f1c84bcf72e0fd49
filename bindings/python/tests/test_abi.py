"""kluere/_abi.py is what the header gives, and its structs lie in memory as the C compiler lays them."""

import ctypes
import shutil
import subprocess
import sys

import pytest

from conftest import HERE, REPOSITORY
from kluere import _abi

STRUCTS = [
    value for value in vars(_abi).values() if isinstance(value, type) and issubclass(value, ctypes.Structure)
    and value is not ctypes.Structure
]


def test_the_checked_in_declarations_are_those_of_the_header():
    generator = str(HERE.parent / "generate_abi.py")
    done = subprocess.run([sys.executable, generator, "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_sizes_and_offsets_are_those_of_the_c_compiler(tmp_path):
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("no C compiler")
    lines = ["#include <stdio.h>", "#include <kluere.h>", "int main(void) {"]
    expected = []
    for struct in STRUCTS:
        lines.append(f'printf("%zu\\n", sizeof({struct.__name__}));')
        expected.append(ctypes.sizeof(struct))
        for name, *_ in struct._fields_:
            lines.append(f'printf("%zu\\n", offsetof({struct.__name__}, {name}));')
            lines.append(f'printf("%zu\\n", sizeof((({struct.__name__} *)0)->{name}));')
            expected += [getattr(struct, name).offset, getattr(struct, name).size]
    lines.append("return 0; }")
    source = tmp_path / "layout.c"
    source.write_text("\n".join(lines))
    program = tmp_path / "layout"
    subprocess.run([compiler, f"-I{REPOSITORY / 'include'}", str(source), "-o", str(program)], check=True)
    output = subprocess.run([str(program)], check=True, capture_output=True, text=True).stdout
    assert [int(line) for line in output.split()] == expected
    assert len(STRUCTS) >= 17


def test_every_function_of_the_header_is_declared():
    import re

    text = re.sub(r"/\*.*?\*/", "", (REPOSITORY / "include" / "kluere.h").read_text(), flags=re.S)
    assert set(re.findall(r"\b(kluere_\w+)\(", text)) - set(re.findall(r"\(\*(\w+)\)", text)) == set(_abi.FUNCTIONS)


def test_every_option_has_a_keyword_and_every_result_a_field():
    import dataclasses
    import inspect

    import kluere

    def fields(struct):
        return {name for name, *_ in struct._fields_} - {"struct_size", "reserved"}

    keywords = set(inspect.signature(kluere.Trainer.__init__).parameters)
    assert fields(_abi.kluere_train_options) <= keywords
    assert fields(_abi.kluere_model_config) <= set(inspect.signature(kluere.Model.create).parameters)
    opening = set(inspect.signature(kluere.Model.open).parameters)
    counts = {"label_count", "added_special_token_count"}
    assert fields(_abi.kluere_model_open_options) - counts <= opening
    predicting = set(inspect.signature(kluere.Predictor.__init__).parameters)
    assert fields(_abi.kluere_predictor_options) <= predicting
    assert fields(_abi.kluere_queue_options) <= set(inspect.signature(kluere.Queue.__init__).parameters)
    for struct, kind in (
        (_abi.kluere_queue_info, kluere.QueueStats),
        (_abi.kluere_model_config, kluere.ModelConfig),
        (_abi.kluere_step_info, kluere.StepInfo),
        (_abi.kluere_train_event, kluere.TrainEvent),
        (_abi.kluere_metrics, kluere.Metrics),
        (_abi.kluere_class_metrics, kluere.ClassMetrics),
    ):
        assert fields(struct) <= {field.name for field in dataclasses.fields(kind)}
