"""WordPiece and unigram tokenizers, as Hugging Face's tokenizers and the sentencepiece library run them."""

from __future__ import annotations

import ctypes
import dataclasses
import struct
from typing import List, Optional, Sequence, Tuple

from . import _abi
from ._arrays import block, flat
from ._handle import Handle
from ._library import assign, c_path, c_string, c_strings, check, initialized, library, utf8
from .context import Context, default_context

_TOKEN = struct.Struct("@iiNNii")
assert _TOKEN.size == ctypes.sizeof(_abi.kluere_token)


@dataclasses.dataclass(frozen=True)
class Encoding:
    """Tokens of one input, as parallel lists.

    offsets    (begin, end) of each token in the text it came from, in code points: text[begin:end]; (0, 0) for tokens
               that were added
    sequences  0 = text, 1 = pair, -1 = added special token
    words      number of the pre-token in its text, -1 for added special tokens
    """

    ids: List[int]
    type_ids: List[int]
    offsets: List[Tuple[int, int]]
    sequences: List[int]
    words: List[int]

    def __len__(self) -> int:
        return len(self.ids)


@dataclasses.dataclass(frozen=True)
class BatchEncoding:
    """Tokens of many inputs, end to end in flat arrays (NumPy's where it is importable, else array.array).

    ids         int32
    type_ids    int32
    offsets     uint32, begin and end of each token in turn, in code points of the text it came from; 0, 0 for tokens that
                were added
    row_splits  the tokens of input i are row_splits[i] to row_splits[i + 1]
    """

    ids: Sequence[int]
    type_ids: Sequence[int]
    offsets: Sequence[int]
    row_splits: Sequence[int]

    def __len__(self) -> int:
        return len(self.row_splits) - 1

    def __getitem__(self, index: int) -> Tuple[List[int], List[Tuple[int, int]]]:
        """Ids and offsets of one input, as lists."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"input {index} of {len(self)}")
        index %= len(self)
        begin, end = int(self.row_splits[index]), int(self.row_splits[index + 1])
        places = self.offsets[2 * begin : 2 * end].tolist()
        return self.ids[begin:end].tolist(), list(zip(places[::2], places[1::2]))


def encoding(tokens, count: int) -> Encoding:
    """The Encoding of the first count entries of a ctypes array of kluere_token."""
    if count == 0:
        return Encoding([], [], [], [], [])
    raw = memoryview(tokens).cast("B")[: count * _TOKEN.size]
    ids, types, begins, ends, sequences, words = zip(*_TOKEN.iter_unpack(raw))
    return Encoding(list(ids), list(types), list(zip(begins, ends)), list(sequences), list(words))


def _encode_options(add_special: bool, allow_special: bool, truncate: bool, max_tokens: int):
    options = initialized(_abi.kluere_encode_options, "kluere_encode_options_init")
    flags = (
        add_special * _abi.KLUERE_ENCODE_ADD_SPECIAL
        | allow_special * _abi.KLUERE_ENCODE_ALLOW_SPECIAL
        | truncate * _abi.KLUERE_ENCODE_TRUNCATE
    )
    assign(options, flags=flags, max_tokens=max_tokens, offset_unit=_abi.KLUERE_OFFSETS_CODE_POINTS)
    return options


def _text_arrays(texts: Sequence[str]):
    """Their bytes, and the arrays of pointers and lengths into them."""
    raw = [utf8(text) for text in texts]
    return raw, (ctypes.c_char_p * len(raw))(*raw), (ctypes.c_size_t * len(raw))(*map(len, raw))


class Tokenizer(Handle):
    """Vocabulary and rules. Immutable: any number of threads may use one.

    path                  a folder with tokenizer.json, a SentencePiece model or vocab.txt (the first that is there, with
                          tokenizer_config.json, special_tokens_map.json, added_tokens.json where present), or one of
                          these files
    added_special_tokens  new ones get the next free ids
    """

    _destroy_name = "kluere_tokenizer_destroy"

    def __init__(self, path, *, added_special_tokens: Sequence[str] = (), context: Optional[Context] = None) -> None:
        options = initialized(_abi.kluere_tokenizer_options, "kluere_tokenizer_options_init")
        if added_special_tokens:
            options.added_special_tokens, options.added_special_token_count = c_strings(
                added_special_tokens, "added_special_tokens"
            )
        pointer = ctypes.c_void_p()
        handle = (context or default_context())._handle
        check(library().kluere_tokenizer_open(handle, c_path(path), ctypes.byref(options), ctypes.byref(pointer)))
        super().__init__(pointer)

    @classmethod
    def _adopt(cls, pointer: ctypes.c_void_p) -> "Tokenizer":
        tokenizer = cls.__new__(cls)
        Handle.__init__(tokenizer, pointer)
        return tokenizer

    def __len__(self) -> int:
        """Tokens in the vocabulary, added ones included."""
        return library().kluere_tokenizer_vocabulary_size(self._handle)

    def token(self, id: int) -> Optional[str]:
        """The token with this id, None if there is none."""
        if not -(2**31) <= id < 2**31:
            return None
        token = library().kluere_tokenizer_token(self._handle, id)
        return None if token is None else token.decode("utf-8")

    def id(self, token: str) -> Optional[int]:
        """The id of a token, None if there is none."""
        number = library().kluere_tokenizer_id(self._handle, c_string(token, "token"))
        return None if number < 0 else number

    def __contains__(self, token: str) -> bool:
        return self.id(token) is not None

    def encode(
        self,
        text: str,
        pair: Optional[str] = None,
        *,
        add_special: bool = True,
        allow_special: bool = False,
        truncate: bool = False,
        max_tokens: int = 0,
    ) -> Encoding:
        """Tokens of a text, or of a text and its pair.

        add_special    [CLS] text [SEP] or [CLS] text [SEP] pair [SEP]
        allow_special  "[SEP]" in the text becomes that token, as in Hugging Face; unsafe for the text of users
        truncate       to max_tokens (0: the tokenizer's model_max_length), longest first, as Hugging Face splits it
        """
        options = _encode_options(add_special, allow_special, truncate, max_tokens)
        raw = utf8(text)
        raw_pair = None if pair is None else utf8(pair)
        capacity = len(raw) + len(raw_pair or b"") + 3
        count = ctypes.c_size_t()
        while True:
            tokens = (_abi.kluere_token * capacity)()
            status = library().kluere_tokenizer_encode(
                self._handle,
                raw,
                len(raw),
                raw_pair,
                len(raw_pair or b""),
                ctypes.byref(options),
                tokens,
                capacity,
                ctypes.byref(count),
            )
            if status != _abi.KLUERE_ERR_BUFFER_TOO_SMALL or count.value <= capacity:
                break
            capacity = count.value
        check(status)
        return encoding(tokens, count.value)

    def encode_batch(
        self,
        texts: Sequence[str],
        pairs: Optional[Sequence[str]] = None,
        *,
        add_special: bool = True,
        allow_special: bool = False,
        truncate: bool = False,
        max_tokens: int = 0,
        context: Optional[Context] = None,
    ) -> BatchEncoding:
        """Tokens of many texts, or of texts and their pairs, in one call on the context's threads. Options as in encode."""
        options = _encode_options(add_special, allow_special, truncate, max_tokens)
        raw, pointers, lengths = _text_arrays(texts)
        raw_pairs, pair_pointers, pair_lengths = ([], None, None) if pairs is None else _text_arrays(pairs)
        count = len(raw)  # what C reads, whatever the sequence said of itself
        if pairs is not None and len(raw_pairs) != count:
            raise ValueError(f"{count} texts and {len(raw_pairs)} pairs")
        # Rarely more than a token for two bytes: then a second call knows the number.
        capacity = (sum(map(len, raw)) + sum(map(len, raw_pairs))) // 2 + 4 * count
        splits, splits_out = block("Q", count + 1)
        while True:
            ids, ids_out = block("i", capacity)
            types, types_out = block("i", capacity)
            offsets, offsets_out = block("I", 2 * capacity)
            status = library().kluere_tokenizer_encode_batch(
                (context or default_context())._handle,
                self._handle,
                pointers,
                lengths,
                pair_pointers,
                pair_lengths,
                count,
                ctypes.byref(options),
                ids_out,
                types_out,
                offsets_out,
                capacity,
                splits_out,
            )
            total = int(splits[count])
            if status != _abi.KLUERE_ERR_BUFFER_TOO_SMALL or total <= capacity:
                break
            capacity = total
        check(status)
        return BatchEncoding(ids[:total], types[:total], offsets[: 2 * total], splits)

    def decode(self, ids: Sequence[int], *, skip_special: bool = False, clean_up: bool = False) -> str:
        """The text of token ids.

        skip_special  leaves [CLS], [SEP] and the like out
        clean_up      takes the space before punctuation away, as transformers' decode() does by default
        """
        container, pointer, _ = flat(ids, "i")
        flags = skip_special * _abi.KLUERE_DECODE_SKIP_SPECIAL | clean_up * _abi.KLUERE_DECODE_CLEAN_UP
        needed = ctypes.c_size_t()
        capacity = 16 * len(pointer) + 64
        while True:
            buffer = ctypes.create_string_buffer(capacity)
            status = library().kluere_tokenizer_decode(
                self._handle, pointer, len(pointer), flags, buffer, capacity, ctypes.byref(needed)
            )
            if status != _abi.KLUERE_ERR_BUFFER_TOO_SMALL or needed.value <= capacity:
                break
            capacity = needed.value
        check(status)
        return buffer.raw[: needed.value - 1].decode("utf-8")

    def __repr__(self) -> str:
        return "<kluere.Tokenizer closed>" if self.closed else f"<kluere.Tokenizer of {len(self)} tokens>"
