"""Training: step() is the primitive, run() the loop with evaluation, checkpoints and early stopping."""

from __future__ import annotations

import ctypes
import dataclasses
from typing import Callable, Iterator, Optional, Union

from . import _abi
from ._arrays import choice, choices
from ._handle import Handle
from ._interrupt import Interruptible
from ._library import assign, c_path, check, initialized, library, sized, status_error
from .context import Context, default_context
from .dataset import Dataset
from .loss import Loss
from .metrics import Metrics, from_c
from .model import Model, Tensors
from .progress import TrainingProgress

_EVENTS = {number: name for name, number in choices("KLUERE_EVENT_").items()}


@dataclasses.dataclass(frozen=True)
class StepInfo:
    """One update of the weights."""

    done: bool  # True after the last update
    step: int  # updates made so far
    total_steps: int
    sentences: int  # in this update
    tokens: int  # in this update
    epoch: float  # passes over the data so far
    loss: float  # mean over the update's sentences, with dropout
    learning_rate: float
    grad_norm: float  # before clipping
    seconds: float  # this update
    skipped: bool  # float16: gradients overflowed, nothing was changed but the loss scale
    loss_scale: float  # of this update; 1 in the other precisions


@dataclasses.dataclass(frozen=True)
class TrainEvent:
    """What Trainer.run tells its callback."""

    kind: str  # "step", "evaluation", "checkpoint"
    step: StepInfo  # the last update
    metrics: Optional[Metrics] = None  # of an evaluation
    path: Optional[str] = None  # the folder of a checkpoint
    is_best: bool = False  # evaluation, checkpoint: the best so far


Callback = Callable[[TrainEvent], object]

_STEP_FIELDS = [field.name for field in dataclasses.fields(StepInfo)]


def _step_info(info) -> StepInfo:
    values = {name: getattr(info, name) for name in _STEP_FIELDS}
    values["done"], values["skipped"] = bool(info.done), bool(info.skipped)
    return StepInfo(**values)


def _event(event, metrics_of_event) -> TrainEvent:
    return TrainEvent(
        kind=_EVENTS.get(event.kind, str(event.kind)),
        step=_step_info(event.step.contents),
        metrics=metrics_of_event(event.metrics.contents) if event.metrics else None,
        path=None if event.path is None else event.path.decode("utf-8", "surrogateescape"),
        is_best=bool(event.is_best),
    )


class Trainer(Handle):
    """Weights, optimizer and position of one training run. One thread at a time; request_stop() from any thread.

    The model's weights are copied: `model` stays as it is. Every row of `train` needs a label that the model has.
    An option of None takes the library's default (kluere.h, kluere_train_options).

    batch_sentences    sentences of a micro-batch (32)
    batch_tokens       > 0: micro-batches of at most this many tokens in place of batch_sentences
    accumulation       micro-batches of an update (1)
    seed               of the order of the rows and of dropout (42)
    max_steps          > 0: this many updates; else `epochs` passes (3; fractions allowed)
    learning_rate      peak (5e-5)
    beta1, beta2, epsilon, weight_decay   of AdamW (0.9, 0.999, 1e-8, 0.01; no decay on biases and layer norms)
    max_grad_norm      clipping by global 2-norm (1); 0 = none
    schedule           after warm-up: "linear", "cosine", "constant", "cosine_with_restarts", "polynomial" or "inverse_sqrt"
    schedule_cycles, schedule_power, end_learning_rate   of the cosines and of the polynomial; None: as transformers
    warmup_steps       used when > 0; else warmup_ratio of all updates (0.1)
    group_by_length    sentences of like length share a batch
    hidden_dropout, attention_dropout, classifier_dropout   None: the model's
    multi_sample_dropout   masks of the dropout before the output layer, of whose losses the mean is taken (1)
    best_metric        "micro_f1", "auprc" or "loss": decides checkpoint-best and early stopping
    evaluate_every     updates between evaluations in run(); 0: at the end of each epoch
    checkpoint_every   updates between writes of checkpoint-last in run(); 0: at each evaluation
    patience           evaluations without improvement before run() stops early; 0: never
    output_directory   where run() writes checkpoint-last and checkpoint-best; None: no files
    precision          "float32" (default), "tf32", "bfloat16", "float16" or "auto": what the device does best; the CPU has
                       float32 alone
    split_on_out_of_memory   True: micro-batches that do not fit the device's memory are computed in parts
    loss               a kluere.Loss, or the name of its kind; None: cross entropy
    optimizer          "adamw" (default): torch's; "adamw_hf": that of transformers before version 5
    layer_decay        a layer's learning rate is this times that of the next one up (1: off)
    head_learning_rate_factor   times the learning rate, for what is behind the last layer (1)
    freeze_embeddings  they stay as they are
    freeze_layers      so many of the lowest layers stay as they are (0)
    ema_decay          exponential moving average of the weights (0: none); ema_warmup: with a smaller decay at first
    swa_start          equal mean of the weights after this share of the updates (0: none), every swa_every updates (1), with
                       the constant learning rate swa_learning_rate (0: the schedule's)
    checkpoint_activations   layers are computed again in the backward pass: less memory, the same bits
    """

    _destroy_name = "kluere_trainer_destroy"
    _metrics_of_event = staticmethod(from_c)  # what another objective reports of an evaluation

    def __init__(
        self,
        model: Model,
        train: Dataset,
        evaluation: Optional[Dataset] = None,
        *,
        batch_sentences: Optional[int] = None,
        batch_tokens: Optional[int] = None,
        accumulation: Optional[int] = None,
        seed: Optional[int] = None,
        max_steps: Optional[int] = None,
        epochs: Optional[float] = None,
        learning_rate: Optional[float] = None,
        beta1: Optional[float] = None,
        beta2: Optional[float] = None,
        epsilon: Optional[float] = None,
        weight_decay: Optional[float] = None,
        max_grad_norm: Optional[float] = None,
        schedule: Optional[str] = None,
        group_by_length: Optional[bool] = None,
        warmup_steps: Optional[int] = None,
        warmup_ratio: Optional[float] = None,
        hidden_dropout: Optional[float] = None,
        attention_dropout: Optional[float] = None,
        classifier_dropout: Optional[float] = None,
        best_metric: Optional[str] = None,
        evaluate_every: Optional[int] = None,
        checkpoint_every: Optional[int] = None,
        patience: Optional[int] = None,
        output_directory=None,
        precision: Optional[str] = None,
        split_on_out_of_memory: Optional[bool] = None,
        loss: Union[None, str, Loss] = None,
        multi_sample_dropout: Optional[int] = None,
        layer_decay: Optional[float] = None,
        head_learning_rate_factor: Optional[float] = None,
        freeze_embeddings: Optional[bool] = None,
        freeze_layers: Optional[int] = None,
        ema_decay: Optional[float] = None,
        ema_warmup: Optional[bool] = None,
        swa_start: Optional[float] = None,
        swa_every: Optional[int] = None,
        swa_learning_rate: Optional[float] = None,
        checkpoint_activations: Optional[bool] = None,
        optimizer: Optional[str] = None,
        schedule_cycles: Optional[float] = None,
        schedule_power: Optional[float] = None,
        end_learning_rate: Optional[float] = None,
    ) -> None:
        options = initialized(_abi.kluere_train_options, "kluere_train_options_init")
        assign(
            options,
            batch_sentences=batch_sentences,
            batch_tokens=batch_tokens,
            accumulation=accumulation,
            seed=seed,
            max_steps=max_steps,
            epochs=epochs,
            learning_rate=learning_rate,
            beta1=beta1,
            beta2=beta2,
            epsilon=epsilon,
            weight_decay=weight_decay,
            max_grad_norm=max_grad_norm,
            schedule=None if schedule is None else choice("schedule", schedule, "KLUERE_SCHEDULE_"),
            group_by_length=None if group_by_length is None else int(group_by_length),
            warmup_steps=warmup_steps,
            warmup_ratio=warmup_ratio,
            hidden_dropout=hidden_dropout,
            attention_dropout=attention_dropout,
            classifier_dropout=classifier_dropout,
            best_metric=None if best_metric is None else choice("best_metric", best_metric, "KLUERE_BEST_"),
            evaluate_every=evaluate_every,
            checkpoint_every=checkpoint_every,
            patience=patience,
            output_directory=None if output_directory is None else c_path(output_directory),
            precision=None if precision is None else choice("precision", precision, "KLUERE_PRECISION_"),
            split_on_out_of_memory=None if split_on_out_of_memory is None else int(split_on_out_of_memory),
            multi_sample_dropout=multi_sample_dropout,
            layer_decay=layer_decay,
            head_learning_rate_factor=head_learning_rate_factor,
            freeze_embeddings=None if freeze_embeddings is None else int(freeze_embeddings),
            freeze_layers=freeze_layers,
            ema_decay=ema_decay,
            ema_warmup=None if ema_warmup is None else int(ema_warmup),
            swa_start=swa_start,
            swa_every=swa_every,
            swa_learning_rate=swa_learning_rate,
            checkpoint_activations=None if checkpoint_activations is None else int(checkpoint_activations),
            optimizer=None if optimizer is None else choice("optimizer", optimizer, "KLUERE_OPTIMIZER_"),
            schedule_cycles=schedule_cycles,
            schedule_power=schedule_power,
            end_learning_rate=end_learning_rate,
        )
        alive = None
        if loss is not None:
            given, alive = (Loss(kind=loss) if isinstance(loss, str) else loss)._c(model.labels)
            options.loss = ctypes.pointer(given)
        pointer = ctypes.c_void_p()
        check(self._create(model, train, evaluation, options, pointer))
        del alive  # the library has copied it
        self._adopt(pointer)

    def _create(self, model: Model, train: Dataset, evaluation: Optional[Dataset], options, pointer) -> int:
        return library().kluere_trainer_create(
            model._handle,
            train._handle,
            None if evaluation is None else evaluation._handle,
            ctypes.byref(options),
            ctypes.byref(pointer),
        )

    @classmethod
    def resume(
        cls, directory, train: Dataset, evaluation: Optional[Dataset] = None, *, context: Optional[Context] = None
    ) -> "Trainer":
        """Goes on where a checkpoint stopped, bit for bit, with the options of then.

        directory: a checkpoint folder, or the output_directory of run(), whose checkpoint-last is taken. train and
        evaluation must hold the rows of then.
        """
        return cls._resumed(library().kluere_trainer_resume, directory, train, evaluation, context)

    @classmethod
    def _resumed(cls, call, directory, train: Handle, evaluation: Optional[Handle], context: Optional[Context]):
        pointer = ctypes.c_void_p()
        check(
            call(
                (context or default_context())._handle,
                c_path(directory),
                train._handle,
                None if evaluation is None else evaluation._handle,
                ctypes.byref(pointer),
            )
        )
        trainer = cls.__new__(cls)
        trainer._adopt(pointer)
        return trainer

    def _adopt(self, pointer: ctypes.c_void_p) -> None:
        Handle.__init__(self, pointer)
        self._layout: Optional[dict] = None
        self._done = False

    def step(self) -> StepInfo:
        """One update. KluereError (STATE) after the last one; NotFinite leaves the weights as they were."""
        info = sized(_abi.kluere_step_info)
        check(library().kluere_trainer_step(self._handle, ctypes.byref(info)))
        result = _step_info(info)
        self._done = result.done
        return result

    def steps(self) -> Iterator[StepInfo]:
        """`for info in trainer.steps():` makes the remaining updates, one each time round."""
        while not self._done:
            yield self.step()

    def run(self, callback: Optional[Callback] = None, *, progress: bool = False) -> bool:
        """All remaining updates, with evaluations, checkpoints and early stopping. True at the end, False if stopped.

        callback   called with a TrainEvent after each event; returning True stops. An exception in it stops too and
                   is raised from here
        progress   shows a bar on stderr in a terminal, an occasional line elsewhere

        A stop, Ctrl-C (raised as KeyboardInterrupt) and an exception alike write checkpoint-last first, if there is
        an output_directory; call run() again, or Trainer.resume, to go on.
        """
        shown = TrainingProgress() if progress else None
        raised: list = []
        guard = Interruptible(self.request_stop)

        @_abi.kluere_train_fn
        def on_event(userdata, event) -> int:
            try:  # an exception must not leave a ctypes callback: it would be printed and lost
                event = _event(event.contents, self._metrics_of_event)
                self._done = event.step.done
                if shown is not None:
                    shown(event)
                stop = False
                if callback is not None:
                    guard.raising = True
                    try:
                        stop = callback(event)
                    finally:
                        guard.raising = False
                return 1 if stop or guard.interrupted else 0
            except BaseException as problem:
                raised.append(problem)
                return 1

        try:
            with guard:
                status = library().kluere_trainer_run(self._handle, on_event, None)
                problem = status_error(status) if status not in (_abi.KLUERE_OK, _abi.KLUERE_ERR_CANCELLED) else None
        finally:
            if shown is not None:
                shown.close()
        if problem is not None:
            raise problem from (raised[0] if raised else None)
        if raised:
            raise raised[0]
        if guard.interrupted:
            raise KeyboardInterrupt
        return status == _abi.KLUERE_OK

    def request_stop(self) -> None:
        """Makes step(), run() or evaluate() in progress on another thread, or else the next run(), end early."""
        library().kluere_trainer_request_stop(self._handle)

    def evaluate(self, dataset: Dataset) -> Metrics:
        """The present weights (their average, if there is one) on labelled rows, without dropout.

        Ctrl-C ends it with KeyboardInterrupt.
        """
        out = sized(_abi.kluere_metrics)
        with Interruptible(self.request_stop) as guard:
            status = library().kluere_trainer_evaluate(self._handle, dataset._handle, ctypes.byref(out))
            problem = status_error(status) if status != _abi.KLUERE_OK else None
        if guard.interrupted:
            raise KeyboardInterrupt
        if problem is not None:
            raise problem
        return from_c(out)

    def export_model(self) -> Model:
        """A model with a copy of the present weights, or of their average, if there is one."""
        pointer = ctypes.c_void_p()
        check(library().kluere_trainer_export_model(self._handle, ctypes.byref(pointer)))
        return Model(pointer)

    def save_checkpoint(self, directory) -> None:
        """For exact resume with the same version of the library; also a model folder."""
        check(library().kluere_trainer_save_checkpoint(self._handle, c_path(directory)))

    @property
    def gradients(self) -> Tensors:
        """Gradients of the last step(), before clipping, by the names of Model.tensors."""
        if self._layout is None:
            with self.export_model() as model:
                self._layout = model._tensor_layout()
        return Tensors(self._layout, library().kluere_trainer_gradient_read, self)

    def __repr__(self) -> str:
        return "<kluere.Trainer closed>" if self.closed else "<kluere.Trainer>"
