// How the quarantine stands on disk: shelves, on each of which postbacks have numbers in the order
// in which they came.

#pragma once

#include <rocksdb/write_batch.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "gateway/broker/broker.h"
#include "gateway/embedded/store/store.h"
#include "gateway/embedded/store/timeline.h"
#include "mmsmo/v1/quarantine_service.pb.h"

namespace mmsmo::embedded {

using broker::Shelf;
inline constexpr std::array kShelves = {Shelf::kRejected, Shelf::kNotMmsMo, Shelf::kKept};

// "rejected", "not_mms_mo", "kept".
std::string_view Name(Shelf shelf);

// Where one postback lies. Given once, but for what a copy that is restored gives again.
struct Place {
  Shelf shelf = Shelf::kRejected;
  uint64_t number = 0;
};
// What the keys of a shelf begin with; they sort by number.
std::string ShelfPrefix(Shelf shelf);
std::string QuarantineKey(const Place& place);
// Names a postback. `opening`, of which the first 48 bits count, is drawn anew at each opening of
// the store, so that an id stands for nothing that a copy has put into the same place.
std::string QuarantineId(const Place& place, uint64_t opening);
// Where it lies if it is there, which the id that is stored with it says. nullopt for what neither
// QuarantineId nor an older gateway made, whose ids name the place alone.
std::optional<Place> ParseQuarantineId(std::string_view id);

// A postback as one value, and what is read of it. One that was written without a stamp is as old
// as its time of acceptance.
struct Quarantined {
  v1::GetQuarantinedResponse content;
  AgeStamp age;
};
std::string EncodeQuarantined(const Quarantined& quarantined);
// DataLoss for bytes that are no postback.
absl::StatusOr<Quarantined> DecodeQuarantined(std::string_view bytes);

struct ShelfState {
  uint64_t next = 1;    // the number of the next postback
  uint64_t oldest = 1;  // none has a lower number; those from here on may have gaps
  uint64_t count = 0;
  uint64_t bytes = 0;    // of bodies
  uint64_t dropped = 0;  // made room or grew too old, ever
};
absl::StatusOr<ShelfState> ReadShelfState(Store* store, Shelf shelf);
void PutShelfState(const Store& store, Shelf shelf, const ShelfState& state,
                   rocksdb::WriteBatch* batch);

}  // namespace mmsmo::embedded
