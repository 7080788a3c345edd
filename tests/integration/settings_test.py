"""Settings: where they come from, which wins, and what is wrong with one."""
import os
import unittest

from tests.integration.gateway import Service, TestCase, run
from mmsmo.v1 import subscription_service_pb2

DECLARED = """
retention-age = "2h"

[[subscription]]
name = "orders"
start = "latest"
keywords = ["order"]
media-kinds = ["image"]
ack-deadline = "45s"
max-attempts = 5

[[subscription]]
name = "archive"
start = "2026-01-01T00:00:00Z"
recipients = ["28444", "+14082257140"]
senders = ["a@b.example"]
operator-ids = ["31002"]
min-backoff = "2s"
max-backoff = "10m"
max-outstanding = 7
order-by-sender = true
expiration-ttl = "7d"
"""

IDENTITIES = """
[[identity]]
name = "billing"
token-file = ["/run/secrets/new", "/run/secrets/old"]
token-env = ["BILLING_TOKEN"]
token-sha256 = ["%s"]
san = ["*.billing.example"]
uid = [1000]
allow = ["read", "consume"]
subscriptions = ["billing-*"]
endpoints = ["sinch-us"]
rate = 12.5

[[identity]]
name = "operator"
uid = [0]
allow = ["admin"]
""" % ("ab" * 32)


class SettingsTest(TestCase):
    def refuses(self, text, *arguments, **environment):
        result = run(*arguments, **environment)
        self.assertEqual(result.returncode, 2, result)
        for part in text.split("|"):
            self.assertIn(part, result.stderr)

    def test_names_a_wrong_setting_its_value_and_what_is_allowed(self):
        self.refuses("--http-threads|65|0 to 64", "--http-threads", "65")
        self.refuses("--http-threads|many", "--http-threads", "many")
        self.refuses("--retention-age|12", "--retention-age", "12")
        self.refuses("--log-level|loud|debug,info", "--log-level", "loud")
        self.refuses("--max-body-bytes|1XB", "--max-body-bytes", "1XB")
        self.refuses("--max-body-bytes|2MiB|1048576", "--max-body-bytes", "2MiB")
        self.refuses("--max-in-flight-bytes: 4194304|--max-body-bytes, 262144|4128768", "--max-in-flight-bytes", "4MiB")
        self.refuses("--max-header-bytes|10|256", "--max-header-bytes", "10")
        self.refuses("--retention-bytes|9" + "9" * 30, "--retention-bytes", "9" * 31)
        self.refuses("--retention-bytes|-1", "--retention-bytes", "-1")
        self.refuses("--retention-bytes|1.5", "--retention-bytes", "1.5")
        self.refuses("--no-such", "--no-such", "1")
        self.refuses("--http-path|postbacks", "--http-path", "postbacks")
        for path in ("/a b", "/a?b", "/a#b", "/é", "/%", "/%6g", "/a\\b", '/"', "/a\tb"):
            self.refuses("--http-path|no path that a request can have", "--http-path", path)
        self.refuses("--http-path|9001 bytes|--max-header-bytes", "--http-path", "/" + "x" * 9000)
        self.refuses("http-listen|nowhere", "--http-listen", "nowhere", "--data-dir", self.directory + "/d")
        self.refuses("--http-threads|65", MMSMO_HTTP_THREADS="65")

    def test_a_flag_wins_over_the_environment_and_that_over_the_file(self):
        path = os.path.join(self.directory, "gateway.toml")
        with open(path, "w") as file:
            file.write('endpoint = "file"\nhttp-path = "/file"\nretention-age = "2h"\nmax-body-bytes = "1MiB"\n')
        result = run("--config", path, "--endpoint", "flag", "--print-config", MMSMO_ENDPOINT="environment",
                     MMSMO_HTTP_PATH="/environment")
        self.assertEqual(result.returncode, 0, result.stderr)
        for line in ('endpoint="flag"', 'http-path="/environment"', 'retention-age="2h"', 'max-body-bytes="1MiB"'):
            self.assertIn(line, result.stdout)
        self.refuses("no-such", "--config", self.write("no-such = 1\n"))
        self.refuses("'config' is not a setting", "--config", self.write('config = "a"\n'))
        self.refuses("http-threads|99", "--config", self.write("http-threads = 99\n"))
        self.refuses("/no/such/file", "--config", "/no/such/file")
        self.refuses(self.directory, "--config", self.directory)
        for text, parts in (('http-path = "a"', "http-path|begin with /"), ('endpoint = ["a"]', "endpoint|a string"),
                            ("[journal]", "journal|not a setting"), ("endpoint", "line 1")):
            path = self.write(text)
            self.refuses(path + "|" + parts, "--config", path)

    def write(self, text):
        path = os.path.join(self.directory, f"{len(os.listdir(self.directory))}.toml")
        with open(path, "w") as file:
            file.write(text)
        return path

    def test_the_printed_configuration_is_one(self):
        printed = run("--endpoint", "printed", "--retention-age", "3h", "--keep-raw", "false", "--print-config").stdout
        again = run("--config", self.write(printed), "--print-config")
        self.assertEqual((again.returncode, again.stdout), (0, printed), again.stderr)

    def test_the_file_and_what_is_printed_are_toml(self):
        for text, value in ((r'"a # \"b\", \\ \u00e9"', r'"a # \"b\", \\ é"'), ("'0x1F'", '"0x1F"'),
                            ('"""\nx"""', '"x"'), ('""', '""'), ('"007"', '"007"'), ('"7"', "7"), ("true", "true")):
            printed = run("--config", self.write("endpoint = " + text), "--print-config").stdout
            self.assertIn(f"\nendpoint={value}\n", printed)
            self.assertEqual(run("--config", self.write(printed), "--print-config").stdout, printed)

    def test_declared_subscriptions_are_read_and_printed(self):
        printed = run("--config", self.write(DECLARED), "--print-config").stdout
        again = run("--config", self.write(printed), "--print-config")
        self.assertEqual((again.returncode, again.stdout), (0, printed), again.stderr)
        for part in ("name = 'orders'", "keywords = [ 'order' ]", "media-kinds = [ 'image' ]", "start = 'latest'",
                     "ack-deadline = '45000ms'", "max-attempts = 5", "start = '2026-01-01T00:00:00Z'",
                     "recipients = [ '28444', '+14082257140' ]", "senders = [ 'a@b.example' ]",
                     "operator-ids = [ '31002' ]", "min-backoff = '2000ms'", "max-backoff = '600000ms'",
                     "max-outstanding = 7", "order-by-sender = true", "expiration-ttl = '604800000ms'"):
            self.assertIn(part, printed)
        for text, parts in (("colour = 1", "orders|colour"), ("max-attempts = -1", "orders|max_attempts"),
                            ('ack-deadline = "45"', "orders|ack-deadline|30s"),
                            ('ack-deadline = "9223372036854775807ms"', "orders|ack-deadline|30s"),
                            ('media-kinds = ["x"]', "media-kinds|image"),
                            ('start = "now"', "start|earliest"), ("keywords = 1", "keywords|array"),
                            ("keywords = [1]", "keywords|a string"), ("start = 1", "start|a string"),
                            ('max-attempts = "5"', "max-attempts|an integer"),
                            ("max-outstanding = 99999999999", "max-outstanding|in range"),
                            ("order-by-sender = 1", "order-by-sender|true or false"),
                            ('name = "orders"', "line 3")):
            start = "" if "start" in text else 'start = "latest"\n'
            self.refuses(parts, "--config", self.write('[[subscription]]\nname = "orders"\n%s\n%s' % (text, start)))
        self.refuses("declared twice", "--config", self.write(2 * '[[subscription]]\nname = "a"\nstart = "latest"\n'))
        self.refuses("[[subscription]]", "--config", self.write('[subscription]\nname = "a"\nstart = "latest"\n'))
        self.refuses("start|missing", "--config", self.write('[[subscription]]\nname = "a"\n'))

    def test_declared_identities_are_read_and_printed(self):
        printed = run("--config", self.write(IDENTITIES), "--print-config").stdout
        again = run("--config", self.write(printed), "--print-config")
        self.assertEqual((again.returncode, again.stdout), (0, printed), again.stderr)
        for part in ("name = 'billing'", "token-file = [ '/run/secrets/new', '/run/secrets/old' ]",
                     "token-env = [ 'BILLING_TOKEN' ]", "token-sha256 = [ '%s' ]" % ("ab" * 32),
                     "san = [ '*.billing.example' ]", "uid = [ 1000 ]", "allow = [ 'read', 'consume' ]",
                     "subscriptions = [ 'billing-*' ]", "endpoints = [ 'sinch-us' ]", "rate = 12.5",
                     "health-open=true", 'reflection-open="auto"'):
            self.assertIn(part, printed)
        for text, parts in (("colour = 1", "identity 'a'|colour"), ("allow = 1", "allow|array of strings"),
                            ('allow = ["write"]', "identity 'a'|allow|'write'|quarantine"), ("allow = []", "allow|read"),
                            ("uid = [-1]", "uid|-1"), ('uid = ["root"]', "uid|integers"), ("uid = 0", "uid|array"),
                            ("uid = [1]\nsubscriptions = []", "subscriptions|empty"),
                            ("uid = [1]\nendpoints = []", "endpoints|empty"),
                            ('uid = [1]\nendpoints = ["x"]\nallow = ["admin"]', "endpoints|admin"),
                            ('token-file = 1', "token-file|array"), ('rate = "1"', "rate|number"),
                            ("uid = [1]\nrate = -1", "rate|-1"), ('name = "a"', "line 3")):
            allow = "" if "allow" in text else 'allow = ["read"]\n'
            self.refuses(parts, "--config", self.write('[[identity]]\nname = "a"\n%s\n%s' % (text, allow)))
        one = '[[identity]]\nname = "%s"\nuid = [7]\nallow = ["read"]\n'
        self.refuses("identity 'a'|declared twice", "--config", self.write(2 * (one % "a")))
        self.refuses("identity 'b'|uid|7|identity 'a'", "--config", self.write(one % "a" + one % "b"))
        self.refuses("[[identity]]", "--config", self.write('[identity]\nname = "a"\n'))
        secret = "a-secret-in-the-wrong-place"
        result = run("--config", self.write('[[identity]]\nname="a"\nallow=["read"]\ntoken-sha256=["%s"]' % secret))
        self.assertEqual((result.returncode, secret in result.stderr), (2, False), result.stderr)

    def test_declared_subscriptions_are_created_and_updated(self):
        gateway = self.gateway("--config", self.write('[[subscription]]\nname = "orders"\nstart = "earliest"\n'))
        self.accepted(gateway, "S1")
        self.assertEqual(gateway.metric('mmsmo_subscription_backlog{subscription="orders"}'), 1)
        self.assertEqual(gateway.stop(), 0)
        gateway.flags = ("--config", self.write(DECLARED))
        gateway.start()
        admin = Service(gateway.channel(), subscription_service_pb2, "SubscriptionService")
        self.addCleanup(admin.channel.close)
        subscription = admin.call("GetSubscription", name="orders").subscription
        self.assertEqual((subscription.max_attempts, subscription.ack_deadline.seconds), (5, 45))
        self.assertEqual(subscription.backlog_count, 1, "where it is stays")
        self.assertEqual(gateway.stop(), 0)
        gateway.flags = ("--config", self.write('[[subscription]]\nname = "orders"\nstart = "latest"\n'
                                                "order-by-sender = true\n"))
        gateway.start(wait=False)
        self.assertEqual(gateway.process.wait(30), 1)
        self.assertIn("subscription 'orders': order-by-sender cannot be changed", gateway.log_text())
        gateway.flags = ()
        gateway.start()

    def test_help_groups_the_settings(self):
        result = run("--help")
        self.assertEqual(result.returncode, 0)
        for part in ("Postbacks over HTTP", "Subscribers over gRPC", "Journal", "MMSMO_HTTP_LISTEN"):
            self.assertIn(part, result.stdout)
        self.assertRegex(run("--version").stdout, r"^mmsmo-gateway \d+\.\d+\.\d+\n$")


if __name__ == "__main__":
    unittest.main()
