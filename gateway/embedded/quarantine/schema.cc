#include "gateway/embedded/quarantine/schema.h"

#include "absl/strings/escaping.h"
#include "gateway/base/status.h"
#include "gateway/broker/proto_time.h"
#include "gateway/embedded/store/big_endian.h"

namespace mmsmo::embedded {
namespace {

constexpr size_t kKeyBytes = 1 + sizeof(uint64_t);
constexpr size_t kOpeningBytes = 6;
// No serialised message begins so.
constexpr char kStamped = '\0';
constexpr size_t kStampBytes = 1 + 4 + 8;
constexpr size_t kStateBytes = 5 * sizeof(uint64_t);

std::string StateKey(Shelf shelf) { return fmt::format("quarantine.{}", Name(shelf)); }

}  // namespace

std::string_view Name(Shelf shelf) {
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

std::string ShelfPrefix(Shelf shelf) { return std::string(1, static_cast<char>(shelf)); }

std::string QuarantineKey(const Place& place) {
  return ShelfPrefix(place.shelf) + BigEndian(place.number);
}

std::string QuarantineId(const Place& place, uint64_t opening) {
  return absl::WebSafeBase64Escape(QuarantineKey(place) +
                                   BigEndian(opening).substr(0, kOpeningBytes));
}

std::optional<Place> ParseQuarantineId(std::string_view id) {
  // Both lengths are whole groups of base64, in which bytes have one text only.
  std::string key;
  if (!absl::WebSafeBase64Unescape({id.data(), id.size()}, &key) ||
      (key.size() != kKeyBytes && key.size() != kKeyBytes + kOpeningBytes) ||
      id.size() != key.size() * 4 / 3) {
    return std::nullopt;
  }
  for (const Shelf shelf : kShelves) {
    if (key[0] == static_cast<char>(shelf))
      return Place{.shelf = shelf, .number = LoadBigEndian64(std::string_view(key).substr(1))};
  }
  return std::nullopt;
}

std::string EncodeQuarantined(const Quarantined& quarantined) {
  std::string bytes(1, kStamped);
  AppendBigEndian(quarantined.age.era, &bytes);
  AppendBigEndian(static_cast<uint64_t>(quarantined.age.micros), &bytes);
  quarantined.content.AppendToString(&bytes);
  return bytes;
}

absl::StatusOr<Quarantined> DecodeQuarantined(std::string_view bytes) {
  Quarantined quarantined;
  const bool stamped = bytes.size() >= kStampBytes && bytes[0] == kStamped;
  if (stamped) {
    quarantined.age = {.era = LoadBigEndian<uint32_t>(bytes.substr(1)),
                       .micros = static_cast<int64_t>(LoadBigEndian64(bytes.substr(5)))};
    bytes.remove_prefix(kStampBytes);
  }
  if (!quarantined.content.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    return DataLoss("a quarantined postback cannot be read");
  if (!stamped)
    quarantined.age.micros = broker::MicrosOf(quarantined.content.postback().accept_time());
  return quarantined;
}

absl::StatusOr<ShelfState> ReadShelfState(Store* store, Shelf shelf) {
  std::string value;
  const rocksdb::Status status = store->db().Get({}, store->meta(), StateKey(shelf), &value);
  if (status.IsNotFound()) return ShelfState();
  if (!status.ok()) return FromRocks(status, "reading the quarantine's state");
  if (value.size() != kStateBytes)
    return DataLoss("the quarantine's state has {} bytes, not {}", value.size(), kStateBytes);
  const std::string_view view = value;
  return ShelfState{.next = LoadBigEndian64(view),
                    .oldest = LoadBigEndian64(view.substr(8)),
                    .count = LoadBigEndian64(view.substr(16)),
                    .bytes = LoadBigEndian64(view.substr(24)),
                    .dropped = LoadBigEndian64(view.substr(32))};
}

void PutShelfState(const Store& store, Shelf shelf, const ShelfState& state,
                   rocksdb::WriteBatch* batch) {
  std::string value;
  for (const uint64_t number : {state.next, state.oldest, state.count, state.bytes, state.dropped})
    AppendBigEndian(number, &value);
  batch->Put(store.meta(), StateKey(shelf), value);
}

}  // namespace mmsmo::embedded
