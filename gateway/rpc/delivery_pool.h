#pragma once

#include "gateway/base/thread_pool.h"

namespace mmsmo::rpc {

using DeliveryPool = ThreadPool;

}  // namespace mmsmo::rpc
