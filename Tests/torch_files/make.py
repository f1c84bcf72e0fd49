"""Writes the small files of torch.save in this folder and golden.json, which says what is in them.

Usage: python make.py (torch 2.13 made the committed ones)
"""

import io
import json
import pickle
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path

import torch

HERE = Path(__file__).resolve().parent


def tensors():
    torch.manual_seed(1)
    base = torch.randn(6, 5)
    state = OrderedDict()
    state["plain"] = base
    state["tied"] = base
    state["transposed"] = base.t()
    state["part"] = base[1:5:2, 1:4]
    state["half"] = torch.tensor([0.0, -0.0, 1.5, 65504.0, 6e-8, float("inf")], dtype=torch.float16)
    state["brain"] = torch.randn(3, 2).to(torch.bfloat16)
    state["double"] = torch.tensor([1 / 3, 1e-300], dtype=torch.float64)
    state["positions"] = torch.arange(4).expand((1, -1))
    state["scalar"] = torch.tensor(2.5)
    state["empty"] = torch.zeros(0, 3)
    state["cube"] = torch.randn(2, 3, 4).permute(2, 0, 1)
    state["parameter"] = torch.nn.Parameter(torch.randn(2))
    state._metadata = OrderedDict(version=1)
    return state


def golden(state):
    return {
        name: dict(
            shape=list(value.shape),
            type=str(value.dtype).removeprefix("torch."),
            values=None if value.dtype == torch.int64 else [struct.pack("<f", x).hex() for x in
                                                            value.detach().float().flatten().tolist()],
        )
        for name, value in state.items()
    }


class Evil:
    def __reduce__(self):
        return (print, ("never",))


def resaved(data, change):
    """The same zip with its entries changed: change(name, bytes, info) returns bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for info in old.infolist():
            content = change(info.filename, old.read(info), info)
            new.writestr(info, content, compress_type=info.compress_type)
    return out.getvalue()


def main():
    state = tensors()
    for name, keywords in {
        "zip.bin": {},
        "zip_protocol4.bin": dict(pickle_protocol=4),
        "zip_protocol5.bin": dict(pickle_protocol=5),
        "legacy.bin": dict(_use_new_zipfile_serialization=False),
        "legacy_protocol4.bin": dict(_use_new_zipfile_serialization=False, pickle_protocol=4),
    }.items():
        torch.save(state, HERE / name, **keywords)
    torch.save({"epoch": 3, "state_dict": state, "optimizer": {"lr": 0.1}}, HERE / "nested.bin")
    torch.save({"epoch": 3, "note": Evil()}, HERE / "evil.bin")
    torch.save({"epoch": 3, "note": Evil()}, HERE / "evil_legacy.bin", _use_new_zipfile_serialization=False)
    data = (HERE / "zip.bin").read_bytes()

    def compress(name, content, info):
        info.compress_type = zipfile.ZIP_DEFLATED
        return content

    (HERE / "compressed.bin").write_bytes(resaved(data, compress))
    (HERE / "big_endian.bin").write_bytes(
        resaved(data, lambda name, content, info: b"big" if name.endswith("byteorder") else content)
    )
    (HERE / "cut_storage.bin").write_bytes(
        resaved(data, lambda name, content, info: content[:-4] if name.endswith("/data/0") else content)
    )
    (HERE / "golden.json").write_text(json.dumps(golden(state), indent=1) + "\n")
    # The reader in Swift never runs a pickle; this script checks that the evil ones are evil.
    assert pickle.dumps(Evil())


if __name__ == "__main__":
    main()
