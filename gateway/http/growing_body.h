// A body for Beast's parser that takes memory as it arrives, not as its Content-Length announces
// it.

#pragma once

#include <algorithm>
#include <boost/beast/core/buffers_range.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/optional.hpp>
#include <cstdint>
#include <string>
#include <utility>

namespace mmsmo::http {

struct GrowingBody {
  using value_type = std::string;

  class reader {
   public:
    template <bool kIsRequest, class Fields>
    reader(boost::beast::http::header<kIsRequest, Fields>&, std::string& body) : body_(body) {}

    void init(const boost::optional<std::uint64_t>& length, boost::system::error_code& error) {
      error = {};
      length_ = length.value_or(0);
    }

    template <class Buffers>
    size_t put(const Buffers& buffers, boost::system::error_code& error) {
      error = {};
      const size_t size = boost::beast::buffer_bytes(buffers);
      Reserve(body_.size() + size);
      for (const auto buffer : boost::beast::buffers_range_ref(buffers))
        body_.append(static_cast<const char*>(buffer.data()), buffer.size());
      return size;
    }

    void finish(boost::system::error_code& error) { error = {}; }

   private:
    // By doubling, but never beyond what was announced.
    void Reserve(size_t wanted) {
      if (wanted <= body_.capacity()) return;
      size_t capacity = std::max(wanted, 2 * body_.size());
      if (length_ >= wanted) capacity = std::min<size_t>(capacity, length_);
      std::string larger;  // a new one, since what has a capacity at least doubles it
      larger.reserve(capacity);
      larger.append(body_);
      body_.swap(larger);
    }

    std::string& body_;
    std::uint64_t length_ = 0;
  };
};

}  // namespace mmsmo::http
