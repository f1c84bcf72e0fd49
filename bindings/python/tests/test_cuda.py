"""The CUDA backend, whole: the same models on the GPU and on the CPU, whose results are compared with transformers elsewhere.

Without a GPU the stand-in driver runs every kernel's own source (gpu.py); on a machine with one: KLUERE_TEST_DEVICE=cuda.
"""

import concurrent.futures
import os
import subprocess
import sys

import pytest

import gpu
import kluere
import made_up

numpy = pytest.importorskip("numpy")

SHAPES = {
    "width 8": dict(hidden_size=24, head_count=3, layer_count=2, intermediate_size=50),
    "width 7": dict(hidden_size=21, head_count=3, layer_count=1, intermediate_size=33),
    "width 64": dict(hidden_size=128, head_count=2, layer_count=2, intermediate_size=256),
}
FAMILIES = ["bert", "roberta", "electra"]
# Words of a sentence: the stand-in computes a thousand times slower than a GPU.
LONGEST = 40 if gpu.REAL else 6


@pytest.fixture(scope="module")
def cuda(tmp_path_factory):
    os.environ.setdefault("KLUERE_CACHE", str(tmp_path_factory.mktemp("kernels")))
    context = gpu.context(log_level=2)
    yield context
    if not gpu.REAL:
        assert gpu.StandIn().violations() == ""


def pair(folder, cuda, family="roberta", shape="width 8", **config):
    """A model with random weights on the CPU, and the same one on the GPU."""
    sizes = dict(SHAPES[shape], **config)
    if family == "electra":
        sizes["embedding_size"] = 16
    on_cpu = made_up.model(folder / "tokenizer", family=family, initializer_range=0.2, seed=5, **sizes)
    on_cpu.save(folder / "model")
    return on_cpu, kluere.Model.open(folder / "model", task=sizes.get("task", "classification"), context=cuda)


def close(found, expected, tolerance):
    found, expected = numpy.asarray(found, numpy.float64), numpy.asarray(expected, numpy.float64)
    difference = numpy.linalg.norm(found - expected)
    assert difference <= tolerance * max(numpy.linalg.norm(expected), 1e-12), difference / numpy.linalg.norm(expected)


def trainers(models, rows, **options):
    options = dict(dict(batch_sentences=4, max_steps=40, learning_rate=1e-3, seed=3), **options)
    return [kluere.Trainer(model, rows, **options) for model in models]


def test_context_names_the_device(cuda):
    assert cuda.device == "cuda:0"
    assert cuda.device_name and cuda.instruction_set.startswith("sm_")
    cuda.selftest()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("shape", SHAPES)
def test_predictions_are_those_of_the_cpu(tmp_path, cuda, family, shape):
    on_cpu, on_gpu = pair(tmp_path, cuda, family, shape)
    rows = made_up.dataset(3, longest=LONGEST)
    for _ in range(3):  # plain, recorded, replayed
        close(on_gpu.predict(rows, output="logits"), on_cpu.predict(rows, output="logits"), 1e-5)
        close(on_gpu.predict(rows[:1]), on_cpu.predict(rows[:1]), 1e-5)


@pytest.mark.parametrize("weights", ["int8", "float16"])
def test_folders_of_few_bits_predict_in_float32(tmp_path, cuda, weights):
    on_cpu, on_gpu = pair(tmp_path, cuda)
    kluere.quantize(on_cpu, weights).save(tmp_path / "small")
    rows = made_up.dataset(3, longest=LONGEST)
    expected = kluere.Predictor(kluere.Model.open(tmp_path / "small"), output="logits", weights="float32").predict(rows)
    small = kluere.Model.open(tmp_path / "small", context=cuda)
    close(small.predict(rows, output="logits"), expected, 1e-5)
    for refused in (lambda: kluere.Predictor(small, weights=weights), lambda: kluere.quantize(on_gpu, weights)):
        with pytest.raises(kluere.KluereError, match="CPU"):
            refused()


def test_a_row_does_not_depend_on_the_rows_beside_it(tmp_path, cuda):
    _, on_gpu = pair(tmp_path, cuda)
    rows = made_up.dataset(5, longest=LONGEST)
    close(numpy.vstack([on_gpu.predict(rows[i : i + 1]) for i in range(5)]), on_gpu.predict(rows), 1e-6)


def test_many_threads_predict_with_one_model(tmp_path, cuda):
    _, on_gpu = pair(tmp_path, cuda)
    rows = made_up.dataset(4, longest=LONGEST)
    expected = numpy.asarray(on_gpu.predict(rows))
    predictors = [kluere.Predictor(on_gpu) for _ in range(4)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda predictor: [predictor.predict(rows) for _ in range(4)], predictors):
            for table in found:
                assert numpy.array_equal(table, expected)


def test_a_queue_merges_requests_and_own_threads_are_refused(tmp_path, cuda):
    on_cpu, on_gpu = pair(tmp_path, cuda)
    rows = list(made_up.dataset(4, longest=LONGEST))
    with kluere.Queue(on_gpu, max_delay_us=60_000_000, max_batch_rows=4) as queue:
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            found = numpy.stack(list(pool.map(queue.predict, rows)))
        assert queue.stats().batches == 1
    close(found, on_cpu.predict(rows), 1e-4)
    for make in (kluere.Queue, kluere.Predictor):
        with pytest.raises(kluere.KluereError, match="threads: 1 on .*a GPU computes one batch at a time") as raised:
            make(on_gpu, threads=1)
        assert raised.value.status_name == "KLUERE_ERR_UNSUPPORTED"


def test_hidden_states_and_masked_lm_logits_are_those_of_the_cpu(tmp_path, cuda):
    on_cpu, on_gpu = pair(tmp_path, cuda, task="masked_lm")
    ids = [[0, 30, 31, 32, 2], [0, 40, 4, 2]]
    found, expected = (kluere.Predictor(model) for model in (on_gpu, on_cpu))
    for a, b in zip(found.hidden_states(ids), expected.hidden_states(ids)):
        close(a, b, 1e-5)
    close(found.mask_logits(ids, [1, 7]), expected.mask_logits(ids, [1, 7]), 1e-5)
    close(found.embed(ids), expected.embed(ids), 1e-5)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_with_dropout_are_those_of_the_cpu(tmp_path, cuda, family, shape):
    """The masks are the same bits on both, so that even this can be compared."""
    models = pair(tmp_path, cuda, family, shape, hidden_dropout=0.2, attention_dropout=0.3, classifier_dropout=0.1)
    rows = made_up.dataset(4, longest=LONGEST)
    cpu, on_gpu = trainers(models, rows, learning_rate=0.0)
    a, b = cpu.step(), on_gpu.step()
    assert b.loss == pytest.approx(a.loss, rel=1e-5) and b.grad_norm == pytest.approx(a.grad_norm, rel=1e-4)
    norm = numpy.sqrt(sum(float(numpy.square(numpy.float64(g)).sum()) for g in cpu.gradients.values()))
    for name, expected in cpu.gradients.items():
        difference = numpy.linalg.norm(numpy.float64(on_gpu.gradients[name]) - numpy.float64(expected))
        assert difference <= 1e-4 * max(numpy.linalg.norm(numpy.float64(expected)), 1e-3 * norm), name


@pytest.mark.parametrize("kind", ["mask", "heads and mask"])
def test_entity_types_do_what_they_do_on_the_cpu(tmp_path, cuda, kind):
    models = pair(tmp_path, cuda, hidden_dropout=0.0, attention_dropout=0.0, classifier_dropout=0.0)
    rows = made_up.dataset(6, longest=LONGEST)
    if kind == "heads and mask":
        models = [model.with_pair_heads(rows[:4]).with_type_mask(rows[:4], in_training=True) for model in models]
    else:
        models = [model.with_type_mask(rows[:4], hard_count=1, in_training=True) for model in models]
    for _ in range(3):  # plain, recorded, replayed
        found, expected = models[1].predict(rows), models[0].predict(rows)
        close(found, expected, 1e-5)
        assert ((found == 0) == (expected == 0)).all()
    close(models[1].predict(rows, type_mask="off"), models[0].predict(rows, type_mask="off"), 1e-5)
    cpu, on_gpu = trainers(models, rows, learning_rate=0.0)
    assert on_gpu.step().loss == pytest.approx(cpu.step().loss, rel=1e-5)
    for name, expected in cpu.gradients.items():
        if numpy.linalg.norm(expected) > 1e-6:
            close(on_gpu.gradients[name], expected, 1e-3)


LOSSES = {
    "everything": dict(
        kind="focal", class_weights="sqrt", weighted_mean=True, label_smoothing=0.1, r_drop=2.0, temperature=2.0,
        soft_targets=[[0.7, 0.2, 0.1, 0.0], [0.0, 1.0, 0.0, 0.0], [0.25] * 4, [0.1, 0.1, 0.1, 0.7]],
    ),
    "margins": dict(kind="ldam", class_weights="effective"),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses_are_those_of_the_cpu(tmp_path, cuda, name):
    models = pair(tmp_path, cuda, hidden_dropout=0.2, attention_dropout=0.3, classifier_dropout=0.1)
    rows = made_up.dataset(4, longest=LONGEST)
    cpu, on_gpu = trainers(models, rows, learning_rate=0.0, loss=kluere.Loss(**LOSSES[name]))
    a, b = cpu.step(), on_gpu.step()
    assert b.loss == pytest.approx(a.loss, rel=1e-5) and b.grad_norm == pytest.approx(a.grad_norm, rel=1e-4)
    close(on_gpu.gradients["classifier.out_proj.weight"], cpu.gradients["classifier.out_proj.weight"], 1e-4)
    on_gpu.save_checkpoint(tmp_path / "checkpoint")
    resumed = kluere.Trainer.resume(tmp_path / "checkpoint", rows, context=cuda)
    assert resumed.step().loss == on_gpu.step().loss


@pytest.mark.parametrize("head", ["cls_linear", "cls_entity_start", "mention_pool", "r_bert", "report_6"])
def test_heads_are_those_of_the_cpu(tmp_path, cuda, head):
    """Odd widths, several dropout masks; the recorded passes of prediction, with more rows than sentences."""
    on_cpu, on_gpu = models = pair(
        tmp_path, cuda, "bert", "width 7", head=head, classifier_dropout=0.2, entity_segments=True
    )
    rows = made_up.dataset(3, longest=LONGEST)
    for _ in range(3):  # plain, recorded, replayed
        close(on_gpu.predict(rows, output="logits"), on_cpu.predict(rows, output="logits"), 1e-5)
    cpu, gpus = trainers(models, rows, learning_rate=1e-3, multi_sample_dropout=3)
    for _ in range(2):
        a, b = cpu.step(), gpus.step()
        assert b.loss == pytest.approx(a.loss, rel=1e-5) and b.grad_norm == pytest.approx(a.grad_norm, rel=1e-4)
    close(*(numpy.concatenate([numpy.ravel(t.gradients[name]) for name in cpu.gradients]) for t in (gpus, cpu)), 1e-4)
    half = kluere.Trainer(on_gpu, rows, max_steps=1, batch_sentences=4, seed=3, precision="bfloat16", multi_sample_dropout=3)
    one = kluere.Trainer(on_cpu, rows, max_steps=1, batch_sentences=4, seed=3, multi_sample_dropout=3)
    assert half.step().loss == pytest.approx(one.step().loss, rel=3e-2)


@pytest.mark.parametrize("shape", SHAPES)
def test_markers_beside_the_text_are_those_of_the_cpu(tmp_path, cuda, shape):
    """Rows that share a text, in recorded passes and in 16 bits; gradients with dropout, where none does."""
    on_cpu, on_gpu = models = pair(
        tmp_path, cuda, "bert", shape, input_form="typed_levitated_marker", head="cls_entity_start", hidden_dropout=0.2,
        attention_dropout=0.3,
    )
    text, spans = "가나 다라마, 바사 아자.", [(0, 2, "PER"), (3, 6, "ORG"), (8, 10, "DAT")]
    pairs = [kluere.Example(text, a, b) for a in spans for b in spans if a is not b]
    rows = pairs[:4] + [made_up.examples(1, ["no_relation"], longest=LONGEST)[0]] + pairs[4:]
    expected = on_cpu.predict(rows, output="logits")
    for _ in range(3):  # plain, recorded, replayed
        close(on_gpu.predict(rows, output="logits"), expected, 1e-5)
    close(numpy.vstack([on_gpu.predict(rows[i : i + 1], output="logits") for i in range(7)]), expected, 1e-5)
    close(on_gpu.predict(rows, output="logits", precision="bfloat16"), expected, 3e-2)
    cpu, gpus = trainers(models, made_up.dataset(4, longest=LONGEST), learning_rate=0.0)
    assert gpus.step().loss == pytest.approx(cpu.step().loss, rel=1e-5)
    close(*(numpy.concatenate([numpy.ravel(t.gradients[name]) for name in cpu.gradients]) for t in (gpus, cpu)), 1e-4)


def test_a_single_layer_computes_the_rows_that_are_read(tmp_path, cuda):
    """The only layer is the top one, and its input comes from a projection; in 16 bits it is gathered and rounded again."""
    options = dict(layer_count=1, head="entity_start", hidden_dropout=0.2, attention_dropout=0.3, classifier_dropout=0.1)
    on_cpu, on_gpu = models = pair(tmp_path, cuda, "electra", "width 64", **options)
    rows = made_up.dataset(4, longest=LONGEST)
    expected = on_cpu.predict(rows, output="logits")
    for _ in range(3):  # plain, recorded, replayed
        close(on_gpu.predict(rows, output="logits"), expected, 1e-5)
    close(on_gpu.predict(rows, output="logits", precision="bfloat16"), expected, 3e-2)
    cpu, gpus = trainers(models, rows, learning_rate=0.0, checkpoint_activations=True)
    assert gpus.step().loss == pytest.approx(cpu.step().loss, rel=1e-5)
    close(*(numpy.concatenate([numpy.ravel(t.gradients[name]) for name in cpu.gradients]) for t in (gpus, cpu)), 1e-4)
    half = kluere.Trainer(on_gpu, rows, max_steps=1, batch_sentences=4, seed=3, precision="bfloat16")
    half.step()
    close(*(numpy.concatenate([numpy.ravel(t.gradients[name]) for name in cpu.gradients]) for t in (half, cpu)), 5e-2)


def test_thirty_updates_follow_the_cpu(tmp_path, cuda):
    models = pair(tmp_path, cuda)
    cpu, on_gpu = trainers(models, made_up.dataset(20, longest=LONGEST))
    for _ in range(30):
        assert on_gpu.step().loss == pytest.approx(cpu.step().loss, rel=1e-4)
    assert on_gpu.export_model().predict(made_up.dataset(5)) == pytest.approx(
        cpu.export_model().predict(made_up.dataset(5)), abs=1e-4
    )


EXTRAS = {
    "depth, ema": dict(
        layer_decay=0.8, head_learning_rate_factor=2.0, freeze_embeddings=True, freeze_layers=1, ema_decay=0.8,
        optimizer="adamw_hf", checkpoint_activations=True,
    ),
    "frozen layer, swa": dict(freeze_layers=1, swa_start=0.25, schedule="cosine_with_restarts"),
}


@pytest.mark.parametrize("family, options", [("roberta", "depth, ema"), ("electra", "frozen layer, swa")])
def test_training_extras_follow_the_cpu(tmp_path, cuda, family, options):
    models = pair(tmp_path, cuda, family)
    rows = made_up.dataset(20, longest=LONGEST)
    cpu, on_gpu = trainers(models, rows, max_steps=12, **EXTRAS[options])
    for number in range(12):
        a, b = cpu.step(), on_gpu.step()
        assert b.loss == pytest.approx(a.loss, rel=1e-4) and b.grad_norm == pytest.approx(a.grad_norm, rel=1e-3)
        if number == 6:
            on_gpu.save_checkpoint(tmp_path / "checkpoint")
            on_gpu = kluere.Trainer.resume(tmp_path / "checkpoint", rows, context=cuda)
    a, b = cpu.export_model(), on_gpu.export_model()
    for name in a.tensors:
        if not name.endswith("attention.self.key.bias"):  # its gradient is rounding alone
            close(b.tensors[name], a.tensors[name], 1e-3)
    assert on_gpu.evaluate(rows).loss == pytest.approx(cpu.evaluate(rows).loss, rel=1e-4)


def test_an_update_that_float16_skips_enters_no_average(tmp_path, cuda):
    torch = pytest.importorskip("torch")
    # Weights so large that the first loss scale is too large for one of the gradients.
    model = made_up.model(tmp_path / "tokenizer", context=cuda, initializer_range=0.5, seed=5)
    rows = made_up.dataset(12, longest=6, context=cuda)
    options = dict(max_steps=6, batch_sentences=1, precision="float16", warmup_ratio=0.0, schedule="constant")
    averaging, plain = (trainers([model], rows, **options, **extra)[0] for extra in (dict(ema_decay=0.5), {}))
    average, skipped = None, 0
    for a, b in zip(averaging.steps(), plain.steps()):
        assert (a.loss, a.skipped) == (b.loss, b.skipped)
        skipped += a.skipped
        weights = {name: torch.tensor(numpy.array(value)) for name, value in plain.export_model().tensors.items()}
        if not a.skipped:
            average = weights if average is None else {n: torch.lerp(average[n], w, 0.5) for n, w in weights.items()}
        found = averaging.export_model().tensors
        for name, expected in (average or weights).items():
            assert numpy.abs(numpy.array(found[name]) - expected.numpy()).max() <= 1e-6, name
    assert 0 < skipped < 6
    of_the_average = kluere.evaluate(averaging.export_model(), rows, precision="float16").loss
    assert averaging.evaluate(rows).loss == pytest.approx(of_the_average, abs=1e-4)


def test_the_same_run_gives_the_same_bits_and_resumes_with_them(tmp_path, cuda):
    _, model = pair(tmp_path, cuda)
    rows = made_up.dataset(20, longest=LONGEST)
    first, second = trainers([model, model], rows)
    for _ in range(6):
        assert first.step().loss == second.step().loss
    second.save_checkpoint(tmp_path / "checkpoint")
    second = kluere.Trainer.resume(tmp_path / "checkpoint", rows, context=cuda)
    for _ in range(4):
        assert first.step().loss == second.step().loss
    a, b = first.export_model().tensors, second.export_model().tensors
    assert all(numpy.array_equal(a[name], b[name]) for name in a)


def test_micro_batches_change_nothing_but_rounding(tmp_path, cuda):
    _, model = pair(tmp_path, cuda)
    rows = made_up.dataset(8, longest=LONGEST)
    (whole,) = trainers([model], rows, batch_sentences=4)
    (parts,) = trainers([model], rows, batch_sentences=2, accumulation=2)
    for _ in range(4):
        assert parts.step().loss == pytest.approx(whole.step().loss, rel=1e-5)


@pytest.mark.parametrize("family", ["bert", "electra"])
def test_masked_lm_training_follows_the_cpu(tmp_path, cuda, family):
    models = pair(tmp_path, cuda, family, task="masked_lm", hidden_dropout=0.2, attention_dropout=0.1)
    text = [example.text for example in made_up.dataset(12, longest=LONGEST)]
    corpus = kluere.Corpus.create(text, models[0].tokenizer)
    options = dict(max_steps=3, batch_sentences=6, learning_rate=1e-3, seed=3, mask_probability=0.4)
    cpu, on_gpu = (kluere.MaskedLMTrainer(model, corpus, **options) for model in models)
    for number in range(3):
        a, b = cpu.step(), on_gpu.step()
        assert b.loss == pytest.approx(a.loss, rel=1e-4) and b.grad_norm == pytest.approx(a.grad_norm, rel=1e-3)
        if number == 0:
            for name, expected in cpu.gradients.items():
                if not name.endswith("key.bias"):
                    close(on_gpu.gradients[name], expected, 1e-4)
    found, expected = on_gpu.evaluate(corpus), cpu.evaluate(corpus)
    assert found.loss == pytest.approx(expected.loss, rel=1e-4) and found.tokens == expected.tokens


@pytest.mark.parametrize("precision", ["tf32", "bfloat16", "float16"])
@pytest.mark.parametrize("shape", SHAPES)
def test_other_precisions_stay_near_fp32(tmp_path, cuda, precision, shape):
    on_cpu, on_gpu = pair(tmp_path, cuda, shape=shape)
    rows = made_up.dataset(6, longest=LONGEST)
    tolerance = 3e-2 if precision == "bfloat16" else 4e-3
    for _ in range(3):
        close(on_gpu.predict(rows, output="logits", precision=precision), on_cpu.predict(rows, output="logits"), tolerance)
    exact = kluere.Trainer(on_cpu, rows, max_steps=10, batch_sentences=4, seed=3)
    reduced = kluere.Trainer(on_gpu, rows, max_steps=10, batch_sentences=4, seed=3, precision=precision)
    a, b = exact.step(), reduced.step()
    assert b.loss == pytest.approx(a.loss, rel=tolerance)
    flat = [numpy.concatenate([numpy.ravel(t.gradients[name]) for name in exact.gradients]) for t in (reduced, exact)]
    close(flat[0], flat[1], 2 * tolerance)
    for _ in range(9):
        a, b = exact.step(), reduced.step()
        if b.skipped:  # the loss scale was too large: from here on the two runs differ by an update
            break
        assert b.loss == pytest.approx(a.loss, rel=5 * tolerance)


def test_half_precision_is_as_near_to_float64_as_autocast(tmp_path, cuda):
    """Issue's bound: no farther from a float64 reference than 1.2 times PyTorch's autocast."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    _, on_gpu = pair(tmp_path, cuda, shape="width 64", layer_count=4)
    rows = made_up.dataset(8, longest=LONGEST)
    inputs = [on_gpu.encode(example).ids for example in rows]
    reference = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "model").eval()

    def logits(model, autocast):
        out = []
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            for ids in inputs:
                out.append(model(input_ids=torch.tensor([ids])).logits[0].double().numpy())
        return numpy.array(out)

    exact = logits(reference.double(), False)
    autocast = numpy.linalg.norm(logits(reference.float(), True) - exact)
    ours = numpy.linalg.norm(numpy.float64(on_gpu.predict(rows, output="logits", precision="bfloat16")) - exact)
    assert ours <= 1.2 * autocast, (ours, autocast, numpy.linalg.norm(exact))


def test_the_loss_scale_of_float16_adapts_itself(tmp_path, cuda):
    _, model = pair(tmp_path, cuda)
    trainer = kluere.Trainer(
        model, made_up.dataset(12, longest=LONGEST), max_steps=12, batch_sentences=2, learning_rate=1e-3, precision="float16"
    )
    infos = list(trainer.steps())
    assert infos[0].loss_scale == 65536
    for before, after in zip(infos, infos[1:]):
        assert after.loss_scale == (before.loss_scale / 2 if before.skipped else before.loss_scale)
    assert not infos[-1].skipped and numpy.isfinite(infos[-1].grad_norm)


def test_a_precision_that_the_device_lacks_is_refused(tmp_path, cuda):
    on_cpu, _ = pair(tmp_path, cuda)
    with pytest.raises(kluere.KluereError, match="bfloat16 on CPU"):
        kluere.Predictor(on_cpu, precision="bfloat16")
    with pytest.raises(kluere.KluereError, match="float16 on CPU"):
        kluere.Trainer(on_cpu, made_up.dataset(8), precision="float16")


# ---- what goes wrong: with the stand-in alone, which can be told to fail

standin = pytest.mark.skipif(bool(gpu.REAL), reason="a real driver does not fail on demand")


@pytest.fixture
def driver(cuda):
    steered = gpu.StandIn()
    yield steered
    steered.clear()
    steered.set("memory", 1 << 34)


@standin
def test_out_of_memory_says_sizes_or_splits_the_batch(tmp_path, cuda, driver):
    _, model = pair(tmp_path, cuda, hidden_size=48)
    rows = made_up.dataset(6, longest=LONGEST)
    (whole,) = trainers([model], rows, batch_sentences=6, max_steps=2, hidden_dropout=0.0)
    losses = [whole.step().loss for _ in range(2)]
    del whole
    (refused,) = trainers([model], rows, batch_sentences=6, max_steps=2, hidden_dropout=0.0)
    (split,) = trainers(
        [model], rows, batch_sentences=6, max_steps=2, hidden_dropout=0.0, split_on_out_of_memory=True
    )
    for call in (refused, split):
        # The first large block, the activations, is not to be had.
        driver.fail("cuMemAlloc_v2", 1, 2)
        if call is refused:
            with pytest.raises(kluere.KluereError, match="activations: [0-9]+ elements.*(free|bytes)") as raised:
                call.step()
            assert raised.value.status_name == "KLUERE_ERR_OUT_OF_MEMORY"
            assert call.step().loss == pytest.approx(losses[0], rel=1e-5)  # the trainer is as before
        else:
            assert [call.step().loss for _ in range(2)] == pytest.approx(losses, rel=1e-4)


@standin
def test_a_device_lost_in_a_run_leaves_the_checkpoint(tmp_path):
    """In a process of its own: a lost context stays lost."""
    script = f"""
import sys
sys.path[:0] = {[str(gpu.REPOSITORY / "bindings/python"), str(gpu.REPOSITORY / "bindings/python/tests")]!r}
import gpu, kluere, made_up
context = gpu.context()
model = made_up.model({str(tmp_path / "tokenizer")!r}, context=context)
rows = made_up.dataset(20, longest=6, context=context)
trainer = kluere.Trainer(
    model, rows, batch_sentences=2, max_steps=20, checkpoint_every=3, output_directory={str(tmp_path / "run")!r}
)
driver = gpu.StandIn()

def lose(event):
    if event.kind == "step" and event.step.step == 7:
        driver.fail("cuLaunchKernel", 5, 700)

try:
    trainer.run(lose)
    sys.exit("the run went on")
except kluere.KluereError as problem:
    assert problem.status_name == "KLUERE_ERR_DEVICE", problem
    print(problem)
for call in (trainer.step, lambda: model.predict(rows), context.selftest):
    try:
        call()
        sys.exit("a lost device computed")
    except kluere.KluereError as problem:
        assert problem.status_name in ("KLUERE_ERR_DEVICE", "KLUERE_ERR_STATE"), problem
print("resumed at", kluere.Trainer.resume({str(tmp_path / "run")!r}, made_up.dataset(20, longest=6)).step().step)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "resumed at 7" in done.stdout  # checkpoint-last is of update 6


def test_without_a_driver_the_message_names_what_was_looked_for(tmp_path):
    """In a process of its own, so that no driver is loaded yet."""
    script = f"""
import sys
sys.path[:0] = {[str(gpu.REPOSITORY / "bindings/python")]!r}
import kluere
assert kluere.Context(device="auto").device in ("cpu", "cuda:0")
try:
    print(kluere.Context(device="cuda:63"))
except kluere.KluereError as problem:
    print(problem.status_name, problem)
"""
    environment = dict(os.environ, KLUERE_CUDA_LIBRARIES=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert "KLUERE_ERR_UNSUPPORTED" in done.stdout
    if not gpu.REAL:
        assert "libcuda.so.1" in done.stdout and str(tmp_path) in done.stdout
