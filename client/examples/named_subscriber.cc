#include <iostream>

#include "mmsmo/subscriber.h"

int main(int, char** argv) {
  mmsmo::Subscriber subscriber({.target = argv[1]});
  std::cerr << subscriber.Run(argv[2], [](const mmsmo::v1::Delivery& delivery) {
    std::cout << delivery.event().mms_mo().tracking_id() << std::endl;
    return std::cout ? mmsmo::Ack() : mmsmo::Retry();
  });
}
