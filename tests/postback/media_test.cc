#include "gateway/postback/media.h"

#include <gtest/gtest.h>

namespace mmsmo::postback {
namespace {

TEST(Media, KindFollowsFromThePathsLastExtension) {
  const struct {
    std::string_view url;
    v1::MediaKind kind;
  } cases[] = {
      {"https://m.example.com/a/1.jpg", v1::MEDIA_KIND_IMAGE},
      {"https://m.example.com/a/1.tar.PNG", v1::MEDIA_KIND_IMAGE},
      {"https://m.example.com/a/1.mp4?x=1.jpg", v1::MEDIA_KIND_VIDEO},
      {"https://m.example.com/a/1.amr#frag.txt", v1::MEDIA_KIND_AUDIO},
      {"https://m.example.com/a.jpg/b", v1::MEDIA_KIND_UNSPECIFIED},
      {"https://m.example.com/a/v.vcard", v1::MEDIA_KIND_TEXT},
      {"https://m.example.com/a/s.smil", v1::MEDIA_KIND_SMIL},
      {"https://m.example.com/a/s.exe", v1::MEDIA_KIND_OTHER},
      {"https://m.example.com/a/s.", v1::MEDIA_KIND_UNSPECIFIED},
      {"https://m.example.com", v1::MEDIA_KIND_UNSPECIFIED},
      {"https://m.example.com?f=1.jpg", v1::MEDIA_KIND_UNSPECIFIED},
      {"HTTPS://m.example.com/1.JPEG", v1::MEDIA_KIND_IMAGE},
      {"1.jpg", v1::MEDIA_KIND_IMAGE},
      {"URL of Content Here", v1::MEDIA_KIND_UNSPECIFIED},
  };
  for (const auto& one : cases) EXPECT_EQ(MediaKindOf(one.url), one.kind) << one.url;
}

TEST(Media, OnlyHttpAndHttpsAreUrlsOfFiles) {
  for (std::string_view url : {"http://x", "https://x/", "HTTP://x", "hTtPs://x"}) {
    EXPECT_TRUE(IsHttpUrl(url)) << url;
  }
  for (std::string_view url : {"", "ftp://x", "httpx://x", "http:/x", "//x", " http://x"}) {
    EXPECT_FALSE(IsHttpUrl(url)) << url;
  }
}

}  // namespace
}  // namespace mmsmo::postback
