#include "gateway/http/request_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace mmsmo::http {
namespace {

using Next = RequestReader::Next;
using Phase = RequestReader::Phase;
using testing::ElementsAre;
using testing::HasSubstr;

std::string Post(const std::string& body, const std::string& target = "/p",
                 const std::string& version = "1.1", const std::string& fields = "") {
  return "POST " + target + " HTTP/" + version + "\r\nHost: h\r\n" + fields +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

class RequestReaderTest : public testing::Test {
 protected:
  RequestReaderTest() {
    Routes routes;
    routes.emplace("/p", Route{.method = "POST"});
    routes.emplace("/g", Route{.method = "GET"});
    routes.emplace("/", Route{.method = "POST"});
    routes.emplace("/small", Route{.method = "POST", .max_body_bytes = 8});
    routes.emplace("/large", Route{.method = "POST", .max_body_bytes = 8192});
    routes.emplace("/secret", Route{.method = "POST", .is_secret = [](std::string_view segment) {
                                      return segment == "se.cret";
                                    }});
    routes.emplace(
        "/shut", Route{.method = "POST",
                       .admit = [this](const access::Peer& peer, access::FieldOf field,
                                       Request* request) { return Admit(peer, field, request); }});
    routes_ = std::make_shared<const Routes>(std::move(routes));
    Restart(1 << 20);
  }

  void Restart(int64_t budget) {
    reader_.reset();
    budget_ = std::make_unique<ByteBudget>(budget);
    reader_.emplace(
        RequestReader::Limits{
            .max_header_bytes = 512, .max_body_bytes = 4096, .proxies = &proxies_},
        &routes_, &peer_, budget_.get());
  }
  // The bodies of the requests in `bytes`, and a refusal's status at last.
  std::vector<std::string> All(const std::string& bytes) {
    std::vector<std::string> all;
    Next next = reader_->Read(bytes);
    while (next == Next::kRequest || next == Next::kRefusal) {
      if (next == Next::kRefusal) {
        all.push_back(std::to_string(reader_->refusal().status));
        if (!reader_->keep_alive()) break;
      } else {
        all.push_back(reader_->TakeRequest().body);
      }
      next = reader_->Read({});
    }
    return all;
  }
  int StatusOf(const std::string& bytes) {
    Restart(1 << 20);
    const Next next = reader_->Read(bytes);
    return next == Next::kRequest ? 200 : next == Next::kRefusal ? reader_->refusal().status : 0;
  }

  // Lets in who has the field once, and keeps what it says.
  std::optional<Answer> Admit(const access::Peer& peer, access::FieldOf field, Request* request) {
    client_ = peer.address ? ToString(*peer.address) : "unknown";
    const auto token = field("x-token");
    if (!token) return Answer{.status = 401};
    request->signature.value = *token;
    return std::nullopt;
  }

  std::shared_ptr<const Routes> routes_;
  access::TrustedProxies proxies_;
  access::Peer peer_;
  std::string client_;
  std::unique_ptr<ByteBudget> budget_;
  std::optional<RequestReader> reader_;
};

TEST_F(RequestReaderTest, ReadsRequestsHoweverTheyAreCut) {
  const std::string bytes = Post("one") + Post("") +
                            "POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: "
                            "chunked\r\n\r\n3\r\ntwo\r\n2\r\n!!\r\n0\r\n\r\n" +
                            Post("three");
  for (size_t piece = 1; piece <= bytes.size(); ++piece) {
    Restart(1 << 20);
    std::vector<std::string> all;
    for (size_t at = 0; at < bytes.size(); at += piece) {
      for (std::string& body : All(bytes.substr(at, piece))) all.push_back(std::move(body));
    }
    EXPECT_THAT(all, ElementsAre("one", "", "two!!", "three")) << piece;
    EXPECT_EQ(reader_->phase(), Phase::kIdle);
    EXPECT_EQ(budget_->held(), 0);
  }
}

TEST_F(RequestReaderTest, PassesOverEmptyLinesBeforeARequest) {
  EXPECT_THAT(All(Post("one") + "\r\n" + Post("two") + "\r\n\r\n" + Post("three") + "\r"),
              ElementsAre("one", "two", "three"));
  EXPECT_THAT(All("\n" + Post("four")), ElementsAre("four"));
  EXPECT_THAT(All("\r\n"), ElementsAre());
  EXPECT_EQ(reader_->phase(), Phase::kIdle);
}

TEST_F(RequestReaderTest, FindsThePathInEveryFormOfATarget) {
  const struct {
    const char* target;
    int status;
  } kCases[] = {{"/p", 200},
                {"/p?q=/x", 200},
                {"/p/", 200},
                {"/%70", 200},
                {"/%70/?q", 200},
                {"/p//", 404},
                {"//p", 404},
                {"/P", 404},
                {"/p%2F", 404},
                {"/%2570", 404},
                {"http://gw.example/%70/", 200},
                {"http://gw.example:8080/p", 200},
                {"HTTPS://gw.example/p?q", 200},
                {"http://gw.example", 200},    // "/"
                {"http://gw.example?q", 200},  // likewise
                {"http://gw.example/q", 404},
                {"ftp://gw.example/p", 404},
                {"gw.example/p", 404},
                {"*", 404}};
  for (const auto& expected : kCases)
    EXPECT_EQ(StatusOf(Post("b", expected.target)), expected.status) << expected.target;
}

TEST_F(RequestReaderTest, TakesNoTrailerForAFieldOfTheHeader) {
  const std::string parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const std::string chunked =
      "POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n";
  const std::string trailers =
      "Content-Type: text/xml\r\nContent-Encoding: gzip\r\ntraceparent: " + parent + "\r\n\r\n";
  for (size_t piece : {size_t{1}, chunked.size() + trailers.size()}) {
    Restart(1 << 20);
    Next next = Next::kMore;
    const std::string bytes = chunked + trailers;
    for (size_t at = 0; at < bytes.size(); at += piece)
      next = reader_->Read(bytes.substr(at, piece));
    ASSERT_EQ(next, Next::kRequest);
    const Request request = reader_->TakeRequest();
    EXPECT_EQ(request.body, "x");
    EXPECT_EQ(request.content_type + request.content_encoding + request.trace_parent, "");
  }
}

TEST_F(RequestReaderTest, SaysNothingOfARequestThatMayBeASecret) {
  ASSERT_EQ(reader_->Read(Post("b", "/secret")), Next::kRefusal);
  EXPECT_EQ(reader_->refusal().reason, "no_such_path");
  EXPECT_EQ(reader_->refusal().note, "the path has 7 bytes");
  Restart(1 << 20);
  ASSERT_EQ(reader_->Read("PUT /p HTTP/1.1\r\nHost: h\r\n\r\n"), Next::kRefusal);
  EXPECT_EQ(reader_->refusal().note, "the method is PUT");
  Restart(1 << 20);
  ASSERT_EQ(reader_->Read("SECRET /p HTTP/1.1\r\nHost: h\r\n\r\n"), Next::kRefusal);
  EXPECT_EQ(reader_->refusal().note, "");
}

TEST_F(RequestReaderTest, SaysWhetherTheConnectionStays) {
  const struct {
    const char* version;
    const char* fields;
    bool keep_alive;
  } kCases[] = {{"1.1", "", true},
                {"1.1", "Connection: close\r\n", false},
                {"1.0", "", false},
                {"1.0", "Connection: Keep-Alive\r\n", true}};
  for (const auto& expected : kCases) {
    Restart(1 << 20);
    ASSERT_EQ(reader_->Read(Post("b", "/p", expected.version, expected.fields)), Next::kRequest);
    EXPECT_EQ(reader_->keep_alive(), expected.keep_alive) << expected.version << expected.fields;
    EXPECT_EQ(reader_->http10(), std::string(expected.version) == "1.0");
  }
}

TEST_F(RequestReaderTest, TrustsNoFramingOfHttp10WithATransferCoding) {
  ASSERT_EQ(reader_->Read("POST /p HTTP/1.0\r\nConnection: keep-alive\r\n"
                          "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"),
            Next::kRequest);
  EXPECT_FALSE(reader_->keep_alive());
}

TEST_F(RequestReaderTest, RefusesByTheHeaderAlone) {
  const struct {
    const char* header;
    int status;
  } kCases[] = {
      {"GET /p HTTP/1.1\r\nHost: h\r\n\r\n", 405},
      {"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n", 404},
      {"POST /p HTTP/1.1\r\nHost: h\r\n\r\n", 411},
      {"POST /p HTTP/1.1\r\nContent-Length: 5\r\n\r\n", 400},
      {"POST /p HTTP/1.1\r\nHost: h\r\nHost: h\r\nContent-Length: 5\r\n\r\n", 400},
      {"POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 5000\r\n\r\n", 413},
      {"POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n", 501},
      {"POST /p HTTP/1.1\r\nHost: h\r\nExpect: a-miracle\r\nContent-Length: 5\r\n\r\n", 417},
      {"POST /p HTTP/2.0\r\nHost: h\r\nContent-Length: 5\r\n\r\n", 505},
      {"\x01 /p HTTP/1.1\r\n\r\n", 400},
  };
  for (const auto& expected : kCases) EXPECT_EQ(StatusOf(expected.header), expected.status);
  EXPECT_FALSE(reader_->keep_alive());
}

TEST_F(RequestReaderTest, GoesOnAfterAMethodWithoutABodyThatIsNotServed) {
  EXPECT_THAT(All("GET /p HTTP/1.1\r\nHost: h\r\n\r\n" + Post("next")), ElementsAre("405", "next"));
  EXPECT_THAT(All(Post("x", "/g") + Post("next")), ElementsAre("405"));
}

TEST_F(RequestReaderTest, TellsToContinueWhereTheBodyIsYetToCome) {
  const std::string header =
      "POST /p HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n";
  EXPECT_EQ(reader_->Read(header), Next::kContinue);
  EXPECT_EQ(reader_->phase(), Phase::kBody);
  EXPECT_EQ(reader_->Read("x"), Next::kRequest);
  Restart(1 << 20);
  EXPECT_EQ(reader_->Read(header + "x"), Next::kRequest);
}

TEST_F(RequestReaderTest, LimitsHeadersAndWhatStandsBeforeAChunk) {
  EXPECT_EQ(StatusOf("POST /p HTTP/1.1\r\nHost: h\r\nX: " + std::string(600, 'x')), 431);
  EXPECT_EQ(reader_->refused_by(), RequestReader::Limit::kHeaderBytes);
  EXPECT_EQ(StatusOf("POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1;" +
                     std::string(600, 'x')),
            400);
  EXPECT_EQ(StatusOf("POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1001\r\n" +
                     std::string(5000, 'x')),
            413);
  EXPECT_EQ(reader_->refused_by(), RequestReader::Limit::kBodyBytes);
}

TEST_F(RequestReaderTest, HoldsWhatItKeepsOfTheBudget) {
  const std::string body(1000, 'x');
  const std::string bytes = Post(body);
  ASSERT_EQ(reader_->Read(bytes.substr(0, 40)), Next::kMore);
  EXPECT_GE(budget_->held(), 40 - 18);  // a header's beginning, without its first line
  EXPECT_LT(budget_->held(), 200);
  ASSERT_EQ(reader_->Read(bytes.substr(40, 500)), Next::kMore);
  EXPECT_GE(budget_->held(), 500);  // what has arrived, not what was announced
  EXPECT_LT(budget_->held(), 900);
  ASSERT_EQ(reader_->Read(bytes.substr(540)), Next::kRequest);
  {
    const Request request = reader_->TakeRequest();
    EXPECT_EQ(request.body, body);
    EXPECT_EQ(budget_->held(), 1000);
    reader_->Read({});
    EXPECT_EQ(budget_->held(), 1000);  // the request's own
  }
  EXPECT_EQ(budget_->held(), 0);
}

TEST_F(RequestReaderTest, RefusesWhatTheBudgetDoesNotHave) {
  Restart(1500);
  EXPECT_THAT(All(Post(std::string(1400, 'x'))), ElementsAre(std::string(1400, 'x')));
  EXPECT_THAT(All(Post(std::string(1600, 'x'))), ElementsAre("503"));
  EXPECT_THAT(reader_->refusal().body, HasSubstr("\"reason\":\"overloaded\""));
  EXPECT_EQ(reader_->refused_by(), RequestReader::Limit::kInFlightBytes);
  EXPECT_EQ(budget_->held(), 0);
}

TEST_F(RequestReaderTest, AnswersWhatItHasThoughTheRestIsRefused) {
  Restart(1500);
  EXPECT_THAT(All(Post("first") + Post(std::string(2000, 'x'))), ElementsAre("first", "503"));
  EXPECT_EQ(budget_->held(), 0);
}

TEST_F(RequestReaderTest, ForgetsWhatIsDropped) {
  reader_->Read(Post(std::string(1000, 'x')).substr(0, 700));
  reader_->Drop();
  EXPECT_EQ(reader_->phase(), Phase::kIdle);
  EXPECT_EQ(budget_->held(), 0);
  EXPECT_FALSE(reader_->keep_alive());
}

TEST_F(RequestReaderTest, APathsSecretIsItsLastSegment) {
  EXPECT_EQ(StatusOf(Post("x", "/secret/se.cret")), 200);
  EXPECT_EQ(StatusOf(Post("x", "/secret/se%2Ecret/?q")), 200);
  for (const char* wrong : {"/secret", "/secret/", "/secret/other", "/secret/se.cret/x", "/se.cret",
                            "/other/se.cret", "/secret//se.cret"}) {
    EXPECT_EQ(StatusOf(Post("x", wrong)), 404) << wrong;
  }
  const std::string body = reader_->refusal().body;
  EXPECT_EQ(StatusOf(Post("x", "/nothing")), 404);
  EXPECT_EQ(reader_->refusal().body, body) << "a wrong secret is as no path at all";
}

TEST_F(RequestReaderTest, ARouteHasALimitOfItsOwn) {
  EXPECT_EQ(StatusOf(Post(std::string(8, 'x'), "/small")), 200);
  EXPECT_EQ(StatusOf(Post(std::string(9, 'x'), "/small")), 413);
  EXPECT_EQ(StatusOf(Post(std::string(8192, 'x'), "/large")), 200);
  EXPECT_EQ(StatusOf(Post(std::string(8193, 'x'), "/large")), 413);
  EXPECT_EQ(StatusOf(Post(std::string(4097, 'x'), "/p")), 413);
  const auto chunked = [](const std::string& chunk) {
    return "POST /small HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n" +
           chunk + "\r\n0\r\n\r\n";
  };
  EXPECT_EQ(StatusOf(chunked("4\r\nabcd")), 200);
  EXPECT_EQ(StatusOf(chunked("5\r\nabcde")), 413);
}

TEST_F(RequestReaderTest, ARouteAdmitsByTheHeader) {
  ASSERT_EQ(StatusOf(Post("x", "/shut", "1.1", "X-Token: t\r\n")), 200);
  EXPECT_EQ(reader_->TakeRequest().signature.value, "t");
  EXPECT_EQ(StatusOf(Post("x", "/shut")), 401);
  EXPECT_FALSE(reader_->keep_alive()) << "what follows is the body";
  EXPECT_EQ(StatusOf(Post("x", "/shut", "1.1", "X-Token: t\r\nX-Token: t\r\n")), 401);
  // Before a body is asked for, and whatever its size.
  EXPECT_EQ(StatusOf("POST /shut HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
                     "Content-Length: 100000\r\n\r\n"),
            401);
  // What comes as a trailer has not been shown.
  EXPECT_EQ(StatusOf("POST /shut HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                     "0\r\nX-Token: t\r\n\r\n"),
            401);
}

TEST_F(RequestReaderTest, ATrustedProxySaysWhoAsks) {
  proxies_ = *access::ParseTrustedProxies("10.0.0.0/8");
  proxies_.field = access::TrustedProxies::Field::kXForwardedFor;
  const auto client = [this](const char* peer, const std::string& fields) {
    peer_.address = access::ParseAddress(peer);
    StatusOf(Post("x", "/shut", "1.1", fields));
    return client_;
  };
  const std::string field = "X-Forwarded-For: 8.8.8.8\r\nx-forwarded-for: 203.0.113.1,10.0.0.2\r\n";
  EXPECT_EQ(client("10.0.0.1", field), "203.0.113.1");
  EXPECT_EQ(client("192.0.2.1", field), "192.0.2.1");
  EXPECT_EQ(client("10.0.0.1", ""), "10.0.0.1");
  EXPECT_EQ(client("10.0.0.1", "Forwarded: for=8.8.8.8\r\n"), "10.0.0.1");
  EXPECT_EQ(client("10.0.0.1", "X-Forwarded-For: me\r\n"), "unknown");
}

TEST_F(RequestReaderTest, ARequestKeepsTheRoutesThatItBeganWith) {
  const std::string bytes = Post("body");
  ASSERT_EQ(reader_->Read(bytes.substr(0, bytes.size() - 2)), Next::kMore);
  routes_ = std::make_shared<const Routes>();
  ASSERT_EQ(reader_->Read(bytes.substr(bytes.size() - 2)), Next::kRequest);
  EXPECT_EQ(reader_->route()->method, "POST");
  EXPECT_EQ(reader_->TakeRequest().body, "body");
  EXPECT_EQ(reader_->Read(bytes), Next::kRefusal);
  EXPECT_EQ(reader_->refusal().status, 404);
}

}  // namespace
}  // namespace mmsmo::http
