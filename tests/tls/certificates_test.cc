#include "gateway/tls/certificates.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "gateway/tls/peer_certificate.h"
#include "tests/support/authority.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace mmsmo::tls {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class CertificatesTest : public testing::Test {
 protected:
  CertificatesTest() {
    Write("cert", first_.cert);
    Write("key", first_.key);
    Write("ca", authority_.cert());
  }

  void Write(const std::string& name, const std::string& content) {
    std::ofstream(directory_ / name) << content;
    chmod((directory_ / name).c_str(), 0600);
  }
  absl::StatusOr<std::unique_ptr<Certificates>> Load() {
    return Certificates::Load("http", files_, SystemClock(), metrics_);
  }
  double Reloads(const std::string& result) {
    return metrics_
        .Counter("mmsmo_tls_reloads_total",
                 "Changes of the files of TLS, by whether they could be used.",
                 {{"listener", "http"}, {"result", result}})
        .Value();
  }
  double ExpiryDays() {
    return metrics_
        .Gauge("mmsmo_tls_certificate_expiry_days",
               "Days until the first certificate of the listener's chain expires; negative once it "
               "has.",
               {{"listener", "http"}})
        .Value();
  }

  const Authority authority_;
  const Identity first_ = authority_.Issue();
  TempDir directory_;
  Files files_{.cert = directory_ / "cert", .key = directory_ / "key", .client_ca = ""};
  Metrics metrics_;
};

TEST_F(CertificatesTest, HasWhatTheFilesSay) {
  files_.client_ca = directory_ / "ca";
  const auto certificates = Load();
  ASSERT_THAT(certificates, IsOk());
  const auto snapshot = (*certificates)->snapshot();
  EXPECT_EQ(snapshot->texts().cert, first_.cert);
  EXPECT_EQ(snapshot->texts().key, first_.key);
  EXPECT_EQ(snapshot->texts().client_ca, authority_.cert());
  EXPECT_TRUE(snapshot->asks_for_certificate());
  EXPECT_NEAR(ExpiryDays(), 1, 0.01);
}

TEST_F(CertificatesTest, NamesSettingAndFileOfWhatIsWrong) {
  const Identity other = authority_.Issue();
  const struct {
    std::string file, content, setting, why;
  } kCases[] = {
      {"cert", "", "http-tls-cert: ", "no certificate"},
      {"cert", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
       "http-tls-cert: ", "cannot be read"},
      {"cert", first_.cert + "-----BEGIN CERTIFICATE-----\n", "http-tls-cert: ", "cannot be read"},
      {"key", "secret", "http-tls-key: ", "no private key"},
      {"key", other.key, "http-tls-key: ", "not the key of the certificate"},
      {"key", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
       "http-tls-key: ", "encrypted"},
      {"ca", "\n", "http-tls-client-ca: ", "no certificate"}};
  files_.client_ca = directory_ / "ca";
  for (const auto& wrong : kCases) {
    Write("cert", first_.cert);
    Write("key", first_.key);
    Write("ca", authority_.cert());
    Write(wrong.file, wrong.content);
    const absl::Status status = Load().status();
    EXPECT_THAT(
        status,
        StatusIs(absl::StatusCode::kInvalidArgument,
                 AllOf(HasSubstr(wrong.setting + "'" + directory_.path() + "/" + wrong.file + "'"),
                       HasSubstr(wrong.why), Not(HasSubstr("AAAA")), Not(HasSubstr("secret")))));
  }
  Write("cert", first_.cert);
  files_.key = directory_ / "none";
  EXPECT_THAT(Load().status(), StatusIs(absl::StatusCode::kFailedPrecondition,
                                        AllOf(HasSubstr("http-tls-key: "), HasSubstr("/none'"))));
}

TEST_F(CertificatesTest, TakesWhatIsNewAndKeepsTheOldWhereThatIsBroken) {
  auto loaded = Load();
  ASSERT_THAT(loaded, IsOk());
  Certificates& certificates = **loaded;
  const auto first = certificates.snapshot();
  const uint64_t version = certificates.version();
  EXPECT_THAT(certificates.Look(), IsOk());
  EXPECT_EQ(certificates.snapshot(), first);

  const Identity second = authority_.Issue({.ends_in = 10 * 86'400});
  Write("cert", second.cert);  // and not its key yet
  EXPECT_THAT(certificates.Look(), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("key")));
  EXPECT_THAT(certificates.Look(), Not(IsOk()));
  EXPECT_EQ(certificates.snapshot(), first);
  EXPECT_EQ(certificates.version(), version);
  EXPECT_EQ(Reloads("failed"), 1);  // of the same files

  Write("key", second.key);
  EXPECT_THAT(certificates.Look(), IsOk());
  EXPECT_EQ(certificates.snapshot()->texts().cert, second.cert);
  EXPECT_NE(certificates.version(), version);
  EXPECT_EQ(Reloads("ok"), 1);
  EXPECT_NEAR(ExpiryDays(), 10, 0.01);

  std::filesystem::remove(directory_ / "cert");
  EXPECT_THAT(certificates.Look(),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("cert")));
  EXPECT_EQ(certificates.snapshot()->texts().cert, second.cert);
  Write("cert", second.cert);
  EXPECT_THAT(certificates.Look(), IsOk());
}

TEST_F(CertificatesTest, ServesWhatHasExpired) {
  const Identity expired = authority_.Issue({.begins_in = -7200, .ends_in = -86'400});
  Write("cert", expired.cert);
  Write("key", expired.key);
  ASSERT_THAT(Load(), IsOk());
  EXPECT_NEAR(ExpiryDays(), -1, 0.01);
}

TEST_F(CertificatesTest, VerifiesClientsByTheAuthorities) {
  files_.client_ca = directory_ / "ca";
  const auto certificates = Load();
  ASSERT_THAT(certificates, IsOk());
  const auto snapshot = (*certificates)->snapshot();
  EXPECT_TRUE(snapshot->Verifies(first_.cert, ""));
  EXPECT_TRUE(snapshot->Verifies(first_.cert, first_.cert));
  EXPECT_FALSE(snapshot->Verifies(authority_.Issue({.ends_in = -1}).cert, ""));
  EXPECT_FALSE(snapshot->Verifies(authority_.Issue({.begins_in = 3600}).cert, ""));
  EXPECT_FALSE(snapshot->Verifies(Authority().Issue().cert, ""));
  EXPECT_FALSE(snapshot->Verifies("no certificate", ""));
}

TEST(PeerCertificate, HasTheNamesOfItsSubjectAndIssuer) {
  const Authority authority("the, authority");
  const Identity identity =
      authority.Issue({.common_name = "billing",
                       .names = "DNS:a.example,DNS:*.b.example,URI:spiffe://x/billing,"
                                "email:me@a.example,IP:127.0.0.1"});
  const auto peer = DescribePeer(ReadCertificates(identity.cert).front().get(), nullptr);
  EXPECT_THAT(peer.dns, testing::ElementsAre("a.example", "*.b.example"));
  EXPECT_THAT(peer.uris, testing::ElementsAre("spiffe://x/billing"));
  EXPECT_THAT(peer.emails, testing::ElementsAre("me@a.example"));
  EXPECT_EQ(peer.common_name, "billing");
  EXPECT_EQ(peer.issuer, "CN=the\\, authority");
}

TEST(PeerCertificate, LeavesOutNamesWithANul) {
  Identity identity = Authority().Issue({.names = "DNS:good.example.evil.example"});
  tls::CertificatePtr certificate = std::move(ReadCertificates(identity.cert).front());
  auto* const names = static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate.get(), NID_subject_alt_name, nullptr, nullptr));
  ASN1_STRING_set(sk_GENERAL_NAME_value(names, 0)->d.dNSName, "good.example\0.evil.example", 26);
  X509_add1_ext_i2d(certificate.get(), NID_subject_alt_name, names, 0, X509V3_ADD_REPLACE);
  GENERAL_NAMES_free(names);
  EXPECT_THAT(DescribePeer(certificate.get(), nullptr).dns, testing::IsEmpty());
}

}  // namespace
}  // namespace mmsmo::tls
