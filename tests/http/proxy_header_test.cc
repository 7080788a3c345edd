#include "gateway/http/proxy_header.h"

#include <gtest/gtest.h>

#include <string>

namespace mmsmo::http {
namespace {

using Kind = ProxyHeader::Kind;

const std::string kSignature("\r\n\r\n\0\r\nQUIT\n", 12);

// Of version 2.
std::string Binary(uint8_t command, uint8_t family, const std::string& rest) {
  std::string header = kSignature;
  header += static_cast<char>(command);
  header += static_cast<char>(family);
  header += static_cast<char>(rest.size() >> 8);
  header += static_cast<char>(rest.size() & 0xff);
  return header + rest;
}

const std::string kV4("\xcb\x00\x71\x05\x0a\x00\x00\x01\x1f\x90\x00\x50", 12);
const std::string kV6 = std::string("\x20\x01\x0d\xb8", 4) + std::string(12, '\1') +
                        std::string(16, '\2') + std::string(4, '\3');

TEST(ProxyHeader, NamesTheClient) {
  const std::string v6 = "2001:db8:101:101:101:101:101:101";
  const struct {
    std::string header, client;
  } kCases[] = {
      {"PROXY TCP4 203.0.113.5 10.0.0.1 8080 80\r\n", "203.0.113.5"},
      {"PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n", "0.0.0.0"},
      {"PROXY TCP6 2001:db8::5 ::1 8080 80\r\n", "2001:db8::5"},
      {"PROXY TCP6 ::ffff:203.0.113.5 ::1 8080 80\r\n", "203.0.113.5"},
      {Binary(0x21, 0x11, kV4), "203.0.113.5"},
      {Binary(0x21, 0x11, kV4 + "\x03" + std::string("\0\4abcd", 6)), "203.0.113.5"},
      {Binary(0x21, 0x21, kV6), v6},
      {Binary(0x21, 0x21, kV6 + std::string(536 - 16 - 36, 'x')), v6},
  };
  for (const auto& expected : kCases) {
    for (const char* behind : {"", "POST / HTTP/1.1\r\n", "\r\n"}) {
      const ProxyHeader header = ReadProxyHeader(expected.header + behind);
      ASSERT_EQ(header.kind, Kind::kOfClient) << expected.header;
      EXPECT_EQ(header.bytes, expected.header.size());
      EXPECT_EQ(access::ToString(*header.client), expected.client);
    }
  }
}

TEST(ProxyHeader, LeavesThePeerWhereTheProxyKnowsNoClient) {
  for (const std::string& text :
       {std::string("PROXY UNKNOWN\r\n"), std::string("PROXY UNKNOWN what ever\r\n"),
        "PROXY UNKNOWN " + std::string(91, 'f') + "\r\n", Binary(0x20, 0x00, ""),
        Binary(0x20, 0x11, kV4), Binary(0x20, 0x99, "x"), Binary(0x21, 0x00, ""),
        Binary(0x21, 0x00, "x"), Binary(0x21, 0x31, std::string(216, 'u'))}) {
    const ProxyHeader header = ReadProxyHeader(text + "more");
    EXPECT_EQ(header.kind, Kind::kOfPeer) << text;
    EXPECT_EQ(header.bytes, text.size()) << text;
    EXPECT_FALSE(header.client) << text;
  }
}

TEST(ProxyHeader, WaitsForItsEnd) {
  for (const std::string& text :
       {std::string("PROXY TCP6 2001:db8::5 ::1 8080 80\r\n"), std::string("PROXY UNKNOWN\r\n"),
        Binary(0x21, 0x21, kV6), Binary(0x20, 0x00, "")}) {
    for (size_t size = 0; size < text.size(); ++size)
      EXPECT_EQ(ReadProxyHeader(text.substr(0, size)).kind, Kind::kIncomplete) << size;
  }
  EXPECT_EQ(ReadProxyHeader("PROXY UNKNOWN " + std::string(92, 'f')).kind, Kind::kIncomplete);
}

TEST(ProxyHeader, SaysWhatIsNone) {
  for (const std::string& text : {std::string("P0"),
                                  std::string("GET / HTTP/1.1\r\n"),
                                  std::string("\x16\x03\x01"),
                                  std::string("proxy TCP4 1.2.3.4 1.2.3.4 1 1\r\n"),
                                  std::string("PROXY \r\n"),
                                  std::string("PROXY TCP4\r\n"),
                                  std::string("PROXY TCP5 1.2.3.4 1.2.3.4 1 1\r\n"),
                                  std::string("PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n"),
                                  std::string("PROXY TCP4 1.2.3.4 1.2.3.4 1 1 \r\n"),
                                  std::string("PROXY TCP4  1.2.3.4 1.2.3.4 1 1\r\n"),
                                  std::string("PROXY TCP4 1.2.3 1.2.3.4 1 1\r\n"),
                                  std::string("PROXY TCP4 ::1 ::1 1 1\r\n"),
                                  std::string("PROXY TCP6 1.2.3.4 1.2.3.4 1 1\r\n"),
                                  std::string("PROXY TCP6 [::1] ::1 1 1\r\n"),
                                  std::string("PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n"),
                                  std::string("PROXY TCP4 1.2.3.4 1.2.3.4 01 1\r\n"),
                                  std::string("PROXY TCP4 1.2.3.4 1.2.3.4 -1 1\r\n"),
                                  std::string("PROXY TCP4 1.2.3.4 1.2.3.4  1\r\n"),
                                  std::string("PROXY TCP4 1.2.3.4 1.2.3.4 1 1\n\r\n"),
                                  "PROXY UNKNOWN " + std::string(93, 'f'),
                                  "PROXY UNKNOWN " + std::string(92, 'f') + "\r\n",
                                  kSignature + "\x11",
                                  kSignature + "\x22",
                                  Binary(0x21, 0x12, kV4),
                                  Binary(0x21, 0x11, kV4.substr(1)),
                                  Binary(0x21, 0x21, kV6.substr(1)),
                                  Binary(0x21, 0x31, std::string(215, 'u')),
                                  Binary(0x21, 0x41, kV6),
                                  Binary(0x20, 0x00, std::string(521, 'x')).substr(0, 16)}) {
    EXPECT_EQ(ReadProxyHeader(text).kind, Kind::kMalformed) << text;
  }
}

}  // namespace
}  // namespace mmsmo::http
