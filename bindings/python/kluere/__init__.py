"""kluere: Korean relation extraction. Tokenizer, encoder, training, evaluation and prediction, in one native library.

    import kluere
    train = kluere.Dataset.read("train.json")
    model = kluere.Model.create(kluere.Tokenizer("vocab.txt"))
    trainer = kluere.Trainer(model, train, epochs=3, learning_rate=3e-4)
    trainer.run(progress=True)
    trained = trainer.export_model()
    print(trained.best(kluere.Example("비틀즈의 조지 해리슨", subject=(0, 3, "ORG"), object=(5, 11, "PER"))))

Offsets are code points with the end exclusive, as Python slices count. Tables of numbers are NumPy arrays where NumPy
is importable, else lists of array.array. Failures raise KluereError.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._library import library_path, library_version
    from .analysis import Comparison, Finding, Leakage, Lengths, Statistics
    from .augmentation import RefusedParaphrase
    from .cascade import TrainedPipeline, train_cascade
    from .cleaning import Change, CleaningLog, TypeCorrection
    from .context import Context, default_context
    from .corpus import Corpus, CorpusInfo
    from .dataset import Dataset
    from .decoding import Decoding, DecodingFigures, DecodingReport, estimate_prior, fit_decoding
    from .ensemble import (
        Contribution,
        FoundWeights,
        Ranking,
        Subset,
        combine,
        rank,
        read_submission,
        rows_in,
        search_weights,
        write_submission,
    )
    from .entity_types import ModelTypes, PairRelation, TypeCounts, TypeMask
    from .errors import Busy, Cancelled, InvalidArgument, KluereError, NotFinite, OutOfMemory, TimedOut
    from .evaluation import (
        Calibration,
        CalibrationBin,
        Coverage,
        CoveragePoint,
        Interval,
        SystemComparison,
        bootstrap,
        calibration,
        compare,
        compute_metrics_by_group,
        coverage_risk,
        type_pairs,
    )
    from .example import Entity, Example, convert_offset
    from .masked_lm import MaskedLMFigures, MaskedLMTrainer, evaluate_masked_lm
    from .loss import Loss, read_probabilities
    from .folds import TrainedFolds, train_folds
    from .metrics import ClassMetrics, Metrics, compute_metrics, evaluate, score
    from .model import EntityPlaces, InputPlaces, Model, ModelConfig, Tensors
    from .pipeline import MemberInfo, Pipeline, PipelineInfo, PipelineMember
    from .predictor import Predictor
    from .progress import ProgressBar, TrainingProgress
    from .quantization import QuantizationReport, compare_weights, quantize
    from .queue import Queue, QueueStats
    from .recipe import Recipe, recipes
    from .tokenizer import BatchEncoding, Encoding, Tokenizer
    from .training import StepInfo, Trainer, TrainEvent

# Where each public name stands. A module is imported when one of its names is first asked for: a program that only
# predicts starts without all that trains, measures and draws.
_HOMES = {
    "_library": "library_path library_version",
    "analysis": "Comparison Finding Leakage Lengths Statistics",
    "augmentation": "RefusedParaphrase",
    "cascade": "TrainedPipeline train_cascade",
    "cleaning": "Change CleaningLog TypeCorrection",
    "context": "Context default_context",
    "corpus": "Corpus CorpusInfo",
    "dataset": "Dataset",
    "decoding": "Decoding DecodingFigures DecodingReport estimate_prior fit_decoding",
    "ensemble": "Contribution FoundWeights Ranking Subset combine rank read_submission rows_in search_weights "
    "write_submission",
    "entity_types": "ModelTypes PairRelation TypeCounts TypeMask",
    "errors": "Busy Cancelled InvalidArgument KluereError NotFinite OutOfMemory TimedOut",
    "evaluation": "Calibration CalibrationBin Coverage CoveragePoint Interval SystemComparison bootstrap "
    "calibration compare compute_metrics_by_group coverage_risk type_pairs",
    "example": "Entity Example convert_offset",
    "masked_lm": "MaskedLMFigures MaskedLMTrainer evaluate_masked_lm",
    "loss": "Loss read_probabilities",
    "folds": "TrainedFolds train_folds",
    "metrics": "ClassMetrics Metrics compute_metrics evaluate score",
    "model": "EntityPlaces InputPlaces Model ModelConfig Tensors",
    "pipeline": "MemberInfo Pipeline PipelineInfo PipelineMember",
    "predictor": "Predictor",
    "progress": "ProgressBar TrainingProgress",
    "quantization": "QuantizationReport compare_weights quantize",
    "queue": "Queue QueueStats",
    "recipe": "Recipe recipes",
    "tokenizer": "BatchEncoding Encoding Tokenizer",
    "training": "StepInfo Trainer TrainEvent",
}
_HOME = {name: module for module, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str):
    import importlib

    if name in _HOME:
        value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
        globals()[name] = value
        return value
    if name in _HOMES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *__all__})


__version__ = "0.1.0"

__all__ = [
    "BatchEncoding",
    "Busy",
    "Calibration",
    "CalibrationBin",
    "Cancelled",
    "Change",
    "ClassMetrics",
    "CleaningLog",
    "Comparison",
    "Context",
    "Contribution",
    "Corpus",
    "CorpusInfo",
    "Coverage",
    "CoveragePoint",
    "Dataset",
    "Decoding",
    "DecodingFigures",
    "DecodingReport",
    "Encoding",
    "Entity",
    "Example",
    "Finding",
    "FoundWeights",
    "Interval",
    "InvalidArgument",
    "KluereError",
    "Leakage",
    "Lengths",
    "MaskedLMFigures",
    "MaskedLMTrainer",
    "Loss",
    "Metrics",
    "MemberInfo",
    "Model",
    "ModelConfig",
    "ModelTypes",
    "EntityPlaces",
    "InputPlaces",
    "NotFinite",
    "OutOfMemory",
    "Pipeline",
    "PipelineInfo",
    "PipelineMember",
    "PairRelation",
    "Predictor",
    "ProgressBar",
    "QuantizationReport",
    "Queue",
    "QueueStats",
    "Ranking",
    "RefusedParaphrase",
    "Statistics",
    "Recipe",
    "StepInfo",
    "Subset",
    "SystemComparison",
    "Tensors",
    "TimedOut",
    "Tokenizer",
    "TrainEvent",
    "TrainedFolds",
    "TrainedPipeline",
    "Trainer",
    "TrainingProgress",
    "TypeCorrection",
    "TypeCounts",
    "TypeMask",
    "bootstrap",
    "calibration",
    "combine",
    "compare",
    "compare_weights",
    "compute_metrics",
    "compute_metrics_by_group",
    "convert_offset",
    "coverage_risk",
    "default_context",
    "estimate_prior",
    "evaluate",
    "evaluate_masked_lm",
    "fit_decoding",
    "library_path",
    "library_version",
    "quantize",
    "rank",
    "read_probabilities",
    "read_submission",
    "rows_in",
    "score",
    "search_weights",
    "train_cascade",
    "train_folds",
    "type_pairs",
    "write_submission",
    "recipes",
]
