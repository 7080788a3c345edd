#include "gateway/embedded/store/database.h"

#include <fcntl.h>
#include <rocksdb/compaction_filter.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/listener.h>
#include <rocksdb/table.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <limits>
#include <string_view>
#include <system_error>
#include <utility>

#include "gateway/base/log.h"
#include "gateway/base/status.h"
#include "gateway/embedded/store/big_endian.h"
#include "gateway/embedded/store/rocks_log.h"
#include "gateway/embedded/store/store.h"

namespace mmsmo::embedded {
namespace {

using WalMode = rocksdb::WALRecoveryMode;

// What is no number is kept.
uint64_t Sequence(const rocksdb::Slice& bytes) {
  return bytes.size() == sizeof(uint64_t) ? LoadBigEndian64(View(bytes))
                                          : std::numeric_limits<uint64_t>::max();
}
uint64_t SequenceOfKey(const rocksdb::Slice& key, const rocksdb::Slice&) { return Sequence(key); }
uint64_t SequenceOfId(const rocksdb::Slice& key, const rocksdb::Slice& value) {
  return IsIdKey(View(key)) ? Sequence(value) : std::numeric_limits<uint64_t>::max();
}

// Drops what belongs to events that retention has removed, whenever RocksDB rewrites its file
// anyway.
class DropOld final : public rocksdb::CompactionFilterFactory {
 public:
  using SequenceOf = uint64_t(const rocksdb::Slice& key, const rocksdb::Slice& value);

  DropOld(const std::atomic<uint64_t>& oldest, SequenceOf* sequence_of)
      : oldest_(oldest), sequence_of_(sequence_of) {}

  std::unique_ptr<rocksdb::CompactionFilter> CreateCompactionFilter(
      const rocksdb::CompactionFilter::Context&) override {
    class OneRun final : public rocksdb::CompactionFilter {
     public:
      OneRun(uint64_t oldest, SequenceOf* sequence_of)
          : oldest_(oldest), sequence_of_(sequence_of) {}
      bool Filter(int, const rocksdb::Slice& key, const rocksdb::Slice& value, std::string*,
                  bool*) const override {
        return sequence_of_(key, value) < oldest_;
      }
      const char* Name() const override { return "mmsmo.DropOld"; }

     private:
      const uint64_t oldest_;
      SequenceOf* const sequence_of_;
    };
    return std::make_unique<OneRun>(oldest_.load(std::memory_order_relaxed), sequence_of_);
  }
  const char* Name() const override { return "mmsmo.DropOld"; }

 private:
  const std::atomic<uint64_t>& oldest_;
  SequenceOf* const sequence_of_;
};

// After a failed write to a log RocksDB goes on when it is told to (Store::Resume), and only after
// other failures by itself.
class RecoveryOfWrites final : public rocksdb::EventListener {
 public:
  void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason reason, rocksdb::Status,
                            bool* by_itself) override {
    if (reason == rocksdb::BackgroundErrorReason::kWriteCallback) *by_itself = false;
  }
};

rocksdb::DBOptions DatabaseOptions() {
  rocksdb::DBOptions options;
  options.create_if_missing = true;
  options.create_missing_column_families = true;
  options.wal_recovery_mode = WalMode::kAbsoluteConsistency;
  options.max_total_wal_size = 64 << 20;
  options.max_background_jobs = 2;
  // Else all of a file goes to the disk with its one sync, and those of postbacks wait behind it.
  options.bytes_per_sync = 256 << 10;
  options.strict_bytes_per_sync = true;
  options.max_open_files = 512;
  options.info_log = MakeRocksLog();
  options.listeners.push_back(std::make_shared<RecoveryOfWrites>());
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  // Few writers, which mostly wait for the disk: no need to be ready for more.
  options.allow_concurrent_memtable_write = false;
  options.enable_write_thread_adaptive_yield = false;
  // Files are written beside postbacks that wait for their answers.
  for (const auto pool : {rocksdb::Env::HIGH, rocksdb::Env::LOW}) {
    options.env->LowerThreadPoolCPUPriority(pool, rocksdb::CpuPriority::kLow);
  }
  return options;
}

// For keys that only grow: files never overlap, so that compaction only moves them, and nothing
// else rewrites them because of their age.
rocksdb::ColumnFamilyOptions SequentialFamily(const std::shared_ptr<rocksdb::Cache>& cache,
                                              size_t buffer_bytes) {
  rocksdb::ColumnFamilyOptions options;
  options.write_buffer_size = buffer_bytes;
  options.max_write_buffer_number = 3;
  options.compression = rocksdb::kNoCompression;
  options.ttl = 0;
  options.periodic_compaction_seconds = 0;
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.block_size = 32 << 10;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

// What is removed is the oldest only: whole files, and what is left of the last one by and by.
rocksdb::ColumnFamilyOptions LogFamily(const std::shared_ptr<rocksdb::Cache>& cache,
                                       const std::atomic<uint64_t>& oldest) {
  rocksdb::ColumnFamilyOptions options = SequentialFamily(cache, 8 << 20);
  options.compaction_filter_factory = std::make_shared<DropOld>(oldest, &SequenceOfKey);
  return options;
}

rocksdb::ColumnFamilyOptions IdFamily(const std::shared_ptr<rocksdb::Cache>& cache,
                                      const std::atomic<uint64_t>& oldest) {
  rocksdb::ColumnFamilyOptions options;
  options.write_buffer_size = 4 << 20;
  options.compression = rocksdb::kNoCompression;
  // Ids are hashes, so that every file overlaps every other: fewer rewrites matter more than less
  // space.
  options.compaction_style = rocksdb::kCompactionStyleUniversal;
  options.compaction_filter_factory = std::make_shared<DropOld>(oldest, &SequenceOfId);
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

// Whether the write-ahead logs can be read but for their ends: what a loss of power leaves of a
// write that nobody was told of. RocksDB cuts that off, as it cuts off what follows any damage.
bool HasTornTail(const std::string& data_dir,
                 const std::vector<rocksdb::ColumnFamilyDescriptor>& families) {
  rocksdb::DBOptions options = DatabaseOptions();
  options.wal_recovery_mode = WalMode::kTolerateCorruptedTailRecords;
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* opened = nullptr;
  const rocksdb::Status status =
      rocksdb::DB::OpenForReadOnly(options, data_dir, families, &handles, &opened);
  const std::unique_ptr<rocksdb::DB> db(opened);
  for (auto* handle : handles) db->DestroyColumnFamilyHandle(handle);
  return status.ok();
}

std::filesystem::path KeptIn(const std::string& data_dir) {
  return std::filesystem::path(data_dir) / "damaged";
}

// What cannot be recovered from is kept for whoever wants to try.
absl::Status KeepDamagedLogs(const std::string& data_dir) {
  const std::filesystem::path kept = KeptIn(data_dir);
  std::error_code error;
  std::filesystem::create_directory(kept, error);
  for (const auto& file : std::filesystem::directory_iterator(data_dir, error)) {
    const std::filesystem::path copy = kept / file.path().filename();
    if (file.path().extension() != ".log" || std::filesystem::exists(copy, error)) continue;
    std::filesystem::create_hard_link(file.path(), copy, error);
    if (error) break;
  }
  if (error) {
    return DataLoss("data-dir: {} is damaged, and its logs cannot be kept in {}: {}", data_dir,
                    kept.string(), error.message());
  }
  return absl::OkStatus();
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

// Whether this user may use `path`; where not, whose it is and what to do.
absl::Status CheckAccess(const std::string& path, int access, const std::string& data_dir) {
  if (faccessat(AT_FDCWD, path.c_str(), access, AT_EACCESS) == 0 || errno != EACCES)
    return absl::OkStatus();
  struct stat found {};
  const bool is_own = stat(path.c_str(), &found) == 0 && found.st_uid == geteuid();
  const std::string remedy =
      is_own ? fmt::format("let its owner write: chmod -R u+rwX {}", data_dir)
             : fmt::format("run the gateway as that user, or give it the files: chown -R {} {}",
                           geteuid(), data_dir);
  return MakeStatus(
      absl::StatusCode::kPermissionDenied,
      fmt::format("data-dir: {} belongs to uid {} and cannot be written by this one (uid {}); {}",
                  path, found.st_uid, geteuid(), remedy));
}

// A journal that another user made, or of which one wrote a file, would open and fail later.
absl::Status CheckAccessToAll(const std::string& data_dir) {
  if (auto status = CheckAccess(data_dir, R_OK | W_OK | X_OK, data_dir); !status.ok())
    return status;
  std::error_code error;
  for (const auto& file : std::filesystem::directory_iterator(data_dir, error)) {
    const int access = file.is_directory(error) ? R_OK | W_OK | X_OK : R_OK | W_OK;
    if (auto status = CheckAccess(file.path().string(), access, data_dir); !status.ok())
      return status;
  }
  return absl::OkStatus();
}

// Makes the directory where it is not there yet.
absl::Status PrepareDirectory(const std::string& data_dir) {
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
  return CheckAccessToAll(data_dir);
}

}  // namespace

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
  // The directory is there, so a path that is not is a file of RocksDB's own.
  if (status.IsCorruption() || status.IsPathNotFound()) {
    return DataLoss(
        "data-dir: {} is damaged; restore it from a copy, or keep it aside and start with an empty "
        "one: {}",
        data_dir, text);
  }
  return MakeStatus(absl::StatusCode::kUnavailable,
                    fmt::format("data-dir: {} cannot be opened: {}", data_dir, text));
}

absl::StatusOr<Database> OpenDatabase(const std::string& data_dir,
                                      const std::atomic<uint64_t>& oldest) {
  if (auto status = PrepareDirectory(data_dir); !status.ok()) return status;
  const auto cache = rocksdb::NewLRUCache(16 << 20);
  const std::vector<rocksdb::ColumnFamilyDescriptor> families = {
      {rocksdb::kDefaultColumnFamilyName, SequentialFamily(cache, 1 << 20)},
      {"events", LogFamily(cache, oldest)},
      {"raw", LogFamily(cache, oldest)},
      {"ids", IdFamily(cache, oldest)},
      {"quarantine", SequentialFamily(cache, 4 << 20)},
      {"subscriptions", SequentialFamily(cache, 4 << 20)},
      {"audit", SequentialFamily(cache, 1 << 20)},
  };
  Database database;
  rocksdb::DB* db = nullptr;
  rocksdb::DBOptions options = DatabaseOptions();
  rocksdb::Status status = rocksdb::DB::Open(options, data_dir, families, &database.families, &db);
  if (status.IsCorruption()) {
    const bool is_damaged = !HasTornTail(data_dir, families);
    if (is_damaged) {
      if (auto kept = KeepDamagedLogs(data_dir); !kept.ok()) return kept;
    }
    options.wal_recovery_mode = WalMode::kPointInTimeRecovery;
    status = rocksdb::DB::Open(options, data_dir, families, &database.families, &db);
    if (is_damaged && status.ok()) {
      Log()->error(
          "data-dir: {} is damaged: what was written behind the damage is left out, and kept in "
          "{}. After a loss of power those are writes that were not answered; otherwise the disk "
          "fails",
          data_dir, KeptIn(data_dir).string());
    }
  }
  if (!status.ok()) return ExplainOpen(status, data_dir);
  database.db.reset(db);
  return database;
}

}  // namespace mmsmo::embedded
