"""Bootstrap, paired tests, groups, calibration and coverage against NumPy and scikit-learn."""

import math

import pytest

import kluere
from test_metrics_parity import reference, softmax

numpy = pytest.importorskip("numpy")
pytest.importorskip("sklearn.metrics")
calibration_curve = pytest.importorskip("sklearn.calibration").calibration_curve

MASK = (1 << 64) - 1
METRICS = ("micro_f1", "auprc", "accuracy", "micro_precision", "micro_recall")


def made(rows, classes, seed, signal=2.0, prior=0.5):
    """Probabilities and labels, half of the rows no_relation."""
    generator = numpy.random.default_rng(seed)
    labels = numpy.where(generator.random(rows) < prior, 0, generator.integers(0, classes, rows)).astype(numpy.int32)
    logits = generator.normal(size=(rows, classes))
    logits[numpy.arange(rows), labels] += signal
    return softmax(logits).astype(numpy.float32), labels


class Stream:
    """The generator of kluere.h, from its description: SplitMix64, a state for each (seed, index)."""

    def __init__(self, seed, index):
        first = self.finish((seed + 0x9E3779B97F4A7C15) & MASK)
        self.state = self.finish((first + index * 0xD1B54A32D192ED03) & MASK)

    @staticmethod
    def finish(z):
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return z ^ (z >> 31)

    def next(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        return self.finish(self.state)

    def below(self, bound):
        while True:
            product = (self.next() >> 32) * bound
            if product & 0xFFFFFFFF >= (1 << 32) % bound:
                return product >> 32


def figures(scores, labels, missing_class="skip"):
    found = reference(scores, labels, 0, missing_class)
    return [found[name] for name in METRICS]


@pytest.mark.parametrize("missing_class", ["skip", "half", "nan"])
def test_every_resample_is_scikit_learn_on_the_drawn_rows(missing_class):
    scores, labels = made(90, 5, seed=3)
    found = kluere.bootstrap(
        scores, labels, METRICS, resamples=20, seed=11, missing_class=missing_class, samples=True, confidence=0.9
    )
    expected = []
    for resample in range(20):
        stream = Stream(11, resample)
        rows = [stream.below(90) for _ in range(90)]
        expected.append(figures(scores[rows], labels[rows], missing_class))
    expected = numpy.array(expected)
    for place, name in enumerate(METRICS):
        numpy.testing.assert_allclose(found[name].samples, expected[:, place], rtol=0, atol=1e-9)
        assert found[name].value == pytest.approx(figures(scores, labels, missing_class)[place], abs=1e-9)
        low, high = numpy.quantile(expected[:, place], [0.05, 0.95])
        assert [found[name].low, found[name].high] == pytest.approx([low, high], abs=1e-9)
        assert found[name].standard_error == pytest.approx(expected[:, place].std(ddof=1), abs=1e-9)


def test_a_class_that_some_resamples_miss_follows_its_convention():
    scores, labels = made(60, 4, seed=8, prior=0.97)
    assert len(set(labels.tolist())) >= 2
    some = kluere.bootstrap(scores, labels, ["auprc"], missing_class="nan")["auprc"]
    assert math.isnan(some.low) and math.isnan(some.high)
    assert not math.isnan(kluere.bootstrap(scores, labels, ["auprc"], missing_class="skip")["auprc"].low)


def test_intervals_agree_with_a_bootstrap_of_numpy():
    scores, labels = made(700, 6, seed=1)
    ours = kluere.bootstrap(scores, labels, ["micro_f1", "accuracy"], resamples=4000, seed=5)
    generator = numpy.random.default_rng(0)
    predicted = scores.argmax(1)
    hits, gold, answered = (predicted == labels) & (labels != 0), labels != 0, predicted != 0
    f1, accuracy = [], []
    for _ in range(4000):
        rows = generator.integers(0, 700, 700)
        f1.append(2 * hits[rows].sum() / (gold[rows].sum() + answered[rows].sum()))
        accuracy.append((predicted[rows] == labels[rows]).mean())
    for name, values in (("micro_f1", f1), ("accuracy", accuracy)):
        low, high = numpy.quantile(values, [0.025, 0.975])
        # The ends of two bootstraps of this size differ by about 1 % of their distance.
        assert abs(ours[name].low - low) < 0.05 * (high - low)
        assert abs(ours[name].high - high) < 0.05 * (high - low)
        assert ours[name].standard_error == pytest.approx(numpy.std(values), rel=0.05)


def test_paired_bootstrap_and_randomization_are_those_of_their_descriptions():
    scores, labels = made(80, 4, seed=2)
    other, _ = made(80, 4, seed=2, signal=0.5)
    found = kluere.compare(scores, other, labels, METRICS, resamples=15, seed=9, samples=True)
    first, second = numpy.array(figures(scores, labels)), numpy.array(figures(other, labels))
    observed = first - second
    differences, exchanged = [], []
    for resample in range(15):
        stream = Stream(9, resample)
        rows = [stream.below(80) for _ in range(80)]
        differences.append(
            numpy.array(figures(scores[rows], labels[rows])) - numpy.array(figures(other[rows], labels[rows]))
        )
        stream = Stream(9, resample | 1 << 63)
        words = [stream.next(), stream.next()]
        swap = numpy.array([words[row // 64] >> row % 64 & 1 for row in range(80)], bool)[:, None]
        a, b = numpy.where(swap, other, scores), numpy.where(swap, scores, other)
        exchanged.append(numpy.array(figures(a, labels)) - numpy.array(figures(b, labels)))
    differences, exchanged = numpy.array(differences), numpy.array(exchanged)
    for place, name in enumerate(METRICS):
        one = found[name]
        assert [one.first, one.second, one.difference] == pytest.approx(
            [first[place], second[place], observed[place]], abs=1e-9
        )
        numpy.testing.assert_allclose(one.samples, differences[:, place], rtol=0, atol=1e-9)
        assert [one.low, one.high] == pytest.approx(numpy.quantile(differences[:, place], [0.025, 0.975]), abs=1e-9)
        size = abs(observed[place]) - 1e-12
        assert one.p_bootstrap == (sum(abs(differences[:, place] - observed[place]) >= size) + 1) / 16
        assert one.p_randomization == (sum(abs(exchanged[:, place]) >= size) + 1) / 16


def test_a_test_of_equal_systems_rarely_finds_a_difference():
    """Under the null hypothesis p is uniform: of 60 pairs about 6 have p < 0.1."""
    found = 0
    for seed in range(60):
        scores, labels = made(150, 4, seed=100 + seed)
        other, _ = made(150, 4, seed=100 + seed)
        noise = numpy.random.default_rng(seed)
        other = softmax(numpy.log(other) + noise.normal(size=other.shape)).astype(numpy.float32)
        scores = softmax(numpy.log(scores) + noise.normal(size=scores.shape)).astype(numpy.float32)
        found += kluere.compare(scores, other, labels, ["micro_f1"], resamples=200)["micro_f1"].p_randomization < 0.1
    assert 1 <= found <= 14


def test_groups_have_the_metrics_of_their_rows():
    scores, labels = made(300, 5, seed=4)
    groups = numpy.random.default_rng(4).integers(-1, 4, 300)
    found = kluere.compute_metrics_by_group(scores, labels, groups, ["a", "b", "c", "d", "nobody"])
    assert set(found) == {"a", "b", "c", "d"}
    for number, name in enumerate("abcd"):
        rows = groups == number
        own = kluere.compute_metrics(scores[rows], labels[rows])
        assert found[name].as_dict() == own.as_dict()
        assert found[name].micro_f1 == pytest.approx(figures(scores[rows], labels[rows])[0], abs=1e-9)


def test_type_pairs_name_the_entities_types():
    import made_up

    dataset = made_up.dataset(50)
    groups, names = kluere.type_pairs(dataset)
    assert names == sorted(set(names)) and len(groups) == 50
    for row, group in zip(dataset, groups):
        assert names[group] == f"{row.subject.type}-{row.object.type}"


@pytest.mark.parametrize("binning, strategy", [("width", "uniform"), ("mass", "quantile")])
@pytest.mark.parametrize("bins", [1, 5, 15])
def test_calibration_curves_are_scikit_learns(binning, strategy, bins):
    scores, labels = made(900, 5, seed=6)
    confidence = scores.max(1).astype(numpy.float64)
    right = scores.argmax(1) == labels
    for label, values, truth in [(None, confidence, right), (2, scores[:, 2].astype(numpy.float64), labels == 2)]:
        found = kluere.calibration(scores, labels, bins=bins, binning=binning, label=label)
        true, mean = calibration_curve(truth, values, n_bins=bins, strategy=strategy)
        filled = [one for one in found.bins if one.rows]
        assert [one.accuracy for one in filled] == pytest.approx(true, abs=1e-9)
        assert [one.confidence for one in filled] == pytest.approx(mean, abs=1e-9)
        sizes = numpy.array([one.rows for one in filled])
        assert sizes.sum() == 900
        assert found.ece == pytest.approx((abs(true - mean) * sizes).sum() / 900, abs=1e-9)
        assert found.mce == pytest.approx(abs(true - mean).max(), abs=1e-9)
    hot = numpy.eye(5)[labels]
    found = kluere.calibration(scores, labels)
    assert found.brier == pytest.approx(((scores.astype(numpy.float64) - hot) ** 2).sum(1).mean(), abs=1e-9)
    assert (found.accuracy, found.confidence) == pytest.approx((right.mean(), confidence.mean()), abs=1e-9)


def test_coverage_and_risk_are_those_of_a_sorted_list():
    scores, labels = made(400, 5, seed=7)
    scores[:40] = scores[0]  # a tie
    confidence = scores.max(1).astype(numpy.float64)
    wrong = scores.argmax(1) != labels
    found = kluere.coverage_risk(scores, labels, points=10)
    risks = [wrong[confidence >= threshold].mean() for threshold in numpy.sort(confidence)[::-1]]
    best = [max(0, k - (400 - wrong.sum())) / k for k in range(1, 401)]
    assert found.aurc == pytest.approx(numpy.mean(risks), abs=1e-9)
    assert found.excess_aurc == pytest.approx(numpy.mean(risks) - numpy.mean(best), abs=1e-9)
    assert found.risk == pytest.approx(wrong.mean(), abs=1e-9)
    for number, point in enumerate(found.points, 1):
        kept = confidence >= point.threshold
        assert point.coverage == kept.mean() >= number / 10
        assert (confidence > point.threshold).mean() < number / 10
        assert point.risk == pytest.approx(wrong[kept].mean(), abs=1e-9)
        assert point.micro_f1 == pytest.approx(reference(scores[kept], labels[kept], 0, "skip")["micro_f1"], abs=1e-9)


@pytest.mark.parametrize("scores, labels", [([[1.0, 0.0]], [0]), ([[0.0, 1.0]] * 4, [0] * 4), ([[1.0]], [0])])
def test_degenerate_sets_have_the_documented_values(scores, labels):
    right = scores[0][labels[0]] == 1.0
    for name, one in kluere.bootstrap(scores, labels, resamples=9).items():
        assert one.low == one.value == one.high and one.standard_error == 0, name
    for one in kluere.compare(scores, scores, labels, resamples=9).values():
        assert (one.difference, one.p_bootstrap, one.p_randomization) == (0, 1, 1)
    found = kluere.calibration(scores, labels)
    assert found.ece == (0 if right else 1) and math.isnan(found.bins[0].accuracy)
    assert kluere.coverage_risk(scores, labels, points=3).risk == (0 if right else 1)
    groups = kluere.compute_metrics_by_group(scores, labels, [-1] * len(labels), ["nobody"])
    assert groups == {}


def test_what_cannot_be_is_refused():
    good = dict(scores=[[0.5, 0.5]], labels=[0])
    for call, arguments in [
        (kluere.bootstrap, dict(resamples=0)),
        (kluere.bootstrap, dict(confidence=1.0)),
        (kluere.bootstrap, dict(metrics=[])),
        (kluere.bootstrap, dict(labels=[2])),
        (kluere.calibration, dict(bins=0)),
        (kluere.calibration, dict(label=7)),
        (kluere.calibration, dict(scores=[[3.0, -1.0]])),
        (kluere.coverage_risk, dict(scores=[[3.0, -1.0]])),
    ]:
        with pytest.raises(kluere.KluereError):
            call(**{**good, **arguments})
    for call, arguments in [
        (kluere.bootstrap, dict(metrics=["f2"])),
        (kluere.bootstrap, dict(labels=[0, 1])),
        (kluere.coverage_risk, dict(points=0)),
        (kluere.calibration, dict(binning="log")),
    ]:
        with pytest.raises(ValueError):
            call(**{**good, **arguments})
    with pytest.raises(TypeError):
        kluere.bootstrap(**good, metrics="auprc")
    with pytest.raises(kluere.KluereError, match=r"groups\[0\]"):
        kluere.compute_metrics_by_group([[0.5, 0.5]], [0], [3], ["only"])
    assert kluere.calibration([[3.0, -1.0]], [0], scores_are="logits").rows == 1
