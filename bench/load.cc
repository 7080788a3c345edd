// The client's side of the benchmarks: bench_load MODE …, one JSON object to stdout.

#include "client/command/load.h"

#include <grpcpp/grpcpp.h>
#include <grpcpp/support/byte_buffer.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/synchronization/blocking_counter.h"
#include "fmt/format.h"
#include "mmsmo/subscriber.h"
#include "mmsmo/token.h"
#include "mmsmo/v1/mms_mo_service.grpc.pb.h"
#include "mmsmo/v1/subscription_service.grpc.pb.h"

namespace mmsmo {
namespace {

using std::chrono::steady_clock;

double SecondsSince(steady_clock::time_point begin) {
  return std::chrono::duration<double>(steady_clock::now() - begin).count();
}

// A Subscribe call whose frames stay bytes.
using RawReader = std::unique_ptr<grpc::ClientReader<grpc::ByteBuffer>>;
RawReader SubscribeRaw(grpc::Channel* channel, grpc::ClientContext* context,
                       const v1::SubscribeRequest& request) {
  const std::string bytes = request.SerializeAsString();
  const grpc::Slice slice(bytes);
  return RawReader(grpc::internal::ClientReaderFactory<grpc::ByteBuffer>::Create(
      channel,
      grpc::internal::RpcMethod("/mmsmo.v1.MmsMoService/Subscribe",
                                grpc::internal::RpcMethod::SERVER_STREAMING),
      context, grpc::ByteBuffer(&slice, 1)));
}

v1::SubscribeRequest From(const v1::StartPosition& start) {
  v1::SubscribeRequest request;
  *request.mutable_start_position() = start;
  request.set_max_batch_size(1024);
  return request;
}

std::shared_ptr<grpc::Channel> Connect(const std::string& target, int number = 0) {
  grpc::ChannelArguments arguments;
  arguments.SetInt("number", number);  // a connection of its own
  return grpc::CreateCustomChannel(target, grpc::InsecureChannelCredentials(), arguments);
}

// Everything from the earliest to the tail, of which there are `count`.
int CatchUp(const std::string& target, int64_t count, bool parse) {
  const auto channel = Connect(target);
  grpc::ClientContext context;
  const auto begin = steady_clock::now();
  int64_t events = 0;
  if (parse) {
    const auto stub = v1::MmsMoService::NewStub(channel);
    const auto reader = stub->Subscribe(&context, From(FromEarliest()));
    google::protobuf::Arena arena;
    auto* frame = google::protobuf::Arena::CreateMessage<v1::SubscribeResponse>(&arena);
    while (reader->Read(frame) && !frame->has_caught_up()) {
      events += frame->batch().deliveries_size();
      if (arena.SpaceUsed() > (1 << 20)) {
        arena.Reset();
        frame = google::protobuf::Arena::CreateMessage<v1::SubscribeResponse>(&arena);
      }
    }
  } else {
    // The first frame is Started, the next small one CaughtUp.
    const auto reader = SubscribeRaw(channel.get(), &context, From(FromEarliest()));
    grpc::ByteBuffer frame;
    for (int64_t i = 0; reader->Read(&frame) && (i == 0 || frame.Length() > 64); ++i) {
    }
    events = count;
  }
  const double seconds = SecondsSince(begin);
  context.TryCancel();
  fmt::print("{{\"events\": {}, \"per_second\": {:.0f}}}\n", events,
             static_cast<double>(events) / seconds);
  return events == count ? 0 : 1;
}

// `count` deliveries of a named subscription, acknowledged by the library.
int Acknowledged(const std::string& target, const std::string& token_file, const std::string& name,
                 int64_t count, int64_t every) {
  SubscriberOptions options{.target = target};
  if (!token_file.empty()) options.token = Token::FromFile(token_file).value();
  options.max_batch_size = 1024;
  options.max_outstanding_messages = every > 1 ? 1'000'000 : 0;
  options.max_outstanding_bytes = every > 1 ? int64_t{4} << 30 : 0;
  Subscriber subscriber(std::move(options));
  const auto begin = steady_clock::now();
  int64_t handled = 0;
  const absl::Status status = subscriber.Run(name, [&](const v1::Delivery&) {
    ++handled;
    if (handled == count) subscriber.Stop();
    return handled % every == 0 ? Ack() : RetryAfter(std::chrono::hours(24));
  });
  // Run has returned, so that every acknowledgement was answered.
  fmt::print("{{\"events\": {}, \"per_second\": {:.0f}, \"failed\": {}}}\n", handled,
             static_cast<double>(handled) / SecondsSince(begin), subscriber.failed_acks());
  return status.ok() ? 0 : 1;
}

// `streams` live streams, each of which must receive `count` events.
int Live(const std::string& target, int streams, int64_t count) {
  std::vector<std::thread> threads;
  std::atomic<int> complete{0}, started{0};
  threads.reserve(static_cast<size_t>(streams));
  for (int i = 0; i < streams; ++i) {
    threads.emplace_back([&, i] {
      const auto channel = Connect(target, i);
      const auto stub = v1::MmsMoService::NewStub(channel);
      grpc::ClientContext context;
      const auto reader = stub->Subscribe(&context, From(FromLatest()));
      v1::SubscribeResponse frame;
      int64_t events = 0;
      while (events < count && reader->Read(&frame)) {
        if (frame.has_started() && ++started == streams) {
          std::puts("ready");
          std::fflush(stdout);
        }
        events += frame.batch().deliveries_size();
      }
      if (events == count) ++complete;
      context.TryCancel();
    });
  }
  for (auto& thread : threads) thread.join();
  fmt::print("{{\"complete\": {}}}\n", complete.load());
  return complete == streams ? 0 : 1;
}

// From the moment a postback is due to its delivery, at a fixed rate.
int Latency(const std::string& target, const std::string& url, double rate, int64_t count) {
  const std::string prefix = command::NewTrackingId();
  std::vector<double> millis;
  std::atomic<bool> started{false};
  const auto epoch = steady_clock::now();
  std::thread reader_thread([&] {
    grpc::ClientContext context;
    const auto stub = v1::MmsMoService::NewStub(Connect(target));
    const auto reader = stub->Subscribe(&context, From(FromLatest()));
    v1::SubscribeResponse frame;
    while (static_cast<int64_t>(millis.size()) < count && reader->Read(&frame)) {
      const auto now = steady_clock::now();
      if (frame.has_started()) {
        started = true;
        started.notify_all();
      }
      for (const auto& delivery : frame.batch().deliveries()) {
        const std::string& id = delivery.event().mms_mo().tracking_id();
        const double index = std::stod(id.substr(prefix.size() + 1)) - 1;
        millis.push_back(std::chrono::duration<double, std::milli>(now - epoch).count() -
                         index / rate * 1000);
      }
    }
    context.TryCancel();
  });
  started.wait(false);
  command::LoadOptions load{.url = *command::ParseUrl(url)};
  load.sample.tracking_id = prefix;
  load.count = count;
  load.rate = rate;
  load.connections = 64;
  const auto summary = command::RunLoad(load);
  reader_thread.join();
  if (!summary.ok()) return 1;
  for (double& each : millis) {
    each -= std::chrono::duration<double, std::milli>(summary->begin - epoch).count();
  }
  std::sort(millis.begin(), millis.end());
  const auto at = [&](double share) {
    return millis[static_cast<size_t>(share * static_cast<double>(millis.size() - 1))];
  };
  fmt::print(
      "{{\"p50_ms\": {:.2f}, \"p99_ms\": {:.2f}, \"p99.9_ms\": {:.2f}, \"max_ms\": {:.2f}}}\n",
      at(0.5), at(0.99), at(0.999), millis.back());
  return summary->accepted == count ? 0 : 1;
}

// Postbacks at a fixed rate, or as fast as they are answered: the distribution of latencies, each
// from the moment its postback was due.
int Ingest(const std::string& url, double rate, int64_t count, int connections) {
  command::LoadOptions load{.url = *command::ParseUrl(url)};
  load.sample.tracking_id = command::NewTrackingId();
  load.count = count;
  load.rate = rate;
  load.connections = connections;
  const auto summary = command::RunLoad(load);
  if (!summary.ok() || summary->accepted != count) return 1;
  std::vector<std::string> percentiles;
  for (double share : {0.0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9995, 0.9999, 1.0}) {
    percentiles.push_back(
        fmt::format("[{}, {:.3f}]", share, static_cast<double>(summary->Percentile(share)) / 1000));
  }
  fmt::print("{{\"per_second\": {:.0f}, \"percentiles_ms\": [{}]}}\n",
             static_cast<double>(count) / summary->seconds, fmt::join(percentiles, ", "));
  return 0;
}

// A live stream that only waits, until it is cancelled.
class IdleStream : public grpc::ClientReadReactor<v1::SubscribeResponse> {
 public:
  // `begun` and `ended` count streams; one that could not start has begun, too.
  IdleStream(v1::MmsMoService::Stub* stub, absl::BlockingCounter* begun,
             absl::BlockingCounter* ended)
      : begun_(begun), ended_(ended) {
    stub->async()->Subscribe(&context_, &request_, this);
    StartRead(&frame_);
    StartCall();
  }

  void OnReadDone(bool ok) override {
    if (!started_.exchange(started_ || ok)) begun_->DecrementCount();
    if (ok) StartRead(&frame_);
  }
  void OnDone(const grpc::Status&) override { ended_->DecrementCount(); }

  bool started() const { return started_; }
  void Cancel() { context_.TryCancel(); }

 private:
  absl::BlockingCounter* const begun_;
  absl::BlockingCounter* const ended_;
  const v1::SubscribeRequest request_ = From(FromLatest());
  grpc::ClientContext context_;
  v1::SubscribeResponse frame_;
  std::atomic<bool> started_{false};
};

// `streams` idle streams over at most `connections`, until stdin ends.
int Idle(const std::string& target, int streams, int connections) {
  std::vector<std::unique_ptr<v1::MmsMoService::Stub>> stubs(
      static_cast<size_t>(std::min(streams, connections)));
  for (size_t i = 0; i < stubs.size(); ++i) {
    stubs[i] = v1::MmsMoService::NewStub(Connect(target, static_cast<int>(i)));
  }
  absl::BlockingCounter begun(streams), ended(streams);
  std::vector<std::unique_ptr<IdleStream>> all;
  for (int i = 0; i < streams; ++i) {
    auto* const stub = stubs[static_cast<size_t>(i) % stubs.size()].get();
    all.push_back(std::make_unique<IdleStream>(stub, &begun, &ended));
  }
  begun.Wait();
  const auto started =
      std::count_if(all.begin(), all.end(), [](const auto& stream) { return stream->started(); });
  std::puts("ready");
  std::fflush(stdout);
  while (std::getchar() != EOF) {
  }
  for (const auto& stream : all) stream->Cancel();
  ended.Wait();
  fmt::print("{{\"started\": {}}}\n", started);
  return started == streams ? 0 : 1;
}

// Seeks, lists and replays a subscription without a pause, until stdin ends.
int Administer(const std::string& target, const std::string& name) {
  const auto stub = v1::SubscriptionService::NewStub(Connect(target, 0));
  std::atomic<bool> done{false};
  std::thread reader([&] {
    while (std::getchar() != EOF) {
    }
    done = true;
  });
  std::puts("ready");
  std::fflush(stdout);
  int64_t calls = 0;
  bool ok = true;
  for (bool earliest = true; ok && !done; earliest = !earliest) {
    grpc::ClientContext seeks, lists, replays;
    v1::SeekSubscriptionRequest seek;
    seek.set_name(name);
    seek.mutable_target()->set_boundary(earliest ? v1::BOUNDARY_EARLIEST : v1::BOUNDARY_LATEST);
    v1::SeekSubscriptionResponse sought;
    v1::ListDeadLettersRequest list;
    list.set_subscription(name);
    v1::ListDeadLettersResponse listed;
    v1::ReplayDeadLettersRequest replay;
    replay.set_subscription(name);
    replay.set_all(true);
    v1::ReplayDeadLettersResponse replayed;
    ok = stub->SeekSubscription(&seeks, seek, &sought).ok() &&
         stub->ListDeadLetters(&lists, list, &listed).ok() &&
         stub->ReplayDeadLetters(&replays, replay, &replayed).ok();
    calls += 3;
  }
  fmt::print("{{\"calls\": {}}}\n", calls);
  std::fflush(stdout);
  if (ok) reader.join();
  if (!ok) std::_Exit(1);
  return 0;
}

}  // namespace
}  // namespace mmsmo

int main(int argc, char** argv) {
  CLI::App app("The client's side of the benchmarks.");
  std::string mode, target, url, token_file, name = "bench";
  int64_t count = 1, every = 1;
  int streams = 1, connections = 64;
  double rate = 2000;
  bool parse = false;
  app.add_option("mode", mode)
      ->required()
      ->check(CLI::IsMember(
          {"catch-up", "acknowledged", "live", "latency", "ingest", "idle", "administer"}));
  app.add_option("--grpc", target);
  app.add_option("--url", url);
  app.add_option("--token-file", token_file);
  app.add_option("--subscription", name);
  app.add_option("--count", count);
  app.add_option("--every", every, "acknowledge only each so many-th");
  app.add_option("--streams", streams);
  app.add_option("--connections", connections);
  app.add_option("--rate", rate);
  app.add_flag("--parse", parse);
  CLI11_PARSE(app, argc, argv);
  if (mode == "catch-up") return mmsmo::CatchUp(target, count, parse);
  if (mode == "acknowledged") return mmsmo::Acknowledged(target, token_file, name, count, every);
  if (mode == "live") return mmsmo::Live(target, streams, count);
  if (mode == "ingest") return mmsmo::Ingest(url, rate, count, connections);
  if (mode == "administer") return mmsmo::Administer(target, name);
  if (mode == "idle") return mmsmo::Idle(target, streams, connections);
  return mmsmo::Latency(target, url, rate, count);
}
