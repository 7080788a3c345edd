#include "gateway/embedded/log/id_index.h"

#include <rocksdb/sst_file_writer.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "gateway/base/log.h"
#include "gateway/base/status.h"
#include "gateway/embedded/store/big_endian.h"

namespace mmsmo::embedded {
namespace {

// After every id, in the file with the ids up to the event that it names: both are there or neither
// is.
const std::string kThroughKey(17, '\xff');
constexpr auto kRetryAfter = std::chrono::seconds(1);

constexpr size_t kKeyBytes = 16;

void AppendKey(const PostbackKey& key, std::string* out) {
  AppendBigEndian(key.high, out);
  AppendBigEndian(key.low, out);
}

}  // namespace

IdIndex::IdIndex(Store* store, Options options) : store_(store), options_(options) {}

absl::StatusOr<std::unique_ptr<IdIndex>> IdIndex::Open(Store* store, uint64_t oldest, uint64_t head,
                                                       Options options) {
  std::unique_ptr<IdIndex> index(new IdIndex(store, options));
  if (auto status = index->Rebuild(oldest, head); !status.ok()) return status;
  index->spiller_ = std::thread([raw = index.get()] { raw->RunSpiller(); });
  return index;
}

IdIndex::~IdIndex() {
  {
    MutexLock lock(&mu_);
    stopping_ = true;
    changed_.SignalAll();
  }
  if (spiller_.joinable()) spiller_.join();
}

absl::StatusOr<uint64_t> IdIndex::ReadThrough(uint64_t head) const {
  std::string value;
  const rocksdb::Status found = store_->db().Get({}, store_->ids(), kThroughKey, &value);
  if (found.IsNotFound()) return 0;
  if (!found.ok()) return FromRocks(found, "reading the id index");
  if (value.size() != 8) return DataLoss("the id index ends with {} bytes, not 8", value.size());
  const uint64_t through = LoadBigEndian64(value);
  if (through <= head) return through;
  // The log has lost its end. What comes in its place must not be taken for indexed, neither now
  // nor at a later start.
  rocksdb::WriteBatch batch;
  batch.Put(store_->ids(), kThroughKey, BigEndian(0));
  if (auto status = store_->Write(&batch, "beginning the id index anew"); !status.ok())
    return status;
  return 0;
}

absl::Status IdIndex::Rebuild(uint64_t oldest, uint64_t head) {
  auto through = ReadThrough(head);
  if (!through.ok()) return through.status();
  const auto it = store_->Iterate(store_->events());
  for (it->Seek(BigEndian(std::max(*through + 1, oldest))); it->Valid(); it->Next()) {
    auto record = DecodeRecord(View(it->value()));
    if (!record.ok()) return record.status();
    through_ = LoadBigEndian64(View(it->key()));
    newest_[record->header.key] = through_;
    if (newest_.size() < options_.table_size) continue;
    if (auto status = Spill(newest_, through_); !status.ok()) return status;
    newest_.clear();
  }
  through_ = head;
  return FromRocks(it->status(), "rebuilding the id index");
}

absl::StatusOr<std::optional<uint64_t>> IdIndex::Find(const PostbackKey& key) {
  return std::move(FindAll({key}).front());
}

std::vector<absl::StatusOr<std::optional<uint64_t>>> IdIndex::FindAll(
    const std::vector<PostbackKey>& keys) {
  std::shared_ptr<const Table> spilling;
  {
    MutexLock lock(&mu_);
    spilling = spilling_;
  }
  std::vector<absl::StatusOr<std::optional<uint64_t>>> found(keys.size(), std::nullopt);
  std::vector<size_t> unknown;  // indices of those that only the store may know
  std::string key_bytes;
  for (size_t i = 0; i < keys.size(); ++i) {
    if (const auto it = newest_.find(keys[i]); it != newest_.end()) {
      found[i] = it->second;
      continue;
    }
    if (spilling) {
      if (const auto it = spilling->find(keys[i]); it != spilling->end()) {
        found[i] = it->second;
        continue;
      }
    }
    unknown.push_back(i);
    AppendKey(keys[i], &key_bytes);
  }

  std::vector<rocksdb::Slice> store_keys;
  store_keys.reserve(unknown.size());
  for (size_t i = 0; i < unknown.size(); ++i)
    store_keys.emplace_back(key_bytes.data() + i * kKeyBytes, kKeyBytes);
  std::vector<rocksdb::PinnableSlice> values(unknown.size());
  std::vector<rocksdb::Status> statuses(unknown.size());
  store_->db().MultiGet({}, store_->ids(), unknown.size(), store_keys.data(), values.data(),
                        statuses.data());
  for (size_t i = 0; i < unknown.size(); ++i) {
    auto& sequence = found[unknown[i]];
    if (statuses[i].IsNotFound()) continue;
    if (!statuses[i].ok()) {
      sequence = FromRocks(statuses[i], "looking up a tracking id");
    } else if (values[i].size() != 8) {
      sequence = DataLoss("an id's entry has {} bytes, not 8", values[i].size());
    } else {
      sequence = LoadBigEndian64(View(values[i]));
    }
  }
  return found;
}

void IdIndex::Insert(const PostbackKey& key, uint64_t sequence) {
  newest_[key] = sequence;
  through_ = sequence;
  if (newest_.size() >= options_.table_size) StartSpilling();
}

void IdIndex::StartSpilling() {
  MutexLock lock(&mu_);
  if (spilling_) return;  // the table grows on until the one before it is in the store
  spilling_ = std::make_shared<const Table>(std::exchange(newest_, {}));
  spilling_through_ = through_;
  changed_.SignalAll();
}

void IdIndex::RunSpiller() {
  setpriority(PRIO_PROCESS, 0, 19);  // this thread's, as RocksDB's that write files
  MutexLock lock(&mu_);
  while (!stopping_) {
    if (!spilling_) {
      changed_.Wait(&mu_);
      continue;
    }
    const std::shared_ptr<const Table> table = spilling_;
    const uint64_t through = spilling_through_;
    mu_.Unlock();
    const absl::Status status = Spill(*table, through);
    mu_.Lock();
    if (status.ok()) {
      spilling_.reset();
    } else {
      Log()->warn("the id index could not be written, next try in 1 s: {}", MessageOf(status));
      changed_.WaitUntil(&mu_, std::chrono::steady_clock::now() + kRetryAfter);
    }
  }
}

absl::Status IdIndex::Spill(const Table& table, uint64_t through) const {
  std::vector<std::pair<PostbackKey, uint64_t>> sorted(table.begin(), table.end());
  std::sort(sorted.begin(), sorted.end());

  const std::string path = store_->data_dir() + "/ids.spill";
  rocksdb::SstFileWriter writer(rocksdb::EnvOptions(), store_->db().GetOptions(store_->ids()),
                                store_->ids());
  rocksdb::Status status = writer.Open(path);
  std::string key_bytes;
  for (const auto& [key, sequence] : sorted) {
    if (!status.ok()) break;
    key_bytes.clear();
    AppendKey(key, &key_bytes);
    status = writer.Put(key_bytes, BigEndian(sequence));
  }
  if (status.ok()) status = writer.Put(kThroughKey, BigEndian(through));
  if (status.ok()) status = writer.Finish();
  if (!status.ok()) return FromRocks(status, "writing the id index");

  rocksdb::IngestExternalFileOptions ingest;
  ingest.move_files = true;
  ingest.write_global_seqno = false;
  return FromRocks(store_->db().IngestExternalFile(store_->ids(), {path}, ingest),
                   "adding to the id index");
}

}  // namespace mmsmo::embedded
