import os
import signal
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]
REPOSITORY = HERE.parents[2]
os.environ.setdefault("HF_HUB_OFFLINE", "1")
# The tests run in several processes; each alone would take every core for PyTorch and NumPy.
for library in ("OMP", "MKL", "OPENBLAS"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")
# A shell's background job ignores Ctrl-C, and its children do too: tests that send it would wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def real_data():
    """The folder with real KLUE-RE. Required where CI is set; elsewhere a missing folder skips the test."""
    folder = Path(os.environ.get("KLUERE_DATA") or REPOSITORY.parent / "shared" / "data")
    if not (folder / "klue-re").is_dir():
        message = f"real data: {folder} has no klue-re; set KLUERE_DATA"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return folder


@pytest.fixture(scope="session")
def nasty_strings():
    import json

    return json.loads((REPOSITORY / "Tests" / "tokenizer_nasty_strings.json").read_text(encoding="utf-8"))


@pytest.fixture
def vocabulary(tmp_path):
    import made_up

    return made_up.write_tokenizer(tmp_path / "tokenizer")


@pytest.fixture(scope="session")
def context():
    import kluere

    return kluere.Context(threads=2)


def train_unigram(folder, real_data, byte_fallback):
    """A SentencePiece unigram model of XLM-R's shape (nmt_nfkc): spiece.model in folder."""
    import tokenizer_texts

    sentencepiece = pytest.importorskip("sentencepiece")
    (folder / "text.txt").write_text("\n".join(tokenizer_texts.real_texts(real_data, every=20)), encoding="utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=str(folder / "text.txt"), model_prefix=str(folder / "spiece"), vocab_size=4000, character_coverage=0.995,
        byte_fallback=byte_fallback, normalization_rule_name="nmt_nfkc", minloglevel=2,
        user_defined_symbols=["[E1]", "사과나무"], num_threads=2,
    )
    return folder / "spiece.model"


@pytest.fixture(scope="session")
def unigram_models(real_data, tmp_path_factory):
    """Made at their first use: byte fallback or not -> the file."""
    made = {}

    def model(byte_fallback):
        if byte_fallback not in made:
            made[byte_fallback] = train_unigram(tmp_path_factory.mktemp("sentencepiece"), real_data, byte_fallback)
        return made[byte_fallback]

    return model


@pytest.fixture(scope="module", params=["byte fallback", "no byte fallback"])
def trained(request, unigram_models, tmp_path_factory):
    """A folder with such a model under each name, and the sentencepiece library's reading of it."""
    import sentencepiece

    source = unigram_models(request.param == "byte fallback")
    folder = tmp_path_factory.mktemp("trained")
    for name in ("spiece.model", "sentencepiece.bpe.model"):
        (folder / name).write_bytes(source.read_bytes())
    return folder, sentencepiece.SentencePieceProcessor(model_file=str(source))
