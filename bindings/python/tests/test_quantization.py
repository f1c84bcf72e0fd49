"""Weights in fewer bits against NumPy, against fp32, and through their folders."""

import json
import math

import pytest

import kluere
import made_up
from test_cli import kluere_command

numpy = pytest.importorskip("numpy")
LABELS = ["no_relation", "per:title", "org:members", "한국어 라벨"]
SHAPE = dict(hidden_size=36, layer_count=2, head_count=3, intermediate_size=70, max_positions=64, initializer_range=0.1)


@pytest.fixture(scope="module")
def model(tmp_path_factory, context):
    return made_up.model(tmp_path_factory.mktemp("model"), LABELS, context, **SHAPE)


@pytest.fixture(scope="module")
def rows(context):
    return made_up.dataset(40, LABELS, seed=3, longest=12, context=context)


@pytest.fixture(scope="module", params=["int8", "int8_reduced"])
def form(request):
    return request.param


@pytest.fixture(scope="module")
def folder(model, form, tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / form
    kluere.quantize(model, form).save(path)
    return path


def logits(model, rows, weights="auto"):
    return numpy.array(kluere.Predictor(model, output="logits", weights=weights).predict(rows))


def tensors(path):
    """A safetensors file by its own definition."""
    raw = path.read_bytes()
    size = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + size])
    kinds = {"F32": "<f4", "I8": "i1", "BF16": "<u2", "F16": "<f2"}
    found = {}
    for name, entry in header.items():
        if name != "__metadata__":
            begin, end = (8 + size + offset for offset in entry["data_offsets"])
            found[name] = numpy.frombuffer(raw[begin:end], kinds[entry["dtype"]]).reshape(entry["shape"])
    return found, header


def rewrite(path, change):
    """The file with its tensors changed, as safetensors lays them out."""
    found, header = tensors(path)
    kinds = {name: entry["dtype"] for name, entry in header.items() if name != "__metadata__"}
    found = {name: value.copy() for name, value in found.items()}
    change(found, kinds)
    place, entries, parts = 0, {}, []
    for name, value in found.items():
        data = value.tobytes()
        entries[name] = {"dtype": kinds[name], "shape": list(value.shape), "data_offsets": [place, place + len(data)]}
        parts.append(data)
        place += len(data)
    text = json.dumps(entries).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(parts))


class Reference:
    """RoBERTa with int8 layers in NumPy: fp32 as the library, whole numbers exact."""

    def __init__(self, path, heads):
        self.t, self.heads = tensors(path / "model.int8.safetensors")[0], heads

    def linear(self, name, x):
        q, scales = self.t[name + ".weight"].astype(numpy.int64), self.t[name + ".weight_scale"]
        lowest, highest = numpy.minimum(x.min(1), 0), numpy.maximum(x.max(1), 0)
        scale = (highest - lowest) / numpy.float32(255)
        inverse = numpy.float32(1) / scale
        zero = numpy.rint(-lowest * inverse)[:, None]
        level = numpy.clip(numpy.rint(x * inverse[:, None]) + zero, 0, 255).astype(numpy.int64)
        sums = (level - zero.astype(numpy.int64)) @ q.T
        return sums.astype(numpy.float32) * (scale[:, None] * scales) + self.t[name + ".bias"]

    def norm(self, name, x):
        x = x.astype(numpy.float64)
        x = (x - x.mean(1, keepdims=True)) / numpy.sqrt(x.var(1, keepdims=True) + 1e-5)
        return (x * self.t[name + ".weight"] + self.t[name + ".bias"]).astype(numpy.float32)

    def logits(self, ids):
        e = "roberta.embeddings."
        word = self.t[e + "word_embeddings.weight"][ids] * self.t[e + "word_embeddings.weight_scale"][ids][:, None]
        x = word + self.t[e + "position_embeddings.weight"][2 : 2 + len(ids)] + self.t[e + "token_type_embeddings.weight"][0]
        x = self.norm(e + "LayerNorm", x)
        erf = numpy.vectorize(math.erf)
        for layer in range(SHAPE["layer_count"]):
            n = f"roberta.encoder.layer.{layer}."
            q, k, v = (self.linear(n + f"attention.self.{part}", x) for part in ("query", "key", "value"))
            width = x.shape[1] // self.heads
            context = []
            for head in range(self.heads):
                part = slice(head * width, (head + 1) * width)
                scores = (q[:, part] @ k[:, part].T).astype(numpy.float64) / math.sqrt(width)
                p = numpy.exp(scores - scores.max(1, keepdims=True))
                context.append((p / p.sum(1, keepdims=True)) @ v[:, part])
            context = numpy.concatenate(context, 1).astype(numpy.float32)
            x = self.norm(n + "attention.output.LayerNorm", x + self.linear(n + "attention.output.dense", context))
            wide = self.linear(n + "intermediate.dense", x).astype(numpy.float64)
            wide = (wide / 2 * (1 + erf(wide / math.sqrt(2)))).astype(numpy.float32)
            x = self.norm(n + "output.LayerNorm", x + self.linear(n + "output.dense", wide))
        first = x[:1] @ self.t["classifier.dense.weight"].T + self.t["classifier.dense.bias"]
        return (numpy.tanh(first) @ self.t["classifier.out_proj.weight"].T + self.t["classifier.out_proj.bias"])[0]


def test_the_logits_are_numpys(model, folder, rows, context):
    ids = [model.encode(row).ids for row in rows]
    small = kluere.Model.open(folder, context=context)
    found = numpy.array(kluere.Predictor(small, output="logits").classify(ids))
    reference = Reference(folder, SHAPE["head_count"])
    distance = numpy.abs(found - [reference.logits(numpy.array(one)) for one in ids]).max(1)
    # Where a value lies between two whole numbers to the last bit of fp32, the two may take different ones.
    assert numpy.median(distance) < 1e-5 and (distance < 1e-4).mean() >= 0.8 and distance.max() < 0.02
    whole = numpy.array(kluere.Predictor(model, output="logits").classify(ids))
    difference = numpy.abs(found - whole).max(1)
    assert numpy.median(difference) > 1e-3  # so the comparison above sees the whole numbers
    assert difference.max() < 0.2 * numpy.abs(whole).max()


def largest_fours(weight):
    """Of each row the largest sum of values of one sign among steps 0, 1, 4, 5 or 2, 3, 6, 7 of eight, in their order."""
    units = numpy.pad(weight, ((0, 0), (0, -weight.shape[1] % 8))).reshape(len(weight), -1, 8)
    fours = numpy.concatenate([units[:, :, [0, 1, 4, 5]], units[:, :, [2, 3, 6, 7]]], 1)
    return numpy.maximum(*(numpy.maximum(sign * fours, 0).cumsum(2)[:, :, -1].max(1) for sign in (1, -1)))


def test_one_way_to_int8(model, folder, form, rows, context, tmp_path):
    """By the option, in memory, from the folder, from the folder's folder: the same bits."""
    expected = logits(model, rows, form)
    small = kluere.Model.open(folder, context=context)
    assert numpy.array_equal(logits(small, rows), expected)
    assert numpy.array_equal(logits(small, rows, "int8"), expected)
    assert numpy.array_equal(logits(kluere.quantize(model, form), rows), expected)
    assert not numpy.array_equal(logits(model, rows), expected)
    small.save(tmp_path / "again")
    for file in folder.iterdir():
        assert (tmp_path / "again" / file.name).read_bytes() == file.read_bytes(), file.name
    assert not (folder / "model.safetensors").exists()
    found, _ = tensors(folder / "model.int8.safetensors")
    name = "roberta.encoder.layer.1.output.dense.weight"
    weight = numpy.array(model.tensors[name])
    scale = numpy.abs(weight).max(1) / numpy.float32(127)
    if form == "int8_reduced":
        scale = largest_fours(weight) / numpy.float32(126)
        assert 100 < largest_fours(found[name].astype(int)).max() <= 128
    assert numpy.array_equal(found[name + "_scale"], scale)
    # Of word embeddings no products are summed.
    table = "roberta.embeddings.word_embeddings.weight"
    assert numpy.array_equal(found[table + "_scale"], numpy.abs(model.tensors[table]).max(1) / numpy.float32(127))
    assert numpy.array_equal(found[name], numpy.rint(weight / scale[:, None]))
    # What is read of the model is what its numbers stand for.
    assert numpy.array_equal(numpy.array(small.tensors[name]), found[name] * scale[:, None])
    assert numpy.abs(logits(small, rows, "float32") - logits(model, rows)).max() < 0.2


@pytest.mark.parametrize("weights", ["bfloat16", "float16"])
def test_sixteen_bits_are_rounded_weights(model, rows, context, tmp_path, weights):
    half = kluere.quantize(model, weights)
    half.save(tmp_path / "half")
    opened = kluere.Model.open(tmp_path / "half", context=context)
    expected = logits(opened, rows, "float32")  # fp32 products of the file's 16-bit values
    for one in (logits(opened, rows), logits(half, rows), logits(model, rows, weights)):
        assert numpy.array_equal(one, expected)
    assert numpy.abs(expected - logits(model, rows)).max() < (0.05 if weights == "bfloat16" else 0.005)
    _, header = tensors(tmp_path / "half" / "model.safetensors")
    kind = "BF16" if weights == "bfloat16" else "F16"
    assert header["roberta.embeddings.word_embeddings.weight"]["dtype"] == kind
    assert header["classifier.dense.weight"]["dtype"] == "F32"
    transformers, torch = pytest.importorskip("transformers"), pytest.importorskip("torch")
    theirs = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "half").float().eval()
    ids = [model.encode(row).ids for row in list(rows)[:5]]
    ours = numpy.array(kluere.Predictor(opened, output="logits").classify(ids))
    with torch.no_grad():
        for row, one in zip(ours, ids):
            assert numpy.abs(theirs(torch.tensor([one])).logits[0].numpy() - row).max() < 1e-4
    trainer = kluere.Trainer(opened, rows, epochs=1, batch_sentences=8)  # 16 bits widen to weights that learn
    assert math.isfinite(trainer.step().loss)


def test_threads_and_neighbours_change_nothing(folder, rows):
    every = []
    for threads in (1, 2, 3):
        opened = kluere.Model.open(folder, context=kluere.Context(threads=threads))
        every.append(logits(opened, rows))
    assert all(numpy.array_equal(one, every[0]) for one in every)
    examples = list(rows)
    for place in range(0, len(examples), 7):
        assert numpy.array_equal(logits(opened, [examples[place]])[0], every[0][place])


def test_an_int8_model_only_predicts(model, folder, rows, context):
    small = kluere.Model.open(folder, context=context)
    for refused in (
        lambda: kluere.Trainer(small, rows, epochs=1),
        lambda: kluere.quantize(small, "float16"),
        lambda: kluere.Predictor(small, weights="bfloat16"),
        lambda: kluere.Model.open(folder, context=context, head="r_bert"),
        lambda: kluere.Model.open(folder, context=context, added_special_tokens=["[NEW]"]),
        lambda: kluere.Model.open(folder, context=context, entity_segments=True),
        lambda: kluere.Model.open(folder, context=context, task="masked_lm"),
    ):
        with pytest.raises(kluere.KluereError, match="int8"):
            refused()
    encoder = kluere.Model.open(folder, context=context, task="encoder")
    assert numpy.isfinite(kluere.Predictor(encoder).hidden_states([model.encode(rows[0]).ids])[0]).all()
    transformers = pytest.importorskip("transformers")
    with pytest.raises(OSError):
        transformers.AutoModelForSequenceClassification.from_pretrained(folder)


def test_bad_folders_are_refused(model, rows, context, tmp_path):
    name = "roberta.encoder.layer.0.attention.self.key.weight"
    scale = name + "_scale"

    def value(number):
        return lambda found, kinds: found[scale].__setitem__(3, number)

    def shorter(found, kinds):
        found[scale] = found[scale][:-1]

    def missing(found, kinds):
        del found[scale]

    def wide(found, kinds):
        found[name], kinds[name] = found[name].astype("<f4"), "F32"

    def other(found, kinds):
        found[scale], kinds[scale] = found[scale].astype("<f2"), "F16"

    def weight(found, kinds):
        del found[name]

    changes = [value(math.nan), value(math.inf), value(-1), shorter, missing, wide, other, weight]
    for number, change in enumerate(changes):
        path = tmp_path / str(number)
        kluere.quantize(model).save(path)
        rewrite(path / "model.int8.safetensors", lambda found, kinds: None)
        assert kluere.Model.open(path, context=context).labels == LABELS  # the rewriting is no damage
        rewrite(path / "model.int8.safetensors", change)
        with pytest.raises(kluere.KluereError, match="key.weight"):
            kluere.Model.open(path, context=context)
    mark = json.loads((path / "kluere.json").read_text(encoding="utf-8"))
    assert mark["weights"] == "int8"
    for unknown in ("int4", "int8_reduced"):
        mark["weights"] = unknown
        (path / "kluere.json").write_text(json.dumps(mark), encoding="utf-8")
        with pytest.raises(kluere.KluereError, match=unknown):
            kluere.Model.open(path, context=context)
    del mark["weights"]
    (path / "kluere.json").write_text(json.dumps(mark), encoding="utf-8")
    with pytest.raises(kluere.KluereError, match="model.safetensors"):
        kluere.Model.open(path, context=context)


def test_weights_that_a_form_does_not_have(model, rows, context, tmp_path):
    model.save(tmp_path / "large")
    name = "roberta.encoder.layer.0.output.dense.weight"

    def large(found, kinds):
        found[name][2, 5] = 1e6

    rewrite(tmp_path / "large" / "model.safetensors", large)
    opened = kluere.Model.open(tmp_path / "large", context=context)
    with pytest.raises(kluere.KluereError, match="float16"):
        kluere.quantize(opened, "float16")
    with pytest.raises(kluere.KluereError, match="float16"):
        logits(opened, rows, "float16")
    assert numpy.isfinite(logits(opened, rows, "int8")).all()


def test_the_report_and_the_command(model, rows, context, tmp_path):
    small = kluere.quantize(model)
    report = kluere.compare_weights(model, small, rows)
    pairs = [numpy.array(one.predict(rows)) for one in (model, small)]
    truth = numpy.array(model.label_indices(rows))
    for p, f1, auprc in zip(
        pairs, (report.micro_f1, report.quantized_micro_f1), (report.auprc, report.quantized_auprc)
    ):
        figures = kluere.compute_metrics(p, truth, no_relation=0)
        assert (f1, auprc) == (figures.micro_f1, figures.auprc)
    difference = numpy.abs(pairs[0] - pairs[1])
    assert report.largest_difference == pytest.approx(difference.max(), rel=1e-6)
    assert report.mean_difference == pytest.approx(difference.mean(), rel=1e-5)
    assert report.equal_answers == (pairs[0].argmax(1) == pairs[1].argmax(1)).mean()
    assert report.weights == "int8" and report.rows == len(rows)
    model.save(tmp_path / "model")
    made_up.write_klue_json(tmp_path / "dev.json", list(rows))
    done = kluere_command(
        "quantize", tmp_path / "model", tmp_path / "small", "--data", tmp_path / "dev.json", "--json", "--threads", "1"
    )
    printed = json.loads(done.stdout)
    assert printed["micro_f1"] == report.micro_f1 and printed["quantized_micro_f1"] == report.quantized_micro_f1
    sizes = [
        sum(value.nbytes for value in tensors(tmp_path / path)[0].values())
        for path in ("model/model.safetensors", "small/model.int8.safetensors")
    ]
    assert [printed["bytes"], printed["quantized_bytes"]] == sizes == [report.bytes, report.quantized_bytes]
    kluere_command("quantize", tmp_path / "model", tmp_path / "model", status=2)
