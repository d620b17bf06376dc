"""Puts the compiled kernel of the solver into wheels; everything else about the project is in pyproject.toml."""

import runpy
from pathlib import Path

from setuptools import setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

COMPILER = "homeostat/ode/compiler.py"
PREBUILT = "homeostat/ode/native/prebuilt"


class BuildWithKernel(build_py):
    """Compiles the kernel into the wheel where there is a compiler; an editable install compiles it on first use."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            compiler = runpy.run_path(str(Path("src", COMPILER)))
            kernels = compiler["package"](Path(self.build_lib, PREBUILT))
            print(f"kernels in this wheel: {[path.name for path in kernels] or 'none'}")  # noqa: T201  a build script


class WheelForOneSystem(bdist_wheel):
    """A wheel with a kernel is for one kind of processor, but for every version of Python."""

    def finalize_options(self) -> None:
        super().finalize_options()
        self.root_is_pure = False

    def get_tag(self) -> tuple[str, str, str]:
        return "py3", "none", super().get_tag()[2]


setup(cmdclass={"build_py": BuildWithKernel, "bdist_wheel": WheelForOneSystem})
