#include "gateway/embedded/log/epochs.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

#include "gateway/base/status.h"
#include "gateway/embedded/store/big_endian.h"
#include "gateway/embedded/store/random_id.h"

namespace mmsmo::embedded {
namespace {

constexpr std::string_view kEpochsKey = "epochs";
constexpr size_t kEpochBytes = 16;

}  // namespace

absl::Status Epochs::Load(Store* store, uint64_t oldest, uint64_t head) {
  std::string bytes;
  const rocksdb::Status found = store->db().Get({}, store->meta(), Slice(kEpochsKey), &bytes);
  if (!found.ok() && !found.IsNotFound()) return FromRocks(found, "reading the log's epochs");
  if (bytes.size() % kEpochBytes != 0 || (found.ok() && bytes.empty()))
    return DataLoss("the log's epochs have {} bytes", bytes.size());

  std::vector<Epoch> epochs;
  for (std::string_view rest = bytes; !rest.empty(); rest.remove_prefix(kEpochBytes)) {
    epochs.push_back({.first = LoadBigEndian64(rest), .id = LoadBigEndian64(rest.substr(8))});
  }
  if (epochs.empty()) epochs.push_back({.first = 0, .id = store->journal_id()});
  while (epochs.size() > 1 && epochs.back().first > head) epochs.pop_back();
  // The place before the oldest event has a cursor, too.
  const auto covers = std::find_if(std::next(epochs.begin()), epochs.end(),
                                   [=](const Epoch& epoch) { return epoch.first >= oldest; });
  epochs.erase(epochs.begin(), std::prev(covers));

  next_ = RandomId();
  begun_ = false;
  MutexLock lock(&mu_);
  epochs_ = std::move(epochs);
  return absl::OkStatus();
}

Epochs::Reader::Run Epochs::RunOf(uint64_t sequence) const {
  MutexLock lock(&mu_);
  const auto behind =
      std::upper_bound(std::next(epochs_.begin()), epochs_.end(), sequence,
                       [](uint64_t wanted, const Epoch& epoch) { return wanted < epoch.first; });
  return {.first = behind == std::next(epochs_.begin()) ? 0 : std::prev(behind)->first,
          .end = behind == epochs_.end() ? std::numeric_limits<uint64_t>::max() : behind->first,
          .id = std::prev(behind)->id};
}

void Epochs::Begin(const Store& store, uint64_t first, rocksdb::WriteBatch* batch) const {
  if (begun_) return;
  std::string bytes;
  MutexLock lock(&mu_);
  for (const Epoch& epoch : epochs_) {
    AppendBigEndian(epoch.first, &bytes);
    AppendBigEndian(epoch.id, &bytes);
  }
  AppendBigEndian(first, &bytes);
  AppendBigEndian(next_, &bytes);
  batch->Put(store.meta(), Slice(kEpochsKey), bytes);
}

void Epochs::Begun(uint64_t first) {
  if (std::exchange(begun_, true)) return;
  MutexLock lock(&mu_);
  epochs_.push_back({.first = first, .id = next_});
}

}  // namespace mmsmo::embedded
