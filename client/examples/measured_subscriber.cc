#include <chrono>
#include <iostream>
#include <stdexcept>
#include <utility>

#include "mmsmo/subscriber.h"

using std::chrono::steady_clock;

// Where a metric would be counted, and a span end that is linked to the sender's trace.
void Report(const mmsmo::v1::Event& event, const mmsmo::Verdict& verdict,
            steady_clock::duration took) {
  std::cout << event.mms_mo().tracking_id()
            << (verdict.kind == mmsmo::Verdict::Kind::kAck ? " done " : " failed ")
            << took / std::chrono::microseconds(1) << " " << event.trace_parent() << std::endl;
}

int main(int, char** argv) {
  mmsmo::SubscriberOptions options{.target = argv[1]};
  options.on_handling = [](const mmsmo::v1::Delivery& delivery) {
    return [&delivery, begin = steady_clock::now()](const mmsmo::Verdict& verdict) {
      Report(delivery.event(), verdict, steady_clock::now() - begin);
    };
  };
  mmsmo::Subscriber subscriber(std::move(options));
  std::cerr << subscriber.Run(argv[2], [](const mmsmo::v1::Delivery& delivery) {
    if (delivery.event().mms_mo().subject().empty()) throw std::invalid_argument("no subject");
    return mmsmo::Ack();
  });
}
