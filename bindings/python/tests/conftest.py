import os
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]
REPOSITORY = HERE.parents[2]
os.environ.setdefault("HF_HUB_OFFLINE", "1")


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
