#!/usr/bin/env python3
"""Posts every case of a corpus to a real gateway and checks what HTTP answers and what a subscriber receives.

    conformance.py --gateway build/gateway/mmsmo-gateway --proto proto --corpus corpus-dir [--verbose]

Needs protoc and Python's grpcio and protobuf (Debian: protobuf-compiler python3-grpcio python3-protobuf, run with
/usr/bin/python3). Each case is NAME.body, the exact bytes of the POST, and NAME.expect.json:
  content_type  sent as Content-Type; "" sends none
  headers       further header fields to send, where there are any
  status        the HTTP status
  outcome       "outcome" of the answer's JSON: accepted, duplicate, quarantined, rejected
  reason        "reason" of the answer's JSON, where one is expected
  message       a subset of MmsMo in proto3 JSON that a subscriber must receive; "warnings" exactly, none where it lists none
  absent        fields that the received message must not have, such as "subject" or "sender.e164"
Cases run in the order of their names. Each accepted body is posted a second time and must be a duplicate with the same cursor.
Prints a line for each case that fails and closes with 'N passed, N failed'.
"""
import argparse, http.client, importlib, json, os, signal, subprocess, sys, tempfile, time


from ports import free_port


class Gateway:
    """One gateway process on free ports with a data directory of its own."""

    def __init__(self, binary, data_dir, extra=()):
        self.http, self.grpc, self.admin = free_port(), free_port(), free_port()
        self.log = open(os.path.join(data_dir, "gateway.log"), "ab")
        self.process = subprocess.Popen(
            [binary, "--http-listen", f"127.0.0.1:{self.http}", "--grpc-listen", f"127.0.0.1:{self.grpc}",
             "--admin-listen", f"127.0.0.1:{self.admin}", "--data-dir", os.path.join(data_dir, "data"), *extra],
            stdout=self.log, stderr=self.log)
        deadline = time.time() + 15
        while True:
            try:
                if self.get("/readyz")[0] == 200:
                    return
            except OSError:
                pass
            if self.process.poll() is not None or time.time() > deadline:
                self.stop()
                sys.exit("the gateway did not become ready; its log:\n" + open(self.log.name, errors="replace").read()[-3000:])
            time.sleep(0.02)

    def get(self, path):
        c = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=5)
        c.request("GET", path)
        r = c.getresponse()
        return r.status, r.read().decode()

    def post(self, body, content_type, path="/postbacks/mms-mo", headers={}):
        c = http.client.HTTPConnection("127.0.0.1", self.http, timeout=15)
        c.putrequest("POST", path, skip_accept_encoding=True)
        if content_type:
            c.putheader("Content-Type", content_type)
        for field, value in headers.items():
            c.putheader(field, value)
        c.putheader("Content-Length", str(len(body)))
        c.endheaders()
        try:
            c.send(body)
        except (BrokenPipeError, ConnectionResetError):
            pass  # answered before the whole body was read
        r = c.getresponse()
        text = r.read().decode("utf-8", "replace")
        try:
            return r.status, json.loads(text)
        except ValueError:
            return r.status, {"not_json": text[:200]}

    def stop(self, sig=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(sig)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Types:
    """The messages and enums of package mmsmo.v1, whichever file they stand in: types.SubscribeRequest(...)."""

    def __init__(self, proto_dir, out):
        files = [os.path.join(r, f) for r, _, fs in os.walk(proto_dir) for f in fs if f.endswith(".proto")]
        subprocess.run(["protoc", f"--proto_path={proto_dir}", f"--python_out={out}", *files], check=True)
        sys.path.insert(0, out)
        self.modules = [importlib.import_module(os.path.relpath(f, proto_dir)[:-6].replace("/", ".") + "_pb2") for f in files]

    def __getattr__(self, name):
        for module in self.modules:
            if module.DESCRIPTOR.package == "mmsmo.v1" and hasattr(module, name):
                return getattr(module, name)
        raise AttributeError(f"package mmsmo.v1 has no {name}")


def received(pb, port, timeout=20):
    """Every MmsMo from the earliest on, up to caught_up, in proto3 JSON, by tracking id."""
    import grpc
    from google.protobuf.json_format import MessageToDict
    channel = grpc.insecure_channel(f"127.0.0.1:{port}")
    call = channel.unary_stream("/mmsmo.v1.MmsMoService/Subscribe", request_serializer=pb.SubscribeRequest.SerializeToString,
                                response_deserializer=pb.SubscribeResponse.FromString)
    request = pb.SubscribeRequest(start_position=pb.StartPosition(boundary=pb.BOUNDARY_EARLIEST))
    found = {}
    for frame in call(request, timeout=timeout):
        if frame.WhichOneof("content") == "caught_up":
            break
        for delivery in frame.batch.deliveries:
            message = MessageToDict(delivery.event.mms_mo)
            found.setdefault(message.get("trackingId"), []).append(message)
    channel.close()
    return found


def differences(want, got, where=""):
    if isinstance(want, dict):
        if not isinstance(got, dict):
            return [f"{where}: {got!r}, not an object"]
        return [d for k, v in want.items() for d in differences(v, got.get(k), f"{where}.{k}")]
    if isinstance(want, list):
        if not isinstance(got, list) or len(want) != len(got):
            return [f"{where}: {got!r}, not {want!r}"]
        return [d for i, (a, b) in enumerate(zip(want, got)) for d in differences(a, b, f"{where}[{i}]")]
    return [] if want == got else [f"{where}: {got!r}, not {want!r}"]


def present(message, path):
    for part in path.split("."):
        message = message.get(part) if isinstance(message, dict) else None
    return message is not None


def main():
    a = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("gateway", "proto", "corpus"):
        a.add_argument("--" + name, required=True)
    a.add_argument("--verbose", action="store_true")
    a = a.parse_args()
    names = sorted(f[:-5] for f in os.listdir(a.corpus) if f.endswith(".body"))
    if not names:
        sys.exit("no case in " + a.corpus)
    with tempfile.TemporaryDirectory() as tmp:
        gen = os.path.join(tmp, "gen")
        os.mkdir(gen)
        pb = Types(a.proto, gen)
        gateway = Gateway(os.path.abspath(a.gateway), tmp)
        problems = {n: [] for n in names}
        wanted = {}
        try:
            for n in names:
                want = json.load(open(os.path.join(a.corpus, n + ".expect.json")))
                wanted[n] = want
                body = open(os.path.join(a.corpus, n + ".body"), "rb").read()
                try:
                    status, answer = gateway.post(body, want["content_type"], headers=want.get("headers", {}))
                    if want["outcome"] == "accepted":
                        _, again = gateway.post(body, want["content_type"], headers=want.get("headers", {}))
                        if again.get("outcome") != "duplicate" or again.get("cursor") != answer.get("cursor"):
                            problems[n].append(f"posted again: {again}, not a duplicate of {answer}")
                except OSError as e:
                    problems[n].append(f"no answer: {e}")
                    continue
                if status != want["status"]:
                    problems[n].append(f"HTTP {status}, not {want['status']}: {answer}")
                for key in ("outcome", "reason"):
                    if key in want and answer.get(key) != want[key]:
                        problems[n].append(f"{key} {answer.get(key)!r}, not {want[key]!r}")
            found = received(pb, gateway.grpc)
        finally:
            gateway.stop()
        for n, want in wanted.items():
            if want["outcome"] != "accepted":
                continue
            to = want["message"].get("recipient", {}).get("value")
            got = [m for m in found.get(want["message"]["trackingId"], []) if to is None or m.get("recipient", {}).get("value") == to]
            if len(got) != 1:
                problems[n].append(f"a subscriber received it {len(got)} times")
                continue
            problems[n] += differences(want["message"], got[0])
            if sorted(got[0].get("warnings", [])) != sorted(want["message"].get("warnings", [])):
                problems[n].append(f".warnings: {got[0].get('warnings', [])}, not {want['message'].get('warnings', [])}")
            problems[n] += [f".{f}: present" for f in want.get("absent", []) if present(got[0], f)]
        extra = set(found) - {w["message"]["trackingId"] for w in wanted.values() if "message" in w}
        for n in names:
            for p in problems[n]:
                print(f"FAIL {n}: {p}")
            if a.verbose and not problems[n]:
                print(f"ok   {n}")
        for t in sorted(map(str, extra)):
            print(f"FAIL a subscriber received {t}, which no case accepts")
        failed = sum(bool(p) for p in problems.values()) + len(extra)
        print(f"{len(names) - sum(bool(p) for p in problems.values())} passed, {failed} failed")
        return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
