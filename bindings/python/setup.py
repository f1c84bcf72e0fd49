"""Only the wheel's tag: no compiled Python module, but a platform's library when kluere/lib holds one."""

from pathlib import Path

from setuptools import setup
from setuptools.command.bdist_wheel import bdist_wheel

HAS_LIBRARY = any((Path(__file__).parent / "kluere" / "lib").glob("libkluere.*"))


class Wheel(bdist_wheel):
    def finalize_options(self):
        super().finalize_options()
        self.root_is_pure = not HAS_LIBRARY

    def get_tag(self):
        _, _, platform = super().get_tag()
        # One library serves every Python: ctypes needs no Python ABI. Its newest glibc symbol is of 2.34.
        if HAS_LIBRARY and platform.startswith("linux_"):
            platform = platform.replace("linux_", "manylinux_2_35_", 1)
        return "py3", "none", platform


setup(cmdclass={"bdist_wheel": Wheel})
