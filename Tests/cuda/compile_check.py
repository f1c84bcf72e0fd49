#!/usr/bin/env python3
"""Compiles every kernel file for every architecture with NVRTC, without a GPU, and lists registers; fails on errors,
warnings, spills and kernels that are missing from a cubin.

    compile_check.py [--folder FOLDER]... [--architectures sm_90,...] [--files norm,...]

NVRTC is looked for in the folders given and in the wheels nvidia-cuda-nvrtc (CUDA 13: sm_75 and later) and
nvidia-cuda-nvrtc-cu12 (sm_70) of this Python. An architecture without a library that knows it is an error.
"""
import argparse
import ctypes
import os
import pathlib
import re
import sys
import sysconfig
import time
from concurrent.futures import ProcessPoolExecutor

ROOT = pathlib.Path(__file__).resolve().parents[2]
KERNELS = ROOT / "Sources" / "CKluereCUDA" / "kernels"
FILES = ["attention", "attention_mma", "norm", "embedding", "elementwise", "loss", "optimizer", "selftest"]
ARCHITECTURES = ["sm_70", "sm_75", "sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120"]
HEADERS = ["device.cuh", "parameters.h"]
LIST_LINE = re.compile(r"K\((\w+), (kc_\w+)\)")
LIST_EACH = re.compile(r"KC_EACH_(TYPE|HALF)\(K, (\w+), (kc_\w+)\)")
USED = re.compile(r"Compiling entry function '(\w+)'.*?(\d+) bytes spill stores, (\d+) bytes spill loads.*?"
                  r"Used (\d+) registers", re.S)


def kernels_of(name, architecture):
    """What kernel_list.h promises of a file; bf16 from compute capability 8.0 on, tensor cores from 7.5 on."""
    text = (KERNELS / "kernel_list.h").read_text(encoding="utf-8")
    found = [kernel for file, kernel in LIST_LINE.findall(text) if file == name]
    for kinds, file, kernel in LIST_EACH.findall(text):
        if file == name:
            found += [f"{kernel}_{kind}" for kind in ("f32", "f16", "bf16") if kinds == "TYPE" or kind != "f32"]
    capability = int(architecture.removeprefix("sm_"))
    if capability < 75:
        found = [kernel for kernel in found if file_runs_on(kernel, capability)]
    return {kernel for kernel in found if capability >= 80 or "bf16" not in kernel}


def file_runs_on(kernel, capability):
    return capability >= 75 or not re.search(r"_mma|selftest", kernel)


def library_folders(given):
    site = pathlib.Path(sysconfig.get_paths()["purelib"]) / "nvidia"
    return [pathlib.Path(folder) for folder in given] + [site / "cu13" / "lib", site / "cuda_nvrtc" / "lib"]


class NVRTC:
    def __init__(self, path):
        self.path = path
        for builtins in path.parent.glob("libnvrtc-builtins.so.*"):
            ctypes.CDLL(str(builtins))  # some wheels have no search path to it
        self.library = ctypes.CDLL(str(path))
        count = ctypes.c_int()
        self.library.nvrtcGetNumSupportedArchs(ctypes.byref(count))
        known = (ctypes.c_int * count.value)()
        self.library.nvrtcGetSupportedArchs(known)
        self.architectures = {f"sm_{number}" for number in known}
        major, minor = ctypes.c_int(), ctypes.c_int()
        self.library.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor))
        self.version = f"{major.value}.{minor.value}"

    def compile(self, name, architecture):
        """The status, the log and the cubin."""
        sources = [(KERNELS / header).read_bytes() for header in HEADERS]
        program, size = ctypes.c_void_p(), ctypes.c_size_t()
        strings = lambda values: (ctypes.c_char_p * len(values))(*values)  # noqa: E731
        options = [b"--gpu-architecture=" + architecture.encode(), b"--std=c++17", b"--ptxas-options=-v"]
        self.library.nvrtcCreateProgram(
            ctypes.byref(program), (KERNELS / f"{name}.cu").read_bytes(), f"{name}.cu".encode(), len(HEADERS),
            strings(sources), strings([header.encode() for header in HEADERS]))
        status = self.library.nvrtcCompileProgram(program, len(options), strings(options))
        self.library.nvrtcGetProgramLogSize(program, ctypes.byref(size))
        log = ctypes.create_string_buffer(size.value)
        self.library.nvrtcGetProgramLog(program, log)
        cubin = b""
        if status == 0:
            self.library.nvrtcGetCUBINSize(program, ctypes.byref(size))
            buffer = ctypes.create_string_buffer(size.value)
            self.library.nvrtcGetCUBIN(program, buffer)
            cubin = buffer.raw
        self.library.nvrtcDestroyProgram(ctypes.byref(program))
        return status, log.value.decode(errors="replace"), cubin


def open_libraries(folders):
    paths = [path for folder in folders for path in sorted(folder.glob("libnvrtc.so.*"))]
    return [NVRTC(path) for path in paths]


LOADED = {}


def check(job):
    """One file for one architecture: lines to print and problems."""
    path, name, architecture = job
    if path not in LOADED:
        LOADED[path] = NVRTC(pathlib.Path(path))
    began = time.perf_counter()
    status, log, cubin = LOADED[path].compile(name, architecture)
    seconds = time.perf_counter() - began
    if status:
        return "", [f"{name}.cu for {architecture}: NVRTC status {status}\n{log[:4000]}"]
    problems, registers = [], []
    for kernel, stores, loads, used in USED.findall(log):
        registers.append(f"{kernel.removeprefix('kc_')}:{used}")
        if int(stores) or int(loads):
            problems.append(f"{name}.cu for {architecture}: {kernel} spills {stores} bytes and reads {loads} back")
    problems += [f"{name}.cu for {architecture}: {line.strip()}" for line in log.splitlines()
                 if "warning" in line and "deprecated" not in line]
    made = {kernel.split(":")[0] for kernel in registers}
    for kernel in sorted(kernels_of(name, architecture)):
        if kernel.removeprefix("kc_") not in made:
            problems.append(f"{name}.cu for {architecture}: {kernel} of kernel_list.h is missing")
    line = f"{name:<14} {architecture:<7} {seconds:5.1f} s {len(cubin):7d} bytes  {' '.join(registers)}"
    return line, problems


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", action="append", default=[])
    parser.add_argument("--architectures", default=",".join(ARCHITECTURES))
    parser.add_argument("--files", default=",".join(FILES))
    options = parser.parse_args()
    libraries = open_libraries(library_folders(options.folder))
    for library in libraries:
        print(f"NVRTC {library.version}")
    jobs = []
    for architecture in options.architectures.split(","):
        fitting = [library for library in libraries if architecture in library.architectures]
        if not fitting:
            sys.exit(f"no NVRTC that knows {architecture} among {[str(library.path) for library in libraries]}")
        jobs += [(str(fitting[0].path), name, architecture) for name in options.files.split(",")]
    problems = []
    with ProcessPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
        for line, found in pool.map(check, jobs):
            if line:
                print(line, flush=True)
            problems += found
    if problems:
        sys.exit("\n".join(problems))
    print(f"compile check: {len(jobs)} cubins, no spills")


if __name__ == "__main__":
    main()
