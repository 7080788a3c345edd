#include "gateway/broker/postback_key.h"

#include <xxhash.h>

#include <string>

#include "gateway/base/phone_number.h"

namespace mmsmo::broker {

PostbackKey MakePostbackKey(std::string_view endpoint, std::string_view tracking_id,
                            std::string_view recipient) {
  // U+0000 stands in neither, so that the key is none of those without a recipient either.
  std::string bytes(tracking_id);
  bytes.append(1, '\0').append(AddressKey(recipient));
  return MakePostbackKey(endpoint, bytes);
}

PostbackKey MakePostbackKey(std::string_view endpoint, std::string_view tracking_id) {
  // The seed carries the endpoint, so that no separator can be forged.
  const XXH128_hash_t hash = XXH3_128bits_withSeed(tracking_id.data(), tracking_id.size(),
                                                   XXH3_64bits(endpoint.data(), endpoint.size()));
  return {.high = hash.high64, .low = hash.low64};
}

}  // namespace mmsmo::broker
