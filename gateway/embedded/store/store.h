// The RocksDB database of one data directory: its column families, its settings, its identity.

#pragma once

#include <rocksdb/db.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace mmsmo::embedded {

// Thread-safe but for the order of writes, which is the caller's.
class Store {
 public:
  // Opens the data directory, making it if it is not there. Errors say what to do:
  // FailedPrecondition when another process has it or its format is newer, PermissionDenied,
  // ResourceExhausted when the disk is full, DataLoss when the files are damaged.
  static absl::StatusOr<std::unique_ptr<Store>> Open(const std::string& data_dir);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  rocksdb::DB& db() { return *db_; }
  rocksdb::ColumnFamilyHandle* meta() const { return meta_; }
  rocksdb::ColumnFamilyHandle* events() const { return events_; }
  rocksdb::ColumnFamilyHandle* raw() const { return raw_; }
  rocksdb::ColumnFamilyHandle* ids() const { return ids_; }
  rocksdb::ColumnFamilyHandle* quarantine() const { return quarantine_; }
  rocksdb::ColumnFamilyHandle* subscriptions() const { return subscriptions_; }
  rocksdb::ColumnFamilyHandle* audit() const { return audit_; }

  const std::string& data_dir() const { return data_dir_; }
  // Drawn at random when the data directory was made: the log's first epoch.
  uint64_t journal_id() const { return journal_id_; }

  // Durable when it returns OK; may have been kept when it does not. `what` begins the error.
  absl::Status Write(rocksdb::WriteBatch* batch, std::string_view what);

  // Whether a file can be written and synced in the data directory, whatever RocksDB thinks of it.
  bool DiskWorks() const;
  // Has RocksDB go on after a failed write. With nothing in memory it would go on in the log whose
  // write has failed, and abort at the next one (7.8): then, and where it goes no further although
  // the disk works, `reopen` is set: the store must be opened anew.
  absl::Status Resume(bool* reopen);

  // Events before this one, their raw bodies and their ids are dropped when their files are next
  // rewritten; until then they may be there. That they are removed must be durable.
  void ForgetBefore(uint64_t sequence) { oldest_.store(sequence, std::memory_order_relaxed); }

  // Does not look at range deletions, and so is not for what they have removed. Where they are
  // looked at, RocksDB 7.8 ends silently before a file whose beginning cannot be read, or passes
  // over it (facebook/rocksdb#11782).
  std::unique_ptr<rocksdb::Iterator> Iterate(rocksdb::ColumnFamilyHandle* family,
                                             rocksdb::ReadOptions options = {}) const;

  // A number kept under `name` in the meta family; nullopt where there is none.
  absl::StatusOr<std::optional<uint64_t>> ReadNumber(std::string_view name);
  // The last key of `family`; empty where it has none.
  absl::StatusOr<std::string> LastKey(rocksdb::ColumnFamilyHandle* family);

 private:
  explicit Store(std::string data_dir);
  absl::Status CheckIdentity();

  const std::string data_dir_;
  uint64_t journal_id_ = 0;
  std::atomic<uint64_t> oldest_{0};
  std::unique_ptr<rocksdb::DB> db_;
  rocksdb::ColumnFamilyHandle* meta_ = nullptr;
  rocksdb::ColumnFamilyHandle* events_ = nullptr;
  rocksdb::ColumnFamilyHandle* raw_ = nullptr;
  rocksdb::ColumnFamilyHandle* ids_ = nullptr;
  rocksdb::ColumnFamilyHandle* quarantine_ = nullptr;
  rocksdb::ColumnFamilyHandle* subscriptions_ = nullptr;
  rocksdb::ColumnFamilyHandle* audit_ = nullptr;
};

// A RocksDB status in the gateway's terms; `what` says what was being done.
absl::Status FromRocks(const rocksdb::Status& status, std::string_view what);

inline rocksdb::Slice Slice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }
inline std::string_view View(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }

}  // namespace mmsmo::embedded
