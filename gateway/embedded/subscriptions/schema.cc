#include "gateway/embedded/subscriptions/schema.h"

#include <rocksdb/iterator.h>

#include <cstring>
#include <memory>

#include "gateway/base/status.h"
#include "gateway/embedded/store/big_endian.h"

namespace mmsmo::embedded {
namespace {

// The first byte of a key.
constexpr char kHeader = 'S';            // + name
constexpr char kProgress = 'P';          // + id
constexpr char kDeliveredThrough = 'L';  // + id
constexpr char kBlock = 'A';             // + id + block
constexpr char kAttempts = 'T';          // + id + sequence
constexpr char kRetry = 'W';             // + id + sequence

constexpr size_t kKeyBytes = 1 + 8 + 8;
constexpr size_t kProgressBytes = 5 * sizeof(uint64_t);

std::string Key(char kind, SubscriptionId id) { return std::string(1, kind) + BigEndian(id); }
std::string Key(char kind, SubscriptionId id, uint64_t number) {
  return Key(kind, id) + BigEndian(number);
}

absl::Status Malformed(std::string_view what, size_t size) {
  return DataLoss("a subscription's {} of {} bytes cannot be read", what, size);
}

}  // namespace

absl::StatusOr<std::optional<std::string>> SubscriptionRecords::Read(const std::string& key) const {
  std::string value;
  const rocksdb::Status status = store_.db().Get({}, store_.subscriptions(), key, &value);
  if (status.IsNotFound()) return std::nullopt;
  if (!status.ok()) return FromRocks(status, "reading a subscription");
  return value;
}

absl::StatusOr<std::vector<SubscriptionHeader>> SubscriptionRecords::ReadAll() const {
  std::vector<SubscriptionHeader> headers;
  const auto it = store_.Iterate(store_.subscriptions());
  const std::string prefix(1, kHeader);
  for (it->Seek(prefix); it->Valid() && it->key().starts_with(prefix); it->Next()) {
    const std::string_view value = View(it->value());
    SubscriptionHeader header;
    if (value.size() < 16 ||
        !header.settings.ParseFromArray(value.data() + 16, static_cast<int>(value.size() - 16))) {
      return Malformed("settings", value.size());
    }
    header.id = LoadBigEndian64(value);
    header.last_used_micros = static_cast<int64_t>(LoadBigEndian64(value.substr(8)));
    headers.push_back(std::move(header));
  }
  if (!it->status().ok()) return FromRocks(it->status(), "reading the subscriptions");
  return headers;
}

void SubscriptionRecords::Put(const SubscriptionHeader& header, rocksdb::WriteBatch* batch) const {
  std::string value = BigEndian(header.id);
  AppendBigEndian(static_cast<uint64_t>(header.last_used_micros), &value);
  header.settings.AppendToString(&value);
  batch->Put(store_.subscriptions(), std::string(1, kHeader) + header.settings.name(), value);
}

void SubscriptionRecords::DeleteAll(const SubscriptionHeader& header,
                                    rocksdb::WriteBatch* batch) const {
  batch->Delete(store_.subscriptions(), std::string(1, kHeader) + header.settings.name());
  batch->Delete(store_.subscriptions(), Key(kProgress, header.id));
  batch->Delete(store_.subscriptions(), Key(kDeliveredThrough, header.id));
  // Its id will not be used again.
  for (const char kind : {kBlock, kAttempts, kRetry, static_cast<char>(Grave::kDeadLetter),
                          static_cast<char>(Grave::kReplay)}) {
    DeleteAllOf(kind, header.id, batch);
  }
}

absl::Status SubscriptionRecords::DeletePositions(SubscriptionId id,
                                                  rocksdb::WriteBatch* batch) const {
  DeleteAllOf(kAttempts, id, batch);
  DeleteAllOf(kRetry, id, batch);
  // One by one, for ReadBlocks.
  const auto it = store_.Iterate(store_.subscriptions());
  const std::string prefix = Key(kBlock, id);
  for (it->Seek(prefix); it->Valid() && it->key().starts_with(prefix); it->Next()) {
    batch->Delete(store_.subscriptions(), it->key());
  }
  return FromRocks(it->status(), "reading a subscription's acknowledgements");
}

void SubscriptionRecords::DeleteAllOf(char kind, SubscriptionId id,
                                      rocksdb::WriteBatch* batch) const {
  batch->DeleteRange(store_.subscriptions(), Key(kind, id), Key(kind, id) + std::string(9, '\xff'));
}

absl::StatusOr<SubscriptionProgress> SubscriptionRecords::ReadProgress(SubscriptionId id) const {
  auto value = Read(Key(kProgress, id));
  if (!value.ok()) return value.status();
  if (!*value || (*value)->size() != kProgressBytes)
    return Malformed("progress", *value ? (*value)->size() : 0);
  const std::string_view view = **value;
  return SubscriptionProgress{.floor = LoadBigEndian64(view),
                              .epoch = static_cast<uint32_t>(LoadBigEndian64(view.substr(8))),
                              .not_before = static_cast<int64_t>(LoadBigEndian64(view.substr(16))),
                              .expired = LoadBigEndian64(view.substr(24)),
                              .dead_letters = LoadBigEndian64(view.substr(32))};
}

void SubscriptionRecords::Put(SubscriptionId id, const SubscriptionProgress& progress,
                              rocksdb::WriteBatch* batch) const {
  std::string value;
  for (const uint64_t number :
       {progress.floor, uint64_t{progress.epoch}, static_cast<uint64_t>(progress.not_before),
        progress.expired, progress.dead_letters}) {
    AppendBigEndian(number, &value);
  }
  batch->Put(store_.subscriptions(), Key(kProgress, id), value);
}

absl::StatusOr<uint64_t> SubscriptionRecords::ReadDeliveredThrough(SubscriptionId id) const {
  auto value = Read(Key(kDeliveredThrough, id));
  if (!value.ok()) return value.status();
  if (!*value) return 0;
  if ((*value)->size() != 8) return Malformed("last delivery", (*value)->size());
  return LoadBigEndian64(**value);
}

void SubscriptionRecords::PutDeliveredThrough(SubscriptionId id, uint64_t sequence,
                                              rocksdb::WriteBatch* batch) const {
  batch->Put(store_.subscriptions(), Key(kDeliveredThrough, id), BigEndian(sequence));
}

absl::Status SubscriptionRecords::ReadBlocks(SubscriptionId id, AckedSet* acked) const {
  const auto it = store_.Iterate(store_.subscriptions());
  const std::string prefix = Key(kBlock, id);
  for (it->Seek(prefix); it->Valid() && it->key().starts_with(prefix); it->Next()) {
    AckedSet::Words words;
    if (it->key().size() != kKeyBytes || it->value().size() != sizeof words) {
      return Malformed("acknowledgements", it->value().size());
    }
    const std::string_view value = View(it->value());
    for (size_t i = 0; i < words.size(); ++i)
      words[i] = LoadBigEndian64(value.substr(i * sizeof(uint64_t)));
    acked->Restore(LoadBigEndian64(View(it->key()).substr(9)), words);
  }
  return FromRocks(it->status(), "reading a subscription's acknowledgements");
}

void SubscriptionRecords::PutBlock(SubscriptionId id, uint64_t block, const AckedSet::Words& words,
                                   rocksdb::WriteBatch* batch) const {
  std::string value;
  value.reserve(sizeof words);
  for (const uint64_t word : words) AppendBigEndian(word, &value);
  batch->Put(store_.subscriptions(), Key(kBlock, id, block), value);
}

void SubscriptionRecords::DeleteBlock(SubscriptionId id, uint64_t block,
                                      rocksdb::WriteBatch* batch) const {
  batch->Delete(store_.subscriptions(), Key(kBlock, id, block));
}

absl::StatusOr<AttemptRecord> SubscriptionRecords::ReadAttempts(SubscriptionId id,
                                                                uint64_t sequence) const {
  AttemptRecord record;
  auto attempts = Read(Key(kAttempts, id, sequence));
  if (!attempts.ok()) return attempts.status();
  if (*attempts) {
    if ((*attempts)->size() != 4) return Malformed("attempts", (*attempts)->size());
    record.attempts = LoadBigEndian<uint32_t>(**attempts);
  }
  auto retry = Read(Key(kRetry, id, sequence));
  if (!retry.ok()) return retry.status();
  if (*retry) {
    if ((*retry)->size() != 16) return Malformed("retry time", (*retry)->size());
    const std::string_view times = **retry;
    record.retry_at_micros = static_cast<int64_t>(LoadBigEndian64(times));
    record.retry_delay_micros = static_cast<int64_t>(LoadBigEndian64(times.substr(8)));
  }
  return record;
}

void SubscriptionRecords::PutAttempts(SubscriptionId id, uint64_t sequence, uint32_t attempts,
                                      rocksdb::WriteBatch* batch) const {
  std::string value;
  AppendBigEndian(attempts, &value);
  batch->Put(store_.subscriptions(), Key(kAttempts, id, sequence), value);
}

void SubscriptionRecords::PutRetry(SubscriptionId id, uint64_t sequence, int64_t at_micros,
                                   int64_t delay_micros, rocksdb::WriteBatch* batch) const {
  batch->Put(
      store_.subscriptions(), Key(kRetry, id, sequence),
      BigEndian(static_cast<uint64_t>(at_micros)) + BigEndian(static_cast<uint64_t>(delay_micros)));
}

void SubscriptionRecords::DeleteAttempts(SubscriptionId id, uint64_t sequence,
                                         rocksdb::WriteBatch* batch) const {
  batch->Delete(store_.subscriptions(), Key(kAttempts, id, sequence));
  batch->Delete(store_.subscriptions(), Key(kRetry, id, sequence));
}

void SubscriptionRecords::DeleteAttemptsBefore(SubscriptionId id, uint64_t sequence,
                                               rocksdb::WriteBatch* batch) const {
  for (const char kind : {kAttempts, kRetry}) {
    batch->DeleteRange(store_.subscriptions(), Key(kind, id, 0), Key(kind, id, sequence));
  }
}

absl::StatusOr<std::optional<std::string>> SubscriptionRecords::Read(Grave grave, SubscriptionId id,
                                                                     uint64_t sequence) const {
  return Read(Key(static_cast<char>(grave), id, sequence));
}

void SubscriptionRecords::Put(Grave grave, SubscriptionId id, uint64_t sequence,
                              const std::string& dead_letter, rocksdb::WriteBatch* batch) const {
  batch->Put(store_.subscriptions(), Key(static_cast<char>(grave), id, sequence), dead_letter);
}

void SubscriptionRecords::Delete(Grave grave, SubscriptionId id, uint64_t sequence,
                                 rocksdb::WriteBatch* batch) const {
  batch->Delete(store_.subscriptions(), Key(static_cast<char>(grave), id, sequence));
}

absl::Status SubscriptionRecords::Visit(Grave grave, SubscriptionId id, uint64_t sequence,
                                        const Each& each) const {
  const auto it = store_.Iterate(store_.subscriptions());
  const std::string prefix = Key(static_cast<char>(grave), id);
  for (it->Seek(prefix + BigEndian(sequence)); it->Valid() && it->key().starts_with(prefix);
       it->Next()) {
    if (it->key().size() != kKeyBytes) return Malformed("dead letter", it->value().size());
    if (!each(LoadBigEndian64(View(it->key()).substr(9)), View(it->value()))) break;
  }
  return FromRocks(it->status(), "reading a subscription's dead letters");
}

}  // namespace mmsmo::embedded
