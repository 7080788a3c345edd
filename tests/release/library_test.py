"""The C++ library's Debian packages on a Debian of its own: a program is built with one, and runs with the other.

MMSMO_RELEASE is where script/release has put them. Needs root.
"""
import glob
import os
import shutil
import unittest

from tests.package.machine import Machine

RELEASE = os.environ["MMSMO_RELEASE"]
# Handles a message with the program $0. The gateway ends with its standard input, and that with the shell.
HANDLE = r"""
cd /root
rm -f stdin addresses && mkfifo stdin
mmsmo-gateway --ephemeral <stdin >addresses 2>/dev/null &
exec 3>stdin
trap 'exec 3>&-; wait' EXIT
until [ -s addresses ]; do sleep 0.1; done
address_of() { sed "s/.*\"$1\":\"\([^\"]*\)\".*/\1/" addresses; }
mmsmo --grpc "$(address_of grpc)" subscription create orders --from earliest >/dev/null
mmsmo send --tracking-id L1 --url "http://$(address_of http)/postbacks/mms-mo" >/dev/null
"$0" "$(address_of grpc)" orders
"""


@unittest.skipUnless(os.getuid() == 0, "a Debian of its own takes root")
class LibraryTest(unittest.TestCase):
    def setUp(self):
        self.machine = Machine()
        self.addCleanup(self.machine.remove)
        for package in glob.glob(os.path.join(RELEASE, "debian/*.deb")):
            shutil.copy(package, self.machine.path("/root"))
        shutil.copytree("client/examples/installed", self.machine.path("/root/consumer"))

    def output(self, script, *arguments):
        return self.machine.run("bash", "-euc", script, *arguments).stdout

    def test_a_message_is_handled(self):
        self.output("""cd /root
            apt-get update -qq
            apt-get install -y -qq --no-install-recommends cmake g++ make pkg-config ./libmmsmo*.deb ./mmsmo-gateway_*.deb
            cmake -S consumer -B built
            cmake --build built
            c++ consumer/consumer.cc -o plain $(pkg-config --cflags --libs mmsmo)
            apt-get purge -y -qq libmmsmo-dev""")  # programs run without it
        for consumer in ("/root/built/consumer", "/root/plain"):
            self.assertEqual(self.output(HANDLE, consumer), "L1\n")


if __name__ == "__main__":
    unittest.main()
