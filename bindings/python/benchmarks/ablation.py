"""What each modelling idea is worth on real KLUE-RE, with one small encoder that the library pretrains itself.

Steps, each left alone if OUTPUT has its result already, so that a run that was stopped goes on:
  1. pretraining: masked-LM training on wiki-ko from random weights, for --pretrain-steps updates -> OUTPUT/encoder
  2. a held-out tenth of the train set, alike in labels and types; equal sentences stay on one side
  3. a row of the table: trained on nine tenths, the best epoch by micro-F1 on the tenth, then dev, once, with a 95 % bootstrap
     interval. Every row has the same optimizer, epochs and seed: recipes give input form, head and loss, not the learning
     rates of large models.
The table is OUTPUT/ablation.md. Nothing is chosen on dev. Once there is an encoder, several of these commands may run side by
side, each with one thread: a row is measured by the one that takes it first. The results are the same to the bit with any
number of threads, and small models make more of two processes than of two threads.

Usage: ablation.py --output FOLDER [--data FOLDER] [--layers 2] [--hidden 128] [--pretrain-steps 8000] [--epochs 3] [--lr 5e-4]
                   [--rows NAME;...] [--train-rows N] [--threads 2]
"""

import argparse
import contextlib
import fcntl
import json
import lzma
import time
from pathlib import Path

from bench_speed import data_folder

SEED = 42
BATCH = 32
ROW_TOKENS = 128
BASE = "typed-punct"
#: Of the vocabulary, where the form of that name adds tokens, which begin untrained.
LEVITATED_PUNCT = dict(input_form="template", input_template="{sentence}{levitated_markers:typed_marker_punct}")
#: Matching the Blanks (b).
SENTENCE_ALONE = dict(input_form="template", input_template="{sentence}", head="mention_pool")
#: Of wiki-ko, the last lines are held out.
HELD_OUT_LINES = 3000


def rows():
    """{name: how}. how: recipe; model, training, loss: over the recipe's; random: without pretraining; tenth: of the train
    rows one in ten, for as many updates."""
    import kluere

    loss = kluere.Loss
    table = {
        "baseline, report-1: [CLS], pair of entities": dict(recipe="baseline"),
        "baseline, random weights": dict(recipe="baseline", random=True),
        "klue-paper: [CLS], <subj> <obj>": dict(recipe="klue-paper-base"),
        "report-2: TAPT, prompt": dict(recipe="report-2", tapt=True),
        "report-2 without TAPT": dict(recipe="report-2"),
        "report-3: cascade": dict(recipe="report-3", cascade=True),
        "report-4": dict(recipe="report-4"),
        "report-5": dict(recipe="report-5"),
        "report-6": dict(recipe="report-6"),
        "mtb-f": dict(recipe="mtb-f"),
        "r-bert": dict(recipe="r-bert"),
        "typed-punct": dict(recipe=BASE),
        "typed-punct, random weights": dict(recipe=BASE, random=True),
        "typed-punct, TAPT": dict(recipe=BASE, tapt=True),
        "typed-punct, [CLS] alone": dict(recipe=BASE, model=dict(head="cls")),
        "typed-punct, [CLS] and entity starts": dict(recipe=BASE, model=dict(head="cls_entity_start")),
        "typed-punct, mentions pooled": dict(recipe=BASE, model=dict(head="mention_pool")),
        "no markers, mentions pooled": dict(recipe=BASE, model=dict(SENTENCE_ALONE)),
        "punct markers without types": dict(recipe=BASE, model=dict(input_form="entity_marker_punct")),
        "punct markers without types, random weights": dict(
            recipe=BASE, model=dict(input_form="entity_marker_punct"), random=True
        ),
        "typed-punct, a tenth of the rows": dict(recipe=BASE, tenth=True),
        "typed-punct, a tenth of the rows, random weights": dict(recipe=BASE, tenth=True, random=True),
        "levitated markers, typed": dict(recipe=BASE, model=dict(input_form="typed_levitated_marker")),
        "levitated markers, typed, TAPT": dict(
            recipe=BASE, model=dict(input_form="typed_levitated_marker"), tapt=True
        ),
        "levitated markers, typed punct": dict(recipe=BASE, model=dict(LEVITATED_PUNCT)),
        "levitated markers, typed punct, random weights": dict(recipe=BASE, model=dict(LEVITATED_PUNCT), random=True),
        "levitated markers, typed punct, TAPT": dict(recipe=BASE, model=dict(LEVITATED_PUNCT), tapt=True),
        "entity mask": dict(recipe=BASE, model=dict(input_form="entity_mask")),
        "typed-punct, label smoothing 0.1": dict(recipe=BASE, loss=loss(label_smoothing=0.1)),
        "typed-punct, focal, gamma 2": dict(recipe=BASE, loss=loss("focal", gamma=2)),
        "typed-punct, class weights sqrt": dict(recipe=BASE, loss=loss(class_weights="sqrt")),
        "typed-punct, LDAM": dict(recipe=BASE, loss=loss("ldam")),
        "typed-punct, R-Drop 1": dict(recipe=BASE, loss=loss(r_drop=1.0)),
        "typed-punct, multi-sample dropout 4": dict(recipe=BASE, training=dict(multi_sample_dropout=4)),
        "typed-punct, rates by depth 0.8": dict(recipe=BASE, training=dict(layer_decay=0.8)),
        "typed-punct, EMA 0.998": dict(recipe=BASE, training=dict(ema_decay=0.998, ema_warmup=True)),
        "typed-punct, SWA from 0.5": dict(recipe=BASE, training=dict(swa_start=0.5, swa_every=20)),
        "typed-punct, type mask in prediction": dict(recipe=BASE, types=dict(in_training=False)),
        "typed-punct, type mask in training too": dict(recipe=BASE, types=dict(in_training=True)),
        "typed-punct, a head for each pair of types": dict(recipe=BASE, pair_heads=True),
        "typed-punct, class weights of decoding": dict(recipe=BASE, decoding=dict(class_weights=True)),
    }
    return {name: {"name": name, **how} for name, how in table.items()}


class Run:
    def __init__(self, options, data):
        import kluere

        self.kluere, self.options, self.data = kluere, options, data
        self.output = Path(options.output)
        self.output.mkdir(parents=True, exist_ok=True)
        self.context = kluere.Context(threads=options.threads)
        self.tokenizer = kluere.Tokenizer(data / "tokenizers" / "klue-roberta", context=self.context)
        full = kluere.Dataset.read(data / "klue-re" / "klue-re-v1.1_train.json", context=self.context)
        self.train, self.held_out = full.split_stratified(0.1, seed=SEED)
        if options.train_rows:
            self.train = self.train[: options.train_rows]
        self.full = full
        self._dev = None

    @property
    def dev(self):
        if self._dev is None:
            path = self.data / "klue-re" / "klue-re-v1.1_dev.json"
            self._dev = self.kluere.Dataset.read(path, context=self.context)
        return self._dev

    # ---- the encoder

    def encoder(self):
        folder = self.output / "encoder" / "model"
        if not folder.exists():
            self._pretrain(folder)
        return folder

    def _pretrain(self, folder):
        from kluere.training_log import TrainingLog

        o = self.options
        text, held = self._wiki()
        how = dict(max_tokens=ROW_TOKENS, rows="pack")
        corpus = self.kluere.Corpus.read(text, self.tokenizer, **how)
        held_out = self.kluere.Corpus.read(held, self.tokenizer, **how)
        work = folder.parent
        if (work / "checkpoint-last").exists():
            trainer = self.kluere.MaskedLMTrainer.resume(work, corpus, held_out, context=self.context)
        else:
            model = self.kluere.Model.create(
                self.tokenizer, task="masked_lm", seed=SEED, context=self.context, layer_count=o.layers,
                hidden_size=o.hidden, head_count=max(2, o.hidden // 64), intermediate_size=4 * o.hidden,
            )
            work.mkdir(parents=True, exist_ok=True)
            trainer = self.kluere.MaskedLMTrainer(
                model, corpus, held_out, seed=SEED, max_steps=o.pretrain_steps, batch_sentences=BATCH, learning_rate=1e-3,
                warmup_ratio=0.05, weight_decay=0.01, evaluate_every=max(1, o.pretrain_steps // 20), output_directory=work,
            )
        begun = time.monotonic()
        trainer.run(TrainingLog(work), progress=True)
        seconds = time.monotonic() - begun
        figures = trainer.evaluate(held_out)
        (work / "facts.json").write_text(
            json.dumps({"seconds": seconds, "rows": len(corpus), **figures.as_dict()}), "utf-8"
        )
        trainer.export_model().save(folder)

    def _wiki(self):
        text, held = self.output / "wiki.txt", self.output / "wiki-held-out.txt"
        if not held.exists():
            with lzma.open(self.data / "wiki-ko" / "wiki-ko.txt.xz", "rt", encoding="utf-8") as packed:
                lines = packed.read().splitlines(True)
            text.write_text("".join(lines[:-HELD_OUT_LINES]), "utf-8")
            held.write_text("".join(lines[-HELD_OUT_LINES:]), "utf-8")
        return text, held

    def tapt(self, recipe):
        """The encoder, trained further on the sentences of the nine tenths."""
        from kluere.training_log import TrainingLog

        form = recipe.model.get("input_form", "sentence")
        work = self.output / f"tapt-{form}"
        folder = work / "model"
        if not folder.exists():
            work.mkdir(parents=True, exist_ok=True)
            model = self.kluere.Model.open(self.encoder(), task="masked_lm", context=self.context)
            corpus, held_out = (
                self.kluere.Corpus.from_datasets(rows, model.tokenizer, max_tokens=ROW_TOKENS)
                for rows in (self.train, self.held_out)
            )
            trainer = self.kluere.MaskedLMTrainer(
                model, corpus, held_out, seed=SEED, epochs=self.options.epochs, batch_sentences=BATCH, learning_rate=5e-4,
                evaluate_every=200,
            )
            trainer.run(TrainingLog(work), progress=True)
            trainer.export_model().save(folder)
        return folder

    # ---- a row

    def folder(self, how):
        return self.output / "rows" / "".join(c if c.isalnum() else "-" for c in how["name"])

    def start(self, how, recipe, labels):
        model = {**recipe.model, "max_tokens": ROW_TOKENS, **how.get("model", {})}
        if how.get("random"):
            o = self.options
            return self.kluere.Model.create(
                self.tokenizer, labels=labels, seed=SEED, context=self.context, layer_count=o.layers, hidden_size=o.hidden,
                head_count=max(2, o.hidden // 64), intermediate_size=4 * o.hidden, **model,
            )
        folder = self.tapt(recipe) if how.get("tapt") else self.encoder()
        return self.kluere.Model.open(folder, labels=labels, seed=SEED, context=self.context, **model)

    def trainer(self, how, recipe, model, train, held_out, folder):
        o = self.options
        often = 10 if how.get("tenth") else 1
        return self.kluere.Trainer(
            model, train, held_out, seed=SEED, epochs=often * o.epochs, evaluate_every=often * -(-len(train) // BATCH),
            batch_sentences=BATCH, learning_rate=o.lr, warmup_ratio=0.1, schedule="linear", weight_decay=0.01,
            group_by_length=True, best_metric="micro_f1", output_directory=folder, loss=how.get("loss", recipe.loss),
            **how.get("training", {}),
        )

    def measure(self, how):
        recipe = self.kluere.Recipe(how["recipe"])
        folder = self.folder(how)
        begun, worked = time.monotonic(), time.process_time()
        if how.get("cascade"):
            model = self._cascade(how, recipe, folder)
        else:
            model = self._single(how, recipe, folder)
        seconds, core_seconds = time.monotonic() - begun, time.process_time() - worked
        held = self._figures(model, self.held_out)
        dev = self._figures(model, self.dev)
        return {"name": how["name"], "seconds": seconds, "core_seconds": core_seconds, "held_out": held, "dev": dev}

    def _single(self, how, recipe, folder):
        train = self.train.split_stratified(0.1, seed=SEED)[1] if how.get("tenth") else self.train
        model = self.start(how, recipe, train.labels)
        if how.get("pair_heads"):
            model = model.with_pair_heads(train, seed=SEED)
        if "types" in how:
            model = model.with_type_mask(train, **how["types"])
        if (folder / "checkpoint-last").exists():
            trainer = self.kluere.Trainer.resume(folder, train, self.held_out, context=self.context)
        else:
            folder.mkdir(parents=True, exist_ok=True)
            trainer = self.trainer(how, recipe, model, train, self.held_out, folder)
        trainer.run(progress=True)
        best = self.kluere.Model.open(folder / "checkpoint-best", context=self.context)
        if "decoding" in how:
            best = best.with_decoding(self.kluere.fit_decoding(best, self.held_out, **how["decoding"])[0])
        return best

    def _cascade(self, how, recipe, folder):
        pipeline = recipe.pipeline

        def new(model, train, held_out, own):
            return self.trainer(how, recipe, model, train, held_out, own)

        self.kluere.train_cascade(
            folder, lambda labels: self.start(how, recipe, list(labels)), self.train, self.held_out, kind="cascade",
            pairs=[tuple(pair.split("-")) for pair in pipeline["pairs"]], threshold=pipeline["threshold"], trainer=new,
            settings={"recipe": recipe.name}, save="best", progress=True,
        )
        return self.kluere.Pipeline.open(folder, context=self.context)

    def _figures(self, model, rows):
        probabilities = model.predict(rows)
        truth = [int(label) for label in model.label_indices(rows)]
        figures = self.kluere.compute_metrics(probabilities, truth, label_names=model.labels)
        interval = self.kluere.bootstrap(probabilities, truth, ("micro_f1",), seed=SEED)["micro_f1"]
        return {
            "micro_f1": figures.micro_f1, "auprc": figures.auprc, "low": interval.low, "high": interval.high,
        }


def table(results, options, facts):
    lines = [
        f"{options.layers} layers x {options.hidden}, {options.epochs} epochs, learning rate {options.lr}, batch {BATCH},"
        f" seed {SEED}. Encoder: {options.pretrain_steps} updates of {BATCH} x {ROW_TOKENS} tokens of wiki-ko"
        f" in {facts['seconds'] / 60:.0f} minutes; perplexity {facts['perplexity']:.1f} on held-out text.",
        "",
        "| row | held out: micro-F1 | dev: micro-F1 [95 %] | dev: AUPRC | minutes | of one core |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for found in results:
        held, dev = found["held_out"], found["dev"]
        minutes, of_core = found["seconds"] / 60, found["core_seconds"] / 60
        lines.append(
            f"| {found['name']} | {100 * held['micro_f1']:.1f} | {100 * dev['micro_f1']:.1f}"
            f" [{100 * dev['low']:.1f}, {100 * dev['high']:.1f}] | {100 * dev['auprc']:.1f} | {minutes:.1f} | {of_core:.1f} |"
        )
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", required=True)
    parser.add_argument("--data")
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--pretrain-steps", type=int, default=8000)
    parser.add_argument("--epochs", type=float, default=3)
    parser.add_argument("--lr", type=float, default=5e-4)
    parser.add_argument("--rows", help="names that begin so, separated by semicolons (default: all)")
    parser.add_argument("--train-rows", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    run = Run(options, data_folder(parser, options.data))
    chosen = rows()
    if options.rows:
        starts = options.rows.split(";")
        chosen = {name: how for name, how in chosen.items() if any(name.startswith(start) for start in starts)}
    run.encoder()
    for how in chosen.values():
        with taken(run.folder(how)) as result:
            if result is None or result.exists():
                continue
            print(f"== {how['name']}", flush=True)
            result.write_text(json.dumps(run.measure(how), ensure_ascii=False), "utf-8")
        write_table(run, options)


@contextlib.contextmanager
def taken(folder):
    """The file for a row's result, held while another of these processes may not have it; None: one has."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.with_suffix(".lock"), "w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
        else:
            yield folder.with_suffix(".json")


def write_table(run, options):
    paths = [run.folder(how).with_suffix(".json") for how in rows().values()]
    results = [json.loads(path.read_text("utf-8")) for path in paths if path.exists()]
    (run.output / "results.json").write_text(json.dumps(results, indent=1, ensure_ascii=False), "utf-8")
    facts = json.loads((run.output / "encoder" / "facts.json").read_text("utf-8"))
    text = table(results, options, facts)
    (run.output / "ablation.md").write_text(text, "utf-8")
    print(text, flush=True)


if __name__ == "__main__":
    main()
