#include "gateway/postback/media.h"

#include <algorithm>

#include "gateway/postback/ascii.h"

namespace mmsmo::postback {
namespace {

struct Extension {
  std::string_view name;
  v1::MediaKind kind;
};
constexpr Extension kExtensions[] = {
    {"jpg", v1::MEDIA_KIND_IMAGE},  {"jpeg", v1::MEDIA_KIND_IMAGE}, {"png", v1::MEDIA_KIND_IMAGE},
    {"gif", v1::MEDIA_KIND_IMAGE},  {"webp", v1::MEDIA_KIND_IMAGE}, {"bmp", v1::MEDIA_KIND_IMAGE},
    {"tif", v1::MEDIA_KIND_IMAGE},  {"tiff", v1::MEDIA_KIND_IMAGE}, {"heic", v1::MEDIA_KIND_IMAGE},
    {"heif", v1::MEDIA_KIND_IMAGE}, {"avif", v1::MEDIA_KIND_IMAGE}, {"svg", v1::MEDIA_KIND_IMAGE},
    {"mp4", v1::MEDIA_KIND_VIDEO},  {"3gp", v1::MEDIA_KIND_VIDEO},  {"3g2", v1::MEDIA_KIND_VIDEO},
    {"mov", v1::MEDIA_KIND_VIDEO},  {"m4v", v1::MEDIA_KIND_VIDEO},  {"avi", v1::MEDIA_KIND_VIDEO},
    {"webm", v1::MEDIA_KIND_VIDEO}, {"mkv", v1::MEDIA_KIND_VIDEO},  {"mpg", v1::MEDIA_KIND_VIDEO},
    {"mpeg", v1::MEDIA_KIND_VIDEO}, {"mp3", v1::MEDIA_KIND_AUDIO},  {"m4a", v1::MEDIA_KIND_AUDIO},
    {"aac", v1::MEDIA_KIND_AUDIO},  {"amr", v1::MEDIA_KIND_AUDIO},  {"wav", v1::MEDIA_KIND_AUDIO},
    {"ogg", v1::MEDIA_KIND_AUDIO},  {"oga", v1::MEDIA_KIND_AUDIO},  {"flac", v1::MEDIA_KIND_AUDIO},
    {"caf", v1::MEDIA_KIND_AUDIO},  {"mid", v1::MEDIA_KIND_AUDIO},  {"midi", v1::MEDIA_KIND_AUDIO},
    {"3ga", v1::MEDIA_KIND_AUDIO},  {"txt", v1::MEDIA_KIND_TEXT},   {"text", v1::MEDIA_KIND_TEXT},
    {"vcf", v1::MEDIA_KIND_TEXT},   {"vcard", v1::MEDIA_KIND_TEXT}, {"ics", v1::MEDIA_KIND_TEXT},
    {"html", v1::MEDIA_KIND_TEXT},  {"htm", v1::MEDIA_KIND_TEXT},   {"csv", v1::MEDIA_KIND_TEXT},
    {"smil", v1::MEDIA_KIND_SMIL},  {"smi", v1::MEDIA_KIND_SMIL},
};

// The part between the authority and the query or fragment.
std::string_view PathOf(std::string_view url) {
  url = url.substr(0, std::min(url.find('?'), url.find('#')));
  const size_t authority = url.find("://");
  if (authority == std::string_view::npos) return url;
  const size_t path = url.find('/', authority + 3);
  return path == std::string_view::npos ? std::string_view() : url.substr(path);
}

}  // namespace

v1::MediaKind MediaKindOf(std::string_view url) {
  std::string_view name = PathOf(url);
  name.remove_prefix(name.rfind('/') + 1);  // npos + 1 is 0
  const size_t dot = name.rfind('.');
  if (dot == std::string_view::npos || dot + 1 == name.size()) return v1::MEDIA_KIND_UNSPECIFIED;
  name.remove_prefix(dot + 1);
  for (const Extension& extension : kExtensions) {
    if (EqualsIgnoringCase(name, extension.name)) return extension.kind;
  }
  return v1::MEDIA_KIND_OTHER;
}

bool IsHttpUrl(std::string_view url) {
  return StartsWithIgnoringCase(url, "http://") || StartsWithIgnoringCase(url, "https://");
}

}  // namespace mmsmo::postback
