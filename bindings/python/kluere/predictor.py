"""Prediction with a model, and its encoder's outputs."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Callable, List, Optional, Sequence, Union

from . import _abi
from ._arrays import block, choice, rows_of
from ._handle import Handle
from ._library import assign, check, initialized, library, sized, status_error, utf8
from .errors import error
from .example import EntityLike, Example, c_examples

if TYPE_CHECKING:
    from .dataset import Dataset
    from .entity_types import PairRelation
    from .model import Model

# Rows handed to C at once: between two calls Python can see Ctrl-C, and progress can be shown.
_ROWS_AT_ONCE = 1024


def entity_types():
    """The module, which most programs do without."""
    from . import entity_types

    return entity_types


class Predictor(Handle):
    """Scratch memory to predict with a model. One thread at a time; many predictors may share a model.

    output        "probabilities" (softmax over the labels) or "logits"
    batch_tokens  tokens worked on at once, bounds memory; None: the library's default
    precision     "float32" (default), "tf32", "bfloat16", "float16" or "auto": what the device does best; the CPU has
                  float32 alone
    decoding      "auto" (default): probabilities as the model's decoding makes them, if it has one; "off": softmax
    type_mask     "auto": the model's type mask as it is stored; "off": without it
    type_mask_strength  in place of the stored one
    weights       "auto" (as the model's folder says), "float32", or on the CPU "bfloat16", "float16", "int8",
                  "int8_reduced" (docs/quantization.md); of a model that is int8 already "auto", "int8" or "float32"
    threads       0 (default): the context's; else CPU threads of the predictor's own: with 1 many predictors of one model
                  compute at the same time, each on the thread that calls it
    """

    _destroy_name = "kluere_predictor_destroy"

    def __init__(
        self,
        model: Model,
        *,
        output: str = "probabilities",
        batch_tokens: Optional[int] = None,
        precision: Optional[str] = None,
        decoding: Optional[str] = None,
        type_mask: str = "auto",
        type_mask_strength: Optional[float] = None,
        weights: str = "auto",
        threads: Optional[int] = None,
    ) -> None:
        options = predictor_options(
            output=output,
            batch_tokens=batch_tokens,
            precision=precision,
            decoding=decoding,
            type_mask=type_mask,
            type_mask_strength=type_mask_strength,
            weights=weights,
            threads=threads,
        )
        pointer = ctypes.c_void_p()
        check(library().kluere_predictor_create(model._handle, ctypes.byref(options), ctypes.byref(pointer)))
        super().__init__(pointer)
        self._columns = library().kluere_model_label_count(model._handle)
        self._width = model.config.hidden_size
        self._vocabulary = model.vocabulary_size
        self._labels = model.labels

    def predict(
        self, examples: Union[Sequence[Example], Dataset], *, progress: Optional[Callable[[int, int], None]] = None
    ):
        """A table of rows x labels, float32. A row's result does not depend on the rows beside it."""
        return predict_in_parts(self, "kluere_predictor", self._columns, examples, progress)

    def _predict_row(self, example: Example):
        """One example's row as a ctypes array: for answers of a few labels, which do not need NumPy."""
        row = (ctypes.c_float * self._columns)()
        check(
            library().kluere_predictor_predict(
                self._handle,
                c_examples([example]),
                ctypes.sizeof(_abi.kluere_example),
                1,
                _abi.KLUERE_OFFSETS_CODE_POINTS,
                row,
                len(row),
            )
        )
        return row

    def predict_pairs(
        self,
        text: str,
        entities: Sequence[EntityLike],
        *,
        only_relations: bool = True,
        threshold: float = 0.0,
        prune: str = "none",
        max_pairs: Optional[int] = None,
    ) -> List[PairRelation]:
        """The relations between all ordered pairs of a sentence's entities, by subject, then object.

        entities        Entity objects or tuples (begin, end, type), in code points; they may overlap, and two of the same
                        span are no pair
        only_relations  without the pairs whose likeliest label is no_relation
        threshold       without pairs whose likeliest label is less probable
        prune           "impossible": pairs of types that allow no_relation alone are not computed; "unseen": nor are
                        those that the type mask or the pair heads do not know
        max_pairs       more are refused (default: 65536)
        """
        relations, _ = entity_types().predict_pairs(
            self, self._labels, text, entities, prune=prune, max_pairs=max_pairs, probabilities=False
        )
        return [
            found
            for found in relations
            if found.probability >= threshold and not (only_relations and found.label == "no_relation")
        ]

    def predict_pair_table(
        self, text: str, entities: Sequence[EntityLike], *, prune: str = "none", max_pairs: Optional[int] = None
    ):
        """All pairs, and their probabilities as a table of pairs x labels."""
        return entity_types().predict_pairs(
            self, self._labels, text, entities, prune=prune, max_pairs=max_pairs, probabilities=True
        )

    def hidden_states(self, inputs: Sequence[Sequence[int]], type_ids: Optional[Sequence[Sequence[int]]] = None) -> list:
        """Last hidden states: for each input, a list of token ids, a table of tokens x hidden_size, float32."""
        batch, keep = _token_batch(inputs, type_ids)
        width = self._width
        container, pointer = block("f", keep[2][len(inputs)] * width)
        status = library().kluere_predictor_hidden_states(self._handle, ctypes.byref(batch), pointer, len(pointer))
        check(status)
        table = rows_of(container, keep[2][len(inputs)], width)
        return [table[keep[2][i] : keep[2][i + 1]] for i in range(len(inputs))]

    def embed(
        self,
        inputs: Sequence[Union[str, Sequence[int]]],
        *,
        type_ids: Optional[Sequence[Sequence[int]]] = None,
        pooling: str = "mean",
        normalize: bool = False,
    ):
        """A vector for each input, texts or lists of token ids: a table of inputs x hidden_size, float32.

        pooling    "mean" over all tokens, "cls", or "pooler" (BERT's tanh layer)
        normalize  each vector to length 1
        """
        width = self._width
        container, pointer = block("f", len(inputs) * width)
        how = choice("pooling", pooling, "KLUERE_POOLING_")
        flags = _abi.KLUERE_EMBED_NORMALIZE if normalize else 0
        if inputs and isinstance(inputs[0], str):
            texts = [utf8(text) for text in inputs]
            c_texts = (ctypes.c_char_p * len(texts))(*texts)
            lengths = (ctypes.c_size_t * len(texts))(*map(len, texts))
            status = library().kluere_predictor_embed_texts(
                self._handle, c_texts, lengths, len(texts), how, flags, pointer, len(pointer)
            )
        else:
            batch, _keep = _token_batch(inputs, type_ids)
            status = library().kluere_predictor_embed(
                self._handle, ctypes.byref(batch), how, flags, pointer, len(pointer)
            )
        check(status)
        return rows_of(container, len(inputs), width)

    def classify(self, inputs: Sequence[Sequence[int]], type_ids: Optional[Sequence[Sequence[int]]] = None):
        """The classification head's table of inputs x labels, for lists of token ids."""
        batch, _keep = _token_batch(inputs, type_ids)
        container, pointer = block("f", len(inputs) * self._columns)
        check(library().kluere_predictor_classify(self._handle, ctypes.byref(batch), pointer, len(pointer)))
        return rows_of(container, len(inputs), self._columns)

    def mask_logits(
        self,
        inputs: Sequence[Sequence[int]],
        positions: Sequence[int],
        type_ids: Optional[Sequence[Sequence[int]]] = None,
    ):
        """The masked-LM head's logits, positions x vocabulary. positions: places among the ids of all inputs."""
        batch, _keep = _token_batch(inputs, type_ids)
        container, pointer = block("f", len(positions) * self._vocabulary)
        places = (ctypes.c_size_t * len(positions))(*positions)
        status = library().kluere_predictor_mask_logits(
            self._handle, ctypes.byref(batch), places, len(positions), pointer, len(pointer)
        )
        check(status)
        return rows_of(container, len(positions), self._vocabulary)

    def fill_in(
        self,
        dataset: Dataset,
        *,
        judge: Optional["Predictor"] = None,
        seed: Optional[int] = None,
        row_share: Optional[float] = None,
        word_share: Optional[float] = None,
        top_k: Optional[int] = None,
        keep_originals: bool = True,
    ) -> Dataset:
        """New rows behind those of the dataset, in which a masked-LM model says the beginnings of some words anew.

        judge       a predictor of labels: only rows stay for which its first choice is the row's label
        row_share   the chance of each row to be taken (default: 1)
        word_share  the share of the words that touch no entity (default: 0.15; at least one)
        top_k       how many of the likeliest pieces are drawn from (default: 10)

        Entities keep their words; ids and origins are as Dataset.augment makes them.
        """
        options = initialized(_abi.kluere_fill_options, "kluere_fill_options_init")
        assign(
            options,
            seed=seed,
            row_share=row_share,
            word_share=word_share,
            top_k=top_k,
            keep_originals=1 if keep_originals else 0,
        )
        out = ctypes.c_void_p()
        judging = judge._handle if judge is not None else None
        check(
            library().kluere_predictor_fill_in(
                self._handle, judging, dataset._handle, ctypes.byref(options), ctypes.byref(out)
            )
        )
        from .dataset import Dataset

        return Dataset(out)


def _is_dataset(examples) -> bool:
    if not isinstance(examples, Handle):
        return False
    from .dataset import Dataset  # not above: a program that predicts single sentences does without it

    return isinstance(examples, Dataset)


def predictor_options(*, output=None, precision=None, decoding=None, type_mask=None, weights=None, **numbers):
    """The C struct. Names of choices or None, the library's default; numbers as they are."""
    chosen = dict(output=output, precision=precision, decoding=decoding, type_mask=type_mask, weights=weights)
    options = initialized(_abi.kluere_predictor_options, "kluere_predictor_options_init")
    for name, value in chosen.items():
        if value is not None:
            numbers[name] = choice(name, value, f"KLUERE_{name.upper()}_")
    assign(options, **numbers)
    return options


def predict_in_parts(owner: Handle, prefix: str, columns: int, examples, progress):
    """A table of examples x columns of `owner`, whose functions of the library begin with prefix."""
    by_dataset = getattr(library(), f"{prefix}_predict_dataset")
    by_examples = getattr(library(), f"{prefix}_predict")
    dataset = _is_dataset(examples)
    if not dataset and not isinstance(examples, (list, tuple)):
        examples = list(examples)
    total = len(examples)
    container, pointer = block("f", total * columns)
    for first in range(0, total, _ROWS_AT_ONCE):
        rows = min(_ROWS_AT_ONCE, total - first)
        cells = rows * columns
        out = (ctypes.c_float * cells).from_buffer(pointer, 4 * first * columns)
        if dataset:
            part = examples if rows == total else examples[first : first + rows]
            status = by_dataset(owner._handle, part._handle, out, cells)
        else:
            part = c_examples(examples[first : first + rows])
            status = by_examples(
                owner._handle,
                part,
                ctypes.sizeof(_abi.kluere_example),
                rows,
                _abi.KLUERE_OFFSETS_CODE_POINTS,
                out,
                cells,
            )
        if status != _abi.KLUERE_OK:
            problem = status_error(status)
            if first:  # the library numbers the rows of this part from 0
                problem = error(status, problem.status_name, f"rows from {first} on: {problem.message}")
            raise problem
        if progress is not None:
            progress(first + rows, total)
    return rows_of(container, total, columns)


def _token_batch(inputs, type_ids):
    """The C struct for lists of token ids, and the arrays that it points to, which must outlive it."""
    ids = [int(id) for row in inputs for id in row]
    offsets = (ctypes.c_size_t * (len(inputs) + 1))()
    for i, row in enumerate(inputs):
        offsets[i + 1] = offsets[i] + len(row)
    c_ids = (ctypes.c_int32 * len(ids))(*ids)
    batch = sized(_abi.kluere_token_batch)
    batch.ids = ctypes.cast(c_ids, type(batch.ids))
    c_types = None
    if type_ids is not None:
        types = [int(type) for row in type_ids for type in row]
        if [len(row) for row in type_ids] != [len(row) for row in inputs]:
            raise ValueError("type_ids: expected one for each id")
        c_types = (ctypes.c_int32 * len(types))(*types)
        batch.type_ids = ctypes.cast(c_types, type(batch.type_ids))
    batch.offsets = ctypes.cast(offsets, type(batch.offsets))
    batch.input_count = len(inputs)
    return batch, (c_ids, c_types, offsets)
