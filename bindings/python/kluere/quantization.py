"""Weights in fewer bits: half or a quarter of the memory, and faster predictions on the CPU.

    small = kluere.quantize(model, "int8")
    print(kluere.compare_weights(model, small, dev).table())
    small.save("model-int8")
"""

from __future__ import annotations

import ctypes
import dataclasses
from typing import TYPE_CHECKING

from . import _abi
from ._arrays import choice, choice_name
from ._library import check, library, sized

if TYPE_CHECKING:
    from .dataset import Dataset
    from .model import Model


@dataclasses.dataclass(frozen=True)
class QuantizationReport:
    """Both models on the same labelled rows. Figures are fractions of 1, differences are of probabilities."""

    weights: str  # "bfloat16", "float16", "int8"
    rows: int
    bytes: int  # of the tensors in the model's folder
    quantized_bytes: int
    micro_f1: float
    quantized_micro_f1: float
    auprc: float
    quantized_auprc: float
    equal_answers: float  # share of rows with the same most probable label
    largest_difference: float
    mean_difference: float

    def table(self) -> str:
        name = self.weights
        return "\n".join(
            [
                f"{'':9} micro-F1   AUPRC        bytes",
                f"{'before':9} {100 * self.micro_f1:8.2f}  {100 * self.auprc:6.2f}  {self.bytes:11,}",
                f"{name:9} {100 * self.quantized_micro_f1:8.2f}  {100 * self.quantized_auprc:6.2f}  {self.quantized_bytes:11,}",
                f"the same answer for {100 * self.equal_answers:.2f} % of {self.rows:,} rows; probabilities differ by "
                f"{self.mean_difference:.2g} on average, by {self.largest_difference:.2g} at most",
            ]
        )


def quantize(model: Model, weights: str = "int8") -> Model:
    """The same model with the weights of its layers and its word embeddings as "int8", "int8_reduced", "bfloat16" or
    "float16".

    save() keeps them so. An int8 model predicts and nothing else: train the model that it was made from.
    """
    pointer = ctypes.c_void_p()
    check(library().kluere_model_quantize(model._handle, choice("weights", weights, "KLUERE_WEIGHTS_"), ctypes.byref(pointer)))
    return type(model)(pointer)


def compare_weights(model: Model, quantized: Model, rows: Dataset) -> QuantizationReport:
    """What `quantized` answers on labelled rows, beside `model`."""
    found = sized(_abi.kluere_quantization_report)
    check(
        library().kluere_quantization_measure(model._handle, quantized._handle, rows._handle, ctypes.byref(found))
    )
    values = {field.name: getattr(found, field.name) for field in dataclasses.fields(QuantizationReport)}
    values["weights"] = choice_name(found.weights, "KLUERE_WEIGHTS_")
    return QuantizationReport(**values)
