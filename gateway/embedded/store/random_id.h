#pragma once

#include <cstdint>

namespace mmsmo::embedded {

// 64 random bits from the kernel: for names that no copy of a data directory may draw again.
uint64_t RandomId();

}  // namespace mmsmo::embedded
