#include "gateway/embedded/store/store.h"

#include <utility>

#include "gateway/base/status.h"
#include "gateway/embedded/store/big_endian.h"
#include "gateway/embedded/store/database.h"
#include "gateway/embedded/store/defects.h"
#include "gateway/embedded/store/random_id.h"

namespace mmsmo::embedded {
namespace {

// 2 has epochs, ages, and failures beside attempts. What 1 wrote is read as it stands.
constexpr uint64_t kFormatVersion = 2;
constexpr std::string_view kFormatKey = "format_version";
constexpr std::string_view kJournalIdKey = "journal_id";

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
  for (auto* family : {meta_, events_, raw_, ids_, quarantine_, subscriptions_, audit_}) {
    if (family != nullptr) db_->DestroyColumnFamilyHandle(family);
  }
  if (db_) db_->Close();
}

absl::StatusOr<std::unique_ptr<Store>> Store::Open(const std::string& data_dir) {
  std::unique_ptr<Store> store(new Store(data_dir));
  auto database = OpenDatabase(data_dir, store->oldest_);
  if (!database.ok()) return database.status();
  store->db_ = std::move(database->db);
  store->meta_ = database->families[0];
  store->events_ = database->families[1];
  store->raw_ = database->families[2];
  store->ids_ = database->families[3];
  store->quarantine_ = database->families[4];
  store->subscriptions_ = database->families[5];
  store->audit_ = database->families[6];
  if (auto status = store->CheckIdentity(); !status.ok()) return status;
  return store;
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
  if (!*format || **format < kFormatVersion) {
    rocksdb::WriteBatch batch;
    batch.Put(meta_, Slice(kFormatKey), BigEndian(kFormatVersion));
    if (!*format) batch.Put(meta_, Slice(kJournalIdKey), BigEndian(RandomId()));
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

absl::Status Store::Write(rocksdb::WriteBatch* batch, std::string_view what) {
  rocksdb::WriteOptions options;
  options.sync = true;
  BreakPromise(&options);
  return FromRocks(db_->Write(options, batch), what);
}

bool Store::DiskWorks() const {
  const std::string path = data_dir_ + "/disk-probe";
  const std::string data(64 << 10, '\0');
  rocksdb::Env* const env = db_->GetEnv();
  const rocksdb::Status written = rocksdb::WriteStringToFile(env, data, path, /*should_sync=*/true);
  return env->DeleteFile(path).ok() && written.ok();
}

absl::Status Store::Resume(bool* reopen) {
  uint64_t in_memory = 0;
  for (const auto& property : {rocksdb::DB::Properties::kNumEntriesActiveMemTable,
                               rocksdb::DB::Properties::kNumImmutableMemTable}) {
    uint64_t count = 0;
    db_->GetAggregatedIntProperty(property, &count);
    in_memory += count;
  }
  const rocksdb::Status resumed =
      in_memory > 0 ? db_->Resume() : rocksdb::Status::NotSupported("nothing is in memory");
  *reopen = !resumed.ok() && !resumed.IsBusy() && DiskWorks();
  return FromRocks(resumed, "resuming after a failed write");
}

std::unique_ptr<rocksdb::Iterator> Store::Iterate(rocksdb::ColumnFamilyHandle* family,
                                                  rocksdb::ReadOptions options) const {
  options.ignore_range_deletions = true;
  return std::unique_ptr<rocksdb::Iterator>(db_->NewIterator(options, family));
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
  // Backwards an iterator looks at the key before, too: that one may be damaged.
  const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator({}, family));
  it->SeekToLast();
  if (it->Valid()) return it->key().ToString();
  if (!it->status().ok()) return FromRocks(it->status(), "reading the last key");
  return std::string();
}

}  // namespace mmsmo::embedded
