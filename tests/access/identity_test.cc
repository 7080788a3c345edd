#include "gateway/access/identity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "gateway/base/status.h"

namespace mmsmo::access {
namespace {

using testing::HasSubstr;

const std::string kToken = "a token of twenty characters";

// One that is complete, for a test to change.
IdentitySettings Billing(const std::vector<std::string>& allow = {"read", "consume"}) {
  return {.name = "billing", .uids = {1000}, .allow = allow};
}

std::shared_ptr<const Identities> Make(const std::vector<IdentitySettings>& settings,
                                       std::vector<std::vector<Digest>> tokens = {}) {
  tokens.resize(settings.size());
  auto identities = Identities::Create(settings, tokens);
  EXPECT_TRUE(identities.ok()) << identities.status();
  return *identities;
}

std::string Refusal(const std::vector<IdentitySettings>& settings,
                    std::vector<std::vector<Digest>> tokens = {}) {
  tokens.resize(settings.size());
  return std::string(MessageOf(Identities::Create(settings, tokens).status()));
}

Verdict Ask(const IdentitySettings& settings, Permission permission, const Facts& facts = {}) {
  return Make({settings})->all()[0]->Allow(permission, facts);
}

TEST(Identity, MayDoWhatItIsAllowed) {
  const std::vector<Permission> all = {Permission::kRead, Permission::kConsume, Permission::kManage,
                                       Permission::kQuarantine, Permission::kAdmin};
  for (const Permission has : all) {
    for (const Permission asked : all) {
      const Verdict verdict = Ask(Billing({std::string(NameOf(has))}), asked);
      EXPECT_EQ(verdict.ok(), has == asked || has == Permission::kAdmin)
          << NameOf(has) << " " << NameOf(asked);
    }
  }
  const Verdict verdict = Ask(Billing(), Permission::kManage);
  EXPECT_EQ(verdict.lack, Lack::kPermission);
  EXPECT_EQ(verdict.why, "the permission 'manage'");
}

TEST(Identity, IsLimitedToItsSubscriptions) {
  IdentitySettings settings = Billing();
  settings.subscriptions = {"billing-*", "shared"};
  EXPECT_TRUE(Ask(settings, Permission::kConsume, {.subscription = "billing-eu"}).ok());
  EXPECT_TRUE(Ask(settings, Permission::kConsume, {.subscription = "shared"}).ok());
  EXPECT_EQ(Ask(settings, Permission::kConsume, {.subscription = "orders"}).lack,
            Lack::kSubscription);
  EXPECT_EQ(Ask(settings, Permission::kConsume, {.subscription = ""}).lack, Lack::kSubscription);
  EXPECT_TRUE(Ask(settings, Permission::kRead).ok());
}

TEST(Identity, IsLimitedToItsEndpoints) {
  IdentitySettings settings = Billing();
  settings.endpoints = {"sinch-us", "sinch-eu"};
  const auto ask = [&](std::vector<std::string> endpoints) {
    return Ask(settings, Permission::kConsume, {.endpoints = std::move(endpoints)});
  };
  EXPECT_TRUE(ask({"sinch-eu"}).ok());
  EXPECT_TRUE(ask({"sinch-eu", "sinch-us"}).ok());
  EXPECT_EQ(ask({}).lack, Lack::kEndpoint);
  EXPECT_EQ(ask({"sinch-eu", "other"}).why, "the endpoint 'other'");
  const auto identities = Make({settings});
  EXPECT_TRUE(identities->all()[0]->SeesEndpoint("sinch-us"));
  EXPECT_FALSE(identities->all()[0]->SeesEndpoint("sinch"));
  EXPECT_TRUE(Ask(Billing(), Permission::kRead, {.endpoints = std::vector<std::string>()}).ok());
}

TEST(Identities, AreFoundByTheirCredentials) {
  IdentitySettings by_token = {
      .name = "by-token",
      .tokens = {.files = {"file"}},
      .token_sha256 = {"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410"
                       "ff61f20015ad"},  // of "abc"
      .allow = {"read"}};
  IdentitySettings by_san = {
      .name = "by-san", .sans = {"*.shop.example", "spiffe://a/b"}, .allow = {"read"}};
  const auto identities =
      Make({by_token, by_san, Billing()}, {{DigestOf(kToken), DigestOf("the old one")}});
  EXPECT_FALSE(identities->empty());
  EXPECT_EQ(identities->ByToken(kToken)->name(), "by-token");
  EXPECT_EQ(identities->ByToken("the old one")->name(), "by-token");
  EXPECT_EQ(identities->ByToken("abc")->name(), "by-token");
  EXPECT_EQ(identities->ByToken(""), nullptr);
  EXPECT_EQ(identities->ByToken("a token"), nullptr);
  EXPECT_EQ(identities->BySans({"x", "till.shop.example"})->name(), "by-san");
  EXPECT_EQ(identities->BySans({"spiffe://a/b"})->name(), "by-san");
  EXPECT_EQ(identities->BySans({"shop.example"}), nullptr);
  EXPECT_EQ(identities->BySans({}), nullptr);
  EXPECT_EQ(identities->ByUid(1000)->name(), "billing");
  EXPECT_EQ(identities->ByUid(0), nullptr);
}

TEST(Identities, OfNobodyAreEmpty) { EXPECT_TRUE(Make({})->empty()); }

TEST(Identities, RefuseWhatIsWrongByKeyAndValue) {
  using Change = std::function<void(IdentitySettings&)>;
  const std::vector<std::pair<Change, std::string>> cases = {
      {[](auto& s) { s.name = ""; }, "name: it must have 1 to 63"},
      {[](auto& s) { s.name = "a\nb"; }, "name: it must have 1 to 63"},
      {[](auto& s) { s.uids = {}; }, "it has no credential; give token-file"},
      {[](auto& s) { s.uids = {-1}; }, "uid: -1 is no user's number"},
      {[](auto& s) { s.uids = {4294967295}; }, "uid: 4294967295 is no"},
      {[](auto& s) { s.uids = {4294967296}; }, "uid: 4294967296 is no"},
      {[](auto& s) { s.token_sha256 = {"abc"}; }, "token-sha256: a SHA-256 has 64"},
      {[](auto& s) { s.sans = {"a*.example"}; }, "san: 'a*.example': a * stands for one label"},
      {[](auto& s) { s.sans = {""}; }, "san: an empty text"},
      {[](auto& s) { s.allow = {}; }, "allow: it must name some of read, consume"},
      {[](auto& s) { s.allow = {"write"}; }, "allow: 'write' is no permission; there are read,"},
      {[](auto& s) { s.subscriptions.emplace(); }, "subscriptions: an empty list allows nothing"},
      {[](auto& s) { s.endpoints.emplace(); }, "endpoints: an empty list allows nothing"},
      {[](auto& s) { s.endpoints = {""}; }, "endpoints: an empty text"},
      {[](auto& s) { s.rate = -1; }, "rate: -1 is no number"},
      {[](auto& s) {
         s.allow = {"admin"};
         s.endpoints = {"sinch"};
       },
       "endpoints: it limits nobody who is allowed admin"},
  };
  for (const auto& [change, why] : cases) {
    IdentitySettings settings = Billing();
    change(settings);
    EXPECT_THAT(Refusal({settings}), HasSubstr(why));
  }
  EXPECT_THAT(Refusal({Billing({"write"})}), HasSubstr("identity 'billing': allow: 'write'"));
}

TEST(Identities, RefuseWhatTwoShare) {
  IdentitySettings other = {.name = "other", .sans = {"a.example"}, .allow = {"read"}};
  EXPECT_EQ(Refusal({Billing(), Billing()}), "identity 'billing': it is declared twice");
  other.uids = {1000};
  EXPECT_EQ(Refusal({Billing(), other}),
            "identity 'other': uid: 1000 is a credential of identity 'billing', too");
  other.uids = {};
  IdentitySettings third = other;
  third.name = "third";
  third.sans = {"A.example"};
  EXPECT_THAT(Refusal({other, third}), HasSubstr("san: A.example is a credential of identity"));
  const std::vector<Digest> token = {DigestOf(kToken)};
  EXPECT_THAT(Refusal({Billing(), other}, {token, token}),
              HasSubstr("token-file: one of its tokens is a credential of identity 'billing'"));
  EXPECT_EQ(Refusal({Billing(), other}, {{token[0], token[0]}}), "");
}

}  // namespace
}  // namespace mmsmo::access
