// Bytes that may be held together, such as those of the postbacks that are on their way to the
// disk. What is held carries its part of the budget with it, and gives it back at its own end: that
// is back-pressure, whoever waits for it or has gone away meanwhile.
//
//   ByteBudget::Part part(&budget);
//   if (!part.Resize(body.size())) return Overloaded();
//   Enqueue(std::move(body), std::move(part));

#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <utility>

namespace mmsmo {

// Thread-safe. Outlives its parts.
class ByteBudget {
 public:
  explicit ByteBudget(int64_t limit) : limit_(limit) {}
  ByteBudget(const ByteBudget&) = delete;
  ByteBudget& operator=(const ByteBudget&) = delete;

  int64_t held() const { return held_.load(std::memory_order_relaxed); }

  // For one thread at a time.
  class Part {
   public:
    Part() = default;  // of no budget: may be as large as it likes
    explicit Part(ByteBudget* budget) : budget_(budget) {}
    Part(Part&& other) noexcept { *this = std::move(other); }
    Part& operator=(Part&& other) noexcept {
      std::swap(budget_, other.budget_);
      std::swap(bytes_, other.bytes_);
      other.Resize(0);
      return *this;
    }
    ~Part() { Resize(0); }

    // False where that is more and the budget does not have it: it stays as large as it was.
    bool Resize(int64_t bytes) {
      const int64_t more = bytes - bytes_;
      if (budget_ != nullptr && more != 0 && !budget_->Take(more)) return false;
      bytes_ = bytes;
      return true;
    }
    // Whether the budget has them or not: nobody else gets more until it has.
    void Insist(int64_t bytes) {
      if (budget_ != nullptr) budget_->held_ += bytes - bytes_;
      bytes_ = bytes;
    }

   private:
    ByteBudget* budget_ = nullptr;
    int64_t bytes_ = 0;
  };

 private:
  bool Take(int64_t more) {
    const int64_t held = held_.fetch_add(more, std::memory_order_relaxed) + more;
    if (more <= 0 || held <= limit_) return true;
    held_.fetch_sub(more, std::memory_order_relaxed);
    return false;
  }

  const int64_t limit_;
  std::atomic<int64_t> held_{0};
};

// What a string holds beside itself.
inline int64_t HeapBytes(const std::string& text) {
  static const size_t kInside = std::string().capacity();
  return text.capacity() > kInside ? static_cast<int64_t>(text.capacity()) : 0;
}

}  // namespace mmsmo
