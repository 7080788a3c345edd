#include "gateway/access/endpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>

#include "gateway/base/status.h"

namespace mmsmo::access {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr int64_t kNow = 1'700'000'000'000;  // in milliseconds since 1970

class EndpointTest : public testing::Test {
 protected:
  EndpointTest() {
    setenv("NEW", "new-secret", 1);
    setenv("OLD", "old-secret", 1);
    settings_.name = "sinch";
    settings_.path = "/hooks/mms";
  }

  std::shared_ptr<const Endpoint> Make() {
    auto endpoint = Endpoint::Make(settings_, &reader_);
    EXPECT_TRUE(endpoint.ok()) << endpoint.status();
    return *endpoint;
  }
  std::string WhyNot() {
    return std::string(MessageOf(Endpoint::Make(settings_, &reader_).status()));
  }
  std::optional<Check> CheckHeader(const Peer& peer = {}) {
    return Make()->CheckHeader(peer, [this](std::string_view name) { return Field(name); });
  }
  std::optional<Check> CheckBody(std::string_view body) {
    const auto endpoint = Make();
    const auto field = [this](std::string_view name) { return Field(name); };
    if (auto check = endpoint->CheckHeader({}, field)) return check;
    return endpoint->CheckBody(endpoint->SignatureOf(field), body, kNow);
  }
  static Peer From(std::string_view address) { return {.address = ParseAddress(address)}; }

  EndpointSettings settings_;
  std::map<std::string, std::string, std::less<>> fields_;
  SecretReader reader_;

 private:
  std::optional<std::string_view> Field(std::string_view name) const {
    const auto found = fields_.find(name);
    if (found == fields_.end()) return std::nullopt;
    return found->second;
  }
};

TEST_F(EndpointTest, WithoutChecksLetsEverybodyIn) {
  EXPECT_EQ(CheckHeader(), std::nullopt);
  EXPECT_THAT(Make()->verified_by(), IsEmpty());
}

TEST_F(EndpointTest, BasicTakesTheUserWithEachPassword) {
  settings_.basic = BasicCheck{.user = "sinch", .passwords = {.variables = {"NEW", "OLD"}}};
  EXPECT_EQ(CheckHeader(), Check::kBasic);
  for (const char* good : {"Basic c2luY2g6bmV3LXNlY3JldA==", "basic  c2luY2g6b2xkLXNlY3JldA"}) {
    fields_["Authorization"] = good;
    EXPECT_EQ(CheckHeader(), std::nullopt) << good;
  }
  for (const char* bad : {"", "Basic", "Basic ", "Basic !", "c2luY2g6bmV3LXNlY3JldA==",
                          "Bearer c2luY2g6bmV3LXNlY3JldA==", "Basic c2luY2g6bmV3LXNlY3JldA==x",
                          "Basic c2luY2g6", "Basic OnNlY3JldA=="}) {
    fields_["Authorization"] = bad;
    EXPECT_EQ(CheckHeader(), Check::kBasic) << bad;
  }
  EXPECT_THAT(Make()->verified_by(), ElementsAre("basic"));
  EXPECT_EQ(Make()->Challenge(), "Basic realm=\"postbacks\"");
}

TEST_F(EndpointTest, BearerTakesEachToken) {
  settings_.bearer_tokens.variables = {"NEW", "OLD"};
  for (const char* good : {"Bearer new-secret", "BEARER old-secret"}) {
    fields_["Authorization"] = good;
    EXPECT_EQ(CheckHeader(), std::nullopt) << good;
  }
  for (const char* bad : {"", "Bearer", "Bearer new-secre", "Bearer new-secret ", "new-secret"}) {
    fields_["Authorization"] = bad;
    EXPECT_EQ(CheckHeader(), Check::kBearer) << bad;
  }
  EXPECT_THAT(Make()->verified_by(), ElementsAre("bearer"));
}

TEST_F(EndpointTest, HeaderTakesItsValue) {
  settings_.header = HeaderCheck{.field = "X-Token", .values = {.variables = {"NEW"}}};
  EXPECT_EQ(CheckHeader(), Check::kHeader);
  fields_["X-Token"] = "new-secret";
  EXPECT_EQ(CheckHeader(), std::nullopt);
  fields_["X-Token"] = "old-secret";
  EXPECT_EQ(CheckHeader(), Check::kHeader);
  EXPECT_THAT(Make()->verified_by(), ElementsAre("bearer"));
}

TEST_F(EndpointTest, HmacIsOfTheBodyAsReceived) {
  settings_.hmac = HmacCheck{
      .field = "X-Signature", .secrets = {.variables = {"OLD", "NEW"}}, .prefix = "sha256="};
  // printf body | openssl dgst -sha256 -hmac new-secret
  const std::string mac = "40d0858cb9990d9797b1ba7a8bf4de6a8fdddddc1e48e0ebf824a5e10d3210cd";
  EXPECT_EQ(CheckBody("body"), Check::kHmac);
  for (const std::string& bad :
       {std::string(), std::string("sha256="), std::string("sha256=zz"), mac, "sha256=" + mac + "0",
        "sha256=" + mac.substr(2), "sha512=" + mac}) {
    fields_["X-Signature"] = bad;
    EXPECT_EQ(CheckBody("body"), Check::kHmac) << bad;
  }
  fields_["X-Signature"] = "sha256=" + mac;
  EXPECT_EQ(CheckBody("body"), std::nullopt);
  EXPECT_EQ(CheckBody("body "), Check::kHmac);
  EXPECT_THAT(Make()->verified_by(), ElementsAre("hmac"));
}

TEST_F(EndpointTest, HmacMayBeOfATimestampToo) {
  settings_.hmac = HmacCheck{.field = "X-Signature",
                             .secrets = {.variables = {"NEW"}},
                             .algorithm = HmacCheck::Algorithm::kSha512,
                             .encoding = HmacCheck::Encoding::kBase64,
                             .timestamp_field = "X-Time"};
  // printf 1699999700.body | openssl dgst -sha512 -hmac new-secret -binary | base64 -w0
  fields_["X-Signature"] =
      "5Z9Nw7NsSjpKL8e4C+2G0J8J+XyLY5p4y2AsGaXQAYGE"
      "3GpA4RinW4JS/tbJhoJp2ZHFvVZHahGbGYUvZNlB2Q==";
  EXPECT_EQ(CheckBody("body"), Check::kHmac);
  fields_["X-Time"] = "1699999700";  // as old as it may be
  EXPECT_EQ(CheckBody("body"), std::nullopt);
  fields_["X-Time"] = "1699999701";
  EXPECT_EQ(CheckBody("body"), Check::kHmac);
  // printf 1699999699.body | …
  fields_["X-Signature"] =
      "xV0S/ToKo6tX2KiPbHs5mi337SNS+mb4Dkk6A1yMb8dE"
      "f1eeH/VWZsyfRep2pRI5WQSTadm/hgtHMg36XWiVIg==";
  fields_["X-Time"] = "1699999699";
  EXPECT_EQ(CheckBody("body"), Check::kHmac);
  settings_.hmac->tolerance_millis = 301'000;
  EXPECT_EQ(CheckBody("body"), std::nullopt);
  for (const char* none : {"", "-1", "1e9", "1699999699 ", "99999999999999999999"}) {
    fields_["X-Time"] = none;
    EXPECT_EQ(CheckBody("body"), Check::kHmac) << none;
  }
}

TEST_F(EndpointTest, AddressIsInOneOfTheRanges) {
  settings_.allow_from = {"203.0.113.0/24", "2001:db8::/32"};
  EXPECT_EQ(CheckHeader(), Check::kAddress);  // of a unix socket
  EXPECT_EQ(CheckHeader(From("::ffff:203.0.113.9")), std::nullopt);
  EXPECT_EQ(CheckHeader(From("2001:db8::1")), std::nullopt);
  EXPECT_EQ(CheckHeader(From("203.0.114.9")), Check::kAddress);
  EXPECT_THAT(Make()->verified_by(), ElementsAre("address"));
}

TEST_F(EndpointTest, CertificateHasOneOfTheNames) {
  settings_.certificate = CertificateCheck{.sans = {"*.provider.example", "exact.example"}};
  const auto with = [](std::vector<std::string> sans, std::string issuer = "CN=ca") {
    return Peer{.certificate = std::make_shared<Certificate>(
                    Certificate{.sans = std::move(sans), .issuer = std::move(issuer)})};
  };
  EXPECT_EQ(CheckHeader(), Check::kCertificate);
  EXPECT_EQ(CheckHeader(with({"other", "A.Provider.Example"})), std::nullopt);
  EXPECT_EQ(CheckHeader(with({"exact.example"})), std::nullopt);
  for (const char* bad : {"provider.example", ".provider.example", "a.b.provider.example",
                          "a.exact.example", "*.provider.example.evil"}) {
    EXPECT_EQ(CheckHeader(with({bad})), Check::kCertificate) << bad;
  }
  settings_.certificate = CertificateCheck{.issuer = "CN=ca"};
  EXPECT_EQ(CheckHeader(with({})), std::nullopt);
  EXPECT_EQ(CheckHeader(with({}, "CN=another")), Check::kCertificate);
  EXPECT_THAT(Make()->verified_by(), ElementsAre("mtls"));
}

TEST_F(EndpointTest, AllChecksMustPass) {
  settings_.bearer_tokens.variables = {"NEW"};
  settings_.header = HeaderCheck{.field = "X-Token", .values = {.variables = {"OLD"}}};
  settings_.allow_from = {"203.0.113.0/24"};
  settings_.path_secrets.variables = {"NEW"};
  EXPECT_EQ(CheckHeader(From("192.0.2.1")), Check::kAddress);
  EXPECT_EQ(CheckHeader(From("203.0.113.1")), Check::kBearer);
  fields_["Authorization"] = "Bearer new-secret";
  EXPECT_EQ(CheckHeader(From("203.0.113.1")), Check::kHeader);
  fields_["X-Token"] = "old-secret";
  EXPECT_EQ(CheckHeader(From("203.0.113.1")), std::nullopt);
  EXPECT_THAT(Make()->verified_by(), ElementsAre("bearer", "address", "path"));
}

TEST_F(EndpointTest, PathSecretIsASegment) {
  settings_.path_secrets.variables = {"NEW", "OLD"};
  EXPECT_TRUE(Make()->IsPathSecret("old-secret"));
  EXPECT_FALSE(Make()->IsPathSecret("old"));
  EXPECT_FALSE(Make()->IsPathSecret(""));
  setenv("OLD", "a/b", 1);
  EXPECT_THAT(WhyNot(), HasSubstr("path-secret: it may have letters"));
}

TEST_F(EndpointTest, WithoutPathSecretsHasNone) { EXPECT_FALSE(Make()->IsPathSecret("")); }

TEST_F(EndpointTest, NamesTheKeyThatIsWrong) {
  const auto why = [&](auto change) {
    const EndpointSettings before = settings_;
    change(settings_);
    std::string message = WhyNot();
    settings_ = before;
    return message;
  };
  EXPECT_THAT(why([](auto& s) { s.name = "a\nb"; }), HasSubstr("name: "));
  EXPECT_THAT(why([](auto& s) { s.path = "hooks"; }), HasSubstr("path: 'hooks' must begin with /"));
  EXPECT_THAT(why([](auto& s) { s.rate = -1; }), HasSubstr("rate: "));
  EXPECT_THAT(why([](auto& s) { s.allow_from = {"10.0.0.1/8"}; }), HasSubstr("allow-from: '10."));
  EXPECT_THAT(why([](auto& s) { s.basic = BasicCheck{.user = "a:b"}; }),
              HasSubstr("basic: user: "));
  EXPECT_THAT(why([](auto& s) { s.basic = BasicCheck{.user = "a"}; }), HasSubstr("basic: give "));
  EXPECT_THAT(why([](auto& s) { s.header = HeaderCheck{.field = "a b"}; }),
              HasSubstr("header: name"));
  EXPECT_THAT(why([](auto& s) { s.header = HeaderCheck{.field = "a"}; }),
              HasSubstr("header: give "));
  EXPECT_THAT(why([](auto& s) { s.hmac = HmacCheck{.field = "a"}; }), HasSubstr("hmac: give "));
  EXPECT_THAT(why([](auto& s) { s.certificate = CertificateCheck{}; }), HasSubstr("give san"));
  EXPECT_THAT(why([](auto& s) { s.bearer_tokens.variables = {"MMSMO_NOT_SET"}; }),
              HasSubstr("bearer: the environment variable MMSMO_NOT_SET is not set"));
  EXPECT_THAT(why([](auto& s) {
                s.bearer_tokens.variables = {"NEW"};
                s.basic = BasicCheck{.user = "a", .passwords = {.variables = {"NEW"}}};
              }),
              HasSubstr("bearer: no request can pass it and basic"));
}

}  // namespace
}  // namespace mmsmo::access
