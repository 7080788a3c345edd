#include "gateway/embedded/audit/audit_log.h"

#include <charconv>
#include <string_view>
#include <utility>

#include "gateway/base/log.h"
#include "gateway/base/status.h"
#include "gateway/broker/page.h"
#include "gateway/broker/proto_time.h"
#include "gateway/embedded/store/big_endian.h"

namespace mmsmo::embedded {
namespace {

// Number → the age of the log when it was written, and the record.
constexpr size_t kAgeBytes = sizeof(uint64_t);

}  // namespace

absl::StatusOr<std::unique_ptr<AuditLog>> AuditLog::Open(const Options& options, Store* store,
                                                         const Clock& clock) {
  std::unique_ptr<AuditLog> log(new AuditLog(options, store, clock));
  if (auto status = log->Load(); !status.ok()) return status;
  return log;
}

absl::Status AuditLog::Load() {
  const auto it = store_->Iterate(store_->audit());
  uint64_t bytes = 0;
  for (it->SeekToFirst(); it->Valid(); it->Next()) {
    const uint64_t number = LoadBigEndian64(View(it->key()));
    if (bytes == 0) first_ = number;
    next_ = number + 1;
    bytes += it->value().size();
  }
  bytes_ = bytes;
  return FromRocks(it->status(), "reading the audit records");
}

void AuditLog::Put(const broker::ActPtr& act, int64_t count, int64_t age_micros,
                   rocksdb::WriteBatch* batch) {
  if (act == nullptr) return;
  if (act->number == 0) act->number = next_++;
  act->record.set_count(act->record.count() + count);
  *act->record.mutable_time() = broker::ToTimestamp(clock_.NowMicros());
  std::string value = BigEndian(static_cast<uint64_t>(age_micros));
  act->record.AppendToString(&value);
  bytes_ += value.size() - std::exchange(act->bytes, value.size());
  batch->Put(store_->audit(), BigEndian(act->number), value);
}

void AuditLog::Log(const broker::ActPtr& act) {
  if (act == nullptr) return;
  const v1::AuditRecord& record = act->record;
  mmsmo::Log()->info(
      "audit: {}{}{}, {} of them, by {} from {}", record.method(),
      record.subscription().empty() ? "" : " of subscription ", record.subscription(),
      record.count(),
      record.identity().empty() ? "nobody in particular" : "identity '" + record.identity() + "'",
      record.peer());
}

absl::Status AuditLog::RemoveOld(int64_t age_micros) {
  if (first_ == next_) return absl::OkStatus();
  rocksdb::WriteBatch batch;
  uint64_t first = first_, bytes = bytes_, removed = 0;
  const auto it = store_->Iterate(store_->audit());
  for (it->Seek(BigEndian(first)); it->Valid(); it->Next()) {
    const std::string_view value = View(it->value());
    if (value.size() < kAgeBytes) return DataLoss("an audit record cannot be read");
    const auto age = age_micros - static_cast<int64_t>(LoadBigEndian64(value));
    const bool is_old = age_limit_micros_ > 0 && age > age_limit_micros_;
    const bool is_over = bytes_limit_ > 0 && bytes - removed > bytes_limit_;
    if (!is_old && !is_over) break;
    batch.Delete(store_->audit(), it->key());
    removed += value.size();
    first = LoadBigEndian64(View(it->key())) + 1;
  }
  if (batch.Count() == 0) return FromRocks(it->status(), "reading the audit records");
  if (auto status = store_->Write(&batch, "removing audit records"); !status.ok()) return status;
  first_ = first;
  bytes_ -= removed;
  return absl::OkStatus();
}

absl::StatusOr<v1::ListAuditRecordsResponse> AuditLog::List(int page_size,
                                                            const std::string& page_token) {
  uint64_t from = first_;
  if (!page_token.empty()) {
    const char* const end = page_token.data() + page_token.size();
    const auto [rest, error] = std::from_chars(page_token.data(), end, from);
    if (error != std::errc() || rest != end)
      return InvalidArgument("it is not a next_page_token of this gateway");
  }
  v1::ListAuditRecordsResponse page;
  size_t bytes = 0;
  const auto it = store_->Iterate(store_->audit());
  for (it->Seek(BigEndian(from)); it->Valid(); it->Next()) {
    const std::string_view value = View(it->value());
    bytes += value.size();
    if (page.records_size() == page_size ||
        (bytes > broker::kMaxPageBytes && page.records_size() > 0)) {
      page.set_next_page_token(fmt::to_string(LoadBigEndian64(View(it->key()))));
      return page;
    }
    if (value.size() < kAgeBytes ||
        !page.add_records()->ParseFromArray(value.data() + kAgeBytes,
                                            static_cast<int>(value.size() - kAgeBytes))) {
      return DataLoss("an audit record cannot be read");
    }
  }
  if (auto status = FromRocks(it->status(), "reading the audit records"); !status.ok())
    return status;
  return page;
}

}  // namespace mmsmo::embedded
