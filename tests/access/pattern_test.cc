#include "gateway/access/pattern.h"

#include <gtest/gtest.h>

#include <string>

namespace mmsmo::access {
namespace {

struct Case {
  std::string pattern, name;
  bool matches;
};

TEST(Pattern, StarIsAnyRunOfCharacters) {
  for (const Case& c : {Case{"billing", "billing", true},
                        {"billing", "billing-2", false},
                        {"billing-*", "billing-", true},
                        {"billing-*", "billing-eu-1", true},
                        {"billing-*", "billing", false},
                        {"billing-*", "a-billing-1", false},
                        {"*-eu", "billing-eu", true},
                        {"*-eu", "billing-eu-2", false},
                        {"b*-*u", "billing-x-eu", true},
                        {"a*b*c", "abbc", true},
                        {"a*b*c", "acb", false},
                        {"*", "", true},
                        {"**", "any", true},
                        {"", "", true},
                        {"", "a", false},
                        {"a", "", false},
                        {"?", "a", false},
                        {"A*", "ab", false}}) {
    EXPECT_EQ(MatchesGlob(c.pattern, c.name), c.matches) << c.pattern << " and " << c.name;
  }
}

TEST(Pattern, TakesNoLongerThanItsLengths) {
  std::string pattern, name(5'000, 'a');
  for (int i = 0; i < 1'000; ++i) pattern += "a*";
  EXPECT_FALSE(MatchesGlob(pattern + "b", name));
}

TEST(Pattern, StarIsOneLabelOfACertificatesName) {
  for (const Case& c : {Case{"billing.example", "billing.example", true},
                        {"billing.example", "BILLING.Example", true},
                        {"*.provider.example", "a.provider.example", true},
                        {"*.provider.example", "provider.example", false},
                        {"*.provider.example", "a.b.provider.example", false},
                        {"*.provider.example", ".provider.example", false},
                        {"a.*.example", "a.b.example", true},
                        {"*", "host", true},
                        {"*", "host.example", false},
                        {"*", "spiffe://cluster/ns", false},
                        {"*.example", "someone@mail.example", false},
                        {"*.example.evil", "a.example", false},
                        {"a.example", "a.example.", false},
                        {"spiffe://prod.example/billing", "spiffe://prod.example/billing", true},
                        {"spiffe://prod.example/billing", "spiffe://prod.example/Billing", false},
                        {"", "", true},
                        {"a", "", false}}) {
    EXPECT_EQ(MatchesLabels(c.pattern, c.name), c.matches) << c.pattern << " and " << c.name;
  }
}

}  // namespace
}  // namespace mmsmo::access
