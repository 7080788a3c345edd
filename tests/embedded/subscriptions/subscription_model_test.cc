// The state machine against a model that is too simple to be wrong: a list of events, looked
// through from the front for everything.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "gateway/embedded/subscriptions/subscription_state.h"

namespace mmsmo::embedded {
namespace {

using Effect = SubscriptionState::Effect;
using Lease = SubscriptionState::Lease;

constexpr int kSteps = 100'000;
constexpr int kMessages = 8;
constexpr uint64_t kSenders = 5;

uint64_t SenderOf(uint64_t sequence) { return sequence * 2654435761u % kSenders; }

class Model {
 public:
  explicit Model(const SubscriptionPolicy& policy) : policy_(policy) {}

  struct Event {
    enum { kHeld, kReady, kLeased, kWaiting, kGivenUp } phase = kReady;
    uint32_t attempts = 0;
    uint32_t failures = 0;
    bool failed = false;  // the newest attempt
    int64_t due = 0;
    StreamId stream = 0;
    uint32_t frame = 0;
    uint16_t number = 0;
    bool replay = false;
    size_t group = kAnyGroup;
  };
  struct Ended {
    int64_t until = 0;
    int had = 0;
  };

  bool IsDone(uint64_t sequence) const { return done_.contains(sequence); }
  uint64_t floor() {
    while (done_.contains(floor_ + 1)) ++floor_;
    return floor_;
  }
  int Leased(std::optional<StreamId> stream = {}) const {
    return static_cast<int>(std::count_if(events_.begin(), events_.end(), [&](const auto& one) {
      return one.second.phase == Event::kLeased && (!stream || one.second.stream == *stream);
    }));
  }
  int ReadyCount() const {
    return static_cast<int>(std::count_if(events_.begin(), events_.end(), [](const auto& one) {
      return one.second.phase == Event::kReady;
    }));
  }
  // What a stream that holds `group` may be given first, if it has so much in hand.
  std::optional<uint64_t> First(bool suspect) const {
    for (const auto& [sequence, event] : events_) {
      if (event.phase == Event::kReady && (event.group != kAnyGroup) == suspect) return sequence;
    }
    return std::nullopt;
  }
  bool HasEnded(StreamId stream) const { return ended_.contains(stream); }
  const std::map<uint64_t, Event>& events() const { return events_; }
  const Event* Find(uint64_t sequence) const {
    const auto it = events_.find(sequence);
    return it == events_.end() ? nullptr : &it->second;
  }
  std::vector<uint64_t> GivenUp() const {
    std::vector<uint64_t> sequences;
    for (const auto& [sequence, event] : events_) {
      if (event.phase == Event::kGivenUp) sequences.push_back(sequence);
    }
    return sequences;
  }

  // Whether it is leased at once.
  bool Offer(uint64_t sequence, uint32_t attempts, uint32_t failures) {
    if (IsDone(sequence) || events_.contains(sequence)) {
      done_.insert(sequence);
      return false;
    }
    const bool held = IsSenderBusy(sequence);
    Event& event = events_[sequence];
    event.attempts = attempts;
    event.failures = failures;
    event.failed = failures > 0;
    event.phase = held ? Event::kHeld : HadLastFailure(event) ? Event::kGivenUp : Event::kReady;
    return event.phase == Event::kReady;
  }
  void Replay(uint64_t sequence) {
    if (const auto it = events_.find(sequence); it != events_.end()) {  // a seek brought it back
      if (!it->second.replay) done_.insert(sequence);
      it->second.replay = true;
      return;
    }
    const bool held = IsSenderBusy(sequence);
    events_[sequence] = {.phase = held ? Event::kHeld : Event::kReady, .replay = true};
  }
  void Leases(const Lease& lease, StreamId stream, uint32_t frame, int64_t deadline) {
    Event& event = events_[lease.sequence];
    event.phase = Event::kLeased;
    event.attempts += 1;
    event.failed = false;
    event.due = deadline;
    event.stream = stream;
    event.frame = frame;
    event.number = lease.number;
    if (!event.replay) delivered_[lease.sequence] = {event.attempts, event.failures};
  }
  Event* Newest(const Lease& lease) {
    const auto it = events_.find(lease.sequence);
    if (it == events_.end() || it->second.attempts != lease.attempt) return nullptr;
    const uint32_t number = it->second.number;
    return number == lease.number || number == 0 ? &it->second : nullptr;
  }
  void Fail(uint64_t sequence, Event& event, std::optional<int64_t> delay, int64_t now) {
    ++event.failures;
    event.failed = true;
    if (!event.replay && delivered_.contains(sequence)) {
      delivered_[sequence].second = event.failures;
    }
    int64_t backoff = policy_.min_backoff;
    for (uint32_t i = 1; i < event.failures && backoff < policy_.max_backoff; ++i) backoff *= 2;
    const int64_t at = now + delay.value_or(std::min(backoff, policy_.max_backoff));
    if (event.phase == Event::kHeld) return;
    event.phase = HadLastFailure(event) ? Event::kGivenUp
                  : at <= now           ? Event::kReady
                                        : Event::kWaiting;
    event.due = at;
  }
  void Release(uint64_t sequence, Event& event) {
    if (event.phase == Event::kHeld) return;
    if (event.failed && event.failures > 0) {
      --event.failures;
      if (delivered_.contains(sequence)) delivered_[sequence].second = event.failures;
    }
    event.failed = false;
    event.phase = Event::kReady;
  }
  void Settle(uint64_t sequence) {
    const bool was_active = events_[sequence].phase != Event::kHeld;
    if (!events_[sequence].replay) done_.insert(sequence);
    events_.erase(sequence);
    if (!policy_.order_by_sender || !was_active) return;
    for (auto& [other, event] : events_) {
      if (SenderOf(other) == SenderOf(sequence) && event.phase != Event::kHeld) return;
    }
    for (auto& [other, event] : events_) {
      if (SenderOf(other) != SenderOf(sequence)) continue;
      event.phase = HadLastFailure(event) ? Event::kGivenUp : Event::kReady;
      return;
    }
  }
  void OnTime(int64_t now) {
    std::vector<std::pair<int64_t, uint64_t>> due;
    for (const auto& [sequence, event] : events_) {
      const bool timed = event.phase == Event::kLeased || event.phase == Event::kWaiting;
      if (timed && event.due <= now) due.emplace_back(event.due, sequence);
    }
    for (const auto& [at, sequence] : due) {
      Event& event = events_[sequence];
      if (event.phase == Event::kWaiting) {
        event.phase = Event::kReady;
      } else if (const auto ended = ended_.find(event.stream); ended != ended_.end()) {
        ReturnAtEnd(sequence, event, ended->second.had, now);
      } else {
        Fail(sequence, event, std::nullopt, now);
      }
    }
    for (auto it = ended_.begin(); it != ended_.end();) {
      if (it->second.until > now) {
        ++it;
        continue;
      }
      for (auto& [sequence, event] : events_) {
        if (event.phase == Event::kLeased && event.stream == it->first) {
          ReturnAtEnd(sequence, event, it->second.had, now);
        }
      }
      it = ended_.erase(it);
    }
  }
  void EndStream(StreamId stream, int64_t now) {
    if (const int had = Leased(stream); had > 0) {
      ended_[stream] = {.until = now + policy_.resume_window, .had = had};
    }
  }
  void Resume(StreamId from, StreamId to) {
    ended_.erase(from);
    for (auto& [sequence, event] : events_) {
      if (event.phase != Event::kLeased || event.stream != from) continue;
      event.stream = to;
      event.frame = 0;
    }
  }
  void Leave(StreamId stream, uint32_t received) {
    for (auto& [sequence, event] : events_) {
      const bool is_its = event.phase == Event::kLeased && event.stream == stream;
      if (is_its && event.frame > received) event.phase = Event::kReady;
    }
  }
  // Nothing is known any more but what is durable.
  void Restart() {
    std::erase_if(events_, [](const auto& one) { return !one.second.replay; });
    for (auto& [sequence, event] : events_) {
      event = {.attempts = event.attempts,
               .failures = event.failures,
               .failed = event.failures > 0,
               .replay = true};
    }
    ended_.clear();
    HoldTheLaterReplays();
    for (auto& [sequence, event] : events_) {
      if (event.phase == Event::kReady && HadLastFailure(event)) event.phase = Event::kGivenUp;
    }
  }
  void Seek(uint64_t floor) {
    Restart();
    done_.clear();
    for (uint64_t s = 1; s <= floor; ++s) done_.insert(s);
    floor_ = floor;
    delivered_.clear();
  }
  uint64_t Expire(uint64_t oldest) {
    uint64_t expired = 0;
    for (uint64_t s = floor() + 1; s < oldest; ++s) {
      const auto it = events_.find(s);
      if (it != events_.end() && !it->second.replay) {
        Settle(s);
        ++expired;
      } else if (done_.insert(s).second) {
        ++expired;
      }
    }
    return expired;
  }
  // Attempts and failures.
  std::pair<uint32_t, uint32_t> Delivered(uint64_t sequence) const {
    const auto it = delivered_.find(sequence);
    return it == delivered_.end() ? std::pair{0u, 0u} : it->second;
  }

 private:
  bool HadLastFailure(const Event& event) const {
    return policy_.max_attempts > 0 &&
           event.failures >= static_cast<uint32_t>(policy_.max_attempts);
  }
  void ReturnAtEnd(uint64_t sequence, Event& event, int had, int64_t now) {
    if (had <= 1) return Fail(sequence, event, std::nullopt, now);
    event.phase = Event::kReady;
    event.group = std::max<size_t>(std::min<size_t>(event.group, static_cast<size_t>(had)) / 4, 1);
  }
  bool IsSenderBusy(uint64_t sequence) const {
    return policy_.order_by_sender &&
           std::any_of(events_.begin(), events_.end(),
                       [&](const auto& one) { return SenderOf(one.first) == SenderOf(sequence); });
  }
  void HoldTheLaterReplays() {
    if (!policy_.order_by_sender) return;
    std::set<uint64_t> seen;
    for (auto& [sequence, event] : events_) {
      if (!seen.insert(SenderOf(sequence)).second) event.phase = Event::kHeld;
    }
  }

  const SubscriptionPolicy policy_;
  std::map<uint64_t, Event> events_;
  std::set<uint64_t> done_;
  uint64_t floor_ = 0;
  std::map<uint64_t, std::pair<uint32_t, uint32_t>> delivered_;
  std::map<StreamId, Ended> ended_;
};

class SubscriptionModelTest : public testing::TestWithParam<SubscriptionPolicy> {
 protected:
  SubscriptionModelTest() {
    const char* const given = std::getenv("MMSMO_SEED");
    seed_ = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
    random_.seed(seed_);
  }

  uint64_t Below(uint64_t n) { return random_() % n; }

  // What the stream has in hand is never more than the smallest group of it allows.
  void CheckGroups(StreamId stream) {
    const int had = model_->Leased(stream);
    for (const auto& [sequence, event] : model_->events()) {
      if (event.phase != Model::Event::kLeased || event.stream != stream) continue;
      ASSERT_LE(static_cast<size_t>(had), std::max<size_t>(event.group, 1));
    }
  }

  void Take(StreamId stream) {
    ASSERT_EQ(static_cast<int>(state_->ready()), model_->ReadyCount());
    ASSERT_EQ(state_->leased(stream), model_->Leased(stream));
    if (state_->Room(stream, 1) == 0) return;
    const auto suspect = model_->First(/*suspect=*/true);
    const auto ready = model_->First(/*suspect=*/false);
    if (const auto lease = state_->Redeliver(stream)) {
      ASSERT_TRUE(lease->sequence == suspect || lease->sequence == ready);
      return Keep(*lease, stream);
    }
    ASSERT_FALSE(ready) << "only what must not join is left";
    const uint64_t next = state_->next();
    if (Below(10) == 0 && model_->Find(next) == nullptr) {
      state_->Pass();
      model_->Offer(next, 0, 0);
      if (!model_->IsDone(next)) model_->Settle(next);
      return;
    }
    const auto [attempts, failures] = model_->Delivered(next);
    const bool leases = model_->Offer(next, attempts, failures);
    const auto lease = state_->Offer({.sequence = next,
                                      .sender = SenderOf(next),
                                      .bytes = 1,
                                      .attempts = attempts,
                                      .failures = failures},
                                     stream, now_);
    ASSERT_EQ(lease.has_value(), leases);
    if (lease) Keep(*lease, stream);
  }

  void Keep(const Lease& lease, StreamId stream) {
    if (Below(20) == 0) return state_->TakeBack(lease);
    const auto deadline = state_->Send(lease, ++frames_, now_);
    ASSERT_TRUE(deadline);
    model_->Leases(lease, stream, frames_, *deadline);
    ASSERT_EQ(lease.attempt, model_->Find(lease.sequence)->attempts);
    CheckGroups(stream);
    leases_.push_back(lease);
    if (leases_.size() > 50) leases_.erase(leases_.begin());
  }

  // A lease that was made at some time, and perhaps ended since.
  std::optional<Lease> AnyLease() {
    if (leases_.empty()) return std::nullopt;
    return leases_[Below(leases_.size())];
  }

  void Acknowledge() {
    const auto lease = AnyLease();
    if (!lease) return;
    const bool known = model_->Find(lease->sequence) != nullptr;
    const bool before = !known && model_->IsDone(lease->sequence);
    const bool newest = model_->Newest(*lease) != nullptr;
    const Effect effect = state_->Acknowledge(*lease);
    if (effect == Effect::kUnscanned) {
      ASSERT_FALSE(known);
      ASSERT_FALSE(before);
      if (model_->Delivered(lease->sequence).first == lease->attempt) {
        state_->AcknowledgeUnscanned(lease->sequence);
        model_->Offer(lease->sequence, 0, 0);
        if (model_->Find(lease->sequence) != nullptr) model_->Settle(lease->sequence);
      }
      return;
    }
    ASSERT_EQ(effect == Effect::kDone, newest);
    ASSERT_EQ(effect == Effect::kBefore, before);
    if (newest) model_->Settle(lease->sequence);
  }

  void Change() {
    const auto lease = AnyLease();
    if (!lease) return;
    Model::Event* const newest = model_->Newest(*lease);
    const bool leased = newest != nullptr && newest->phase == Model::Event::kLeased;
    const bool given_up = newest != nullptr && newest->phase == Model::Event::kGivenUp;
    const uint64_t sequence = lease->sequence;
    switch (Below(4)) {
      case 0: {
        const int64_t until = now_ + static_cast<int64_t>(Below(20));
        ASSERT_EQ(state_->Extend(*lease, until) == Effect::kDone, leased);
        if (leased) newest->due = until;
        break;
      }
      case 1: {
        std::optional<int64_t> delay;
        if (Below(2) == 0) delay = static_cast<int64_t>(Below(20));
        ASSERT_EQ(state_->Retry(*lease, delay, now_) == Effect::kDone, newest != nullptr);
        if (newest != nullptr && !given_up && (leased || !newest->failed)) {
          model_->Fail(sequence, *newest, delay, now_);
        }
        break;
      }
      case 2:
        ASSERT_EQ(state_->Release(*lease) == Effect::kDone, newest != nullptr && !given_up);
        if (newest != nullptr && !given_up) model_->Release(sequence, *newest);
        break;
      default: {
        const Effect effect = state_->GiveUp(*lease, "why");
        ASSERT_EQ(effect == Effect::kDone, newest != nullptr);
        if (newest != nullptr) newest->phase = Model::Event::kGivenUp;
        break;
      }
    }
  }

  void MakeDeadLetters() {
    std::vector<uint64_t> given_up;
    while (state_->FirstGivenUp() != nullptr) given_up.push_back(state_->TakeGivenUp().sequence);
    std::sort(given_up.begin(), given_up.end());
    ASSERT_EQ(given_up, model_->GivenUp());
    for (const uint64_t sequence : given_up) {
      state_->Settle(sequence);
      model_->Settle(sequence);
      dead_.insert(sequence);
    }
  }

  void Replay() {
    if (dead_.empty()) return;
    const uint64_t sequence = *dead_.begin();
    dead_.erase(dead_.begin());
    state_->Replay({.sequence = sequence, .sender = SenderOf(sequence), .bytes = 1}, now_);
    model_->Replay(sequence);
  }

  void Seek() {
    const uint64_t top = state_->next();
    const uint64_t floor = top > 20 ? top - 1 - Below(20) : 0;
    MakeDeadLetters();
    state_->Seek(floor, now_);
    model_->Seek(floor);
    leases_.clear();  // their ack ids are of another epoch
  }

  void Restart() {
    MakeDeadLetters();
    AckedSet acked(model_->floor());
    // What was acknowledged after a restart may lie far ahead.
    const uint64_t end = std::max(state_->next() + 100, state_->delivered_through());
    for (uint64_t s = model_->floor() + 1; s <= end; ++s) {
      if (model_->IsDone(s)) acked.Add(s);
    }
    std::vector<SubscriptionState::Candidate> replays;
    const uint64_t delivered_through = state_->delivered_through();
    model_->Restart();
    for (const auto& [s, event] : model_->events()) {
      replays.push_back({.sequence = s,
                         .sender = SenderOf(s),
                         .bytes = 1,
                         .attempts = event.attempts,
                         .failures = event.failures});
    }
    state_.emplace(GetParam(), std::move(acked), delivered_through);
    for (const auto& replay : replays) state_->Replay(replay, now_);
    for (const StreamId stream : streams_) AddStream(stream);
    gone_ = 0;
  }

  void Expire() {
    const uint64_t oldest = state_->acked().floor() + 1 + Below(5);
    if (oldest > state_->next()) return;
    MakeDeadLetters();
    ASSERT_EQ(state_->Expire(oldest), model_->Expire(oldest));
  }

  void ChangeStreams() {
    if (streams_.size() < 3 && Below(2) == 0) {
      streams_.insert(++last_stream_);
      AddStream(last_stream_);
      if (gone_ == 0 || Below(2) == 0) return;
      const bool known = state_->Resume(gone_, last_stream_, frames_, now_);  // nothing was cut off
      ASSERT_EQ(known, model_->HasEnded(gone_));
      model_->Resume(gone_, last_stream_);
      return;
    }
    if (streams_.size() < 2) return;
    gone_ = *streams_.begin();
    const bool leaves = Below(2) == 0, leaves_late = Below(4) == 0;
    if (leaves) {
      Leave(gone_);
      ASSERT_EQ(state_->Room(gone_, 1), 0);
    }
    streams_.erase(gone_);
    state_->EndStream(gone_, now_);
    model_->EndStream(gone_, now_);
    if (leaves_late) Leave(gone_);
  }
  void Leave(StreamId stream) {
    const auto received = static_cast<uint32_t>(Below(frames_ + 1));
    state_->Leave(stream, received);
    model_->Leave(stream, received);
  }
  void AddStream(StreamId stream) {
    state_->AddStream(stream, {.messages = kMessages, .bytes = 1 << 20});
  }

  uint64_t seed_;
  std::mt19937_64 random_;
  std::optional<SubscriptionState> state_;
  std::optional<Model> model_;
  std::set<StreamId> streams_;
  StreamId last_stream_ = 0;
  StreamId gone_ = 0;  // the last one that ended
  uint32_t frames_ = 0;
  std::vector<Lease> leases_;
  std::set<uint64_t> dead_;
  int64_t now_ = 1000;
};

TEST_P(SubscriptionModelTest, DoesWhatTheModelDoes) {
  SCOPED_TRACE("MMSMO_SEED=" + std::to_string(seed_));
  state_.emplace(GetParam(), AckedSet(0), 0);
  model_.emplace(GetParam());
  streams_.insert(++last_stream_);
  AddStream(last_stream_);
  for (int step = 0; step < kSteps && !HasFatalFailure(); ++step) {
    const uint64_t dice = Below(1000);
    if (dice < 450) {
      auto it = streams_.begin();
      std::advance(it, static_cast<ptrdiff_t>(Below(streams_.size())));
      Take(*it);
    } else if (dice < 800) {
      Acknowledge();
    } else if (dice < 880) {
      Change();
    } else if (dice < 950) {
      now_ += static_cast<int64_t>(Below(30));
      state_->OnTime(now_);
      model_->OnTime(now_);
    } else if (dice < 975) {
      MakeDeadLetters();
    } else if (dice < 980) {
      Replay();
    } else if (dice < 990) {
      ChangeStreams();
    } else if (dice < 993) {
      Expire();
    } else if (dice < 997) {
      Restart();
    } else {
      Seek();
    }
    ASSERT_EQ(state_->acked().floor(), model_->floor()) << "after step " << step;
    ASSERT_EQ(static_cast<int>(state_->leased()), model_->Leased()) << "after step " << step;
  }
}

INSTANTIATE_TEST_SUITE_P(Policies, SubscriptionModelTest,
                         testing::Values(SubscriptionPolicy{.ack_deadline = 50,
                                                            .min_backoff = 5,
                                                            .max_backoff = 20,
                                                            .max_outstanding = 15,
                                                            .resume_window = 30},
                                         SubscriptionPolicy{.ack_deadline = 50,
                                                            .min_backoff = 1,
                                                            .max_backoff = 1,
                                                            .max_attempts = 3,
                                                            .max_outstanding = 15,
                                                            .resume_window = 30},
                                         SubscriptionPolicy{.ack_deadline = 50,
                                                            .min_backoff = 5,
                                                            .max_backoff = 20,
                                                            .max_attempts = 3,
                                                            .max_outstanding = 15,
                                                            .order_by_sender = true,
                                                            .resume_window = 30}),
                         [](const auto& policy) {
                           return std::string(policy.param.max_attempts > 0 ? "Limited"
                                                                            : "Unlimited") +
                                  (policy.param.order_by_sender ? "BySender" : "");
                         });

}  // namespace
}  // namespace mmsmo::embedded
