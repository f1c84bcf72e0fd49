"""Metrics against scikit-learn, to 1e-9, on random and degenerate inputs."""

import math
import warnings

import pytest

import kluere

numpy = pytest.importorskip("numpy")
sklearn_metrics = pytest.importorskip("sklearn.metrics")


def reference(scores, labels, no_relation, missing_class):
    """As KLUE-baseline's metrics/functional.py computes them, in float64."""
    classes = scores.shape[1]
    scores = scores.astype(numpy.float64)
    predicted = scores.argmax(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        counted = [c for c in range(classes) if c != no_relation]
        options = dict(labels=counted, average="micro", zero_division=0)
        areas = []
        for c in range(classes):
            if not (labels == c).any():
                areas.append({"skip": None, "half": 0.5, "nan": math.nan}[missing_class])
                if missing_class == "half":
                    p, r, _ = sklearn_metrics.precision_recall_curve(labels == c, scores[:, c])
                    assert sklearn_metrics.auc(r, p) == 0.5
                continue
            p, r, _ = sklearn_metrics.precision_recall_curve(labels == c, scores[:, c])
            areas.append(sklearn_metrics.auc(r, p))
        per_class = sklearn_metrics.precision_recall_fscore_support(
            labels, predicted, labels=range(classes), zero_division=0
        )
        return dict(
            micro_f1=sklearn_metrics.f1_score(labels, predicted, **options) if counted else 0.0,
            micro_precision=sklearn_metrics.precision_score(labels, predicted, **options) if counted else 0.0,
            micro_recall=sklearn_metrics.recall_score(labels, predicted, **options) if counted else 0.0,
            accuracy=sklearn_metrics.accuracy_score(labels, predicted),
            auprc=numpy.mean([a for a in areas if a is not None]),
            areas=areas,
            per_class=per_class,
            confusion=sklearn_metrics.confusion_matrix(labels, predicted, labels=range(classes)),
        )


def compare(scores, labels, no_relation=0, missing_class="skip"):
    scores = numpy.asarray(scores, numpy.float32)
    labels = numpy.asarray(labels, numpy.int32)
    ours = kluere.compute_metrics(scores, labels, no_relation=no_relation, missing_class=missing_class)
    theirs = reference(scores, labels, no_relation, missing_class)
    for name in ("micro_f1", "micro_precision", "micro_recall", "accuracy", "auprc"):
        assert getattr(ours, name) == pytest.approx(theirs[name], abs=1e-9, nan_ok=True), name
    assert ours.missing_classes == sum(not (labels == c).any() for c in range(scores.shape[1]))
    for c, row in enumerate(ours.per_class):
        expected = [values[c] for values in theirs["per_class"]]
        assert [row.precision, row.recall, row.f1, row.support] == pytest.approx(expected, abs=1e-9)
        area = theirs["areas"][c]
        assert row.auprc == pytest.approx(math.nan if area is None else area, abs=1e-9, nan_ok=True)
    assert (numpy.asarray(ours.confusion) == theirs["confusion"]).all()
    return ours


def softmax(logits):
    powers = numpy.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


@pytest.mark.parametrize("seed", range(20))
def test_random_probabilities(seed):
    generator = numpy.random.default_rng(seed)
    rows, classes = int(generator.integers(1, 3000)), int(generator.integers(2, 40))
    labels = generator.integers(0, classes, rows)
    logits = generator.normal(size=(rows, classes))
    logits[numpy.arange(rows), labels] += seed % 4
    probabilities = softmax(logits).astype(numpy.float32)
    for missing_class in ("skip", "half", "nan"):
        ours = compare(probabilities, labels, [0, None, classes - 1][seed % 3], missing_class)
    chosen = probabilities[numpy.arange(rows), labels].astype(numpy.float64)
    assert ours.loss == pytest.approx(-numpy.log(chosen).mean(), rel=1e-9)


@pytest.mark.parametrize("levels", [1, 2, 3, 10])
def test_many_equal_scores(levels):
    generator = numpy.random.default_rng(levels)
    scores = generator.integers(0, levels, (500, 6)) / 16
    compare(scores, generator.integers(0, 6, 500))


def test_logits_are_turned_into_probabilities():
    generator = numpy.random.default_rng(5)
    logits = generator.normal(size=(400, 30)).astype(numpy.float32) * 3
    labels = generator.integers(0, 30, 400).astype(numpy.int32)
    ours = kluere.compute_metrics(logits, labels, scores_are="logits")
    theirs = reference(softmax(logits.astype(numpy.float64)), labels, 0, "skip")
    assert ours.micro_f1 == pytest.approx(theirs["micro_f1"], abs=1e-9)
    assert ours.auprc == pytest.approx(theirs["auprc"], abs=1e-9)
    expected = -numpy.log(softmax(logits.astype(numpy.float64))[numpy.arange(400), labels]).mean()
    assert ours.loss == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    "scores, labels",
    [
        ([[0.7, 0.3]], [0]),
        ([[0.7, 0.3]], [1]),
        ([[0.5, 0.5]] * 9, [0, 1, 0, 0, 1, 1, 0, 1, 1]),
        ([[1.0, 0.0, 0.0]] * 5, [0] * 5),  # everything is no_relation: 0/0 counts as 0
        ([[1.0, 0.0, 0.0]] * 5, [1] * 5),
        ([[0.0, 1.0, 0.0]] * 5, [0] * 5),
        ([[0.0, 1.0, 0.0]] * 5, [1] * 5),
        ([[0.2, 0.5, 0.3], [0.2, 0.3, 0.5]], [2, 1]),
        ([[1.0]], [0]),
        ([[1e-38, 1.0], [1.0, 1e-45]], [0, 1]),
    ],
)
@pytest.mark.parametrize("missing_class", ["skip", "half", "nan"])
def test_degenerate_inputs(scores, labels, missing_class):
    compare(scores, labels, missing_class=missing_class)
    compare(scores, labels, no_relation=None, missing_class=missing_class)


def test_scores_that_are_not_finite_are_refused():
    for bad in (math.nan, math.inf):
        with pytest.raises(kluere.KluereError):
            kluere.compute_metrics([[0.5, bad]], [0])
    with pytest.raises(kluere.KluereError):
        kluere.compute_metrics([[0.5, 0.5]], [2])
