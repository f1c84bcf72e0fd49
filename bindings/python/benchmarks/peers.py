"""Inference engines that kluere is compared with, all from one saved folder of RobertaForSequenceClassification.

open_peer(name, ...) gives a function: rows of token ids -> logits [rows, labels]. A peer pads a call's rows to the longest, or
does not where it can work without. export(...) makes the files that engines other than PyTorch need; it takes minutes at
base size.
"""

import os
import shutil
import warnings
from pathlib import Path

import numpy as np

from engines import SIZES

#: Every engine by what its products are made of.
FLOAT32 = ["torch-eager", "torch-sdpa", "torch-compile", "onnxruntime", "onnxruntime-fused", "ctranslate2"]
INT8 = ["torch-int8", "onnxruntime-int8", "onnxruntime-fused-int8", "ctranslate2-int8"]

_ONNX = {
    "onnxruntime": "model.onnx",
    "onnxruntime-fused": "fused.onnx",
    "onnxruntime-int8": "model.int8.onnx",
    "onnxruntime-fused-int8": "fused.int8.onnx",
}


def quiet():
    """The peers warn of much; none of it is about speed."""
    warnings.filterwarnings("ignore")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def padded_arrays(rows, pad):
    length = max(map(len, rows))
    ids = np.full((len(rows), length), pad, np.int64)
    mask = np.zeros((len(rows), length), np.int64)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = row
        mask[i, : len(row)] = 1
    return ids, mask


def torch_model(folder, attention):
    from transformers import AutoModelForSequenceClassification

    return AutoModelForSequenceClassification.from_pretrained(folder, attn_implementation=attention)


# ---- files for the engines


def export(model, folder, size):
    """ONNX files, as PyTorch exports them and as onnxruntime fuses them, each also quantized; a CTranslate2 folder."""
    quiet()
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    encoder = torch_model(model, "eager").eval()
    _export_onnx(encoder, folder, size)
    _export_ctranslate2(model, encoder, folder / "ctranslate2")
    return {}


def export_graph(model, path):
    """The ONNX file as PyTorch exports it."""
    import torch

    class Logits(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, input_ids, attention_mask):
            return self.model(input_ids=input_ids, attention_mask=attention_mask).logits

    ids, mask = padded_arrays([list(range(3, 19)), list(range(3, 14))], model.config.pad_token_id)
    names = ["input_ids", "attention_mask"]
    torch.onnx.export(
        Logits().eval(), (torch.from_numpy(ids), torch.from_numpy(mask)), str(path), input_names=names,
        output_names=["logits"], dynamic_axes={**{name: {0: "b", 1: "t"} for name in names}, "logits": {0: "b"}},
        opset_version=17, dynamo=False,
    )


def _export_onnx(model, folder, size):
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.transformers import optimizer
    from onnxruntime.transformers.fusion_options import FusionOptions

    export_graph(model, folder / "model.onnx")
    _, hidden, heads, _ = SIZES[size]
    fused = optimizer.optimize_model(
        str(folder / "model.onnx"), model_type="bert", num_heads=heads, hidden_size=hidden,
        optimization_options=FusionOptions("bert"), opt_level=1, use_gpu=False,
    )
    fused.save_model_to_file(str(folder / "fused.onnx"))
    for name in ("model", "fused"):
        # reduce_range: 7-bit weights, which onnxruntime asks for on processors without VNNI.
        quantize_dynamic(
            str(folder / f"{name}.onnx"), str(folder / f"{name}.int8.onnx"), weight_type=QuantType.QInt8, per_channel=True,
            reduce_range=True, op_types_to_quantize=["MatMul", "Attention", "Gemm", "FusedMatMul"],
            extra_options={"DefaultTensorType": 1},
        )


def _export_ctranslate2(model_folder, model, folder):
    """By hand: the converter's command line wants a tokenizer's files, which an encoder does not need."""
    import ctranslate2.converters.transformers as converters

    encoder = model.roberta
    encoder.config.position_embedding_type = "absolute"
    spec = converters.RobertaLoader().get_model_spec(encoder)
    size = model.config.vocab_size
    spec.register_vocabulary(["<s>", "<pad>", "</s>"] + [f"t{i}" for i in range(size - 3)])
    spec.config.unk_token, spec.config.bos_token, spec.config.eos_token = "t0", "<s>", "</s>"
    spec.config.layer_norm_epsilon = model.config.layer_norm_eps
    spec.validate()
    spec.optimize(quantization=None)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    spec.save(str(folder))


# ---- the engines


def open_peer(name, model, exported, threads):
    """rows -> logits as a numpy array."""
    quiet()
    if name.startswith("torch"):
        return _open_torch(name, model, threads)
    if name.startswith("onnxruntime"):
        return _open_onnxruntime(Path(exported) / _ONNX[name], threads)
    return _open_ctranslate2(name, model, Path(exported) / "ctranslate2", threads)


def _open_torch(name, folder, threads):
    import torch

    torch.set_num_threads(threads)
    model = torch_model(folder, "eager" if name == "torch-eager" else "sdpa").eval()
    pad = model.config.pad_token_id
    # Compiled code cannot be recorded in inference mode.
    context = torch.no_grad if name == "torch-compile" else torch.inference_mode
    if name == "torch-int8":
        model = torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear}, dtype=torch.qint8)
    if name == "torch-compile":
        model = torch.compile(model, dynamic=True)

    def logits(rows):
        ids, mask = padded_arrays(rows, pad)
        with context():
            return model(input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask)).logits.numpy()

    return logits


def _open_onnxruntime(path, threads):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def logits(rows):
        ids, mask = padded_arrays(rows, 1)
        return session.run(None, {"input_ids": ids, "attention_mask": mask})[0]

    return logits


def _open_ctranslate2(name, folder, converted, threads):
    """Its encoder; the head's two products, some rows of them, are numpy's."""
    import ctranslate2
    from safetensors.numpy import load_file

    kind = "int8_float32" if name.endswith("int8") else "float32"
    encoder = ctranslate2.Encoder(str(converted), device="cpu", compute_type=kind, inter_threads=1, intra_threads=threads)
    weights = load_file(Path(folder) / "model.safetensors")
    dense, dense_bias, out, out_bias = (
        weights[f"classifier.{name}"].copy() for name in ("dense.weight", "dense.bias", "out_proj.weight", "out_proj.bias")
    )
    del weights

    def logits(rows):
        states = np.array(encoder.forward_batch(rows).last_hidden_state)[:, 0]
        return np.tanh(states @ dense.T + dense_bias) @ out.T + out_bias

    return logits
