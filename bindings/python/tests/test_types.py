"""Entity types: counts, type mask, pair heads and all pairs of a sentence, against NumPy, PyTorch and single predictions."""

import collections
import dataclasses
import json
import random

import pytest

import kluere
import made_up
from kluere.cli import main

numpy = pytest.importorskip("numpy")

LABELS = ["no_relation", "per:title", "org:members", "한국어 라벨", "org:alternate_names"]
TYPES = ["PER", "ORG", "DAT"]


def examples(count, seed=0, types=TYPES, longest=12):
    """Rows of few types and labels that depend on them by chance alone."""
    generator = random.Random(seed)
    rows = []
    for row in made_up.examples(count, LABELS, seed, longest):
        subject, entity = generator.choice(types), generator.choice(types)
        weights = [3] + [1 + 7 * ((len(subject + entity) + ord(subject[0]) + i) % 5 == 0) for i in range(1, 5)]
        label = generator.choices(LABELS, weights)[0]
        if subject == "DAT":
            label = "no_relation"
        rows.append(
            dataclasses.replace(
                row,
                subject=dataclasses.replace(row.subject, type=subject),
                object=dataclasses.replace(row.object, type=entity),
                label=label,
            )
        )
    return rows


def dataset(rows, context=None, labels=LABELS):
    return kluere.Dataset.create(rows, labels=labels, context=context)


@pytest.fixture
def model(tmp_path, context):
    return made_up.model(tmp_path / "tokenizer", labels=LABELS, context=context, initializer_range=0.2, seed=3)


@pytest.fixture
def train(context):
    return dataset(examples(120, seed=1), context)


def pairs_of(rows):
    return [(row.subject.type, row.object.type) for row in rows]


def counted(rows, labels):
    """{pair: counts}, by Counter."""
    found = collections.Counter((row.subject.type, row.object.type, row.label) for row in rows)
    pairs = sorted({key[:2] for key in found}, key=lambda pair: (pair[0].encode(), pair[1].encode()))
    return {pair: numpy.array([found[(*pair, label)] for label in labels], numpy.float64) for pair in pairs}


def priors(counts, smoothing):
    totals = sum(counts.values())
    share = (totals + 1) / (totals.sum() + len(totals))
    return {pair: numpy.log((n + smoothing * share) / (n.sum() + smoothing)) for pair, n in counts.items()}


def biases(rows, counts, labels, smoothing=1.0, strength=1.0, hard_count=0, keep_own=False):
    """What is added to each row's logits."""
    log_priors = priors(counts, smoothing)
    table = numpy.zeros((len(rows), len(labels)))
    for i, row in enumerate(rows):
        pair = (row.subject.type, row.object.type)
        if pair in counts:
            table[i] = strength * log_priors[pair]
            hard = counts[pair] < hard_count
            hard[labels.index("no_relation")] = False
            if keep_own:
                hard[labels.index(row.label)] = False
            table[i][hard] = -1e4
    return table


def softmax(logits):
    shifted = numpy.exp(logits - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


# ---- counts and priors


def test_counts_are_those_of_a_counter(train):
    found = train.type_counts()
    expected = counted(train, LABELS)
    assert found.labels == LABELS and found.left_out == 0
    assert list(found.pairs) == list(expected)
    assert all(found.pairs[pair] == list(expected[pair]) for pair in expected)
    assert found.allowed(("DAT", "PER")) == ["no_relation"]
    assert found.allowed(("LOC", "PER")) == LABELS


def test_rows_without_label_or_type_are_left_out(context):
    rows = examples(6)
    rows[0] = dataclasses.replace(rows[0], label=None)
    rows[1] = dataclasses.replace(rows[1], subject=dataclasses.replace(rows[1].subject, type=None))
    rows[2] = dataclasses.replace(rows[2], object=dataclasses.replace(rows[2].object, type=""))
    found = dataset(rows, context).type_counts()
    assert found.left_out == 3
    assert sum(map(sum, found.pairs.values())) == 3
    with pytest.raises(kluere.KluereError, match="none of its 1 rows"):
        dataset(rows[:1], context).type_counts()


@pytest.mark.parametrize("smoothing", [1.0, 0.01, 25.0])
def test_priors_are_numpys(model, train, smoothing):
    masked = model.with_type_mask(train, smoothing=smoothing)
    for pair, expected in priors(counted(train, LABELS), smoothing).items():
        assert masked.type_prior(*pair) == pytest.approx(expected, abs=1e-12)
    assert not masked.type_prior("LOC", "PER").any()
    assert masked.types.type_mask.smoothing == smoothing and masked.types.pair_heads is None


def test_labels_are_matched_by_name(model, train, context):
    other = kluere.Dataset.create(list(train), labels=LABELS[::-1], context=context)
    assert model.with_type_mask(other).type_prior("PER", "ORG") == pytest.approx(
        model.with_type_mask(train).type_prior("PER", "ORG"), abs=0
    )
    foreign = dataset([dataclasses.replace(row, label="x") for row in train], context, ["x"])
    with pytest.raises(kluere.KluereError, match='label "x" is none of the model'):
        model.with_type_mask(foreign)


def test_real_data(real_data, tmp_path, context):
    """Counts, priors and what a hard mask costs on the development rows, for the whole train set."""
    folder = real_data / "klue-re"
    train = kluere.Dataset.read(next(folder.glob("*train*.json")), context=context)
    dev = kluere.Dataset.read(next(folder.glob("*dev*.json")), context=context)
    labels = train.labels
    counts = counted(train, labels)
    found = train.type_counts()
    assert all(found.pairs[pair] == list(counts[pair]) for pair in counts) and len(found.pairs) == len(counts)
    masked = made_up.model(tmp_path, labels=labels, context=context).with_type_mask(train, smoothing=5.0)
    for pair, expected in priors(counts, 5.0).items():
        assert masked.type_prior(*pair) == pytest.approx(expected, abs=1e-12)
    # The share of dev's relations that a mask of this count forbids: less than a sample of the rows gives, 0.9 to 2.9 %.
    lost = {}
    for at_least in (1, 3, 5):
        allowed = {pair: set(found.allowed(pair, at_least)) for pair in counts}
        relations = [row for row in dev if row.label != "no_relation"]
        lost[at_least] = sum(row.label not in allowed.get((row.subject.type, row.object.type), labels) for row in relations)
        lost[at_least] /= len(relations)
    assert lost[1] <= lost[3] <= lost[5]
    assert lost[1] < 0.009 and lost[3] < 0.015 and lost[5] < 0.029


# ---- prediction with a mask


@pytest.mark.parametrize(
    "settings", [{}, dict(strength=0.4, smoothing=3.0), dict(hard_count=3), dict(strength=0.0, hard_count=2)]
)
def test_masked_logits_are_numpys(model, train, tmp_path, context, settings):
    rows = examples(40, seed=2, types=TYPES + ["LOC"])
    rows[3] = dataclasses.replace(rows[3], subject=dataclasses.replace(rows[3].subject, type=None))
    plain = model.predict(rows, output="logits")
    masked = model.with_type_mask(train, **settings)
    expected = plain + biases(rows, counted(train, LABELS), LABELS, **settings)
    assert masked.predict(rows, output="logits") == pytest.approx(expected, abs=2e-3 if "hard_count" in settings else 1e-5)
    probabilities = masked.predict(rows)
    assert probabilities == pytest.approx(softmax(expected), abs=1e-6)
    assert (probabilities[expected < -5000] == 0).all() and numpy.isfinite(probabilities).all()
    # The switch, and what the folder keeps.
    assert (masked.predict(rows, output="logits", type_mask="off") == plain).all()
    assert (masked.without_type_mask().predict(rows, output="logits") == plain).all()
    masked.save(tmp_path / "saved")
    opened = kluere.Model.open(tmp_path / "saved", context=context)
    assert opened.types == masked.types
    assert (opened.predict(rows) == probabilities).all()
    # Rows do not look at their neighbours.
    assert (numpy.stack([masked.predict(row) for row in rows[:9]]) == probabilities[:9]).all()


def test_settings_change_without_the_data(model, train, context):
    rows = examples(20, seed=2)
    masked = model.with_type_mask(train, smoothing=2.0)
    changed = masked.with_type_mask(strength=0.25, hard_count=2)
    assert changed.types.type_mask.smoothing == 2.0
    direct = model.with_type_mask(train, smoothing=2.0, strength=0.25, hard_count=2)
    assert changed.types == direct.types
    assert (changed.predict(rows) == direct.predict(rows)).all()
    predictor = kluere.Predictor(masked, type_mask_strength=0.25)
    assert (predictor.predict(rows) == model.with_type_mask(train, smoothing=2.0, strength=0.25).predict(rows)).all()


def test_contradictions_are_refused(model, train, tmp_path, context):
    masked = model.with_type_mask(train)
    with pytest.raises(kluere.KluereError, match="type_mask_strength.*type_mask is off"):
        kluere.Predictor(masked, type_mask="off", type_mask_strength=1.0)
    with pytest.raises(kluere.KluereError, match="type_mask_strength.*no type mask"):
        kluere.Predictor(model, type_mask_strength=1.0)
    with pytest.raises(ValueError, match="no type mask"):
        model.with_type_mask(strength=1.0)
    with pytest.raises(kluere.KluereError, match="type mask with hard_count 2 and pair heads"):
        model.with_pair_heads(train).with_type_mask(train, hard_count=2)
    with pytest.raises(kluere.KluereError, match="type mask with hard_count 2 and pair heads"):
        model.with_type_mask(train, hard_count=2).with_pair_heads(train)
    for settings in (dict(smoothing=0.0), dict(strength=-1.0), dict(strength=float("nan")), dict(smoothing=float("inf"))):
        with pytest.raises(kluere.KluereError, match=next(iter(settings))):
            model.with_type_mask(train, **settings)
    with pytest.raises(kluere.KluereError, match="hard_count: 0, expected 1"):
        model.with_pair_heads(train, hard_count=0)
    with pytest.raises(kluere.KluereError, match="min_rows"):
        model.with_pair_heads(train, min_rows=1000)
    hard = dict(hard_count=2, in_training=True)
    for start in (model.with_pair_heads(train), model.with_type_mask(train, **hard)):
        with pytest.raises(kluere.KluereError, match="label_smoothing: given, but the model's entity types"):
            kluere.Trainer(start, train, loss=kluere.Loss(label_smoothing=0.1))
        with pytest.raises(kluere.KluereError, match="soft targets: given, but the model's entity types"):
            kluere.Trainer(start, train, loss=kluere.Loss(soft_targets=numpy.full((len(train), 5), 0.2)))
        focal = kluere.Trainer(start, train, loss=kluere.Loss(kind="focal", r_drop=1.0), batch_sentences=8)
        assert numpy.isfinite(focal.step().loss)
    kluere.Trainer(model.with_type_mask(train, in_training=True), train, loss=kluere.Loss(label_smoothing=0.1))
    headless = made_up.model(tmp_path / "headless", labels=LABELS, context=context, task="masked_lm")
    with pytest.raises(kluere.KluereError, match="no classification head"):
        headless.with_type_mask(train)


def test_other_labels_leave_the_mask_out(model, train, tmp_path, context):
    model.with_type_mask(train).save(tmp_path / "saved")
    opened = kluere.Model.open(tmp_path / "saved", labels=LABELS[::-1], context=context)
    assert opened.types.type_mask is None


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda mask: mask.update(strength=-2), "strength"),
        (lambda mask: mask.update(pairs=3), "pairs"),
        (lambda mask: mask["pairs"][0].pop("counts"), "counts"),
        (lambda mask: mask["pairs"][0]["counts"].pop(), "counts"),
        (lambda mask: mask["pairs"][0]["counts"].__setitem__(0, -1), "counts"),
        (lambda mask: mask["pairs"][0]["counts"].__setitem__(0, 2**62), "counts"),
        (lambda mask: mask["pairs"].reverse(), "ascending"),
        (lambda mask: mask["pairs"][0].update(subject=""), "empty"),
    ],
)
def test_damaged_masks_are_refused(model, train, tmp_path, context, change, message):
    model.with_type_mask(train).save(tmp_path / "saved")
    path = tmp_path / "saved" / "kluere.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content["type_mask"])
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(kluere.KluereError, match=f"kluere.json: type_mask.*{message}"):
        kluere.Model.open(tmp_path / "saved", context=context)


# ---- training, against PyTorch

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(params=["bert", "roberta"])
def both(request, tmp_path, context):
    """The same model here and in transformers."""
    import test_model_parity as parity

    model = made_up.model(
        tmp_path / "tokenizer", labels=LABELS, family=request.param, context=context, initializer_range=0.2, seed=5
    )
    model.save(tmp_path / "start")
    theirs = transformers.AutoModelForSequenceClassification.from_pretrained(
        tmp_path / "start", attn_implementation="eager"
    ).eval()
    return model, theirs, lambda rows: parity.batch(model, rows, theirs.config.pad_token_id)


def gradients_agree(trainer, parameters):
    """Relative to the norm of a tensor's gradient, or to a thousandth of all where it is next to nothing."""
    whole = sum(float(g.double().square().sum()) for g in parameters.values()) ** 0.5
    for name, expected in parameters.items():
        expected = expected.double().numpy()
        difference = numpy.linalg.norm(numpy.asarray(trainer.gradients[name], numpy.float64).reshape(expected.shape) - expected)
        assert difference <= 1e-4 * max(numpy.linalg.norm(expected), 1e-3 * whole), name


STEP = dict(
    hidden_dropout=0.0, attention_dropout=0.0, classifier_dropout=0.0, batch_sentences=24, max_steps=1, max_grad_norm=0.0
)


@pytest.mark.parametrize("settings", [dict(strength=0.7), dict(hard_count=4, smoothing=0.5)])
def test_gradients_with_the_mask_in_training_are_torchs(both, train, context, settings):
    model, theirs, batch = both
    rows = examples(24, seed=4)
    # Also labels that the mask forbids: a row's own label stays.
    counts = counted(train, LABELS)
    forbidden = [row for row in rows if counts[(row.subject.type, row.object.type)][LABELS.index(row.label)] < 4]
    assert forbidden or "hard_count" not in settings
    masked = model.with_type_mask(train, in_training=True, **settings)
    trainer = kluere.Trainer(masked, dataset(rows, context), **STEP)
    info = trainer.step()
    bias = torch.tensor(biases(rows, counts, LABELS, keep_own=True, **settings), dtype=torch.float32)
    gold = torch.tensor([LABELS.index(row.label) for row in rows])
    loss = torch.nn.functional.cross_entropy(theirs(**batch(rows)).logits + bias, gold)
    loss.backward()
    assert info.loss == pytest.approx(float(loss.detach()), rel=1e-5)
    parameters = theirs.named_parameters()
    gradients_agree(trainer, {n: p.grad for n, p in parameters if p.grad is not None and n in trainer.gradients})


def test_a_mask_that_is_not_in_training_changes_no_bit_of_it(model, train, context):
    rows = dataset(examples(24, seed=4), context)
    losses = []
    for start in (model, model.with_type_mask(train, hard_count=2)):
        trainer = kluere.Trainer(start, rows, max_steps=3, batch_sentences=8, seed=1)
        losses.append([trainer.step().loss for _ in range(3)])
    assert losses[0] == losses[1]
    # Evaluation uses it as prediction does.
    measured = trainer.evaluate(rows)
    assert measured.micro_f1 == kluere.evaluate(trainer.export_model(), rows).micro_f1


def blocks(model):
    """{pair: (labels, first row of pair_heads.weight)}"""
    found, start = {}, 0
    for pair, labels in model.types.pair_heads.items():
        found[pair] = ([LABELS.index(label) for label in labels], start)
        start += len(labels)
    return found


def torch_logits(theirs, model, inputs, rows, weight, bias, keep_own):
    """The pair heads' logits from transformers' features."""
    features = {}
    last = theirs.classifier if hasattr(theirs, "bert") else theirs.classifier.out_proj
    hook = last.register_forward_hook(lambda module, arguments, output: features.update(x=arguments[0]))
    general = theirs(**inputs).logits
    hook.remove()
    places = blocks(model)
    logits = []
    for i, row in enumerate(rows):
        labels, start = places.get((row.subject.type, row.object.type), (None, 0))
        if labels is None or keep_own and LABELS.index(row.label) not in labels:
            logits.append(general[i])
            continue
        own = torch.nn.functional.linear(
            features["x"][i], weight[start : start + len(labels)], bias[start : start + len(labels)]
        )
        logits.append(torch.full((len(LABELS),), -1e4).index_put((torch.tensor(labels),), own))
    return torch.stack(logits)


@pytest.mark.parametrize("random_init", [False, True])
def test_pair_heads_are_torchs(both, train, tmp_path, context, random_init):
    model, theirs, batch = both
    rows = examples(24, seed=4, types=TYPES + ["LOC"])
    start = model.with_pair_heads(train, hard_count=4, random_init=random_init, seed=9)
    counts = counted(train, LABELS)
    for pair, labels in start.types.pair_heads.items():
        assert labels == [l for l, n in zip(LABELS, counts[pair]) if n >= 4 or l == "no_relation"]
    weight = torch.tensor(numpy.array(start.tensors["pair_heads.weight"]), requires_grad=True)
    bias = torch.tensor(numpy.array(start.tensors["pair_heads.bias"]).reshape(-1), requires_grad=True)
    if random_init:
        assert "pair_heads.weight" in start.tensors.newly_initialized
        assert 0.15 < float(weight.detach().std()) < 0.25 and not bias.any()
    else:
        general = "classifier.weight" if hasattr(theirs, "bert") else "classifier.out_proj.weight"
        whole = numpy.concatenate([model.tensors[general][labels] for labels, _ in blocks(start).values()])
        assert (weight.detach().numpy() == whole).all()
    with torch.no_grad():
        expected = torch_logits(theirs, start, batch(rows), rows, weight, bias, keep_own=False).numpy()
    found = start.predict(rows, output="logits")
    assert found == pytest.approx(expected, abs=1e-5) and (found == -1e4).sum() == (expected == -1e4).sum() > 0
    assert start.predict(rows) == pytest.approx(softmax(expected.astype(numpy.float64)), abs=1e-6)
    # Saved and opened, and back to the model of before.
    start.save(tmp_path / "saved")
    opened = kluere.Model.open(tmp_path / "saved", context=context)
    assert opened.types == start.types and (opened.predict(rows) == start.predict(rows)).all()
    assert (opened.without_pair_heads().predict(rows) == model.predict(rows)).all()
    again = transformers.AutoModelForSequenceClassification.from_pretrained(
            tmp_path / "saved", attn_implementation="eager"
        )
    with torch.no_grad():
        assert torch.equal(again.eval()(**batch(rows)).logits, theirs(**batch(rows)).logits)
    # One update's gradients.
    trainer = kluere.Trainer(start, dataset(rows, context), **STEP)
    info = trainer.step()
    gold = torch.tensor([LABELS.index(row.label) for row in rows])
    logits = torch_logits(theirs, start, batch(rows), rows, weight, bias, keep_own=True)
    loss = torch.nn.functional.cross_entropy(logits, gold)
    theirs.zero_grad()
    loss.backward()
    assert info.loss == pytest.approx(float(loss.detach()), rel=1e-5)
    gradients = {n: p.grad for n, p in theirs.named_parameters() if p.grad is not None and n in trainer.gradients}
    gradients_agree(trainer, {**gradients, "pair_heads.weight": weight.grad, "pair_heads.bias": bias.grad})


@pytest.mark.parametrize("head", ["cls_linear", "entity_start", "mention_pool", "r_bert", "report_6"])
def test_pair_heads_stand_on_any_head(tmp_path, context, train, head):
    """Copies of the last layer's rows give its logits; dropout samples that drop nothing change neither loss nor gradient."""
    model = made_up.model(
        tmp_path / "tokenizer", labels=LABELS, context=context, head=head, initializer_range=0.2, seed=3
    )
    rows = examples(16, seed=4, types=TYPES + ["LOC"])
    heads = model.with_pair_heads(train, hard_count=4).with_type_mask(train, strength=0.5, in_training=True)
    expected = model.predict(rows, output="logits") + biases(rows, counted(train, LABELS), LABELS, strength=0.5)
    places = blocks(heads)
    for row, i in zip(rows, range(len(rows))):
        labels, _ = places.get((row.subject.type, row.object.type), (range(5), 0))
        expected[i][[label for label in range(5) if label not in labels]] = -1e4
    found = heads.predict(rows, output="logits")
    assert found[expected > -1e4] == pytest.approx(expected[expected > -1e4], abs=1e-5)
    assert (found[expected == -1e4] < -9990).all()
    heads.save(tmp_path / "saved")
    assert (kluere.Model.open(tmp_path / "saved", context=context).predict(rows, output="logits") == found).all()
    # 1e-7 of 65536 rounds to no dropout at all.
    options = {**STEP, "classifier_dropout": 1e-7}
    one, three = (kluere.Trainer(heads, dataset(rows, context), multi_sample_dropout=n, **options) for n in (1, 3))
    a, b = one.step(), three.step()
    assert b.loss == pytest.approx(a.loss, rel=1e-6)
    gradients_agree(three, {name: torch.tensor(numpy.array(one.gradients[name])) for name in one.gradients})


def start_of(kind, model, train):
    if kind == "mask":
        return model.with_type_mask(train, in_training=True, hard_count=3)
    heads = model.with_pair_heads(train, hard_count=2, random_init=True)
    return heads if kind == "heads" else heads.with_type_mask(train, in_training=True, strength=0.5)


def bytes_of(model, folder):
    model.save(folder)
    return (folder / "model.safetensors").read_bytes(), (folder / "kluere.json").read_bytes()


@pytest.mark.parametrize("kind", ["mask", "heads", "heads and mask"])
def test_a_run_resumes_bit_for_bit(model, train, tmp_path, context, kind):
    options = dict(max_steps=6, batch_sentences=8, learning_rate=1e-3, seed=7, evaluate_every=3, checkpoint_every=1)
    start = start_of(kind, model, train)
    held_out = dataset(examples(16, seed=6), context)
    whole = kluere.Trainer(start, train, held_out, output_directory=tmp_path / "whole", **options)
    whole.run()
    stopped = kluere.Trainer(start, train, held_out, output_directory=tmp_path / "stopped", **options)
    assert stopped.run(callback=lambda event: event.step.step == 2) is False
    resumed = kluere.Trainer.resume(tmp_path / "stopped", train, held_out, context=kluere.Context(threads=1))
    resumed.run()
    expected = bytes_of(whole.export_model(), tmp_path / "a")
    assert bytes_of(resumed.export_model(), tmp_path / "b") == expected
    assert resumed.export_model().types == start.types
    # Smaller micro-batches: the same dropout, and gradients but for their rounding.
    split = kluere.Trainer(start, train, **{**options, "batch_sentences": 2, "accumulation": 4})
    once = kluere.Trainer(start, train, **options)
    assert split.step().loss == pytest.approx(once.step().loss, rel=1e-6)


def test_a_checkpoint_with_another_mask_is_refused(model, train, tmp_path, context):
    trainer = kluere.Trainer(model.with_type_mask(train), train, max_steps=4, batch_sentences=8)
    trainer.step()
    trainer.save_checkpoint(tmp_path / "checkpoint")
    path = tmp_path / "checkpoint" / "kluere.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["type_mask"]["strength"] = 3.0
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(kluere.KluereError, match="type mask or pair heads are not those"):
        kluere.Trainer.resume(tmp_path / "checkpoint", train, context=context)


def test_training_with_both_learns(model, context):
    """Labels that depend on the types alone are learned by the blocks."""
    rows = dataset(made_up.examples(64, LABELS, seed=3, longest=6), context)
    trainer = kluere.Trainer(
        model.with_pair_heads(rows).with_type_mask(rows, in_training=True), rows, max_steps=10, batch_sentences=16,
        learning_rate=1e-3,
    )
    losses = [info.loss for info in trainer.steps()]
    assert losses[-1] < losses[0] < 1.0
    assert kluere.evaluate(trainer.export_model(), rows).micro_f1 == 1.0


# ---- all pairs of a sentence

TEXT = "가나다 라마바는 사아자, 차카타와 파하고 노도로모보 소오조다."
WORDS = [("가나다", "PER"), ("라마바", "ORG"), ("차카타", "DAT"), ("노도로모보", "PER"), ("노도", "LOC")]


def entities():
    found = [kluere.Entity.find(TEXT, word, type) for word, type in WORDS]
    return found + [dataclasses.replace(found[0], type="ORG")]  # the span of the first once more


def single(model, entities, pair):
    return model.predict(kluere.Example(TEXT, entities[pair.subject], entities[pair.object]))


@pytest.mark.parametrize("form", [None, "levitated_marker", "typed_levitated_marker", "{sentence}", "segments"])
@pytest.mark.parametrize("kind", ["plain", "mask", "heads", "heads and mask"])
@pytest.mark.parametrize("output", ["probabilities", "logits"])
def test_pairs_are_single_predictions_bit_for_bit(tmp_path, context, model, train, kind, output, form):
    """Also where the pairs share the text, or all of their tokens, and part with it in the middle of a batch."""
    if form is not None:
        how = dict(input_form=form, head="entity_start")
        if form == "{sentence}":
            how = dict(input_template=form, head="mention_pool")
        elif form == "segments":  # the same ids, other types
            how = dict(input_template="{sentence}", head="report_6", entity_segments=True)
        model = made_up.model(tmp_path, labels=LABELS, initializer_range=0.2, context=context, **how)
    if kind != "plain":
        model = start_of(kind, model, train)
    given = entities()
    predictor = kluere.Predictor(model, output=output)
    pairs, table = predictor.predict_pair_table(TEXT, given)
    expected = [(i, j) for i in range(6) for j in range(6) if i != j and {i, j} != {0, 5}]
    assert [(pair.subject, pair.object) for pair in pairs] == expected
    assert not any(pair.pruned for pair in pairs)
    for pair, row in zip(pairs, table):
        alone = single(model, given, pair)
        assert (row == alone).all()
        best = int(numpy.argmax(alone))
        assert (pair.label, pair.probability) == (LABELS[best], alone[best])
    if form is not None:
        assert len({row.tobytes() for row in table}) > 10
        in_parts = kluere.Predictor(model, output=output, batch_tokens=30).predict_pair_table(TEXT, given)
        assert (in_parts[1] == table).all()
    shown = model.predict_pairs(TEXT, given, threshold=0.3)
    assert shown == [pair for pair in pairs if pair.label != "no_relation" and pair.probability >= numpy.float32(0.3)]


def test_pairs_are_pruned_by_their_types(model, train):
    given = entities()
    masked = model.with_type_mask(train)
    whole, table = kluere.Predictor(masked).predict_pair_table(TEXT, given)
    for prune in ("impossible", "unseen"):
        pairs, pruned_table = kluere.Predictor(masked).predict_pair_table(TEXT, given, prune=prune)
        assert len(pairs) == len(whole) == 28
        for pair, other, row, unpruned in zip(pairs, whole, pruned_table, table):
            types = given[pair.subject].type, given[pair.object].type
            gone = types[0] == "DAT" and types[1] in TYPES or prune == "unseen" and "LOC" in types
            assert pair.pruned == gone
            if gone:
                assert (pair.label, pair.probability) == ("no_relation", 1.0) and row.tolist() == [1, 0, 0, 0, 0]
            else:
                assert pair == other and (row == unpruned).all()
    heads = kluere.Predictor(model.with_pair_heads(train)).predict_pair_table(TEXT, given, prune="impossible")[0]
    assert [pair.pruned for pair in heads] == [
        given[pair.subject].type == "DAT" and given[pair.object].type in TYPES for pair in heads
    ]
    with pytest.raises(kluere.KluereError, match="neither a type mask nor pair heads"):
        model.predict_pairs(TEXT, given, prune="unseen")


def test_few_entities_and_bad_ones(model):
    assert model.predict_pairs(TEXT, []) == []
    assert model.predict_pairs(TEXT, entities()[:1]) == []
    with pytest.raises(kluere.KluereError, match=r"entities\[1\]"):
        model.predict_pairs(TEXT, [(0, 3), (4, 400)])
    with pytest.raises(kluere.KluereError, match=r"entities\[0\].*empty"):
        model.predict_pairs(TEXT, [(3, 3)])
    with pytest.raises(kluere.KluereError, match="max_pairs is 5"):
        kluere.Predictor(model).predict_pairs(TEXT, entities(), max_pairs=5)


# ---- command line


def test_command_line(model, train, tmp_path, context, capsys):
    made_up.write_klue_json(tmp_path / "train.json", list(train))
    common = ["--labels", "custom", "--quiet"]
    assert main(["types", str(tmp_path / "train.json"), "--check", str(tmp_path / "train.json"), *common]) == 0
    text = capsys.readouterr().out
    assert "PER-ORG" in text and "labels left" in text
    assert main(["types", str(tmp_path / "train.json"), "--json", *common]) == 0
    assert json.loads(capsys.readouterr().out)["left_out"] == 0
    model.save(tmp_path / "plain")
    arguments = ["--model", str(tmp_path / "plain"), "-o", str(tmp_path / "masked"), "--mask-hard-count", "2"]
    assert main(["types", str(tmp_path / "train.json"), *arguments, *common]) == 0
    capsys.readouterr()
    masked = kluere.Model.open(tmp_path / "masked", context=context)
    assert masked.types == model.with_type_mask(train, hard_count=2).types
    line = {
        "id": "one",
        "sentence": TEXT,
        "entities": [{"start_idx": e.begin, "end_idx": e.end - 1, "type": e.type} for e in entities()],
    }
    (tmp_path / "pairs.jsonl").write_text(json.dumps(line, ensure_ascii=False) + "\n\n", encoding="utf-8")
    predict = ["predict", str(tmp_path / "masked"), "--pairs", str(tmp_path / "pairs.jsonl"), "--prune", "unseen"]
    assert main([*predict, "--all-pairs"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["id"] == "one" and len(found["relations"]) == 28
    expected = masked.predict_pairs(TEXT, entities(), only_relations=False, prune="unseen")
    assert [row["probability"] for row in found["relations"]] == [pair.probability for pair in expected]
    assert found["relations"][0]["object_word"] == "라마바"
    (tmp_path / "pairs.jsonl").write_text('{"sentence": 3}\n', encoding="utf-8")
    assert main(predict) == 1
    assert "pairs.jsonl:1" in capsys.readouterr().err
    train_arguments = ["train", str(tmp_path / "train.json"), "--model", str(tmp_path / "plain"), "--max-steps", "1"]
    train_arguments += ["-o", str(tmp_path / "out"), "--quiet", "--type-mask", "training", "--pair-heads"]
    assert main(train_arguments) == 0
    trained = kluere.Model.open(tmp_path / "out" / "model", context=context).types
    assert trained.type_mask.in_training and trained.pair_heads
    with pytest.raises(SystemExit):
        main([*train_arguments[:-3], "--mask-strength", "2"])
