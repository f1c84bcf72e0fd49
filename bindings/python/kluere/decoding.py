"""From logits to the probabilities that decisions are made by: temperature, class weights, prior correction.

    decoding, report = kluere.fit_decoding(model, held_out, class_weights=True, prior={"no_relation": 0.6})
    model.with_decoding(decoding).save("model")
"""

from __future__ import annotations

import ctypes
import dataclasses
from typing import TYPE_CHECKING, List, Mapping, Optional, Sequence, Tuple

from . import _abi
from ._arrays import block, choice, flat, rows_of
from ._handle import Handle
from ._library import assign, check, initialized, library, sized
from .metrics import Judged, no_relation_of

if TYPE_CHECKING:
    from .dataset import Dataset
    from .model import Model


@dataclasses.dataclass(frozen=True)
class DecodingFigures:
    """Fractions of 1. target_micro_f1: each row counted target / source times, as if labels came as in the target."""

    micro_f1: float
    auprc: float
    ece: float
    loss: float
    target_micro_f1: float


@dataclasses.dataclass(frozen=True)
class DecodingReport:
    """What a decoding is worth. held_out, not after, says what to expect on other rows."""

    before: DecodingFigures  # softmax alone
    after: DecodingFigures  # on the rows that it was fitted on
    held_out: DecodingFigures  # each fold decoded by what the others gave
    keeps_weights: bool  # class weights were tuned, and held-out rows gained by them

    def table(self) -> str:
        lines = [f"{'':9}  micro-F1   AUPRC     ECE    loss  micro-F1 in the target"]
        for name in ("before", "after", "held_out"):
            one = getattr(self, name)
            lines.append(
                f"{name.replace('_', ' '):9}  {100 * one.micro_f1:8.2f}  {100 * one.auprc:6.2f}  {100 * one.ece:6.2f}"
                f"  {one.loss:6.4f}  {100 * one.target_micro_f1:22.2f}"
            )
        return "\n".join(lines)


def _doubles(values: Optional[Sequence[float]], classes: int, what: str):
    if values is None:
        return None
    numbers = [float(value) for value in values]
    if len(numbers) != classes:
        raise ValueError(f"{what}: {len(numbers)} numbers for {classes} classes")
    return (ctypes.c_double * classes)(*numbers)


class Decoding(Handle):
    """p(c) in proportion to exp(logit(c) / temperature) * class_weights[c] * target_prior[c] / source_prior[c].

    Immutable. Made by Decoding.fit, Decoding.create or Model.decoding.
    """

    _destroy_name = "kluere_decoding_destroy"

    @classmethod
    def create(
        cls,
        classes: int,
        *,
        temperature: float = 1.0,
        class_weights: Optional[Sequence[float]] = None,
        source_prior: Optional[Sequence[float]] = None,
        target_prior: Optional[Sequence[float]] = None,
    ) -> "Decoding":
        """By its numbers; None: 1 for all."""
        pointer = ctypes.c_void_p()
        check(
            library().kluere_decoding_create(
                classes,
                temperature,
                _doubles(class_weights, classes, "class_weights"),
                _doubles(source_prior, classes, "source_prior"),
                _doubles(target_prior, classes, "target_prior"),
                ctypes.byref(pointer),
            )
        )
        return cls(pointer)

    @classmethod
    def fit(
        cls,
        scores,
        labels: Sequence[int],
        *,
        temperature: bool = True,
        class_weights: bool = False,
        source_prior: Optional[Sequence[float]] = None,
        target_prior: Optional[Sequence[float]] = None,
        prior_by_hand: Optional[Tuple[int, float]] = None,
        folds=5,
        seed: Optional[int] = None,
        no_relation: Optional[int] = 0,
        missing_class: str = "skip",
        scores_are: str = "logits",
    ) -> Tuple["Decoding", DecodingReport]:
        """Fitted to labelled rows that the model was not trained on, and what it is worth.

        temperature    the one with the least cross-entropy (Guo et al. 2017)
        class_weights  tuned for micro-F1, after the rest; kept only if held-out folds gain by them
        target_prior   shares of the labels where the model will be used; prior_by_hand: (label, share) in its place, the
                       others keep their proportions
        source_prior   shares of the labels where it learned (default: those of the rows)
        folds          how many random folds, or the fold (from 0) of each row
        """
        judged = Judged(scores, labels)
        options = initialized(_abi.kluere_decoding_options, "kluere_decoding_options_init")
        fold_pointer, fold_count = None, folds
        if not isinstance(folds, int):
            fold_block, fold_pointer, shape = flat(folds, "i")
            if shape != (judged.rows,):
                raise ValueError(f"folds have shape {shape}, expected ({judged.rows},)")
            fold_count = max(int(fold) for fold in fold_block) + 1
        label, share = prior_by_hand if prior_by_hand is not None else (-1, None)
        assign(
            options,
            temperature=1 if temperature else 0,
            class_weights=1 if class_weights else 0,
            no_relation=-1 if no_relation is None else no_relation,
            missing_class=choice("missing_class", missing_class, "KLUERE_MISSING_CLASS_"),
            score_space=choice("scores_are", scores_are, "KLUERE_OUTPUT_"),
            folds=fold_count,
            prior_label=label,
            prior_share=share,
            seed=seed,
        )
        source = _doubles(source_prior, judged.classes, "source_prior")
        target = _doubles(target_prior, judged.classes, "target_prior")
        if source is not None:
            options.source_prior = source
        if target is not None:
            options.target_prior = target
        report = sized(_abi.kluere_decoding_report)
        pointer = ctypes.c_void_p()
        check(
            library().kluere_decoding_fit(
                judged.scores,
                judged.labels,
                fold_pointer,
                judged.rows,
                judged.classes,
                ctypes.byref(options),
                ctypes.byref(report),
                ctypes.byref(pointer),
            )
        )
        names = [field.name for field in dataclasses.fields(DecodingFigures)]

        def figures(one) -> DecodingFigures:
            return DecodingFigures(*(getattr(one, name) for name in names))

        return cls(pointer), DecodingReport(
            figures(report.before), figures(report.after), figures(report.held_out), bool(report.keeps_weights)
        )

    def apply(self, scores, *, scores_are: str = "logits"):
        """Probabilities of scores, rows x classes."""
        given, pointer, shape = flat(scores, "f")
        if len(shape) != 2:
            raise ValueError(f"scores have shape {shape}, expected (rows, classes)")
        container, out = block("f", shape[0] * shape[1])
        space = choice("scores_are", scores_are, "KLUERE_OUTPUT_")
        check(library().kluere_decoding_apply(self._handle, pointer, shape[0], shape[1], space, out, len(out)))
        return rows_of(container, *shape)

    def _info(self):
        info = sized(_abi.kluere_decoding_info)
        check(library().kluere_decoding_describe(self._handle, ctypes.byref(info)))
        return info

    def _numbers(self, which: int) -> List[float]:
        classes = self._info().classes
        values = (ctypes.c_double * classes)()
        places = [values if number == which else None for number in range(3)]
        check(library().kluere_decoding_read(self._handle, *places, classes))
        return list(values)

    @property
    def classes(self) -> int:
        return self._info().classes

    @property
    def temperature(self) -> float:
        return self._info().temperature

    @property
    def class_weights(self) -> Optional[List[float]]:
        return self._numbers(0) if self._info().has_weights else None

    @property
    def source_prior(self) -> Optional[List[float]]:
        return self._numbers(1) if self._info().has_priors else None

    @property
    def target_prior(self) -> Optional[List[float]]:
        return self._numbers(2) if self._info().has_priors else None

    def __repr__(self) -> str:
        if self.closed:
            return "<kluere.Decoding closed>"
        info = self._info()
        parts = [f"temperature {info.temperature:.3f}"]
        parts += ["class weights"] if info.has_weights else []
        parts += ["prior correction"] if info.has_priors else []
        return f"<kluere.Decoding of {info.classes} classes: {', '.join(parts)}>"


def estimate_prior(
    scores, source_prior: Sequence[float], *, temperature: float = 1.0, scores_are: str = "logits"
) -> Tuple[List[float], int]:
    """(shares of the labels among rows nobody labelled, rounds), by expectation maximisation from source_prior (Saerens,
    Latinne and Decaestecker 2002). The probabilities at this temperature have to be calibrated."""
    _keep, pointer, shape = flat(scores, "f")
    if len(shape) != 2:
        raise ValueError(f"scores have shape {shape}, expected (rows, classes)")
    target, rounds = (ctypes.c_double * shape[1])(), ctypes.c_uint32()
    check(
        library().kluere_decoding_prior(
            pointer,
            shape[0],
            shape[1],
            choice("scores_are", scores_are, "KLUERE_OUTPUT_"),
            temperature,
            _doubles(source_prior, shape[1], "source_prior"),
            target,
            ctypes.byref(rounds),
        )
    )
    return list(target), rounds.value


def label_shares(dataset: "Dataset", labels: Sequence[str]) -> List[float]:
    """Shares of `labels` among the labelled rows; one that no row has counts half a row, since 0 cannot be corrected."""
    own = dataset.labels
    missing = [name for name in own if name not in labels]
    counts = dict.fromkeys(labels, 0.0)
    for index in dataset.label_indices:
        if index >= 0:
            if own[index] in missing:
                raise ValueError(f"label {own[index]!r} is none of the model's {len(labels)} labels")
            counts[own[index]] += 1
    values = [count or 0.5 for count in counts.values()]
    return [value / sum(values) for value in values]


def fit_decoding(
    model: "Model",
    held_out: "Dataset",
    *,
    temperature: bool = True,
    class_weights: bool = False,
    prior: Optional[Mapping[str, float]] = None,
    unlabelled: Optional["Dataset"] = None,
    source: Optional["Dataset"] = None,
    folds=5,
    seed: Optional[int] = None,
    missing_class: str = "skip",
    precision: str = "float32",
) -> Tuple[Decoding, DecodingReport]:
    """A decoding for a model, from labelled rows that it was not trained on.

    prior        {label: share} that the labels will have where the model is used; one label, the others keep their
                 proportions, or all
    unlabelled   rows of there in its place, whatever their labels: the shares are estimated
    source       rows whose labels are distributed as in training (default: held_out)
    """
    if prior is not None and unlabelled is not None:
        raise ValueError("prior and unlabelled are both given, expected one of them: both say what is to come")
    if source is not None and prior is None and unlabelled is None:
        raise ValueError("source is given without prior or unlabelled, expected what is to come too")
    labels = model.labels
    truth = [int(label) for label in model.label_indices(held_out)]
    known = [row for row, label in enumerate(truth) if label >= 0]
    if not known:
        raise ValueError("no row of held_out has a label")
    if len(known) < len(truth):
        if not isinstance(folds, int):
            folds = [folds[row] for row in known]
        held_out, truth = held_out.subset(known), [truth[row] for row in known]
    logits = model.predict(held_out, output="logits", precision=precision)
    options = dict(
        temperature=temperature, class_weights=class_weights, folds=folds, seed=seed,
        no_relation=no_relation_of(labels), missing_class=missing_class,
    )
    if prior is None and unlabelled is None:
        return Decoding.fit(logits, truth, **options)
    shares = label_shares(held_out if source is None else source, labels)
    if unlabelled is not None:
        first = Decoding.fit(logits, truth, **{**options, "class_weights": False})[0].temperature if temperature else 1.0
        there = model.predict(unlabelled, output="logits", precision=precision)
        target, _ = estimate_prior(there, shares, temperature=first)
        return Decoding.fit(logits, truth, source_prior=shares, target_prior=target, **options)
    unknown = [label for label in prior if label not in labels]
    if unknown:
        raise ValueError(f"prior: {unknown[0]!r} is none of the model's {len(labels)} labels")
    if len(prior) == 1:
        ((label, share),) = prior.items()
        return Decoding.fit(logits, truth, source_prior=shares, prior_by_hand=(labels.index(label), share), **options)
    if len(prior) != len(labels):
        raise ValueError(f"prior: {len(prior)} shares for {len(labels)} labels, expected one of them or all")
    target = [prior[label] for label in labels]
    return Decoding.fit(logits, truth, source_prior=shares, target_prior=target, **options)
