"""What one feature has to know of another: heads, losses, entity types, decoding, averages, recipes."""

import numpy
import pytest

import kluere
import made_up

LABELS = ["no_relation", "per:title", "org:members", "한국어 라벨"]


@pytest.fixture(scope="module")
def rows():
    return made_up.dataset(24, LABELS, longest=10)


def model(folder, **config):
    return made_up.model(folder, LABELS, **{"seed": 5, **config})


def train(start, rows, steps=3, **options):
    trainer = kluere.Trainer(start, rows, batch_sentences=6, max_steps=steps, learning_rate=1e-3, **options)
    while not trainer.step().done:
        pass
    return trainer


def everything(rows):
    return dict(
        loss=kluere.Loss("focal", class_weights="sqrt", r_drop=1.0), multi_sample_dropout=2, layer_decay=0.8, ema_decay=0.9,
        checkpoint_activations=True, freeze_embeddings=True, precision="float32",
    )


def test_everything_at_once_resumes_bit_for_bit(tmp_path, rows):
    start = model(tmp_path / "t", head="r_bert", classifier_dropout=0.2, entity_segments=False)
    start = start.with_pair_heads(rows).with_type_mask(rows, in_training=True)
    whole = train(start, rows, 4, **everything(rows))
    half = kluere.Trainer(start, rows, batch_sentences=6, max_steps=4, learning_rate=1e-3, **everything(rows))
    half.step(), half.step()
    half.save_checkpoint(tmp_path / "checkpoint")
    again = kluere.Trainer.resume(tmp_path / "checkpoint", rows)
    while not again.step().done:
        pass
    one, other = whole.export_model(), again.export_model()
    for name in one.tensors:
        assert numpy.array_equal(numpy.asarray(one.tensors[name]), numpy.asarray(other.tensors[name])), name
    assert numpy.array_equal(one.predict(rows), other.predict(rows))


def test_the_split_into_micro_batches_changes_nothing_but_rounding(tmp_path, rows):
    start = model(tmp_path / "t", head="cls_entity_start", classifier_dropout=0.2).with_type_mask(rows, in_training=True)
    found = []
    for sentences, accumulation in ((6, 1), (2, 3)):
        trainer = kluere.Trainer(
            start, rows, batch_sentences=sentences, accumulation=accumulation, max_steps=1, **everything(rows)
        )
        info = trainer.step()
        found.append((info.loss, info.grad_norm))
    assert found[0] == pytest.approx(found[1], rel=1e-5)


def test_a_run_without_soft_targets_writes_over_one_with_them(tmp_path, rows):
    start = model(tmp_path / "t")
    targets = numpy.full((len(rows), len(LABELS)), 1 / len(LABELS), "float32")
    train(start, rows, loss=kluere.Loss(soft_targets=targets)).save_checkpoint(tmp_path / "checkpoint")
    assert (tmp_path / "checkpoint" / "soft_targets.safetensors").exists()
    train(start, rows).save_checkpoint(tmp_path / "checkpoint")
    assert not (tmp_path / "checkpoint" / "soft_targets.safetensors").exists()
    kluere.Trainer.resume(tmp_path / "checkpoint", rows)


def test_a_loss_for_masked_lm_training_is_refused(tmp_path):
    start = model(tmp_path / "t", task="masked_lm")
    corpus = kluere.Corpus.create(["가나다 라마바"] * 4, start.tokenizer)
    with pytest.raises(kluere.KluereError, match="loss: given with masked-LM training"):
        kluere.MaskedLMTrainer(start, corpus, loss=kluere.Loss(r_drop=1.0))
    with pytest.raises(kluere.KluereError, match="multi_sample_dropout"):
        kluere.MaskedLMTrainer(start, corpus, multi_sample_dropout=2)


@pytest.fixture(scope="module")
def decoded(tmp_path_factory, rows):
    """With a type mask, and a decoding fitted to its logits."""
    masked = model(tmp_path_factory.mktemp("decoded")).with_type_mask(rows)
    decoding = kluere.Decoding.create(len(LABELS), temperature=3.0, class_weights=[1.0, 2.0, 1.0, 0.5])
    return masked.with_decoding(decoding)


def softmax(logits):
    e = numpy.exp(numpy.float64(logits) - numpy.max(logits, axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def test_a_decoding_is_for_the_logits_that_it_was_fitted_to(decoded, rows):
    logits = decoded.predict(rows, output="logits")
    assert numpy.allclose(decoded.predict(rows), decoded.decoding.apply(logits), atol=1e-6)
    plain = decoded.predict(rows, output="logits", type_mask="off")
    assert numpy.allclose(decoded.predict(rows, type_mask="off"), softmax(plain), atol=1e-6)
    weaker = kluere.Predictor(decoded, type_mask_strength=0.5)
    raw = kluere.Predictor(decoded, type_mask_strength=0.5, output="logits")
    assert numpy.allclose(weaker.predict(rows), softmax(raw.predict(rows)), atol=1e-6)
    ids = [decoded.encode(rows[0]).ids]
    scores = kluere.Predictor(decoded, output="logits").classify(ids)
    assert numpy.allclose(kluere.Predictor(decoded).classify(ids), softmax(numpy.asarray(scores)), atol=1e-6)


def test_a_decoding_goes_when_the_logits_change(decoded, rows, tmp_path):
    assert decoded.with_type_mask(strength=2.0).decoding is None
    assert decoded.without_type_mask().decoding is None
    assert decoded.with_pair_heads(rows).decoding is None
    plain = decoded.without_type_mask().with_decoding(decoded.decoding)
    assert plain.without_type_mask().decoding is not None  # nothing has changed
    assert train(decoded, rows, 1).export_model().decoding is None
    decoded.save(tmp_path / "model")
    assert kluere.Model.open(tmp_path / "model").decoding is not None
    assert kluere.Model.open(tmp_path / "model", head="entity_start").decoding is None


def test_pair_heads_without_their_weights_are_left_out(tmp_path, rows):
    start = model(tmp_path / "t").with_pair_heads(rows)
    start.save(tmp_path / "heads")
    assert kluere.Model.open(tmp_path / "heads").types.pair_heads is not None
    assert kluere.Model.open(tmp_path / "heads", head="entity_start").types.pair_heads is None
    kluere.Model.open(tmp_path / "heads", task="masked_lm").save(tmp_path / "encoder")
    again = kluere.Model.open(tmp_path / "encoder")
    assert again.types.pair_heads is None and again.predict(rows).shape == (24, 4)


def test_pruning_goes_by_the_predictors_types(tmp_path, rows):
    masked = model(tmp_path / "t").with_type_mask(rows)
    text, entities = "가나다 라마바 사자차", [(0, 3, "PER"), (4, 7, None), (8, 11, "no such type")]
    found = kluere.Predictor(masked).predict_pair_table(text, entities, prune="unseen")[0]
    pruned = {(pair.subject, pair.object) for pair in found if pair.pruned}
    assert pruned == {(0, 2), (2, 0)}  # entities without a type are not of an unseen one
    with pytest.raises(kluere.KluereError, match="neither a type mask nor pair heads"):
        kluere.Predictor(masked, type_mask="off").predict_pair_table(text, entities, prune="unseen")
    with pytest.raises(kluere.KluereError, match="max_pairs: .*expected at most 1048576"):
        kluere.Predictor(masked).predict_pair_table(text, entities, max_pairs=1 << 40)


def test_a_pipeline_names_the_member_that_is_wrong_and_spares_those_without_a_mask(tmp_path, rows):
    plain = model(tmp_path / "t")
    members = [kluere.PipelineMember(plain), kluere.PipelineMember(plain.with_type_mask(rows))]
    with kluere.Pipeline.create(members) as pipeline:
        assert pipeline.predict(rows).shape == (24, 4)


def test_r_drops_lengths_are_told(tmp_path, rows):
    longest = max(len(model(tmp_path / "t").encode(row).ids) for row in rows)
    with pytest.raises(kluere.KluereError, match="counted 2 times"):
        kluere.Trainer(model(tmp_path / "t"), rows, batch_tokens=longest, loss=kluere.Loss(r_drop=1.0))
