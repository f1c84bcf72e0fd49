#!/usr/bin/env python3
"""Compares driver_api.h with NVIDIA's headers, taken from the Python packages that carry them.

    check_api.py FOLDER [--cublas]

Packages are kept in FOLDER. cuda.h and nvrtc.h come from nvidia-cuda-runtime and nvidia-cuda-nvrtc (60 MB); cublasLt.h
is in nvidia-cublas alone (430 MB), and is compared only with --cublas, or if the package is in FOLDER. Without a way to
get the packages nothing is compared, which it says.
"""
import pathlib
import subprocess
import sys
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
TARGET = HERE.parents[1] / "Sources/CKluereCUDA"
# Runtime, compiler, products; the versions with which they were last compared.
RELEASES = {"13": ("nvidia-cuda-runtime", "nvidia-cuda-nvrtc", "nvidia-cuda-crt", "nvidia-cublas"),
            "12": ("nvidia-cuda-runtime-cu12", "nvidia-cuda-nvrtc-cu12", None, "nvidia-cublas-cu12")}


def package(folder, name, fetch=True):
    """Path of the package, or None."""
    pattern = f"{name.replace('-', '_')}-[0-9]*.whl"
    found = sorted(folder.glob(pattern))
    if not found and fetch:
        subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
                        "--only-binary", ":all:", "--dest", str(folder), name], stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        found = sorted(folder.glob(pattern))
    return found[-1] if found else None


def unpack_headers(wheel, folder):
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if "/include/" in name and not name.endswith("/"):
                target = folder / name.split("/include/", 1)[1]
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(archive.read(name))


def compare(folder, release, names, with_cublas):
    runtime, nvrtc, crt, cublas = names
    wheels = [package(folder, runtime), package(folder, nvrtc)]
    if None in wheels:
        return f"CUDA {release}: not compared, {runtime} or {nvrtc} cannot be had"
    product = package(folder, cublas, fetch=with_cublas)
    if with_cublas and product is None:
        return f"CUDA {release}: not compared, {cublas} cannot be had"
    if crt and product:
        wheels.append(package(folder, crt))
    include = folder / f"include-{release}"
    for wheel in filter(None, wheels + [product]):
        unpack_headers(wheel, include)
    command = ["cc", "-std=c17", "-fsyntax-only", "-Wall", "-Werror", f"-I{include}", f"-I{TARGET}"]
    command += ["-DWITH_CUBLAS"] if product else []
    command.append(str(HERE / "check_api.c"))
    run = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if run.returncode:
        sys.exit(f"driver_api.h differs from CUDA {release}:\n{run.stderr}")
    return f"CUDA {release}: the same as cuda.h, nvrtc.h" + (", cublasLt.h" if product else "")


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for release, names in RELEASES.items():
        print(compare(folder, release, names, "--cublas" in sys.argv[2:]))


if __name__ == "__main__":
    main()
