"""python -m kluere quantize"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

from .cli_common import add_data_options, model_folder, open_context, read_data
from .model import Model
from .pipeline import FILE_NAME as PIPELINE_FILE
from .quantization import compare_weights, quantize


def _add_quantize(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a model folder")
    parser.add_argument("output", metavar="OUTPUT", help="the folder to write")
    parser.add_argument(
        "--weights", choices=["int8", "int8_reduced", "bfloat16", "float16"], default="int8",
        help="what the weights become (default: int8)",
    )
    parser.add_argument("--data", metavar="FILE", help="labelled sentences to compare both models' answers on")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout, fractions of 1")
    add_data_options(parser)


def _quantize(options, parser: argparse.ArgumentParser) -> None:
    if (Path(options.model) / PIPELINE_FILE).exists():
        parser.error(f"{options.model} is a pipeline: quantize its members")
    folder = model_folder(options.model)
    output = Path(options.output)
    if output.exists() and output.resolve() == Path(folder).resolve():
        parser.error(f"{options.output} is the model itself: its weights would be lost")
    context = open_context(options)
    model = Model.open(folder, context=context)
    small = quantize(model, options.weights)
    small.save(output)
    report = None
    if options.data:
        report = compare_weights(model, small, read_data(options.data, model.labels, options, context))
    if options.json:
        print(json.dumps({"model": str(output), **(dataclasses.asdict(report) if report else {})}, ensure_ascii=False))
        return
    if report:
        print(report.table())
    print(f"model: {output}")


QUANTIZATION_COMMANDS = (
    ("quantize", _add_quantize, _quantize, "a model of half or a quarter of the size, and what its answers lose"),
)
