// Writes down what is about to be delivered, so that attempts are counted right whatever happens to
// this process.

#pragma once

#include <rocksdb/write_batch.h>

#include <thread>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "gateway/embedded/store/store.h"
#include "mutex.h"

namespace mmsmo::embedded {

// Thread-safe. What is added during one write is the next one. The writes are not synced: they
// survive a kill of the process, and a loss of power can only make an attempt be counted once less.
// But they wait for a sync that is running, and so have a thread of their own.
class DeliveryRecorder {
 public:
  using Put = absl::AnyInvocable<void(rocksdb::WriteBatch*)>;
  using Done = absl::AnyInvocable<void(const absl::Status&) &&>;

  // `store` must outlive the recorder.
  explicit DeliveryRecorder(Store* store);
  // Writes what was added.
  ~DeliveryRecorder();

  // Calls `put` and then, once it is written or cannot be, `done`, both on the recorder's thread.
  void Add(Put put, Done done);

 private:
  struct Record {
    Put put;
    Done done;
  };
  void Run();

  Store* const store_;
  Mutex mu_;
  CondVar added_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<Record> pending_ ABSL_GUARDED_BY(mu_);
  std::thread thread_;
};

}  // namespace mmsmo::embedded
