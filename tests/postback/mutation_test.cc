// What a hostile sender may post: bodies of the corpus with bytes changed, cut, repeated and
// spliced. Nothing may crash, and what is accepted is always valid UTF-8.

#include <gtest/gtest.h>
#include <simdjson.h>

#include <random>
#include <string>

#include "gateway/postback/postback.h"
#include "tests/postback/corpus.h"

namespace mmsmo::postback {
namespace {

using namespace std::string_view_literals;

class Mutator {
 public:
  explicit Mutator(uint32_t seed) : random_(seed) {}

  size_t Below(size_t limit) {
    return std::uniform_int_distribution<size_t>(0, limit - 1)(random_);
  }

  std::string Mutate(std::string body, const std::string& other) {
    for (size_t i = 0, count = 1 + Below(4); i < count && !body.empty(); ++i) {
      const size_t at = Below(body.size());
      switch (Below(6)) {
        case 0:
          body[at] = static_cast<char>(Below(256));
          break;
        case 1:
          body[at] = kInteresting[Below(kInteresting.size())];
          break;
        case 2:
          body.erase(at, 1 + Below(8));
          break;
        case 3:
          body.insert(at, body.substr(at, 1 + Below(30)));
          break;
        case 4:
          body.insert(at, 1, kInteresting[Below(kInteresting.size())]);
          break;
        default:
          if (!other.empty()) body.insert(at, other.substr(Below(other.size()), 1 + Below(60)));
      }
    }
    return body;
  }

 private:
  static constexpr std::string_view kInteresting =
      "<>&;#\"'{}[]:,\\/!?-= \0\x01\x7f\xff\xef\xc3u0x"sv;
  std::mt19937 random_;
};

void ExpectValidUtf8(const google::protobuf::Message& message) {
  // The wire holds lengths and tags beside the strings; their parsing checks them one by one.
  v1::MmsMo copy;
  ASSERT_TRUE(copy.ParseFromString(message.SerializeAsString()));
}

TEST(Mutation, NothingCrashesAndWhatIsAcceptedIsValid) {
  auto cases = ReadCorpus();
  std::erase_if(cases, [](const CorpusCase& one) { return one.body.size() > 10'000; });
  const uint32_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  Mutator mutator(seed);
  int accepted = 0;
  for (int i = 0; i < 30'000; ++i) {
    const CorpusCase& one = cases[mutator.Below(cases.size())];
    const std::string body = mutator.Mutate(one.body, cases[mutator.Below(cases.size())].body);
    static constexpr std::string_view kTypes[] = {"", "text/xml", "application/json",
                                                  "application/x-www-form-urlencoded",
                                                  "text/xml; charset=iso-8859-1"};
    v1::MmsMo message;
    const Judgement judgement = Judge(
        {.body = body, .content_type = kTypes[mutator.Below(5)], .content_encoding = ""}, &message);
    EXPECT_EQ(judgement.verdict == Verdict::kAccepted, judgement.reason == Reason::kNone);
    EXPECT_TRUE(simdjson::validate_utf8(judgement.detail));
    if (judgement.verdict != Verdict::kAccepted) continue;
    ++accepted;
    ExpectValidUtf8(message);
    EXPECT_NE(message.tracking_id(), "");
    if (testing::Test::HasFailure()) break;
  }
  EXPECT_GT(accepted, 100);
}

}  // namespace
}  // namespace mmsmo::postback
