"""A few updates and predictions of a small model in each precision, for compute-sanitizer."""

import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import gpu_data  # noqa: E402
import kluere  # noqa: E402

context = kluere.Context(device=sys.argv[1] if len(sys.argv) > 1 else "cuda")
context.selftest()
with tempfile.TemporaryDirectory() as folder:
    model = gpu_data.create_model(Path(folder) / "tokenizer", "tiny", context)
    rows = gpu_data.create_dataset([20, 65, 130, 17, 64, 33, 90, 12], model.labels, context)
    for precision in ("float32", "tf32", "bfloat16", "float16"):
        trainer = kluere.Trainer(model, rows, precision=precision, max_steps=2, batch_sentences=4)
        print(precision, [info.loss for info in trainer.steps()])
        for _ in range(3):
            kluere.Predictor(model, precision=precision).predict(rows)
