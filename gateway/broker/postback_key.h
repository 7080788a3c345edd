// What names a postback, whichever engine remembers it.

#pragma once

#include <compare>
#include <cstdint>
#include <string_view>
#include <utility>

namespace mmsmo::broker {

// Equal for repetitions of one postback: a 128-bit hash of the endpoint's name, the tracking id and
// the recipient, of whose number all spellings are equal.
struct PostbackKey {
  uint64_t high = 0;
  uint64_t low = 0;

  friend bool operator==(const PostbackKey&, const PostbackKey&) = default;
  friend auto operator<=>(const PostbackKey&, const PostbackKey&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const PostbackKey& key) {
    return H::combine(std::move(h), key.low);  // a hash already
  }
};
PostbackKey MakePostbackKey(std::string_view endpoint, std::string_view tracking_id,
                            std::string_view recipient);
// As gateways made it that did not tell recipients apart.
PostbackKey MakePostbackKey(std::string_view endpoint, std::string_view tracking_id);

}  // namespace mmsmo::broker
