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
constexpr char kFailures = 'F';          // + id + sequence
constexpr char kRetry = 'W';             // + id + sequence

constexpr size_t kKeyBytes = 1 + 8 + 8;
constexpr size_t kProgressBytes = 7 * sizeof(uint64_t);
constexpr size_t kOldProgressBytes = 5 * sizeof(uint64_t);  // without the last two

std::string Key(char kind, SubscriptionId id) { return std::string(1, kind) + BigEndian(id); }
std::string Key(char kind, SubscriptionId id, uint64_t number) {
  return Key(kind, id) + BigEndian(number);
}

absl::Status Malformed(std::string_view what, size_t size) {
  return DataLoss("a subscription's {} of {} bytes cannot be read", what, size);
}

}  // namespace

uint64_t DeadLetterBytes(std::string_view dead_letter) {
  v1::DeadLetter parsed;
  if (!parsed.ParseFromArray(dead_letter.data(), static_cast<int>(dead_letter.size()))) return 0;
  return parsed.event().ByteSizeLong();
}

absl::StatusOr<std::optional<std::string>> SubscriptionRecords::Read(const std::string& key) const {
  std::string value;
  const rocksdb::Status status = store_.db().Get({}, store_.subscriptions(), key, &value);
  if (status.IsNotFound()) return std::nullopt;
  if (!status.ok()) return FromRocks(status, "reading a subscription");
  return value;
}

absl::StatusOr<std::vector<SubscriptionRecords::Found>> SubscriptionRecords::ReadAll() const {
  std::vector<Found> found;
  const auto it = store_.Iterate(store_.subscriptions());
  const std::string prefix(1, kHeader);
  for (it->Seek(prefix); it->Valid() && it->key().starts_with(prefix); it->Next()) {
    const std::string_view value = View(it->value());
    std::string name(View(it->key()).substr(1));
    SubscriptionHeader header;
    if (value.size() < 16 ||
        !header.settings.ParseFromArray(value.data() + 16, static_cast<int>(value.size() - 16)) ||
        header.settings.name() != name) {
      found.push_back({std::move(name), Malformed("settings", value.size())});
      continue;
    }
    header.id = LoadBigEndian64(value);
    header.last_used_micros = static_cast<int64_t>(LoadBigEndian64(value.substr(8)));
    found.push_back({std::move(name), std::move(header)});
  }
  if (!it->status().ok()) return FromRocks(it->status(), "reading the subscriptions");
  return found;
}

void SubscriptionRecords::DeleteHeader(const std::string& name, rocksdb::WriteBatch* batch) const {
  batch->Delete(store_.subscriptions(), std::string(1, kHeader) + name);
}

void SubscriptionRecords::Put(const SubscriptionHeader& header, rocksdb::WriteBatch* batch) const {
  std::string value = BigEndian(header.id);
  AppendBigEndian(static_cast<uint64_t>(header.last_used_micros), &value);
  header.settings.AppendToString(&value);
  batch->Put(store_.subscriptions(), std::string(1, kHeader) + header.settings.name(), value);
}

void SubscriptionRecords::DeleteAll(const SubscriptionHeader& header,
                                    rocksdb::WriteBatch* batch) const {
  DeleteHeader(header.settings.name(), batch);
  batch->Delete(store_.subscriptions(), Key(kProgress, header.id));
  batch->Delete(store_.subscriptions(), Key(kDeliveredThrough, header.id));
  // Its id will not be used again.
  for (const char kind :
       {kBlock, kAttempts, kFailures, kRetry, static_cast<char>(DeadLetters::kKept),
        static_cast<char>(DeadLetters::kReplayed)}) {
    DeleteAllOf(kind, header.id, batch);
  }
}

absl::Status SubscriptionRecords::DeletePositions(SubscriptionId id,
                                                  rocksdb::WriteBatch* batch) const {
  for (const char kind : {kAttempts, kFailures, kRetry}) DeleteAllOf(kind, id, batch);
  // One by one, for ReadBlocks.
  const auto it = store_.Iterate(store_.subscriptions());
  const std::string prefix = Key(kBlock, id);
  for (it->Seek(prefix); it->Valid() && it->key().starts_with(prefix); it->Next()) {
    batch->Delete(store_.subscriptions(), it->key());
  }
  return FromRocks(it->status(), "reading a subscription's acknowledgements");
}

absl::StatusOr<uint64_t> SubscriptionRecords::DeleteBehind(SubscriptionId id, uint64_t head,
                                                           SubscriptionProgress* progress,
                                                           rocksdb::WriteBatch* batch) const {
  for (const char kind : {kAttempts, kFailures, kRetry}) {
    batch->DeleteRange(store_.subscriptions(), Key(kind, id, head + 1),
                       Key(kind, id) + std::string(9, '\xff'));
  }
  uint64_t deleted = 0;
  for (const DeadLetters which : {DeadLetters::kKept, DeadLetters::kReplayed}) {
    uint64_t& count = which == DeadLetters::kKept ? progress->dead_letters : progress->replays;
    auto status = Visit(which, id, head + 1, [&](uint64_t sequence, std::string_view bytes) {
      Delete(which, id, sequence, batch);
      --count;
      progress->dead_letter_bytes -= DeadLetterBytes(bytes);
      ++deleted;
      return true;
    });
    if (!status.ok()) return status;
  }
  return deleted;
}

void SubscriptionRecords::DeleteAllOf(char kind, SubscriptionId id,
                                      rocksdb::WriteBatch* batch) const {
  batch->DeleteRange(store_.subscriptions(), Key(kind, id), Key(kind, id) + std::string(9, '\xff'));
}

absl::StatusOr<SubscriptionProgress> SubscriptionRecords::ReadProgress(SubscriptionId id) const {
  auto value = Read(Key(kProgress, id));
  if (!value.ok()) return value.status();
  const size_t size = *value ? (*value)->size() : 0;
  if (size != kProgressBytes && size != kOldProgressBytes) return Malformed("progress", size);
  const std::string_view view = **value;
  const auto number = [view](size_t i) { return LoadBigEndian64(view.substr(i * 8)); };
  SubscriptionProgress progress{.floor = number(0),
                                .epoch = static_cast<uint32_t>(number(1)),
                                .not_before = static_cast<int64_t>(number(2)),
                                .expired = number(3),
                                .dead_letters = number(4)};
  if (size == kProgressBytes) {
    progress.replays = number(5);
    progress.dead_letter_bytes = number(6);
    return progress;
  }
  const auto count = [&progress](uint64_t, std::string_view dead_letter) {
    progress.dead_letter_bytes += DeadLetterBytes(dead_letter);
    return true;
  };
  auto status = Visit(DeadLetters::kKept, id, 0, count);
  if (status.ok()) {
    status = Visit(DeadLetters::kReplayed, id, 0, [&](uint64_t sequence, std::string_view bytes) {
      ++progress.replays;
      return count(sequence, bytes);
    });
  }
  if (!status.ok()) return status;
  return progress;
}

void SubscriptionRecords::Put(SubscriptionId id, const SubscriptionProgress& progress,
                              rocksdb::WriteBatch* batch) const {
  std::string value;
  for (const uint64_t number :
       {progress.floor, uint64_t{progress.epoch}, static_cast<uint64_t>(progress.not_before),
        progress.expired, progress.dead_letters, progress.replays, progress.dead_letter_bytes}) {
    AppendBigEndian(number, &value);
  }
  batch->Put(store_.subscriptions(), Key(kProgress, id), value);
}

// An older gateway's records name no epoch: it removed them with a seek.
absl::StatusOr<uint64_t> SubscriptionRecords::ReadDeliveredThrough(SubscriptionId id,
                                                                   uint32_t epoch) const {
  auto value = Read(Key(kDeliveredThrough, id));
  if (!value.ok()) return value.status();
  if (!*value) return 0;
  const std::string_view view = **value;
  if (view.size() != 8 && view.size() != 12) return Malformed("last delivery", view.size());
  if (view.size() == 12 && LoadBigEndian<uint32_t>(view.substr(8)) != epoch) return 0;
  return LoadBigEndian64(view);
}

void SubscriptionRecords::PutDeliveredThrough(SubscriptionId id, uint32_t epoch, uint64_t sequence,
                                              rocksdb::WriteBatch* batch) const {
  std::string value = BigEndian(sequence);
  AppendBigEndian(epoch, &value);
  batch->Put(store_.subscriptions(), Key(kDeliveredThrough, id), value);
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

absl::StatusOr<AttemptRecord> SubscriptionRecords::ReadAttempts(SubscriptionId id, uint32_t epoch,
                                                                uint64_t sequence) const {
  AttemptRecord record;
  auto attempts = Read(Key(kAttempts, id, sequence));
  if (!attempts.ok()) return attempts.status();
  if (*attempts) {
    const std::string_view view = **attempts;
    if (view.size() != 4 && view.size() != 8) return Malformed("attempts", view.size());
    const bool late = view.size() == 8 && LoadBigEndian<uint32_t>(view.substr(4)) != epoch;
    if (!late) record.attempts = LoadBigEndian<uint32_t>(view);
  }
  auto failures = Read(Key(kFailures, id, sequence));
  if (!failures.ok()) return failures.status();
  if (*failures) {
    if ((*failures)->size() != 4) return Malformed("failures", (*failures)->size());
    record.failures = LoadBigEndian<uint32_t>(**failures);
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

void SubscriptionRecords::PutAttempts(SubscriptionId id, uint32_t epoch, uint64_t sequence,
                                      uint32_t attempts, rocksdb::WriteBatch* batch) const {
  std::string value;
  AppendBigEndian(attempts, &value);
  AppendBigEndian(epoch, &value);
  batch->Put(store_.subscriptions(), Key(kAttempts, id, sequence), value);
}

void SubscriptionRecords::PutFailures(SubscriptionId id, uint64_t sequence, uint32_t failures,
                                      rocksdb::WriteBatch* batch) const {
  std::string value;
  AppendBigEndian(failures, &value);
  batch->Put(store_.subscriptions(), Key(kFailures, id, sequence), value);
}

void SubscriptionRecords::PutRetry(SubscriptionId id, uint64_t sequence, int64_t at_micros,
                                   int64_t delay_micros, rocksdb::WriteBatch* batch) const {
  batch->Put(
      store_.subscriptions(), Key(kRetry, id, sequence),
      BigEndian(static_cast<uint64_t>(at_micros)) + BigEndian(static_cast<uint64_t>(delay_micros)));
}

void SubscriptionRecords::DeleteAttempts(SubscriptionId id, uint64_t sequence,
                                         rocksdb::WriteBatch* batch) const {
  for (const char kind : {kAttempts, kFailures, kRetry}) {
    batch->Delete(store_.subscriptions(), Key(kind, id, sequence));
  }
}

void SubscriptionRecords::DeleteAttemptsBefore(SubscriptionId id, uint64_t sequence,
                                               rocksdb::WriteBatch* batch) const {
  for (const char kind : {kAttempts, kFailures, kRetry}) {
    batch->DeleteRange(store_.subscriptions(), Key(kind, id, 0), Key(kind, id, sequence));
  }
}

absl::StatusOr<std::optional<std::string>> SubscriptionRecords::Read(DeadLetters which,
                                                                     SubscriptionId id,
                                                                     uint64_t sequence) const {
  return Read(Key(static_cast<char>(which), id, sequence));
}

void SubscriptionRecords::Put(DeadLetters which, SubscriptionId id, uint64_t sequence,
                              const std::string& dead_letter, rocksdb::WriteBatch* batch) const {
  batch->Put(store_.subscriptions(), Key(static_cast<char>(which), id, sequence), dead_letter);
}

void SubscriptionRecords::Delete(DeadLetters which, SubscriptionId id, uint64_t sequence,
                                 rocksdb::WriteBatch* batch) const {
  batch->Delete(store_.subscriptions(), Key(static_cast<char>(which), id, sequence));
}

absl::Status SubscriptionRecords::Visit(DeadLetters which, SubscriptionId id, uint64_t sequence,
                                        const Each& each) const {
  const auto it = store_.Iterate(store_.subscriptions());
  const std::string prefix = Key(static_cast<char>(which), id);
  for (it->Seek(prefix + BigEndian(sequence)); it->Valid() && it->key().starts_with(prefix);
       it->Next()) {
    if (it->key().size() != kKeyBytes) return Malformed("dead letter", it->value().size());
    if (!each(LoadBigEndian64(View(it->key()).substr(9)), View(it->value()))) break;
  }
  return FromRocks(it->status(), "reading a subscription's dead letters");
}

}  // namespace mmsmo::embedded
