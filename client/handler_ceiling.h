// Ends the time of handlers that take too long.

#pragma once

#include <chrono>
#include <functional>
#include <list>
#include <optional>
#include <stop_token>
#include <thread>

#include "client/deliveries.h"
#include "mutex.h"

namespace mmsmo {

// Thread-safe.
class HandlerCeiling {
 private:
  struct Entry {  // guarded by mu_, with the list that it is in
    Deliveries::Claim claim;
    std::chrono::steady_clock::time_point over_at;
    std::stop_source source;  // without a state, where nobody listens
    bool is_over = false;
  };

 public:
  using OnOver = std::function<void(const Deliveries::Claim&)>;

  // `on_over` is called, on a thread of its own, for each that has run for `ceiling`; 0: never.
  HandlerCeiling(std::chrono::milliseconds ceiling, OnOver on_over);
  ~HandlerCeiling();
  HandlerCeiling(const HandlerCeiling&) = delete;
  HandlerCeiling& operator=(const HandlerCeiling&) = delete;

  // One handler, while it runs: its claim is not finished before this ends. Costs nothing where its
  // time has no limit and nobody asks for the token.
  class Running {
   public:
    Running(HandlerCeiling* ceiling, const Deliveries::Claim& claim);
    ~Running();
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;

    // Is told when its time is over. Asked for once.
    std::stop_token token();

   private:
    void Register(std::stop_source source);

    HandlerCeiling& ceiling_;
    const Deliveries::Claim& claim_;
    std::optional<std::list<Entry>::iterator> entry_;
  };

  // Tells all that run, and all that begin from now on.
  void TellAll();

 private:
  void Watch();

  const std::chrono::milliseconds limit_;
  const OnOver on_over_;

  Mutex mu_;
  CondVar changed_;
  std::list<Entry> running_ ABSL_GUARDED_BY(mu_);  // in the order in which they began
  bool told_all_ ABSL_GUARDED_BY(mu_) = false;
  bool closing_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace mmsmo
