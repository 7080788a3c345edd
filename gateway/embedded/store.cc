#include "gateway/embedded/store.h"

#include <rocksdb/compaction_filter.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdio>
#include <filesystem>
#include <random>
#include <system_error>
#include <utility>
#include <vector>

#include "gateway/base/log.h"
#include "gateway/base/status.h"
#include "gateway/embedded/big_endian.h"
#include "gateway/embedded/id_index.h"

namespace mmsmo::embedded {
namespace {

constexpr uint64_t kFormatVersion = 1;
constexpr std::string_view kFormatKey = "format_version";
constexpr std::string_view kJournalIdKey = "journal_id";

// Drops the ids of events that retention has removed, whenever RocksDB rewrites their file anyway.
class ForgetOldIds final : public rocksdb::CompactionFilterFactory {
 public:
  explicit ForgetOldIds(const std::atomic<uint64_t>& oldest) : oldest_(oldest) {}

  std::unique_ptr<rocksdb::CompactionFilter> CreateCompactionFilter(
      const rocksdb::CompactionFilter::Context&) override {
    class OneRun final : public rocksdb::CompactionFilter {
     public:
      explicit OneRun(uint64_t oldest) : oldest_(oldest) {}
      bool Filter(int, const rocksdb::Slice& key, const rocksdb::Slice& value, std::string*,
                  bool*) const override {
        return IdIndex::IsIdKey(View(key)) && LoadBigEndian64(View(value)) < oldest_;
      }
      const char* Name() const override { return "mmsmo.ForgetOldIds"; }

     private:
      const uint64_t oldest_;
    };
    return std::make_unique<OneRun>(oldest_.load(std::memory_order_relaxed));
  }
  const char* Name() const override { return "mmsmo.ForgetOldIds"; }

 private:
  const std::atomic<uint64_t>& oldest_;
};

// Instead of RocksDB's own log beside the data: a build of it with assertions aborts where it logs
// after a line that a full disk did not take.
class RocksLog final : public rocksdb::Logger {
 public:
  RocksLog() : rocksdb::Logger(rocksdb::InfoLogLevel::WARN_LEVEL) {}

  using rocksdb::Logger::Logv;
  void Logv(const char* format, va_list arguments) override {
    char line[512];
    std::vsnprintf(line, sizeof line, format, arguments);
    Log()->debug("rocksdb: {}", line);
  }
};

rocksdb::DBOptions DatabaseOptions() {
  rocksdb::DBOptions options;
  options.create_if_missing = true;
  options.create_missing_column_families = true;
  // A torn tail, left by a loss of power in the middle of a write that nobody was told of, is cut
  // off.
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  options.max_total_wal_size = 64 << 20;
  options.max_background_jobs = 2;
  options.max_open_files = 512;
  options.info_log = std::make_shared<RocksLog>();
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  // Few writers, which mostly wait for the disk: no need to be ready for more.
  options.allow_concurrent_memtable_write = false;
  options.enable_write_thread_adaptive_yield = false;
  return options;
}

// For keys that only grow: files never overlap, so that compaction only moves them.
rocksdb::ColumnFamilyOptions SequentialFamily(const std::shared_ptr<rocksdb::Cache>& cache,
                                              size_t buffer_bytes) {
  rocksdb::ColumnFamilyOptions options;
  options.write_buffer_size = buffer_bytes;
  options.max_write_buffer_number = 3;
  options.compression = rocksdb::kNoCompression;
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.block_size = 32 << 10;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

rocksdb::ColumnFamilyOptions IdFamily(const std::shared_ptr<rocksdb::Cache>& cache,
                                      std::shared_ptr<rocksdb::CompactionFilterFactory> filter) {
  rocksdb::ColumnFamilyOptions options;
  options.write_buffer_size = 1 << 20;
  options.compression = rocksdb::kNoCompression;
  // Ids are hashes, so that every file overlaps every other: fewer rewrites matter more than less
  // space.
  options.compaction_style = rocksdb::kCompactionStyleUniversal;
  options.compaction_filter_factory = std::move(filter);
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

// RocksDB needs some room to open at all, and a build of it with assertions aborts where a disk is
// full just then.
constexpr uint64_t kMinFreeBytes = 8 << 20;

absl::Status DiskIsFull(const std::string& data_dir) {
  return MakeStatus(
      absl::StatusCode::kResourceExhausted,
      fmt::format("data-dir: the disk of {} is full, with less than {} MiB left; free some space "
                  "or give another directory",
                  data_dir, kMinFreeBytes >> 20));
}

// Why RocksDB would not open `data_dir`, and what to do.
absl::Status ExplainOpen(const rocksdb::Status& status, const std::string& data_dir) {
  const std::string text = status.ToString();
  const auto says = [&text](std::string_view part) { return text.find(part) != std::string::npos; };
  if (status.IsNoSpace() || says("No space left")) return DiskIsFull(data_dir);
  if (says("LOCK") &&
      (says("lock hold by current process") || says("Resource temporarily unavailable"))) {
    return FailedPrecondition(
        "data-dir: {} is in use by another gateway; stop it, or give each its own directory",
        data_dir);
  }
  if (says("Permission denied") || says("Read-only file system")) {
    return MakeStatus(
        absl::StatusCode::kPermissionDenied,
        fmt::format(
            "data-dir: {} cannot be written by this user (uid {}); change its owner or give "
            "another directory: {}",
            data_dir, geteuid(), text));
  }
  if (status.IsInvalidArgument() && says("Column families not opened")) {
    return FailedPrecondition(
        "data-dir: {} was written by a newer gateway; run that one, or give another directory",
        data_dir);
  }
  if (status.IsCorruption()) {
    return DataLoss(
        "data-dir: {} is damaged; restore it from a copy, or keep it aside and start with an empty "
        "one: {}",
        data_dir, text);
  }
  return MakeStatus(absl::StatusCode::kUnavailable,
                    fmt::format("data-dir: {} cannot be opened: {}", data_dir, text));
}

}  // namespace

absl::Status FromRocks(const rocksdb::Status& status, std::string_view what) {
  if (status.ok()) return absl::OkStatus();
  const std::string message = fmt::format("{}: {}", what, status.ToString());
  if (status.IsNoSpace()) return MakeStatus(absl::StatusCode::kResourceExhausted, message);
  if (status.IsCorruption()) return MakeStatus(absl::StatusCode::kDataLoss, message);
  return MakeStatus(absl::StatusCode::kUnavailable, message);
}

Store::Store(std::string data_dir) : data_dir_(std::move(data_dir)) {}

Store::~Store() {
  for (auto* family : {meta_, events_, raw_, ids_, quarantine_, subscriptions_}) {
    if (family != nullptr) db_->DestroyColumnFamilyHandle(family);
  }
  if (db_) db_->Close();
}

absl::StatusOr<std::unique_ptr<Store>> Store::Open(const std::string& data_dir) {
  std::error_code error;
  std::filesystem::create_directories(data_dir, error);
  if (error) {
    return MakeStatus(
        absl::StatusCode::kPermissionDenied,
        fmt::format("data-dir: {} cannot be made: {}; give a directory that this user may write to",
                    data_dir, error.message()));
  }
  const std::filesystem::space_info space = std::filesystem::space(data_dir, error);
  if (!error && space.available < kMinFreeBytes) return DiskIsFull(data_dir);
  std::unique_ptr<Store> store(new Store(data_dir));
  if (auto status = store->OpenDatabase(); !status.ok()) return status;
  if (auto status = store->CheckIdentity(); !status.ok()) return status;
  return store;
}

absl::Status Store::OpenDatabase() {
  const auto cache = rocksdb::NewLRUCache(16 << 20);
  const std::vector<rocksdb::ColumnFamilyDescriptor> families = {
      {rocksdb::kDefaultColumnFamilyName, SequentialFamily(cache, 1 << 20)},
      {"events", SequentialFamily(cache, 8 << 20)},
      {"raw", SequentialFamily(cache, 8 << 20)},
      {"ids", IdFamily(cache, std::make_shared<ForgetOldIds>(oldest_id_))},
      {"quarantine", SequentialFamily(cache, 4 << 20)},
      {"subscriptions", SequentialFamily(cache, 4 << 20)},
  };
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* db = nullptr;
  const rocksdb::Status status =
      rocksdb::DB::Open(DatabaseOptions(), data_dir_, families, &handles, &db);
  if (!status.ok()) return ExplainOpen(status, data_dir_);
  db_.reset(db);
  meta_ = handles[0];
  events_ = handles[1];
  raw_ = handles[2];
  ids_ = handles[3];
  quarantine_ = handles[4];
  subscriptions_ = handles[5];
  return absl::OkStatus();
}

absl::Status Store::CheckIdentity() {
  auto format = ReadNumber(kFormatKey);
  if (!format.ok()) return format.status();
  if (*format && **format > kFormatVersion) {
    return FailedPrecondition(
        "data-dir: {} has format {}, this gateway knows formats up to {}; run the newer gateway, "
        "or give another "
        "directory",
        data_dir_, **format, kFormatVersion);
  }
  if (!*format) {
    std::random_device random;
    const JournalId id = uint64_t{random()} << 32 | random();
    rocksdb::WriteBatch batch;
    batch.Put(meta_, Slice(kFormatKey), BigEndian(kFormatVersion));
    batch.Put(meta_, Slice(kJournalIdKey), BigEndian(id));
    rocksdb::WriteOptions synced;
    synced.sync = true;
    if (auto status = db_->Write(synced, &batch); !status.ok())
      return ExplainOpen(status, data_dir_);
  }
  auto id = ReadNumber(kJournalIdKey);
  if (!id.ok()) return id.status();
  if (!*id) return DataLoss("data-dir: {} has no journal id; restore it from a copy", data_dir_);
  journal_id_ = **id;
  return absl::OkStatus();
}

absl::StatusOr<std::optional<uint64_t>> Store::ReadNumber(std::string_view name) {
  std::string value;
  const rocksdb::Status status = db_->Get({}, meta_, Slice(name), &value);
  if (status.IsNotFound()) return std::nullopt;
  if (!status.ok()) return FromRocks(status, fmt::format("reading {}", name));
  if (value.size() != 8)
    return DataLoss("data-dir: {} has {} bytes under {}, not 8", data_dir_, value.size(), name);
  return LoadBigEndian64(value);
}

absl::StatusOr<std::string> Store::LastKey(rocksdb::ColumnFamilyHandle* family) {
  const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator({}, family));
  it->SeekToLast();
  if (it->Valid()) return it->key().ToString();
  if (!it->status().ok()) return FromRocks(it->status(), "reading the last key");
  return std::string();
}

}  // namespace mmsmo::embedded
