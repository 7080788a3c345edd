#include "client/backoff.h"

#include <algorithm>
#include <memory>
#include <random>
#include <utility>

namespace mmsmo {
namespace {

std::function<double()> SystemRandom() {
  auto generator = std::make_shared<std::mt19937_64>(std::random_device{}());
  return [generator] { return std::uniform_real_distribution<double>(0, 1)(*generator); };
}

}  // namespace

Backoff::Backoff(Options options, std::function<double()> random)
    : options_(options), random_(random ? std::move(random) : SystemRandom()) {
  Reset();
}

std::chrono::milliseconds Backoff::Next() {
  const std::chrono::milliseconds ceiling = ceiling_;
  ceiling_ = std::min(ceiling_ * 2, options_.max);
  return std::chrono::milliseconds(
      static_cast<int64_t>(random_() * static_cast<double>(ceiling.count())));
}

void Backoff::Reset() { ceiling_ = std::min(options_.min, options_.max); }

}  // namespace mmsmo
