"""script/version, in a copy of the tree."""
import os
import re
import shutil
import subprocess
import tempfile
import unittest


class VersionTest(unittest.TestCase):
    def setUp(self):
        self.tree = tempfile.mkdtemp(prefix="mmsmo-version-")
        self.addCleanup(shutil.rmtree, self.tree)
        archive = subprocess.run(["git", "archive", "HEAD"], check=True, capture_output=True).stdout
        subprocess.run(["tar", "-xC", self.tree], check=True, input=archive)

    def version(self, *arguments):
        done = subprocess.run([os.path.join(self.tree, "script/version"), *arguments], capture_output=True, text=True)
        return done.returncode, done.stdout, done.stderr

    def change(self, file, before, after):
        path = os.path.join(self.tree, file)
        with open(path) as opened:
            text = opened.read()
        self.assertIn(before, text)
        with open(path, "w") as opened:
            opened.write(text.replace(before, after))

    def test_it_is_written_into_all_but_the_changelog(self):
        old = self.version()[1].strip()
        code, _, said = self.version("98.7.6")
        self.assertEqual((code, said), (1, f"script/version: version.h says 98.7.6, but deploy/debian/changelog {old}\n"))
        self.change("deploy/debian/changelog", f"({old}-1)", "(98.7.6-1)")
        self.assertEqual(self.version(), (0, "98.7.6\n", ""))

    def test_another_version_in_any_file_is_said(self):
        _, old, _ = self.version()
        with open(os.path.join(self.tree, "script/version")) as file:
            places = re.findall(r"^((?:\w+/)*[\w.-]+) \S", file.read().split("<<'END'\n")[1].split("\nEND\n")[0], re.MULTILINE)
        self.assertGreater(len(places), 10)
        for place in places:
            with self.subTest(place):
                self.change(place, old.strip(), "98.7.6")
                code, _, said = self.version()
                self.assertEqual(code, 1)
                self.assertIn("98.7.6", said)
                self.change(place, "98.7.6", old.strip())

    def test_only_versions_are_taken(self):
        for wrong in ("1.2", "v1.2.3", "1.2.3-rc1"):
            self.assertEqual(self.version(wrong)[0], 2, wrong)


if __name__ == "__main__":
    unittest.main()
