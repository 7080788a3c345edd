"""Stubs of the wire contract, in the languages whose generators Debian has; script/generate fetches the others'."""
import os
import shutil
import subprocess
import tempfile
import unittest

# Where the service that everybody needs is then.
WANTED = {
    "cpp": "mmsmo/v1/mms_mo_service.grpc.pb.h",
    "csharp": "V1/MmsMoService.cs",
    "java": "io/mmsmo/v1/MmsMoServiceGrpc.java",
    "php": "Mmsmo/V1/MmsMoServiceClient.php",
    "python": "mmsmo/v1/mms_mo_service_pb2_grpc.py",
    "ruby": "mmsmo/v1/mms_mo_service_services_pb.rb",
}


@unittest.skipUnless(shutil.which("npm"), "buf, which npm installs, is not here")
class StubsTest(unittest.TestCase):
    def test_generates(self):
        for language, service in WANTED.items():
            with self.subTest(language), tempfile.TemporaryDirectory(prefix="mmsmo-") as directory:
                generated = subprocess.run(["script/generate", language, directory], capture_output=True, text=True)
                self.assertEqual(generated.returncode, 0, generated.stderr)
                self.assertTrue(os.path.exists(os.path.join(directory, service)), generated.stdout)

    def test_names_the_languages(self):
        for arguments in ([], ["klingon"]):
            refused = subprocess.run(["script/generate", *arguments], capture_output=True, text=True)
            self.assertEqual(refused.returncode, 2)
            self.assertIn("python|ruby|rust", refused.stderr)


if __name__ == "__main__":
    unittest.main()
