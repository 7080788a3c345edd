"""Each library is installed from its artefact into a project outside the tree, whose test handles a message with it.

MMSMO_RELEASE is where script/release has put them, MMSMO_VERSION their version, and MMSMO_GATEWAY a gateway. What the
libraries need themselves comes from the languages' registries.
"""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
import zipfile

ROOT = os.getcwd()
RELEASE = os.environ["MMSMO_RELEASE"]
VERSION = os.environ["MMSMO_VERSION"]
MODULE = "github.com/mmsmo/mmsmo-gateway/client/go"
# What would lead a language back into the tree, or to other versions than it chooses.
LEADS = ("PYTHONPATH", "NODE_PATH", "NODE_OPTIONS", "CLASSPATH", "GOFLAGS", "GOWORK")
ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in LEADS}


def needs(language):
    has = subprocess.run(["script/has", language]).returncode == 0
    return unittest.skipUnless(has, f"script/has finds no toolchain for {language}")


class ArtefactTest(unittest.TestCase):
    def project(self, language):
        """The project as a folder of its own, in which everything is run from then on."""
        directory = tempfile.mkdtemp(prefix="mmsmo-release-")
        self.addCleanup(shutil.rmtree, directory)
        source = os.path.join("tests/release/projects", language)
        self.directory = shutil.copytree(source, os.path.join(directory, "billing"))

    def run_there(self, *command, **environment):
        done = subprocess.run(command, cwd=self.directory, env={**ENVIRONMENT, **environment}, text=True, timeout=600,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertEqual(done.returncode, 0, f"{' '.join(command)}:\n{done.stdout[-5000:]}")
        return done.stdout

    def python(self, artefact):
        self.project("python")
        self.run_there(sys.executable, "-m", "venv", "venv")
        python = os.path.join(self.directory, "venv/bin/python")
        self.run_there(python, "-m", "pip", "install", "-q", os.path.join(RELEASE, "python", artefact), "pytest==8.3.4")
        where = self.run_there(python, "-c", "import mmsmo; print(mmsmo.__file__)")
        self.assertIn(os.path.join(self.directory, "venv"), where)
        self.assertIn("1 passed", self.run_there(python, "-m", "pytest", "-q", "test_message.py"))

    def test_wheel(self):
        self.python(f"mmsmo-{VERSION}-py3-none-any.whl")

    def test_sdist(self):
        self.python(f"mmsmo-{VERSION}.tar.gz")

    @needs("node")
    def test_npm(self):
        self.project("node")
        tarball = os.path.join(RELEASE, "npm", f"mmsmo-gateway-client-{VERSION}.tgz")
        self.run_there("npm", "install", "--no-fund", "--no-audit", tarball, "typescript@5.9.3", "@types/node@20.19.43")
        self.run_there("node_modules/.bin/tsc")
        self.assertIn("# pass 1\n", self.run_there("node", "--test", "--test-reporter=tap", "message.test.js"))

    @needs("java")
    def test_maven(self):
        self.project("java")
        repository = os.path.join(ROOT, "build/tools/release-maven")
        shutil.rmtree(os.path.join(repository, "io/github/mmsmo"), ignore_errors=True)
        done = self.run_there("mvn", "-B", "-Dmaven.repo.local=" + repository, "test")
        self.assertIn("Tests run: 1, Failures: 0, Errors: 0, Skipped: 0", done)
        for kind, file in {"sources": "Subscriber.java", "javadoc": "Subscriber.html"}.items():
            jar = f"maven/io/github/mmsmo/mmsmo-gateway-client/{VERSION}/mmsmo-gateway-client-{VERSION}-{kind}.jar"
            with zipfile.ZipFile(os.path.join(RELEASE, jar)) as files:
                names = files.namelist()
            self.assertTrue([name for name in names if name.endswith("io/github/mmsmo/gateway/" + file)], jar)

    @needs("go")
    def test_go(self):
        """By the tag, from a clone that stands for the repository."""
        self.project("go")
        clone = os.path.join(os.path.dirname(self.directory), "clone")
        subprocess.run(["git", "clone", "-q", ROOT, clone], check=True)
        subprocess.run(["git", "-C", clone, "tag", "--force", f"client/go/v{VERSION}"], check=True,
                       stdout=subprocess.DEVNULL)
        environment = {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"url.file://{clone}.insteadOf",
            "GIT_CONFIG_VALUE_0": "https://github.com/mmsmo/mmsmo-gateway",
            "GOPRIVATE": MODULE,
            "GOVCS": "*:git",
            # Since the clone is another each time, the module is not kept for the next.
            "GOMODCACHE": os.path.join(os.path.dirname(self.directory), "modules"),
            "GOFLAGS": "-modcacherw",
        }
        self.run_there("go", "mod", "init", "example.com/billing")
        self.run_there("go", "get", f"{MODULE}@v{VERSION}", **environment)
        self.run_there("go", "mod", "tidy", **environment)
        where = self.run_there("go", "list", "-m", "-f", "{{.Version}} {{.Dir}}", MODULE, **environment)
        self.assertEqual(where.strip(), f"v{VERSION} {environment['GOMODCACHE']}/{MODULE}@v{VERSION}")
        self.assertIn("LICENSE", os.listdir(where.split()[1]))
        self.assertIn("--- PASS: TestAMessageIsHandled", self.run_there("go", "test", "-v", "./...", **environment))


if __name__ == "__main__":
    unittest.main()
