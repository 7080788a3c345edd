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
using StreamId = SubscriptionState::StreamId;

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
    int64_t due = 0;
    StreamId stream = 0;
    uint16_t number = 0;
    bool replay = false;
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
  std::optional<uint64_t> FirstReady() const {
    for (const auto& [sequence, event] : events_) {
      if (event.phase == Event::kReady) return sequence;
    }
    return std::nullopt;
  }
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
  bool Offer(uint64_t sequence, uint32_t attempts, int64_t now) {
    if (IsDone(sequence) || events_.contains(sequence)) {
      done_.insert(sequence);
      return false;
    }
    const bool held = IsSenderBusy(sequence);
    Event& event = events_[sequence];
    event.attempts = attempts;
    if (held) {
      event.phase = Event::kHeld;
      return false;
    }
    if (attempts > 0) Retry(event, now, now);
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
  void Leases(const Lease& lease, StreamId stream) {
    Event& event = events_[lease.sequence];
    event = {.phase = Event::kLeased,
             .attempts = event.attempts + 1,
             .due = lease.deadline,
             .stream = stream,
             .number = lease.number,
             .replay = event.replay};
    if (!event.replay) delivered_[lease.sequence] = event.attempts;
  }
  Event* Holds(const Lease& lease) {
    const auto it = events_.find(lease.sequence);
    if (it == events_.end() || it->second.phase != Event::kLeased ||
        it->second.attempts != lease.attempt || it->second.number != lease.number) {
      return nullptr;
    }
    return &it->second;
  }
  void Retry(Event& event, int64_t at, int64_t now) {
    if (HadLastAttempt(event)) {
      event.phase = Event::kGivenUp;
    } else {
      event.phase = at <= now ? Event::kReady : Event::kWaiting;
      event.due = at;
    }
  }
  void Settle(uint64_t sequence) {
    const bool was_active = events_[sequence].phase != Event::kHeld;
    if (!events_[sequence].replay) done_.insert(sequence);
    events_.erase(sequence);
    if (!policy_.order_by_sender || !was_active) return;
    for (auto& [other, event] : events_) {
      if (SenderOf(other) != SenderOf(sequence)) continue;
      event.phase = HadLastAttempt(event) ? Event::kGivenUp : Event::kReady;
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
        continue;
      }
      int64_t backoff = policy_.min_backoff;
      for (uint32_t i = 1; i < event.attempts && backoff < policy_.max_backoff; ++i) backoff *= 2;
      Retry(event, now + std::min(backoff, policy_.max_backoff), now);
    }
  }
  void RemoveStream(StreamId stream, int64_t now) {
    for (auto& [sequence, event] : events_) {
      if (event.phase == Event::kLeased && event.stream == stream) Retry(event, now, now);
    }
  }
  // Nothing is known any more but what is durable.
  void Restart(int64_t now) {
    std::erase_if(events_, [](const auto& one) { return !one.second.replay; });
    for (auto& [sequence, event] : events_) {
      event.phase = Event::kReady;
      event.number = 0;
    }
    HoldTheLaterReplays();
    for (auto& [sequence, event] : events_) {
      if (event.phase == Event::kReady && event.attempts > 0) Retry(event, now, now);
    }
  }
  void Seek(uint64_t floor, int64_t now) {
    Restart(now);
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
  uint32_t Delivered(uint64_t sequence) const {
    const auto it = delivered_.find(sequence);
    return it == delivered_.end() ? 0 : it->second;
  }

  // Handed back or given up already.
  bool IsHandedBack(const Lease& lease) const {
    const Event* const event = Find(lease.sequence);
    return event != nullptr && event->attempts == lease.attempt && event->number == lease.number;
  }

 private:
  bool HadLastAttempt(const Event& event) const {
    return policy_.max_attempts > 0 &&
           event.attempts >= static_cast<uint32_t>(policy_.max_attempts);
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
  std::map<uint64_t, uint32_t> delivered_;
};

class SubscriptionModelTest : public testing::TestWithParam<SubscriptionPolicy> {
 protected:
  SubscriptionModelTest() {
    const char* const given = std::getenv("MMSMO_SEED");
    seed_ = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
    random_.seed(seed_);
  }

  uint64_t Below(uint64_t n) { return random_() % n; }

  void Take(StreamId stream) {
    const auto ready = model_->FirstReady();
    ASSERT_EQ(state_->ready() > 0, ready.has_value());
    ASSERT_EQ(state_->leased(static_cast<StreamId>(stream)), model_->Leased(stream));
    if (state_->Room(stream, 1) == 0) return;
    if (ready) {
      const auto lease = state_->Redeliver(stream, now_);
      ASSERT_TRUE(lease);
      ASSERT_EQ(lease->sequence, *ready);
      Keep(*lease, stream);
      return;
    }
    const uint64_t next = state_->next();
    if (Below(10) == 0 && model_->Find(next) == nullptr) {
      state_->Pass();
      model_->Offer(next, 0, now_);
      if (!model_->IsDone(next)) model_->Settle(next);
      return;
    }
    const uint32_t attempts = model_->Delivered(next);
    const bool leases = model_->Offer(next, attempts, now_);
    const auto lease = state_->Offer(
        {.sequence = next, .sender = SenderOf(next), .bytes = 1, .attempts = attempts}, stream,
        now_);
    ASSERT_EQ(lease.has_value(), leases);
    if (lease) Keep(*lease, stream);
  }

  void Keep(const Lease& lease, StreamId stream) {
    model_->Leases(lease, stream);
    ASSERT_EQ(lease.attempt, model_->Find(lease.sequence)->attempts);
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
    const bool holds = model_->Holds(*lease) != nullptr;
    const Effect effect = state_->Acknowledge(*lease);
    if (effect == Effect::kUnscanned) {
      ASSERT_FALSE(known);
      ASSERT_FALSE(before);
      if (model_->Delivered(lease->sequence) == lease->attempt) {
        state_->AcknowledgeUnscanned(lease->sequence);
        model_->Offer(lease->sequence, 0, now_);
        if (model_->Find(lease->sequence) != nullptr) model_->Settle(lease->sequence);
      }
      return;
    }
    ASSERT_EQ(effect == Effect::kDone, holds);
    ASSERT_EQ(effect == Effect::kBefore, before);
    if (holds) model_->Settle(lease->sequence);
  }

  void Change() {
    const auto lease = AnyLease();
    if (!lease) return;
    Model::Event* const held = model_->Holds(*lease);
    const int64_t at = now_ + static_cast<int64_t>(Below(20));
    Effect effect = Effect::kExpired;
    const bool handed_back = model_->IsHandedBack(*lease);
    const bool given_up =
        handed_back && model_->Find(lease->sequence)->phase == Model::Event::kGivenUp;
    bool again = false;
    switch (Below(3)) {
      case 0:
        effect = state_->Extend(*lease, at);
        if (held != nullptr) held->due = at;
        break;
      case 1:
        effect = state_->HandBack(*lease, at, now_);
        again = handed_back;
        if (held != nullptr) model_->Retry(*held, at, now_);
        break;
      default:
        effect = state_->GiveUp(*lease, "why");
        again = given_up;
        if (held != nullptr) held->phase = Model::Event::kGivenUp;
        break;
    }
    ASSERT_EQ(effect == Effect::kDone, held != nullptr || again);
  }

  void Bury() {
    std::vector<uint64_t> given_up;
    for (const auto& one : state_->TakeGivenUp()) given_up.push_back(one.sequence);
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
    Bury();
    state_->Seek(floor, now_);
    model_->Seek(floor, now_);
    leases_.clear();  // their ack ids are of another epoch
  }

  void Restart() {
    Bury();
    AckedSet acked(model_->floor());
    for (uint64_t s = model_->floor() + 1; s < state_->next() + 100; ++s) {
      if (model_->IsDone(s)) acked.Add(s);
    }
    std::vector<SubscriptionState::Candidate> replays;
    const uint64_t delivered_through = state_->delivered_through();
    model_->Restart(now_);
    for (const auto& [s, event] : model_->events()) {
      replays.push_back(
          {.sequence = s, .sender = SenderOf(s), .bytes = 1, .attempts = event.attempts});
    }
    state_.emplace(GetParam(), std::move(acked), delivered_through);
    for (const auto& replay : replays) state_->Replay(replay, now_);
    for (const StreamId stream : streams_) AddStream(stream);
  }

  void Expire() {
    const uint64_t oldest = state_->acked().floor() + 1 + Below(5);
    if (oldest > state_->next()) return;
    Bury();
    ASSERT_EQ(state_->Expire(oldest), model_->Expire(oldest));
  }

  void ChangeStreams() {
    if (streams_.size() < 3 && Below(2) == 0) {
      streams_.insert(++last_stream_);
      return AddStream(last_stream_);
    }
    if (streams_.size() < 2) return;
    const StreamId gone = *streams_.begin();
    streams_.erase(gone);
    state_->RemoveStream(gone, now_);
    model_->RemoveStream(gone, now_);
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
      Bury();
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
                                                            .max_outstanding = 15},
                                         SubscriptionPolicy{.ack_deadline = 50,
                                                            .min_backoff = 1,
                                                            .max_backoff = 1,
                                                            .max_attempts = 3,
                                                            .max_outstanding = 15},
                                         SubscriptionPolicy{.ack_deadline = 50,
                                                            .min_backoff = 5,
                                                            .max_backoff = 20,
                                                            .max_attempts = 3,
                                                            .max_outstanding = 15,
                                                            .order_by_sender = true}),
                         [](const auto& policy) {
                           return std::string(policy.param.max_attempts > 0 ? "Limited"
                                                                            : "Unlimited") +
                                  (policy.param.order_by_sender ? "BySender" : "");
                         });

}  // namespace
}  // namespace mmsmo::embedded
