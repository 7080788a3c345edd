"""Starting, stopping, and trouble with the data directory: each says what is wrong and what to do."""
import fcntl
import json
import os
import shutil
import signal
import subprocess
import time
import unittest

from tests.integration.gateway import SANITIZED, TestCase, earliest, fill_disk, free_disk, run, xml

SEND = ["send", "--count"]


class FullLogTest(TestCase):
    def test_waits_for_nobody_where_its_log_is_not_read(self):
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        self.addCleanup(os.close, writer)
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
        gateway = self.gateway("--log-level", "debug", log=writer)
        self.fill(writer)
        begin = time.monotonic()
        self.accepted(gateway, "UNREAD")
        created = gateway.mmsmo("subscription", "create", "s", "--from", "earliest")
        self.assertEqual(created.returncode, 0, created)
        self.assertEqual(gateway.mmsmo("subscription", "get", "s").returncode, 0)
        self.assertEqual(gateway.metric("mmsmo_log_lines_dropped_total"), 0)
        self.assertEqual(gateway.stop(), 0)
        self.assertLess(time.monotonic() - begin, 30)

    def fill(self, writer):
        flags = fcntl.fcntl(writer, fcntl.F_GETFL)
        fcntl.fcntl(writer, fcntl.F_SETFL, flags | os.O_NONBLOCK)
        for size in (64, 1):
            try:
                while True:
                    os.write(writer, b"x" * size)
            except BlockingIOError:
                pass
        fcntl.fcntl(writer, fcntl.F_SETFL, flags)


class StartTest(TestCase):
    def refuses_to_start(self, text, *flags):
        result = run("--http-listen", "127.0.0.1:0", "--grpc-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0",
                     *flags)
        self.assertEqual(result.returncode, 1, result)
        for part in text.split("|"):
            self.assertIn(part, result.stderr)

    def test_says_what_is_wrong_with_the_data_directory(self):
        gateway = self.gateway()
        data = os.path.join(self.directory, "data")
        self.refuses_to_start("data-dir|in use", "--data-dir", data)
        file = os.path.join(self.directory, "file")
        open(file, "w").close()
        self.refuses_to_start("data-dir|" + file, "--data-dir", os.path.join(file, "data"))
        self.refuses_to_start("data-dir|/proc/mmsmo", "--data-dir", "/proc/mmsmo")
        self.assertEqual(gateway.stop(), 0)

    def test_says_that_the_data_directory_cannot_be_written(self):
        path = self.mount_small_disk("32m")
        subprocess.run(["mount", "-o", "remount,ro", path], check=True)
        self.refuses_to_start(f"data-dir: {path}|cannot be written", "--data-dir", path)

    def test_says_that_a_port_is_taken(self):
        gateway = self.gateway()
        other = os.path.join(self.directory, "other")
        for flag, address in (("http-listen", f"127.0.0.1:{gateway.http}"), ("grpc-listen", gateway.grpc),
                              ("admin-listen", f"127.0.0.1:{gateway.admin}")):
            result = run(*[a for f in ("http-listen", "grpc-listen", "admin-listen")
                           for a in ("--" + f, address if f == flag else "127.0.0.1:0")],
                         "--data-dir", other)
            self.assertEqual(result.returncode, 1, result)
            self.assertIn(flag, result.stderr)
            self.assertIn(address, result.stderr)

    def test_takes_no_file_for_a_socket_that_was_left(self):
        for kind, make in (("file", lambda path: open(path, "w").close()), ("directory", os.mkdir)):
            path = os.path.join(self.directory, kind)
            make(path)
            before = os.stat(path)
            result = run("--http-listen", "127.0.0.1:0", "--grpc-listen", "unix:" + path, "--admin-listen", "127.0.0.1:0",
                         "--data-dir", os.path.join(self.directory, "data"))
            self.assertEqual(result.returncode, 1, result)
            self.assertIn("grpc-listen: " + path, result.stderr)
            self.assertEqual(os.stat(path), before)

    def test_is_ready_soon_and_small(self):
        gateway = self.gateway()
        gateway.stop()
        shutil.rmtree(os.path.join(self.directory, "data"))
        begin = time.monotonic()
        gateway.start()
        elapsed = time.monotonic() - begin
        resident = gateway.resident_bytes()
        print(f"ready after {elapsed * 1000:.0f} ms, {resident / (1 << 20):.1f} MiB resident")
        if not SANITIZED:
            self.assertLess(resident, 40 << 20)  # time is measured by the benchmark, not here

    def test_logs_json_without_a_terminal_and_says_that_only_this_machine_can_reach_it(self):
        gateway = self.gateway()
        gateway.stop()
        messages = [json.loads(line)["message"] for line in gateway.log_text().splitlines()]
        self.assertTrue(any("only this machine" in message for message in messages), messages)
        self.assertTrue(any(f"http://127.0.0.1:{gateway.http}/postbacks/mms-mo" in message for message in messages))

    def test_says_what_is_no_address(self):
        for flag, address, text in (("grpc-listen", "unix:", "from 1 to 107 bytes"),
                                    ("grpc-listen", "unix:/" + "x" * 107, "from 1 to 107 bytes"),
                                    ("http-listen", "gateway.example:80", "not an IP address"),
                                    ("admin-listen", "127.0.0.1:65536", "HOST:PORT")):
            result = run(*[a for f in ("http-listen", "grpc-listen", "admin-listen")
                           for a in ("--" + f, address if f == flag else "127.0.0.1:0")],
                         "--data-dir", os.path.join(self.directory, "data"))
            self.assertEqual(result.returncode, 2, result)
            self.assertIn(flag + ": ", result.stderr)
            self.assertIn(text, result.stderr)

    def test_says_that_a_socket_is_served_by_another(self):
        address = "unix:" + os.path.join(self.directory, "gateway.sock")
        gateway = self.gateway(grpc_listen=address)
        result = run("--http-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--grpc-listen", address,
                     "--data-dir", os.path.join(self.directory, "other"))
        self.assertEqual(result.returncode, 1, result)
        self.assertIn("is served by another process", result.stderr)
        self.accepted(gateway, "S1")
        self.assertEqual([event.mms_mo.tracking_id for event in self.service(gateway).events(earliest())], ["S1"])

    def test_ends_as_it_should_on_ctrl_c(self):
        gateway = self.gateway()
        gateway.process.send_signal(signal.SIGINT)
        self.assertEqual(gateway.process.wait(30), 0)
        self.assertIn("SIGINT: draining", gateway.log_text())

    def test_warns_where_other_machines_can_reach_it(self):
        gateway = self.gateway()
        self.assertEqual(gateway.stop(), 0)
        self.assertNotIn("--insecure", gateway.log_text())
        command = gateway.command()
        gateway.command = lambda: [a.replace(f"127.0.0.1:{gateway.http}", f"0.0.0.0:{gateway.http}")
                                   for a in command] + ["--insecure"]
        gateway.start()
        self.assertEqual(gateway.stop(), 0)
        open_to_all = f"everybody who can reach 0.0.0.0:{gateway.http} may post there: --insecure"
        self.assertEqual(gateway.log_text().count(open_to_all), 1)
        self.assertNotIn("is not encrypted", gateway.log_text())

        # Behind something that encrypts: not everybody may post.
        path = os.path.join(self.directory, "checked.toml")
        with open(path, "w") as file:
            file.write('[[endpoint]]\nname = "e"\npath = "/"\nallow-from = ["192.0.2.0/24"]\n')
        before = gateway.command
        gateway.command = lambda: before() + ["--config", path]
        gateway.start()
        self.assertEqual(gateway.stop(), 0)
        self.assertEqual(gateway.log_text().count(open_to_all), 1)
        self.assertIn(f"0.0.0.0:{gateway.http} is not encrypted: --insecure", gateway.log_text())


class AdminTest(TestCase):
    def test_serves_health_readiness_and_metrics(self):
        gateway = self.gateway()
        self.accepted(gateway, "A1")
        gateway.post(xml("A1"))
        gateway.post(xml("A1", keyword="other"))
        gateway.post(b"{", "application/json")
        gateway.post(b"<postback><origin>MMS_MT</origin><from>1</from></postback>")
        self.assertEqual(gateway.get("/healthz"), (200, "ok\n"))
        self.assertEqual(gateway.get("/readyz"), (200, "ready\n"))
        self.assertEqual(gateway.get("/nothing")[0], 404)
        for series, value in (('mmsmo_postbacks_total{outcome="accepted",reason=""}', 1),
                              ('mmsmo_postbacks_total{outcome="duplicate",reason=""}', 1),
                              ('mmsmo_postbacks_total{outcome="quarantined",reason="id_conflict"}', 1),
                              ('mmsmo_postbacks_total{outcome="quarantined",reason="not_mms_mo"}', 1),
                              ('mmsmo_postbacks_total{outcome="rejected",reason="bad_json"}', 1),
                              ('mmsmo_quarantine_postbacks{shelf="kept"}', 1),
                              ('mmsmo_quarantine_postbacks{shelf="not_mms_mo"}', 1),
                              ('mmsmo_quarantine_postbacks{shelf="rejected"}', 1),
                              ("mmsmo_journal_head", 1), ("mmsmo_journal_oldest", 1), ("mmsmo_ready", 1),
                              ("mmsmo_decode_seconds_count", 5)):
            self.assertEqual(gateway.metric(series), value, series)
        text = gateway.get("/metrics")[1]
        for name in ("mmsmo_commit_seconds_bucket", "mmsmo_commit_group_size_bucket", "mmsmo_journal_bytes",
                     "mmsmo_streams", "mmsmo_deliveries_total", "mmsmo_http_connections", "process_resident_memory_bytes",
                     "process_cpu_seconds_total"):
            self.assertRegex(text, "(?m)^" + name)


class RetentionTest(TestCase):
    def test_removes_the_oldest_and_tells_who_is_behind(self):
        gateway = self.gateway("--retention-bytes", "200KiB")
        first = self.accepted(gateway, "FIRST")
        sent = gateway.mmsmo(*SEND, "2000", "--url", gateway.url())
        self.assertEqual(sent.returncode, 0, sent.stderr)
        deadline = time.monotonic() + 30
        while gateway.metric("mmsmo_journal_oldest") == 1:
            self.assertLess(time.monotonic(), deadline, "nothing was removed")
        result = gateway.mmsmo("get", first)
        self.assertEqual(result.returncode, 1)
        self.assertIn("retention", result.stderr)
        result = gateway.mmsmo("tail", "--from", first)
        self.assertEqual(result.returncode, 1)
        self.assertRegex(result.stderr, r"the earliest cursor is \S+")
        self.assertEqual(gateway.mmsmo("tail", "--from", "earliest", "--count", "1").returncode, 0)
        # What left the log may come again.
        self.accepted(gateway, "FIRST")


class FullDiskTest(TestCase):
    def test_says_so_at_the_start(self):
        result = run("--http-listen", "127.0.0.1:0", "--grpc-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0",
                     "--data-dir", self.mount_small_disk("16k"))
        self.assertEqual(result.returncode, 1, result)
        for part in ("data-dir", "is full", "free some space"):
            self.assertIn(part, result.stderr)

    def test_answers_503_and_recovers_without_a_restart(self):
        path = self.mount_small_disk("32m")
        gateway = self.gateway()
        kept = [self.accepted(gateway, "BEFORE")]
        fill_disk(path)
        status, answer, headers = self.post_until_refused(gateway, kept)
        self.assertEqual((status, answer["reason"], headers["Retry-After"]), (503, "not_durable", "5"))
        ready, text = gateway.get("/readyz")
        self.assertEqual(ready, 503)
        self.assertRegex(text, "(?i)space|full")
        reprocess = gateway.mmsmo("quarantine", "reprocess", "--all")
        self.assertEqual(reprocess.returncode, 1)
        self.assertIn("nothing can be made durable now", reprocess.stderr)
        free_disk(path)
        gateway.wait_until_ready()
        kept.append(self.accepted(gateway, "AFTER"))
        events = self.service(gateway).events(earliest())
        delivered = [event.cursor for event in events]
        self.assertEqual([cursor for cursor in delivered if cursor in kept], kept)
        self.assertEqual(gateway.stop(), 0)

    def test_survives_a_disk_that_is_full_for_long(self):
        path = self.mount_small_disk("32m")
        gateway = self.gateway("--log-level", "debug")
        fill_disk(path)
        self.post_until_refused(gateway)
        deadline = time.monotonic() + 60
        while gateway.log_text().count("not writable yet") < 15:  # one a second
            self.assertIsNone(gateway.process.poll(), gateway.log_text()[-3000:])
            self.assertLess(time.monotonic(), deadline, "it does not try again")
            time.sleep(0.05)
        free_disk(path)
        gateway.wait_until_ready()
        self.accepted(gateway, "AFTER")
        fill_disk(path)
        self.post_until_refused(gateway)
        self.assertEqual(gateway.stop(), 0, "it ends as it should all the same")


if __name__ == "__main__":
    unittest.main()
