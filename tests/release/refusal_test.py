"""What script/release refuses before it builds anything, in a clone."""
import os
import shutil
import subprocess
import tempfile
import unittest

VERSION = os.environ["MMSMO_VERSION"]


class RefusalTest(unittest.TestCase):
    def setUp(self):
        self.clone = tempfile.mkdtemp(prefix="mmsmo-refusal-")
        self.addCleanup(shutil.rmtree, self.clone)
        subprocess.run(["git", "clone", "-q", "--no-tags", os.getcwd(), self.clone], check=True)

    def git(self, *arguments):
        who = ("-c", "user.name=nobody", "-c", "user.email=nobody@example.com")
        subprocess.run(["git", "-C", self.clone, *who, *arguments], check=True, stdout=subprocess.DEVNULL)

    def refused(self, why):
        done = subprocess.run([os.path.join(self.clone, "script/release")], capture_output=True, text=True, timeout=60)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn(why, done.stderr)
        self.assertFalse(os.path.exists(os.path.join(self.clone, "build")))

    def test_what_is_in_no_commit(self):
        with open(os.path.join(self.clone, "LICENSE"), "a") as file:
            file.write("\n")
        self.refused("there are changes that are in none")

    def test_a_version_that_is_tagged_already(self):
        for tag in (f"v{VERSION}", f"client/go/v{VERSION}"):
            self.git("tag", tag)
            self.git("commit", "--allow-empty", "-m", "another")
            self.refused(f"{tag} is another commit")
            self.git("tag", "--delete", tag)

    def test_two_versions(self):
        pom = os.path.join(self.clone, "client/java/pom.xml")
        with open(pom) as file:
            text = file.read()
        with open(pom, "w") as file:
            file.write(text.replace(f"<version>{VERSION}</version>", "<version>98.7.6</version>", 1))
        self.git("commit", "-a", "-m", "another version")
        self.refused("but client/java/pom.xml 98.7.6")


if __name__ == "__main__":
    unittest.main()
