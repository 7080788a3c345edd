#include "gateway/embedded/subscriptions/delivery_recorder.h"

#include <utility>

namespace mmsmo::embedded {

DeliveryRecorder::DeliveryRecorder(Store* store) : store_(store), thread_([this] { Run(); }) {}

DeliveryRecorder::~DeliveryRecorder() {
  {
    MutexLock lock(&mu_);
    stopping_ = true;
    added_.SignalAll();
  }
  thread_.join();
}

void DeliveryRecorder::Add(Put put, Done done) {
  MutexLock lock(&mu_);
  pending_.push_back({.put = std::move(put), .done = std::move(done)});
  if (pending_.size() == 1) added_.Signal();
}

void DeliveryRecorder::Run() {
  while (true) {
    std::vector<Record> records;
    {
      MutexLock lock(&mu_);
      while (pending_.empty() && !stopping_) added_.Wait(&mu_);
      if (pending_.empty()) return;
      records = std::exchange(pending_, {});
    }
    rocksdb::WriteBatch batch;
    for (Record& record : records) record.put(&batch);
    absl::Status status;
    if (batch.Count() > 0) {
      status = FromRocks(store_->db().Write({}, &batch), "recording deliveries");
    }
    for (Record& record : records) std::move(record.done)(status);
  }
}

}  // namespace mmsmo::embedded
