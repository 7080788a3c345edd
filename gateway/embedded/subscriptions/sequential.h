// An ordered container that is asked for one key after the other.

#pragma once

#include <cstddef>
#include <iterator>
#include <utility>

namespace mmsmo::embedded {

// An absl::btree_map or btree_set. Deliveries are made and acknowledged mostly in the order of the
// log, so a key is first looked for where the one before was found; that takes no search. Not
// thread-safe. A change makes iterators invalid, but for those that it returns.
template <typename Tree>
class Sequential {
 public:
  using Key = typename Tree::key_type;
  using iterator = typename Tree::iterator;
  using const_iterator = typename Tree::const_iterator;

  Sequential() = default;
  Sequential(const Sequential&) = delete;
  Sequential& operator=(const Sequential&) = delete;
  Sequential(Sequential&& other) noexcept : tree_(std::move(other.tree_)) { other.clear(); }
  Sequential& operator=(Sequential&& other) noexcept {
    tree_ = std::move(other.tree_);
    last_ = tree_.end();
    other.clear();
    return *this;
  }
  ~Sequential() = default;

  bool empty() const { return tree_.empty(); }
  size_t size() const { return tree_.size(); }
  iterator begin() { return tree_.begin(); }
  iterator end() { return tree_.end(); }
  const_iterator begin() const { return tree_.begin(); }
  const_iterator end() const { return tree_.end(); }

  iterator find(const Key& key) {
    if (IsBehindAll(key)) return tree_.end();
    if (last_ != tree_.end()) {
      if (KeyOf(*last_) == key) return last_;
      const auto next = std::next(last_);
      if (next != tree_.end() && KeyOf(*next) == key) return last_ = next;
    }
    const auto found = tree_.find(key);
    if (found != tree_.end()) last_ = found;
    return found;
  }
  const_iterator find(const Key& key) const { return tree_.find(key); }
  bool contains(const Key& key) const { return !IsBehindAll(key) && tree_.contains(key); }
  iterator upper_bound(const Key& key) { return tree_.upper_bound(key); }

  template <typename... Args>
  std::pair<iterator, bool> emplace(Args&&... args) {
    const auto result = tree_.emplace(std::forward<Args>(args)...);
    last_ = result.first;
    return result;
  }
  // Most of what is added comes behind all others.
  template <typename... Args>
  iterator emplace_last(Args&&... args) {
    return last_ = tree_.emplace_hint(tree_.end(), std::forward<Args>(args)...);
  }
  void erase(iterator it) { last_ = tree_.erase(it); }
  void erase(const Key& key) {
    if (const auto it = find(key); it != tree_.end()) erase(it);
  }
  void clear() {
    tree_.clear();
    last_ = tree_.end();
  }

 private:
  // The key itself in a set, the first of a pair in a map.
  static const Key& KeyOf(const Key& key) { return key; }
  template <typename Value>
  static const Key& KeyOf(const std::pair<const Key, Value>& entry) {
    return entry.first;
  }
  bool IsBehindAll(const Key& key) const { return tree_.empty() || KeyOf(*tree_.rbegin()) < key; }

  Tree tree_;
  iterator last_ = tree_.end();  // where something was found, or added, or what follows it
};

}  // namespace mmsmo::embedded
