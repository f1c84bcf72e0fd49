"""One engine from nothing to its first answer, in a process of its own: bench_load.py starts it and reads its last line.

load_child.py ENGINE BEGUN SETTINGS. BEGUN: the starter's clock (time.monotonic, the same for all processes) before it
started this one, so that the interpreter's own start counts. Nothing is imported here that one of the engines does not need.
"""

import json
import sys
import time

TEXT = "이순신은 조선 중기의 무신이다."
SUBJECT, OBJECT = (0, 3, "PER"), (5, 7, "LOC")


def run_kluere(settings):
    """The likeliest label, which needs no NumPy."""
    model, example = open_kluere(settings)
    (label, first), (_, second) = model.best(example, top=2)
    return model.labels.index(label), first, second


def run_kluere_table(settings):
    """All probabilities as a NumPy array."""
    model, example = open_kluere(settings)
    return two_largest(model.predict(example))


def open_kluere(settings):
    import kluere

    model = kluere.Model.open(settings["model"], context=kluere.Context(threads=settings["threads"]))
    return model, kluere.Example(TEXT, SUBJECT, OBJECT)


def run_transformers(settings):
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    torch.set_num_threads(settings["threads"])
    tokenizer = AutoTokenizer.from_pretrained(settings["model"])
    model = AutoModelForSequenceClassification.from_pretrained(settings["model"]).eval()
    with torch.inference_mode():
        tokenizer(TEXT)  # its work belongs to the time; the model gets the ids that kluere's input form makes
        logits = model(input_ids=torch.tensor([settings["ids"]])).logits
        return two_largest(torch.softmax(logits, 1)[0].numpy())


def run_onnxruntime(settings):
    return run_onnx(settings, "model.onnx", optimized=False)


def run_onnxruntime_optimized(settings):
    """The graph as the session left it behind in an earlier run: nothing is left to do for its optimizer."""
    return run_onnx(settings, "optimized.onnx", optimized=True)


def run_onnx(settings, name, optimized):
    import numpy
    import onnxruntime
    from tokenizers import Tokenizer

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = settings["threads"]
    if optimized:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    elif settings.get("write_optimized"):
        options.optimized_model_filepath = settings["onnx"] + "/optimized.onnx"
    tokenizer = Tokenizer.from_file(settings["onnx"] + "/tokenizer.json")
    session = onnxruntime.InferenceSession(settings["onnx"] + "/" + name, options, providers=["CPUExecutionProvider"])
    tokenizer.encode(TEXT)  # as above
    ids = numpy.array([settings["ids"]])
    logits = session.run(None, {"input_ids": ids, "attention_mask": numpy.ones_like(ids)})[0][0]
    powers = numpy.exp(logits - logits.max())
    return two_largest(powers / powers.sum())


def two_largest(row):
    """The likeliest label's number, its probability, and the next one's."""
    first, second = sorted(map(float, row))[:-3:-1]
    return [float(value) for value in row].index(first), first, second


def main():
    engine, begun, settings = sys.argv[1:]
    answer = globals()[f"run_{engine}"](json.loads(settings))
    seconds = time.monotonic() - float(begun)
    # Not ru_maxrss: that begins with what the starter had.
    with open("/proc/self/status", encoding="ascii") as status:
        peak = next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM:"))
    print(json.dumps(dict(seconds=seconds, answer=answer, peak=peak)))


if __name__ == "__main__":
    main()
