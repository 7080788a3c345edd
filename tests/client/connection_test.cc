#include "client/connection.h"

#include <gtest/gtest.h>

namespace mmsmo {
namespace {

TEST(IsLocal, KnowsUnixSocketsAndTheLoopbackInEverySpelling) {
  for (const char* target :
       {"unix:/run/gateway.sock", "unix:gateway.sock", "unix:///run/gateway.sock",
        "unix-abstract:gateway", "localhost:9090", "localhost", "LOCALHOST:9090", "localhost.:9090",
        "gateway.localhost:9090", "127.0.0.1:9090", "127.1.2.3:9090", "[::1]:9090", "::1",
        "[::ffff:127.0.0.1]:9090", "dns:localhost:9090", "dns:///localhost:9090",
        "dns://9.9.9.9/localhost:9090", "ipv4:127.0.0.1:9090", "ipv6:[::1]:9090"}) {
    EXPECT_TRUE(IsLocal(target)) << target;
  }
}

TEST(IsLocal, TakesNothingElseForIt) {
  for (const char* target :
       {"", "gateway:9090", "gateway.example:9090", "localhost.example:9090", "10.0.0.1:9090",
        "128.0.0.1:9090", "[::2]:9090", "[2001:db8::1]:9090", "dns:///gateway:9090",
        "dns://127.0.0.1/gateway:9090", "ipv4:10.0.0.1:9090", "[", "dns://"}) {
    EXPECT_FALSE(IsLocal(target)) << target;
  }
}

}  // namespace
}  // namespace mmsmo
