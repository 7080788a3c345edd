"""Proxies in front: nginx and HAProxy, and the word that they put in for a client."""
import os
import shutil
import socket
import struct
import subprocess
import time
import unittest

from tests.integration.gateway import PATH, xml
from tests.integration.http_test import request
from tests.integration.ports import free_port
from tests.integration.tls_test import TlsTestCase

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
OF_US = 'name = "us"\npath = "/hooks"\nallow-from = ["127.0.0.7", "203.0.113.0/24"]\n'


def v1(client):
    return f"PROXY TCP4 {client} 10.0.0.1 4711 80\r\n".encode()


def v2(client, more=b"", command=0x21):
    addresses = socket.inet_aton(client) + socket.inet_aton("10.0.0.1") + struct.pack(">HH", 4711, 80)
    return SIGNATURE + bytes([command, 0x11]) + struct.pack(">H", len(addresses + more)) + addresses + more


class ProxyTestCase(TlsTestCase):
    def configure(self, table=OF_US):
        path = os.path.join(self.directory, "gateway.toml")
        with open(path, "w") as file:
            file.write("[[endpoint]]\n" + table)
        return path

    def refused(self, gateway, limit):
        return gateway.metric(f'mmsmo_http_refused_total{{limit="{limit}",server="postbacks"}}')

    def answers(self, port, data, source=None, context=None, pieces=1):
        """What comes back until the end of the connection, which may be an error."""
        connection = socket.create_connection(("127.0.0.1", port), timeout=30, source_address=source and (source, 0))
        with connection:
            try:
                head, data = data
                for i in range(pieces):
                    connection.sendall(head[len(head) * i // pieces:len(head) * (i + 1) // pieces])
                if context is not None:
                    connection = context.wrap_socket(connection, server_hostname="localhost")
                connection.sendall(data)
                received = b""
                while more := connection.recv(65536):
                    received += more
                return received
            except ConnectionError:
                return b""
            finally:
                connection.close()

    def status(self, *arguments, **options):
        """Of the only answer; None where there is none."""
        answer = self.answers(*arguments, **options)
        return int(answer.split()[1]) if answer else None


class ProxyHeaderTest(ProxyTestCase):
    def serve(self, *flags):
        return self.gateway("--config", self.configure(), "--http-proxy-protocol", "true", "--trusted-proxies",
                            "127.0.0.1,10.0.0.0/8", *flags)

    def post(self, tracking_id, **headers):
        return request(xml(tracking_id), path="/hooks", Connection="close", **headers)

    def test_names_the_client(self):
        gateway = self.serve()
        for i, head in enumerate((v1("203.0.113.5"), v2("203.0.113.6"), v2("203.0.113.6", b"\x04\0\x01x" * 100))):
            for pieces in (1, 2, len(head)):
                self.assertEqual(self.status(gateway.http, (head, self.post(f"A{i}-{pieces}")), pieces=pieces), 200)
        self.assertEqual(self.status(gateway.http, (v1("8.8.8.8"), self.post("B"))), 403)
        self.assertEqual(self.status(gateway.http, (v2("8.8.8.8"), self.post("B"))), 403)
        for own in (b"PROXY UNKNOWN\r\n", v2("203.0.113.5", command=0x20)):  # the proxy's own address counts
            self.assertEqual(self.status(gateway.http, (own, self.post("B"))), 403)

    def test_over_tls_it_comes_before_the_handshake(self):
        gateway = self.serve(*self.mount.flags("http"))
        for i, head in enumerate((v1("203.0.113.5"), v2("203.0.113.6"))):
            for pieces in (1, len(head)):
                self.assertEqual(self.status(gateway.http, (head, self.post(f"A{i}-{pieces}")), context=self.context(),
                                             pieces=pieces), 200)
        self.assertEqual(self.status(gateway.http, (v2("8.8.8.8"), self.post("B")), context=self.context()), 403)

    def test_the_fields_count_where_the_named_one_is_a_proxy_too(self):
        gateway = self.serve("--trusted-proxies-header", "x-forwarded-for")
        said = {"X-Forwarded-For": "8.8.8.8, 203.0.113.5"}
        self.assertEqual(self.status(gateway.http, (v1("10.0.0.9"), self.post("A", **said))), 200)
        self.assertEqual(self.status(gateway.http, (v1("8.8.8.8"), self.post("B", **said))), 403)

    def test_strangers_are_closed_without_a_word(self):
        gateway = self.serve()
        for head in (v1("203.0.113.5"), v2("203.0.113.5"), b""):
            self.assertIsNone(self.status(gateway.http, (head, self.post("NEVER")), source="127.0.0.3"))
        self.assertEqual(self.refused(gateway, "proxy_protocol"), 3)

    def test_what_is_no_header_is_closed_without_a_word(self):
        gateway = self.serve("--header-timeout", "300ms")
        for head in (b"", b"PROXY TCP4 203.0.113.5\r\n", SIGNATURE + b"\x31\x11\0\x0c", b"\x16\x03\x01\x02\x00\x01",
                     b"PROXY UNKNOWN " + b"x" * 200):
            self.assertIsNone(self.status(gateway.http, (head, self.post("NEVER"))), head)
        self.assertEqual(self.refused(gateway, "proxy_header"), 5)
        begin = time.monotonic()
        self.assertEqual(self.answers(gateway.http, (v1("203.0.113.5")[:-1], b"")), b"")  # half of one has its time
        self.assertLess(time.monotonic() - begin, 20)
        self.assertEqual(self.status(gateway.http, (v1("203.0.113.5"), self.post("AFTER"))), 200)

    def test_half_a_header_burns_no_cpu(self):
        gateway = self.serve("--header-timeout", "1s")
        before = gateway.metric("process_cpu_seconds_total")
        self.assertEqual(self.answers(gateway.http, (b"PROXY TCP4 ", b"")), b"")  # after that second
        self.assertLess(gateway.metric("process_cpu_seconds_total") - before, 0.5)

    def test_the_named_address_has_so_many_connections(self):
        gateway = self.serve("--max-connections-per-address", "2")
        open_ones = []
        for _ in range(2):
            connection = socket.create_connection(("127.0.0.1", gateway.http), timeout=30)
            self.addCleanup(connection.close)
            connection.sendall(v2("203.0.113.5") + request(xml("A"), path="/hooks"))
            self.assertIn(b" 200 ", connection.recv(4096))
            open_ones.append(connection)
        self.assertIsNone(self.status(gateway.http, (v2("203.0.113.5"), self.post("B"))))
        self.assertEqual(self.status(gateway.http, (v2("203.0.113.6"), self.post("B"))), 200)
        self.assertEqual(self.refused(gateway, "connections_per_address"), 1)
        open_ones[0].close()
        self.until(lambda: self.status(gateway.http, (v2("203.0.113.5"), self.post("C"))) == 200)


class ConnectionsByAddressTest(ProxyTestCase):
    def open(self, gateway, source):
        connection = socket.create_connection(("127.0.0.1", gateway.http), timeout=30, source_address=(source, 0))
        self.addCleanup(connection.close)
        connection.sendall(request(xml("A" + source)))
        try:
            return connection.recv(4096)[9:12]
        except ConnectionError:
            return b""

    def test_more_are_closed(self):
        gateway = self.gateway("--max-connections-per-address", "3", "--trusted-proxies", "127.0.0.9")
        self.assertEqual([self.open(gateway, "127.0.0.2") for _ in range(5)], [b"200"] * 3 + [b""] * 2)
        self.assertEqual(self.open(gateway, "127.0.0.3"), b"200")
        self.assertEqual([self.open(gateway, "127.0.0.9") for _ in range(5)], [b"200"] * 5)  # not of a proxy
        self.assertEqual(
            gateway.metric('mmsmo_http_refused_total{limit="connections_per_address",server="postbacks"}'), 2)
        self.until(lambda: gateway.metric('mmsmo_http_connections_of_one_address{server="postbacks"}') == 3)
        self.assertEqual(gateway.metric('mmsmo_limit{name="max-connections-per-address"}'), 3)
        self.assertEqual(gateway.metric('mmsmo_limit{name="max-connections"}'), 10_000)

    def test_more_are_closed_over_grpc(self):
        gateway = self.gateway("--max-grpc-connections-per-address", "2")
        port = int(gateway.grpc.rpartition(":")[2])
        def is_served(source):
            connection = socket.create_connection(("127.0.0.1", port), timeout=30, source_address=(source, 0))
            self.addCleanup(connection.close)
            try:
                connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
                return bool(connection.recv(1)), connection
            except ConnectionError:
                return False, connection
        answers = [is_served("127.0.0.2") for _ in range(3)]
        self.assertEqual([served for served, _ in answers], [True, True, False])
        self.assertTrue(is_served("127.0.0.3")[0])
        self.assertGreaterEqual(gateway.metric('mmsmo_grpc_refused_total{limit="connections_per_address"}'), 1)
        self.until(lambda: gateway.metric("mmsmo_grpc_connections_of_one_address") == 2)
        answers[0][1].close()
        self.until(lambda: is_served("127.0.0.2")[0])


class InFrontTest(ProxyTestCase):
    """The real programs, each with a configuration of a test."""

    def run_in_front(self, program, configuration, *arguments):
        """Runs it with its configuration's path after the arguments, until the test's end."""
        if shutil.which(program, path="/usr/sbin:/usr/bin") is None:
            self.skipTest(f"{program} is not installed")
        path = os.path.join(self.directory, program + ".conf")
        with open(path, "w") as file:
            file.write(configuration)
        log = open(os.path.join(self.directory, program + ".log"), "w+")
        self.addCleanup(log.close)
        process = subprocess.Popen([shutil.which(program, path="/usr/sbin:/usr/bin"), *arguments, path],
                                   stdout=log, stderr=subprocess.STDOUT)
        def end():
            process.terminate()
            process.wait(30)
        self.addCleanup(end)

    def wait_for(self, port):
        def listens():
            try:
                socket.create_connection(("127.0.0.1", port), timeout=30).close()
                return True
            except OSError:
                return False
        self.until(listens)

    def example(self, name, replacements):
        """An example of deploy/, with this test's addresses and files."""
        with open(os.path.join("deploy", name)) as file:
            text = file.read()
        for old, new in replacements.items():
            self.assertIn(old, text)
            text = text.replace(old, new)
        return text

    def nginx(self, proxy):
        port = free_port()
        self.run_in_front("nginx", f"""
            daemon off; master_process off; worker_processes 1; pid {self.directory}/nginx.pid;
            error_log {self.directory}/nginx.error;
            events {{ worker_connections 256; }}
            http {{
              access_log off;
              proxy_ignore_client_abort on;  # a half-closed client waits for its answer
              client_body_temp_path {self.directory}/body; proxy_temp_path {self.directory}/proxy;
              fastcgi_temp_path {self.directory}/f; uwsgi_temp_path {self.directory}/u; scgi_temp_path {self.directory}/s;
              {proxy.replace("PORT", str(port))}
            }}""", "-e", os.path.join(self.directory, "nginx.error"), "-c")
        self.wait_for(port)
        return port

    def upstream(self, gateway, extra="", scheme="http"):
        return f"""
            upstream gateway {{ server 127.0.0.1:{gateway.http}; keepalive 8; }}
            server {{
              listen 127.0.0.1:PORT;
              location / {{
                proxy_pass {scheme}://gateway; proxy_http_version 1.1; proxy_set_header Connection "";
                proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
                {extra}
              }}
            }}"""

    def judges_addresses(self, port, path="/hooks", context=None):
        """The proxy's clients are judged, whatever they say of themselves."""
        for i in range(20):
            post = request(xml(f"A{i}"), path=path, Connection="close")
            self.assertEqual(self.status(port, (b"", post), source="127.0.0.7", context=context), 200)
        spoofed = request(xml("B"), path=path, Connection="close", X_Forwarded_For="127.0.0.7",
                          Forwarded="for=127.0.0.7")
        self.assertEqual(self.status(port, (b"", spoofed), source="127.0.0.8", context=context), 403)

    def test_nginx(self):
        gateway = self.gateway("--config", self.configure(), "--trusted-proxies", "127.0.0.1",
                               "--trusted-proxies-header", "x-forwarded-for")
        before = gateway.metric('mmsmo_http_connections_total{server="postbacks"}')
        self.judges_addresses(self.nginx(self.upstream(gateway)))
        connections = gateway.metric('mmsmo_http_connections_total{server="postbacks"}') - before
        self.assertLess(connections, 10, "nginx keeps its connections")

    def test_nginx_with_tls_and_a_certificate(self):
        table = OF_US + 'client-certificate = { san = ["proxy.example"] }\n'
        cert, key = self.clients.issue("proxy", "DNS:proxy.example")
        gateway = self.gateway("--config", self.configure(table), "--trusted-proxies", "127.0.0.1",
                               "--trusted-proxies-header", "x-forwarded-for", *self.mount.flags("http", ca=True))
        tls = f"""proxy_ssl_trusted_certificate {self.authority.path}; proxy_ssl_verify on;
                  proxy_ssl_name localhost; proxy_ssl_server_name on;"""
        shown = f"proxy_ssl_certificate {cert}; proxy_ssl_certificate_key {key};"
        self.judges_addresses(self.nginx(self.upstream(gateway, tls + shown, "https")))
        without = self.nginx(self.upstream(gateway, tls, "https"))
        post = request(xml("C"), path="/hooks", Connection="close")
        self.assertEqual(self.status(without, (b"", post), source="127.0.0.7"), 403)

    def test_nginx_example(self):
        gateway = self.gateway("--config", self.configure(OF_US.replace("/hooks", PATH)), "--trusted-proxies",
                               "127.0.0.1", "--trusted-proxies-header", "x-forwarded-for")
        cert, key = self.authority.issue("nginx")
        port = self.nginx(self.example("nginx/mmsmo-gateway.conf", {
            "listen 443": "listen 127.0.0.1:PORT", "  listen [::]:443 ssl http2;\n": "",
            "127.0.0.1:8080": f"127.0.0.1:{gateway.http}",
            "/etc/nginx/tls/fullchain.pem": cert, "/etc/nginx/tls/privkey.pem": key}))
        self.serves_as_documented(gateway, port)

    def serves_as_documented(self, gateway, port):
        self.judges_addresses(port, PATH, self.context())
        stranger = request(xml("C"), path="/elsewhere", Connection="close")
        self.assertEqual(self.status(port, (b"", stranger), source="127.0.0.7", context=self.context()), 404)
        large = request(xml("D", note="x" * (300 << 10)), path=PATH, Connection="close")
        answer = self.answers(port, (b"", large), source="127.0.0.7", context=self.context())
        self.assertIn(b"body_too_large", answer)  # in the gateway's words
        self.assertEqual(gateway.metric('mmsmo_http_answers_total{reason="no_such_path",status="404"}'), 0)

    def test_haproxy_example(self):
        gateway = self.gateway("--config", self.configure(OF_US.replace("/hooks", PATH)), "--http-proxy-protocol",
                               "true", "--trusted-proxies", "127.0.0.1")
        pem, port = os.path.join(self.directory, "haproxy.pem"), free_port()
        with open(pem, "w") as file:
            for path in self.authority.issue("haproxy"):
                with open(path) as part:
                    file.write(part.read())
        self.run_in_front("haproxy", self.example("haproxy/haproxy.cfg", {
            "bind :443": f"bind 127.0.0.1:{port}", "/etc/haproxy/tls/mms.pem": pem,
            "127.0.0.1:8080": f"127.0.0.1:{gateway.http}", "port 9091": f"port {gateway.admin}"}), "-db", "-f")
        self.wait_for(port)
        self.serves_as_documented(gateway, port)
        self.assertEqual(self.refused(gateway, "proxy_header"), 0)  # not by its checks, either

    def haproxy(self, gateway, options):
        port = free_port()
        self.run_in_front("haproxy", f"""
global
  maxconn 256
defaults
  mode tcp
  timeout connect 10s
  timeout client 30s
  timeout server 30s
listen gateway
  bind 127.0.0.1:{port}
  server one 127.0.0.1:{gateway.http} {options}
""", "-db", "-f")
        self.wait_for(port)
        return port

    def test_haproxy(self):
        gateway = self.gateway("--config", self.configure(), "--http-proxy-protocol", "true", "--trusted-proxies",
                               "127.0.0.1")
        for options in ("send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options unique-id,crc32c",
                        "send-proxy-v2 check inter 100ms"):
            self.judges_addresses(self.haproxy(gateway, options))

    def test_haproxy_passes_tls_through(self):
        gateway = self.gateway("--config", self.configure(), "--http-proxy-protocol", "true", "--trusted-proxies",
                               "127.0.0.1", *self.mount.flags("http"))
        for options in ("send-proxy", "send-proxy-v2"):
            port = self.haproxy(gateway, options)
            post = (b"", request(xml("A"), path="/hooks", Connection="close"))
            self.assertEqual(self.status(port, post, source="127.0.0.7", context=self.context()), 200)
            self.assertEqual(self.status(port, post, source="127.0.0.8", context=self.context()), 403)


if __name__ == "__main__":
    unittest.main()
