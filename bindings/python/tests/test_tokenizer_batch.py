"""Many texts in one call give what they give one by one, whatever the number of threads."""

import pytest

import kluere
import made_up
from tokenizer_texts import clean


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    return kluere.Tokenizer(made_up.write_tokenizer(tmp_path_factory.mktemp("tokenizer")))


@pytest.fixture(scope="module", params=[1, 2, 4])
def threads(request):
    with kluere.Context(threads=request.param) as context:
        yield context


def one_by_one(tokenizer, texts, pairs=None, **options):
    rows = [tokenizer.encode(*row, **options) for row in zip(texts, *([pairs] if pairs else []))]
    return [(row.ids, row.offsets) for row in rows], [t for row in rows for t in row.type_ids]


@pytest.mark.parametrize("options", [{}, {"add_special": False}, {"allow_special": True}, {"truncate": True, "max_tokens": 7}])
def test_a_batch_is_its_rows(tokenizer, threads, nasty_strings, options):
    texts = clean(nasty_strings) + ["가는 나의 " * 700, ""]
    expected, types = one_by_one(tokenizer, texts, **options)
    found = tokenizer.encode_batch(texts, context=threads, **options)
    assert len(found) == len(texts)
    assert [found[row] for row in range(len(texts))] == expected
    assert list(found.type_ids) == types
    assert found[-1] == expected[-1]
    with pytest.raises(IndexError):
        found[len(texts)]


def test_pairs(tokenizer, threads, nasty_strings):
    texts = clean(nasty_strings)
    expected, types = one_by_one(tokenizer, texts, texts[::-1])
    found = tokenizer.encode_batch(texts, texts[::-1], context=threads)
    assert [found[row] for row in range(len(texts))] == expected
    assert list(found.type_ids) == types
    with pytest.raises(ValueError, match="2 texts and 1 pairs"):
        tokenizer.encode_batch(["가", "나"], ["다"])


def test_more_tokens_than_expected(tokenizer):
    texts = ["!" * 500, "?!" * 300]  # a token for each byte
    expected, _ = one_by_one(tokenizer, texts)
    found = tokenizer.encode_batch(texts)
    assert [found[0], found[1]] == expected


def test_a_sequence_that_is_wrong_about_its_length(tokenizer):
    class Odd(list):
        def __len__(self):
            return 1000

    texts = ["가는 나", "가 나는"]
    assert len(tokenizer.encode_batch(Odd(texts))) == 2
    with pytest.raises(ValueError, match="2 texts and 1 pairs"):
        tokenizer.encode_batch(texts, Odd(["가"]))


def test_nothing(tokenizer):
    found = tokenizer.encode_batch([])
    assert len(found) == 0 and len(found.ids) == 0


def test_a_surrogate_is_refused_with_its_row(tokenizer):
    with pytest.raises(kluere.InvalidArgument, match=r"texts\[1\]: byte 3"):
        tokenizer.encode_batch(["가", "나\ud800"])


def test_real_sentences(real_data, threads):
    from tokenizer_texts import real_texts

    texts = real_texts(real_data, every=101)
    for name in ("klue-roberta", "sentencepiece-ke-t5"):
        tokenizer = kluere.Tokenizer(real_data / "tokenizers" / name)
        expected, _ = one_by_one(tokenizer, texts)
        found = tokenizer.encode_batch(texts, context=threads)
        assert [found[row] for row in range(len(texts))] == expected
