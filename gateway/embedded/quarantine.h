// What was kept without being published, within three budgets, so that noise cannot push out
// messages: the postbacks answered 4xx and those of another kind make room for newer ones; those
// answered 200 leave by age only.

#pragma once

#include <rocksdb/write_batch.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gateway/embedded/options.h"
#include "gateway/embedded/store.h"
#include "mmsmo/v1/quarantine_service.pb.h"

namespace mmsmo::embedded {

// For one thread.
class Quarantine {
 public:
  enum class Shelf : char { kRejected, kNotMmsMo, kKept };
  static constexpr int kShelves = 3;

  struct Usage {
    uint64_t count = 0;
    uint64_t bytes = 0;    // of bodies
    uint64_t dropped = 0;  // made room or grew too old, ever
  };

  static absl::StatusOr<std::unique_ptr<Quarantine>> Open(Store* store, const Options& options);

  // Puts a postback into the batch and returns its id; sets postback.id and body_bytes.
  // ResourceExhausted with reason "quarantine_full" when it may not push out others.
  absl::StatusOr<std::string> Add(v1::QuarantinedPostback postback, const std::string& body,
                                  rocksdb::WriteBatch* batch);

  // Puts the removal of what was accepted before that time into the batch.
  absl::Status RemoveBefore(int64_t accept_micros, rocksdb::WriteBatch* batch);

  // Forgets what was put into a batch that was not written.
  absl::Status Reload();

  const Usage& usage(Shelf shelf) const { return shelves_[static_cast<size_t>(shelf)].usage; }
  static std::string_view Name(Shelf shelf);

 private:
  struct State {
    uint64_t next = 1;    // the number of the next postback
    uint64_t oldest = 1;  // none is older
    Usage usage;
  };

  Quarantine(Store* store, const Options& options);
  State& state(Shelf shelf) { return shelves_[static_cast<size_t>(shelf)]; }
  const QuarantineBudget& budget(Shelf shelf) const { return budgets_[static_cast<size_t>(shelf)]; }
  absl::Status RemoveOldest(Shelf shelf, rocksdb::WriteBatch* batch);
  void Save(Shelf shelf, rocksdb::WriteBatch* batch);

  Store* const store_;
  const std::array<QuarantineBudget, kShelves> budgets_;
  std::array<State, kShelves> shelves_;
};

}  // namespace mmsmo::embedded
