#include "mmsmo/subscriber.h"

#include <iostream>

int main(int, char** argv) {
  mmsmo::Subscriber subscriber({.target = argv[1]});
  std::cerr << subscriber.Run(mmsmo::FromEarliest(), [](const mmsmo::v1::Event& event) {
    std::cout << event.mms_mo().tracking_id() << " " << event.mms_mo().subject() << std::endl;
  });
}
