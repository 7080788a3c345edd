// RocksDB with the settings of this engine.

#pragma once

#include <rocksdb/db.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace mmsmo::embedded {

struct Database {
  std::unique_ptr<rocksdb::DB> db;
  // meta, events, raw, ids, quarantine, subscriptions; to be destroyed before the database.
  std::vector<rocksdb::ColumnFamilyHandle*> families;
};

// Opens the database of a data directory, making it if it is not there. A torn tail is cut off;
// logs that are damaged before their end are kept in damaged/ below it. Events before
// `oldest`, their raw bodies and their ids are dropped when their files are rewritten. Errors as
// Store::Open.
absl::StatusOr<Database> OpenDatabase(const std::string& data_dir,
                                      const std::atomic<uint64_t>& oldest);

// Whether a key of the family ids stands for an id: a hash of 128 bits.
inline bool IsIdKey(std::string_view key) { return key.size() == 16; }

// Why RocksDB would not open `data_dir`, and what to do.
absl::Status ExplainOpen(const rocksdb::Status& status, const std::string& data_dir);

}  // namespace mmsmo::embedded
