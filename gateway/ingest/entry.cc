#include "gateway/ingest/entry.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "fmt/format.h"
#include "gateway/broker/page.h"

namespace mmsmo::ingest {
namespace {

using postback::Judgement;
using postback::Verdict;

static_assert(postback::Fingerprint::kVersion == broker::kContentVersion);

// Beside its texts: the entry, its receipt and who waits for it.
constexpr int64_t kBookkeepingBytes = 1 << 10;

broker::ContentId ContentOf(const postback::Fingerprint& fingerprint) {
  broker::ContentId content;
  static_assert(std::tuple_size_v<broker::ContentId> == 1 + sizeof(fingerprint.digest));
  content[0] = fingerprint.version;
  std::copy(fingerprint.digest.begin(), fingerprint.digest.end(), content.begin() + 1);
  return content;
}

broker::Shelf ShelfOf(const Judgement& judgement) {
  if (judgement.verdict == Verdict::kRejected) return broker::Shelf::kRejected;
  return judgement.reason == postback::Reason::kNotMmsMo ? broker::Shelf::kNotMmsMo
                                                         : broker::Shelf::kKept;
}

void RefuseEvent(broker::Entry* entry) {
  entry->detail = fmt::format("the event has {} bytes, at most {} are allowed", entry->event.size(),
                              broker::kMaxEventBytes);
  std::string().swap(entry->event);
  entry->http_status = 413;
  entry->reason = "body_too_large";
}

}  // namespace

Judgement Judge(const Postback& postback, v1::Event* event) {
  event->Clear();
  return postback::Judge({.body = postback.body,
                          .content_type = postback.content_type,
                          .content_encoding = postback.content_encoding,
                          .max_bytes = postback.max_bytes},
                         event->mutable_mms_mo());
}

broker::Entry MakeEntry(Postback postback, Judgement judgement, v1::Event* event) {
  broker::Entry entry{.endpoint = std::move(postback.endpoint),
                      .content_type = std::move(postback.content_type),
                      .content_encoding = std::move(postback.content_encoding),
                      .trace_parent = std::move(postback.trace_parent),
                      .verified_by = std::move(postback.verified_by),
                      .body = std::move(postback.body),
                      .tracking_id = std::move(judgement.tracking_id)};
  if (judgement.verdict == Verdict::kAccepted) {
    event->set_endpoint(entry.endpoint);
    event->set_trace_parent(entry.trace_parent);
    for (const std::string& check : entry.verified_by) event->add_verified_by(check);
    event->SerializeToString(&entry.event);
    entry.key = broker::MakePostbackKey(entry.endpoint, entry.tracking_id,
                                        event->mms_mo().recipient().value());
    entry.content = ContentOf(judgement.fingerprint);
    entry.earlier_key = broker::MakePostbackKey(entry.endpoint, entry.tracking_id);
    entry.earlier_content = ContentOf(judgement.earlier_fingerprint);
    if (entry.event.size() > broker::kMaxEventBytes) RefuseEvent(&entry);
  } else {
    entry.shelf = ShelfOf(judgement);
    entry.http_status = StatusOf(judgement);
    entry.reason = Name(judgement.reason);
    entry.detail = std::move(judgement.detail);
  }
  return entry;
}

broker::Entry Conflicting(broker::Entry entry, std::string_view cursor) {
  entry.event.clear();
  entry.shelf = broker::Shelf::kKept;
  entry.http_status = 200;
  entry.reason = "id_conflict";
  entry.detail = fmt::format(
      "the event at cursor {} has the same tracking id and recipient, and other content", cursor);
  return entry;
}

int64_t CostOf(const broker::Entry& entry) {
  return HeapBytes(entry.body) + HeapBytes(entry.event) + HeapBytes(entry.tracking_id) +
         HeapBytes(entry.content_type) + HeapBytes(entry.content_encoding) +
         HeapBytes(entry.trace_parent) + kBookkeepingBytes;
}

int StatusOf(const Judgement& judgement) {
  if (judgement.verdict != Verdict::kRejected) return 200;
  switch (judgement.reason) {
    case postback::Reason::kUnsupportedMediaType:
      return 415;
    case postback::Reason::kBodyTooLarge:
      return 413;
    default:
      return 400;
  }
}

}  // namespace mmsmo::ingest
