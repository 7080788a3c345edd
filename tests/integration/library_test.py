"""The C++ library as others install it: a program outside this tree is built with it, by CMake and by pkg-config."""
import os
import shutil
import subprocess
import unittest

from tests.integration.gateway import TestCase

BUILD = os.path.dirname(os.path.dirname(os.environ["MMSMO_COMMAND"]))
EXAMPLE = "client/examples/installed"


def run(*command, **environment):
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env={**os.environ, **environment})
    assert done.returncode == 0, f"{command}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout


@unittest.skipIf(os.environ["MMSMO_SANITIZER"], "what has sanitizers is not for others")
class LibraryTest(TestCase):
    def setUp(self):
        super().setUp()
        self.prefix = os.path.join(self.directory, "installed")
        run("cmake", "--install", BUILD, "--component", "library", "--prefix", self.prefix)
        self.libraries = os.path.dirname(self.found("libmmsmo.so"))
        self.source = shutil.copytree(EXAMPLE, os.path.join(self.directory, "example"))

    def found(self, name):
        return next(os.path.join(folder, name) for folder, _, files in os.walk(self.prefix) if name in files)

    def test_cmake(self):
        build = os.path.join(self.source, "build")
        run("cmake", "-S", self.source, "-B", build, "-DCMAKE_PREFIX_PATH=" + self.prefix)
        run("cmake", "--build", build)
        self.consumes(os.path.join(build, "consumer"))

    def test_pkg_config(self):
        flags = run("pkg-config", "--cflags", "--libs", "mmsmo",
                    PKG_CONFIG_PATH=os.path.dirname(self.found("mmsmo.pc"))).split()
        consumer = os.path.join(self.source, "consumer")
        run("c++", os.path.join(self.source, "consumer.cc"), "-o", consumer, *flags)
        self.consumes(consumer)

    def consumes(self, consumer):
        server = self.gateway()
        self.accepted(server, "L1")
        self.assertEqual(server.mmsmo("subscription", "create", "orders", "--from", "earliest").returncode, 0)
        self.assertEqual(run(consumer, server.grpc, "orders", LD_LIBRARY_PATH=self.libraries), "L1\n")
        self.assertIn("libmmsmo.so.0.1", run("ldd", consumer, LD_LIBRARY_PATH=self.libraries))


if __name__ == "__main__":
    unittest.main()
