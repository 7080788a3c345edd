#include "gateway/embedded/store/random_id.h"

#include <sys/random.h>

#include <cstdlib>

namespace mmsmo::embedded {

uint64_t RandomId() {
  uint64_t id = 0;
  if (getrandom(&id, sizeof id, 0) != static_cast<ssize_t>(sizeof id)) std::abort();
  return id;
}

}  // namespace mmsmo::embedded
