#include "gateway/embedded/quarantine.h"

#include <utility>

#include "absl/strings/escaping.h"
#include "gateway/base/status.h"
#include "gateway/embedded/big_endian.h"

namespace mmsmo::embedded {
namespace {

constexpr size_t kStateBytes = 5 * sizeof(uint64_t);

std::string ShelfPrefix(Quarantine::Shelf shelf) {
  return std::string(1, static_cast<char>(shelf));
}

std::string Key(Quarantine::Shelf shelf, uint64_t number) {
  return ShelfPrefix(shelf) + BigEndian(number);
}

std::string StateKey(Quarantine::Shelf shelf) {
  return fmt::format("quarantine.{}", Quarantine::Name(shelf));
}

Quarantine::Shelf ShelfOf(const v1::QuarantinedPostback& postback) {
  if (postback.http_status() >= 400) return Quarantine::Shelf::kRejected;
  return postback.reason() == "not_mms_mo" ? Quarantine::Shelf::kNotMmsMo
                                           : Quarantine::Shelf::kKept;
}

int64_t Micros(const google::protobuf::Timestamp& time) {
  return time.seconds() * 1'000'000 + time.nanos() / 1000;
}

}  // namespace

std::string_view Quarantine::Name(Shelf shelf) {
  switch (shelf) {
    case Shelf::kRejected:
      return "rejected";
    case Shelf::kNotMmsMo:
      return "not_mms_mo";
    case Shelf::kKept:
      return "kept";
  }
  return "";
}

Quarantine::Quarantine(Store* store, const Options& options)
    : store_(store),
      budgets_{options.rejected_budget, options.not_mms_mo_budget, options.kept_budget} {}

absl::StatusOr<std::unique_ptr<Quarantine>> Quarantine::Open(Store* store, const Options& options) {
  std::unique_ptr<Quarantine> quarantine(new Quarantine(store, options));
  if (auto status = quarantine->Reload(); !status.ok()) return status;
  return quarantine;
}

absl::Status Quarantine::Reload() {
  for (const Shelf shelf : {Shelf::kRejected, Shelf::kNotMmsMo, Shelf::kKept}) {
    state(shelf) = State();
    std::string value;
    const rocksdb::Status status = store_->db().Get({}, store_->meta(), StateKey(shelf), &value);
    if (status.IsNotFound()) continue;
    if (!status.ok()) return FromRocks(status, "reading the quarantine's state");
    if (value.size() != kStateBytes)
      return DataLoss("the quarantine's state has {} bytes, not {}", value.size(), kStateBytes);
    const std::string_view view = value;
    state(shelf) = {.next = LoadBigEndian64(view),
                    .oldest = LoadBigEndian64(view.substr(8)),
                    .usage = {.count = LoadBigEndian64(view.substr(16)),
                              .bytes = LoadBigEndian64(view.substr(24)),
                              .dropped = LoadBigEndian64(view.substr(32))}};
  }
  return absl::OkStatus();
}

void Quarantine::Save(Shelf shelf, rocksdb::WriteBatch* batch) {
  std::string value;
  const State& now = state(shelf);
  for (const uint64_t number :
       {now.next, now.oldest, now.usage.count, now.usage.bytes, now.usage.dropped}) {
    AppendBigEndian(number, &value);
  }
  batch->Put(store_->meta(), StateKey(shelf), value);
}

absl::StatusOr<std::string> Quarantine::Add(v1::QuarantinedPostback postback,
                                            const std::string& body, rocksdb::WriteBatch* batch) {
  const Shelf shelf = ShelfOf(postback);
  const auto full = [&] {
    const Usage& used = state(shelf).usage;
    return used.count + 1 > budget(shelf).count || used.bytes + body.size() > budget(shelf).bytes;
  };
  while (full()) {
    if (shelf == Shelf::kKept) {
      return WithReason(
          MakeStatus(absl::StatusCode::kResourceExhausted,
                     "the quarantine is full; look through it and discard, or raise its budget"),
          "quarantine_full");
    }
    const uint64_t count_before = state(shelf).usage.count;
    if (auto status = RemoveOldest(shelf, batch); !status.ok()) return status;
    // What this very batch has put there cannot be removed yet: over budget by a batch, until the
    // next one.
    if (state(shelf).usage.count == count_before) break;
  }

  State& now = state(shelf);
  const std::string key = Key(shelf, now.next++);
  now.usage.count += 1;
  now.usage.bytes += body.size();
  std::string id = absl::WebSafeBase64Escape(key);
  postback.set_id(id);
  postback.set_body_bytes(static_cast<int64_t>(body.size()));
  v1::GetQuarantinedResponse stored;
  *stored.mutable_postback() = std::move(postback);
  stored.set_body(body);
  batch->Put(store_->quarantine(), key, stored.SerializeAsString());
  Save(shelf, batch);
  return id;
}

absl::Status Quarantine::RemoveOldest(Shelf shelf, rocksdb::WriteBatch* batch) {
  const std::unique_ptr<rocksdb::Iterator> it(store_->db().NewIterator({}, store_->quarantine()));
  it->Seek(Key(shelf, state(shelf).oldest));
  if (!it->Valid() || !it->key().starts_with(ShelfPrefix(shelf))) {
    return FromRocks(it->status(), "reading the quarantine");
  }
  v1::GetQuarantinedResponse stored;
  stored.ParseFromArray(it->value().data(), static_cast<int>(it->value().size()));
  batch->Delete(store_->quarantine(), it->key());
  State& now = state(shelf);
  now.oldest = LoadBigEndian64(View(it->key()).substr(1)) + 1;
  now.usage.count -= 1;
  now.usage.bytes -= stored.body().size();
  now.usage.dropped += 1;
  Save(shelf, batch);
  return absl::OkStatus();
}

absl::Status Quarantine::RemoveBefore(int64_t accept_micros, rocksdb::WriteBatch* batch) {
  for (const Shelf shelf : {Shelf::kRejected, Shelf::kNotMmsMo, Shelf::kKept}) {
    // Bounded, so that appends do not wait for long; the rest goes next time.
    for (int removed = 0; removed < 1000 && state(shelf).usage.count > 0; ++removed) {
      const std::unique_ptr<rocksdb::Iterator> it(
          store_->db().NewIterator({}, store_->quarantine()));
      it->Seek(Key(shelf, state(shelf).oldest));
      if (!it->Valid() || !it->key().starts_with(ShelfPrefix(shelf))) break;
      v1::GetQuarantinedResponse stored;
      stored.ParseFromArray(it->value().data(), static_cast<int>(it->value().size()));
      if (Micros(stored.postback().accept_time()) >= accept_micros) break;
      if (auto status = RemoveOldest(shelf, batch); !status.ok()) return status;
    }
  }
  return absl::OkStatus();
}

}  // namespace mmsmo::embedded
