#include "gateway/embedded/log/cursor.h"

#include <cstdint>
#include <limits>
#include <string>

#include "tests/support/status_matchers.h"

namespace mmsmo::embedded {
namespace {

constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();

TEST(Cursor, IsReadAsItWasMade) {
  for (const uint64_t epoch : {uint64_t{0}, uint64_t{0x0123456789abcdef}, kMax}) {
    for (const uint64_t sequence : {uint64_t{0}, uint64_t{1}, uint64_t{1} << 40, kMax}) {
      const auto decoded = DecodeCursor(EncodeCursor(epoch, sequence));
      ASSERT_THAT(decoded, IsOk());
      EXPECT_EQ(decoded->epoch, epoch);
      EXPECT_EQ(decoded->sequence, sequence);
    }
  }
}

TEST(Cursor, ConsistsOfCharactersThatNeedNoEscaping) {
  for (uint64_t i = 0; i < 1000; ++i) {
    const std::string cursor = EncodeCursor(i * 0x9e3779b97f4a7c15, i);
    EXPECT_EQ(cursor.size(), 28u);
    EXPECT_EQ(cursor.find_first_not_of(
                  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
              std::string::npos);
  }
}

TEST(Cursor, WithAMistypedCharacterIsNone) {
  const std::string cursor = EncodeCursor(7, 42);
  for (size_t i = 0; i < cursor.size(); ++i) {
    std::string mistyped = cursor;
    mistyped[i] = mistyped[i] == 'x' ? 'y' : 'x';
    EXPECT_THAT(DecodeCursor(mistyped), StatusIs(absl::StatusCode::kInvalidArgument, testing::_))
        << i;
  }
}

TEST(Cursor, OfAnotherShapeIsNone) {
  const std::string cursor = EncodeCursor(7, 42);
  for (const std::string& text :
       {std::string(), cursor.substr(1), cursor + "A", std::string(24, '='), std::string(24, '\0'),
        std::string(1 << 20, 'A')}) {
    EXPECT_THAT(DecodeCursor(text),
                StatusIs(absl::StatusCode::kInvalidArgument, "not a cursor of this gateway"));
  }
}

}  // namespace
}  // namespace mmsmo::embedded
