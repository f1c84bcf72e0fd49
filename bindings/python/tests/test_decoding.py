"""Temperature, prior estimation and class weights against NumPy and SciPy; a model keeps its decoding."""

import json

import pytest

import kluere
import made_up
from test_cli import KLUE, SMALL, kluere_command
from test_metrics_parity import reference, softmax

numpy = pytest.importorskip("numpy")
optimize = pytest.importorskip("scipy.optimize")


def made(rows=400, classes=6, seed=0, scale=2.5, sharpness=2.0):
    """Logits that are too sharp by `sharpness`, and labels of which some are rare."""
    generator = numpy.random.default_rng(seed)
    shares = numpy.arange(classes, 0, -1.0) / numpy.arange(classes, 0, -1.0).sum()
    labels = generator.choice(classes, rows, p=shares).astype(numpy.int32)
    logits = generator.normal(size=(rows, classes))
    logits[numpy.arange(rows), labels] += scale
    return (sharpness * logits).astype(numpy.float32), labels


def loss(logits, labels, temperature):
    p = softmax(logits.astype(numpy.float64) / temperature)
    return -numpy.log(p[numpy.arange(len(labels)), labels]).mean()


def test_the_temperature_is_scipys():
    for seed, sharpness in ((0, 0.3), (1, 1), (2, 4)):
        logits, labels = made(seed=seed, sharpness=sharpness, scale=1.0)
        decoding, report = kluere.Decoding.fit(logits, labels)
        found = optimize.minimize_scalar(
            lambda t: loss(logits, labels, numpy.exp(t)), bounds=(-4, 4), method="bounded", options=dict(xatol=1e-10)
        )
        assert decoding.temperature == pytest.approx(numpy.exp(found.x), rel=1e-5)
        assert loss(logits, labels, decoding.temperature) <= found.fun + 1e-12
        assert report.after.loss == pytest.approx(found.fun, abs=1e-6)
        assert report.after.micro_f1 == report.before.micro_f1 and not report.keeps_weights
    # Rows that are all right, and rows that say nothing.
    certain = numpy.where(numpy.eye(3, dtype=bool)[[0, 1, 2, 0]], 9, 0).astype(numpy.float32)
    assert kluere.Decoding.fit(certain, [0, 1, 2, 0], folds=2)[0].temperature == 0.01
    assert kluere.Decoding.fit(-certain, [0, 1, 2, 0], folds=2)[0].temperature == 100


def em(p, source, tolerance=1e-10, rounds=10_000):
    """Saerens et al. 2002, equation 2.9."""
    shares = numpy.array(source)
    for count in range(1, rounds + 1):
        r = p * (shares / source)
        r /= r.sum(1, keepdims=True)
        new = r.mean(0)
        change = numpy.abs(new - shares).sum()
        shares = new
        if change < tolerance:
            return shares, count
    return shares, rounds


def test_the_prior_is_that_of_an_independent_em():
    logits, labels = made(rows=300, classes=5)
    source = numpy.array([0.1, 0.2, 0.3, 0.25, 0.15])
    p = softmax(logits.astype(numpy.float64) / 1.7)
    expected, rounds = em(p, source)
    found, counted = kluere.estimate_prior(logits, source, temperature=1.7)
    assert numpy.abs(found - expected).max() < 1e-9 and abs(counted - rounds) <= 1
    of_probabilities, _ = kluere.estimate_prior(p.astype(numpy.float32), source, scores_are="probabilities")
    assert numpy.abs(of_probabilities - expected).max() < 1e-5


def test_a_known_shift_is_found_and_correcting_it_helps():
    """Gaussian classes, whose posteriors are known: 30 % of class 0 in training, 60 % where the model is used."""
    generator = numpy.random.default_rng(5)
    centres = 1.2 * numpy.array([[0, 0], [1, 0], [0, 1], [1, 1]])
    source = numpy.array([0.3, 0.3, 0.2, 0.2])
    target = numpy.array([0.6, 0.1, 0.2, 0.1])
    labels = generator.choice(4, 20_000, p=target).astype(numpy.int32)
    places = centres[labels] + 0.7 * generator.normal(size=(20_000, 2))
    distances = ((places[:, None] - centres) ** 2).sum(2)
    logits = (numpy.log(source) - distances / (2 * 0.7**2)).astype(numpy.float32)
    found, _ = kluere.estimate_prior(logits, source)
    assert numpy.abs(found - target).max() < 0.02
    decoding = kluere.Decoding.create(4, source_prior=source, target_prior=found)
    bayes = softmax(numpy.log(target) - distances / (2 * 0.7**2))
    assert numpy.abs(decoding.apply(logits) - bayes).max() < 0.03
    plain = kluere.compute_metrics(softmax(logits.astype(numpy.float64)), labels)
    corrected = kluere.compute_metrics(decoding.apply(logits), labels)
    assert corrected.accuracy > plain.accuracy + 0.02 and corrected.loss < plain.loss


def test_what_is_applied_is_numpys():
    logits, labels = made(classes=5)
    weights = [1, 2.5, 0.2, 1, 7]
    source, target = [0.3, 0.2, 0.2, 0.2, 0.1], [0.6, 0.1, 0.1, 0.1, 0.1]
    decoding = kluere.Decoding.create(
        5, temperature=1.3, class_weights=weights, source_prior=source, target_prior=target
    )
    z = logits.astype(numpy.float64) / 1.3
    expected = softmax(z) * weights * numpy.array(target) / source
    expected /= expected.sum(1, keepdims=True)
    assert numpy.abs(decoding.apply(logits) - expected).max() <= 6e-8
    p = softmax(logits.astype(numpy.float64)).astype(numpy.float32)
    powered = p.astype(numpy.float64) ** (1 / 1.3) * weights * numpy.array(target) / source
    powered /= powered.sum(1, keepdims=True)
    assert numpy.abs(decoding.apply(p, scores_are="probabilities") - powered).max() <= 6e-8
    assert (decoding.class_weights, decoding.source_prior, decoding.target_prior) == (weights, source, target)
    # The rows one by one give the same bits, and a share of 0 is never decided for.
    whole = decoding.apply(logits)
    assert all((decoding.apply(logits[i : i + 1])[0] == whole[i]).all() for i in range(50))
    never = kluere.Decoding.create(5, source_prior=source, target_prior=[0, 0.4, 0.2, 0.2, 0.2]).apply(logits)
    assert (never[:, 0] == 0).all() and numpy.abs(never.sum(1) - 1).max() < 1e-6


def weighted_f1(scores, labels, importance):
    guess = scores.argmax(1)
    hits = importance[(guess == labels) & (labels != 0)].sum()
    return 2 * hits / (importance[guess != 0].sum() + importance[labels != 0].sum())


def ascent(scores, labels, importance, rounds=20, minimum=5):
    """Coordinate ascent whose line search tries every decision there is, one call of argmax each."""
    bias = numpy.zeros(scores.shape[1])
    present = weighted_f1(scores, labels, importance)
    limit = numpy.log(100.0)
    for _ in range(rounds):
        moved = False
        for column in range(scores.shape[1]):
            if (labels == column).sum() < minimum:
                continue
            shifted = scores + bias
            others = numpy.delete(shifted, column, 1).max(1)
            edges = numpy.unique(numpy.clip(others - scores[:, column], -limit, limit))
            edges = numpy.unique(numpy.concatenate([[-limit], edges, [limit]]))
            best = None
            for low, high in zip(edges, edges[1:]):
                candidate = 0.0 if low < 0 < high else (low + high) / 2
                tried = shifted.copy()
                tried[:, column] = scores[:, column] + candidate
                value = weighted_f1(tried, labels, importance)
                if best is None or value > best[0] + 1e-12 or (abs(value - best[0]) <= 1e-12 and abs(candidate) < abs(best[1])):
                    best = (value, candidate)
            if best[0] > present + 1e-12:
                present, bias[column], moved = *best, True
        if not moved:
            break
    return numpy.exp(bias), present


@pytest.mark.parametrize("shifted", [False, True])
def test_class_weights_are_an_exhaustive_coordinate_ascents(shifted):
    logits, labels = made(rows=180, classes=5, scale=1.0, seed=3)
    logits[:, 3] -= 3  # a class that needs help
    folds = numpy.arange(180) % 3
    source = numpy.bincount(labels, minlength=5) / 180
    target = numpy.array([0.5, 0.125, 0.125, 0.125, 0.125]) if shifted else source
    options = dict(target_prior=target) if shifted else {}
    decoding, report = kluere.Decoding.fit(logits, labels, class_weights=True, temperature=False, folds=folds, **options)
    importance = (target / source)[labels]
    scores = logits.astype(numpy.float64) + numpy.log(target / source)
    expected, value = ascent(scores, labels, importance)
    assert report.keeps_weights and (expected != 1).any()
    assert decoding.class_weights == pytest.approx(list(expected), rel=1e-9)
    assert report.after.target_micro_f1 == pytest.approx(value, abs=1e-9)
    # Each fold by what the others gave.
    held_out = numpy.zeros_like(logits)
    for fold in range(3):
        inside, outside = folds == fold, folds != fold
        there = numpy.bincount(labels[outside], minlength=5) / outside.sum()
        shift = numpy.log(target / there) if shifted else numpy.zeros(5)
        weights, _ = ascent(logits[outside].astype(float) + shift, labels[outside], numpy.exp(shift)[labels[outside]])
        held_out[inside] = softmax(logits[inside].astype(float) + shift + numpy.log(weights))
    figures = reference(held_out, labels, 0, "skip")
    assert report.held_out.micro_f1 == pytest.approx(figures["micro_f1"], abs=1e-9)
    assert report.held_out.auprc == pytest.approx(figures["auprc"], abs=1e-6)
    assert report.held_out.target_micro_f1 == pytest.approx(weighted_f1(held_out, labels, importance), abs=1e-9)
    ece = kluere.calibration(held_out, labels).ece
    assert report.held_out.ece == pytest.approx(ece, abs=1e-6)


def test_weights_that_help_no_held_out_row_are_not_kept():
    kept = []
    for seed in range(6):  # Noise: whatever is tuned is tuned to nothing.
        generator = numpy.random.default_rng(seed)
        logits = generator.normal(size=(60, 8)).astype(numpy.float32)
        labels = generator.integers(0, 8, 60).astype(numpy.int32)
        decoding, report = kluere.Decoding.fit(logits, labels, class_weights=True, seed=seed)
        plain, without = kluere.Decoding.fit(logits, labels, seed=seed)
        kept.append(report.keeps_weights)
        if not report.keeps_weights:
            assert decoding.class_weights is None and decoding.temperature == plain.temperature and report == without
        else:
            assert report.held_out.micro_f1 > without.held_out.micro_f1
    assert not all(kept)


def test_contradictions_are_refused_by_both_names():
    logits, labels = made(rows=40)
    shares = [1 / 6] * 6
    for options, words in [
        (dict(target_prior=shares, prior_by_hand=(0, 0.5)), "target_prior and prior_label"),
        (dict(source_prior=shares), "source_prior.*target_prior or prior_label"),
        (dict(target_prior=shares[:5] + [0.5]), "sum"),
        (dict(prior_by_hand=(0, 1.0)), "prior_share"),
        (dict(prior_by_hand=(6, 0.5)), "prior_label"),
        (dict(folds=1), "folds"),
    ]:
        with pytest.raises(kluere.KluereError, match=words):
            kluere.Decoding.fit(logits, labels, **options)
    for options in [dict(temperature=0), dict(temperature=float("nan")), dict(class_weights=[1] * 5 + [0])]:
        with pytest.raises(kluere.KluereError):
            kluere.Decoding.create(6, **options)
    with pytest.raises(kluere.KluereError, match="expected both or none"):
        kluere.Decoding.create(6, source_prior=shares)
    with pytest.raises(kluere.KluereError, match="6 classes for scores of 5"):
        kluere.Decoding.create(6).apply(logits[:, :5])


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("decoding")
    return folder, made_up.model(folder / "tokenizer"), made_up.dataset(40, seed=4)


def test_a_model_keeps_its_decoding(small):
    folder, model, data = small
    decoding = kluere.Decoding.create(
        4, temperature=0.37, class_weights=[1, 3, 1, 0.1], source_prior=[0.4, 0.2, 0.2, 0.2], target_prior=[0.7, 0.1, 0.1, 0.1]
    )
    assert model.decoding is None
    decoded = model.with_decoding(decoding)
    logits = model.predict(data, output="logits")
    expected = decoding.apply(logits)
    assert (decoded.predict(data) == expected).all() and not (model.predict(data) == expected).all()
    assert (decoded.predict(data, output="logits") == logits).all()
    assert (decoded.predict(data, decoding="off") == model.predict(data)).all()
    assert (decoded.predict(data[0]) == expected[0]).all()
    ids = [decoded.encode(data[i]).ids for i in range(3)]
    assert numpy.abs(kluere.Predictor(decoded).classify(ids) - expected[:3]).max() < 1e-6
    decoded.save(folder / "decoded")
    reopened = kluere.Model.open(folder / "decoded")
    assert (reopened.predict(data) == expected).all()
    for name in ("temperature", "class_weights", "source_prior", "target_prior"):
        assert getattr(reopened.decoding, name) == getattr(decoding, name)
    assert reopened.with_decoding(None).decoding is None
    with pytest.raises(kluere.KluereError, match="6 classes, but the model has 4 labels"):
        model.with_decoding(kluere.Decoding.create(6))
    # Other weights, no decoding.
    trainer = kluere.Trainer(reopened, data, max_steps=1, output_directory=folder / "run")
    trainer.run()
    assert trainer.export_model().decoding is None
    assert kluere.Model.open(folder / "run" / "checkpoint-last").decoding is None
    # Other labels, no decoding.
    assert kluere.Model.open(folder / "decoded", labels=["a", "b", "c", "d"]).decoding is None


@pytest.mark.parametrize(
    "bad",
    [
        {"temperature": 0}, {"temperature": "warm"}, {"class_weights": [1, 1, 1]}, {"class_weights": [1, 1, 1, -1]},
        {"source_prior": [0.25] * 4}, {"source_prior": [0.25] * 4, "target_prior": [0.5] * 4}, [1],
    ],
)
def test_a_decoding_that_cannot_be_right_is_refused_with_its_file(small, bad):
    folder, model, _ = small
    model.save(folder / "bad")
    path = folder / "bad" / "kluere.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["decoding"] = bad
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(kluere.KluereError, match="kluere.json: .*(decoding|temperature|weights|prior)") as found:
        kluere.Model.open(folder / "bad")
    assert found.value.status_name == "KLUERE_ERR_BAD_FORMAT"


def test_the_command(tmp_path):
    made_up.write_klue_json(tmp_path / "train.json", made_up.examples(80, KLUE, seed=1))
    made_up.write_klue_json(tmp_path / "dev.json", made_up.examples(60, KLUE, seed=2))
    model = made_up.model(tmp_path / "tokenizer", labels=kluere.Dataset.read(tmp_path / "dev.json").labels)
    model.save(tmp_path / "model")
    done = kluere_command(
        "decode", tmp_path / "model", tmp_path / "dev.json", "--class-weights", "--prior", "no_relation=0.6", "--source",
        tmp_path / "train.json", "--json", "-o", tmp_path / "decoded",
    )
    found = json.loads(done.stdout)
    assert found["target_prior"]["no_relation"] == pytest.approx(0.6)
    assert sum(found["target_prior"].values()) == pytest.approx(1)
    reopened = kluere.Model.open(tmp_path / "decoded").decoding
    assert reopened.temperature == found["temperature"] and reopened.target_prior == list(found["target_prior"].values())
    # In place, by estimation; then taken away.
    done = kluere_command("decode", tmp_path / "model", tmp_path / "dev.json", "--unlabelled", tmp_path / "train.json")
    assert "held out" in done.stdout and "temperature" in done.stdout
    own = kluere.Model.open(tmp_path / "model")
    dev, train = (kluere.Dataset.read(tmp_path / name) for name in ("dev.json", "train.json"))
    shares = own.decoding.source_prior
    target, _ = kluere.estimate_prior(own.predict(train, output="logits"), shares, temperature=own.decoding.temperature)
    assert own.decoding.target_prior == pytest.approx(target, abs=1e-9)
    kluere_command("decode", tmp_path / "model", "--remove")
    assert kluere.Model.open(tmp_path / "model").decoding is None
    for arguments in (
        ["--prior", "no_relation=0.6", "--unlabelled", tmp_path / "dev.json"], ["--source", tmp_path / "train.json"],
        ["--prior", "much"], ["--remove"],
    ):
        refused = kluere_command("decode", tmp_path / "model", tmp_path / "dev.json", *arguments, status=2)
        assert f"error: {arguments[0]}" in refused.stderr
    with pytest.raises(ValueError, match="prior and unlabelled"):
        kluere.fit_decoding(model, dev, prior={"no_relation": 0.5}, unlabelled=train)
