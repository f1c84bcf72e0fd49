"""Text as rows of tokens, for masked-LM training."""

from __future__ import annotations

import ctypes
import dataclasses
import os
from typing import List, Optional, Sequence, Tuple, Union

from . import _abi
from ._arrays import choice
from ._handle import Handle
from ._library import assign, c_path, check, initialized, library, sized, utf8
from .dataset import Dataset
from .tokenizer import Tokenizer


@dataclasses.dataclass(frozen=True)
class CorpusInfo:
    """What a corpus was made of."""

    rows: int
    tokens: int  # special tokens included
    lines: int  # not blank, and not skipped
    cut: int  # lines that gave more than one row; with an input form: sentences that were cropped
    skipped: int  # lines that are not UTF-8


def masking(
    *,
    whole_words: Optional[bool] = None,
    mask_probability: Optional[float] = None,
    mask_share: Optional[float] = None,
    random_share: Optional[float] = None,
    evaluation_seed: Optional[int] = None,
):
    """The options of masks as the library takes them; None: its default."""
    options = initialized(_abi.kluere_masked_lm_options, "kluere_masked_lm_options_init")
    assign(
        options,
        whole_words=None if whole_words is None else int(whole_words),
        mask_probability=mask_probability,
        mask_share=mask_share,
        random_share=random_share,
        evaluation_seed=evaluation_seed,
    )
    return options


class Corpus(Handle):
    """Rows of tokens with special tokens around each. Immutable; made by Corpus.read, create or from_datasets.

    max_tokens  of a row, special tokens included (128)
    rows        "lines" (default): a line is a row, or several where it is too long; "pack": lines are laid end to end,
                with the separator between documents, and cut where a row is full
    bad_lines   "stop" (default) at a line that is not UTF-8, or "skip" it
    """

    _destroy_name = "kluere_corpus_destroy"

    @classmethod
    def read(
        cls,
        paths,
        tokenizer: Tokenizer,
        *,
        max_tokens: Optional[int] = None,
        rows: Optional[str] = None,
        bad_lines: Optional[str] = None,
    ) -> "Corpus":
        """UTF-8 text files (one path or several), a paragraph a line; a blank line ends a document."""
        if isinstance(paths, (str, bytes, os.PathLike)):
            paths = [paths]
        names = [c_path(path) for path in paths]
        return cls._make(
            library().kluere_corpus_read,
            tokenizer,
            ((ctypes.c_char_p * len(names))(*names), len(names)),
            _options(max_tokens, rows, bad_lines),
        )

    @classmethod
    def create(
        cls,
        lines: Sequence[Union[str, bytes]],
        tokenizer: Tokenizer,
        *,
        max_tokens: Optional[int] = None,
        rows: Optional[str] = None,
        bad_lines: Optional[str] = None,
    ) -> "Corpus":
        """Lines in memory; a blank one ends a document."""
        if isinstance(lines, (str, bytes)):
            raise TypeError(f"lines: expected a sequence, found {type(lines).__name__}")
        raw = [line if isinstance(line, bytes) else utf8(line) for line in lines]
        return cls._make(
            library().kluere_corpus_create,
            tokenizer,
            ((ctypes.c_char_p * len(raw))(*raw), (ctypes.c_size_t * len(raw))(*map(len, raw)), len(raw)),
            _options(max_tokens, rows, bad_lines),
        )

    @classmethod
    def from_datasets(
        cls,
        datasets: Union[Dataset, Sequence[Dataset]],
        tokenizer: Tokenizer,
        *,
        max_tokens: Optional[int] = None,
        rows: Optional[str] = None,
        input_form: Optional[str] = None,
    ) -> "Corpus":
        """The sentences of datasets: task-adaptive pretraining. Labels are not looked at.

        input_form  a form of Model (KLUERE_INPUT_*): rows as a classifier sees them; None: the sentence alone
        """
        if isinstance(datasets, Dataset):
            datasets = [datasets]
        handles = (ctypes.c_void_p * len(datasets))(*[dataset._handle for dataset in datasets])
        return cls._make(
            library().kluere_corpus_from_datasets,
            tokenizer,
            (handles, len(datasets)),
            _options(max_tokens, rows, None, input_form),
        )

    @classmethod
    def _make(cls, function, tokenizer: Tokenizer, arguments: Tuple, options) -> "Corpus":
        pointer = ctypes.c_void_p()
        check(function(tokenizer._handle, *arguments, ctypes.byref(options), ctypes.byref(pointer)))
        return cls(pointer)

    @property
    def info(self) -> CorpusInfo:
        info = sized(_abi.kluere_corpus_info)
        check(library().kluere_corpus_describe(self._handle, ctypes.byref(info)))
        return CorpusInfo(**{field.name: getattr(info, field.name) for field in dataclasses.fields(CorpusInfo)})

    def __len__(self) -> int:
        return self.info.rows

    def row(self, index: int) -> Tuple[List[int], List[int]]:
        """(token ids, token types) of a row."""
        return self._two(index, lambda *out: library().kluere_corpus_row(self._handle, index, *out))

    def mask(self, index: int, *, seed: int = 42, pass_number: int = 0, **options) -> Tuple[List[int], List[int]]:
        """A masked row: (ids as they are shown, labels): the true id where one is asked for, else -100.

        Training shows these rows with its own seed and the number of passes made before; evaluations with
        evaluation_seed and 0. options: those of MaskedLMTrainer that are about masks.
        """
        chosen = masking(**options)
        return self._two(
            index,
            lambda *out: library().kluere_corpus_mask(
                self._handle, index, ctypes.byref(chosen), seed, pass_number, *out
            ),
        )

    def _two(self, index: int, call) -> Tuple[List[int], List[int]]:
        if index < 0:
            raise IndexError("row numbers must not be negative")
        count = ctypes.c_size_t()
        status = call(None, None, 0, ctypes.byref(count))
        if status != _abi.KLUERE_ERR_BUFFER_TOO_SMALL:
            check(status)
        first, second = ((ctypes.c_int32 * count.value)() for _ in range(2))
        check(call(first, second, count.value, ctypes.byref(count)))
        return list(first), list(second)

    def __repr__(self) -> str:
        if self.closed:
            return "<kluere.Corpus closed>"
        info = self.info
        return f"<kluere.Corpus {info.rows:,} rows, {info.tokens:,} tokens>"


def _options(max_tokens, rows, bad_lines, input_form=None):
    options = initialized(_abi.kluere_corpus_options, "kluere_corpus_options_init")
    assign(
        options,
        max_tokens=max_tokens,
        rows=None if rows is None else choice("rows", rows, "KLUERE_CORPUS_"),
        bad_lines=None if bad_lines is None else choice("bad_lines", bad_lines, "KLUERE_BAD_ROWS_"),
        input_form=None if input_form is None else choice("input_form", input_form, "KLUERE_INPUT_"),
    )
    return options
