"""Relation heads against a reference written here from their formulas, on encoders of transformers: logits, every gradient,
updates, folders. Weights are random and biases are not 0; sentences are made up."""

import functools
import json
import math

import pytest

import kluere
import made_up

numpy = pytest.importorskip("numpy")
torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

LABELS = ["no_relation", "per:title", "org:members", "한국어 라벨", "org:alternate_names"]
HEADS = [
    "cls", "cls_linear", "entity_start", "entity_start_gelu", "entity_start_linear", "cls_entity_start", "mention_pool",
    "r_bert", "report_4", "report_6",
]
# Markers, a mask in place of the entity, a prompt before a sentence without markers, that sentence alone.
PROMPT = "{subject}, {object} [SEP] {sentence}"
FORMS = [
    dict(input_form="typed_marker_punct"), dict(input_form="entity_mask"), dict(input_template=PROMPT),
    dict(input_template="{sentence}"),
]
OFF = dict(hidden_dropout=0, attention_dropout=0, classifier_dropout=0)
linear = torch.nn.functional.linear


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Reference(torch.nn.Module):
    """An encoder of transformers with one of the heads on it; its parameters bear our names."""

    def __init__(self, folder, ours):
        super().__init__()
        config = ours.config
        self.head, self.family = config.head, config.family
        kind = {"bert": transformers.BertModel, "roberta": transformers.RobertaModel}[config.family]
        self.body = kind.from_pretrained(folder, add_pooling_layer=False, attn_implementation="eager").double().eval()
        self.weights = {}
        for name, value in ours.tensors.items():
            if not name.startswith(f"{config.family}.") or ".pooler." in name:
                self.weights[name] = torch.nn.Parameter(torch.tensor(numpy.asarray(value), dtype=torch.float64))

    def named(self):
        """Every parameter by the name that it has in our folder."""
        return {**{f"{self.family}.{name}": p for name, p in self.body.named_parameters()}, **self.weights}

    def layer(self, name, x):
        return linear(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])

    def pooled(self, cls):
        return torch.tanh(self.layer(f"{self.family}.pooler.dense", cls))

    def features(self, h, places, drop):
        """What the output layer reads of one sentence's states [tokens, hidden]. drop(site, x): the inner dropouts."""
        def start(entity):
            return h[entity.marker_begin]

        def span(entity):
            return h[entity.begin : entity.end]

        def whole(entity):
            return h[entity.marker_begin : entity.marker_end]

        dense = functools.partial(self.layer, "relation_head.dense")
        relu, gelu = torch.relu, torch.nn.functional.gelu
        cls, s, o = h[0], places.subject, places.object
        starts = torch.cat([start(s), start(o)])
        if self.head == "cls" and self.family == "bert":
            x = self.pooled(cls)
        elif self.head == "cls":
            x = torch.tanh(self.layer("classifier.dense", drop(1, cls)))
        elif self.head == "cls_linear":
            x = dense(cls)
        elif self.head == "entity_start":
            x = relu(dense(starts))
        elif self.head == "entity_start_gelu":
            x = gelu(dense(starts))
        elif self.head == "entity_start_linear":
            x = dense(starts)
        elif self.head == "cls_entity_start":
            x = relu(dense(torch.cat([cls, starts])))
        elif self.head == "mention_pool":
            x = dense(torch.cat([span(s).max(0).values, span(o).max(0).values]))
        elif self.head == "r_bert":
            entity = functools.partial(self.layer, "relation_head.entity")
            x = torch.cat(
                [
                    self.layer("relation_head.cls", torch.tanh(drop(16, self.pooled(cls)))),
                    entity(torch.tanh(drop(17, whole(s).mean(0)))),
                    entity(torch.tanh(drop(18, whole(o).mean(0)))),
                ]
            )
        elif self.head == "report_4":
            x = gelu(dense(torch.cat([self.pooled(cls), starts])))
        else:
            u = drop(16, relu(dense(starts)))
            x = relu(dense(torch.cat([u, cls])))
        return x

    def beside(self, count, places):
        """Mask and positions of markers beside the text, of which one closes an entity and the others open it."""
        text = places.text_count
        mask = torch.zeros(1, 1, count, count, dtype=torch.float64)
        mask[..., :text, text:] = float("-inf")
        positions = list(range(text))
        for entity in (places.subject, places.object):
            positions += [entity.begin] * (entity.marker_end - entity.marker_begin - 1) + [entity.end - 1]
        first = {"bert": 0, "roberta": self.body.config.pad_token_id + 1}[self.family]
        return dict(attention_mask=mask, position_ids=torch.tensor([positions]) + first)

    def output(self, x):
        bert = {"bert": "classifier", "roberta": "classifier.out_proj"}[self.family]
        return self.layer(bert if self.head == "cls" else "relation_head.output", x)

    def forward(self, ours, examples, drop=lambda site, x: x, sites=(0,)):
        """Logits [sites, sentences, labels]; without masks [sentences, labels]."""
        rows = []
        for example in examples:
            encoding = ours.encode(example)
            inputs = dict(
                input_ids=torch.tensor([encoding.ids]), token_type_ids=torch.tensor([encoding.type_ids])
            )
            places = ours.input_places(example)
            if places.text_count < len(encoding):
                inputs.update(self.beside(len(encoding), places))
            h = self.body(**inputs).last_hidden_state[0]
            x = self.features(h, places, drop)
            rows.append(torch.stack([self.output(drop(site, x)) for site in sites]))
        logits = torch.stack(rows, 1)
        return logits if len(sites) > 1 else logits[0]


def pair(folder, head, family, context, **shape):
    """A model of ours in a folder, opened again after its biases and norms were made random, and the reference."""
    shape = {**dict(hidden_size=21, head_count=3, layer_count=2, intermediate_size=33), **shape}
    made = made_up.model(
        folder / "tokenizer", labels=LABELS, family=family, head=head, initializer_range=0.15, seed=3, context=context,
        **shape,
    )
    made.save(folder / "made")
    safetensors = pytest.importorskip("safetensors.numpy")
    tensors = safetensors.load_file(folder / "made" / "model.safetensors")
    generator = numpy.random.default_rng(4)
    for name, value in tensors.items():
        if value.ndim == 1:
            tensors[name] = (value + 0.2 * generator.standard_normal(value.shape)).astype(numpy.float32)
    safetensors.save_file(tensors, folder / "made" / "model.safetensors", metadata={"format": "pt"})
    ours = kluere.Model.open(folder / "made", context=context)
    assert ours.config.head == head and not ours.tensors.newly_initialized and not ours.unused_tensors
    return ours, Reference(folder / "made", ours)


def relative(ours, theirs):
    theirs = numpy.asarray(theirs)
    return numpy.abs(numpy.asarray(ours) - theirs).max() / max(numpy.abs(theirs).max(), 1e-12)


CASES = [(head, family, FORMS[(i + 2 * j) % 4]) for i, head in enumerate(HEADS) for j, family in enumerate(["bert", "roberta"])]


@pytest.mark.parametrize("head,family,form", CASES, ids=[f"{h} {f} {next(iter(x.values()))[:12]}" for h, f, x in CASES])
def test_logits_and_every_gradient(tmp_path, context, head, family, form):
    segments = head in ("mention_pool", "report_6")
    ours, theirs = pair(tmp_path, head, family, context, entity_segments=segments, **form)
    examples = made_up.examples(10, LABELS, seed=1, longest=15)
    expected = theirs(ours, examples)
    assert relative(ours.predict(examples, output="logits"), expected.detach().numpy()) < 1e-5
    alone = numpy.stack([ours.predict(example, output="logits") for example in examples])
    assert numpy.array_equal(alone, ours.predict(examples, output="logits"))

    dataset = kluere.Dataset.create(examples, labels=LABELS, context=context)
    options = dict(batch_sentences=5, accumulation=2, max_steps=1, learning_rate=1e-12, max_grad_norm=0, **OFF)
    trainer = kluere.Trainer(ours, dataset, **options)
    info = trainer.step()
    loss = torch.nn.functional.cross_entropy(expected, torch.tensor([LABELS.index(e.label) for e in examples]))
    loss.backward()
    assert info.loss == pytest.approx(loss.item(), rel=1e-5)
    gradients = {name: parameter.grad for name, parameter in theirs.named().items()}
    assert set(trainer.gradients) == set(gradients)
    for name, found in trainer.gradients.items():
        reference = gradients[name]
        if name.endswith("attention.self.key.bias"):
            # One vector added to every key changes no softmax: this gradient is 0 but for rounding.
            scale = gradients[name.replace("key.bias", "key.weight")].abs().max().item()
            assert numpy.abs(found).max() < 1e-4 * scale, name
        else:
            assert relative(found, reference.numpy()) < 1e-4, name
    norm = math.sqrt(sum((reference**2).sum().item() for reference in gradients.values()))
    assert info.grad_norm == pytest.approx(norm, rel=1e-4)


LEVITATED = [
    ("entity_start", "bert", dict(input_form="levitated_marker")),
    ("r_bert", "roberta", dict(input_form="typed_levitated_marker")),
    ("report_4", "roberta", dict(input_form="levitated_marker")),
    ("report_6", "bert", dict(input_template="{sentence}{levitated_markers:typed_marker_punct}")),
    ("cls_entity_start", "roberta", dict(input_template="{subject}[SEP]{sentence}{levitated_markers:entity_marker_punct}")),
]


@pytest.mark.parametrize("head,family,form", LEVITATED, ids=[f"{h} {f} {next(iter(x.values()))}" for h, f, x in LEVITATED])
def test_markers_beside_the_text(tmp_path, context, head, family, form):
    """Against transformers with a mask of attention and positions that are made here."""
    test_logits_and_every_gradient(tmp_path, context, head, family, form)


def test_a_run_with_markers_beside_the_text_goes_on_and_comes_back(tmp_path, context):
    model = made_up.model(
        tmp_path / "tokenizer", labels=LABELS, input_form="typed_levitated_marker", head="entity_start", context=context
    )
    rows = kluere.Dataset.create(made_up.examples(24, LABELS, seed=5, longest=9), labels=LABELS, context=context)
    options = dict(batch_sentences=6, accumulation=2, learning_rate=1e-3, max_steps=6, hidden_dropout=0.2, seed=9)
    whole = kluere.Trainer(model, rows, **options)
    losses = [whole.step().loss for _ in range(6)]
    half = kluere.Trainer(model, rows, **options)
    assert [half.step().loss for _ in range(3)] == losses[:3]
    half.save_checkpoint(tmp_path / "half")
    again = kluere.Trainer.resume(tmp_path / "half", rows, context=context)
    assert [again.step().loss for _ in range(3)] == losses[3:]
    trained = again.export_model()
    trained.save(tmp_path / "out")
    opened = kluere.Model.open(tmp_path / "out", context=context)
    assert opened.config.input_form == "typed_levitated_marker" and not opened.tensors.newly_initialized
    examples = made_up.examples(5, LABELS, seed=6)
    assert (opened.predict(examples) == whole.export_model().predict(examples)).all()
    with pytest.raises(kluere.KluereError, match="head: cls with the input form typed_levitated_marker"):
        kluere.Model.open(tmp_path / "out", head="cls", context=context)
    with pytest.raises(kluere.KluereError, match="input_form: levitated_marker, expected none or a form"):
        kluere.Corpus.from_datasets(rows, model.tokenizer, input_form="levitated_marker")


@pytest.mark.parametrize("head", ["cls", "cls_linear", "mention_pool"])
def test_a_text_that_sees_no_markers_needs_a_head_that_does(tmp_path, context, head):
    with pytest.raises(kluere.KluereError, match=f"head: {head} with the input form levitated_marker"):
        made_up.model(tmp_path, head=head, input_form="levitated_marker", context=context)


def test_twenty_updates(tmp_path, context):
    ours, theirs = pair(tmp_path, "r_bert", "bert", context, input_form="entity_marker")
    examples = made_up.examples(8, LABELS, seed=2, longest=8)
    dataset = kluere.Dataset.create(examples, labels=LABELS, context=context)
    trainer = kluere.Trainer(
        ours, dataset, batch_sentences=8, max_steps=20, warmup_steps=3, learning_rate=2e-3, weight_decay=0.05,
        max_grad_norm=0.5, **OFF,
    )
    named = theirs.named()
    decayed = [p for p in named.values() if p.ndim == 2]
    plain = [p for p in named.values() if p.ndim == 1]
    optimizer = torch.optim.AdamW(
        [dict(params=decayed, weight_decay=0.05), dict(params=plain, weight_decay=0)], lr=2e-3
    )
    schedule = transformers.get_linear_schedule_with_warmup(optimizer, 3, 20)
    targets = torch.tensor([LABELS.index(example.label) for example in examples])
    losses = []
    for info in trainer.steps():
        loss = torch.nn.functional.cross_entropy(theirs(ours, examples), targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(list(named.values()), 0.5)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        assert info.loss == pytest.approx(loss.item(), rel=1e-4), info.step
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize("head", ["entity_start", "r_bert", "report_6"])
def test_saved_opened_and_resumed_bit_for_bit(tmp_path, context, head):
    model = made_up.model(tmp_path / "tokenizer", head=head, context=context)
    rows = made_up.dataset(24, longest=12, context=context)
    options = dict(max_steps=8, batch_sentences=5, seed=6, multi_sample_dropout=3, learning_rate=1e-3)
    whole = kluere.Trainer(model, rows, **options)
    first = [whole.step().loss for _ in range(8)]
    stopped = kluere.Trainer(model, rows, **options)
    losses = [stopped.step().loss for _ in range(3)]
    stopped.save_checkpoint(tmp_path / "checkpoint")
    stopped.close()
    resumed = kluere.Trainer.resume(tmp_path / "checkpoint", rows, context=context)
    losses += [resumed.step().loss for _ in range(5)]
    assert losses == first
    trained, again = whole.export_model(), resumed.export_model()
    assert all(numpy.array_equal(trained.tensors[name], again.tensors[name]) for name in trained.tensors)
    trained.save(tmp_path / "model")
    opened = kluere.Model.open(tmp_path / "model", context=context)
    assert opened.config.head == head and json.loads((tmp_path / "model" / "kluere.json").read_text())["head"] == head
    assert numpy.array_equal(opened.predict(rows), trained.predict(rows))


def test_the_threads_and_the_cut_into_batches_change_no_bit_of_dropout(tmp_path):
    rows, found = made_up.examples(12, LABELS, seed=7, longest=20), []
    for threads, batch in ((1, 12), (3, 12), (2, 4)):
        context = kluere.Context(threads=threads)
        model = made_up.model(tmp_path / "tokenizer", labels=LABELS, head="r_bert", context=context)
        dataset = kluere.Dataset.create(rows, labels=LABELS, context=context)
        trainer = kluere.Trainer(
            model, dataset, batch_sentences=batch, accumulation=12 // batch, max_steps=1, multi_sample_dropout=4
        )
        found.append((trainer.step().loss, trainer.gradients))
    for (loss, gradients), exact in zip(found[1:], (True, False)):
        assert loss == pytest.approx(found[0][0], rel=0 if exact else 1e-6)
        for name, value in found[0][1].items():
            if exact:
                assert numpy.array_equal(gradients[name], value), name
            elif not name.endswith("key.bias"):
                assert relative(gradients[name], value) < 1e-4, name


def test_another_head_is_new_and_the_encoder_stays(tmp_path, context):
    model = made_up.model(tmp_path / "tokenizer", family="bert", head="entity_start", context=context)
    model.save(tmp_path / "model")
    # The same names and shapes, another meaning.
    other = kluere.Model.open(tmp_path / "model", head="mention_pool", seed=9, context=context)
    assert set(other.tensors.newly_initialized) == {
        f"relation_head.{layer}.{part}" for layer in ("dense", "output") for part in ("weight", "bias")
    }
    assert not numpy.array_equal(
        other.tensors["relation_head.dense.weight"], model.tensors["relation_head.dense.weight"]
    )
    assert not numpy.asarray(other.tensors["relation_head.dense.bias"]).any()
    assert 0.01 < numpy.asarray(other.tensors["relation_head.dense.weight"]).std() < 0.03
    # A pooler that the folder has not got is new too; transformers' own head is one more.
    fourth = kluere.Model.open(tmp_path / "model", head="report_4", context=context)
    assert "bert.pooler.dense.weight" in fourth.tensors.newly_initialized
    fourth.save(tmp_path / "fourth")
    plain = kluere.Model.open(tmp_path / "fourth", head="cls", context=context)
    assert set(plain.tensors.newly_initialized) == {"classifier.weight", "classifier.bias"}
    name = "bert.encoder.layer.1.output.dense.weight"
    assert numpy.array_equal(plain.tensors[name], model.tensors[name])
    # transformers opens the encoder, pooler and all.
    theirs = transformers.AutoModel.from_pretrained(tmp_path / "fourth").state_dict()
    assert numpy.array_equal(theirs["encoder.layer.1.output.dense.weight"].numpy(), model.tensors[name])
    assert numpy.array_equal(theirs["pooler.dense.weight"].numpy(), fourth.tensors["bert.pooler.dense.weight"])
    vectors = kluere.Predictor(fourth).embed([[2, 30, 31, 3]], pooling="pooler")
    with torch.no_grad():
        expected = transformers.AutoModel.from_pretrained(tmp_path / "fourth")(torch.tensor([[2, 30, 31, 3]]))
    assert relative(vectors, expected.pooler_output.numpy()) < 1e-5


@pytest.mark.parametrize("head", ["report_4", "entity_start_gelu"])
def test_the_folders_of_the_reports_team(tmp_path, context, head):
    """encoder.*, classifier.0.* and classifier.3.*, as its PreTrainedModel with a Sequential saves them."""
    safetensors = pytest.importorskip("safetensors.numpy")
    ours = made_up.model(tmp_path / "tokenizer", head=head, context=context)
    ours.save(tmp_path / "model")
    file = tmp_path / "model" / "model.safetensors"
    new = {"relation_head.dense.": "classifier.0.", "relation_head.output.": "classifier.3.", "roberta.": "encoder."}
    renamed = {}
    for name, value in safetensors.load_file(file).items():
        old = next(prefix for prefix in new if name.startswith(prefix))
        renamed[new[old] + name[len(old) :]] = value
    safetensors.save_file(renamed, file)
    (tmp_path / "model" / "kluere.json").unlink()
    again = kluere.Model.open(tmp_path / "model", head=head, context=context)
    assert not again.tensors.newly_initialized and not again.unused_tensors
    rows = made_up.dataset(5, context=context)
    assert numpy.array_equal(again.predict(rows), ours.predict(rows))


def test_entity_segments(tmp_path, context):
    model = made_up.model(tmp_path / "tokenizer", labels=LABELS, input_form="entity_marker", context=context)
    model.save(tmp_path / "model")
    old = numpy.asarray(model.tensors["roberta.embeddings.token_type_embeddings.weight"])
    for form in ({}, dict(input_template=PROMPT), dict(input_form="entity_pair")):
        grown = kluere.Model.open(tmp_path / "model", entity_segments=True, context=context, **form)
        table = numpy.asarray(grown.tensors["roberta.embeddings.token_type_embeddings.weight"])
        assert table.shape == (3, 24) and numpy.abs(table - old).max() < 1e-6  # RoBERTa has one type: their mean
        for example in made_up.examples(5, LABELS, seed=8):
            types, places = grown.encode(example).type_ids, grown.input_places(example)
            expected = [0] * len(types)
            for entity, number in ((places.object, 2), (places.subject, 1)):
                expected[entity.begin : entity.end] = [number] * (entity.end - entity.begin)
            assert types == expected, form
            assert {0, 1, 2} == set(types)
    grown.save(tmp_path / "grown")
    assert json.loads((tmp_path / "grown" / "config.json").read_text())["type_vocab_size"] == 3
    assert kluere.Model.open(tmp_path / "grown", context=context).config.entity_segments
    fresh = made_up.model(tmp_path / "tokenizer", labels=LABELS, entity_segments=True, context=context)
    assert fresh.tensors.shape("roberta.embeddings.token_type_embeddings.weight") == (3, 24)


def keep(seed, site, count, p):
    """The library's dropout of the first sentence of an update, from its description in kluere_cpu.h: element j is kept where
    16 bits of Philox4x32-7 are at least p * 65536. Counter: (j / 8, position 0, sample 0, site); key: the seed."""
    word, bits = 0xFFFFFFFF, []
    for block in range((count + 7) // 8):
        c, key = [block, 0, 0, site], [seed & word, seed >> 32]
        for _ in range(7):
            a, b = c[0] * 0xD2511F53, c[2] * 0xCD9E8D57
            c = [(b >> 32) ^ c[1] ^ key[0], b & word, (a >> 32) ^ c[3] ^ key[1], a & word]
            key = [(key[0] + 0x9E3779B9) & word, (key[1] + 0xBB67AE85) & word]
        bits += [half for w in c for half in (w & 0xFFFF, w >> 16)]
    threshold = round(p * 65536)
    return torch.tensor([65536 / (65536 - threshold) if b >= threshold else 0.0 for b in bits[:count]], dtype=torch.float64)


def mixed(seed, step):
    """The key of an update: KluereBase's mix."""
    word = 2**64 - 1

    def finalize(z):
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & word
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB & word
        return z ^ (z >> 31)

    return finalize((finalize((seed + 0x9E3779B97F4A7C15) & word) + step * 0xD1B54A32D192ED03) & word)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("samples", [1, 4])
def test_dropout_with_our_masks(tmp_path, context, head, samples):
    """Loss (the mean over the samples) and gradients where the reference drops what we drop."""
    ours, theirs = pair(tmp_path, head, "roberta", context)
    example = made_up.examples(1, LABELS, seed=5, longest=9)
    rows = kluere.Dataset.create(example, labels=LABELS, context=context)
    options = dict(OFF, classifier_dropout=0.3, multi_sample_dropout=samples, learning_rate=1e-12, max_grad_norm=0)
    trainer = kluere.Trainer(ours, rows, max_steps=2, seed=77, **options)
    for step in range(2):
        info = trainer.step()
        seed = mixed(77, step)

        def drop(site, x):
            return x * keep(seed, site, len(x), 0.3)

        sites = [2] + [1024 + sample for sample in range(1, samples)]
        logits = theirs(ours, example, drop, sites).reshape(samples, len(LABELS))
        target = torch.tensor([LABELS.index(example[0].label)] * samples)
        loss = torch.nn.functional.cross_entropy(logits, target)
        named = theirs.named()
        for parameter in named.values():
            parameter.grad = None
        loss.backward()
        assert info.loss == pytest.approx(loss.item(), rel=1e-5)
        norm = math.sqrt(sum((p.grad**2).sum().item() for p in named.values()))
        assert info.grad_norm == pytest.approx(norm, rel=1e-4)
        for name, found in trainer.gradients.items():
            difference = numpy.linalg.norm(numpy.float64(found) - named[name].grad.numpy())
            assert difference < 1e-4 * max(named[name].grad.norm().item(), 1e-3 * norm), name


def test_multi_sample_dropout(tmp_path, context):
    """Its samples are independent draws: the spread of the loss falls with the root of their number."""
    model = made_up.model(tmp_path / "tokenizer", labels=LABELS, head="entity_start", initializer_range=0.3, context=context)
    rows = kluere.Dataset.create(made_up.examples(16, LABELS, seed=5, longest=9), labels=LABELS, context=context)
    options = dict(
        batch_sentences=16, max_steps=40, learning_rate=0.0, hidden_dropout=0, attention_dropout=0, max_grad_norm=0
    )

    def losses(samples):
        trainer = kluere.Trainer(model, rows, multi_sample_dropout=samples, classifier_dropout=0.3, **options)
        return numpy.array([info.loss for info in trainer.steps()])

    one, sixteen = losses(1), losses(16)
    spread = one.std(ddof=1)
    assert abs(one.mean() - sixteen.mean()) < 4 * spread / math.sqrt(40)
    # 4 is expected; 39 degrees of freedom each put the ratio of independent draws between 2.5 and 6.5.
    assert 2.5 < spread / sixteen.std(ddof=1) < 6.5
    # Prediction drops nothing, however often.
    before = model.predict(rows)
    trainer = kluere.Trainer(model, rows, multi_sample_dropout=8, **options)
    trainer.step()
    assert numpy.array_equal(trainer.export_model().predict(rows), before)


def test_refusals(tmp_path, context):
    model = made_up.model(tmp_path / "tokenizer", head="entity_start", context=context)
    with pytest.raises(kluere.KluereError, match="head entity_start: token ids"):
        kluere.Predictor(model).classify([[0, 30, 2]])
    with pytest.raises(kluere.KluereError, match="multi_sample_dropout: 2 with classifier_dropout 0"):
        kluere.Trainer(model, made_up.dataset(4, context=context), multi_sample_dropout=2, classifier_dropout=0)
    with pytest.raises(ValueError, match="head"):
        made_up.model(tmp_path / "tokenizer", head="tail", context=context)
