#!/usr/bin/env python3
"""Makes the pictures in docs/pictures from the invented corpus in samples/data.

Trains a small model (a minute), searches a few hyperparameters, writes the pages, and photographs parts of them with
headless Chromium.

    make build
    KLUERE_LIBRARY=dist/lib PYTHONPATH=bindings/python python3 docs/make_pictures.py [--keep FOLDER]

Needs NumPy, Optuna, Chromium, and a font with Korean (fonts-noto-cjk). CHROMIUM names another browser.
"""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
SAMPLES = ROOT / "samples" / "data"
PICTURES = ROOT / "docs" / "pictures"
WIDTH = 1120
# Picture: page, and the headings of the sections it shows.
SHOTS = {
    "explore-data": ("explore", ["Overview", "How the two files differ", "Sources and types", "Lengths"]),
    "explore-types": ("explore", ["Entity types"]),
    "explore-confusion": ("explore", ["What is taken for what"]),
    "explore-confidence": (
        "explore",
        ["The model on dev.json", "Learning curves", "How far its confidence can be trusted"],
    ),
    "explore-sentences": ("explore", ["Where it is sure and wrong"]),
    "tune": ("tune", ["Result", "Progress", "Hyperparameters"]),
}


def kluere(*arguments):
    subprocess.run([sys.executable, "-m", "kluere", *map(str, arguments)], check=True, stdin=subprocess.DEVNULL)


def pages(folder):
    train, dev = SAMPLES / "train.json", SAMPLES / "dev.json"
    shape = "--layers 2 --hidden 128 --heads 4 --batch-size 16 --quiet".split()
    if not (folder / "run" / "model").exists():
        way = "--epochs 30 --lr 1e-3 --evaluate-every 63".split()
        kluere("train", train, "--dev", dev, "--tokenizer", SAMPLES, "-o", folder / "run", *shape, *way)
    shown = ["--model", folder / "run", "--title", "The sample corpus"]
    kluere("explore", train, dev, "-o", folder / "explore.html", "--quiet", *shown)
    way = "--epochs 5 --trials 12".split()
    found = ["--study", folder / "study.db", "--report", folder / "tune.html"]
    kluere("tune", train, "--tokenizer", SAMPLES, *found, *shape, *way)


def photograph(folder, name, page, headings):
    text = (folder / f"{page}.html").read_text(encoding="utf-8")
    chosen = []
    for heading in headings:
        before, found, _ = text.partition(f"<h2>{heading}</h2>")
        if not found:
            sys.exit(f"{page}.html has no section {heading!r}")
        chosen.append("#" + before.rpartition('id="')[2].partition('"')[0])
    only = "body{padding-bottom:16px}nav,section{display:none}" + ",".join(chosen) + "{display:block}"
    measure = "<script>document.title = document.body.scrollHeight</script></body>"
    part = folder / "part.html"
    part.write_text(text.replace("</style>", only + "</style>", 1).replace("</body>", measure), encoding="utf-8")
    seen = browse(part, 200, "--dump-dom")
    browse(part, int(re.search(r"<title>(\d+)</title>", seen).group(1)), f"--screenshot={PICTURES / name}.png")
    print(f"docs/pictures/{name}.png")


def browse(page, height, action):
    browser = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser") or "chromium"
    line = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", action]
    done = subprocess.run(
        [*line, f"--window-size={WIDTH},{height}", page.as_uri()],
        check=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    return done.stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keep", metavar="FOLDER", type=pathlib.Path, help="where to keep model, study and pages")
    keep = parser.parse_args().keep
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        folder = keep or pathlib.Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        pages(folder)
        for name, (page, headings) in SHOTS.items():
            photograph(folder, name, page, headings)


if __name__ == "__main__":
    main()
