#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace mmsmo::embedded {

// What one kind of quarantined postbacks may take.
struct QuarantineBudget {
  uint64_t count = 0;
  uint64_t bytes = 0;  // of bodies
};

struct Options {
  std::string data_dir;

  // Keep the raw body beside each event, for GetRawPostback.
  bool keep_raw = true;

  // Events older than this, or that make the log longer than this, are removed. 0: no limit.
  int64_t retention_age_micros = 0;
  uint64_t retention_bytes = 0;

  // Answered 4xx, and not_mms_mo: the oldest make room. The rest was answered 200 and leaves by age
  // only.
  QuarantineBudget rejected_budget{.count = 10'000, .bytes = 64 << 20};
  QuarantineBudget not_mms_mo_budget{.count = 10'000, .bytes = 64 << 20};
  QuarantineBudget kept_budget{.count = 100'000, .bytes = 512 << 20};
  int64_t quarantine_age_micros = 0;  // 0: no limit

  // Records of who changed what that are older, or more, are removed. 0: no limit.
  int64_t audit_age_micros = 0;
  uint64_t audit_bytes = 16 << 20;

  // A stream's deliveries stay its client's for so long after its end.
  int64_t resume_window_micros = 2'000'000;

  // Dead letters, those that are being replayed included: of one subscription, and the events of
  // all together. What would become one at a budget waits.
  uint64_t max_dead_letters = 1'000'000;
  uint64_t max_dead_letter_bytes = 1 << 30;

  // Of the newest events, kept in memory for all feeds together.
  size_t newest_bytes = 16 << 20;
};

}  // namespace mmsmo::embedded
