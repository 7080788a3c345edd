#include "gateway/embedded/quarantine/quarantine.h"

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <utility>

#include "gateway/base/status.h"
#include "gateway/broker/page.h"
#include "gateway/embedded/quarantine/schema.h"
#include "gateway/embedded/store/big_endian.h"
#include "gateway/embedded/store/opaque_text.h"

namespace mmsmo::embedded {
namespace {

// And it reads at most so many, bodies included: a reason that few have gives short pages, as
// AIP-158 allows.
constexpr size_t kMaxPageReads = 64 << 20;

constexpr char kTokenVersion = 1;

// For each shelf the number from which on a page reads. Not a time: numbers hold whatever the clock
// does.
using PagePosition = std::array<uint64_t, kShelves.size()>;

std::string EncodeToken(const PagePosition& position) {
  std::string bytes(1, kTokenVersion);
  for (const uint64_t number : position) AppendBigEndian(number, &bytes);
  return EncodeOpaque(std::move(bytes));
}

absl::StatusOr<PagePosition> DecodeToken(std::string_view token) {
  PagePosition position{};
  if (token.empty()) return position;
  const std::optional<std::string> bytes = DecodeOpaque(token, 1 + sizeof position);
  if (!bytes || (*bytes)[0] != kTokenVersion) {
    return InvalidArgument("it is not a next_page_token of this gateway");
  }
  std::string_view rest = std::string_view(*bytes).substr(1);
  for (uint64_t& number : position) {
    number = LoadBigEndian64(rest);
    rest.remove_prefix(sizeof number);
  }
  return position;
}

// One shelf, from a number on.
class ShelfScan {
 public:
  ShelfScan(Store* store, Shelf shelf, uint64_t first)
      : prefix_(ShelfPrefix(shelf)), position_(first) {
    rocksdb::ReadOptions options;
    options.fill_cache = false;
    it_ = store->Iterate(store->quarantine(), options);
    it_->Seek(QuarantineKey({.shelf = shelf, .number = first}));
  }

  // Reads the postback at the position; there is none at the end.
  absl::Status Read() {
    postback_.reset();
    if (!it_->Valid()) return FromRocks(it_->status(), "reading the quarantine");
    if (!it_->key().starts_with(prefix_)) return absl::OkStatus();
    auto stored = DecodeQuarantined(View(it_->value()));
    if (!stored.ok()) return stored.status();
    position_ = LoadBigEndian64(View(it_->key()).substr(prefix_.size()));
    postback_ = std::move(*stored->content.mutable_postback());
    return absl::OkStatus();
  }
  absl::Status Next() {
    it_->Next();
    ++position_;
    return Read();
  }

  uint64_t position() const { return position_; }
  bool at_end() const { return !postback_; }
  v1::QuarantinedPostback& postback() { return *postback_; }
  size_t stored_bytes() const { return it_->value().size(); }

  // Of two at the same time, the one on the earlier shelf is the first.
  friend bool operator<(const ShelfScan& a, const ShelfScan& b) {
    if (a.at_end() || b.at_end()) return !a.at_end() && b.at_end();
    const auto& x = a.postback_->accept_time();
    const auto& y = b.postback_->accept_time();
    return std::pair(x.seconds(), x.nanos()) < std::pair(y.seconds(), y.nanos());
  }

 private:
  const std::string prefix_;
  std::unique_ptr<rocksdb::Iterator> it_;
  uint64_t position_;
  std::optional<v1::QuarantinedPostback> postback_;
};

absl::StatusOr<std::vector<ShelfScan>> Scan(Store* store, const PagePosition& position) {
  std::vector<ShelfScan> scans;
  for (const Shelf shelf : kShelves) {
    auto state = ReadShelfState(store, shelf);
    if (!state.ok()) return state.status();
    scans.emplace_back(store, shelf, std::max(position[scans.size()], state->oldest));
    if (auto status = scans.back().Read(); !status.ok()) return status;
  }
  return scans;
}

std::string TokenFor(const std::vector<ShelfScan>& scans) {
  PagePosition position{};
  std::transform(scans.begin(), scans.end(), position.begin(),
                 [](const ShelfScan& scan) { return scan.position(); });
  return EncodeToken(position);
}

}  // namespace

absl::StatusOr<v1::ListQuarantinedResponse> EmbeddedQuarantine::List(std::string_view reason,
                                                                     int page_size,
                                                                     std::string_view page_token) {
  auto position = DecodeToken(page_token);
  if (!position.ok()) return position.status();
  auto scans = Scan(store_, *position);
  if (!scans.ok()) return scans.status();
  v1::ListQuarantinedResponse page;
  size_t page_bytes = 0;
  size_t read_bytes = 0;
  while (true) {
    ShelfScan& oldest = *std::min_element(scans->begin(), scans->end());
    if (oldest.at_end()) return page;
    const bool wanted = reason.empty() || oldest.postback().reason() == reason;
    if (wanted) page_bytes += oldest.postback().ByteSizeLong();
    const bool full = page.postbacks_size() == page_size ||
                      (page_bytes > broker::kMaxPageBytes && page.postbacks_size() > 0) ||
                      read_bytes > kMaxPageReads;
    if (full) {
      page.set_next_page_token(TokenFor(*scans));
      return page;
    }
    read_bytes += oldest.stored_bytes();
    if (wanted) page.add_postbacks()->Swap(&oldest.postback());
    if (auto status = oldest.Next(); !status.ok()) return status;
  }
}

absl::StatusOr<v1::GetQuarantinedResponse> EmbeddedQuarantine::Get(std::string_view id) {
  const std::optional<Place> place = ParseQuarantineId(id);
  std::string value;
  const rocksdb::Status status =
      place ? store_->db().Get({}, store_->quarantine(), QuarantineKey(*place), &value)
            : rocksdb::Status::NotFound();
  if (status.IsNotFound()) return broker::NotInQuarantine(id);
  if (!status.ok()) return FromRocks(status, "reading the quarantine");
  auto quarantined = DecodeQuarantined(value);
  if (!quarantined.ok()) return quarantined.status();
  if (quarantined->content.postback().id() != id) return broker::NotInQuarantine(id);
  return std::move(quarantined->content);
}

}  // namespace mmsmo::embedded
