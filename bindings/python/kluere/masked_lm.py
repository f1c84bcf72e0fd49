"""Masked-LM training: pretraining from random weights, and further pretraining on a task's own sentences."""

from __future__ import annotations

import ctypes
import dataclasses
import math
from typing import Optional

from . import _abi
from ._interrupt import Interruptible
from ._library import check, library, sized, status_error
from .context import Context
from .corpus import Corpus, masking
from .model import Model
from .predictor import Predictor
from .training import Trainer


@dataclasses.dataclass(frozen=True)
class MaskedLMFigures:
    """How well a model knows the tokens that a fixed mask asks for."""

    tokens: int  # that were asked for
    loss: float  # mean cross-entropy in nats
    perplexity: float  # e^loss
    accuracy: float  # share of the tokens that were the likeliest piece

    def as_dict(self) -> dict:
        return dataclasses.asdict(self)

    def __str__(self) -> str:
        return (
            f"loss {self.loss:.4f}  perplexity {self.perplexity:.2f}  accuracy {100 * self.accuracy:.2f} %"
            f"  on {self.tokens:,} masked tokens"
        )


def _of_event(metrics) -> MaskedLMFigures:
    try:
        perplexity = math.exp(metrics.loss)
    except OverflowError:
        perplexity = math.inf
    return MaskedLMFigures(metrics.rows, metrics.loss, perplexity, metrics.accuracy)


def _from_c(figures) -> MaskedLMFigures:
    return MaskedLMFigures(figures.tokens, figures.loss, figures.perplexity, figures.accuracy)


class MaskedLMTrainer(Trainer):
    """A Trainer that learns masked tokens of a Corpus. The model has the task "masked_lm".

    whole_words       True: all pieces of a word are asked for, or none
    mask_probability  the chance of each token (or word) to be asked for (0.15)
    mask_share        of those: shown as the mask token (0.8)
    random_share      of those: shown as a random piece (0.1); the rest is shown as it is
    evaluation_seed   of the masks of evaluations, which are always the same (42)

    The other options are those of Trainer; masks follow its seed, and best_metric is "loss". step().loss is the mean over
    the masked tokens of the update; evaluations give MaskedLMFigures.
    """

    _metrics_of_event = staticmethod(_of_event)

    def __init__(
        self,
        model: Model,
        train: Corpus,
        evaluation: Optional[Corpus] = None,
        *,
        whole_words: Optional[bool] = None,
        mask_probability: Optional[float] = None,
        mask_share: Optional[float] = None,
        random_share: Optional[float] = None,
        evaluation_seed: Optional[int] = None,
        **options,
    ) -> None:
        self._masking = masking(
            whole_words=whole_words,
            mask_probability=mask_probability,
            mask_share=mask_share,
            random_share=random_share,
            evaluation_seed=evaluation_seed,
        )
        if options.get("best_metric") is None:
            options["best_metric"] = "loss"
        super().__init__(model, train, evaluation, **options)

    def _create(self, model: Model, train: Corpus, evaluation: Optional[Corpus], options, pointer) -> int:
        return library().kluere_trainer_create_masked_lm(
            model._handle,
            train._handle,
            None if evaluation is None else evaluation._handle,
            ctypes.byref(self._masking),
            ctypes.byref(options),
            ctypes.byref(pointer),
        )

    @classmethod
    def resume(
        cls, directory, train: Corpus, evaluation: Optional[Corpus] = None, *, context: Optional[Context] = None
    ) -> "MaskedLMTrainer":
        """Goes on where a checkpoint stopped, bit for bit, with the options of then, as Trainer.resume does."""
        return cls._resumed(library().kluere_trainer_resume_masked_lm, directory, train, evaluation, context)

    def evaluate(self, corpus: Corpus) -> MaskedLMFigures:
        """The present weights, without dropout, with the masks of the run's evaluations."""
        out = sized(_abi.kluere_masked_lm_figures)
        with Interruptible(self.request_stop) as guard:
            status = library().kluere_trainer_evaluate_masked_lm(self._handle, corpus._handle, ctypes.byref(out))
            problem = status_error(status) if status != _abi.KLUERE_OK else None
        if guard.interrupted:
            raise KeyboardInterrupt
        if problem is not None:
            raise problem
        return _from_c(out)

    def __repr__(self) -> str:
        return "<kluere.MaskedLMTrainer closed>" if self.closed else "<kluere.MaskedLMTrainer>"


def evaluate_masked_lm(
    model: Model, corpus: Corpus, *, precision: Optional[str] = None, **options
) -> MaskedLMFigures:
    """Loss and perplexity of a model with a masked-LM head on a corpus. options: those of MaskedLMTrainer about masks."""
    out = sized(_abi.kluere_masked_lm_figures)
    chosen = masking(**options)
    with Predictor(model, precision=precision) as predictor:
        check(
            library().kluere_predictor_evaluate_masked_lm(
                predictor._handle, corpus._handle, ctypes.byref(chosen), ctypes.byref(out)
            )
        )
    return _from_c(out)
