#pragma once

#include <rocksdb/env.h>

#include <memory>

namespace mmsmo::embedded {

// What RocksDB has to say goes into the gateway's log. Its own file would be another one to fill
// the disk with; and where it has once been full, builds with assertions abort at the next line.
std::shared_ptr<rocksdb::Logger> MakeRocksLog();

}  // namespace mmsmo::embedded
