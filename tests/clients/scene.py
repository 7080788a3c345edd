"""What the steps of scenarios.toml do. A step's first key is the method's name, and its value the first argument."""
import contextlib
import http.client
import os
import shutil
import signal
import tempfile
import time

import grpc
from google.protobuf import duration_pb2
from mmsmo.v1 import event_pb2, subscription_pb2, subscription_service_pb2

from tests.chaos.proxy import Proxy
from tests.clients.relay import Relay
from tests.clients.runner import WAIT_SECONDS, Runner
from tests.integration.gateway import PATH, Gateway, Service, xml

NAME = "orders"
QUICK = {"min_backoff_ms": 10, "max_backoff_ms": 200}  # so that tests don't wait
LARGE = 900_000  # characters of three bytes each in UTF-8


def duration(milliseconds):
    return duration_pb2.Duration(seconds=milliseconds // 1000, nanos=milliseconds % 1000 * 1_000_000)


def token_of(name):
    return f"the-token-of-{name}-which-is-secret"


class Scene:
    """One gateway, what stands in front of it, and its consumers. With `kills`, the gateway is killed and started again
    before every step once there is a consumer. What was handled may then come again, and nothing else may change."""

    def __init__(self, command, flags=(), identities=None, kills=False):
        self.command, self.runners, self.kills = command, {}, kills
        self.stack = contextlib.ExitStack()
        self.directory = tempfile.mkdtemp(prefix="mmsmo-")
        self.stack.callback(shutil.rmtree, self.directory, ignore_errors=True)
        self.token = None
        if identities:
            self.token = token_of(next(iter(identities)))
            flags = [*flags, "--config", self._configuration(identities)]
        self.gateway = Gateway(self.directory, *flags)
        self.stack.callback(self.gateway.stop)
        self.gateway.start()
        self.proxy = Proxy(self.gateway.grpc)
        self.stack.callback(self.proxy.close)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with self.stack:
            for runner in self.runners.values():
                runner.close()

    def play(self, steps):
        for step in steps:
            if self.kills and self.runners:
                self.restart("KILL")
            verb, *others = step
            getattr(self, verb)(step[verb], **{name: step[name] for name in others})

    def _configuration(self, identities):
        path = os.path.join(self.directory, "gateway.toml")
        with open(path, "w") as file:
            for name, allow in identities.items():
                secret = os.path.join(self.directory, name)
                with open(secret, "w") as token:
                    token.write(token_of(name))
                os.chmod(secret, 0o600)
                file.write(f"[[identity]]\nname = {name!r}\nallow = {allow!r}\ntoken-file = [{secret!r}]\n")
        return path

    # --- The gateway's side.

    @contextlib.contextmanager
    def _channel(self):
        with self.gateway.channel() as channel:
            if self.token:
                add = _AddsToken(self.token)
                channel = grpc.intercept_channel(channel, add)
            yield channel

    def _admin(self, method, **fields):
        with self._channel() as channel:
            return Service(channel, subscription_service_pb2, "SubscriptionService").call(method, **fields)

    def create(self, settings):
        fields = dict(settings)
        if "ack_deadline_ms" in fields:
            fields["ack_deadline"] = duration(fields.pop("ack_deadline_ms"))
        if "minimum_backoff_ms" in fields:
            fields["retry_policy"] = subscription_pb2.RetryPolicy(
                minimum_backoff=duration(fields.pop("minimum_backoff_ms")))
        self._admin("CreateSubscription", subscription=subscription_pb2.Subscription(
            name=NAME, start_position=event_pb2.StartPosition(boundary=event_pb2.BOUNDARY_EARLIEST), **fields))

    def delete(self, _):
        self._admin("DeleteSubscription", name=NAME)

    def seek(self, boundary):
        target = event_pb2.StartPosition(boundary=event_pb2.Boundary.Value("BOUNDARY_" + boundary))
        self._admin("SeekSubscription", name=NAME, target=target)

    def post(self, ids):
        for tracking_id in ids:
            status, answer, _ = self.gateway.post(xml(tracking_id))
            assert status == 200, answer

    def post_many(self, count, prefix="m"):
        connection = http.client.HTTPConnection("127.0.0.1", self.gateway.http, timeout=30)
        with contextlib.closing(connection):
            for number in range(count):
                connection.request("POST", PATH, xml(f"{prefix}{number}"),
                                   {"Content-Type": "application/xml"})
                response = connection.getresponse()
                assert response.status == 200, response.read()
                response.read()

    def post_large(self, tracking_id):
        body = xml(tracking_id, subject="@").replace(b"@", b"\x80" * LARGE)
        status, answer, _ = self.gateway.post(body, "application/xml; charset=windows-1252")
        assert status == 200, answer

    def restart(self, how):
        self.gateway.process.send_signal(getattr(signal, "SIG" + how))
        self.gateway.process.wait(60)
        self.gateway.start()

    def wipe(self, _):
        """A new journal in place of the old one."""
        self.gateway.stop()
        shutil.rmtree(os.path.join(self.directory, "data"))
        self.gateway.start()

    def cut(self, _):
        self.proxy.cut()

    def freeze(self, _):
        self.proxy.freeze()

    def _until(self, what, value, wanted, within_ms):
        deadline = time.monotonic() + within_ms / 1000
        while (now := value()) != wanted:
            assert time.monotonic() < deadline, f"{what} is {now}, not {wanted}; {self._said()}"
            time.sleep(0.02)

    def _said(self):
        return {name: runner.summary() for name, runner in self.runners.items()}

    def backlog(self, count, within_ms=WAIT_SECONDS * 1000):
        def now():
            return self._admin("GetSubscription", name=NAME).subscription.backlog_count
        self._until("the backlog", now, count, within_ms)

    def outstanding(self, count, within_ms=WAIT_SECONDS * 1000):
        series = f'mmsmo_subscription_in_flight{{subscription="{NAME}"}}'
        self._until("what is in hand", lambda: int(self.gateway.metric(series)), count, within_ms)

    def dead_letters(self, wanted, within_ms=WAIT_SECONDS * 1000):
        def now():
            answer = self._admin("ListDeadLetters", subscription=NAME)
            return sorted([one.event.mms_mo.tracking_id, one.reason] for one in answer.dead_letters)
        self._until("the dead letters", now, sorted(wanted), within_ms)

    # --- The consumers' side.

    def _begin(self, name, command, through_proxy, through_relay, plan, options, again):
        runner = self.runners.get(name)
        if runner is None:
            runner = self.runners[name] = Runner(self.command)
        target = self.gateway.grpc
        if through_relay:
            target = self.stack.enter_context(Relay(target)).address
        if through_proxy:
            target = self.proxy.address
        options = {**QUICK, "client_id": name, **(options or {})}
        if "token" in options:
            options["token"] = token_of(options["token"])
        command = {**command, "target": target, "plan": plan or [], "options": options}
        runner.runs_again = command if again else None
        runner.do(**command)

    def run(self, name, subscription=NAME, through_proxy=False, through_relay=False, plan=None, options=None,
            again=False):
        """`again`: whenever the consumer has died, another one is started."""
        self._begin(name, {"do": "run", "subscription": subscription}, through_proxy, through_relay, plan, options,
                    again)

    def follow(self, name, start, through_proxy=False, plan=None, options=None):
        """From a position, or from where another consumer has ended."""
        if isinstance(start, str):
            start = {"cursor": self.runners[start].said("ended")[-1]["cursor"]}
        self._begin(name, {"do": "follow", "start": start}, through_proxy, False, plan, options, False)

    def stop(self, name, mode="release", timeout_ms=10_000):
        self.runners[name].do(do="stop", mode=mode, timeout_ms=timeout_ms)

    def go(self, name):
        self.runners[name].do(do="go")

    def pause(self, name):
        self.runners[name].signal(signal.SIGSTOP)

    def resume(self, name):
        self.runners[name].signal(signal.SIGCONT)

    def _ids(self, name, event, **fields):
        return [one["id"] for one in self.runners[name].said(event, **fields)]

    def connected(self, name, times=1, within_ms=WAIT_SECONDS * 1000):
        runner = self.runners[name]
        runner.until(f"{name} has not connected {times} times", lambda: len(runner.said("connected")) >= times,
                     within_ms / 1000)

    def begun(self, name, ids):
        self.runners[name].until(f"{name} has not begun {ids}", lambda: set(ids) <= set(self._ids(name, "begin")))

    def said(self, name, event):
        runner = self.runners[name]
        runner.until(f"{name} has not said {event}", lambda: runner.said(event))

    def _handled(self, names, attempt=None):
        """What they acknowledged, in that order: of a subscription's deliveries those with that attempt, if one is
        given. Where the gateway is killed attempts may be more, and what came again stands once."""
        ids = [one["id"] for name in names for one in self.runners[name].said("end", verdict="ack")
               if attempt is None or one["attempt"] in (0, attempt) or self.kills and one["attempt"] > attempt]
        return list(dict.fromkeys(ids)) if self.kills else ids

    def _until_handled(self, names, what, holds, attempt=None, within_ms=WAIT_SECONDS * 1000):
        self.runners[names[0]].until(f"{names} have not handled {what}", lambda: holds(self._handled(names, attempt)),
                                     within_ms / 1000)

    def handled(self, name, ids, attempt=1):
        """Each once, with that attempt."""
        self._until_handled([name], ids, lambda now: sorted(now) == sorted(ids), attempt)

    def handled_in_order(self, name, ids):
        self._until_handled([name], f"{ids} in order", lambda now: now == ids)

    def handled_times(self, name, id, times):
        self._until_handled([name], f"{id} {times} times", lambda now: now.count(id) == times or self.kills and id in now)

    def handled_by(self, name, at_least, with_kills=None, within_ms=WAIT_SECONDS * 1000):
        """`with_kills`: how many of them are certain where the gateway is killed."""
        if self.kills and with_kills is not None:
            at_least = with_kills
        self._until_handled([name], at_least, lambda now: len(now) >= at_least, within_ms=within_ms)

    def handled_all(self, names, count):
        """Each of so many, by any of them, perhaps more than once."""
        self._until_handled(names, count, lambda now: len(set(now)) >= count)

    def handled_together(self, names, count):
        """Each of so many once, by any of them."""
        self.handled_all(names, count)
        ids = self._handled(names)
        assert len(set(ids)) == count, f"{len(set(ids))} different ones were handled"
        assert len(ids) == count or self.kills, f"{len(ids) - count} were handled again"

    def ended(self, name, code, keeps_cursor=False, names_earliest_cursor=False):
        runner = self.runners[name]
        runner.until(f"{name} has not ended with {code}", lambda: runner.said("ended"))
        end = runner.said("ended")[-1]
        assert end["code"] == code, f"{name} ended with {end}"
        assert bool(end["cursor"]) or not keeps_cursor, f"{name} keeps no cursor"
        assert bool(end["earliest_cursor"]) or not names_earliest_cursor, f"{name} names no earliest cursor"


class _AddsToken(grpc.UnaryUnaryClientInterceptor):
    def __init__(self, token):
        self.metadata = [("authorization", f"Bearer {token}")]

    def intercept_unary_unary(self, continuation, details, request):
        return continuation(_Details(details, self.metadata), request)


class _Details(grpc.ClientCallDetails):
    def __init__(self, details, metadata):
        self.method, self.timeout, self.credentials = details.method, details.timeout, details.credentials
        self.wait_for_ready, self.compression, self.metadata = details.wait_for_ready, details.compression, metadata
