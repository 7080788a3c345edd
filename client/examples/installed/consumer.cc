// Handles one message of a named subscription, and leaves: consumer TARGET SUBSCRIPTION.

#include <mmsmo/subscriber.h>

#include <cstdlib>
#include <iostream>

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: consumer TARGET SUBSCRIPTION\n";
    return 2;
  }
  mmsmo::Subscriber subscriber({.target = argv[1]});
  const absl::Status status =
      subscriber.Run(argv[2], [&subscriber](const mmsmo::v1::Delivery& delivery) {
        std::cout << delivery.event().mms_mo().tracking_id() << std::endl;
        subscriber.Stop();
        return mmsmo::Ack();
      });
  if (!status.ok()) std::cerr << status << "\n";
  return status.ok() ? EXIT_SUCCESS : EXIT_FAILURE;
}
